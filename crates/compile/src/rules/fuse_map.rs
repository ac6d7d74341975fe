//! Chains of element-wise operations become one pass over memory.

use super::producer;
use crate::fused::{FusedMap, MapProgram, Step};
use crate::{Operand, Patch, Rule, RuleContext};
use gabor_graph::ops::{BinaryMap, UnaryMap};
use gabor_graph::{Graph, Node, NodeId, Source, ValueId};
use std::collections::HashMap;
use std::sync::Arc;

/// Joins an element-wise node with an element-wise node that makes one of its inputs, when both have the same shape.
/// If others read that input too, the joined node has it as a second output.
pub struct FuseMap;

/// Limits of one joined program: its registers stay in the first-level cache.
const MOST_STEPS: usize = 64;
const MOST_INPUTS: usize = 16;
const MOST_OUTPUTS: usize = 8;

/// A node as a program over graph values.
struct Piece {
    program: MapProgram,
    inputs: Vec<ValueId>,
}

fn piece(g: &Graph, node: &Node) -> Option<Piece> {
    if let Some(f) = node.op::<FusedMap>() {
        return Some(Piece { program: f.program.clone(), inputs: node.inputs.clone() });
    }
    let mut p = Piece { program: MapProgram::default(), inputs: Vec::new() };
    let mut read = |v: ValueId| match &g.value(v).source {
        Source::Constant(t) if t.len() == 1 && t.shape().is_empty() => p.program.push(Step::Constant(t.to_f64()[0])),
        _ => {
            let i = p.inputs.iter().position(|&i| i == v).unwrap_or_else(|| {
                p.inputs.push(v);
                p.inputs.len() - 1
            });
            p.program.push(Step::Input(i))
        }
    };
    let last = if let Some(u) = node.op::<UnaryMap>() {
        Step::Unary(u.f, read(node.inputs[0]))
    } else {
        let b = node.op::<BinaryMap>()?;
        let (x, y) = (read(node.inputs[0]), read(node.inputs[1]));
        Step::Binary(b.f, x, y)
    };
    let o = p.program.push(last);
    p.program.outputs.push(o);
    Some(p)
}

impl Rule for FuseMap {
    fn name(&self) -> &'static str {
        "fuse map"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let (g, node) = (cx.graph, cx.graph.node(id));
        let consumer = piece(g, node)?;
        for &v in &consumer.inputs {
            let Some((from, maker)) = producer(g, v) else { continue };
            if g.ty(v) != g.ty(node.outputs[0]) {
                continue;
            }
            let Some(first) = piece(g, maker) else { continue };
            // Outputs of the maker that others read must stay outputs, and those readers must come later.
            let kept: Vec<ValueId> = maker.outputs.iter().copied().filter(|&o| cx.read_besides(o, id)).collect();
            if kept.iter().any(|&o| cx.readers(o).iter().any(|&r| r != id && r < id)) {
                continue;
            }
            if let Some(patch) = join(cx, &first, maker, &kept, &consumer, node) {
                debug_assert!(from < id);
                return Some(patch);
            }
        }
        None
    }
}

/// The program of both pieces one after the other, as a patch.
fn join(
    cx: &RuleContext<'_>,
    first: &Piece,
    maker: &Node,
    kept: &[ValueId],
    second: &Piece,
    node: &Node,
) -> Option<Patch> {
    let mut program = MapProgram::default();
    let mut inputs: Vec<ValueId> = Vec::new();
    let mut made: HashMap<ValueId, usize> = HashMap::new();
    for (piece, outputs) in [(first, &maker.outputs), (second, &node.outputs)] {
        let mut at = Vec::new();
        for step in &piece.program.steps {
            let step = match *step {
                Step::Input(i) => {
                    let v = piece.inputs[i];
                    if let Some(&s) = made.get(&v) {
                        at.push(s);
                        continue;
                    }
                    let i = inputs.iter().position(|&x| x == v).unwrap_or_else(|| {
                        inputs.push(v);
                        inputs.len() - 1
                    });
                    Step::Input(i)
                }
                Step::Constant(c) => Step::Constant(c),
                Step::Unary(f, a) => Step::Unary(f, at[a]),
                Step::Binary(f, a, b) => Step::Binary(f, at[a], at[b]),
            };
            at.push(program.push(step));
        }
        for (&o, &s) in outputs.iter().zip(&piece.program.outputs) {
            made.insert(o, at[s]);
        }
    }
    let outputs: Vec<ValueId> = kept.iter().chain(&node.outputs).copied().collect();
    program.outputs = outputs.iter().map(|o| made[o]).collect();
    let operation = FusedMap { program };
    let program = &operation.program;
    let small = program.steps.len() <= MOST_STEPS
        && inputs.len() <= MOST_INPUTS
        && outputs.len() <= MOST_OUTPUTS
        && (cx.supports)(&operation);
    small.then(|| {
        let operands = inputs.into_iter().map(Operand::Old).collect();
        Patch::swap(&outputs, Arc::new(operation), operands)
    })
}
