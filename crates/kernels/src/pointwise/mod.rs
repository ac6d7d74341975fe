//! Element-wise programs: any chain of scalar functions in one pass over memory.
//!
//! A program runs block by block: each instruction is a vector loop over a block that stays in the first-level cache, so
//! the cost of choosing the instruction is paid once per block and memory is read and written once. Optimiser updates
//! are such programs.

pub(crate) mod math;
mod run;
#[cfg(test)]
mod tests;

use crate::blocked::{Blocked, LANES};
use crate::simd::{Isa, Simd16};
use crate::{SharedMut, Work};
use gabor_tensor::{Binary, Unary};
use run::Run;

/// One instruction; operands are numbers of earlier ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Instruction {
    /// An input.
    Load(usize),
    /// A number.
    Constant(f32),
    /// A function of one value.
    Unary(Unary, usize),
    /// A function of two values.
    Binary(Binary, usize, usize),
}

/// A straight-line program and the instructions whose results are the outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Instructions; each uses earlier ones only.
    pub instructions: Vec<Instruction>,
    /// Per output the instruction that makes it.
    pub outputs: Vec<usize>,
}

/// How an input's elements belong to those of the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Element i to element i.
    Full,
    /// One number for all.
    Scalar,
    /// Element i / inner mod channels: one number per channel of `[n, channels, inner]`.
    Channel {
        /// Number of channels.
        channels: usize,
        /// Elements of one channel of one image.
        inner: usize,
    },
    /// Element i mod period: a row that repeats.
    Row {
        /// Length of the row.
        period: usize,
    },
    /// In programs over a blocked tensor: one number per channel, or per channel of each image, in rows in order; zero
    /// for lanes beyond the channels.
    Lanes {
        /// Whether each image has numbers of its own: `[n, c]`, not `[c]`.
        images: bool,
    },
}

/// Elements of a block.
pub(crate) const BLOCK: usize = 512;

/// Where a value of the program lies while a block is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Home {
    /// In the input itself.
    Input(usize),
    /// In an output itself.
    Output(usize),
    /// In a block of the scratch memory.
    Register(usize),
    /// Sixteen numbers of the scratch memory, the same for every vector of a block.
    Splat(usize),
}

/// A prepared element-wise program.
pub struct MapKernel {
    program: Program,
    access: Vec<Access>,
    homes: Vec<Home>,
    registers: usize,
    splats: usize,
    len: usize,
    /// The extents, if the tensor is blocked.
    blocked: Option<Blocked>,
    /// Whether lanes beyond the channels must be set to zero.
    clear: bool,
    chunk: usize,
    tasks: [usize; 1],
    isa: Isa,
}

impl MapKernel {
    /// Prepares a program over `len` elements; `access` has an entry per input.
    ///
    /// # Panics
    /// If an instruction names a later one or an input without access: the caller checked the program.
    pub fn new(program: Program, access: Vec<Access>, len: usize, isa: Isa) -> Self {
        Self::prepare(program, access, len, None, isa)
    }

    fn prepare(program: Program, access: Vec<Access>, len: usize, blocked: Option<Blocked>, isa: Isa) -> Self {
        for (i, step) in program.instructions.iter().enumerate() {
            let fits = match *step {
                Instruction::Load(k) => k < access.len(),
                Instruction::Constant(_) => true,
                Instruction::Unary(_, a) => a < i,
                Instruction::Binary(_, a, b) => a < i && b < i,
            };
            assert!(fits, "instruction {i} of {program:?}");
        }
        let (homes, registers, splats) = homes(&program, &access, row(blocked).is_some());
        let weight: usize = program.instructions.iter().map(weight).sum();
        // About 20 microseconds of work a task, in whole blocks; by extents and program alone.
        let chunk = (1_048_576 / weight.max(8)).clamp(2048, 65_536).next_multiple_of(BLOCK);
        let tasks = [len.div_ceil(chunk)];
        let clear = blocked.is_some_and(|e| e.c % LANES != 0 && !keeps_zero(&program, &access));
        MapKernel { program, access, homes, registers, splats, len, blocked, clear, chunk, tasks, isa }
    }

    /// Prepares a program over a blocked tensor; inputs with [`Access::Full`] are blocked too. Lanes beyond the channels
    /// stay zero.
    ///
    /// # Panics
    /// As [`MapKernel::new`].
    pub fn blocked(program: Program, access: Vec<Access>, extents: Blocked, isa: Isa) -> Self {
        Self::prepare(program, access, extents.len(), Some(extents), isa)
    }

    /// Elements of a row with the same channels, if blocks end with it.
    pub(crate) fn row(&self) -> Option<usize> {
        row(self.blocked)
    }

