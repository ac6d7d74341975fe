//! From a graph at one batch size to a list of kernel calls on places in memory.

use crate::backend::CpuBackend;
use crate::buffer::is_supported;
use crate::forms::{Call, Calls, Form, FormId, choose};
use crate::joined::Part;
use crate::kernel::Kernel;
use gabor_compile::{CompileOptions, Error, Holder, MemoryPlan, NodeReport, Report, Result, optimise, rules};
use gabor_graph::{Graph, Source, ValidGraph, ValueId};
use gabor_tensor::Rule;
use std::collections::HashMap;

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the tensor that was given as input of that number.
    Input(usize),
    /// In the parameter of that number of the graph.
    Parameter(usize),
    /// In the plan's own memory: constants, and what depends on parameters alone.
    Kept(usize),
    /// In the arena that plans share.
    Arena(usize),
    /// Nowhere: nothing reads it, but a kernel writes it.
    Unplaced,
}

/// A kernel call.
pub struct Step {
    /// The node's name, or what is reordered.
    pub name: String,
    /// What computes it.
    pub kernel: Box<dyn Kernel>,
    /// Forms it reads.
    pub inputs: Vec<FormId>,
    /// Forms it writes.
    pub outputs: Vec<FormId>,
    /// Arena offset of the kernel's workspace.
    pub workspace: usize,
}

/// A graph, ready to run at one batch size.
pub struct Plan {
    /// The rewritten graph.
    pub graph: ValidGraph,
    /// Extents of every value.
    pub shapes: Vec<Vec<usize>>,
    /// Values in the orders in which kernels read and write them.
    pub forms: Vec<Form>,
    /// The form in which something outside the calls gives or takes inputs, parameters, constants, outputs and updates.
    pub ends: HashMap<ValueId, FormId>,
    /// Forms that lie in larger ones.
    pub parts: HashMap<FormId, Part>,
    /// Place of every form.
    pub places: Vec<Location>,
    /// Steps that run when parameters have changed.
    pub prepared: Vec<Step>,
    /// Steps of every run.
    pub steps: Vec<Step>,
    /// After the steps: outputs that are an input, outputs and updates that are the old value of a parameter, and
    /// where they are kept.
    pub echoes: Vec<(FormId, usize)>,
    /// After that: parameters that are copied from a value.
    pub copies: Vec<(usize, FormId)>,
    /// Graph parameters that a run changes.
    pub updated: Vec<usize>,
    /// Graph parameters that prepared steps read.
    pub prepared_from: Vec<usize>,
    /// Names of the parameters, by their number.
    pub parameters: Vec<String>,
    /// Bytes of the arena.
    pub arena: usize,
    /// Bytes of the plan's own memory.
    pub kept: usize,
    /// Floats of scratch for each thread.
    pub scratch: usize,
    /// For people.
    pub report: Report,
}

impl Plan {
    /// Plans a graph for batch size `n`.
    pub fn new(backend: &CpuBackend, graph: &ValidGraph, n: usize, options: &CompileOptions) -> Result<Plan> {
        check_sizes(graph, n)?;
        let supports = |op: &dyn gabor_graph::Operation| backend.candidates(op.name()).next().is_some();
        let (graph, applied) =
            optimise(graph.clone(), n, &supports, &rules::standard(options.fuse), options.recompute)?;
        check_sizes(&graph, n)?;
        for v in graph.value_ids() {
            let value = graph.value(v);
            if !is_supported(value.ty.dtype) {
                let rule = Rule::new(format!("the CPU backend does not compute with {}", value.ty.dtype));
                return Err(Error::new(&value.name, rule.right("f32, i32 or u8")));
            }
        }
        let shapes: Vec<Vec<usize>> = graph.value_ids().map(|v| graph.shape(v).at(n)).collect();
        let Calls { forms, calls, ends, parts } = choose(backend, &graph, &shapes, options)?;
        let parameters = graph.parameters().map(|(v, _)| v).collect();
        let draft = Draft { graph: &graph, shapes: &shapes, forms: &forms, ends: &ends, parts: &parts, parameters };
        let laid = draft.lay_out(calls);
        let report = draft.report(n, applied, &laid);
        let parameters = draft.parameters.iter().map(|&v| graph.value(v).name.clone()).collect();
        let step = |(call, workspace): (Call, usize)| Step {
            name: call.name,
            kernel: call.kernel,
            inputs: call.inputs,
            outputs: call.outputs,
            workspace,
        };
        Ok(Plan {
            places: laid.places,
            prepared: laid.before.into_iter().map(step).collect(),
            steps: laid.during.into_iter().map(step).collect(),
            echoes: laid.echoes,
            copies: laid.copies,
            updated: laid.updated,
            prepared_from: laid.prepared_from,
            parameters,
            arena: laid.arena,
            kept: laid.kept,
            scratch: laid.scratch,
            report,
            graph,
            shapes,
            forms,
            ends,
            parts,
        })
    }
    /// Where a form that is an input or an old parameter is kept.
    pub fn echo(&self, f: FormId) -> Option<usize> {
        self.echoes.iter().find(|e| self.places[e.0.at()] == self.places[f.at()]).map(|e| e.1)
    }
}

