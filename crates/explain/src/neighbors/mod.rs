//! Pictures that a network finds alike: features, exact search among them, how well neighbours share a class, and maps of
//! them in two dimensions.
//!
//! A feature is a vector per picture; pictures are near where their vectors are ([`Metric`]). All searches are exact: every
//! distance is computed, as one matrix product through the backend.

mod extract;
mod map;
mod pca;
mod retrieval;
mod search;
mod trust;
mod tsne;

pub use extract::Extractor;
pub use map::{MapMethod, MapOptions, map};
pub use pca::{Components, principal};
pub use retrieval::{ClassRetrieval, Retrieval, Vote, retrieval, vote};
pub use search::{Near, Search};
pub use trust::{agreement, trustworthiness};

use crate::{Error, Result};
use gabor_tensor::Rule;

/// How far two features are from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metric {
    /// 1 − cos of the angle between them: lengths do not count. A feature of length 0 is at distance 1 from all.
    #[default]
    Cosine,
    /// The length of their difference, as in AlexNet's figure 4.
    Euclidean,
}

impl Metric {
    /// Names and values.
    pub const ALL: [(&'static str, Metric); 2] = [("cosine", Metric::Cosine), ("euclidean", Metric::Euclidean)];
    /// The name.
    pub fn name(self) -> &'static str {
        Metric::ALL.iter().find(|m| m.1 == self).map_or("", |m| m.0)
    }
    /// The distance of two features, in 64 bits.
    pub fn distance(self, a: &[f32], b: &[f32]) -> f64 {
        let pairs = || a.iter().zip(b).map(|(&x, &y)| (f64::from(x), f64::from(y)));
        match self {
            Metric::Euclidean => pairs().map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt(),
            Metric::Cosine => {
                let (dot, xx, yy) =
                    pairs().fold((0.0, 0.0, 0.0), |(d, s, t), (x, y)| (d + x * y, s + x * x, t + y * y));
                if xx > 0.0 && yy > 0.0 { (1.0 - dot / (xx.sqrt() * yy.sqrt())).max(0.0) } else { 1.0 }
            }
        }
    }
}

/// Features of pictures: `count` rows of `width` numbers.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    values: &'a [f32],
    width: usize,
}

impl<'a> Features<'a> {
    /// Features row by row.
    ///
    /// # Errors
    /// A number of values that is no multiple of the width, a width of zero, a value that is not finite.
    pub fn new(values: &'a [f32], width: usize) -> Result<Self> {
        if width == 0 || !values.len().is_multiple_of(width) {
            let rule = Rule::new(format!("{} values in rows of {width}", values.len()));
            return Err(Error::new("features", rule.right("whole rows of at least one value")));
        }
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            let rule = Rule::new(format!("value {} of picture {} is {}", i % width, i / width, values[i]));
            return Err(Error::new("features", rule.right("finite numbers")));
        }
        Ok(Features { values, width })
    }
    /// Number of pictures.
    pub fn count(&self) -> usize {
        self.values.len() / self.width
    }
    /// Numbers a picture.
    pub fn width(&self) -> usize {
        self.width
    }
    /// All numbers, row by row.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }
    /// The feature of a picture.
    ///
    /// # Panics
    /// If there is no such picture.
    pub fn row(&self, i: usize) -> &'a [f32] {
        &self.values[i * self.width..][..self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        let (a, b) = ([3.0, 4.0], [0.0, 0.0]);
        assert_eq!(Metric::Euclidean.distance(&a, &b), 5.0);
        assert_eq!(Metric::Cosine.distance(&a, &b), 1.0);
        assert!((Metric::Cosine.distance(&a, &[4.0, 3.0]) - 0.04).abs() < 1e-12);
        assert_eq!(Metric::Cosine.distance(&a, &[6.0, 8.0]), 0.0);
        let e = Features::new(&[1.0, f32::NAN, 2.0, 3.0], 2).unwrap_err().to_string();
        assert_eq!(e, "features: value 1 of picture 0 is NaN; right would be: finite numbers");
        assert!(Features::new(&[1.0; 3], 2).is_err() && Features::new(&[], 0).is_err());
    }
}
