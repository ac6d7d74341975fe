//! From nodes to kernel calls: which candidate computes each node, in which order values lie, and where they are copied
//! into another one.
//!
//! A value is made in the order in which its kernel writes it, its first *form*. A kernel that reads another order gets
//! another form of the same value: a reorder, or the packing of a filter, is a call of its own, made once for all its
//! readers. Nodes are asked front to back, so a layout spreads from convolutions over what follows them.

use crate::backend::CpuBackend;
use crate::joined::{Part, join};
use crate::kernel::{Io, Kernel, Order, Problem, Stored};
use crate::tune::Timed;
use gabor_compile::{CompileOptions, Error, Result};
use gabor_graph::ops::Reshape;
use gabor_graph::{Node, NodeId, Source, ValidGraph, ValueId};
use gabor_kernels::blocked::{Block, Blocked, Packing, Unblock};
use gabor_kernels::{Isa, SharedMut, Work};
use gabor_tensor::{DType, Rule};
use std::collections::HashMap;
use std::sync::Arc;

/// Number of a form. Those of inputs, parameters and constants are as good as the values themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FormId(pub u32);

impl FormId {
    /// As an index.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// A value in one order.
#[derive(Clone, Debug)]
pub struct Form {
    /// Elements, those that fill up blocks included.
    pub len: usize,
    /// Their type.
    pub dtype: DType,
    /// The order: empty for plain, `blocked`, or the key of a packing.
    pub order: String,
    /// Whether it depends on constants and parameters that no run changes alone.
    pub fixed: bool,
}

impl Form {
    /// Number of bytes.
    pub fn bytes(&self) -> usize {
        self.len * self.dtype.size()
    }
}

/// A kernel call before its values have places.
pub struct Call {
    /// The node, if it is not a reorder.
    pub node: Option<NodeId>,
    /// For people: the node's name, or what is reordered.
    pub name: String,
    /// What computes it.
    pub kernel: Box<dyn Kernel>,
    /// The candidate.
    pub candidate: String,
    /// Candidates that were asked before, and why they refused.
    pub refused: Vec<(String, String)>,
    /// Forms it reads.
    pub inputs: Vec<FormId>,
    /// Forms it writes.
    pub outputs: Vec<FormId>,
    /// Whether all it reads is fixed, so that it runs once.
    pub fixed: bool,
}

/// All calls of a graph in their order, and the forms they read and write.
pub struct Calls {
    /// Forms by number.
    pub forms: Vec<Form>,
    /// Calls in order.
    pub calls: Vec<Call>,
    /// The form of inputs, parameters, constants and of all values that something outside the calls reads: the plain one,
    /// but for feature maps of [`blocked_ends`](crate::CpuOptions::blocked_ends).
    pub ends: HashMap<ValueId, FormId>,
    /// Forms that lie in larger ones.
    pub parts: HashMap<FormId, Part>,
}

/// Chooses a kernel for every node.
pub fn choose(
    backend: &CpuBackend,
    graph: &ValidGraph,
    shapes: &[Vec<usize>],
    options: &CompileOptions,
) -> Result<Calls> {
    let mut read = vec![false; graph.values().len()];
    for v in graph.nodes().iter().flat_map(|n| &n.inputs) {
        read[v.0 as usize] = true;
    }
    for v in graph.outputs().iter().map(|o| o.1).chain(graph.updates().iter().map(|u| u.1)) {
        read[v.0 as usize] = true;
    }
    let mut c = Chooser {
        backend,
        graph,
        shapes,
        options,
        read,
        isa: backend.isa(),
        forms: Vec::new(),
        made: HashMap::new(),
        home: vec![FormId(u32::MAX); graph.values().len()],
        calls: Vec::new(),
    };
    let changes = |v| graph.updates().iter().any(|&(p, _)| p == v);
    for v in graph.value_ids() {
        let fixed = match graph.value(v).source {
            Source::Constant(_) => true,
            // Where there is one run only, what is made of parameters is made right where it is read, in memory of the
            // arena that the next layer takes again: less to clear, and still in the caches.
            Source::Parameter(_) => !options.once && !changes(v),
            Source::Input if c.is_blocked_end(v) => {
                c.add(v, Order::Blocked, false);
                continue;
            }
            Source::Input => false,
            Source::Node(..) => continue,
        };
        c.add(v, Order::Plain, fixed);
    }
    for (i, node) in graph.nodes().iter().enumerate() {
        match node.op::<Reshape>() {
            Some(_) => c.reshape(node),
            None => c.node(NodeId(i as u32), node)?,
        }
    }
    let mut ends = HashMap::new();
    let outside = graph.outputs().iter().map(|o| o.1).chain(graph.updates().iter().flat_map(|u| [u.0, u.1]));
    let sources = graph.value_ids().filter(|&v| !matches!(graph.value(v).source, Source::Node(..)));
    for v in outside.chain(sources) {
        let order = if c.is_blocked_end(v) { Order::Blocked } else { Order::Plain };
        ends.insert(v, c.form(v, &order));
    }
    let parts = join(graph, shapes, c.forms.len(), &mut c.calls, &ends);
    Ok(Calls { forms: c.forms, calls: c.calls, ends, parts })
}

struct Chooser<'a> {
    backend: &'a CpuBackend,
    graph: &'a ValidGraph,
    shapes: &'a [Vec<usize>],
    options: &'a CompileOptions,
    read: Vec<bool>,
    isa: Isa,
    forms: Vec<Form>,
    /// Forms by value and order.
    made: HashMap<(ValueId, String), FormId>,
    /// The form in which each value was made.
    home: Vec<FormId>,
    calls: Vec<Call>,
}