/// No value is so large that the number of its bytes overflows: addresses are computed from these numbers.
fn check_sizes(graph: &Graph, n: usize) -> Result<()> {
    let check = |v: &gabor_graph::Value| v.ty.shape.check_len_at(n).map_err(|r| Error::new(&v.name, r));
    graph.values().iter().try_for_each(check)
}

struct Draft<'a> {
    graph: &'a ValidGraph,
    shapes: &'a [Vec<usize>],
    forms: &'a [Form],
    ends: &'a HashMap<ValueId, FormId>,
    parts: &'a HashMap<FormId, Part>,
    parameters: Vec<ValueId>,
}

/// Calls with the places of their values.
struct Laid {
    places: Vec<Location>,
    before: Vec<(Call, usize)>,
    during: Vec<(Call, usize)>,
    echoes: Vec<(FormId, usize)>,
    copies: Vec<(usize, FormId)>,
    updated: Vec<usize>,
    prepared_from: Vec<usize>,
    arena: usize,
    /// Bytes that the values of the arena would take side by side.
    total: usize,
    kept: usize,
    scratch: usize,
    /// The call at which most of the arena is taken, and by what.
    peak: (String, Vec<Holder>),
}

/// The plan's own memory: pieces one after the other.
#[derive(Default)]
struct Kept(usize);

impl Kept {
    fn take(&mut self, bytes: usize) -> usize {
        let at = self.0;
        self.0 += bytes.next_multiple_of(64).max(64);
        at
    }
}

/// Which request of the memory plan holds each form.
struct Requests {
    memory: MemoryPlan,
    of: Vec<Option<usize>>,
    workspaces: Vec<Option<usize>>,
}

