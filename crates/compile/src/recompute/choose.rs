//! Which values are dropped after the forward pass.

use super::{Choice, is_forward};
use gabor_graph::{Graph, Source, ValueId};

/// Values of fewer bytes are kept: dropping them saves nothing that counts.
const SMALL: usize = 64 << 10;
/// An operation is cheap if it costs at most that many operations per element that it reads and writes.
const CHEAP: u64 = 12;

/// What the choices ask about a graph at one batch size.
struct Lives<'a> {
    graph: &'a Graph,
    n: usize,
    /// By value: whether a node of the backward pass or the update reads it.
    read_back: Vec<bool>,
    /// By value: the last node of the forward pass that reads it.
    last_forward: Vec<Option<usize>>,
    /// By value: whether it is an output or an update, so that it lives to the end anyway.
    named: Vec<bool>,
}

impl<'a> Lives<'a> {
    fn new(graph: &'a Graph, n: usize) -> Self {
        let count = graph.values().len();
        let mut lives = Lives {
            graph,
            n,
            read_back: vec![false; count],
            last_forward: vec![None; count],
            named: vec![false; count],
        };
        for (i, node) in graph.nodes().iter().enumerate() {
            for v in &node.inputs {
                match is_forward(node) {
                    true => lives.last_forward[v.0 as usize] = Some(i),
                    false => lives.read_back[v.0 as usize] = true,
                }
            }
        }
        for v in graph.outputs().iter().map(|o| o.1).chain(graph.updates().iter().map(|u| u.1)) {
            lives.named[v.0 as usize] = true;
        }
        lives
    }
    fn bytes(&self, v: ValueId) -> usize {
        let ty = self.graph.ty(v);
        ty.shape.len_at(self.n) * ty.dtype.size()
    }
    fn maker(&self, v: ValueId) -> Option<usize> {
        match self.graph.value(v).source {
            Source::Node(n, _) => Some(n.0 as usize),
            _ => None,
        }
    }
    /// Whether the forward pass makes a value and keeps it for the backward pass alone.
    fn is_kept(&self, v: ValueId) -> bool {
        let at = v.0 as usize;
        self.read_back[at]
            && !self.named[at]
            && self.bytes(v) >= SMALL
            && self.maker(v).is_some_and(|i| is_forward(&self.graph.nodes()[i]))
    }
}

/// Values that cost little to make again from what is kept. In the order of the forward pass: what is made from a dropped
/// value stays, so that nothing is made by a chain.
pub(super) fn cheap(graph: &Graph, n: usize) -> Choice {
    let lives = Lives::new(graph, n);
    let mut choice = Choice { dropped: vec![false; graph.values().len()], groups: Vec::new() };
    for (i, node) in graph.nodes().iter().enumerate().filter(|(_, node)| is_forward(node)) {
        let types = |ids: &[ValueId]| ids.iter().map(|&v| graph.ty(v).clone()).collect::<Vec<_>>();
        let elements: usize = node.inputs.iter().chain(&node.outputs).map(|&v| graph.shape(v).len_at(n)).sum();
        let flops = node.operation.cost(&types(&node.inputs), &types(&node.outputs), n).flops;
        // An input stays in memory without our doing if it is no result, or small, or read by the backward pass as it is.
        let stays = |&v: &ValueId| match lives.maker(v) {
            None => true,
            Some(_) => {
                let at = v.0 as usize;
                !choice.dropped[at] && (lives.read_back[at] || lives.named[at] || lives.bytes(v) < SMALL)
            }
        };
        if flops <= CHEAP * elements as u64 && node.inputs.iter().all(stays) {
            let kept: Vec<ValueId> = node.outputs.iter().copied().filter(|&v| lives.is_kept(v)).collect();
            for v in &kept {
                choice.dropped[v.0 as usize] = true;
            }
            if !kept.is_empty() {
                choice.groups.push(vec![i]);
            }
        }
    }
    choice
}

/// All that lies within segments of the forward pass. The cuts are placed where little crosses them, so that what crosses
/// and the largest segment together take least memory; the last segment is kept, its backward pass follows at once.
pub(super) fn segments(graph: &Graph, n: usize) -> Choice {
    let lives = Lives::new(graph, n);
    let forward: Vec<usize> = (0..graph.nodes().len()).filter(|&i| is_forward(&graph.nodes()[i])).collect();
    let cuts = best_cuts(&lives, &forward);
    let mut choice = Choice { dropped: vec![false; graph.values().len()], groups: Vec::new() };
    let mut begin = 0;
    for end in cuts {
        let group = segment(&lives, &forward[begin..end], &mut choice.dropped);
        if !group.is_empty() {
            choice.groups.push(group);
        }
        begin = end;
    }
    choice
}

