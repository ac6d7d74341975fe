//! Which layers run on crops, and how large the rectangles are.

use crate::Subject;
use gabor_graph::ops::{
    AvgPool, BatchNormInference, BinaryMap, Clip, Concat, Conv, Elu, Gelu, HardSigmoid, HardSwish, LeakyRelu, MaxPool,
    Selu, Silu, Softplus, UnaryMap,
};
use gabor_graph::{Graph, Node, NodeId, ValueId};
use gabor_tensor::{Axis, PoolDivisor};
use std::collections::HashMap;

/// A part of a picture, half open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) rows: std::ops::Range<usize>,
    pub(crate) columns: std::ops::Range<usize>,
}

impl Window {
    pub(crate) fn holds(&self, y: usize, x: usize) -> bool {
        self.rows.contains(&y) && self.columns.contains(&x)
    }
}

/// The rectangle of a value that each window changes: one size, a corner per window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) size: [usize; 2],
    pub(super) origins: Vec<[usize; 2]>,
}

impl Reach {
    /// From exact spans per window: the largest size, corners moved so that every rectangle lies inside.
    fn of(spans: &[[(usize, usize); 2]], plane: [usize; 2]) -> Self {
        let size = [0, 1].map(|d| spans.iter().map(|s| s[d].1 - s[d].0).max().unwrap_or(1).clamp(1, plane[d]));
        let origins = spans.iter().map(|s| [0, 1].map(|d| s[d].0.min(plane[d] - size[d]))).collect();
        Reach { size, origins }
    }
    fn spans(&self) -> impl Iterator<Item = [(usize, usize); 2]> + '_ {
        self.origins.iter().map(|o| [0, 1].map(|d| (o[d], o[d] + self.size[d])))
    }
}

/// A layer that runs on crops, with those that follow it place by place: what they hand on never leaves the computation.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) nodes: Vec<NodeId>,
    /// The values of which it reads crops: the first one through the window, if one slides; others at the places of the result.
    pub(super) inputs: Vec<ValueId>,
    pub(super) output: ValueId,
    /// The window that slides over the first input, if one does.
    pub(super) axes: Option<[Axis; 2]>,
    /// What lies beyond the edges.
    pub(super) fill: f32,
}

impl Stage {
    /// Rows and columns of input `i` that a result of that size reads.
    pub(super) fn crop(&self, i: usize, output: &Reach) -> [usize; 2] {
        let read = |d: usize, a: &Axis| (output.size[d] - 1) * a.stride + a.reach();
        self.window(i).map_or(output.size, |a| [read(0, &a[0]), read(1, &a[1])])
    }
    /// The first place of input `i` that the result at `origin` reads.
    pub(super) fn first(&self, i: usize, origin: [usize; 2]) -> [isize; 2] {
        let at = |d: usize, a: &Axis| (origin[d] * a.stride) as isize - a.pad_begin as isize;
        self.window(i).map_or(origin.map(|o| o as isize), |a| [at(0, &a[0]), at(1, &a[1])])
    }
    fn window(&self, i: usize) -> Option<&[Axis; 2]> {
        self.axes.as_ref().filter(|_| i == 0)
    }
    /// Whether every place of the result reads that place alone.
    fn is_pointwise(&self) -> bool {
        let one = |a: &Axis| (a.reach(), a.stride, a.pad_begin, a.input) == (1, 1, 0, a.output);
        self.axes.as_ref().is_none_or(|axes| axes.iter().all(one))
    }
}

/// What runs on crops and what on whole maps.
pub(super) struct Plan {
    pub(super) windows: Vec<Window>,
    pub(super) images: ValueId,
    pub(super) stages: Vec<Stage>,
    /// Values of which the rest reads whole maps.
    pub(super) frontier: Vec<ValueId>,
    reaches: HashMap<ValueId, Reach>,
    /// Estimated work as a part of that of computing everything.
    pub(super) share: f64,
}

/// Crops are copied, and small problems run less well: their work counts more.
const CROPPED: f64 = 1.5;

