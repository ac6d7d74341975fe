//! Equal nodes are computed once.

use crate::{Operand, Patch, Rule, RuleContext};
use gabor_graph::{Graph, NodeId, Source, ValueId};

/// Merges a node with an earlier one of the same operation on the same inputs (common subexpressions).
pub struct MergeEqual;

/// Equal keys mean equal values: small constants count by what they hold.
fn operand_key(g: &Graph, v: ValueId) -> String {
    match &g.value(v).source {
        Source::Constant(t) if t.len() <= 16 => format!("{}{:?}{:?}", t.dtype(), t.shape(), t.to_f64()),
        _ => format!("%{}", v.0),
    }
}

/// Text that two nodes share exactly when they compute the same.
pub(crate) fn node_key(g: &Graph, id: NodeId) -> String {
    let node = g.node(id);
    let mut key = format!("{}{:?}", node.operation.name(), node.operation.attributes());
    for &v in &node.inputs {
        key.push(' ');
        key += &operand_key(g, v);
    }
    key
}

impl Rule for MergeEqual {
    fn name(&self) -> &'static str {
        "merge equal"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let first = cx.first_equal(id)?;
        let (node, first) = (cx.graph.node(id), cx.graph.node(first));
        let replace = node.outputs.iter().zip(&first.outputs).map(|(&a, &b)| (a, Operand::Old(b))).collect();
        Some(Patch { replace, ..Default::default() })
    }
}
