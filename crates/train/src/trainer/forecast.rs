//! What a run will take, before its first step: memory by the plans, time by what the caller knows of the machine.

use super::Run;
use crate::memory::{available, resident};
use crate::step::Entry;
use crate::{Error, Event, Result};
use gabor_compile::{CompileOptions, Recompute, Report};
use gabor_tensor::Rule;

/// Seconds that a batch takes, as foreseen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// A training step.
    pub training: f64,
    /// A forward pass, which is about what a step of the head alone takes too.
    pub inference: f64,
}

/// Memory of a run, in bytes, besides what the process holds already.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Memory {
    /// Values and working memory, which grow with the samples of a run of the graph.
    growing: u64,
    /// What stays between runs besides parameters.
    kept: u64,
    /// Batches that the loader prepares ahead.
    batches: u64,
    /// The copy of parameters and optimiser memory that a checkpoint is written from.
    copy: u64,
}

impl Memory {
    fn total(&self) -> u64 {
        self.growing + self.kept + self.batches + self.copy
    }
    /// In batches of which each is computed in so many parts more.
    fn in_parts(&self, parts: u64) -> u64 {
        (self.growing + self.batches) / parts + self.kept + self.copy
    }
    fn add(&mut self, report: &Report) {
        // Plans share the arena and the working memory, the largest of each counts.
        self.growing = self.growing.max((report.arena_bytes + report.scratch_bytes) as u64);
        self.kept += report.kept.iter().map(|h| h.bytes as u64).sum::<u64>();
        self.copy = self.copy.max(report.parameter_bytes as u64);
    }
}

impl Run<'_> {
    /// Tells what the run will take, and refuses one for which the memory is not there.
    pub(super) fn foresee(&mut self, pace: Option<Pace>) -> Result<()> {
        let memory = self.memory_needed()?;
        let asked = self.setup.config.memory.0;
        let held = resident().unwrap_or(0);
        let (free, whose) = match asked {
            Some(None) => (None, String::new()),
            Some(Some(limit)) => {
                let whose = format!("the key `memory` ({}, of which the program holds {})", size(limit.0), size(held));
                (Some(limit.0.saturating_sub(held)), whose)
            }
            None => available().map_or((None, String::new()), |(free, whose)| (Some(free), whose.into())),
        };
        if let Some(free) = free.filter(|f| memory.total() > *f) {
            return Err(self.too_large(memory, free, &whose));
        }
        let head = self.phases.head_epochs.min(self.epochs);
        let seconds = pace.map(|p| {
            let samples = |d: &Option<std::sync::Arc<dyn gabor_data::Dataset>>| d.as_ref().map_or(0, |d| d.len());
            let batch = self.setup.config.batch_size().max(1);
            let judged = samples(&self.setup.splits.validation).div_ceil(batch) as f64 * p.inference;
            let left = |epochs: u64| epochs.saturating_sub(self.state.epoch) as f64;
            let steps = self.steps_per_epoch as f64;
            let with_head = left(head);
            let with_all = left(self.epochs) - with_head;
            let all = steps * (with_head * p.inference + with_all * p.training) + left(self.epochs) * judged;
            self.setup.config.max_time.map_or(all, |m| all.min(m.0 as f64))
        });
        self.emit(&Event::Forecast {
            memory: held + memory.total(),
            free,
            step_seconds: pace.map(|p| p.training),
            seconds,
        })
    }

    /// Plans what will run and adds up; nothing is lost, since each plan is used later.
    fn memory_needed(&mut self) -> Result<Memory> {
        let part = self.setup.part();
        let mut entries = vec![Entry::Evaluate];
        let lbfgs = self.setup.config.is_lbfgs();
        let parts = self.setup.config.grad_accum > 1;
        entries.extend((!lbfgs).then_some(Entry::Step));
        entries.extend((lbfgs || parts).then_some(Entry::Accumulate));
        if self.state.epoch < self.phases.head_epochs {
            entries.push(Entry::Head);
            entries.extend(parts.then_some(Entry::AccumulateHead));
        }
        let mut memory = Memory::default();
        for entry in entries {
            let report = self.executable.report(entry.of(&self.program)?, part)?;
            memory.add(&report);
        }
        // The loader holds about two batches for each of its threads, and one is being computed.
        let sample: usize = self.setup.preprocessing.input().iter().product();
        let batches = 2 * self.setup.config.workers.0.unwrap_or(1) + 2;
        memory.batches = (batches * part * sample * 4) as u64;
        Ok(memory)
    }

    /// The refusal, with what would fit.
    fn too_large(&self, memory: Memory, free: u64, whose: &str) -> Error {
        let config = &self.setup.config;
        let (batch, accum) = (config.batch_size(), config.grad_accum);
        let mut ways = Vec::new();
        let factors = (2..=batch / accum).filter(|k| batch.is_multiple_of(accum * k));
        if let Some(k) = factors.into_iter().find(|&k| memory.in_parts(k as u64) <= free) {
            let takes = size(memory.in_parts(k as u64));
            ways.push(format!("grad_accum={} (the same steps in about {takes})", accum * k));
            ways.push(format!("batch={} (about {takes})", batch / k));
        }
        if config.recompute != Recompute::Segments
            && let Some(takes) = self.recomputed(memory).filter(|t| *t < memory.total())
        {
            let fits = if takes <= free { "" } else { ", still too much" };
            ways.push(format!("recompute=segments (about {}{fits})", size(takes)));
        }
        ways.push("a smaller input or network".into());
        ways.push("memory=none to try it all the same".into());
        let rule = Rule::new(format!(
            "a run in steps of {} samples takes about {} of memory, and {whose} has {} left",
            config.batch_size() / accum,
            size(memory.total()),
            size(free)
        ));
        Error::new("memory", rule.right(ways.join(", ")))
    }

    /// Bytes where segments of the forward pass are made again; none where that cannot be planned.
    fn recomputed(&self, before: Memory) -> Option<u64> {
        let strict = self.setup.config.numerics == "strict";
        let options = CompileOptions { strict, recompute: Recompute::Segments, ..Default::default() };
        let mut other = self.backend.compile(&self.program, &options).ok()?;
        let mut memory = Memory { batches: before.batches, ..Default::default() };
        for entry in [Entry::Step, Entry::Evaluate] {
            memory.add(&other.report(entry.of(&self.program).ok()?, self.setup.part()).ok()?);
        }
        Some(memory.total())
    }
}

/// Bytes in three digits.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut v = bytes as f64 / 1024.0;
    let mut unit = 0;
    while v >= 1000.0 && unit + 1 < UNITS.len() {
        v /= 1024.0;
        unit += 1;
    }
    let digits = if v < 10.0 { 2 } else { usize::from(v < 100.0) };
    format!("{v:.digits$} {}", UNITS[unit])
}