impl<'a> Draft<'a> {
    fn lay_out(&self, calls: Vec<Call>) -> Laid {
        let graph = self.graph;
        let mut places = vec![Location::Unplaced; self.forms.len()];
        for (i, v) in graph.inputs().enumerate() {
            places[self.ends[&v].at()] = Location::Input(i);
        }
        for (i, v) in self.parameters.iter().enumerate() {
            places[self.ends[v].at()] = Location::Parameter(i);
        }
        let mut kept = Kept::default();
        for v in graph.value_ids() {
            if matches!(graph.value(v).source, Source::Constant(_)) {
                let f = self.ends[&v];
                places[f.at()] = Location::Kept(kept.take(self.bytes(f)));
            }
        }
        let (before, during): (Vec<Call>, Vec<Call>) = calls.into_iter().partition(|c| c.fixed);
        // What prepared steps make is kept if a step of the run reads it; the rest lies in the arena, which is free then.
        let end = during.len();
        let last_use = self.last_uses(&during, end);
        for c in &before {
            for &o in c.outputs.iter().filter(|o| last_use[o.at()].is_some()) {
                places[o.at()] = Location::Kept(kept.take(self.bytes(o)));
            }
        }
        let echoes = self.echoes(&places, &mut kept);
        let in_place = self.in_place_updates(&during, &last_use);
        let mut copies = Vec::new();
        for &(p, v) in graph.updates() {
            let (number, f) = (self.parameter(self.ends[&p]), self.ends[&v]);
            match in_place.contains(&f) {
                true => places[f.at()] = Location::Parameter(number),
                false => copies.push((number, f)),
            }
        }
        let prepared_uses = self.last_uses_by_calls(&before);
        let first = self.request(&before, &prepared_uses, &places);
        let second = self.request(&during, &last_use, &places);
        let total = second.memory.total();
        let peak = self.peak(&second, &during);
        let (spaces_before, arena_before) = Self::place(first, &mut places);
        let (spaces, arena) = Self::place(second, &mut places);
        for (f, p) in self.parts {
            if let Location::Arena(at) = places[p.whole.at()] {
                places[f.at()] = Location::Arena(at + p.start * self.forms[f.at()].dtype.size());
            }
        }

        let scratch = before.iter().chain(&during).map(|c| c.kernel.work().scratch_len()).max().unwrap_or(0);
        let updated = graph.updates().iter().map(|&(p, _)| self.parameter(self.ends[&p])).collect();
        let mut prepared_from: Vec<usize> = (before.iter().flat_map(|c| &c.inputs))
            .filter_map(|f| self.parameters.iter().position(|p| self.ends[p] == *f))
            .collect();
        prepared_from.sort_unstable();
        prepared_from.dedup();
        Laid {
            places,
            before: before.into_iter().zip(spaces_before).collect(),
            during: during.into_iter().zip(spaces).collect(),
            echoes,
            copies,
            updated,
            prepared_from,
            arena: arena.max(arena_before),
            total,
            kept: kept.0,
            scratch,
            peak,
        }
    }

    /// A form in words: who makes it, and in which order.
    fn holder(&self, maker: &str, f: FormId, until: &str) -> Holder {
        let order = &self.forms[f.at()].order;
        let name = if order.is_empty() { maker.to_string() } else { format!("{maker} ({order})") };
        Holder { name, bytes: self.bytes(f), until: until.to_string() }
    }
    /// The call at which most bytes of the arena are alive, and what they hold.
    fn peak(&self, requests: &Requests, calls: &[Call]) -> (String, Vec<Holder>) {
        let (at, alive) = requests.memory.peak();
        let name = |step: usize| calls.get(step).map_or("", |c| &c.name);
        let holders = alive.into_iter().map(|r| {
            let (bytes, last) = requests.memory.life(r);
            // In place results share a request: the one that lies there now.
            let made = calls[..(at + 1).min(calls.len())].iter().rev();
            let mut made = made.flat_map(|c| c.outputs.iter().map(move |&o| (c, o)));
            let lies = |o: &FormId| requests.of[self.parts.get(o).map_or(*o, |p| p.whole).at()] == Some(r);
            match made.find(|(_, o)| lies(o)) {
                Some((c, o)) => self.holder(&c.name, o, name(last)),
                None => Holder { name: format!("{} (workspace)", name(at)), bytes, until: name(at).to_string() },
            }
        });
        let holders = holders.collect();
        (name(at).to_string(), holders)
    }
    /// What stays from run to run, the largest first.
    fn kept(&self, laid: &Laid) -> Vec<Holder> {
        let constants = self.graph.value_ids().filter(|&v| matches!(self.graph.value(v).source, Source::Constant(_)));
        let constants = constants.map(|v| (self.graph.value(v).name.as_str(), self.ends[&v]));
        let made = laid.before.iter().flat_map(|(c, _)| c.outputs.iter().map(|&o| (c.name.as_str(), o)));
        let stays = |f: FormId| matches!(laid.places[f.at()], Location::Kept(_));
        let all = constants.chain(made).filter(|&(_, f)| stays(f));
        let mut kept: Vec<Holder> = all.map(|(name, f)| self.holder(name, f, "")).collect();
        kept.sort_by_key(|h| std::cmp::Reverse(h.bytes));
        kept
    }

    fn bytes(&self, f: impl std::borrow::Borrow<FormId>) -> usize {
        self.forms[f.borrow().at()].bytes()
    }
    /// The number of the parameter that lies in a form.
    fn parameter(&self, f: FormId) -> usize {
        self.parameters.iter().position(|p| self.ends[p] == f).unwrap_or(usize::MAX)
    }

