//! From a graph at one batch size to a list of kernel calls on places in memory.

use crate::backend::CpuBackend;
use crate::buffer::is_supported;
use crate::kernel::{Kernel, Problem};
use gabor_compile::{CompileOptions, Error, MemoryPlan, NodeReport, Report, Result, optimise, rules};
use gabor_graph::ops::Reshape;
use gabor_graph::{Graph, Node, NodeId, Source, ValidGraph, ValueId};
use gabor_tensor::Rule;

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
    /// The node.
    pub node: NodeId,
    /// What computes it.
    pub kernel: Box<dyn Kernel>,
    /// Values it reads, aliases resolved.
    pub inputs: Vec<ValueId>,
    /// Values it writes.
    pub outputs: Vec<ValueId>,
    /// Arena offset of the kernel's workspace.
    pub workspace: usize,
}

/// A graph, ready to run at one batch size.
pub struct Plan {
    /// The rewritten graph.
    pub graph: ValidGraph,
    /// Extents of every value.
    pub shapes: Vec<Vec<usize>>,
    /// Place of every value.
    pub places: Vec<Location>,
    /// Steps that run when parameters have changed.
    pub prepared: Vec<Step>,
    /// Steps of every run.
    pub steps: Vec<Step>,
    /// After the steps: outputs that are an input, outputs and updates that are the old value of a parameter, and
    /// where they are kept.
    pub echoes: Vec<(ValueId, usize)>,
    /// After that: parameters that are copied from a value.
    pub copies: Vec<(usize, ValueId)>,
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
        let (graph, applied) = optimise(graph.clone(), n, &supports, &rules::standard(options.fuse))?;
        check_sizes(&graph, n)?;
        for v in graph.value_ids() {
            let value = graph.value(v);
            if !is_supported(value.ty.dtype) {
                let rule = Rule::new(format!("the CPU backend does not compute with {}", value.ty.dtype));
                return Err(Error::new(&value.name, rule.right("f32, i32 or u8")));
            }
        }
        let shapes: Vec<Vec<usize>> = graph.value_ids().map(|v| graph.shape(v).at(n)).collect();
        let mut draft = Draft::new(&graph, &shapes);
        let chosen = draft.choose(backend)?;
        draft.lay_out(chosen, n, applied)
    }
    /// Where a value that is an input or an old parameter is kept.
    pub fn echo(&self, v: ValueId) -> Option<usize> {
        self.echoes.iter().find(|e| self.places[e.0.0 as usize] == self.places[v.0 as usize]).map(|e| e.1)
    }
    /// Number of elements of a value.
    pub fn len(&self, v: ValueId) -> usize {
        self.shapes[v.0 as usize].iter().product()
    }
}

/// No value is so large that the number of its bytes overflows: addresses are computed from these numbers.
fn check_sizes(graph: &Graph, n: usize) -> Result<()> {
    let check = |v: &gabor_graph::Value| v.ty.shape.check_len_at(n).map_err(|r| Error::new(&v.name, r));
    graph.values().iter().try_for_each(check)
}

struct Chosen {
    node: NodeId,
    kernel: Box<dyn Kernel>,
    name: &'static str,
    refused: Vec<(String, String)>,
}

struct Draft<'a> {
    graph: &'a ValidGraph,
    shapes: &'a [Vec<usize>],
    /// The value whose memory a reshape shares.
    root: Vec<ValueId>,
    /// Whether a value depends on constants and parameters that no run changes alone.
    fixed: Vec<bool>,
    parameters: Vec<ValueId>,
}

impl<'a> Draft<'a> {
    fn new(graph: &'a ValidGraph, shapes: &'a [Vec<usize>]) -> Self {
        let mut root: Vec<ValueId> = graph.value_ids().collect();
        let parameters: Vec<ValueId> = graph.parameters().map(|(v, _)| v).collect();
        let changes = |v| graph.updates().iter().any(|&(p, _)| p == v);
        let mut fixed: Vec<bool> = (graph.value_ids())
            .map(|v| match graph.value(v).source {
                Source::Constant(_) => true,
                Source::Parameter(_) => !changes(v),
                _ => false,
            })
            .collect();
        for node in graph.nodes() {
            let all_fixed = !node.inputs.is_empty() && node.inputs.iter().all(|v| fixed[v.0 as usize]);
            for &o in &node.outputs {
                fixed[o.0 as usize] = all_fixed;
            }
            if node.op::<Reshape>().is_some() {
                root[node.outputs[0].0 as usize] = root[node.inputs[0].0 as usize];
            }
        }
        Draft { graph, shapes, root, fixed, parameters }
    }

