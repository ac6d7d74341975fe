//! Concatenations that copy nothing: kernels write their results where they belong in the larger one.

use crate::forms::{Call, FormId};
use crate::kernel::{Io, Kernel, Order};
use gabor_graph::ops::Concat;
use gabor_graph::{ValidGraph, ValueId};
use gabor_kernels::blocked::{Blocked, LANES, span};
use gabor_kernels::{SharedMut, Work};
use std::collections::HashMap;

/// Where a form lies in a larger one, whose own call has nothing left to do.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The larger form.
    pub whole: FormId,
    /// Its first element there.
    pub start: usize,
    /// Elements from its first to its last.
    pub span: usize,
}

/// The parts of all concatenations along the channels whose inputs are whole blocks, each made by a kernel that can write
/// them there, and read by nothing else. `ends` are the forms that something outside the calls gives or takes.
pub fn join(
    graph: &ValidGraph,
    shapes: &[Vec<usize>],
    forms: usize,
    calls: &mut [Call],
    ends: &HashMap<ValueId, FormId>,
) -> HashMap<FormId, Part> {
    let mut uses = vec![0; forms];
    for f in calls.iter().flat_map(|c| &c.inputs).chain(ends.values()) {
        uses[f.at()] += 1;
    }
    let mut parts = HashMap::new();
    for at in 0..calls.len() {
        let Some(inputs) = whole_blocks(graph, shapes, &calls[at]) else { continue };
        let (before, rest) = calls.split_at_mut(at);
        let concat = &mut rest[0];
        let maker = |f: &FormId| before.iter().position(|c| !c.fixed && c.outputs.first() == Some(f));
        let makers: Vec<usize> = concat.inputs.iter().filter(|f| uses[f.at()] == 1).filter_map(maker).collect();
        // Asked with their own extents first, so that all can go on as before where one cannot.
        if makers.len() < inputs.len() || !makers.iter().zip(&inputs).all(|(&m, b)| before[m].kernel.spread(b.blocks()))
        {
            continue;
        }
        let pitch = inputs.iter().map(Blocked::blocks).sum();
        let mut first = 0;
        for ((&m, b), &f) in makers.iter().zip(&inputs).zip(&concat.inputs) {
            before[m].kernel.spread(pitch);
            parts.insert(f, Part { whole: concat.outputs[0], start: b.start(0, first), span: span(*b, pitch) });
            first += b.blocks();
        }
        concat.kernel = Box::new(Joined);
        concat.candidate = "concat.joined".into();
    }
    parts
}

/// The inputs of a call that concatenates blocked tensors along the channels, if all but the last are whole blocks.
fn whole_blocks(graph: &ValidGraph, shapes: &[Vec<usize>], call: &Call) -> Option<Vec<Blocked>> {
    let node = graph.node(call.node?);
    let blocked = |i| matches!(call.kernel.reads(i), Order::Blocked);
    if node.op::<Concat>()?.axis != 1 || call.fixed || !(0..node.inputs.len()).all(blocked) {
        return None;
    }
    let inputs: Vec<Blocked> =
        node.inputs.iter().map(|v| Blocked::new(&shapes[v.0 as usize])).collect::<Option<_>>()?;
    let (_, whole) = inputs.split_last()?;
    whole.iter().all(|b| b.c.is_multiple_of(LANES)).then_some(inputs)
}

/// The call of a concatenation whose parts are there already.
struct Joined;

impl Work for Joined {
    fn phases(&self) -> &[usize] {
        &[]
    }
}

impl Kernel for Joined {
    fn work(&self) -> &dyn Work {
        self
    }
    fn writes_blocked(&self, _i: usize) -> bool {
        true
    }
    unsafe fn run(&self, _phase: usize, _task: usize, _io: &Io<'_>, _w: SharedMut<'_, f32>, _s: &mut [f32]) {}
}
