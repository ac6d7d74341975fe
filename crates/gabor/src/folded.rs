//! Batch normalisations of a network that runs once.

use crate::Result;
use gabor_compile::{NewNode, Operand, Patch, Recompute, Rule, RuleContext, optimise};
use gabor_graph::ops::{BatchNormInference, BinaryMap, Conv};
use gabor_graph::{NodeId, Source, ValidGraph, ValueId};
use gabor_tensor::{Binary, Floats, Tensor, Unread, Weights};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The graph without the batch normalisations that follow convolutions, and what the filters of those weights are to be
/// multiplied with. A plan that runs often computes `w·s` once and keeps it; for one run that is another way through memory
/// for all weights, where multiplying them as they are read costs next to nothing.
pub(crate) fn fold(graph: ValidGraph, n: usize, weights: &Weights) -> Result<(ValidGraph, HashMap<String, Vec<f32>>)> {
    let fold = Fold { weights, factors: Mutex::default() };
    let (graph, _) = optimise(graph, n, &|_| true, &[&fold], Recompute::None)?;
    Ok((graph, fold.factors.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// `bn(conv(x, w))` becomes `conv(x, w) + (β - mean·s)`, and `w` is to be multiplied with `s = γ / √(var + eps)`.
struct Fold<'w> {
    weights: &'w Weights,
    factors: Mutex<HashMap<String, Vec<f32>>>,
}

impl Rule for Fold<'_> {
    fn name(&self) -> &'static str {
        "fold batch norm into weights"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let (g, node) = (cx.graph, cx.graph.node(id));
        let bn = node.op::<BatchNormInference>()?;
        let name = |v: ValueId| matches!(g.value(v).source, Source::Parameter(_)).then(|| g.value(v).name.as_str());
        let numbers = |i: usize| self.weights.get(name(node.inputs[i])?)?.as_f32().ok();
        let (gamma, beta, mean, var) = (numbers(1)?, numbers(2)?, numbers(3)?, numbers(4)?);
        let y = node.inputs[0];
        let Source::Node(maker, _) = g.value(y).source else { return None };
        let conv = g.node(maker).op::<Conv>()?;
        let w = g.node(maker).inputs[1];
        if !cx.used_once(y) || !cx.used_once(w) {
            return None;
        }
        let factor: Vec<f64> =
            gamma.iter().zip(var).map(|(&g, &v)| f64::from(g) / (f64::from(v) + bn.eps).sqrt()).collect();
        let moved = beta.iter().zip(mean).zip(&factor);
        let bias = moved.map(|((&b, &m), s)| (f64::from(b) - f64::from(m) * s) as f32).collect();
        let mut shape = vec![1; conv.geometry.window.rank() + 1];
        shape[0] = conv.geometry.co;
        let mut patch = Patch::default();
        let bias = patch.constant(Tensor::f32(&shape, bias).ok()?);
        patch
            .nodes
            .push(NewNode { operation: Arc::new(BinaryMap { f: Binary::Add }), inputs: vec![Operand::Old(y), bias] });
        patch.replace.push((node.outputs[0], Operand::New(0, 0)));
        // The same again where a sweep finds the same place twice.
        let mut factors = self.factors.lock().unwrap_or_else(PoisonError::into_inner);
        factors.insert(name(w)?.to_string(), factor.into_iter().map(|s| s as f32).collect());
        Some(patch)
    }
}

/// A filter's weights, each multiplied with the number of its filter.
pub(crate) struct Scaled {
    pub weights: Unread,
    /// One per filter.
    pub factors: Vec<f32>,
}

impl Scaled {
    /// Multiplies weights from number `from` on.
    pub fn scale(shape: &[usize], factors: &[f32], from: usize, weights: &mut [f32]) {
        let filter = shape[1..].iter().product::<usize>().max(1);
        let (mut at, mut rest) = (from, weights);
        while !rest.is_empty() {
            let (this, others) = rest.split_at_mut((filter - at % filter).min(rest.len()));
            let factor = factors[at / filter];
            this.iter_mut().for_each(|v| *v *= factor);
            at += this.len();
            rest = others;
        }
    }
}

impl Floats for Scaled {
    fn read(&self, from: usize, to: &mut [f32]) -> Result<(), gabor_tensor::Rule> {
        self.weights.read(from, to)?;
        Self::scale(self.weights.shape(), &self.factors, from, to);
        Ok(())
    }
}
