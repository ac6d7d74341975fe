//! The principal components of a data set's colours.

use super::{Augmentation, Operation};
use crate::{Color, Dataset, Error, Preprocessing, Scratch};
use gabor_tensor::{Rule, symmetric_eigen};

/// Images that are looked at.
const SAMPLES: usize = 4096;

impl Augmentation {
    /// The same with the components of `pca_noise`, where it lacks them: of the colours of at most 4096 training images,
    /// evenly spaced, values in [0, 1]. Errors: an image that cannot be decoded.
    pub fn with_components_of(mut self, dataset: &dyn Dataset, preprocessing: &Preprocessing) -> Result<Self, Error> {
        let lacks = |op: &Operation| matches!(op, Operation::PcaNoise { values, .. } if values.is_empty());
        if !self.operations.iter().any(|s| lacks(&s.operation)) {
            return Ok(self);
        }
        let (found, components) = components(dataset, preprocessing)?;
        for step in &mut self.operations {
            if let Operation::PcaNoise { values, vectors, .. } = &mut step.operation
                && values.is_empty()
            {
                (*values, *vectors) = (found.clone(), components.clone());
            }
        }
        Ok(self)
    }
}

/// Variances along the components, largest first, and the components as red, green and blue.
fn components(dataset: &dyn Dataset, preprocessing: &Preprocessing) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let count = SAMPLES.min(dataset.len());
    if count == 0 {
        return Err(super::fail(Rule::new("the principal components of no images").right("at least one image")));
    }
    let c = preprocessing.color.channels();
    let (mut pixels, mut sums, mut products) = (0u64, vec![0u64; c], vec![0u128; c * c]);
    let mut scratch = Scratch::default();
    for k in 0..count {
        let image = dataset.image((k as u128 * dataset.len() as u128 / count as u128) as usize)?;
        let prepared = preprocessing.prepare(&image, &mut scratch)?;
        // Sums of whole numbers: no order changes them.
        let (mut sum, mut product) = ([0u64; 3], [0u64; 9]);
        for p in prepared.data().chunks_exact(c) {
            for i in 0..c {
                sum[i] += u64::from(p[i]);
                for j in 0..c {
                    product[i * c + j] += u64::from(p[i]) * u64::from(p[j]);
                }
            }
        }
        pixels += (prepared.height() * prepared.width()) as u64;
        sums.iter_mut().zip(sum).for_each(|(s, v)| *s += v);
        products.iter_mut().zip(product).for_each(|(s, v)| *s += u128::from(v));
        scratch.give_back(prepared);
    }
    let (n, unit) = (pixels as f64, 255.0 * 255.0);
    // Red comes first, wherever the model wants it.
    let place = |i: usize| if preprocessing.color == Color::Bgr { c - 1 - i } else { i };
    let covariance: Vec<f64> = (0..c * c)
        .map(|k| (place(k / c), place(k % c)))
        .map(|(i, j)| (products[i * c + j] as f64 / n - sums[i] as f64 / n * (sums[j] as f64 / n)) / unit)
        .collect();
    // Six digits are plenty for noise, and can be read.
    let short = |v: f64| (v * 1e6).round() / 1e6 + 0.0;
    let pairs = symmetric_eigen(&covariance, c);
    let values = pairs.iter().map(|p| short(p.0.max(0.0))).collect();
    Ok((values, pairs.iter().flat_map(|p| p.1.iter().map(|&v| short(v))).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDataset;

    #[test]
    fn components_are_those_of_the_colours() {
        // Half of the pixels are lighter in red and green together, a quarter is lighter in blue: two known directions.
        let mut data = Vec::new();
        for i in 0..64u8 {
            let (a, b) = (100 * (i % 2), 60 * (i / 2 % 2));
            data.extend([50 + a, 40 + a, 10 + b]);
        }
        let set = MemoryDataset::new("c", 8, 8, Color::Rgb, data, vec![0], vec!["x".into()]).unwrap();
        let mut p = Preprocessing::exact([3, 8, 8]).unwrap();
        let alexnet: Augmentation = "mirror,pca_noise:0.1".parse().unwrap();
        let got = alexnet.clone().with_components_of(&set, &p).unwrap();
        let Operation::PcaNoise { values, vectors, .. } = &got.operations[1].operation else { panic!() };
        let near = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-6);
        // Variances of 0 and 100, and of 0 and 60, in parts of 255; red and green count twice.
        let unit = 255.0 * 255.0;
        assert!(near(values, &[2.0 * 2500.0 / unit, 900.0 / unit, 0.0]), "{values:?}");
        let half = 0.5f64.sqrt();
        assert!(near(&vectors[..6], &[half, half, 0.0, 0.0, 0.0, 1.0]), "{vectors:?}");
        assert_eq!(got.to_string().parse(), Ok(got.clone()));
        // Computed once: a resolved pipeline stays. Blue first in the picture changes nothing in the components.
        assert_eq!(got.clone().with_components_of(&set, &p).unwrap(), got);
        p.color = Color::Bgr;
        assert_eq!(alexnet.with_components_of(&set, &p).unwrap(), got);
    }
}
