//! Running plans.

use crate::backend::CpuBackend;
use crate::buffer::{Buffer, start_of};
use crate::forms::FormId;
use crate::kernel::Slot;
use crate::parameters::{Layout, Parameter, Place};
use crate::plan::{Location, Plan};
use crate::pool::Pool;
use crate::stage::{self, Staged};
use crate::steps::execute;
use gabor_compile::{CompileOptions, Error, Executable, Program, Report, Result, View};
use gabor_graph::{Source, ValueId};
use gabor_tensor::{DType, Rule, Tensor, Unread};
use std::collections::HashMap;
use std::time::Instant;

/// A compiled program on the CPU.
pub struct CpuExecutable {
    backend: CpuBackend,
    options: CompileOptions,
    program: Program,
    pool: Pool,
    parameters: Vec<Parameter>,
    /// Parameters of their own place, one after the other: few pages of the large kind, not many small ones.
    values: Buffer,
    by_name: HashMap<String, usize>,
    plans: Vec<Ready>,
    /// Which plan serves an entry at a batch size.
    plan_of: HashMap<(usize, usize), usize>,
    arena: Buffer,
    scratch: Buffer,
    /// Where the parameters of a step lie that waited for it.
    stage: Buffer,
    /// The plan of the last run, whose outputs lie in the arena.
    last: Option<usize>,
}

/// A plan with its own memory and the addresses of its values.
struct Ready {
    plan: Plan,
    /// What is its own; empty until it is reserved.
    kept: Buffer,
    reserved: bool,
    /// Address of every value; inputs are filled in by each run.
    slots: Vec<Slot>,
    /// Per step the slots of its inputs and outputs, in the order of the steps.
    step_slots: Vec<(Vec<Slot>, Vec<Slot>)>,
    prepared_slots: Vec<(Vec<Slot>, Vec<Slot>)>,
    /// Where each input of the graph appears: step and position.
    input_uses: Vec<Vec<(usize, usize)>>,
    inputs: Vec<(String, ValueId)>,
    /// Number of each graph parameter in the executable.
    parameters: Vec<usize>,
    /// Parameters that wait for their step, in the order of the steps.
    staged: Vec<Staged>,
    /// Versions of the parameters that prepared values were made from.
    seen: Vec<u64>,
    /// Whether the prepared steps have run; what they made lies in the plan's own memory and stays.
    prepared: bool,
    /// Base of the arena when the addresses were computed.
    arena_base: *mut u8,
    /// Whether a shared parameter has moved since.
    moved: bool,
}

// SAFETY: the addresses point into buffers and tensors that the executable owns, or into inputs during a run; they are
// used by the thread that runs the executable and by the pool's threads while it waits for them.
unsafe impl Send for CpuExecutable {}

impl CpuExecutable {
    pub fn new(backend: CpuBackend, program: &Program, options: CompileOptions) -> Result<Self> {
        let Layout { parameters, by_name, bytes } = Layout::of(program);
        let values = Buffer::new(bytes).map_err(|r| Error::new("parameters", r))?;
        let pool = Pool::new(backend.threads());
        Ok(CpuExecutable {
            backend,
            options,
            program: program.clone(),
            pool,
            parameters,
            values,
            by_name,
            plans: Vec::new(),
            plan_of: HashMap::new(),
            arena: Buffer::default(),
            scratch: Buffer::default(),
            stage: Buffer::default(),
            last: None,
        })
    }

