//! `gabor bench`: how fast it is.

use crate::arguments::{Format, backend};
use crate::failure::{Failure, Result};
use crate::output;
use clap::Args;
use gabor_bench::{Measure, Row, measure, workloads};
use regex_lite::Regex;

/// Time layers, networks and training steps
///
/// Names and JSON lines are those of the peers' programs, so that results lie side by side.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor bench --list
  gabor bench --only 'train/lenet5' --threads 2
  gabor bench --json --only '^layer/' > gabor.jsonl")]
pub struct Arguments {
    /// Only workloads whose name this regular expression finds
    #[arg(long, value_name = "REGEX", default_value = "")]
    only: String,
    /// Threads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    threads: Option<u16>,
    /// Samples of each workload
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeats: u32,
    /// Seconds for all samples of a workload
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    seconds: f64,
    /// List the workloads
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    format: Format,
}

pub fn run(a: &Arguments) -> Result<()> {
    let only = Regex::new(&a.only).map_err(|e| Failure::Usage(format!("--only {}: {e}", a.only)))?;
    if !(a.seconds > 0.0 && a.seconds <= 1e5) {
        return Err(Failure::Usage(format!("--seconds {}: right would be: a positive number", a.seconds)));
    }
    let chosen: Vec<_> = workloads().into_iter().filter(|w| only.is_match(&w.name())).collect();
    if chosen.is_empty() {
        return Err(Failure::Failed(format!(
            "--only {}: no workload has such a name; right would be: one of `gabor bench --list`",
            a.only
        )));
    }
    if a.list {
        return output::text(&chosen.iter().map(|w| w.name() + "\n").collect::<String>());
    }
    let threads = match a.threads {
        Some(n) => usize::from(n),
        None => std::thread::available_parallelism().map_or(1, |n| n.get()),
    };
    let backend = backend(Some(threads))?;
    let how = Measure { repeats: a.repeats as usize, seconds: a.seconds };
    if !a.format.json {
        output::text(&format!("{:40} {:>10} {:>10} {:>10} {:>9}\n", "workload", "ms median", "min", "max", "GFLOP/s"))?;
    }
    for workload in &chosen {
        let row = measure(workload, &*backend, threads, how, &peak_memory)?;
        if a.format.json {
            output::json(&serde_json::to_value(&row).unwrap_or_default())?;
        } else {
            output::text(&line(&row))?;
        }
    }
    Ok(())
}

fn line(r: &Row) -> String {
    let rate = r.gflops.map_or(String::new(), |g| format!("{g:.1}"));
    format!("{:40} {:>10.3} {:>10.3} {:>10.3} {rate:>9}\n", r.workload, r.ms_median, r.ms_min, r.ms_max)
}

/// The largest resident memory of this process in MB, where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
