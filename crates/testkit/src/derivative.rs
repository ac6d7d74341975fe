//! Derivatives against differences, in 64 bits.

use crate::{build, fill};
use gabor_compile::differentiate;
use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::{Graph, Problem, ValueId};
use gabor_tensor::{DType, Data, Stream, Tensor, rng::op};
use std::collections::HashMap;

/// Largest difference, relative to the largest derivative by the same input.
const TOLERANCE: f64 = 1e-6;
/// Step of the differences; the five-point rule's error is of the order of its fourth power.
const STEP: f64 = 1e-4;

/// Compares the gradient of a random projection of a problem's outputs, by every float input, with differences: once for
/// all float outputs together, and once for the first alone where there are several.
///
/// # Errors
/// The first derivative that differs, or an error of the graph.
pub fn check_gradients(problem: &Problem) -> Result<(), String> {
    for first_alone in [false, true] {
        let Some(mut p) = Projected::new(problem, first_alone)? else { continue };
        check_scalar(&mut p.graph, p.loss, &p.wrt, &p.bindings, problem.n)
            .map_err(|e| format!("{}: {e}", problem.to_text()))?;
    }
    Ok(())
}

/// Compares the gradient of a random projection of the gradient with differences of the gradient.
///
/// # Errors
/// The first derivative that differs, or an error of the graph.
pub fn check_second_derivatives(problem: &Problem) -> Result<(), String> {
    for first_alone in [false, true] {
        let Some(mut p) = Projected::new(problem, first_alone)? else { continue };
        let place = |e: &dyn std::fmt::Display| format!("{}: {e}", problem.to_text());
        let first = differentiate(&mut p.graph, p.loss, &p.wrt).map_err(|e| place(&e))?;
        let first: Vec<ValueId> = first.into_iter().flatten().collect();
        let Some(loss) = project(&mut p.graph, &first, problem.n, "second", &mut p.bindings).map_err(|e| place(&e))?
        else {
            continue;
        };
        check_scalar(&mut p.graph, loss, &p.wrt, &p.bindings, problem.n).map_err(|e| place(&e))?;
    }
    Ok(())
}

/// A problem's graph with the projection of its outputs.
struct Projected {
    graph: Graph,
    loss: ValueId,
    wrt: Vec<ValueId>,
    bindings: HashMap<ValueId, Tensor>,
}

impl Projected {
    fn new(problem: &Problem, first_alone: bool) -> Result<Option<Projected>, String> {
        let fail = |e: gabor_graph::Error| format!("{}: {e}", problem.to_text());
        let mut built = build(problem).map_err(fail)?;
        let mut bindings = built.bind(&fill(problem, 3));
        let is_float = |g: &Graph, v: ValueId| g.ty(v).dtype == DType::F32;
        let mut outputs = built.outputs.clone();
        outputs.retain(|&y| is_float(&built.graph, y));
        if first_alone {
            if outputs.len() < 2 {
                return Ok(None);
            }
            outputs.truncate(1);
        }
        let wrt: Vec<ValueId> = built.inputs.iter().copied().filter(|&v| is_float(&built.graph, v)).collect();
        let loss = project(&mut built.graph, &outputs, problem.n, "first", &mut bindings).map_err(fail)?;
        Ok(loss.map(|loss| Projected { graph: built.graph, loss, wrt, bindings }))
    }
}

/// Σ r·v over values, with random r as inputs of the graph; `None` without values.
fn project(
    graph: &mut Graph,
    values: &[ValueId],
    n: usize,
    name: &str,
    bindings: &mut HashMap<ValueId, Tensor>,
) -> gabor_graph::Result<Option<ValueId>> {
    let mut total = None;
    for (i, &v) in values.iter().enumerate() {
        let shape = graph.shape(v).clone();
        let r = graph.input(&format!("{name} projection {i}"), shape.clone(), DType::F32)?;
        let mut s = Stream::new(5, 0, i as u32, op::TEST + 1);
        let numbers = (0..shape.len_at(n)).map(|_| s.normal()).collect();
        bindings.insert(r, Tensor::f64(&shape.at(n), numbers).expect("as many numbers as the shape has elements"));
        let product = graph.mul(v, r)?;
        let sum = graph.sum_all(product)?;
        total = Some(match total {
            None => sum,
            Some(t) => graph.add(t, sum)?,
        });
    }
    Ok(total)
}