    /// Outputs that are an input, outputs and updates that are the old value of a parameter, with memory of their own.
    fn echoes(&self, places: &[Location], kept: &mut Kept) -> Vec<(FormId, usize)> {
        let graph = self.graph;
        let mut echoes: Vec<(FormId, usize)> = Vec::new();
        let changes = |p: usize| graph.updates().iter().any(|&(u, _)| u == self.parameters[p]);
        let named = graph.outputs().iter().map(|o| (self.ends[&o.1], true));
        // A parameter that takes the old value of another one, which may be overwritten before.
        let crossing = graph.updates().iter().map(|u| (self.ends[&u.1], self.ends[&u.0])).filter(|(v, p)| v != p);
        for (f, is_output) in named.chain(crossing.map(|(v, _)| (v, false))) {
            let passes = match places[f.at()] {
                Location::Input(_) => is_output,
                Location::Parameter(p) => changes(p),
                _ => false,
            };
            if passes && !echoes.iter().any(|e| e.0 == f) {
                echoes.push((f, kept.take(self.bytes(f))));
            }
        }
        echoes
    }

    fn last_uses_by_calls(&self, calls: &[Call]) -> Vec<Option<usize>> {
        let mut last = vec![None; self.forms.len()];
        for (step, c) in calls.iter().enumerate() {
            for f in &c.inputs {
                last[f.at()] = Some(step);
            }
        }
        last
    }
    /// The last step that reads each form; outputs and updates are read at the end.
    fn last_uses(&self, calls: &[Call], end: usize) -> Vec<Option<usize>> {
        let mut last = self.last_uses_by_calls(calls);
        for v in self.graph.outputs().iter().map(|o| o.1).chain(self.graph.updates().iter().map(|u| u.1)) {
            last[self.ends[&v].at()] = Some(end);
        }
        last
    }

    /// Places in the arena: every form from the call that makes it to the last that reads it.
    fn request(&self, calls: &[Call], last_use: &[Option<usize>], places: &[Location]) -> Requests {
        let mut memory = MemoryPlan::new();
        let mut of: Vec<Option<usize>> = vec![None; self.forms.len()];
        let mut workspaces = Vec::new();
        for (step, c) in calls.iter().enumerate() {
            let mut reusable = self.dying_inputs(c, step, last_use, &of);
            for &o in c.outputs.iter().filter(|o| places[o.at()] == Location::Unplaced) {
                let last = last_use[o.at()].unwrap_or(step);
                if let Some(p) = self.parts.get(&o) {
                    // The first of its parts brings the larger form to life, the call that ends it reads them all.
                    let last = last_use[p.whole.at()].unwrap_or(last);
                    of[p.whole.at()].get_or_insert_with(|| memory.request(self.bytes(p.whole), step, last));
                    continue;
                }
                if of[o.at()].is_some() {
                    continue;
                }
                let same = reusable.iter().position(|&v| self.bytes(v) == self.bytes(o));
                of[o.at()] = Some(match same.and_then(|s| of[reusable.remove(s).at()]) {
                    Some(r) => {
                        memory.extend(r, last);
                        r
                    }
                    None => memory.request(self.bytes(o), step, last),
                });
            }
            let w = c.kernel.work().workspace_len();
            workspaces.push((w > 0).then(|| memory.request(w * 4, step, step)));
        }
        Requests { memory, of, workspaces }
    }
    /// Offsets of the workspaces, and the arena's size; forms get their places.
    fn place(requests: Requests, places: &mut [Location]) -> (Vec<usize>, usize) {
        let (placed, arena) = requests.memory.solve();
        for (place, r) in places.iter_mut().zip(&requests.of) {
            if let Some(r) = *r {
                *place = Location::Arena(placed[r].offset);
            }
        }
        (requests.workspaces.into_iter().map(|w| w.map_or(0, |r| placed[r].offset)).collect(), arena)
    }

