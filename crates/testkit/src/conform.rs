//! Comparison of a backend with the reference.

use crate::{Bindings, fill, problems, reference};
use gabor_cpu::reference::Precision;
use gabor_graph::Problem;
use gabor_tensor::{DType, Tensor};

/// How far a result may be from the reference: `|a - b| ≤ relative · max|b| + absolute`, the maximum over the tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Factor of the largest right element.
    pub relative: f64,
    /// For tensors of small numbers.
    pub absolute: f64,
}

/// What is allowed of results of an element type against the reference in 64 bits; integers are exact.
pub fn tolerance(dtype: DType) -> Tolerance {
    match dtype {
        DType::F32 => Tolerance { relative: 1e-5, absolute: 1e-6 },
        DType::F64 => Tolerance { relative: 1e-12, absolute: 1e-13 },
        DType::I32 | DType::U8 => Tolerance { relative: 0.0, absolute: 0.0 },
    }
}

/// Says where two tensors differ by more than the tolerance of `got`'s type, or have other shapes; `None` if nowhere.
/// Infinities must be equal, and a NaN must stand where a NaN is wanted.
pub fn difference(got: &Tensor, want: &Tensor) -> Option<String> {
    if got.shape() != want.shape() {
        return Some(format!("shape {:?}, wanted {:?}", got.shape(), want.shape()));
    }
    if got.dtype().is_float() != want.dtype().is_float() {
        return Some(format!("elements of {}, wanted {}", got.dtype(), want.dtype()));
    }
    let t = tolerance(got.dtype());
    let (a, b) = (got.to_f64(), want.to_f64());
    let largest = b.iter().filter(|v| v.is_finite()).fold(0.0f64, |m, v| m.max(v.abs()));
    let bound = t.relative * largest + t.absolute;
    let wrong = |(&x, &y): (&f64, &f64)| {
        let equal = x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= bound;
        !equal
    };
    let at = a.iter().zip(&b).position(wrong)?;
    let count = a.iter().zip(&b).filter(|&(x, y)| wrong((x, y))).count();
    Some(format!("element {at} is {}, wanted {} ± {bound:e}; {count} of {} elements differ", a[at], b[at], a.len()))
}

/// Runs every sample of every operation, at the batch sizes 2 and 5, and compares with the reference in 64 bits.
/// Returns how many problems were run.
///
/// # Errors
/// All problems with a wrong output, one a line.
pub fn conforms(run: impl Fn(&Problem, &Bindings) -> Vec<Tensor>) -> Result<usize, String> {
    let mut wrong = Vec::new();
    let mut count = 0;
    for sample in problems() {
        for n in [2, 5] {
            let problem = Problem { n, ..sample.clone() };
            let bindings = fill(&problem, 11);
            let want = match reference(&problem, &bindings, Precision::F64) {
                Ok(want) => want,
                Err(e) => {
                    wrong.push(format!("{}: the reference says {e}", problem.to_text()));
                    continue;
                }
            };
            let got = run(&problem, &bindings);
            count += 1;
            if got.len() != want.len() {
                wrong.push(format!("{}: {} outputs, wanted {}", problem.to_text(), got.len(), want.len()));
            }
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                if let Some(text) = difference(got, want) {
                    wrong.push(format!("{}: output {i}: {text}", problem.to_text()));
                }
            }
        }
    }
    if wrong.is_empty() { Ok(count) } else { Err(wrong.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_in_32_bits_conforms() {
        let run = |p: &Problem, b: &Bindings| reference(p, b, Precision::F32).unwrap_or_default();
        let count = conforms(run).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert!(count > 200, "{count} problems");
    }

    #[test]
    fn a_wrong_element_is_found() {
        let run = |p: &Problem, b: &Bindings| {
            let mut out = reference(p, b, Precision::F32).unwrap_or_default();
            if let (Some(t), "conv") = (out.first_mut(), p.operation.name())
                && let gabor_tensor::Data::F32(v) = t.data_mut()
            {
                v[0] += 0.01;
            }
            out
        };
        let wrong = conforms(run).unwrap_err();
        assert!(wrong.lines().all(|l| l.starts_with("conv geometry=")), "{wrong}");
        assert_eq!(wrong.lines().count(), 18);
    }
}
