//! Poolings with indices, and what puts elements back.

use super::Row;
use super::op::{Fail, Op};
use super::rounding::{float, floor};
use super::sample::extents;
use super::want_size;
use super::windows::{pool, spatial, window};
use gabor_graph::ops::{Fold, MaxPool, Pad};
use gabor_tensor::{DType, PadMode, Rule, Shape, Tensor};

pub(super) const ROWS: &[(&str, Row)] = &[("MaxPool", max_pool), ("MaxUnpool", max_unpool), ("Col2Im", col2im)];

/// Largest number that floats count up to without a gap.
const EXACT: usize = 1 << 24;

fn max_pool(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let columns = o.a.flag("storage_order", false)?;
    let (x, options) = pool(o)?;
    let shape = o.shape(x);
    let whole = o.g().ty(x).dtype;
    let window = options.resolve(&spatial(&shape)?)?;
    let g = o.g();
    let x = float(g, x)?;
    let out = g.add_node(MaxPool { window }, &[x])?;
    let y = if whole == DType::F32 { out[0] } else { g.cast(out[0], whole)? };
    o.set(0, y)?;
    if o.outputs() < 2 {
        return Ok(());
    }
    // Indices count through samples and channels, too; ours within a plane.
    let sizes = extents(o.g(), x)?;
    let (planes, spatial) = (sizes[0] * sizes[1], &sizes[2..]);
    let plane: usize = spatial.iter().product();
    if planes.checked_mul(plane).is_none_or(|p| p >= EXACT) || planes > 1 << 22 {
        return Err(Rule::new(format!("indices into {shape}")).right(format!("fewer than {EXACT} elements")).into());
    }
    let g = o.g();
    let mut at = g.cast(out[1], DType::F32)?;
    if columns {
        // With the last axis the slowest: digit by digit, from the last axis on.
        let (mut rest, mut stride) = (at, plane);
        at = g.zeros_like(at)?;
        for &len in spatial.iter().rev() {
            let q = g.scale(rest, 1.0 / len as f64)?;
            let q = g.shift(q, 0.5 / len as f64)?;
            let q = floor(g, q)?;
            let back = g.scale(q, len as f64)?;
            let digit = g.sub(rest, back)?;
            stride /= len;
            let part = g.scale(digit, stride as f64)?;
            at = g.add(at, part)?;
            rest = q;
        }
    }
    let mut column = vec![1; sizes.len()];
    column[..2].copy_from_slice(&sizes[..2]);
    let first = g.constant(Tensor::f32(&column, (0..planes).map(|i| (i * plane) as f32).collect())?);
    let at = g.add(at, first)?;
    let at = g.cast(at, DType::I32)?;
    o.set(1, at)
}

/// Elements at the places that the indices of a max pooling name, zeros elsewhere.
fn max_unpool(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let kernel = o.a.sizes("kernel_shape")?.ok_or_else(|| Rule::new("attribute `kernel_shape` is missing"))?;
    let stride = o.a.sizes("strides")?.unwrap_or_else(|| vec![1; kernel.len()]);
    let pads = o.a.sizes("pads")?.unwrap_or_else(|| vec![0; 2 * kernel.len()]);
    let wanted = if o.has(2) { Some(o.known_ints(2)?) } else { None };
    let (x, at) = (o.x(0)?, o.x(1)?);
    let shape = extents(o.g(), x)?;
    let d = kernel.len();
    let wrong = || Rule::new(format!("x {shape:?} from windows of {kernel:?}, strides {stride:?}, pads {pads:?}"));
    if shape.len() != d + 2 || stride.len() != d || pads.len() != 2 * d || o.shape(at) != o.shape(x) {
        return Err(wrong().into());
    }
    let mut to = shape[..2].to_vec();
    for i in 0..d {
        let full = (shape[2 + i].max(1) - 1).checked_mul(stride[i]).and_then(|v| v.checked_add(kernel[i]));
        let size = full.and_then(|v| v.checked_sub(pads[i])).and_then(|v| v.checked_sub(pads[d + i]));
        to.push(size.filter(|s| (1..1 << 31).contains(s)).ok_or_else(wrong)?);
    }
    want_size(&Shape::fixed(&to))?;
    let (count, places) = (to.iter().product::<usize>(), shape.iter().product::<usize>());
    let g = o.g();
    let (line, at) = (g.reshape(x, &Shape::fixed(&[places]))?, g.reshape(at, &Shape::fixed(&[places]))?);
    let y = g.scatter_add(line, 0, count, at)?;
    let mut y = g.reshape(y, &Shape::fixed(&to))?;
    if let Some(wanted) = wanted {
        // Zeros behind the last elements.
        let more = |(&w, &t): (&i64, &usize)| usize::try_from(w).ok().and_then(|w| w.checked_sub(t)).map(|m| (0, m));
        let pads: Option<Vec<_>> = wanted.iter().zip(&to).map(more).collect();
        let pads = pads.filter(|p| p.len() == to.len()).ok_or_else(wrong)?;
        y = g.add_one(Pad { mode: PadMode::Constant, value: 0.0, pads }, &[y])?;
    }
    o.set(0, y)
}

/// Columns added into the windows that they came from.
fn col2im(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let sizes = |v: Vec<i64>| -> Result<Vec<usize>, Rule> {
        let one = |&x: &i64| usize::try_from(x).ok().filter(|x| (1..1 << 31).contains(x));
        v.iter().map(one).collect::<Option<_>>().ok_or_else(|| Rule::new(format!("extents {v:?}")).right("at least 1"))
    };
    let (image, block) = (sizes(o.known_ints(1)?)?, sizes(o.known_ints(2)?)?);
    let x = o.x(0)?;
    let window = window(o, &image, block)?.resolve(&image)?;
    let y = o.g().add_one(Fold { window }, &[x])?;
    o.set(0, y)
}
