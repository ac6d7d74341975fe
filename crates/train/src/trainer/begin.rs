//! What a run begins with: its directory, its weights, what changed since it was left.

use crate::checkpoint::{Checkpoints, Disk, RunLock, State, Storage};
use crate::step::averaged;
use crate::{Config, Error, Event, Result, Setup, Sink};
use gabor_compile::{Executable, Program};
use gabor_tensor::{Rule, Weights};
use std::collections::BTreeSet;
use std::path::Path;

/// Makes (or finds) a run directory, takes its lock and looks whether it fits what is asked for.
pub(super) fn open_directory(
    directory: &Path,
    resume: bool,
    storage: Option<Box<dyn Storage>>,
) -> Result<(Checkpoints, RunLock)> {
    if resume && !directory.is_dir() {
        let rule = Rule::new("there is no such run directory").right("the directory of a run that was begun");
        return Err(Error::new(directory.display().to_string(), rule));
    }
    std::fs::create_dir_all(directory).map_err(|e| Error::io(directory, "make the run directory", &e))?;
    let lock = RunLock::take(directory)?;
    let checkpoints = Checkpoints::with_storage(directory, storage.unwrap_or(Box::new(Disk)))?;
    if !resume && checkpoints.exist() {
        let rule = Rule::new("the directory holds a run already").right("--resume, or another directory");
        return Err(Error::new(directory.display().to_string(), rule));
    }
    Ok((checkpoints, lock))
}

pub(super) fn warn_of_changes(saved: &State, now: &State, sink: &mut dyn Sink) -> Result<()> {
    let changed: Vec<String> = (now.config.iter())
        .filter(|(k, v)| saved.config.get(*k) != Some(v))
        .map(|(k, v)| match saved.config.get(k) {
            // A network's description is a page.
            Some(old) if old.contains('\n') || v.contains('\n') => format!("another text of {k}"),
            old => format!("{k} from {} to {v}", old.map_or("nothing", String::as_str)),
        })
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let text = format!("going on with other settings than the run began with: {}", changed.join(", "));
    sink.event(&Event::Warning { text })
}

pub(super) fn read_weights(path: &Path) -> Result<Weights> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read", &e))?;
    let damaged = |e: gabor_formats::Error| Error::new(format!("{}, {}", path.display(), e.place()), e.rule().clone());
    Ok(gabor_formats::safetensors::read(&bytes).map_err(damaged)?.0)
}

/// Takes over weights by name and says which were not.
pub(super) fn take_over(weights: &mut Weights, given: &Weights, sink: &mut dyn Sink) -> Result<()> {
    let mut fresh = Vec::new();
    let mut taken = 0;
    for (name, tensor) in &mut weights.0 {
        match given.get(name) {
            Some(g) if g.shape() == tensor.shape() && g.dtype() == tensor.dtype() => {
                *tensor = g.clone();
                taken += 1;
            }
            _ => fresh.push(name.clone()),
        }
    }
    if taken == 0 {
        let rule = Rule::new(format!("none of {} given tensors fits a parameter by name and shape", given.len()));
        return Err(Error::new("key `weights`", rule.right("weights of this network")));
    }
    if !fresh.is_empty() {
        let text = format!("{taken} tensors taken over; these begin fresh: {}", fresh.join(", "));
        sink.event(&Event::Note { text })?;
    }
    Ok(())
}

/// Names of the parameters whose averages a program keeps.
pub(super) fn averaged_parameters(program: &Program) -> BTreeSet<String> {
    let prefix = averaged("");
    let graphs = program.entries().iter().map(|e| &e.1);
    let names = graphs.flat_map(|g| g.parameters().map(|(v, _)| g.value(v).name.as_str()));
    names.filter_map(|n| n.strip_prefix(&prefix).map(String::from)).collect()
}

/// Writes parameters, and as what their averages begin with too.
pub(super) fn write_with_averages(
    executable: &mut dyn Executable,
    weights: &Weights,
    averages: &BTreeSet<String>,
) -> Result<()> {
    for (name, tensor) in weights.iter() {
        executable.write(name, tensor)?;
        if averages.contains(name) {
            executable.write(&averaged(name), tensor)?;
        }
    }
    Ok(())
}

/// Averages that a checkpoint does not hold, because they were not asked for then, begin as the weights.
pub(super) fn begin_averages(weights: &mut Weights, averages: &BTreeSet<String>) {
    for name in averages {
        if let (None, Some(w)) = (weights.get(&averaged(name)), weights.get(name).cloned()) {
            weights.0.insert(averaged(name), w);
        }
    }
}

/// The settings, where there are several classes: of one, every network would be right at once. (Pictures of one class can
/// be looked at, so the setup takes them.)
pub(super) fn of_classes(setup: &Setup) -> Result<&Config> {
    if setup.splits.classes().len() > 1 {
        return Ok(&setup.config);
    }
    let rule = Rule::new("a single class, so there is nothing to tell apart").given(setup.splits.classes().join(""));
    let right = "two classes or more: a folder for each, side by side in the directory that is given";
    Err(Error::new(setup.config.data.clone(), rule.right(right)))
}