    /// Whether a call reads a form element by element only, under the extents and in the order of its first output.
    fn is_aligned(&self, c: &Call, f: FormId) -> bool {
        let Some(node) = c.node.map(|n| self.graph.node(n)) else { return false };
        let shape = |v: &ValueId| &self.shapes[v.0 as usize];
        let out = shape(&node.outputs[0]);
        let order = |f: FormId| &self.forms[f.at()].order;
        (node.inputs.iter().zip(&c.inputs))
            .all(|(v, &i)| i != f || (shape(v) == out && order(i) == order(c.outputs[0])))
    }

    /// New values of parameters that can be written where the old ones lie: the kernel works in place, reads the
    /// parameter element by element or not at all, and nothing reads the old value later.
    fn in_place_updates(&self, calls: &[Call], last_use: &[Option<usize>]) -> Vec<FormId> {
        let mut maker = vec![None; self.forms.len()];
        for (step, c) in calls.iter().enumerate().filter(|(_, c)| c.kernel.in_place()) {
            for o in &c.outputs {
                maker[o.at()] = Some(step);
            }
        }
        let mut found = Vec::new();
        for &(p, v) in self.graph.updates() {
            let (p, f) = (self.ends[&p], self.ends[&v]);
            let Some(step) = maker[f.at()] else { continue };
            let alone = self.graph.updates().iter().filter(|u| self.ends[&u.1] == f).count() == 1;
            let is_output = self.graph.outputs().iter().any(|o| self.ends[&o.1] == p);
            let old_is_done = last_use[p.at()].is_none_or(|l| l <= step);
            if old_is_done && alone && !is_output && self.bytes(p) == self.bytes(f) && self.is_aligned(&calls[step], p)
            {
                found.push(f);
            }
        }
        found
    }

    /// Forms in the arena that an in-place kernel reads as the last one, and so may overwrite.
    fn dying_inputs(&self, c: &Call, step: usize, last_use: &[Option<usize>], of: &[Option<usize>]) -> Vec<FormId> {
        let mut found: Vec<FormId> = Vec::new();
        for &f in c.inputs.iter().filter(|_| c.kernel.in_place()) {
            let dies = last_use[f.at()] == Some(step) && of[f.at()].is_some();
            if dies && !found.contains(&f) && self.is_aligned(c, f) {
                found.push(f);
            }
        }
        found
    }

    fn report(&self, n: usize, applied: Vec<gabor_compile::Applied>, laid: &Laid) -> Report {
        let g: &Graph = self.graph;
        let place = |f: &FormId| {
            let bytes = self.bytes(f);
            match laid.places[f.at()] {
                Location::Input(_) => "input".to_string(),
                Location::Parameter(i) => format!("parameter {}", g.value(self.parameters[i]).name),
                Location::Kept(at) => format!("kept {at}+{bytes}"),
                Location::Arena(at) => format!("arena {at}+{bytes}"),
                Location::Unplaced => "nowhere".to_string(),
            }
        };
        let row = |(c, _): &(Call, usize)| {
            let types = |ids: &[ValueId]| ids.iter().map(|&v| g.ty(v).clone()).collect::<Vec<_>>();
            let cost = |node: &gabor_graph::Node| node.operation.cost(&types(&node.inputs), &types(&node.outputs), n);
            let works = !c.kernel.work().phases().is_empty();
            NodeReport {
                node: c.name.clone(),
                kernel: c.candidate.clone(),
                refused: c.refused.clone(),
                places: c.outputs.iter().map(place).collect(),
                tasks: c.kernel.work().phases().iter().copied().max().unwrap_or(0),
                flops: c.node.filter(|_| works).map_or(0, |id| cost(g.node(id)).flops),
                bytes: c.inputs.iter().chain(&c.outputs).filter(|_| works).map(|f| self.bytes(f) as u64).sum(),
                prepared: c.fixed,
            }
        };
        Report {
            graph: self.graph.clone(),
            n,
            applied,
            nodes: laid.before.iter().chain(&laid.during).map(row).collect(),
            arena_bytes: laid.arena,
            value_bytes: laid.total,
            parameter_bytes: self.parameters.iter().map(|v| self.bytes(self.ends[v])).sum(),
            scratch_bytes: laid.scratch * 4,
            kept: self.kept(laid),
            peak: laid.peak.0.clone(),
            holders: laid.peak.1.clone(),
        }
    }
}
