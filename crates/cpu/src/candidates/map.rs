//! Element-wise operations: programs over memory.

use super::reference::OTHER;
use crate::kernel::{Candidate, Io, Kernel, Prepared, Problem};
use gabor_compile::fused::{FusedMap, MapProgram, Step};
use gabor_graph::ops::{BinaryMap, UnaryMap};
use gabor_kernels::pointwise::{Access, Instruction, MapKernel, Program};
use gabor_kernels::{SharedMut, Work};

/// Rows for every element-wise operation.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "unary.program", operation: "unary", prepare: plain },
    Candidate { name: "binary.program", operation: "binary", prepare: plain },
    Candidate { name: "fused_map.program", operation: "fused_map", prepare: plain },
];

/// The program of an element-wise operation.
pub(super) fn program(p: &Problem<'_>) -> Result<Program, String> {
    if let Some(o) = p.op::<UnaryMap>() {
        let instructions = vec![Instruction::Load(0), Instruction::Unary(o.f, 0)];
        return Ok(Program { instructions, outputs: vec![1] });
    }
    if let Some(o) = p.op::<BinaryMap>() {
        let instructions = vec![Instruction::Load(0), Instruction::Load(1), Instruction::Binary(o.f, 0, 1)];
        return Ok(Program { instructions, outputs: vec![2] });
    }
    Ok(instructions(&p.op::<FusedMap>().ok_or(OTHER)?.program))
}

/// A program of the graph as one of the kernels.
pub(super) fn instructions(MapProgram { steps, outputs }: &MapProgram) -> Program {
    let instruction = |s: &Step| match *s {
        Step::Input(i) => Instruction::Load(i),
        Step::Constant(c) => Instruction::Constant(c as f32),
        Step::Unary(f, a) => Instruction::Unary(f, a),
        Step::Binary(f, a, b) => Instruction::Binary(f, a, b),
    };
    Program { instructions: steps.iter().map(instruction).collect(), outputs: outputs.clone() }
}

fn plain(p: &Problem<'_>) -> Prepared {
    let shape = &p.outputs[0];
    let access = p.inputs.iter().map(|s| access(s, shape)).collect::<Result<Vec<_>, _>>()?;
    if access.len() > MOST {
        return Err(format!("{} inputs, at most {MOST}", access.len()));
    }
    let kernel = MapKernel::new(program(p)?, access, shape.iter().product(), p.isa);
    Ok(Box::new(Map { kernel, outputs: p.outputs.len() }))
}

/// How an input's elements belong to the output's, by their shapes.
pub(super) fn access(from: &[usize], to: &[usize]) -> Result<Access, String> {
    let (len, total) = (from.iter().product::<usize>(), to.iter().product::<usize>());
    if len == total {
        return Ok(Access::Full);
    }
    if len == 1 {
        return Ok(Access::Scalar);
    }
    let lead = to.len() - from.len();
    let repeats: Vec<bool> = (0..to.len()).map(|i| to[i] != 1 && (i < lead || from[i - lead] == 1)).collect();
    let own: Vec<usize> = (0..to.len()).filter(|&i| to[i] != 1 && !repeats[i]).collect();
    let (first, last) = (own[0], own[own.len() - 1]);
    if (first..=last).any(|i| repeats[i]) {
        return Err(format!("{from:?} repeats in the middle of {to:?}"));
    }
    let inner: usize = to[last + 1..].iter().product();
    Ok(if inner == 1 { Access::Row { period: len } } else { Access::Channel { channels: len, inner } })
}

/// Most inputs and outputs of a program; their addresses are collected without allocation.
pub(super) const MOST: usize = 32;

/// An element-wise program as a kernel.
pub(super) struct Map {
    pub kernel: MapKernel,
    /// Number of its outputs.
    pub outputs: usize,
}

impl Kernel for Map {
    fn work(&self) -> &dyn Work {
        &self.kernel
    }
    fn in_place(&self) -> bool {
        true
    }
    unsafe fn run(&self, _phase: usize, task: usize, io: &Io<'_>, _w: SharedMut<'_, f32>, scratch: &mut [f32]) {
        let mut inputs = [std::ptr::null(); MOST];
        for (i, start) in inputs.iter_mut().enumerate().take(io.inputs()) {
            *start = io.address_f32(i);
        }
        let mut outputs = [io.out_f32(0); MOST];
        for (i, o) in outputs.iter_mut().enumerate().take(self.outputs) {
            *o = io.out_f32(i);
        }
        // SAFETY: the caller's contract; addresses are used because an output may be an input's memory.
        unsafe { self.kernel.run(task, &inputs[..io.inputs()], &outputs[..self.outputs], scratch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses() {
        assert_eq!(access(&[2, 3, 4], &[2, 3, 4]), Ok(Access::Full));
        assert_eq!(access(&[], &[2, 3]), Ok(Access::Scalar));
        assert_eq!(access(&[1, 1], &[2, 3]), Ok(Access::Scalar));
        assert_eq!(access(&[3, 1, 1], &[2, 3, 4, 5]), Ok(Access::Channel { channels: 3, inner: 20 }));
        assert_eq!(access(&[2, 1], &[2, 3]), Ok(Access::Channel { channels: 2, inner: 3 }));
        assert_eq!(access(&[3], &[2, 3]), Ok(Access::Row { period: 3 }));
        assert_eq!(access(&[2, 3, 1, 1], &[2, 3, 4, 4]), Ok(Access::Channel { channels: 6, inner: 16 }));
        assert!(access(&[2, 1, 4], &[2, 3, 4]).is_err());
    }
}