    /// The plan for an entry and batch size, made at its first use; without its memory, so that it can be looked at where
    /// there is not enough.
    fn plan(&mut self, entry: usize, n: usize) -> Result<usize> {
        if let Some(&at) = self.plan_of.get(&(entry, n)) {
            return Ok(at);
        }
        let Some((name, graph)) = self.program.entries().get(entry) else {
            let rule = Rule::new(format!("there is no entry {entry}"))
                .right(format!("below {}", self.program.entries().len()));
            return Err(Error::new("program", rule));
        };
        if n == 0 {
            return Err(Error::new(name, Rule::new("a batch of 0").right("at least 1")));
        }
        let plan = Plan::new(&self.backend, graph, n, &self.options)?;
        let inputs: Vec<_> = plan.graph.inputs().map(|v| (plan.graph.value(v).name.clone(), v)).collect();
        let parameters: Vec<usize> = plan.parameters.iter().map(|name| self.by_name[name]).collect();
        let seen = vec![0; plan.prepared_from.len()];
        let mut input_uses = vec![Vec::new(); inputs.len()];
        for (s, step) in plan.steps.iter().enumerate() {
            for (i, f) in step.inputs.iter().enumerate() {
                if let Location::Input(k) = plan.places[f.at()] {
                    input_uses[k].push((s, i));
                }
            }
        }
        let ready = Ready {
            plan,
            kept: Buffer::default(),
            reserved: false,
            slots: Vec::new(),
            step_slots: Vec::new(),
            prepared_slots: Vec::new(),
            input_uses,
            inputs,
            parameters,
            staged: Vec::new(),
            seen,
            prepared: false,
            arena_base: std::ptr::null_mut(),
            moved: true,
        };
        self.plans.push(ready);
        self.plan_of.insert((entry, n), self.plans.len() - 1);
        Ok(self.plans.len() - 1)
    }

    /// Gives a plan its memory: the arena and the working memory that all share, and what is its own, with the constants.
    fn reserve(&mut self, entry: usize, at: usize) -> Result<()> {
        let ready = &mut self.plans[at];
        let plan = &ready.plan;
        let out_of_memory = |r: Rule| Error::new(&self.program.entries()[entry].0, r);
        // Each time: a larger plan that did not get its memory has left none.
        if plan.arena > self.arena.len() {
            // Outputs of the last run go with it.
            self.last = None;
        }
        self.arena.grow(plan.arena, &mut self.pool).map_err(out_of_memory)?;
        let scratch = (plan.scratch * 4).next_multiple_of(64) * self.pool.threads();
        if scratch > self.scratch.len() {
            self.scratch = Buffer::new(scratch).map_err(out_of_memory)?;
        }
        if ready.reserved {
            return Ok(());
        }
        for (&p, name) in ready.parameters.iter().zip(&plan.parameters) {
            let p = &mut self.parameters[p];
            if matches!(p.place, Place::Shared(None)) {
                p.place = Place::Shared(Some(p.zeros().map_err(|r| Error::new(name, r))?));
            }
        }
        let mut kept = Buffer::touched(plan.kept, &mut self.pool).map_err(out_of_memory)?;
        for v in plan.graph.value_ids() {
            if let Source::Constant(t) = &plan.graph.value(v).source
                && let Location::Kept(at) = plan.places[plan.ends[&v].at()]
            {
                let bytes = t.len() * t.dtype().size();
                // SAFETY: the plan reserved that many bytes there for this constant.
                unsafe { std::ptr::copy_nonoverlapping(start_of(t), kept.at(at), bytes) };
            }
        }
        (ready.kept, ready.reserved) = (kept, true);
        Ok(())
    }

    /// Finds out which parameters of a plan wait for their step, if any has moved, and reads the others that are unread.
    fn stage(&mut self, entry: usize, at: usize) -> Result<()> {
        let ready = &mut self.plans[at];
        if !ready.moved {
            return Ok(());
        }
        let (staged, bytes) = stage::staged(&ready.plan, &ready.parameters, &mut self.parameters)?;
        ready.staged = staged;
        if bytes > self.stage.len() {
            // Before it grows: where there is no memory, the old stage is gone, too.
            self.plans.iter_mut().for_each(|p| p.moved = true);
        }
        self.stage.grow(bytes, &mut self.pool).map_err(|r| Error::new(&self.program.entries()[entry].0, r))
    }