/// Drops what a segment keeps for the backward pass and no later segment reads; the nodes that make it, in order.
fn segment(lives: &Lives<'_>, nodes: &[usize], dropped: &mut [bool]) -> Vec<usize> {
    let graph = lives.graph;
    let (Some(&first), Some(&last)) = (nodes.first(), nodes.last()) else { return Vec::new() };
    let inside = |i: usize| (first..=last).contains(&i) && is_forward(&graph.nodes()[i]);
    let crosses = |v: ValueId| lives.last_forward[v.0 as usize].is_some_and(|reader| reader > last);
    let mut needed = vec![false; last + 1 - first];
    for &i in nodes.iter().rev() {
        let node = &graph.nodes()[i];
        for &v in node.outputs.iter().filter(|&&v| lives.is_kept(v) && !crosses(v)) {
            dropped[v.0 as usize] = true;
            needed[i - first] = true;
        }
        if needed[i - first] {
            // What crosses is kept and need not be made again; all else inside is.
            let makers = node.inputs.iter().filter(|&&v| !crosses(v)).filter_map(|&v| lives.maker(v));
            makers.filter(|&m| inside(m)).for_each(|m| needed[m - first] = true);
        }
    }
    nodes.iter().copied().filter(|&i| needed[i - first]).collect()
}

/// Ends of all segments but the last, as positions in `forward`.
fn best_cuts(lives: &Lives<'_>, forward: &[usize]) -> Vec<usize> {
    let count = forward.len();
    // Bytes that the nodes before a position keep, and bytes that cross a cut there.
    let mut kept = vec![0; count + 1];
    let mut crossing = vec![0; count + 1];
    for (at, &i) in forward.iter().enumerate() {
        let made = &lives.graph.nodes()[i].outputs;
        kept[at + 1] = kept[at] + made.iter().filter(|&&v| lives.is_kept(v)).map(|&v| lives.bytes(v)).sum::<usize>();
        for &v in made {
            let Some(reader) = lives.last_forward[v.0 as usize] else { continue };
            let until = forward.partition_point(|&f| f < reader);
            crossing[at + 1..=until].iter_mut().for_each(|c| *c += lives.bytes(v));
        }
    }
    let largest_output = |i: &usize| lives.graph.nodes()[*i].outputs.iter().map(|&v| lives.bytes(v)).max().unwrap_or(0);
    let least = forward.iter().map(largest_output).max().unwrap_or(0).max(1);
    // For each size of the largest segment the cuts that let least cross, by dynamic programming; then the best of all.
    let mut best: Option<(usize, Vec<usize>)> = None;
    let mut limit = kept[count].max(1);
    loop {
        if let Some((crossed, cuts)) = cuts_within(&kept, &crossing, limit) {
            let memory = crossed + limit;
            if best.as_ref().is_none_or(|b| memory < b.0) {
                best = Some((memory, cuts));
            }
        }
        if limit <= least {
            break;
        }
        limit = (limit * 4 / 5).max(least);
    }
    best.map(|b| b.1).unwrap_or_default()
}

/// Cuts such that no segment keeps more than `limit` and least crosses them, with what crosses; none if a single node
/// keeps more.
fn cuts_within(kept: &[usize], crossing: &[usize], limit: usize) -> Option<(usize, Vec<usize>)> {
    let count = kept.len() - 1;
    let mut reach: Vec<Option<(usize, usize)>> = vec![None; count + 1]; // bytes that crossed so far, and the cut before
    reach[0] = Some((0, 0));
    for end in 1..=count {
        let cost = if end == count { 0 } else { crossing[end] };
        for begin in (0..end).rev().take_while(|&b| kept[end] - kept[b] <= limit) {
            let Some((so_far, _)) = reach[begin] else { continue };
            if reach[end].is_none_or(|(c, _)| so_far + cost < c) {
                reach[end] = Some((so_far + cost, begin));
            }
        }
    }
    let (crossed, mut at) = reach[count]?;
    let mut cuts = Vec::new();
    while at > 0 {
        cuts.push(at);
        at = reach[at]?.1;
    }
    cuts.reverse();
    Some((crossed, cuts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_let_least_cross_within_the_limit() {
        // Four nodes of 10 bytes each; a cut after the second lets 1 byte cross, the others 5.
        let (kept, crossing) = ([0, 10, 20, 30, 40], [0, 5, 1, 5, 0]);
        assert_eq!(cuts_within(&kept, &crossing, 40), Some((0, vec![])));
        assert_eq!(cuts_within(&kept, &crossing, 20), Some((1, vec![2])));
        assert_eq!(cuts_within(&kept, &crossing, 10), Some((11, vec![1, 2, 3])));
        assert_eq!(cuts_within(&kept, &crossing, 9), None);
    }
}