    fn root(&self, v: ValueId) -> ValueId {
        self.root[v.0 as usize]
    }
    fn bytes(&self, v: ValueId) -> usize {
        self.shapes[v.0 as usize].iter().product::<usize>() * self.graph.ty(v).dtype.size()
    }

    /// The first candidate that accepts each node, with the reasons of those asked before.
    fn choose(&self, backend: &CpuBackend) -> Result<Vec<Chosen>> {
        let mut all = Vec::new();
        for (i, node) in self.graph.nodes().iter().enumerate() {
            if node.op::<Reshape>().is_some() {
                continue;
            }
            let extents = |ids: &[ValueId]| ids.iter().map(|v| self.shapes[v.0 as usize].clone()).collect();
            let problem =
                Problem { node, inputs: extents(&node.inputs), outputs: extents(&node.outputs), isa: backend.isa() };
            let mut refused = Vec::new();
            let mut found = None;
            for c in backend.candidates(node.operation.name()) {
                if backend.options().refuse.iter().any(|r| c.name.starts_with(r.as_str())) {
                    refused.push((c.name.to_string(), "refused by option".to_string()));
                    continue;
                }
                match (c.prepare)(&problem) {
                    Ok(kernel) => {
                        found = Some((c.name, kernel));
                        break;
                    }
                    Err(reason) => refused.push((c.name.to_string(), reason)),
                }
            }
            let Some((name, kernel)) = found else {
                let rule = Rule::new(format!(
                    "the CPU backend has no kernel for the operation `{}`{}",
                    node.operation.name(),
                    refused.iter().map(|(c, r)| format!("; {c}: {r}")).collect::<String>()
                ));
                return Err(Error::new(&node.name, rule.right("a decomposition, or a candidate of your own")));
            };
            all.push(Chosen { node: NodeId(i as u32), kernel, name, refused });
        }
        Ok(all)
    }

