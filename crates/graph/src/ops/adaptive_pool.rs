//! What the adaptive poolings share: windows from the sizes that are wanted.

use super::{spatial_of, spatial_shape, want_type};
use crate::{Graph, Result, ValueId, ValueType};
use gabor_tensor::{DType, Rule, WindowOptions};

/// Output `i` of `o` sees the inputs `floor(i·n/o) .. ceil((i + 1)·n/o)` (PyTorch's bins).
pub(super) fn bin(i: usize, n: usize, o: usize) -> (usize, usize) {
    (i * n / o, ((i + 1) * n).div_ceil(o))
}

/// The wanted sizes, one for all spatial dimensions or one each, checked against x.
pub(super) fn sizes(output: &[usize], x: &ValueType) -> Result<(Vec<usize>, Vec<usize>), Rule> {
    want_type("x", x, DType::F32)?;
    let input = spatial_of(&x.shape)?;
    let wanted = if output.len() == 1 { vec![output[0]; input.len()] } else { output.to_vec() };
    if wanted.len() != input.len() || wanted.contains(&0) || wanted.iter().any(|&o| o > 1 << 20) {
        return Err(Rule::new(format!("adaptive pooling of x {} to {output:?}", x.shape))
            .right(format!("1 or {} sizes, each at least 1", input.len())));
    }
    Ok((input, wanted))
}

/// `[n, c, output…]`.
pub(super) fn infer(output: &[usize], inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
    let (_, wanted) = sizes(output, &inputs[0])?;
    let shape = &inputs[0].shape;
    Ok(vec![ValueType::f32(spatial_shape(shape.0[0], shape.0[1], wanted))])
}

/// The ordinary pooling window that has the same bins, where the sizes divide.
pub(super) fn regular(input: &[usize], output: &[usize]) -> Option<WindowOptions> {
    let even = input.iter().zip(output).all(|(n, o)| n.is_multiple_of(*o));
    let kernel: Vec<usize> = input.iter().zip(output).map(|(n, o)| n / o).collect();
    even.then(|| WindowOptions::new(&kernel).stride(&kernel))
}

/// Pools axis by axis, which is the same as pooling boxes: `one(graph, slice, axis)` reduces a bin to one element.
pub(super) fn by_axis(
    g: &mut Graph,
    x: ValueId,
    input: &[usize],
    output: &[usize],
    one: impl Fn(&mut Graph, ValueId, usize) -> Result<ValueId>,
) -> Result<ValueId> {
    let mut y = x;
    for (d, (&n, &o)) in input.iter().zip(output).enumerate() {
        let axis = d + 2;
        if n == o {
            continue;
        }
        let bins = (0..o)
            .map(|i| {
                let (start, end) = bin(i, n, o);
                let part = g.slice(y, axis, start, end, 1)?;
                one(g, part, axis)
            })
            .collect::<Result<Vec<_>>>()?;
        y = g.concat(&bins, axis)?;
    }
    Ok(y)
}
