//! The rules of compilation, one per file, and the order in which they are applied.

mod decompose;
mod fold_batch_norm;
mod fold_constants;
mod fuse_add;
mod fuse_batch_norm;
mod fuse_bias;
mod fuse_map;
mod fuse_relu;
mod fuse_update;
mod merge_equal;
mod remove_identity;
mod squares_of_product;

pub use decompose::Decompose;
pub use fold_batch_norm::FoldBatchNorm;
pub use fold_constants::FoldConstants;
pub use fuse_add::FuseAdd;
pub use fuse_batch_norm::{FuseBatchNorm, FuseBatchNormGrad};
pub use fuse_bias::FuseBias;
pub use fuse_map::FuseMap;
pub use fuse_relu::FuseRelu;
pub use fuse_update::FuseUpdate;
pub use merge_equal::MergeEqual;
pub(crate) use merge_equal::node_key;
pub use remove_identity::RemoveIdentity;
pub use squares_of_product::SquaresOfProduct;

use crate::{NewNode, Operand, Patch, Rule, RuleContext};
use gabor_graph::{Graph, NodeId, Result, Source, ValueId};
use std::collections::HashMap;

/// All rules in order; without `fuse` only those that every backend needs.
pub fn standard(fuse: bool) -> Vec<&'static dyn Rule> {
    let mut rules: Vec<&'static dyn Rule> = Vec::new();
    if fuse {
        rules.extend([&FoldBatchNorm as &dyn Rule, &SquaresOfProduct]);
    }
    rules.extend([&Decompose as &dyn Rule, &FoldConstants, &RemoveIdentity, &MergeEqual]);
    if fuse {
        rules.extend([&FuseBatchNorm as &dyn Rule, &FuseBatchNormGrad]);
        rules.extend([&FuseBias as &dyn Rule, &FuseAdd, &FuseRelu, &FuseMap, &FuseUpdate]);
    }
    rules
}

/// A patch written as graph-building code: `build` gets a scratch graph and values in place of the node's inputs (and of
/// `extra` values of the graph), and returns what takes the place of `replaced`.
pub(crate) fn patch_by_building(
    cx: &RuleContext<'_>,
    inputs: &[ValueId],
    replaced: &[ValueId],
    build: impl FnOnce(&mut Graph, &[ValueId]) -> Result<Vec<ValueId>>,
) -> Result<Patch> {
    let mut scratch = Graph::new("patch");
    let mut old = HashMap::new();
    let mut stand_ins = Vec::new();
    for (i, &v) in inputs.iter().enumerate() {
        let ty = cx.graph.ty(v);
        let s = scratch.input(&format!("input{i}"), ty.shape.clone(), ty.dtype)?;
        old.insert(s, v);
        stand_ins.push(s);
    }
    let outputs = build(&mut scratch, &stand_ins)?;
    let mut patch = Patch::default();
    let mut operands: HashMap<ValueId, Operand> = old.into_iter().map(|(s, v)| (s, Operand::Old(v))).collect();
    for v in scratch.value_ids() {
        if let Source::Constant(t) = &scratch.value(v).source {
            let c = patch.constant((**t).clone());
            operands.insert(v, c);
        }
    }
    for node in scratch.nodes() {
        let at = patch.nodes.len();
        let inputs = node.inputs.iter().map(|v| operands[v]).collect();
        patch.nodes.push(NewNode { operation: node.operation.clone(), inputs });
        for (i, &o) in node.outputs.iter().enumerate() {
            operands.insert(o, Operand::New(at, i));
        }
    }
    patch.replace = replaced.iter().zip(&outputs).map(|(&r, o)| (r, operands[o])).collect();
    Ok(patch)
}

/// The number that a constant of one element holds.
pub(crate) fn number(graph: &Graph, v: ValueId) -> Option<f64> {
    match &graph.value(v).source {
        Source::Constant(t) if t.len() == 1 => Some(t.to_f64()[0]),
        _ => None,
    }
}

/// The node that makes a value, with its number.
pub(crate) fn producer(graph: &Graph, v: ValueId) -> Option<(NodeId, &gabor_graph::Node)> {
    match graph.value(v).source {
        Source::Node(n, _) => Some((n, graph.node(n))),
        _ => None,
    }
}