    fn lay_out(&mut self, chosen: Vec<Chosen>, n: usize, applied: Vec<gabor_compile::Applied>) -> Result<Plan> {
        let graph = self.graph;
        let count = graph.values().len();
        let mut places = vec![Location::Unplaced; count];
        for (i, v) in graph.inputs().enumerate() {
            places[v.0 as usize] = Location::Input(i);
        }
        for (i, v) in self.parameters.iter().enumerate() {
            places[v.0 as usize] = Location::Parameter(i);
        }
        // The plan's own memory: constants and prepared values, one after the other.
        let mut kept = 0;
        let mut keep = |bytes: usize| {
            let at = kept;
            kept += bytes.next_multiple_of(64).max(64);
            Location::Kept(at)
        };
        for v in graph.value_ids() {
            if matches!(graph.value(v).source, Source::Constant(_)) {
                places[v.0 as usize] = keep(self.bytes(v));
            }
        }
        let is_prepared = |node: &Node| self.fixed[node.outputs[0].0 as usize];
        let (before, during): (Vec<Chosen>, Vec<Chosen>) =
            chosen.into_iter().partition(|c| is_prepared(graph.node(c.node)));
        for c in &before {
            for &o in &graph.node(c.node).outputs {
                places[o.0 as usize] = keep(self.bytes(o));
            }
        }

        let mut echoes: Vec<(ValueId, usize)> = Vec::new();
        let changes = |v| graph.updates().iter().any(|&(p, _)| p == v);
        let named = graph.outputs().iter().map(|o| (self.root(o.1), true));
        // A parameter that takes the old value of another one, which may be overwritten before.
        let crossing = graph.updates().iter().map(|&(p, v)| (self.root(v), p)).filter(|&(v, p)| v != p);
        for (v, is_output) in named.chain(crossing.map(|(v, _)| (v, false))) {
            let passes = match places[v.0 as usize] {
                Location::Input(_) => is_output,
                Location::Parameter(_) => changes(v),
                _ => false,
            };
            if passes
                && !echoes.iter().any(|e| e.0 == v)
                && let Location::Kept(at) = keep(self.bytes(v))
            {
                echoes.push((v, at));
            }
        }

        let end = during.len();
        let last_use = self.last_uses(&during, end);
        let in_place_updates = self.in_place_updates(&during, &last_use);
        let mut copies = Vec::new();
        for &(p, v) in graph.updates() {
            let (number, v) = (self.parameter(p), self.root(v));
            match in_place_updates.iter().find(|u| u.0 == v) {
                Some(_) => places[v.0 as usize] = Location::Parameter(number),
                None => copies.push((number, v)),
            }
        }

        // The arena: every value from the step that makes it to the last that reads it.
        let mut memory = MemoryPlan::new();
        let mut request = vec![None; count];
        let mut workspaces = Vec::new();
        for (step, c) in during.iter().enumerate() {
            let node = graph.node(c.node);
            let mut reusable = self.dying_inputs(c, step, &last_use, &places, &request);
            for &o in &node.outputs {
                let i = o.0 as usize;
                if places[i] != Location::Unplaced {
                    continue;
                }
                let last = last_use[i].unwrap_or(step);
                let same = reusable.iter().position(|&v| self.bytes(v) == self.bytes(o));
                request[i] = Some(match same.map(|s| reusable.remove(s)) {
                    Some(v) => {
                        let r = request[v.0 as usize].unwrap_or_default();
                        memory.extend(r, last);
                        r
                    }
                    None => memory.request(self.bytes(o), step, last),
                });
            }
            let w = c.kernel.work().workspace_len();
            workspaces.push((w > 0).then(|| memory.request(w * 4, step, step)));
        }
        let (placed, arena) = memory.solve();
        for (v, r) in request.iter().enumerate() {
            if let Some(r) = *r {
                places[v] = Location::Arena(placed[r].offset);
            }
        }
        for v in graph.value_ids() {
            places[v.0 as usize] = places[self.root(v).0 as usize];
        }

        let scratch = before.iter().chain(&during).map(|c| c.kernel.work().scratch_len()).max().unwrap_or(0);
        // Prepared steps run before all others, so their workspace may lie anywhere in the arena.
        let prepared_space = before.iter().map(|c| c.kernel.work().workspace_len() * 4).max().unwrap_or(0);
        let updated: Vec<usize> = graph.updates().iter().map(|&(p, _)| self.parameter(p)).collect();
        let mut prepared_from: Vec<usize> = (before.iter().flat_map(|c| &graph.node(c.node).inputs))
            .filter_map(|&v| self.parameters.iter().position(|&p| p == self.root(v)))
            .collect();
        prepared_from.sort_unstable();
        prepared_from.dedup();

        let report = self.report(n, applied, &before, &during, &places, (arena, memory.total(), scratch));
        let step = |c: Chosen, workspace: usize| {
            let node = graph.node(c.node);
            let inputs = node.inputs.iter().map(|&v| self.root(v)).collect();
            Step { node: c.node, kernel: c.kernel, inputs, outputs: node.outputs.clone(), workspace }
        };
        let prepared = before.into_iter().map(|c| step(c, 0)).collect();
        let offsets = workspaces.into_iter().map(|w| w.map_or(0, |r| placed[r].offset));
        let steps = during.into_iter().zip(offsets).map(|(c, w)| step(c, w)).collect();
        Ok(Plan {
            graph: graph.clone(),
            shapes: self.shapes.to_vec(),
            places,
            prepared,
            steps,
            echoes,
            copies,
            updated,
            prepared_from,
            parameters: self.parameters.iter().map(|&v| graph.value(v).name.clone()).collect(),
            arena: arena.max(prepared_space),
            kept,
            scratch,
            report,
        })
    }

    fn parameter(&self, v: ValueId) -> usize {
        self.parameters.iter().position(|&p| p == v).unwrap_or(usize::MAX)
    }

    /// The last step that reads each value, by its root; outputs and updates are read at the end.
    fn last_uses(&self, steps: &[Chosen], end: usize) -> Vec<Option<usize>> {
        let mut last = vec![None; self.graph.values().len()];
        for (step, c) in steps.iter().enumerate() {
            for &v in &self.graph.node(c.node).inputs {
                last[self.root(v).0 as usize] = Some(step);
            }
        }
        for v in self.graph.outputs().iter().map(|o| o.1).chain(self.graph.updates().iter().map(|u| u.1)) {
            last[self.root(v).0 as usize] = Some(end);
        }
        last
    }