    /// Computes the addresses of a plan's values anew if the arena or a parameter has moved.
    fn resolve(&mut self, at: usize) {
        let base = self.arena.at(0);
        let ready = &mut self.plans[at];
        if ready.arena_base == base && !ready.moved {
            return;
        }
        let plan = &ready.plan;
        let dangling = std::ptr::NonNull::<u64>::dangling().as_ptr().cast();
        ready.slots = (plan.forms.iter().zip(&plan.places).enumerate())
            .map(|(f, (form, place))| {
                let start = match *place {
                    Location::Input(_) | Location::Unplaced => dangling,
                    Location::Parameter(p) => match &self.parameters[ready.parameters[p]].place {
                        Place::Own(at) => self.values.at(*at),
                        // Never written to: no graph of the program updates it.
                        Place::Shared(Some(t)) => start_of(t).cast_mut(),
                        Place::Shared(None) | Place::Unread(_) => dangling,
                    },
                    Location::Kept(offset) => ready.kept.at(offset),
                    Location::Arena(offset) => self.arena.at(offset),
                };
                let len = plan.parts.get(&FormId(f as u32)).map_or(form.len, |p| p.span);
                Slot { start, len, dtype: form.dtype }
            })
            .collect();
        let slots = &ready.slots;
        let of = |ids: &[FormId]| ids.iter().map(|f| slots[f.at()]).collect::<Vec<_>>();
        ready.step_slots = plan.steps.iter().map(|s| (of(&s.inputs), of(&s.outputs))).collect();
        ready.prepared_slots = plan.prepared.iter().map(|s| (of(&s.inputs), of(&s.outputs))).collect();
        for s in &ready.staged {
            ready.step_slots[s.step].0[s.input].start = self.stage.at(s.offset);
        }
        if ready.arena_base != base {
            ready.seen.fill(0);
        }
        (ready.arena_base, ready.moved) = (base, false);
    }

    /// Checks the inputs and puts their addresses into the slots of the steps that read them.
    fn bind(&mut self, at: usize, inputs: &[(&str, &Tensor)]) -> Result<()> {
        let ready = &mut self.plans[at];
        for (k, (name, v)) in ready.inputs.iter().enumerate() {
            let ty = ready.plan.graph.ty(*v);
            let shape = &ready.plan.shapes[v.0 as usize];
            let Some((_, t)) = inputs.iter().find(|(n, _)| n == name) else {
                let names: Vec<_> = inputs.iter().map(|(n, _)| *n).collect();
                let rule = Rule::new(format!("the input {ty} is missing"));
                let given = if names.is_empty() { "no inputs".into() } else { format!("inputs {}", names.join(", ")) };
                return Err(Error::new(name, rule.given(given)));
            };
            if t.shape() != shape || t.dtype() != ty.dtype {
                let rule = Rule::new(format!("the input is {}{:?}", t.dtype(), t.shape()));
                return Err(Error::new(name, rule.right(format!("{}{shape:?}", ty.dtype))));
            }
            check_len(name, t)?;
            let start = start_of(t).cast_mut();
            ready.slots[ready.plan.ends[v].at()].start = start;
            for &(step, i) in &ready.input_uses[k] {
                ready.step_slots[step].0[i].start = start;
            }
        }
        if let Some((name, _)) = inputs.iter().find(|(n, _)| !ready.inputs.iter().any(|(i, _)| i == n)) {
            let names: Vec<_> = ready.inputs.iter().map(|(n, _)| n.as_str()).collect();
            let rule = Rule::new("the graph has no such input").right(format!("inputs {}", names.join(", ")));
            return Err(Error::new(*name, rule));
        }
        Ok(())
    }
}

/// A tensor's elements can be replaced without its shape; kernels rely on both.
fn check_len(name: &str, t: &Tensor) -> Result<()> {
    let want: usize = t.shape().iter().product();
    if t.len() == want {
        return Ok(());
    }
    let rule = Rule::new(format!("a tensor of shape {:?} with {} elements", t.shape(), t.len()));
    Err(Error::new(name, rule.right(format!("{want} elements"))))
}