impl Plan {
    /// Everything on whole maps.
    pub(super) fn whole(subject: &Subject, windows: &[Window]) -> Self {
        Self::up_to(subject, windows, 0.0)
    }
    /// The best of several bounds on the rectangles' part of their maps.
    pub(super) fn cheapest(subject: &Subject, windows: &[Window]) -> Self {
        let all = [0.0, 0.2, 0.35, 0.5, 0.7].map(|most| Self::up_to(subject, windows, most));
        let best = all.into_iter().min_by(|a, b| a.share.total_cmp(&b.share));
        best.unwrap_or_else(|| Self::whole(subject, windows))
    }
    /// The value's rectangles; those of the picture for a value without its own, which no caller asks for.
    pub(super) fn reach(&self, v: ValueId) -> &Reach {
        self.reaches.get(&v).unwrap_or(&self.reaches[&self.images])
    }
    /// The values whose maps of the picture itself are read.
    pub(super) fn values(&self) -> Vec<ValueId> {
        let mut all = vec![self.images];
        all.extend(self.stages.iter().flat_map(|s| s.inputs.iter().copied()));
        all.extend(&self.frontier);
        all.sort_unstable_by_key(|v| v.0);
        all.dedup();
        all
    }
    /// Layers run on crops as long as rectangles cover at most the part `most` of their map.
    fn up_to(subject: &Subject, windows: &[Window], most: f64) -> Self {
        let (graph, images) = (subject.graph(), subject.images());
        let [_, h, w] = subject.input();
        let spans: Vec<_> =
            windows.iter().map(|w| [(w.rows.start, w.rows.end), (w.columns.start, w.columns.end)]).collect();
        let mut reaches = HashMap::from([(images, Reach::of(&spans, [h, w]))]);
        let mut depends = vec![false; graph.values().len()];
        depends[images.0 as usize] = true;
        let mut stages: Vec<Stage> = Vec::new();
        // Work on crops and on whole maps, and who reads each value.
        let (mut cropped, mut whole, mut everything) = (0.0, 0.0, 0.0);
        let mut whole_reads = Vec::new();
        for (i, node) in graph.nodes().iter().enumerate() {
            let changed: Vec<ValueId> = node.inputs.iter().copied().filter(|v| depends[v.0 as usize]).collect();
            if changed.is_empty() {
                continue;
            }
            node.outputs.iter().for_each(|o| depends[o.0 as usize] = true);
            let types: Vec<_> = node.inputs.iter().map(|&v| graph.ty(v).clone()).collect();
            let outputs: Vec<_> = node.outputs.iter().map(|&v| graph.ty(v).clone()).collect();
            let cost = node.operation.cost(&types, &outputs, 1).flops as f64;
            everything += cost;
            let stage = Some(changed.as_slice())
                .filter(|c| most > 0.0 && c.iter().all(|v| reaches.contains_key(v)))
                .and_then(|c| stage(subject, node, NodeId(i as u32), c));
            let out = node.outputs[0];
            let grown = stage.map(|s| (grow(subject, &s, &reaches), s));
            let plane = subject.extents(out);
            match grown {
                Some((reach, s)) if reach.size[0] * reach.size[1] <= (most * (plane[1] * plane[2]) as f64) as usize => {
                    cropped += cost * (reach.size[0] * reach.size[1]) as f64 / (plane[1] * plane[2]) as f64;
                    join(&mut stages, s, graph, &reaches, &reach);
                    reaches.insert(out, reach);
                }
                _ => {
                    whole += cost;
                    whole_reads.extend(changed.into_iter().filter(|v| reaches.contains_key(v)));
                }
            }
        }
        if reaches.contains_key(&subject.scores()) {
            whole_reads.push(subject.scores());
        }
        whole_reads.sort_unstable_by_key(|v| v.0);
        whole_reads.dedup();
        let share = if everything > 0.0 { (CROPPED * cropped + whole) / everything } else { 1.0 };
        let windows = windows.to_vec();
        Plan { windows, images, stages, frontier: whole_reads, reaches, share }
    }
}

