//! What a workload is given and what it should answer, as `gabor bench --answers` wrote it.

use crate::{Arguments, Result};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;

/// Floats with their extents.
pub struct Array {
    /// Extents.
    pub shape: Vec<usize>,
    /// The numbers, the last extent running fastest.
    pub data: Vec<f32>,
}

impl Array {
    /// The extents, of which there are `N`.
    ///
    /// # Errors
    /// If there are more or fewer.
    pub fn extents<const N: usize>(&self) -> Result<[usize; N]> {
        self.shape.as_slice().try_into().map_err(|_| format!("{:?}: right would be: {N} extents", self.shape).into())
    }
}

/// Weights, inputs and answers of a workload.
pub struct Given {
    weights: BTreeMap<String, Array>,
    data: BTreeMap<String, Array>,
    labels: Vec<i32>,
}

/// An answer may be off by this part of the largest: sums in another order, in 32 bits.
const TOLERANCE: f64 = 1e-3;

impl Given {
    /// What the workload is given.
    ///
    /// # Errors
    /// Files that are not there or are damaged.
    pub fn read(a: &Arguments) -> Result<Given> {
        let name = format!("{}/{}", a.folder, a.workload.replace('/', "."));
        let (weights, _) = tensors(&format!("{name}.weights.safetensors"))?;
        let (data, labels) = tensors(&format!("{name}.data.safetensors"))?;
        Ok(Given { weights, data, labels })
    }
    /// A weight by its name.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn weight(&self, name: &str) -> Result<&Array> {
        self.weights.get(name).ok_or_else(|| format!("no weight {name}").into())
    }
    /// The pictures.
    ///
    /// # Errors
    /// If there are none.
    pub fn images(&self) -> Result<&Array> {
        self.data.get("images").ok_or_else(|| "no image".into())
    }
    /// The class of each picture.
    pub fn labels(&self) -> &[i32] {
        &self.labels
    }
    /// The scores that a prediction should give; how far these are from them.
    ///
    /// # Errors
    /// Scores that are further away than rounding explains.
    pub fn check_scores(&self, scores: &[f32]) -> Result<f64> {
        let wanted = self.data.get("logits").ok_or("no logits")?;
        near("scores", scores, &wanted.data, 0.0)
    }
    /// How many steps of training [`check_losses`](Self::check_losses) wants to see.
    pub fn steps(&self) -> usize {
        self.data.get("losses").map_or(0, |l| l.data.len())
    }
    /// The losses of the first steps that a training should give; how far these are from them. Looked at are also the
    /// changes from the first loss on, because it is they that tell whether gradients and update are right.
    ///
    /// # Errors
    /// Losses that are further away than rounding explains.
    pub fn check_losses(&self, losses: &[f32]) -> Result<f64> {
        let wanted = &self.data.get("losses").ok_or("no losses")?.data;
        let level = near("losses", losses, wanted, 0.0)?;
        let (from, to) = (losses[0], wanted[0]);
        let changes = |l: &[f32], first: f32| l.iter().map(|v| v - first).collect::<Vec<_>>();
        // What is left of the digits of a loss after most of it is subtracted.
        let rounding = f64::from(to.abs() * f32::EPSILON * 8.0);
        let change = near("changes of the loss", &changes(losses, from), &changes(wanted, to), rounding)?;
        Ok(level.max(change))
    }
}

/// The largest difference as a part of the largest number that is wanted. Differences below `free` do not count.
fn near(what: &str, got: &[f32], wanted: &[f32], free: f64) -> Result<f64> {
    if got.len() != wanted.len() {
        return Err(format!("{} {what}; right would be: {}", got.len(), wanted.len()).into());
    }
    let largest = wanted.iter().fold(0.0, |m: f64, v| m.max(f64::from(v.abs())));
    let differences = got.iter().zip(wanted).map(|(a, b)| f64::from((a - b).abs()));
    // Infinite, lest a difference that is no number get lost in a maximum.
    let worst = differences.map(|d| if d.is_finite() { d } else { f64::INFINITY }).fold(0.0, f64::max);
    let part = (worst - free).max(0.0) / largest;
    if part <= TOLERANCE {
        return Ok(part);
    }
    let some = |v: &[f32]| v.iter().take(5).map(f32::to_string).collect::<Vec<_>>().join(", ");
    Err(format!("the {what} differ by {part:.2e} of the largest: {} … where ours are {} …", some(got), some(wanted))
        .into())
}

type Tensors = (BTreeMap<String, Array>, Vec<i32>);

/// All floats of a file by their names, and its labels.
fn tensors(path: &str) -> Result<Tensors> {
    let bytes = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
    let mut floats = BTreeMap::new();
    let mut labels = Vec::new();
    for (name, view) in SafeTensors::deserialize(&bytes)?.tensors() {
        let words = view.data().as_chunks::<4>().0.iter();
        match view.dtype() {
            Dtype::F32 => {
                let data = words.map(|&b| f32::from_le_bytes(b)).collect();
                floats.insert(name, Array { shape: view.shape().to_vec(), data });
            }
            Dtype::I32 if name == "labels" => labels = words.map(|&b| i32::from_le_bytes(b)).collect(),
            other => return Err(format!("{path}: {name} is {other:?}").into()),
        }
    }
    Ok((floats, labels))
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn what_differs_is_no_proof() {
        assert_eq!(near("scores", &[1.0, -2.0], &[1.0, -2.0], 0.0).unwrap(), 0.0);
        assert!(near("scores", &[1.0, -2.0], &[1.0, -2.001], 0.0).unwrap() > 0.0);
        assert!(near("scores", &[1.0, -2.0], &[1.0, -2.01], 0.0).is_err());
        assert!(near("scores", &[f32::NAN, -2.0], &[1.0, -2.0], 0.0).is_err());
        assert!(near("scores", &[1.0, f32::NAN, 0.0], &[1.0, -2.0, 0.0], 0.0).is_err());
        assert!(near("scores", &[f32::INFINITY], &[1.0], 0.0).is_err());
        assert!(near("scores", &[1.0], &[1.0, -2.0], 0.0).is_err());
    }
}
