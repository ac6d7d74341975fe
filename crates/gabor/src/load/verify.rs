//! Two models on the same random inputs: how far their outputs are apart.

use crate::{Error, Model, Result};
use gabor_tensor::rng::op::USER;
use gabor_tensor::{DType, Data, Rule, Stream, Tensor};

/// How far an output of one model is from another's.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The output.
    pub output: String,
    /// Largest difference of two numbers; infinite for other shapes.
    pub absolute: f64,
    /// The same, relative to the largest number of the first model's output.
    pub relative: f64,
}

/// Runs both models on normal random inputs, a batch of two for each of `seeds` seeds, and compares output by output: by name
/// where both have the name, else in their order.
///
/// # Errors
/// Models whose inputs or outputs differ in number, or inputs that cannot be drawn.
pub fn compare(a: &Model, b: &Model, seeds: u64) -> Result<Vec<Difference>> {
    let inputs = |m: &Model| -> Vec<_> { m.graph().inputs().map(|v| (m.graph().value(v).name.clone(), v)).collect() };
    let (ours, theirs) = (inputs(a), inputs(b));
    if ours.len() != theirs.len() {
        let rule = Rule::new(format!("{} inputs on one side, {} on the other", ours.len(), theirs.len()));
        return Err(Error::new("verification", rule));
    }
    let mut worst: Vec<Difference> = Vec::new();
    for seed in 0..seeds {
        let mut drawn = Vec::new();
        for (i, (_, v)) in ours.iter().enumerate() {
            let (shape, dtype) = (a.graph().shape(*v).at(2), a.graph().ty(*v).dtype);
            drawn.push(random(&shape, dtype, seed, i as u32));
        }
        let pair = |names: &[(String, gabor_graph::ValueId)]| -> Vec<(String, Tensor)> {
            names.iter().zip(&drawn).map(|((n, _), t)| (n.clone(), t.clone())).collect()
        };
        let run = |m: &Model, given: &[(String, Tensor)]| {
            m.run(&given.iter().map(|(n, t)| (n.as_str(), t)).collect::<Vec<_>>())
        };
        let (x, y) = (run(a, &pair(&ours))?, run(b, &pair(&theirs))?);
        if x.len() != y.len() {
            let rule = Rule::new(format!("{} outputs on one side, {} on the other", x.len(), y.len()));
            return Err(Error::new("verification", rule));
        }
        for (i, (name, p)) in x.iter().enumerate() {
            let q = y.iter().find(|o| o.0 == *name).map_or(&y[i].1, |o| &o.1);
            let found = difference(name, p, q);
            match worst.get_mut(i) {
                // NaN is the worst of all.
                Some(w) if w.relative >= found.relative || w.relative.is_nan() => {}
                Some(w) => *w = found,
                None => worst.push(found),
            }
        }
    }
    Ok(worst)
}

fn random(shape: &[usize], dtype: DType, seed: u64, input: u32) -> Tensor {
    let mut s = Stream::new(seed, 0, input, USER);
    let mut t = Tensor::zeros(shape, dtype);
    match t.data_mut() {
        Data::F32(v) => v.iter_mut().for_each(|v| *v = s.normal() as f32),
        Data::F64(v) => v.iter_mut().for_each(|v| *v = s.normal()),
        // Small indices are valid for most tables.
        Data::I32(v) => v.iter_mut().for_each(|v| *v = s.below(8) as i32),
        Data::U8(v) => v.iter_mut().for_each(|v| *v = s.next_u32() as u8),
    }
    t
}

fn difference(name: &str, a: &Tensor, b: &Tensor) -> Difference {
    let same = a.shape() == b.shape();
    let (x, y) = (a.to_f64(), b.to_f64());
    let size = x.iter().fold(0f64, |m, v| m.max(v.abs()));
    let far = |m: f64, d: f64| if d.is_nan() || m.is_nan() { f64::NAN } else { m.max(d) };
    // Equal infinities do not differ.
    let apart = |(p, q): (&f64, &f64)| if p == q { 0.0 } else { (p - q).abs() };
    let absolute = if same { x.iter().zip(&y).map(apart).fold(0.0, far) } else { f64::INFINITY };
    let relative = if absolute == 0.0 { 0.0 } else { absolute / size.max(f64::MIN_POSITIVE) };
    Difference { output: name.into(), absolute, relative }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences() {
        let t = |v: &[f32]| Tensor::f32(&[v.len()], v.to_vec()).unwrap();
        let d = difference("y", &t(&[1.0, -4.0]), &t(&[1.0, -3.0]));
        assert_eq!((d.absolute, d.relative), (1.0, 0.25));
        let inf = f32::INFINITY;
        assert_eq!(difference("y", &t(&[inf]), &t(&[inf])).relative, 0.0);
        assert!(difference("y", &t(&[1.0]), &t(&[f32::NAN])).relative.is_nan());
        assert_eq!(difference("y", &t(&[1.0]), &t(&[1.0, 2.0])).absolute, f64::INFINITY);
    }
}
