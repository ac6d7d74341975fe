//! Convolutions from register tiles over padded bands of the input.

use crate::kernel::{Candidate, Io, Kernel, Prepared, Problem};
use gabor_compile::fused::{Activation, FusedConv};
use gabor_graph::ops::{Conv, ConvFilterGrad, ConvInputGrad};
use gabor_kernels::{ConvFilterGradKernel, ConvKernel, Epilogue, SharedMut, Work};

/// Rows for the three operations of convolution, and for convolution with bias.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "conv.bands", operation: "conv", prepare: forward },
    Candidate { name: "fused_conv.bands", operation: "fused_conv", prepare: fused },
    Candidate { name: "conv_input_grad.bands", operation: "conv_input_grad", prepare: input_grad },
    Candidate { name: "conv_filter_grad.bands", operation: "conv_filter_grad", prepare: filter_grad },
];

const OTHER: &str = "another operation of the same name";

fn forward(p: &Problem<'_>) -> Prepared {
    let g = &p.op::<Conv>().ok_or(OTHER)?.geometry;
    let kernel = ConvKernel::forward(g, p.inputs[0][0], p.isa).map_err(|r| r.to_string())?;
    Ok(Box::new(Bands { kernel, epilogue: None }))
}

fn fused(p: &Problem<'_>) -> Prepared {
    let op = p.op::<FusedConv>().ok_or(OTHER)?;
    let kernel = ConvKernel::forward(&op.geometry, p.inputs[0][0], p.isa).map_err(|r| r.to_string())?;
    Ok(Box::new(Bands { kernel, epilogue: Some((op.add, op.activation)) }))
}

fn input_grad(p: &Problem<'_>) -> Prepared {
    let g = &p.op::<ConvInputGrad>().ok_or(OTHER)?.geometry;
    let kernel = ConvKernel::input_grad(g, p.inputs[0][0], p.isa).map_err(|r| r.to_string())?;
    Ok(Box::new(Bands { kernel, epilogue: None }))
}

fn filter_grad(p: &Problem<'_>) -> Prepared {
    let g = &p.op::<ConvFilterGrad>().ok_or(OTHER)?.geometry;
    let kernel = ConvFilterGradKernel::new(g, p.inputs[0][0], p.isa).map_err(|r| r.to_string())?;
    Ok(Box::new(FilterGrad { kernel }))
}

struct Bands {
    kernel: ConvKernel,
    /// With bias: whether there is another summand, and what is applied last.
    epilogue: Option<(bool, Activation)>,
}

impl Kernel for Bands {
    fn work(&self) -> &dyn Work {
        &self.kernel
    }
    unsafe fn run(&self, _phase: usize, task: usize, io: &Io<'_>, _w: SharedMut<'_, f32>, scratch: &mut [f32]) {
        let epilogue = self.epilogue.map_or(Epilogue::default(), |(add, a)| Epilogue {
            bias: Some(io.f32(2)),
            add: add.then(|| io.f32(3)),
            relu: a.rectifies(),
            limit: a.limit(),
        });
        // SAFETY: the caller's contract is the kernel's.
        unsafe { self.kernel.run(task, io.f32(0), io.f32(1), epilogue, io.out_f32(0), scratch) }
    }
}

struct FilterGrad {
    kernel: ConvFilterGradKernel,
}

impl Kernel for FilterGrad {
    fn work(&self) -> &dyn Work {
        &self.kernel
    }
    unsafe fn run(&self, phase: usize, task: usize, io: &Io<'_>, w: SharedMut<'_, f32>, scratch: &mut [f32]) {
        // SAFETY: the caller's contract is the kernel's.
        unsafe { self.kernel.run(phase, task, io.f32(0), io.f32(1), io.out_f32(0), w, scratch) }
    }
}