impl CpuExecutable {
    /// A run that tells of each step when it is done.
    fn run_watched(
        &mut self,
        entry: usize,
        n: usize,
        inputs: &[(&str, &Tensor)],
        done: &mut dyn FnMut(usize),
    ) -> Result<usize> {
        let at = self.plan(entry, n)?;
        self.reserve(entry, at)?;
        self.stage(entry, at)?;
        self.resolve(at);
        self.bind(at, inputs)?;
        let ready = &mut self.plans[at];
        let plan = &ready.plan;
        let arena = self.arena.at(0);
        let version = |p: &usize| self.parameters[ready.parameters[*p]].version;
        let changed = plan.prepared_from.iter().zip(&ready.seen).any(|(p, &seen)| version(p) != seen);
        if !ready.prepared || changed {
            let (scratch, pool) = (&mut self.scratch, &mut self.pool);
            execute(&plan.prepared, &ready.prepared_slots, arena, scratch, pool, &mut |_, _| Ok(()), &mut |_| {})?;
            for (p, seen) in plan.prepared_from.iter().zip(&mut ready.seen) {
                *seen = self.parameters[ready.parameters[*p]].version;
            }
            ready.prepared = true;
        }
        // Should it stop half way, there are no outputs.
        self.last = None;
        let (parameters, stage, mut staged) = (&self.parameters, &mut self.stage, ready.staged.iter().peekable());
        let mut read = |step: usize, pool: &mut Pool| {
            while let Some(s) = staged.next_if(|s| s.step == step) {
                let Place::Unread(unread) = &parameters[ready.parameters[s.parameter]].place else { continue };
                let name = &plan.parameters[s.parameter];
                stage::fill(stage, s.offset, unread, pool).map_err(|r| Error::new(name, r))?;
            }
            Ok(())
        };
        execute(&plan.steps, &ready.step_slots, arena, &mut self.scratch, &mut self.pool, &mut read, done)?;
        for &(f, at) in &plan.echoes {
            let from = ready.slots[f.at()];
            // SAFETY: the plan reserved the value's bytes there; inputs are borrowed until this function returns.
            unsafe { std::ptr::copy_nonoverlapping(from.start, ready.kept.at(at), from.len * from.dtype.size()) };
        }
        for &(p, f) in &plan.copies {
            let from = ready.slots[f.at()];
            // An old value of a parameter that an earlier copy has overwritten.
            let start = plan.echo(f).map_or(from.start.cast_const(), |at| ready.kept.read_at(at));
            let Place::Own(to) = self.parameters[ready.parameters[p]].place else { continue };
            let to = self.values.at(to);
            // SAFETY: equal types were checked when the update was added; the value and the parameter do not overlap,
            // or are the same place (a parameter that is updated to itself), which `copy` allows.
            unsafe { std::ptr::copy(start, to, from.len * from.dtype.size()) };
        }
        for &p in &plan.updated {
            self.parameters[ready.parameters[p]].version += 1;
        }
        self.last = Some(at);
        Ok(at)
    }
}

impl Executable for CpuExecutable {
    fn run(&mut self, entry: usize, n: usize, inputs: &[(&str, &Tensor)]) -> Result<()> {
        self.run_watched(entry, n, inputs, &mut |_| {}).map(|_| ())
    }

