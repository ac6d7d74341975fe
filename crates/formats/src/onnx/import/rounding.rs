//! What several operators are made of: rounding, choosing, counting along an axis.

use gabor_graph::{Graph, Result, ValueId};
use gabor_tensor::{DType, Rule, Tensor, Unary};

/// Floats of this size and more are whole numbers.
const WHOLE: f64 = 8_388_608.0;

/// 1 − x: the opposite of a truth.
pub(super) fn complement(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    let one = g.number(1.0);
    g.sub(one, x)
}

/// a where the truth c is 1, else b. Selecting instead of multiplying keeps what is not chosen out, infinities too.
pub(super) fn choose(g: &mut Graph, c: ValueId, a: ValueId, b: ValueId) -> Result<ValueId> {
    let rest = complement(g, c)?;
    let a = g.gate(a, c)?;
    let b = g.gate(b, rest)?;
    g.add(a, b)
}

/// x as floats.
pub(super) fn float(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    if g.ty(x).dtype == DType::F32 { Ok(x) } else { g.cast(x, DType::F32) }
}

/// Rounds towards zero; the gradient is 0 as that of all steps.
fn truncate_small(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    let whole = g.cast(x, DType::I32)?;
    g.cast(whole, DType::F32)
}

/// `f` of numbers that may have a fraction, and the numbers themselves where they cannot.
fn below_whole(
    g: &mut Graph,
    x: ValueId,
    f: impl Fn(&mut Graph, ValueId, ValueId) -> Result<ValueId>,
) -> Result<ValueId> {
    let size = g.unary(Unary::Abs, x)?;
    let limit = g.number(WHOLE);
    let small = g.greater(limit, size)?;
    let inner = g.gate(x, small)?;
    let whole = truncate_small(g, inner)?;
    let y = f(g, inner, whole)?;
    choose(g, small, y, x)
}

/// The whole part, towards zero.
pub(super) fn truncate(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    below_whole(g, x, |_, _, whole| Ok(whole))
}

/// The largest whole number that is not larger.
pub(super) fn floor(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    below_whole(g, x, |g, x, whole| {
        let over = g.greater(whole, x)?;
        g.sub(whole, over)
    })
}

/// The smallest whole number that is not smaller.
pub(super) fn ceil(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    below_whole(g, x, |g, x, whole| {
        let under = g.greater(x, whole)?;
        g.add(whole, under)
    })
}

/// The nearest whole number, ties to even.
pub(super) fn round(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    below_whole(g, x, |g, x, whole| {
        let part = g.sub(x, whole)?;
        let size = g.unary(Unary::Abs, part)?;
        let half = g.number(0.5);
        let more = g.greater(size, half)?;
        let tie = g.equal(size, half)?;
        let halved = g.scale(whole, 0.5)?;
        let even = truncate_small(g, halved)?;
        let odd = g.equal(halved, even)?;
        let odd = complement(g, odd)?;
        let up = g.mul(tie, odd)?;
        let up = g.add(more, up)?;
        let sign = g.unary(Unary::Sign, part)?;
        let step = g.mul(up, sign)?;
        g.add(whole, step)
    })
}

/// `0, 1, …` along one axis of `rank`, extents of 1 along the others.
pub(super) fn counted(g: &mut Graph, rank: usize, axis: usize, count: usize) -> Result<ValueId> {
    if count > 1 << 22 {
        return Err(g.error_here("counted", Rule::new(format!("an axis of {count} elements to be numbered")), &[]));
    }
    let mut shape = vec![1; rank];
    shape[axis] = count;
    let numbers = Tensor::f32(&shape, (0..count).map(|i| i as f32).collect());
    Ok(g.constant(numbers.unwrap_or_else(|_| Tensor::scalar(0.0))))
}
