//! Tensors that are read when somebody needs them.

use crate::{Rule, Tensor};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

/// Floats that lie elsewhere, in a file say; several threads may read them at once.
pub trait Floats: Send + Sync {
    /// Reads as many as `to` holds, from number `from` on.
    ///
    /// # Errors
    /// What keeps them from being read.
    fn read(&self, from: usize, to: &mut [f32]) -> Result<(), Rule>;
    /// Reads the first `len`, which are all.
    ///
    /// # Errors
    /// The same.
    fn all(&self, len: usize) -> Result<Vec<f32>, Rule> {
        let mut all = vec![0.0; len];
        self.read(0, &mut all).map(|()| all)
    }
}

/// A tensor of 32-bit floats whose elements lie elsewhere until somebody reads them, all or a part.
#[derive(Clone)]
pub struct Unread {
    shape: Vec<usize>,
    floats: Arc<dyn Floats>,
}

impl Unread {
    /// A tensor of extents `shape`, of as many floats, row-major.
    pub fn new(shape: &[usize], floats: Arc<dyn Floats>) -> Self {
        Unread { shape: shape.to_vec(), floats }
    }
    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().copied().fold(1, usize::saturating_mul)
    }
    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Reads elements, from number `from` on.
    ///
    /// # Errors
    /// Elements beyond its end, and what keeps them from being read.
    pub fn read(&self, from: usize, to: &mut [f32]) -> Result<(), Rule> {
        if from.checked_add(to.len()).is_none_or(|end| end > self.len()) {
            let rule = format!("{} elements from number {from} on", to.len());
            return Err(Rule::new(rule).right(format!("at most {}", self.len())));
        }
        self.floats.read(from, to)
    }
    /// Reads all elements.
    ///
    /// # Errors
    /// What keeps them from being read.
    pub fn all(&self) -> Result<Vec<f32>, Rule> {
        self.floats.all(self.len())
    }
    /// The tensor with its elements.
    ///
    /// # Errors
    /// As [`all`](Unread::all).
    pub fn tensor(&self) -> Result<Tensor, Rule> {
        Tensor::f32(&self.shape, self.all()?)
    }
}

impl Debug for Unread {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "unread f32{:?}", self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Count;

    impl Floats for Count {
        fn read(&self, from: usize, to: &mut [f32]) -> Result<(), Rule> {
            to.iter_mut().enumerate().for_each(|(i, v)| *v = (from + i) as f32);
            Ok(())
        }
    }

    #[test]
    fn parts_and_all() {
        let unread = Unread::new(&[2, 3], Arc::new(Count));
        let mut part = [0.0; 2];
        unread.read(3, &mut part).unwrap();
        assert_eq!(part, [3.0, 4.0]);
        assert_eq!(unread.tensor().unwrap(), Tensor::f32(&[2, 3], (0..6u8).map(f32::from).collect()).unwrap());
        for from in [5, usize::MAX] {
            let e = unread.read(from, &mut part).unwrap_err().to_string();
            assert!(e.contains("at most 6"), "{e}");
        }
    }
}
