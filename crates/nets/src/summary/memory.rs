//! A forecast of memory.

use super::{IN_PLACE, Summary};
use gabor_graph::{Graph, Phase, ValueId};
use std::collections::HashMap;

/// A forecast of memory in bytes, for 32-bit floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Parameters, and the values that live at once at the worst moment.
    pub inference: u64,
    /// Parameters with gradient and momentum, all values that the backward pass reads, and the gradients at the worst
    /// moment (as many as values in inference).
    pub training: u64,
}

impl Summary {
    /// The forecast at batch size `n`.
    pub fn memory(&self, n: u64) -> Memory {
        let per_batch = |v: u64| v.saturating_mul(n);
        let bytes = |v: u64| v.saturating_mul(4);
        let kept = self.parameters + self.state;
        Memory {
            inference: bytes(kept.saturating_add(per_batch(self.peak))),
            training: bytes(
                (3 * self.parameters + self.state).saturating_add(per_batch(self.values.saturating_add(self.peak))),
            ),
        }
    }
}

/// Most elements that live at once in a forward pass of one sample, parameters not counted.
pub(super) fn peak(graph: &Graph) -> u64 {
    let nodes: Vec<_> = graph.nodes().iter().filter(|n| n.phase == Phase::Forward).collect();
    let mut last_use: HashMap<ValueId, usize> = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&v| {
            last_use.insert(v, i);
        });
    }
    graph.outputs().iter().for_each(|&(_, v)| {
        last_use.insert(v, nodes.len());
    });
    let size = |v: ValueId| if graph.shape(v).is_batched() { graph.shape(v).len_at(1) as u64 } else { 0 };
    let mut live: u64 = graph.inputs().map(size).sum();
    let mut peak = live;
    for (i, node) in nodes.iter().enumerate() {
        let mut dying: Vec<ValueId> = node.inputs.iter().copied().filter(|v| last_use.get(v) == Some(&i)).collect();
        dying.sort();
        dying.dedup();
        let freed: u64 = dying.iter().map(|&v| size(v)).sum();
        let made: u64 = node.outputs.iter().filter(|v| last_use.contains_key(v)).map(|&v| size(v)).sum();
        // In place: the result takes the memory of an input that dies here.
        if IN_PLACE.contains(&node.operation.name()) && freed >= made {
            live = live - freed + made;
            peak = peak.max(live);
        } else {
            live += made;
            peak = peak.max(live);
            live -= freed;
        }
    }
    peak
}
