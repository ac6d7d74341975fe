//! Pooling and its gradients.

use super::super::reference::op;
use super::super::tasks::tasks;
use crate::kernel::{Candidate, Order, Prepared, Problem, ordered};
use gabor_graph::ops::{AvgPool, AvgPoolGrad, MaxPool, MaxPoolGather, MaxUnpool};
use gabor_kernels::blocked::pool::{
    AvgPoolBlocked, AvgPoolGradBlocked, MaxPoolBlocked, MaxPoolGatherBlocked, MaxPoolSwitchesBlocked, MaxUnpoolBlocked,
};

/// Rows of this area.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "max_pool.blocked", operation: "max_pool", prepare: max_pool },
    Candidate { name: "max_unpool.blocked", operation: "max_unpool", prepare: max_unpool },
    Candidate { name: "max_pool_gather.blocked", operation: "max_pool_gather", prepare: max_pool_gather },
    Candidate { name: "avg_pool.blocked", operation: "avg_pool", prepare: avg_pool },
    Candidate { name: "avg_pool_grad.blocked", operation: "avg_pool_grad", prepare: avg_pool_grad },
];

/// Images and channels, if the feature maps or what else is read lie in blocks.
fn maps(p: &Problem<'_>) -> Result<(usize, usize), String> {
    if !p.any_blocked() {
        return Err("nothing lies in blocks".into());
    }
    Ok((p.inputs[0][0], p.inputs[0][1]))
}

fn max_pool(p: &Problem<'_>) -> Prepared {
    let (window, (n, c)) = (&op::<MaxPool>(p)?.window, maps(p)?);
    let run = if p.read[1] {
        tasks(MaxPoolSwitchesBlocked::new(window, n, c, p.isa)?, |k, c| {
            // SAFETY: the contract of the call is the kernel's.
            unsafe { k.run(c.task, c.io.f32(0), c.io.out_f32(0), c.io.out_i32(1)) }
        })
    } else {
        tasks(MaxPoolBlocked::new(window, n, c, p.isa)?, |k, c| {
            // SAFETY: as above.
            unsafe { k.run(c.task, c.io.f32(0), c.io.out_f32(0)) }
        })
    };
    Ok(ordered(run, vec![Order::Blocked], true))
}

fn max_unpool(p: &Problem<'_>) -> Prepared {
    let (window, (n, c)) = (&op::<MaxUnpool>(p)?.window, maps(p)?);
    let run = tasks(MaxUnpoolBlocked::new(window, n, c, p.isa)?, |k, c| {
        // SAFETY: as in `max_pool`.
        unsafe { k.run(c.task, c.io.f32(0), c.io.i32(1), c.io.out_f32(0)) }
    });
    Ok(ordered(run, vec![Order::Blocked; 2], true))
}

fn max_pool_gather(p: &Problem<'_>) -> Prepared {
    let (window, (n, c)) = (&op::<MaxPoolGather>(p)?.window, maps(p)?);
    let run = tasks(MaxPoolGatherBlocked::new(window, n, c), |k, c| {
        // SAFETY: as in `max_pool`.
        unsafe { k.run(c.task, c.io.f32(0), c.io.i32(1), c.io.out_f32(0)) }
    });
    Ok(ordered(run, vec![Order::Blocked; 2], true))
}

fn avg_pool(p: &Problem<'_>) -> Prepared {
    let (o, (n, c)) = (op::<AvgPool>(p)?, maps(p)?);
    let run = tasks(AvgPoolBlocked::new(&o.window, n, c, o.divisor, p.isa)?, |k, c| {
        // SAFETY: as in `max_pool`.
        unsafe { k.run(c.task, c.io.f32(0), c.io.out_f32(0)) }
    });
    Ok(ordered(run, vec![Order::Blocked], true))
}

fn avg_pool_grad(p: &Problem<'_>) -> Prepared {
    let (o, (n, c)) = (op::<AvgPoolGrad>(p)?, maps(p)?);
    let run = tasks(AvgPoolGradBlocked::new(&o.window, n, c, o.divisor, p.isa)?, |k, c| {
        // SAFETY: as in `max_pool`.
        unsafe { k.run(c.task, c.io.f32(0), c.io.out_f32(0)) }
    });
    Ok(ordered(run, vec![Order::Blocked], true))
}
