//! Winograd convolution and its gradients, asked before the direct kernels.

use crate::kernel::{Candidate, Io, Kernel, Order, Prepared, Problem, ordered};
use gabor_compile::fused::{Activation, FusedConv};
use gabor_graph::ops::{Conv, ConvInputGrad};
use gabor_kernels::blocked::BlockedEpilogue;
use gabor_kernels::blocked::winograd::{WinogradConvKernel, WinogradTile, winograd_tile};
use gabor_kernels::{SharedMut, Work};
use gabor_tensor::ConvGeometry;
use std::sync::Arc;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "conv.winograd", operation: "conv", prepare: forward },
    Candidate { name: "fused_conv.winograd", operation: "fused_conv", prepare: fused },
    Candidate { name: "conv_input_grad.winograd", operation: "conv_input_grad", prepare: input_grad },
];

const OTHER: &str = "another operation of the same name";

fn forward(p: &Problem<'_>) -> Prepared {
    let g = &p.op::<Conv>().ok_or(OTHER)?.geometry;
    let kernel = WinogradConvKernel::forward(g, p.inputs[0][0], tile(p, g)?, p.isa)?;
    Ok(blocked(Winograd { kernel, epilogue: None }))
}

fn fused(p: &Problem<'_>) -> Prepared {
    let op = p.op::<FusedConv>().ok_or(OTHER)?;
    let kernel = WinogradConvKernel::forward(&op.geometry, p.inputs[0][0], tile(p, &op.geometry)?, p.isa)?;
    Ok(blocked(Winograd { kernel, epilogue: Some((op.add, op.activation)) }))
}

fn input_grad(p: &Problem<'_>) -> Prepared {
    let g = &p.op::<ConvInputGrad>().ok_or(OTHER)?.geometry;
    let kernel = WinogradConvKernel::input_grad(g, p.inputs[0][0], tile(p, g)?, p.isa)?;
    Ok(blocked(Winograd { kernel, epilogue: None }))
}

/// The best algorithm, if any is worth it.
fn tile(p: &Problem<'_>, g: &ConvGeometry) -> Result<WinogradTile, String> {
    if p.strict {
        return Err("Winograd's rounding errors are larger, and the plan is strict".into());
    }
    let (n, fixed) = (p.inputs[0][0], p.fixed[1]);
    winograd_tile(g, n, fixed).ok_or_else(|| format!("direct convolution of {n} images is faster: {g}"))
}

fn blocked(kernel: Winograd) -> Box<dyn Kernel> {
    let filter = Order::Packed(Arc::new(kernel.kernel.packing()));
    ordered(Box::new(kernel), vec![Order::Blocked, filter, Order::Plain, Order::Blocked], true)
}

struct Winograd {
    kernel: WinogradConvKernel,
    /// With bias: whether there is another summand, and what is applied last.
    epilogue: Option<(bool, Activation)>,
}

impl Kernel for Winograd {
    fn work(&self) -> &dyn Work {
        &self.kernel
    }
    unsafe fn run(&self, phase: usize, task: usize, io: &Io<'_>, w: SharedMut<'_, f32>, scratch: &mut [f32]) {
        let epilogue = self.epilogue.map_or(BlockedEpilogue::default(), |(add, a)| BlockedEpilogue {
            bias: Some(io.f32(2)),
            add: add.then(|| io.f32(3)),
            relu: a.rectifies(),
            limit: a.limit(),
        });
        // SAFETY: the caller's contract is the kernel's.
        unsafe { self.kernel.run(phase, task, io.f32(0), io.f32(1), epilogue, io.out_f32(0), w, scratch) }
    }
}