/// Compares the gradient of a scalar of a graph by some bound values with differences, in 64 bits.
///
/// # Errors
/// The first derivative that differs, or an error of the graph.
pub fn check_scalar(
    graph: &mut Graph,
    loss: ValueId,
    wrt: &[ValueId],
    bindings: &HashMap<ValueId, Tensor>,
    n: usize,
) -> Result<(), String> {
    let gradients = differentiate(graph, loss, wrt).map_err(|e| e.to_string())?;
    let mut bindings: HashMap<ValueId, Tensor> =
        bindings.iter().map(|(&v, t)| (v, if t.dtype().is_float() { t.cast(DType::F64) } else { t.clone() })).collect();
    let there: Vec<ValueId> = gradients.iter().flatten().copied().collect();
    let run = |bindings: &HashMap<ValueId, Tensor>, wanted: &[ValueId]| {
        evaluate(graph, n, bindings, Precision::F64, wanted).map_err(|e| e.to_string())
    };
    let mut computed = run(&bindings, &there)?.into_iter();
    for (&x, gradient) in wrt.iter().zip(&gradients) {
        let Some(value) = bindings.get(&x).cloned() else { return Err("an input without numbers".into()) };
        let name = &graph.value(x).name;
        // No gradient node means that the gradient is zero, which is checked too.
        let analytic = match gradient.and_then(|_| computed.next()) {
            Some(t) if t.shape() != value.shape() => {
                return Err(format!("d{name} has shape {:?}, {name} {:?}", t.shape(), value.shape()));
            }
            Some(t) => t.to_f64(),
            None => vec![0.0; value.len()],
        };
        let numbers = value.to_f64();
        let mut numeric = Vec::with_capacity(numbers.len());
        for i in 0..numbers.len() {
            let mut at = |offset: f64| -> Result<f64, String> {
                let mut moved = numbers.clone();
                moved[i] += offset;
                let t = Tensor::new(value.shape(), Data::F64(moved)).map_err(|e| e.to_string())?;
                bindings.insert(x, t);
                Ok(run(&bindings, &[loss])?[0].to_f64()[0])
            };
            let near = at(STEP)? - at(-STEP)?;
            let far = at(2.0 * STEP)? - at(-2.0 * STEP)?;
            numeric.push((8.0 * near - far) / (12.0 * STEP));
        }
        bindings.insert(x, value);
        let largest = analytic.iter().chain(&numeric).fold(1e-3f64, |m, v| m.max(v.abs()));
        let wrong = |(a, b): (&f64, &f64)| {
            let right = (a - b).abs() <= TOLERANCE * largest;
            !right
        };
        if let Some(i) = analytic.iter().zip(&numeric).position(wrong) {
            return Err(format!(
                "d{name}[{i}] is {} and {} by differences; all: {analytic:?} and {numeric:?}",
                analytic[i], numeric[i]
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_graph::{Error, Gradient, GradientOf, Operation, Result, ValueType, operation};
    use gabor_tensor::{Rule, Unary};

    operation! {
        /// x², with a gradient that is wrong by a factor.
        pub struct Crooked("crooked", ["x"]) {
            /// The factor of the gradient; 2 would be right.
            factor: f64,
        }
    }

    impl Operation for Crooked {
        fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
            Ok(inputs.to_vec())
        }
        fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
            Some(g.unary(Unary::Square, inputs[0]).map(|y| vec![y]))
        }
        fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
            if self.factor == 0.0 {
                return Ok(GradientOf::Stop);
            }
            let dy = cx.dy0()?;
            let d = cx.graph.mul(dy, cx.inputs[0])?;
            Ok(GradientOf::Inputs(vec![Some(cx.graph.scale(d, self.factor)?)]))
        }
        fn samples() -> Vec<Problem> {
            Vec::new()
        }
    }

    #[test]
    fn wrong_and_missing_gradients_are_found() {
        let check = |factor| check_gradients(&Problem::new(Crooked { factor }).f32("nx3"));
        assert_eq!(check(2.0), Ok(()));
        assert!(check(2.00001).is_err_and(|e| e.starts_with("crooked factor=2.00001 x:f32[nx3] n=2: dx[")));
        assert!(check(0.0).is_err());
    }
}
