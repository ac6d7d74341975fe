//! Choosing kernels by the clock instead of by rule, and remembering the choices.

use crate::buffer::Buffer;
use crate::kernel::{Io, Kernel, Problem, Slot};
use crate::pool::Pool;
use crate::steps::run_kernel;
use gabor_kernels::SharedMut;
use gabor_tensor::{DType, Rule};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

/// Choices that were measured on one machine: for each kind of problem the kernel that was fastest with cold caches.
///
/// A choice depends on clocks, so two machines, or two runs without a common memory of choices, may sum in different
/// orders. With the same choices results have the same bits.
#[derive(Debug, Default)]
pub struct Tuning {
    /// What the choices hold for, such as the processor's name.
    machine: String,
    choices: Mutex<BTreeMap<String, String>>,
}

/// The first word of the text form.
const HEAD: &str = "gabor tuning";

impl Tuning {
    /// No choices yet, on a machine of that name.
    pub fn new(machine: &str) -> Self {
        Tuning { machine: machine.trim().replace('\n', " "), choices: Mutex::default() }
    }
    /// Choices that [`to_text`](Tuning::to_text) wrote; those of another machine or another version are forgotten.
    ///
    /// # Errors
    /// Text that is no such list.
    pub fn from_text(text: &str, machine: &str) -> Result<Self, Rule> {
        let empty = Tuning::new(machine);
        let mut lines = text.lines();
        let head = lines.next().unwrap_or("");
        if !head.starts_with(HEAD) {
            return Err(Rule::new("this is no list of measured choices").right(format!("a first line `{HEAD} …`")));
        }
        if head != empty.head() {
            return Ok(empty);
        }
        let mut choices = BTreeMap::new();
        for (i, line) in lines.enumerate() {
            let (signature, candidate) = line
                .rsplit_once(" = ")
                .ok_or_else(|| Rule::new(format!("line {} is no choice", i + 2)).right("PROBLEM = CANDIDATE"))?;
            choices.insert(signature.to_string(), candidate.to_string());
        }
        Ok(Tuning { choices: Mutex::new(choices), ..empty })
    }
    /// All choices as lines `PROBLEM = CANDIDATE`, after one that names version and machine.
    pub fn to_text(&self) -> String {
        let choices = self.choices.lock().unwrap_or_else(|e| e.into_inner());
        let lines = choices.iter().map(|(signature, candidate)| format!("{signature} = {candidate}\n"));
        self.head() + "\n" + &lines.collect::<String>()
    }
    /// Number of choices.
    pub fn len(&self) -> usize {
        self.choices.lock().unwrap_or_else(|e| e.into_inner()).len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn head(&self) -> String {
        format!("{HEAD} {} on {}", env!("CARGO_PKG_VERSION"), self.machine)
    }

    /// The index of the candidate that is fastest for a problem, with the seconds of each if they were measured now.
    /// What `extra` seconds a candidate costs besides (its inputs' reorders) counts.
    pub(crate) fn fastest(
        &self,
        problem: &Problem<'_>,
        threads: usize,
        candidates: &[Timed<'_>],
    ) -> Option<(usize, Vec<f64>)> {
        let signature = signature(problem, threads);
        let known = self.choices.lock().unwrap_or_else(|e| e.into_inner()).get(&signature).cloned();
        // A choice of a candidate that no longer accepts is measured anew.
        if let Some(at) = known.and_then(|name| candidates.iter().position(|c| c.name == name)) {
            return Some((at, Vec::new()));
        }
        let mut pool = Pool::new(threads);
        let mut cold = Buffer::new(COLD).ok()?;
        let seconds = candidates.iter().map(|c| c.measure(&mut pool, &mut cold)).collect::<Option<Vec<f64>>>()?;
        let at = (0..seconds.len()).min_by(|&a, &b| seconds[a].total_cmp(&seconds[b]))?;
        let mut choices = self.choices.lock().unwrap_or_else(|e| e.into_inner());
        choices.insert(signature, candidates[at].name.to_string());
        Some((at, seconds))
    }
}

/// All that a choice depends on, in one line.
fn signature(p: &Problem<'_>, threads: usize) -> String {
    let attributes = p.node.operation.attributes();
    let attributes = attributes.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
    let values = p.inputs.iter().zip(&p.stored).zip(&p.fixed);
    let inputs = values.map(|((shape, stored), fixed)| {
        let extents = shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        format!("{extents}:{stored:?}{}", if *fixed { ":fixed" } else { "" })
    });
    let inputs = inputs.collect::<Vec<_>>().join(" ");
    let read: String = p.read.iter().map(|&r| if r { 'r' } else { '-' }).collect();
    let strict = if p.strict { " strict" } else { "" };
    format!("{}({attributes}) {inputs} {read} {} {threads}{strict}", p.node.operation.name(), p.isa).replace('\n', " ")
}

/// Bytes that are written between two runs, more than the caches of a core hold: weights are cold when they are needed.
const COLD: usize = 32 << 20;
/// Runs of which the fastest counts, and seconds after which there are no more.
const RUNS: usize = 5;
const LONG: f64 = 0.3;
/// Most bytes that a problem's values may take to be measured.
const MOST: u64 = 4 << 30;
/// Bytes per second of a reorder, which is read and written.
const REORDER: f64 = 8e9;

/// A prepared candidate with the lengths of what it reads and writes.
pub(crate) struct Timed<'a> {
    pub name: &'static str,
    pub kernel: &'a dyn Kernel,
    pub inputs: Vec<(usize, DType)>,
    pub outputs: Vec<(usize, DType)>,
    /// Bytes of the forms that would have to be made for it in each run.
    pub reordered: usize,
}

impl Timed<'_> {
    /// Seconds of a run with cold caches, reorders included; none if there is no memory for it.
    fn measure(&self, pool: &mut Pool, cold: &mut Buffer) -> Option<f64> {
        let work = self.kernel.work();
        let scratch_bytes = (work.scratch_len() * 4).next_multiple_of(64);
        let bytes = |list: &[(usize, DType)]| list.iter().map(|(len, t)| len * t.size()).sum::<usize>();
        let all = [bytes(&self.inputs), bytes(&self.outputs), work.workspace_len() * 4, scratch_bytes * pool.threads()];
        if all.iter().map(|&b| b as u64).sum::<u64>() > MOST {
            return None;
        }
        let mut inputs = buffers(&self.inputs)?;
        let mut outputs = buffers(&self.outputs)?;
        for (buffer, &(len, dtype)) in inputs.iter_mut().zip(&self.inputs) {
            fill(buffer, len, dtype);
        }
        let mut workspace = Buffer::new(work.workspace_len() * 4).ok()?;
        let mut scratch = Buffer::new(scratch_bytes * pool.threads()).ok()?;
        let slots = |buffers: &mut [Buffer], list: &[(usize, DType)]| -> Vec<Slot> {
            let each = buffers.iter_mut().zip(list);
            each.map(|(b, &(len, dtype))| Slot { start: b.at(0), len, dtype }).collect()
        };
        let (read, written) = (slots(&mut inputs, &self.inputs), slots(&mut outputs, &self.outputs));
        // SAFETY: the buffers are as long as the slots say, live until the end, and nothing else uses them.
        let io = unsafe { Io::new(&read, &written) };
        // SAFETY: as long as the kernel asks for.
        let shared = unsafe { std::slice::from_raw_parts_mut(workspace.at(0).cast::<f32>(), work.workspace_len()) };
        let shared = SharedMut::new(shared);
        let (mut best, begun) = (f64::MAX, Instant::now());
        for run in 0..=RUNS {
            chill(cold, run as u8);
            let since = Instant::now();
            // SAFETY: the values match the problem, and nothing else uses them.
            unsafe { run_kernel(self.kernel, &io, shared, &mut scratch, pool) };
            // The first run wakes pages and threads.
            if run > 0 {
                best = best.min(since.elapsed().as_secs_f64());
            }
            if run > 0 && begun.elapsed().as_secs_f64() > LONG {
                break;
            }
        }
        Some(best + self.reordered as f64 / REORDER)
    }
}

