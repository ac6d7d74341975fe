//! Timing a workload.

use crate::case::build;
use crate::workload::Workload;
use gabor_compile::{Backend, Error, Recompute, Result};
use gabor_tensor::Rule;
use serde::Serialize;
use std::time::Instant;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// Samples; each is the mean over enough iterations.
    pub repeats: usize,
    /// Seconds for all samples together.
    pub seconds: f64,
    /// After so many seconds two samples are enough.
    pub patience: f64,
    /// What a training step computes again instead of keeping it.
    pub recompute: Recompute,
}

/// A result, with the keys of the peers' rows.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Name of the workload.
    pub workload: String,
    /// `gabor`.
    pub peer: &'static str,
    /// Version of this crate.
    pub version: &'static str,
    /// The backend.
    pub variant: String,
    /// Threads.
    pub threads: usize,
    /// Batch size.
    pub batch: usize,
    /// Shortest sample, in milliseconds.
    pub ms_min: f64,
    /// Median sample, in milliseconds.
    pub ms_median: f64,
    /// Longest sample, in milliseconds.
    pub ms_max: f64,
    /// Useful work of direct convolution over the median time, in GFLOP/s.
    pub gflops: Option<f64>,
    /// Largest resident memory of the process, in MB.
    pub peak_rss_mb: Option<f64>,
    /// Least traffic of memory over the median time, in GB/s.
    pub gb_s: Option<f64>,
    /// Floating-point operations of one iteration.
    pub flops: Option<u64>,
    /// Number of samples.
    pub samples: usize,
    /// Seconds to build, compile and warm up.
    pub build_s: f64,
}

impl Row {
    /// The row of samples in milliseconds, of which there is one at least, for a batch of one; without what is not known from
    /// them.
    pub fn new(workload: String, variant: &str, threads: usize, mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let middle = samples.len().saturating_sub(1) / 2;
        let at = |i: usize| samples.get(i).copied().unwrap_or(f64::NAN);
        Row {
            workload,
            peer: "gabor",
            version: env!("CARGO_PKG_VERSION"),
            variant: variant.to_string(),
            threads,
            batch: 1,
            ms_min: at(0),
            ms_median: (at(middle) + at(samples.len() / 2)) / 2.0,
            ms_max: at(samples.len().saturating_sub(1)),
            gflops: None,
            peak_rss_mb: None,
            gb_s: None,
            flops: None,
            samples: samples.len(),
            build_s: 0.0,
        }
    }
}

/// A backend and how many threads it computes with.
pub type Threaded<'a> = (&'a dyn Backend, usize);

/// Times a workload on a backend. `peak_memory` is asked once at the end.
///
/// # Errors
/// A network that does not build, or a graph that does not compile.
pub fn measure(
    workload: &Workload,
    backend: Threaded<'_>,
    how: Measure,
    peak_memory: &dyn Fn() -> Option<f64>,
) -> Result<Row> {
    let rows = measure_in_turn(workload, &[backend], how)?;
    let row = rows.into_iter().next().ok_or_else(|| Error::new(workload.name(), Rule::new("nothing was timed")))?;
    Ok(Row { peak_rss_mb: peak_memory(), ..row })
}

/// Times a workload on several backends, a row for each. They take turns, so that a slow moment of the machine meets them
/// all.
///
/// # Errors
/// As [`measure`].
pub fn measure_in_turn(workload: &Workload, backends: &[Threaded<'_>], how: Measure) -> Result<Vec<Row>> {
    let started = Instant::now();
    let alone: Vec<&dyn Backend> = backends.iter().map(|b| b.0).collect();
    let mut case = build(workload, &alone, how.recompute)?;
    let mut runs = std::mem::take(&mut case.runs);
    let inputs = case.given();
    // Warm up for a moment, and learn how long an iteration takes.
    let mut best = vec![f64::MAX; runs.len()];
    for (run, best) in runs.iter_mut().zip(&mut best) {
        let warm = Instant::now();
        let mut rounds = 0;
        while rounds < 3 || warm.elapsed().as_secs_f64() < (how.seconds / 4.0).min(0.5) {
            let t = Instant::now();
            run.run(0, case.n, &inputs)?;
            *best = best.min(t.elapsed().as_secs_f64());
            rounds += 1;
            if (rounds >= 3 && *best > how.seconds) || *best > how.patience {
                break;
            }
        }
    }
    let build_s = started.elapsed().as_secs_f64();
    let share = how.seconds / how.repeats as f64;
    let mut samples = vec![Vec::with_capacity(how.repeats); runs.len()];
    let sampling = Instant::now();
    for round in 0..how.repeats.max(1) {
        for ((run, &best), samples) in runs.iter_mut().zip(&best).zip(&mut samples) {
            let iterations = ((share / best) as usize).max(1);
            // What the other one left in the caches is no longer felt in something so slow.
            if best < how.patience {
                run.run(0, case.n, &inputs)?;
            }
            let t = Instant::now();
            for _ in 0..iterations {
                run.run(0, case.n, &inputs)?;
            }
            samples.push(t.elapsed().as_secs_f64() * 1e3 / iterations as f64 / case.divide);
        }
        if round > 0 && sampling.elapsed().as_secs_f64() > how.patience * runs.len() as f64 {
            break;
        }
    }
    let row = |(samples, &(backend, threads)): (Vec<f64>, &Threaded<'_>)| {
        let row = Row::new(workload.name(), backend.name(), threads, samples);
        let median = row.ms_median;
        Row {
            batch: case.n,
            gflops: case.flops.map(|f| f as f64 / median / 1e6),
            gb_s: case.bytes.map(|b| b as f64 / median / 1e6),
            flops: case.flops,
            build_s,
            ..row
        }
    };
    Ok(samples.into_iter().zip(backends).map(row).collect())
}

/// One kernel call of a profile.
#[derive(Clone, Debug, Serialize)]
pub struct Profiled {
    /// The node, or what is reordered.
    pub node: String,
    /// The kernel that computes it.
    pub kernel: String,
    /// The shortest time.
    pub seconds: f64,
    /// Floating-point operations (of direct convolution, whatever the algorithm).
    pub flops: u64,
    /// Bytes of all that it reads and writes.
    pub bytes: u64,
}

/// The shortest time of each kernel call of a workload in `rounds` runs, in the order of execution.
///
/// # Errors
/// As [`measure`].
pub fn profile(
    workload: &Workload,
    backend: &dyn Backend,
    recompute: Recompute,
    rounds: usize,
) -> Result<Vec<Profiled>> {
    let mut case = build(workload, &[backend], recompute)?;
    let mut runs = std::mem::take(&mut case.runs);
    let run = runs.first_mut().ok_or_else(|| Error::new(workload.name(), Rule::new("nothing was compiled")))?;
    let times = run.profile(0, case.n, &case.given(), rounds)?;
    let report = run.report(0, case.n)?;
    let nodes = report.nodes.into_iter().filter(|n| !n.prepared);
    let row = |(r, (node, seconds)): (gabor_compile::NodeReport, (String, f64))| Profiled {
        node,
        kernel: r.kernel,
        seconds,
        flops: r.flops,
        bytes: r.bytes,
    };
    Ok(nodes.zip(times).map(row).collect())
}