const PLAIN: &str = "";
const BLOCKED: &str = "blocked";

fn key(order: &Order) -> String {
    match order {
        Order::Plain => PLAIN.into(),
        Order::Blocked => BLOCKED.into(),
        Order::Packed(p) => p.key(),
    }
}

impl Chooser<'_> {
    fn shape(&self, v: ValueId) -> &[usize] {
        &self.shapes[v.0 as usize]
    }
    /// The extents of a value in blocked order, if it can be in one.
    fn blocked(&self, v: ValueId) -> Option<Blocked> {
        Blocked::new(self.shape(v)).filter(|_| self.graph.ty(v).dtype.size() == 4)
    }
    /// Whether the value is given or taken in blocked order: a feature map in which blocks leave no gaps.
    fn is_blocked_end(&self, v: ValueId) -> bool {
        let len = self.shape(v).iter().product();
        let is_map = || self.graph.ty(v).shape.is_batched() && self.blocked(v).is_some_and(|b| b.len() == len);
        self.backend.options().blocked_ends && is_map()
    }
    /// A new form of a value, its first one if it has none.
    fn add(&mut self, v: ValueId, order: Order, fixed: bool) -> FormId {
        let len = match &order {
            Order::Plain => self.shape(v).iter().product(),
            Order::Blocked => self.blocked(v).map_or(0, |b| b.len()),
            Order::Packed(p) => p.packed_len(),
        };
        let id = FormId(self.forms.len() as u32);
        let order = key(&order);
        self.forms.push(Form { len, dtype: self.graph.ty(v).dtype, order: order.clone(), fixed });
        self.note(v, &order, id);
        id
    }
    /// Remembers a form, in both orders where they are the same.
    fn note(&mut self, v: ValueId, order: &str, id: FormId) {
        let home = &mut self.home[v.0 as usize];
        if home.0 == u32::MAX {
            *home = id;
        }
        self.made.insert((v, order.to_string()), id);
        if (order == PLAIN || order == BLOCKED) && self.blocked(v).is_some_and(|b| b.is_plain()) {
            for o in [PLAIN, BLOCKED] {
                self.made.entry((v, o.to_string())).or_insert(id);
            }
        }
    }
    fn stored(&self, v: ValueId) -> Stored {
        let has = |o: &str| self.made.contains_key(&(v, o.to_string()));
        match (has(PLAIN), has(BLOCKED)) {
            (true, true) => Stored::Either,
            (false, true) => Stored::Blocked,
            _ => Stored::Plain,
        }
    }
    /// A value in the given order, reordered if it is not yet there.
    fn form(&mut self, v: ValueId, order: &Order) -> FormId {
        if let Some(&f) = self.made.get(&(v, key(order))) {
            return f;
        }
        let (from, kernel): (FormId, Box<dyn Kernel>) = match (order, self.blocked(v)) {
            (Order::Plain, Some(b)) => (self.home[v.0 as usize], Box::new(Unpack(Unblock::new(b, self.isa)))),
            (Order::Blocked, Some(b)) => {
                (self.form(v, &Order::Plain), Box::new(Pack(Arc::new(Block::new(b, self.isa)))))
            }
            (Order::Packed(p), _) => (self.form(v, &Order::Plain), Box::new(Pack(p.clone()))),
            // Values of one dimension are only ever plain.
            (_, None) => return self.home[v.0 as usize],
        };
        let fixed = self.forms[from.at()].fixed;
        let to = self.add(v, order.clone(), fixed);
        let key = key(order);
        // The first word of a packing's key says what it is; its numbers are for the plan alone.
        let what = if key == PLAIN { "plain" } else { key.split([' ', '(']).next().unwrap_or(BLOCKED) };
        self.calls.push(Call {
            node: None,
            name: format!("{} → {what}", self.graph.value(v).name),
            kernel,
            candidate: format!("reorder.{what}"),
            refused: Vec::new(),
            inputs: vec![from],
            outputs: vec![to],
            fixed,
        });
        to
    }
    /// A reshape shares the memory of its input's plain form.
    fn reshape(&mut self, node: &Node) {
        let f = self.form(node.inputs[0], &Order::Plain);
        self.note(node.outputs[0], PLAIN, f);
    }

    /// The first of those that accept, or the fastest where the clock decides; the others go to those that were refused.
    fn pick(
        &self,
        problem: &Problem<'_>,
        mut found: Vec<(&'static str, Box<dyn Kernel>)>,
        refused: &mut Vec<(String, String)>,
    ) -> Option<(&'static str, Box<dyn Kernel>)> {
        let mut at = 0;
        if let Some(tuning) = self.backend.options().tune.as_ref().filter(|_| found.len() > 1) {
            let timed: Vec<Timed<'_>> = found.iter().map(|(name, k)| self.timed(problem, name, &**k)).collect();
            if let Some((best, seconds)) = tuning.fastest(problem, self.backend.threads(), &timed) {
                at = best;
                for (i, (name, _)) in found.iter().enumerate().filter(|(i, _)| *i != best) {
                    let reason = match (seconds.get(i), seconds.get(best)) {
                        (Some(this), Some(best)) => {
                            format!("measured: {:.3} ms, the chosen one {:.3} ms", this * 1e3, best * 1e3)
                        }
                        _ => "slower when it was measured".to_string(),
                    };
                    refused.push((name.to_string(), reason));
                }
            }
        }
        (at < found.len()).then(|| found.swap_remove(at))
    }
    /// A candidate with the lengths of the forms that it reads and writes.
    fn timed<'k>(&self, p: &Problem<'_>, name: &'static str, kernel: &'k dyn Kernel) -> Timed<'k> {
        let len = |v: ValueId, order: &Order| match order {
            Order::Plain => self.shape(v).iter().product(),
            Order::Blocked => self.blocked(v).map_or(0, |b| b.len()),
            Order::Packed(p) => p.packed_len(),
        };
        let dtype = |v: ValueId| self.graph.ty(v).dtype;
        let orders: Vec<Order> = (0..p.node.inputs.len()).map(|i| kernel.reads(i)).collect();
        let inputs: Vec<(usize, DType)> =
            p.node.inputs.iter().zip(&orders).map(|(&v, o)| (len(v, o), dtype(v))).collect();
        let is_missing = |i: &usize| !p.fixed[*i] && !self.made.contains_key(&(p.node.inputs[*i], key(&orders[*i])));
        let reordered = (0..orders.len()).filter(is_missing).map(|i| inputs[i].0 * inputs[i].1.size()).sum();
        let order = |i: usize| if kernel.writes_blocked(i) { Order::Blocked } else { Order::Plain };
        let outputs = p.node.outputs.iter().enumerate().map(|(i, &o)| (len(o, &order(i)), dtype(o))).collect();
        Timed { name, kernel, inputs, outputs, reordered }
    }

    /// The first candidate that accepts the node, with the reasons of those asked before.
    fn node(&mut self, id: NodeId, node: &Node) -> Result<()> {
        let extents = |ids: &[ValueId]| ids.iter().map(|&v| self.shape(v).to_vec()).collect();
        let fixed: Vec<bool> = node.inputs.iter().map(|v| self.forms[self.home[v.0 as usize].at()].fixed).collect();
        let problem = Problem {
            node,
            inputs: extents(&node.inputs),
            outputs: extents(&node.outputs),
            stored: node.inputs.iter().map(|&v| self.stored(v)).collect(),
            fixed: fixed.clone(),
            read: node.outputs.iter().map(|o| self.read[o.0 as usize]).collect(),
            strict: self.options.strict || self.backend.options().strict,
            winograd: self.backend.options().winograd,
            isa: self.isa,
        };
        let mut refused = Vec::new();
        let mut found: Vec<(&'static str, Box<dyn Kernel>)> = Vec::new();
        for c in self.backend.candidates(node.operation.name()) {
            if self.backend.options().refuse.iter().any(|r| c.name.starts_with(r.as_str())) {
                refused.push((c.name.to_string(), "refused by option".to_string()));
                continue;
            }
            match (c.prepare)(&problem) {
                // A reference is there for what nothing else computes.
                Ok(_) if !found.is_empty() && c.name.ends_with(".reference") => break,
                Ok(kernel) => {
                    found.push((c.name, kernel));
                    if self.backend.options().tune.is_none() {
                        break;
                    }
                }
                Err(reason) => refused.push((c.name.to_string(), reason)),
            }
        }
        let Some((name, kernel)) = self.pick(&problem, found, &mut refused) else {
            let rule = Rule::new(format!(
                "the CPU backend has no kernel for the operation `{}`{}",
                node.operation.name(),
                refused.iter().map(|(c, r)| format!("; {c}: {r}")).collect::<String>()
            ));
            return Err(Error::new(&node.name, rule.right("a decomposition, or a candidate of your own")));
        };
        let inputs = node.inputs.iter().enumerate().map(|(i, &v)| self.form(v, &kernel.reads(i))).collect();
        let fixed = !fixed.is_empty() && fixed.iter().all(|&f| f);
        let order = |i| if kernel.writes_blocked(i) { Order::Blocked } else { Order::Plain };
        let outputs = node.outputs.iter().enumerate().map(|(i, &o)| self.add(o, order(i), fixed)).collect();
        self.calls.push(Call {
            node: Some(id),
            name: node.name.clone(),
            kernel,
            candidate: name.to_string(),
            refused,
            inputs,
            outputs,
            fixed,
        });
        Ok(())
    }
}

/// A packing as a kernel.
struct Pack(Arc<dyn Packing>);

impl Kernel for Pack {
    fn work(&self) -> &dyn Work {
        &*self.0
    }
    unsafe fn run(&self, phase: usize, task: usize, io: &Io<'_>, workspace: SharedMut<'_, f32>, scratch: &mut [f32]) {
        // SAFETY: the same contract.
        unsafe { self.0.pack(phase, task, io.bits(0), io.out_bits(0), workspace, scratch) }
    }
}

/// From blocked to plain order as a kernel.
struct Unpack(Unblock);

impl Kernel for Unpack {
    fn work(&self) -> &dyn Work {
        &self.0
    }
    unsafe fn run(&self, _phase: usize, task: usize, io: &Io<'_>, _w: SharedMut<'_, f32>, scratch: &mut [f32]) {
        // SAFETY: the same contract.
        unsafe { self.0.run(task, io.bits(0), io.out_bits(0), scratch) }
    }
}
