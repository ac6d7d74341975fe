//! What is known at compilation is computed at compilation.

use crate::{Patch, Rule, RuleContext};
use gabor_graph::ops::{BinaryMap, Reshape, Size, UnaryMap};
use gabor_graph::{Graph, NodeId, Source, ValueId};
use gabor_tensor::Tensor;

/// Replaces sizes and small functions of constants by constants.
pub struct FoldConstants;

/// Larger constants are left to the run: folding them would only make graphs larger.
const MOST: usize = 4096;

fn constant(g: &Graph, v: ValueId) -> Option<&Tensor> {
    match &g.value(v).source {
        Source::Constant(t) if t.len() <= MOST => Some(t),
        _ => None,
    }
}

impl Rule for FoldConstants {
    fn name(&self) -> &'static str {
        "fold constants"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let node = cx.graph.node(id);
        let value = if let Some(size) = node.op::<Size>() {
            let shape = cx.graph.shape(node.inputs[0]).at(cx.n);
            Tensor::scalar(size.axes.iter().map(|&a| shape[a]).product::<usize>() as f32)
        } else if let Some(map) = node.op::<UnaryMap>() {
            let x = constant(cx.graph, node.inputs[0])?;
            Tensor::f32(x.shape(), x.as_f32().ok()?.iter().map(|&x| map.f.eval(x)).collect()).ok()?
        } else if let Some(map) = node.op::<BinaryMap>() {
            let (a, b) = (constant(cx.graph, node.inputs[0])?, constant(cx.graph, node.inputs[1])?);
            let (x, y) = (a.as_f32().ok()?, b.as_f32().ok()?);
            match (x, y) {
                _ if a.shape() == b.shape() => {
                    Tensor::f32(a.shape(), x.iter().zip(y).map(|(&x, &y)| map.f.eval(x, y)).collect()).ok()?
                }
                (_, [y]) if b.shape().is_empty() => {
                    Tensor::f32(a.shape(), x.iter().map(|&x| map.f.eval(x, *y)).collect()).ok()?
                }
                ([x], _) if a.shape().is_empty() => {
                    Tensor::f32(b.shape(), y.iter().map(|&y| map.f.eval(*x, y)).collect()).ok()?
                }
                _ => return None,
            }
        } else if let Some(r) = node.op::<Reshape>() {
            constant(cx.graph, node.inputs[0])?.clone().reshape(&r.shape.known()?).ok()?
        } else {
            return None;
        };
        let mut patch = Patch::default();
        let c = patch.constant(value);
        patch.replace.push((node.outputs[0], c));
        Some(patch)
    }
}
