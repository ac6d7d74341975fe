//! Phases of a run: first the head alone, then all layers, with learning rates by depth.

use super::Run;
use crate::pattern::matches;
use crate::schedule::Kind;
use crate::setup::Setup;
use crate::step::{Entry, Forward, FreezeNorm, Group, StepOptions, groups, reset_optimiser};
use crate::{Config, Event, Result};

/// What a run does when.
pub(super) struct Phases {
    /// Epochs in which the head alone is trained.
    pub(super) head_epochs: u64,
    /// Notes and warnings, for people.
    pub(super) notes: Vec<Event>,
}

impl Phases {
    /// Decides by the setup and the network's graph, and writes what steps are made of into `options`.
    pub(super) fn decide(setup: &Setup, forward: &Forward, options: &mut StepOptions) -> Self {
        let config = &setup.config;
        let groups = groups(forward);
        let frozen = |name: &String| options.freeze.iter().any(|p| matches(p, name));
        let trained = |g: &Group| -> Vec<String> { g.parameters.iter().filter(|n| !frozen(n)).cloned().collect() };
        let head: Vec<String> = groups.iter().filter(|g| g.name == "head").flat_map(&trained).collect();
        let others = groups.iter().filter(|g| g.name != "head").any(|g| !trained(g).is_empty());
        let mut notes: Vec<String> = Vec::new();
        let mut head_epochs = config.unfreeze.0.unwrap_or(0) as u64;
        if !others || head.is_empty() {
            head_epochs = 0;
        }
        let factor = config.discriminative.0.unwrap_or_default().or(0.1).filter(|_| others);
        if let Some(factor) = factor {
            let mut automatic = Vec::new();
            let mut shown = Vec::new();
            for (i, group) in groups.iter().enumerate() {
                let part = libm::pow(factor, i as f64);
                // Powers of a tenth as people write them.
                let part = (part * 1e12).round() / 1e12;
                automatic.extend(group.parameters.iter().map(|n| (n.clone(), part)));
                shown.push(format!("{} ({}) × {part}", group.name, extent(&group.parameters)));
            }
            // The user's own come last and win.
            automatic.append(&mut options.factors);
            options.factors = automatic;
            notes.push(format!("learning rates by depth: {}", shown.join(", ")));
        }
        if head_epochs > 0 {
            let epochs = if head_epochs == 1 { "epoch trains".into() } else { format!("{head_epochs} epochs train") };
            notes.push(format!("the first {epochs} the head alone ({})", head.join(", ")));
            options.head = head;
        }
        if config.weights.is_some() && options.freeze_norm == FreezeNorm::All {
            notes.push("batch normalisation keeps the statistics of the weights (freeze_norm=true)".into());
        }
        let warnings = if config.is_lbfgs() { Vec::new() } else { in_vain(config, head_epochs) };
        let warnings = warnings.into_iter().map(|text| Event::Warning { text });
        let notes = notes.into_iter().map(|text| Event::Note { text }).chain(warnings).collect();
        Phases { head_epochs, notes }
    }
}

/// Settings that can never come into effect, because the run is over before.
fn in_vain(config: &Config, head_epochs: u64) -> Vec<String> {
    let epochs = config.epochs.0.unwrap_or(1) as u64;
    let mut found = Vec::new();
    if head_epochs >= epochs && head_epochs > 0 {
        found.push(format!(
            "the head alone is trained in all of the {epochs} epochs, no other layer is (unfreeze={head_epochs})"
        ));
        return found;
    }
    let (schedule, left) = (config.full_schedule(), (epochs - head_epochs) as usize);
    if schedule.warmup > 0.0 && schedule.warmup >= left as f64 {
        found.push(format!(
            "the warm-up of {} epochs is not over when the run is, after {left}: the learning rate never reaches {}",
            schedule.warmup,
            config.base_lr().map_or_else(|_| "its value".into(), |lr| lr.to_string())
        ));
    }
    let beyond = |at: usize| at as f64 + schedule.warmup >= left as f64;
    match &schedule.kind {
        Kind::Milestones { at, .. } if at.iter().any(|&a| beyond(a)) => found.push(format!(
            "milestones at or beyond the end of the run, after {left} epochs of this schedule, change nothing: {}",
            at.iter().filter(|&&a| beyond(a)).map(usize::to_string).collect::<Vec<_>>().join(", ")
        )),
        Kind::Step { every, .. } if beyond(*every) => found.push(format!(
            "the learning rate never falls: the run is over after {left} epochs of this schedule, before the first {every}"
        )),
        _ => {}
    }
    found
}

/// `conv1.weight … layer2.1.bn2.bias, 30 tensors`.
fn extent(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first, second] => format!("{first}, {second}"),
        [first, .., last] => format!("{first} … {last}, {} tensors", names.len()),
    }
}

impl Run<'_> {
    /// Whether the head alone is trained now.
    pub(super) fn is_head_phase(&self) -> bool {
        self.state.epoch < self.phases.head_epochs
    }
    /// The step at which all layers are trained first.
    pub(super) fn unfrozen_at(&self) -> u64 {
        self.phases.head_epochs * self.steps_per_epoch
    }
    /// Steps since the optimiser's memory was empty, at the step that comes.
    pub(super) fn optimiser_steps(&self) -> u64 {
        self.state.step - if self.is_head_phase() { 0 } else { self.unfrozen_at() }
    }
    /// The learning rate of a step.
    pub(super) fn lr(&self, step: u64) -> f64 {
        let at = self.unfrozen_at();
        if step < at { self.base_lr } else { self.rate.at(step - at) }
    }
    /// The entries of the phase under way: a step, and a part of one.
    pub(super) fn step_entries(&self) -> (Entry, Entry) {
        if self.is_head_phase() { (Entry::Head, Entry::AccumulateHead) } else { (Entry::Step, Entry::Accumulate) }
    }
    /// After an epoch: the optimiser begins anew where all layers come in, since its memory of the head is of another
    /// problem, and the others have none.
    pub(super) fn unfreeze_if_due(&mut self) -> Result<()> {
        if self.phases.head_epochs == 0
            || self.state.epoch != self.phases.head_epochs
            || self.state.epoch >= self.epochs
        {
            return Ok(());
        }
        reset_optimiser(&self.program, &mut *self.executable)?;
        self.state.waited = 0;
        let text = "all layers are trained from here on".to_string();
        self.emit(&Event::Note { text })
    }
}
