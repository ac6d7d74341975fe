//! Matrix products from register tiles.

use super::reference::product;
use crate::kernel::{Candidate, Io, Kernel, Prepared, Problem};
use gabor_compile::fused::{Activation, FusedMatMul};
use gabor_graph::ops::MatMul;
use gabor_kernels::{Epilogue, MatMulKernel, SharedMut, Work};

/// Rows for products with and without bias.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "matmul.tiles", operation: "matmul", prepare: plain },
    Candidate { name: "fused_matmul.tiles", operation: "fused_matmul", prepare: fused },
];

fn plain(p: &Problem<'_>) -> Prepared {
    let op = p.op::<MatMul>().ok_or("another operation of the same name")?;
    let kernel = MatMulKernel::new(product(op, &p.inputs[0], &p.inputs[1]), p.isa);
    Ok(Box::new(Tiles { kernel, bias: false, activation: Activation::None }))
}

fn fused(p: &Problem<'_>) -> Prepared {
    let op = p.op::<FusedMatMul>().ok_or("another operation of the same name")?;
    let inner = MatMul { transpose_a: op.transpose_a, transpose_b: op.transpose_b };
    let kernel = MatMulKernel::new(product(&inner, &p.inputs[0], &p.inputs[1]), p.isa);
    Ok(Box::new(Tiles { kernel, bias: true, activation: op.activation }))
}

struct Tiles {
    kernel: MatMulKernel,
    bias: bool,
    activation: Activation,
}

impl Kernel for Tiles {
    fn work(&self) -> &dyn Work {
        &self.kernel
    }
    unsafe fn run(&self, phase: usize, task: usize, io: &Io<'_>, w: SharedMut<'_, f32>, scratch: &mut [f32]) {
        let (relu, limit) = (self.activation.rectifies(), self.activation.limit());
        let epilogue = Epilogue { bias: self.bias.then(|| io.f32(2)), add: None, relu, limit };
        // SAFETY: the caller's contract is the kernel's.
        unsafe { self.kernel.run(phase, task, io.f32(0), io.f32(1), epilogue, io.out_f32(0), w, scratch) }
    }
}
