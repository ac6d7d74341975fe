//! Convolutions from register tiles over padded bands of the input.

use super::reference::{OTHER, op};
use super::tasks::tasks;
use crate::kernel::{Candidate, Kernel, Prepared, Problem};
use gabor_compile::fused::{Activation, FusedConv};
use gabor_graph::ops::{Conv, ConvFilterGrad, ConvInputGrad};
use gabor_kernels::{ConvFilterGradKernel, ConvKernel, Epilogue};
use gabor_tensor::ConvGeometry;

/// Rows for the three operations of convolution, and for convolution with bias.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "conv.bands", operation: "conv", prepare: forward },
    Candidate { name: "fused_conv.bands", operation: "fused_conv", prepare: forward },
    Candidate { name: "conv_input_grad.bands", operation: "conv_input_grad", prepare: input_grad },
    Candidate { name: "conv_filter_grad.bands", operation: "conv_filter_grad", prepare: filter_grad },
];

/// What follows the sums of a fused convolution, which has a bias: whether there is another summand, and what is applied
/// last.
pub(super) type FollowUp = Option<(bool, Activation)>;

/// The geometry of a convolution, fused or not, and what follows.
pub(super) fn convolution<'a>(p: &'a Problem<'_>) -> Result<(&'a ConvGeometry, FollowUp), String> {
    match p.op::<FusedConv>() {
        Some(o) => Ok((&o.geometry, Some((o.add, o.activation)))),
        None => Ok((&p.op::<Conv>().ok_or(OTHER)?.geometry, None)),
    }
}

fn forward(p: &Problem<'_>) -> Prepared {
    let (g, follow_up) = convolution(p)?;
    let kernel = ConvKernel::forward(g, p.inputs[0][0], p.isa).map_err(|r| r.to_string())?;
    Ok(conv(kernel, follow_up))
}

fn input_grad(p: &Problem<'_>) -> Prepared {
    let g = &op::<ConvInputGrad>(p)?.geometry;
    let kernel = ConvKernel::input_grad(g, p.inputs[0][0], p.isa).map_err(|r| r.to_string())?;
    Ok(conv(kernel, None))
}

fn filter_grad(p: &Problem<'_>) -> Prepared {
    let g = &op::<ConvFilterGrad>(p)?.geometry;
    let kernel = ConvFilterGradKernel::new(g, p.inputs[0][0], p.isa).map_err(|r| r.to_string())?;
    Ok(tasks(kernel, |k, c| {
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, c.io.f32(0), c.io.f32(1), c.io.out_f32(0), c.workspace, c.scratch) }
    }))
}

fn conv(kernel: ConvKernel, follow_up: FollowUp) -> Box<dyn Kernel> {
    tasks(kernel, move |k, c| {
        let epilogue = follow_up.map_or(Epilogue::default(), |(add, a)| Epilogue {
            bias: Some(c.io.f32(2)),
            add: add.then(|| c.io.f32(3)),
            relu: a.rectifies(),
            limit: a.limit(),
        });
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.task, c.io.f32(0), c.io.f32(1), epilogue, c.io.out_f32(0), c.scratch) }
    })
}
