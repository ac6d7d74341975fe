//! Batch normalisation with another summand and a rectifier, in a pass of their own; and back.

use super::{
    BatchNormGradInputs, BatchNormGradKernel, BatchNormGradOutputs, BatchNormInputs, BatchNormKernel, BatchNormOutputs,
};
use crate::pointwise::{Access, Instruction, MapKernel, Program};
use crate::reference::BatchNorm;
use crate::{Isa, SharedMut, Work};
use gabor_tensor::{Binary, Unary};

/// A normalisation, then `min(max(y + add, 0), limit)` or part of it over y.
pub struct FusedBatchNormKernel {
    norm: BatchNormKernel,
    then: MapKernel,
    phases: Vec<usize>,
}

impl FusedBatchNormKernel {
    /// Prepares the normalisation of `[n, c, s]`, with another summand if `add` and a rectifier with the limit
    /// `rectifier`, infinity but for ReLU6.
    pub fn new(p: BatchNorm, add: bool, rectifier: Option<f32>, isa: Isa) -> Self {
        let (mut instructions, mut last) = (vec![Instruction::Load(0)], 0);
        if add {
            instructions.extend([Instruction::Load(1), Instruction::Binary(Binary::Add, 0, 1)]);
            last = 2;
        }
        if let Some(limit) = rectifier {
            instructions.push(Instruction::Unary(Unary::Relu, last));
            last += 1;
            if limit.is_finite() {
                instructions.extend([Instruction::Constant(limit), Instruction::Binary(Binary::Min, last, last + 1)]);
                last += 2;
            }
        }
        let program = Program { instructions, outputs: vec![last] };
        let then = MapKernel::new(program, vec![Access::Full; 1 + usize::from(add)], p.n * p.c * p.s, isa);
        let norm = BatchNormKernel::new(p, isa);
        let phases = [norm.phases(), then.phases()].concat();
        FusedBatchNormKernel { norm, then, phases }
    }
    /// Runs one task of one phase; `add` is the other summand, `[n, c, s]`, if there is one.
    ///
    /// # Safety
    /// As [`BatchNormKernel::run`]; `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(
        &self,
        (phase, task): (usize, usize),
        inputs: BatchNormInputs<'_>,
        add: Option<&[f32]>,
        outputs: BatchNormOutputs<'_>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            if phase < self.norm.phases().len() {
                return self.norm.run(phase, task, inputs, outputs, workspace);
            }
            let len = outputs.y.len();
            assert!(add.is_none_or(|a| a.len() >= len));
            let y = outputs.y.as_ptr().cast_const();
            match add {
                Some(add) => self.then.run(task, &[y, add.as_ptr()], &[outputs.y], scratch),
                None => self.then.run(task, &[y], &[outputs.y], scratch),
            }
        }
    }
}

impl Work for FusedBatchNormKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        self.norm.workspace_len()
    }
    fn scratch_len(&self) -> usize {
        self.then.scratch_len()
    }
}

/// Where the gradient passes the rectifier that followed the normalisation.
#[derive(Clone, Copy, Debug)]
pub enum Rectified<'a> {
    /// Where `x̂·γ + β` is positive and below the limit: of the shift, `[c]`.
    Shift(&'a [f32]),
    /// Where the rectifier's output, `[n, c, s]`, is positive and below the limit; the masked gradient is written too, as that of the other
    /// summand.
    Output(&'a [f32], SharedMut<'a, f32>),
}

/// The mask of the rectifier, then the gradient of the normalisation.
pub struct FusedBatchNormGradKernel {
    p: BatchNorm,
    mask: MapKernel,
    norm: BatchNormGradKernel,
    phases: Vec<usize>,
    /// Elements of the masked gradient, if it has no other place: it lies behind the gradient kernel's workspace.
    own: usize,
}

