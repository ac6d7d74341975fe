//! The numbers of a `.weights` file: a header, then 32-bit floats in the order of the layers.

use crate::error::element_count;
use crate::{Error, Result};
use gabor_tensor::{Rule, Tensor};

/// What Darknet's inference adds to the standard deviation: `(x - mean) / (√var + 10⁻⁶)`.
const OUTSIDE: f64 = 1e-6;
/// The `eps` of our batch normalisation that says the same: `√(var' + eps)` with `var' = var + 2·10⁻⁶·√var` is exactly
/// `√var + 10⁻⁶`, and `var'` is never negative. What is left is one rounding of `var'` to 32 bits.
pub(super) const EPS: f64 = OUTSIDE * OUTSIDE;

/// A running variance as our graph wants it, with [`EPS`].
fn variance_in(var: f32) -> f32 {
    let var = f64::from(var);
    (var + 2.0 * OUTSIDE * var.sqrt()) as f32
}

/// A running variance as Darknet wants it, so that `√var' + 10⁻⁶` is `√(var + eps)`.
pub(super) fn variance_out(var: f32, eps: f64) -> Option<f32> {
    let root = (f64::from(var) + eps).sqrt() - OUTSIDE;
    (root >= 0.0).then_some((root * root) as f32)
}

/// The rest of a `.weights` file.
pub(super) struct Numbers<'a> {
    rest: &'a [u8],
    /// Whether matrices of connected layers are stored `[inputs, outputs]`.
    pub(super) transposed: bool,
    /// How many images the network was trained on.
    pub(super) seen: u64,
}

/// Three 32-bit numbers of a version, then 64 bits (32 before version 0.2) that count the images seen in training.
pub(super) fn open(bytes: &[u8]) -> Result<Numbers<'_>> {
    let short = || {
        let rule = Rule::new(format!("{} bytes, less than the header has", bytes.len()));
        Error::new("weights", rule.right("a .weights file of Darknet"))
    };
    let (version, rest) = bytes.split_first_chunk::<12>().ok_or_else(short)?;
    let word = |i: usize| i64::from(i32::from_le_bytes([version[i], version[i + 1], version[i + 2], version[i + 3]]));
    let (major, minor) = (word(0), word(4));
    if !(0..1 << 20).contains(&major) || !(0..1 << 20).contains(&minor) {
        let rule = Rule::new(format!("version {major}.{minor}: it is damaged or no .weights file"));
        return Err(Error::new("weights", rule));
    }
    let (seen, rest) = if major * 10 + minor >= 2 && major < 1000 && minor < 1000 {
        let (seen, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        (u64::from_le_bytes(*seen), rest)
    } else {
        let (seen, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        (u64::from(u32::from_le_bytes(*seen)), rest)
    };
    Ok(Numbers { rest, transposed: major > 1000 || minor > 1000, seen })
}

impl Numbers<'_> {
    /// The next tensor of this shape.
    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let fail = |rule| Error::new(format!("weights: {name}"), rule);
        let bytes = element_count(shape, 4).map_err(fail)? * 4;
        let left = self.rest.len();
        let (mine, rest) = self.rest.split_at_checked(bytes).ok_or_else(|| {
            let rule =
                Rule::new(format!("{} numbers for shape {shape:?}, and the file ends after {}", bytes / 4, left / 4));
            fail(rule.right("the .weights file of this .cfg"))
        })?;
        self.rest = rest;
        let v = mine.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        Tensor::f32(shape, v).map_err(fail)
    }
    /// The next running variance, as our graph wants it.
    pub(super) fn variance(&mut self, name: &str, n: usize) -> Result<Tensor> {
        let v = self.take(name, &[n])?;
        let v: Vec<f32> = v.to_f64().into_iter().map(|x| x as f32).collect();
        if let Some(bad) = v.iter().find(|x| **x < 0.0 || x.is_nan()) {
            let rule = Rule::new(format!("a variance of {bad}")).right("the .weights file of this .cfg");
            return Err(Error::new(format!("weights: {name}"), rule));
        }
        Tensor::f32(&[n], v.into_iter().map(variance_in).collect()).map_err(|r| Error::new(name, r))
    }
    /// The next matrix of a connected layer, `[outputs, inputs]`.
    pub(super) fn matrix(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<Tensor> {
        if !self.transposed {
            return self.take(name, &[outputs, inputs]);
        }
        let t = self.take(name, &[inputs, outputs])?;
        let turned = t.as_f32().map(|v| {
            let at = |o: usize| (0..inputs).map(move |i| v[i * outputs + o]);
            (0..outputs).flat_map(at).collect::<Vec<f32>>()
        });
        let tensor = turned.and_then(|v| Tensor::f32(&[outputs, inputs], v));
        tensor.map_err(|r| Error::new(format!("weights: {name}"), r))
    }
    /// An error if numbers are left.
    pub(super) fn end(&self) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            n => {
                let rule = Rule::new(format!("{n} bytes are left after the last layer"));
                Err(Error::new("weights", rule.right("the .weights file of this .cfg")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variances_say_the_same() {
        for var in [0.0f32, 1e-12, 1e-7, 0.3, 1.0, 1e4] {
            let ours = (f64::from(variance_in(var)) + EPS).sqrt();
            let theirs = f64::from(var).sqrt() + OUTSIDE;
            assert!((ours / theirs - 1.0).abs() < 1e-7, "{var}: {ours} {theirs}");
            let back = variance_out(variance_in(var), EPS).unwrap();
            assert!((back - var).abs() <= var * 1e-6, "{var} {back}");
        }
        assert_eq!(variance_out(0.0, 1e-13), None);
    }
}