    /// New values of parameters that can be written where the old ones lie: the kernel works in place, reads the
    /// parameter element by element or not at all, and nothing reads the old value later.
    fn in_place_updates(&self, steps: &[Chosen], last_use: &[Option<usize>]) -> Vec<(ValueId, usize)> {
        let mut found: Vec<(ValueId, usize)> = Vec::new();
        for &(p, v) in self.graph.updates() {
            let v = self.root(v);
            let Source::Node(node, _) = self.graph.value(v).source else { continue };
            let Some(step) = steps.iter().position(|c| c.node == node) else { continue };
            let c = &steps[step];
            let same_shape = |i: &ValueId| self.root(*i) != p || self.shapes[i.0 as usize] == self.shapes[v.0 as usize];
            let alone = self.graph.updates().iter().filter(|u| self.root(u.1) == v).count() == 1;
            let is_output = self.graph.outputs().iter().any(|o| self.root(o.1) == p);
            let old_is_done = last_use[p.0 as usize].is_none_or(|l| l <= step);
            if c.kernel.in_place()
                && old_is_done
                && alone
                && !is_output
                && self.shapes[v.0 as usize] == self.shapes[p.0 as usize]
                && self.graph.node(node).inputs.iter().all(same_shape)
            {
                found.push((v, step));
            }
        }
        found
    }

    /// Arena values that an in-place kernel reads as the last one, and so may overwrite.
    fn dying_inputs(
        &self,
        c: &Chosen,
        step: usize,
        last_use: &[Option<usize>],
        places: &[Location],
        request: &[Option<usize>],
    ) -> Vec<ValueId> {
        if !c.kernel.in_place() {
            return Vec::new();
        }
        let node = self.graph.node(c.node);
        let out = &self.shapes[node.outputs[0].0 as usize];
        let mut found: Vec<ValueId> = Vec::new();
        for &i in &node.inputs {
            let v = self.root(i);
            let at = v.0 as usize;
            // Every use of that memory here must be element by element, under the output's own extents.
            let aligned = node.inputs.iter().all(|&j| self.root(j) != v || &self.shapes[j.0 as usize] == out);
            let dies = last_use[at] == Some(step) && places[at] == Location::Unplaced && request[at].is_some();
            let shared = request
                .iter()
                .enumerate()
                .any(|(o, r)| o != at && *r == request[at] && r.is_some() && last_use[o].is_some_and(|l| l > step));
            if dies && aligned && !shared && !found.contains(&v) {
                found.push(v);
            }
        }
        found
    }

    fn report(
        &self,
        n: usize,
        applied: Vec<gabor_compile::Applied>,
        before: &[Chosen],
        during: &[Chosen],
        places: &[Location],
        (arena, total, scratch): (usize, usize, usize),
    ) -> Report {
        let g: &Graph = self.graph;
        let place = |v: ValueId| match places[self.root(v).0 as usize] {
            Location::Input(_) => "input".to_string(),
            Location::Parameter(i) => format!("parameter {}", g.value(self.parameters[i]).name),
            Location::Kept(at) => format!("kept {at}+{}", self.bytes(v)),
            Location::Arena(at) => format!("arena {at}+{}", self.bytes(v)),
            Location::Unplaced => "nowhere".to_string(),
        };
        let row = |c: &Chosen, prepared| {
            let node = g.node(c.node);
            let types = |ids: &[ValueId]| ids.iter().map(|&v| g.ty(v).clone()).collect::<Vec<_>>();
            NodeReport {
                node: node.name.clone(),
                kernel: c.name.to_string(),
                refused: c.refused.clone(),
                places: node.outputs.iter().map(|&o| place(o)).collect(),
                tasks: c.kernel.work().phases().iter().copied().max().unwrap_or(0),
                flops: node.operation.cost(&types(&node.inputs), &types(&node.outputs), n).flops,
                prepared,
            }
        };
        Report {
            graph: self.graph.clone(),
            n,
            applied,
            nodes: before.iter().map(|c| row(c, true)).chain(during.iter().map(|c| row(c, false))).collect(),
            arena_bytes: arena,
            value_bytes: total,
            parameter_bytes: self.parameters.iter().map(|&v| self.bytes(v)).sum(),
            scratch_bytes: scratch * 4,
        }
    }
}