/// The layer as a stage, if it can run on crops.
fn stage(subject: &Subject, node: &Node, id: NodeId, changed: &[ValueId]) -> Option<Stage> {
    let output = node.outputs[0];
    let is_map = |v: ValueId| subject.graph().shape(v).rank() == 4;
    if !is_map(output) || !changed.iter().all(|&v| is_map(v)) {
        return None;
    }
    let (axes, fill) = if let Some(c) = node.op::<Conv>() {
        // Weights that come from the picture are no convolution of it.
        if changed != [node.inputs[0]] {
            return None;
        }
        (Some(c.geometry.window.axes()), 0.0)
    } else if let Some(p) = node.op::<MaxPool>() {
        (Some(p.window.axes()), f32::NEG_INFINITY)
    } else if let Some(p) = node.op::<AvgPool>() {
        let axes = p.window.axes();
        let inside = axes.iter().all(|a| (a.output - 1) * a.stride + a.reach() <= a.input + a.pad_begin);
        let plain = inside && axes.iter().all(|a| a.pad_begin == 0);
        if !plain && p.divisor == PoolDivisor::CountExcludePad {
            return None;
        }
        (Some(axes), 0.0)
    } else if elementwise(node) {
        // All operands that change have the same places; the others are one number per channel or less.
        let places = &subject.extents(output)[1..];
        let graph = subject.graph();
        let constant = |v: ValueId| {
            let shape = graph.shape(v).at(1);
            shape.iter().rev().take(2).all(|&e| e == 1)
        };
        let batch_norm = node.op::<BatchNormInference>().is_some();
        let fits = node.inputs.iter().all(|&v| match changed.contains(&v) {
            true => subject.extents(v)[1..] == *places,
            false => batch_norm || constant(v),
        });
        if !fits {
            return None;
        }
        (None, 0.0)
    } else {
        return None;
    };
    let axes = match axes {
        Some(&[y, x]) => Some([y, x]),
        Some(_) => return None,
        None => None,
    };
    let mut inputs = changed.to_vec();
    inputs.sort_unstable_by_key(|v| v.0);
    inputs.dedup();
    Some(Stage { nodes: vec![id], inputs, output, axes, fill })
}

fn elementwise(node: &Node) -> bool {
    node.op::<UnaryMap>().is_some()
        || node.op::<BinaryMap>().is_some()
        || node.op::<BatchNormInference>().is_some()
        || node.op::<Clip>().is_some()
        || node.op::<LeakyRelu>().is_some()
        || node.op::<Elu>().is_some()
        || node.op::<Selu>().is_some()
        || node.op::<Gelu>().is_some()
        || node.op::<Silu>().is_some()
        || node.op::<HardSwish>().is_some()
        || node.op::<HardSigmoid>().is_some()
        || node.op::<Softplus>().is_some()
        || node.op::<Concat>().is_some_and(|c| c.axis == 1)
}

/// The rectangles of a stage's result.
fn grow(subject: &Subject, stage: &Stage, reaches: &HashMap<ValueId, Reach>) -> Reach {
    let extents = subject.extents(stage.output);
    let plane = [extents[1], extents[2]];
    let mut spans: Vec<[(usize, usize); 2]> = Vec::new();
    for v in &stage.inputs {
        let own = reaches[v].spans().map(|s| match &stage.axes {
            Some(axes) => [0, 1].map(|d| seen(&axes[d], s[d])),
            None => s,
        });
        if spans.is_empty() {
            spans = own.collect();
        } else {
            for (all, new) in spans.iter_mut().zip(own) {
                *all = [0, 1].map(|d| (all[d].0.min(new[d].0), all[d].1.max(new[d].1)));
            }
        }
    }
    Reach::of(&spans, plane)
}

/// The results that see any of the elements `from..to`.
fn seen(a: &Axis, (from, to): (usize, usize)) -> (usize, usize) {
    let first = (from + a.pad_begin).saturating_sub(a.reach() - 1).div_ceil(a.stride);
    let last = (to - 1 + a.pad_begin) / a.stride;
    let end = (last + 1).min(a.output);
    (first.min(end.saturating_sub(1)), end)
}

/// Adds a stage. One that goes place by place joins the stage that makes something it reads, if nobody else reads that and the
/// rectangles are the same; what else it reads, a block's shortcut perhaps, the joined stage reads too.
fn join(stages: &mut Vec<Stage>, new: Stage, graph: &Graph, reaches: &HashMap<ValueId, Reach>, reach: &Reach) {
    let readers = |v: ValueId| graph.nodes().iter().flat_map(|n| &n.inputs).filter(|&&i| i == v).count();
    let joins = |before: &Stage| {
        let v = before.output;
        new.is_pointwise()
            && new.inputs.contains(&v)
            && readers(v) == 1
            && graph.outputs().iter().all(|o| o.1 != v)
            && reaches.get(&v) == Some(reach)
            // What a window slides over is there with its surroundings, and not place by place.
            && (before.is_pointwise() || !new.inputs.iter().any(|i| before.inputs.contains(i)))
    };
    let Some(at) = stages.iter().rposition(joins) else { return stages.push(new) };
    // At the end, where all that it reads is there; nobody in between reads what it makes.
    let mut joined = stages.remove(at);
    let others = new.inputs.iter().filter(|&&v| v != joined.output && !joined.inputs.contains(&v));
    let others: Vec<ValueId> = others.copied().collect();
    joined.inputs.extend(others);
    joined.nodes.extend(new.nodes);
    joined.output = new.output;
    stages.push(joined);
}
