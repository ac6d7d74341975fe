//! Parameters that are read right before the step that needs them, all into the same memory.

use crate::buffer::{Buffer, out_of_memory};
use crate::parameters::{Parameter, Place};
use crate::plan::{Location, Plan};
use crate::pool::{Address, Pool};
use gabor_compile::{Error, Result};
use gabor_tensor::{Rule, Unread};
use std::sync::{Mutex, PoisonError};

/// A parameter that only one step of a plan reads.
pub(crate) struct Staged {
    pub step: usize,
    /// The number of the step's input.
    pub input: usize,
    /// Its number in the plan.
    pub parameter: usize,
    /// Where it lies on the stage.
    pub offset: usize,
}

/// The one that reads this parameter of a plan, if it is the only one and nothing outside the steps takes the parameter.
fn only_reader(plan: &Plan, parameter: usize) -> Option<(usize, usize)> {
    let is = |f: &crate::forms::FormId| plan.places[f.at()] == Location::Parameter(parameter);
    let steps = plan.steps.iter().enumerate();
    let mut readers = steps.flat_map(|(s, step)| step.inputs.iter().enumerate().map(move |(i, f)| (s, i, f)));
    let mut reader = readers.by_ref().filter(|(.., f)| is(f)).map(|(s, i, _)| (s, i));
    let (first, another) = (reader.next()?, reader.next());
    let prepared = plan.prepared.iter().flat_map(|s| &s.inputs).any(is);
    let outside = plan.graph.outputs().iter().any(|o| is(&plan.ends[&o.1])) || plan.copies.iter().any(|(_, f)| is(f));
    (another.is_none() && !prepared && !outside).then_some(first)
}

/// Which parameters of a plan wait for their step, in the order of the steps, and how many bytes they need at most. The
/// others are read now.
///
/// # Errors
/// One that is to be read now and cannot be.
pub(crate) fn staged(plan: &Plan, numbers: &[usize], parameters: &mut [Parameter]) -> Result<(Vec<Staged>, usize)> {
    let mut staged = Vec::new();
    for (p, name) in plan.parameters.iter().enumerate() {
        let parameter = &mut parameters[numbers[p]];
        let Place::Unread(unread) = &parameter.place else { continue };
        match only_reader(plan, p) {
            Some((step, input)) => staged.push(Staged { step, input, parameter: p, offset: 0 }),
            None => {
                let tensor = unread.tensor().map_err(|r| Error::new(name, r))?;
                parameter.place = Place::Shared(Some(tensor));
            }
        }
    }
    staged.sort_by_key(|s| (s.step, s.input));
    let (mut step, mut end, mut most) = (usize::MAX, 0, 0);
    for s in &mut staged {
        if s.step != step {
            (step, end) = (s.step, 0);
        }
        s.offset = end;
        let len: usize = parameters[numbers[s.parameter]].shape.iter().product();
        end += (len * 4).next_multiple_of(64);
        most = most.max(end);
    }
    Ok((staged, most))
}

/// Floats that one thread reads at a time: its cache holds them.
const PIECE: usize = 1 << 16;

/// Reads all elements to a place on the stage.
pub(crate) fn fill(stage: &mut Buffer, offset: usize, unread: &Unread, pool: &mut Pool) -> Result<(), Rule> {
    let len = unread.len();
    let bytes = len.checked_mul(4).filter(|&b| offset.checked_add(b).is_some_and(|end| end <= stage.len()));
    bytes.ok_or_else(|| out_of_memory(len.saturating_mul(4)))?;
    let (start, failed) = (Address(stage.at(offset)), Mutex::new(None));
    pool.run(len.div_ceil(PIECE), &|part, _| {
        let piece = PIECE.min(len - part * PIECE);
        // SAFETY: inside the stage by the check above, aligned as every offset, initialised; pieces are disjoint.
        let to = unsafe { std::slice::from_raw_parts_mut(start.get().cast::<f32>().add(part * PIECE), piece) };
        if let Err(rule) = unread.read(part * PIECE, to) {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(rule);
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