    fn output(&self, name: &str) -> Result<View<'_>> {
        let Some(at) = self.last else {
            return Err(Error::new(name, Rule::new("there has been no run yet")));
        };
        let ready = &self.plans[at];
        let Some(v) = ready.plan.graph.output_value(name) else {
            let names: Vec<_> = ready.plan.graph.outputs().iter().map(|o| o.0.as_str()).collect();
            let rule = Rule::new("the graph has no such output").right(format!("one of {}", names.join(", ")));
            return Err(Error::new(name, rule));
        };
        let f = ready.plan.ends[&v];
        let slot = ready.slots[f.at()];
        let start = ready.plan.echo(f).map_or(slot.start.cast_const(), |at| ready.kept.read_at(at));
        let shape = &ready.plan.shapes[v.0 as usize];
        // SAFETY: the value lives until the next run, which needs `&mut self`; its length and type are the plan's.
        Ok(unsafe {
            match slot.dtype {
                DType::I32 => View::i32(shape, std::slice::from_raw_parts(start.cast(), slot.len)),
                DType::U8 => View::u8(shape, std::slice::from_raw_parts(start, slot.len)),
                _ => View::f32(shape, std::slice::from_raw_parts(start.cast(), slot.len)),
            }
        })
    }

    fn read(&self, parameter: &str) -> Result<Tensor> {
        let p = &self.parameters[self.find(parameter)?];
        match &p.place {
            Place::Shared(Some(t)) => Ok(t.clone()),
            Place::Shared(None) => p.zeros().map_err(|r| Error::new(parameter, r)),
            Place::Unread(unread) => unread.tensor().map_err(|r| Error::new(parameter, r)),
            Place::Own(at) => {
                let v = self.values.as_f32(*at, p.shape.iter().product()).to_vec();
                Tensor::f32(&p.shape, v).map_err(|r| Error::new(parameter, r))
            }
        }
    }

    fn write(&mut self, parameter: &str, tensor: &Tensor) -> Result<()> {
        let at = self.find(parameter)?;
        let p = &mut self.parameters[at];
        if tensor.shape() != p.shape || tensor.dtype() != p.ty.dtype {
            let rule = Rule::new(format!("a tensor {}{:?}", tensor.dtype(), tensor.shape()));
            return Err(Error::new(parameter, rule.right(format!("{}", p.ty))));
        }
        check_len(parameter, tensor)?;
        match p.place {
            Place::Own(at) => self.values.write(at, tensor, &mut self.pool),
            Place::Shared(_) | Place::Unread(_) => {
                p.place = Place::Shared(Some(tensor.clone()));
                let start = start_of(tensor).cast_mut();
                for ready in &mut self.plans {
                    ready.moved = true;
                    // At once: the parameter may be an output of the last run.
                    for (slot, place) in ready.slots.iter_mut().zip(&ready.plan.places) {
                        if matches!(*place, Location::Parameter(p) if ready.parameters[p] == at) {
                            slot.start = start;
                        }
                    }
                }
            }
        }
        p.version += 1;
        Ok(())
    }

    fn write_unread(&mut self, parameter: &str, unread: &Unread) -> Result<()> {
        let at = self.find(parameter)?;
        let p = &mut self.parameters[at];
        if matches!(p.place, Place::Own(_)) || unread.shape() != p.shape {
            let tensor = unread.tensor().map_err(|r| Error::new(parameter, r))?;
            return self.write(parameter, &tensor);
        }
        p.place = Place::Unread(unread.clone());
        p.version += 1;
        self.plans.iter_mut().for_each(|r| r.moved = true);
        // It may have been an output of the last run.
        self.last = None;
        Ok(())
    }

    fn report(&mut self, entry: usize, n: usize) -> Result<Report> {
        let at = self.plan(entry, n)?;
        Ok(self.plans[at].plan.report.clone())
    }

    fn profile(
        &mut self,
        entry: usize,
        n: usize,
        inputs: &[(&str, &Tensor)],
        rounds: usize,
    ) -> Result<Vec<(String, f64)>> {
        let at = self.plan(entry, n)?;
        let mut best = vec![f64::MAX; self.plans[at].plan.steps.len()];
        for _ in 0..rounds.max(1) {
            let mut since = Instant::now();
            self.run_watched(entry, n, inputs, &mut |i| {
                best[i] = best[i].min(since.elapsed().as_secs_f64());
                since = Instant::now();
            })?;
        }
        let plan = &self.plans[at].plan;
        Ok(plan.steps.iter().map(|s| s.name.clone()).zip(best).collect())
    }
}

impl CpuExecutable {
    fn find(&self, parameter: &str) -> Result<usize> {
        self.by_name
            .get(parameter)
            .copied()
            .ok_or_else(|| Error::new(parameter, Rule::new("the program has no such parameter")))
    }
}
