//! Shapes whose batch size is a symbol until compilation.

use crate::Rule;
use std::fmt;

/// One extent of a shape: a number, or a multiple of the batch size `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A known extent.
    Fixed(usize),
    /// `k · n`, with `n` the batch size.
    Batch(usize),
}

impl Dim {
    /// The extent at batch size `n`.
    pub fn at(self, n: usize) -> usize {
        match self {
            Dim::Fixed(v) => v,
            Dim::Batch(k) => k * n,
        }
    }
    /// The known extent, if it is one.
    pub fn fixed(self) -> Option<usize> {
        match self {
            Dim::Fixed(v) => Some(v),
            Dim::Batch(_) => None,
        }
    }
}

impl From<usize> for Dim {
    fn from(v: usize) -> Self {
        Dim::Fixed(v)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Fixed(v) => write!(f, "{v}"),
            Dim::Batch(1) => f.write_str("n"),
            Dim::Batch(k) => write!(f, "{k}n"),
        }
    }
}

/// The extents of a value in a graph, outermost first. Images are `[n, c, h, w]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Shape(pub Vec<Dim>);

impl Shape {
    /// A shape without batch dimension.
    pub fn fixed(dims: &[usize]) -> Self {
        Shape(dims.iter().map(|&d| Dim::Fixed(d)).collect())
    }
    /// `[n, dims…]`: a batch of values of extents `dims`.
    pub fn batch(dims: &[usize]) -> Self {
        Shape(std::iter::once(Dim::Batch(1)).chain(dims.iter().map(|&d| Dim::Fixed(d))).collect())
    }
    /// The shape of a single number.
    pub fn scalar() -> Self {
        Shape(Vec::new())
    }
    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }
    /// The extents.
    pub fn dims(&self) -> &[Dim] {
        &self.0
    }
    /// The extents at batch size `n`.
    pub fn at(&self, n: usize) -> Vec<usize> {
        self.0.iter().map(|d| d.at(n)).collect()
    }
    /// Number of elements at batch size `n`.
    pub fn len_at(&self, n: usize) -> usize {
        self.0.iter().map(|d| d.at(n)).product()
    }
    /// The extents if none depends on the batch size.
    pub fn known(&self) -> Option<Vec<usize>> {
        self.0.iter().map(|d| d.fixed()).collect()
    }
    /// Whether some extent is a multiple of the batch size.
    pub fn is_batched(&self) -> bool {
        self.0.iter().any(|d| matches!(d, Dim::Batch(_)))
    }
    /// Checks that a tensor of this shape at batch size `n` has at most 2⁴⁰ elements, so that no product of extents and
    /// sizes of elements overflows.
    ///
    /// # Errors
    /// More elements, or an extent above that number.
    pub fn check_len_at(&self, n: usize) -> Result<(), Rule> {
        const MOST: usize = 1 << if usize::BITS > 40 { 40 } else { 28 };
        let fits = |v: &usize| *v <= MOST;
        let len = self.0.iter().try_fold(1usize, |len, d| {
            let (extent, times) = match *d {
                Dim::Fixed(v) => (v, 1),
                Dim::Batch(k) => (k, n),
            };
            // An extent of 0 does not excuse the others: strides are their products.
            let extent = extent.checked_mul(times).filter(fits)?;
            len.checked_mul(extent.max(1)).filter(fits)
        });
        let at = if self.is_batched() { format!(" at n = {n}") } else { String::new() };
        let rule = || Rule::new(format!("a tensor of shape {self}{at} is too large"));
        len.map(|_| ()).ok_or_else(|| rule().right(format!("at most {MOST} elements")))
    }
    /// `(k, e)` such that the number of elements is `k · nᵉ`.
    pub fn count(&self) -> (usize, u32) {
        self.0.iter().fold((1, 0), |(k, e), d| match d {
            Dim::Fixed(v) => (k.saturating_mul(*v), e),
            Dim::Batch(b) => (k.saturating_mul(*b), e + 1),
        })
    }
    /// NumPy's broadcasting of two shapes, aligned at the right; `None` where they do not fit.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let r = self.rank().max(other.rank());
        let get = |s: &Shape, i: usize| {
            if i + s.rank() < r { Dim::Fixed(1) } else { s.0[i + s.rank() - r] }
        };
        (0..r)
            .map(|i| match (get(self, i), get(other, i)) {
                (a, b) if a == b => Some(a),
                (Dim::Fixed(1), b) => Some(b),
                (a, Dim::Fixed(1)) => Some(a),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(Shape)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{d}")?;
        }
        f.write_str("]")
    }
}

/// Row-major strides, in elements.
pub fn strides_of(shape: &[usize]) -> Vec<usize> {
    let mut s = vec![1; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        s[i] = s[i + 1] * shape[i + 1];
    }
    s
}
