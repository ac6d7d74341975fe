//! Nodes that change nothing.

use super::number;
use crate::{Operand, Patch, Rule, RuleContext};
use gabor_graph::NodeId;
use gabor_graph::ops::{BinaryMap, Broadcast, Cast, Reshape, Transpose};
use gabor_tensor::Binary;
use std::sync::Arc;

/// Removes `x·1`, `x/1`, `x + 0`, `x - 0`, reshapes of reshapes, reshapes and transposes that change nothing, and
/// broadcasts that an element-wise operation does by itself.
pub struct RemoveIdentity;

impl Rule for RemoveIdentity {
    fn name(&self) -> &'static str {
        "remove identity"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let (g, node) = (cx.graph, cx.graph.node(id));
        let y = node.outputs[0];
        let x = *node.inputs.first()?;
        if let Some(map) = node.op::<BinaryMap>() {
            let (a, b) = (x, node.inputs[1]);
            let neutral = |v, f: &[(Binary, f64)]| {
                number(g, v).is_some_and(|c| f.iter().any(|&(of, one)| of == map.f && one == c))
            };
            let right = [(Binary::Add, 0.0), (Binary::Sub, 0.0), (Binary::Mul, 1.0), (Binary::Div, 1.0)];
            if g.ty(a) == g.ty(y) && neutral(b, &right) {
                return Some(Patch::forward(y, a));
            }
            if g.ty(b) == g.ty(y) && neutral(a, &[(Binary::Add, 0.0), (Binary::Mul, 1.0)]) {
                return Some(Patch::forward(y, b));
            }
            for (i, v) in [a, b].into_iter().enumerate() {
                let Some(inner) = g.producer(v).filter(|p| p.op::<Broadcast>().is_some()) else { continue };
                let other = [a, b][1 - i];
                if g.shape(inner.inputs[0]).broadcast(g.shape(other)).as_ref() == Some(g.shape(y)) {
                    let mut inputs = vec![Operand::Old(a), Operand::Old(b)];
                    inputs[i] = Operand::Old(inner.inputs[0]);
                    return Some(Patch::swap(&[y], Arc::new(map.clone()), inputs));
                }
            }
            return None;
        }
        if let Some(r) = node.op::<Reshape>() {
            if g.ty(x) == g.ty(y) {
                return Some(Patch::forward(y, x));
            }
            let inner = g.producer(x).filter(|p| p.op::<Reshape>().is_some())?;
            return Some(Patch::swap(&[y], Arc::new(r.clone()), vec![Operand::Old(inner.inputs[0])]));
        }
        let same = node.op::<Transpose>().is_some_and(|t| t.perm.iter().enumerate().all(|(i, &p)| i == p))
            || node.op::<Cast>().is_some_and(|_| g.ty(x) == g.ty(y))
            || node.op::<Broadcast>().is_some_and(|_| g.ty(x) == g.ty(y));
        same.then(|| Patch::forward(y, x))
    }
}
