//! Element-wise operations.

use crate::candidates::map::{self, MOST, Map};
use crate::kernel::{Candidate, Order, Prepared, Problem, ordered};
use gabor_kernels::blocked::Blocked;
use gabor_kernels::pointwise::{Access, MapKernel};

/// Rows of this area.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "unary.blocked", operation: "unary", prepare: program },
    Candidate { name: "binary.blocked", operation: "binary", prepare: program },
    Candidate { name: "fused_map.blocked", operation: "fused_map", prepare: program },
];

fn program(p: &Problem<'_>) -> Prepared {
    let shape = &p.outputs[0];
    if !p.any_blocked() {
        return Err("no input lies in blocked order".into());
    }
    let e = Blocked::new(shape).ok_or_else(|| format!("{} extents", shape.len()))?;
    let access = p.inputs.iter().map(|s| access(s, shape)).collect::<Result<Vec<_>, _>>()?;
    if access.len() > MOST {
        return Err(format!("{} inputs, at most {MOST}", access.len()));
    }
    let order = |a: &Access| if *a == Access::Full { Order::Blocked } else { Order::Plain };
    let reads = access.iter().map(order).collect();
    let kernel = MapKernel::blocked(map::program(p)?, access, e, p.isa);
    Ok(ordered(Box::new(Map { kernel, outputs: p.outputs.len() }), reads, true))
}

/// How an input's elements belong to the blocked output's, by their shapes.
fn access(from: &[usize], to: &[usize]) -> Result<Access, String> {
    if from == to {
        return Ok(Access::Full);
    }
    if from.iter().all(|&e| e == 1) {
        return Ok(Access::Scalar);
    }
    let mut wide = vec![1; to.len() - from.len()];
    wide.extend(from);
    let images = wide[0] != 1 && wide[0] == to[0];
    if wide[1] == to[1] && wide[2..].iter().all(|&e| e == 1) && (images || wide[0] == 1) {
        return Ok(Access::Lanes { images });
    }
    Err(format!("{from:?} is neither all of {to:?} nor a number per channel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses() {
        assert_eq!(access(&[2, 3, 4, 4], &[2, 3, 4, 4]), Ok(Access::Full));
        assert_eq!(access(&[1, 1], &[2, 3, 4, 4]), Ok(Access::Scalar));
        assert_eq!(access(&[3, 1, 1], &[2, 3, 4, 4]), Ok(Access::Lanes { images: false }));
        assert_eq!(access(&[1, 3, 1, 1], &[2, 3, 4, 4]), Ok(Access::Lanes { images: false }));
        assert_eq!(access(&[2, 3, 1, 1], &[2, 3, 4, 4]), Ok(Access::Lanes { images: true }));
        assert_eq!(access(&[3], &[2, 3]), Ok(Access::Lanes { images: false }));
        assert!(access(&[4], &[2, 3, 4, 4]).is_err());
        assert!(access(&[2, 1, 4, 4], &[2, 3, 4, 4]).is_err());
        assert!(access(&[2, 1, 1, 1], &[2, 3, 4, 4]).is_err());
    }
}
