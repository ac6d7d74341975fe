//! Operations without a kernel become what they are made of.

use super::patch_by_building;
use crate::{Patch, Rule, RuleContext};
use gabor_graph::NodeId;

/// Replaces an operation that the backend has no kernel for by its decomposition.
pub struct Decompose;

impl Rule for Decompose {
    fn name(&self) -> &'static str {
        "decompose"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let node = cx.graph.node(id);
        if (cx.supports)(&*node.operation) {
            return None;
        }
        let mut found = true;
        let patch = patch_by_building(cx, &node.inputs, &node.outputs, |g, inputs| {
            node.operation.decompose(g, inputs).unwrap_or_else(|| {
                found = false;
                Ok(inputs.to_vec())
            })
        });
        // Without a decomposition the node stays, and the backend refuses it by name.
        patch.ok().filter(|_| found)
    }
}