    /// Runs one task: reads `inputs`, writes its part of `outputs`. An output may be the very memory of an input with
    /// full access.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch the outputs meanwhile; `scratch` belongs to this call. The
    /// pointers of `inputs` are valid for as many elements as their access reads.
    pub unsafe fn run(&self, task: usize, inputs: &[*const f32], outputs: &[SharedMut<'_, f32>], scratch: &mut [f32]) {
        assert!(inputs.len() == self.access.len() && outputs.len() == self.program.outputs.len());
        assert!(outputs.iter().all(|o| o.len() >= self.len) && scratch.len() >= self.scratch_len());
        let from = task * self.chunk;
        let to = (from + self.chunk).min(self.len);
        // SAFETY: lengths are checked; tasks write disjoint ranges; the rest is the caller's promise.
        unsafe { self.isa.call(Run { kernel: self, from, to, inputs, outputs, scratch }) }
    }
}

impl MapKernel {
    /// Elements of each output.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
    /// Computes the elements `from..to`. Of inputs with full access only those need be there, at their distance from the
    /// given address.
    ///
    /// # Safety
    /// As [`MapKernel::run`]; outputs have at least `to` elements, scratch as many as `scratch_len` says.
    #[inline(always)]
    pub(crate) unsafe fn range<S: Simd16>(
        &self,
        (from, to): (usize, usize),
        inputs: &[*const f32],
        outputs: &[SharedMut<'_, f32>],
        scratch: &mut [f32],
    ) {
        // SAFETY: the caller's promise.
        unsafe { S::call(Run { kernel: self, from, to, inputs, outputs, scratch }) }
    }
}

impl Work for MapKernel {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
    fn scratch_len(&self) -> usize {
        self.registers * BLOCK + self.splats * 16
    }
}

/// Elements of a block of channels of one image: where they are many, the interpreter's blocks end with them, so that
/// the numbers of its channels are one vector for each block.
fn row(blocked: Option<Blocked>) -> Option<usize> {
    blocked.map(|e| e.plane * LANES).filter(|&row| row >= BLOCK / 2)
}

/// Whether the outputs are zero where all inputs with a number per element or channel are.
fn keeps_zero(program: &Program, access: &[Access]) -> bool {
    let mut values: Vec<Option<f32>> = Vec::new();
    for step in &program.instructions {
        values.push(match *step {
            Instruction::Load(k) => (access[k] != Access::Scalar).then_some(0.0),
            Instruction::Constant(c) => Some(c),
            Instruction::Unary(f, a) => values[a].map(|a| f.eval(a)),
            Instruction::Binary(f, a, b) => values[a].zip(values[b]).map(|(a, b)| f.eval(a, b)),
        });
    }
    program.outputs.iter().all(|&o| values[o] == Some(0.0))
}

/// Rough cost of an instruction, in simple vector operations.
fn weight(i: &Instruction) -> usize {
    match i {
        Instruction::Load(_) => 4,
        Instruction::Constant(_) => 0,
        Instruction::Unary(f, _) => match f {
            Unary::Exp | Unary::Log | Unary::Sigmoid => 16,
            Unary::Log1p | Unary::Tanh | Unary::Erf => 32,
            Unary::Sin | Unary::Cos => 400,
            Unary::Sqrt | Unary::Recip => 8,
            _ => 1,
        },
        Instruction::Binary(Binary::Pow, ..) => 48,
        Instruction::Binary(Binary::Div, ..) => 8,
        Instruction::Binary(..) => 1,
    }
}

/// Gives every value a place: inputs and outputs serve as registers where they can, scratch blocks are reused after the
/// last use of a value.
fn homes(program: &Program, access: &[Access], rows: bool) -> (Vec<Home>, usize, usize) {
    let steps = &program.instructions;
    let operands = |s: &Instruction| match *s {
        Instruction::Unary(_, a) => vec![a],
        Instruction::Binary(_, a, b) => vec![a, b],
        _ => vec![],
    };
    let mut last = vec![0; steps.len()];
    // The last instruction that reads an input in its own memory: outputs may be that memory.
    let mut last_input = 0;
    for (i, s) in steps.iter().enumerate() {
        for a in operands(s) {
            last[a] = i;
            if matches!(steps[a], Instruction::Load(k) if access[k] == Access::Full) {
                last_input = i;
            }
        }
    }
    for &o in &program.outputs {
        last[o] = steps.len();
    }
    let (mut homes, mut free, mut registers, mut splats) = (Vec::new(), Vec::new(), 0, 0);
    for (i, s) in steps.iter().enumerate() {
        // An operand's register is free for the result: vector loops read a lane before they write it.
        for a in operands(s) {
            if let Home::Register(r) = homes[a]
                && last[a] == i
                && !free.contains(&r)
            {
                free.push(r);
            }
        }
        let mut splat = || {
            splats += 1;
            Home::Splat(splats - 1)
        };
        homes.push(match *s {
            Instruction::Constant(_) => splat(),
            Instruction::Load(k) => match access[k] {
                Access::Full => Home::Input(k),
                Access::Scalar => splat(),
                Access::Lanes { .. } if rows => splat(),
                _ => register(&mut free, &mut registers),
            },
            _ => match program.outputs.iter().position(|&o| o == i) {
                // Written at once only if no input is read afterwards, for the output may lie over it.
                Some(o) if i >= last_input => Home::Output(o),
                _ => register(&mut free, &mut registers),
            },
        });
    }
    (homes, registers, splats)
}

fn register(free: &mut Vec<usize>, count: &mut usize) -> Home {
    Home::Register(free.pop().unwrap_or_else(|| {
        *count += 1;
        *count - 1
    }))
}
