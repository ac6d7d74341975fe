//! Matrix products from register tiles, and what is done to their elements.

use super::map::{MOST, access, instructions};
use super::reference::{OTHER, product};
use crate::kernel::{Candidate, Io, Kernel, Prepared, Problem};
use gabor_compile::fused::{Activation, FusedMatMul, FusedProductMap};
use gabor_graph::ops::MatMul;
use gabor_kernels::pointwise::{Access, MapKernel};
use gabor_kernels::{Epilogue, MOST_OTHERS, MatMulKernel, ProductMapKernel, SharedMut, Work};

/// Rows for products with and without bias, and with an element-wise program.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "matmul.tiles", operation: "matmul", prepare: plain },
    Candidate { name: "fused_matmul.tiles", operation: "fused_matmul", prepare: fused },
    Candidate { name: "fused_product_map.rows", operation: "fused_product_map", prepare: mapped },
];

fn plain(p: &Problem<'_>) -> Prepared {
    let op = p.op::<MatMul>().ok_or(OTHER)?;
    let kernel = MatMulKernel::new(product(op, &p.inputs[0], &p.inputs[1]), p.isa);
    Ok(Box::new(Tiles { kernel, bias: false, activation: Activation::None }))
}

fn fused(p: &Problem<'_>) -> Prepared {
    let op = p.op::<FusedMatMul>().ok_or(OTHER)?;
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

fn mapped(p: &Problem<'_>) -> Prepared {
    let op = p.op::<FusedProductMap>().ok_or(OTHER)?;
    let others = p.inputs.len() - 2;
    if others > MOST_OTHERS || p.outputs.len() > MOST {
        return Err(format!("{others} inputs besides the product, at most {MOST_OTHERS}"));
    }
    let shape = &p.outputs[0];
    if p.inputs[..2].contains(shape) {
        return Err(format!("a matrix has the result's extents {shape:?}, which may lie over it"));
    }
    let accesses = p.inputs[2..].iter().map(|s| access(s, shape));
    let accesses = [Ok(Access::Full)].into_iter().chain(accesses).collect::<Result<Vec<_>, _>>()?;
    let map = MapKernel::new(instructions(&op.program), accesses, shape.iter().product(), p.isa);
    let inner = MatMul { transpose_a: op.transpose_a, transpose_b: false };
    let kernel = ProductMapKernel::new(product(&inner, &p.inputs[0], &p.inputs[1]), map, p.isa);
    Ok(Box::new(Mapped { kernel, outputs: p.outputs.len() }))
}

struct Mapped {
    kernel: ProductMapKernel,
    outputs: usize,
}

impl Kernel for Mapped {
    fn work(&self) -> &dyn Work {
        &self.kernel
    }
    /// The matrices never have the extents of the outputs; what has is read element by element.
    fn in_place(&self) -> bool {
        true
    }
    unsafe fn run(&self, _phase: usize, task: usize, io: &Io<'_>, _w: SharedMut<'_, f32>, scratch: &mut [f32]) {
        let mut others = [std::ptr::null(); MOST_OTHERS];
        let count = io.inputs() - 2;
        for (i, start) in others.iter_mut().enumerate().take(count) {
            *start = io.address_f32(i + 2);
        }
        let mut outputs = [io.out_f32(0); MOST];
        for (i, o) in outputs.iter_mut().enumerate().take(self.outputs) {
            *o = io.out_f32(i);
        }
        // SAFETY: the caller's contract; addresses are used because an output may be an input's memory.
        unsafe { self.kernel.run(task, [io.f32(0), io.f32(1)], &others[..count], &outputs[..self.outputs], scratch) }
    }
}
