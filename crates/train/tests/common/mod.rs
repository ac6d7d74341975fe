//! What tests of the loop share.
#![allow(dead_code)]

use gabor_cpu::{CpuBackend, CpuOptions};
use gabor_nets::{Network, conv};
use gabor_train::{Config, Event, Outcome, RunOptions, Setup, train};
use std::path::{Path, PathBuf};

pub fn directory(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("gabor-train-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

/// A small network with everything that has memory: batch normalisation, dropout.
pub fn network() -> Network {
    Network::new("small", &[1, 8, 8], 10, |net| {
        net.conv("conv1", conv(6, 3).pad(1))?.batch_norm("bn1")?.relu()?.max_pool(2)?;
        net.flatten()?.dropout(0.2)?;
        net.linear("fc", 10)?;
        Ok(())
    })
}

pub fn setup(words: &[&str]) -> Setup {
    let all: Vec<&str> =
        ["epochs=2", "batch=32", "augment=handwriting", "seed=5"].iter().chain(words).copied().collect();
    let config = Config::load(None, [], &all).unwrap();
    let splits = gabor_data::digits().hold_out(config.val, 0).unwrap();
    Setup::with_network(&config, splits, network()).unwrap()
}

pub fn backend(threads: usize) -> CpuBackend {
    CpuBackend::new(CpuOptions { threads: Some(threads), ..Default::default() }).unwrap()
}

pub fn run(setup: &Setup, threads: usize, dir: Option<&Path>, resume: bool) -> Outcome {
    let options = RunOptions { directory: dir.map(Path::to_path_buf), resume, ..Default::default() };
    train(setup, &backend(threads), options, &mut Vec::new()).unwrap()
}

/// A run in memory with its events.
pub fn events_of(setup: &Setup, options: RunOptions<'_>) -> (Outcome, Vec<Event>) {
    let mut events: Vec<Event> = Vec::new();
    let outcome = train(setup, &backend(2), options, &mut events).unwrap();
    (outcome, events)
}