impl FusedBatchNormGradKernel {
    /// Prepares the gradient of a normalisation of `[n, c, s]` behind a rectifier with that limit, infinity but for ReLU6;
    /// with `add` it is run with [`Rectified::Output`].
    pub fn new(p: BatchNorm, add: bool, limit: f32, isa: Isa) -> Self {
        let load = Instruction::Load;
        let binary = Instruction::Binary;
        let len = p.n * p.c * p.s;
        // The gradient passes where `y`, an earlier instruction, is positive and below the limit.
        let gates = |instructions: &mut Vec<Instruction>, dy: usize, y: usize| {
            instructions.push(binary(Binary::Gate, dy, y));
            if limit.is_finite() {
                let last = instructions.len();
                let below = [Instruction::Constant(limit), binary(Binary::Greater, last, y)];
                instructions.extend(below);
                instructions.push(binary(Binary::Gate, last - 1, last + 1));
            }
            instructions.len() - 1
        };
        let (program, access) = if add {
            let mut instructions = vec![load(0), load(1)];
            let last = gates(&mut instructions, 0, 1);
            (Program { instructions, outputs: vec![last] }, vec![Access::Full; 2])
        } else {
            // x, mean, 1/std, γ, β, and dy last.
            let mut instructions: Vec<Instruction> = (0..6).map(load).collect();
            let y = [(Binary::Sub, 0, 1), (Binary::Mul, 6, 2), (Binary::Mul, 7, 3), (Binary::Add, 8, 4)];
            instructions.extend(y.map(|(f, a, b)| binary(f, a, b)));
            let last = gates(&mut instructions, 5, 9);
            let channel = match p.s {
                1 => Access::Row { period: p.c },
                _ => Access::Channel { channels: p.c, inner: p.s },
            };
            let access = vec![Access::Full, channel, channel, channel, channel, Access::Full];
            (Program { instructions, outputs: vec![last] }, access)
        };
        let mask = MapKernel::new(program, access, len, isa);
        let norm = BatchNormGradKernel::new(p, isa);
        let phases = [mask.phases(), norm.phases()].concat();
        FusedBatchNormGradKernel { p, mask, norm, phases, own: if add { 0 } else { len } }
    }
    /// Runs one task of one phase.
    ///
    /// # Safety
    /// As [`BatchNormGradKernel::run`]; `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(
        &self,
        (phase, task): (usize, usize),
        inputs: BatchNormGradInputs<'_>,
        rectified: Rectified<'_>,
        outputs: BatchNormGradOutputs<'_>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        let (i, len) = (inputs, self.p.n * self.p.c * self.p.s);
        assert!(i.dy.len() >= len && i.x.len() >= len && workspace.len() >= self.workspace_len());
        assert!([i.gamma, i.mean, i.inv_std].iter().all(|v| v.len() >= self.p.c));
        let own = self.workspace_len() - self.own;
        let masked = match rectified {
            Rectified::Shift(_) => workspace.from(own).as_ptr(),
            Rectified::Output(_, dadd) => dadd.as_ptr(),
        };
        // SAFETY: the masked gradient is as long as x; the rest is the caller's promise.
        unsafe {
            if phase > 0 {
                let dy = std::slice::from_raw_parts(masked.cast_const(), len);
                return self.norm.run(phase - 1, task, BatchNormGradInputs { dy, ..inputs }, outputs, workspace);
            }
            match rectified {
                Rectified::Shift(beta) => {
                    assert!(self.own == len && beta.len() >= self.p.c);
                    let to = workspace.from(own);
                    let inputs = [i.x, i.mean, i.inv_std, i.gamma, beta, i.dy].map(|v| v.as_ptr());
                    self.mask.run(task, &inputs, &[to], scratch);
                }
                Rectified::Output(y, dadd) => {
                    assert!(y.len() >= len);
                    self.mask.run(task, &[i.dy.as_ptr(), y.as_ptr()], &[dadd], scratch);
                }
            }
        }
    }
}

impl Work for FusedBatchNormGradKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        self.norm.workspace_len() + self.own
    }
    fn scratch_len(&self) -> usize {
        self.mask.scratch_len()
    }
}