fn buffers(list: &[(usize, DType)]) -> Option<Vec<Buffer>> {
    list.iter().map(|&(len, dtype)| Buffer::new(len * dtype.size()).ok()).collect()
}

/// Small positive floats; zero for integers, which is a valid index of anything.
fn fill(buffer: &mut Buffer, len: usize, dtype: DType) {
    if dtype == DType::F32 {
        // SAFETY: the buffer has that many floats.
        let floats = unsafe { std::slice::from_raw_parts_mut(buffer.at(0).cast::<f32>(), len) };
        for (i, f) in floats.iter_mut().enumerate() {
            *f = 0.125 * (1 + i % 7) as f32;
        }
    }
}

/// Writes so much that nothing else stays in the caches.
fn chill(cold: &mut Buffer, with: u8) {
    let len = cold.len();
    // SAFETY: the buffer has that many bytes.
    unsafe { std::slice::from_raw_parts_mut(cold.at(0), len) }.fill(with);
    std::hint::black_box(&cold);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_go_round_and_hold_for_one_machine() {
        let tuning = Tuning::new("a machine");
        tuning.choices.lock().unwrap().insert("conv(x=1) 1x3:Plain r avx2 2".into(), "conv.direct".into());
        let text = tuning.to_text();
        let again = Tuning::from_text(&text, "a machine").unwrap();
        assert_eq!((again.to_text(), again.len()), (text.clone(), 1));
        assert!(Tuning::from_text(&text, "another").unwrap().is_empty());
        assert!(Tuning::from_text("", "a machine").is_err());
        let damaged = Tuning::from_text(&(text + "no choice\n"), "a machine").unwrap_err().to_string();
        assert!(damaged.contains("line 3") && damaged.contains("PROBLEM = CANDIDATE"), "{damaged}");
    }
}
