//! `gabor bench`: how fast it is.

mod accuracy;
mod cold;
mod scaling;

use crate::arguments::{Compute, Format, recompute};
use crate::failure::{Failure, Result};
use crate::output;
use crate::written;
use clap::{Args, ValueEnum};
use gabor::compile::Backend;
use gabor::compile::Recompute;
use gabor::cpu::{CpuBackend, CpuOptions, Isa, Peak};
use gabor::picture::Look;
use gabor::report::{Icicle, Leaf, bytes, count, table};
use gabor_bench::{Measure, Profiled, Row, Workload, answers, measure, memory, profile, workloads};
use regex_lite::Regex;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Time layers, networks and training steps
///
/// Names and JSON lines are those of the peers' programs, so that results lie side by side. Layers are timed twice: with
/// plain feature maps at their ends (variant `cpu`: reorders count), and with blocked ones, as inside a network (variant
/// `cpu+blocked`; as PyTorch's channels_last, whose feature maps are in its order before the clock starts). A cold start is
/// the time from a new process of this command to its answer for one picture.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor bench --list
  gabor bench --only 'train/lenet5' --threads 2
  gabor bench --json --only '^layer/' > gabor.jsonl
  gabor bench --only '^layer/maxpool' --ends blocked --profile
  gabor bench --only '^infer/resnet18/n1$' --profile --picture resnet18.svg
  gabor bench --only '^train/lenet5' --answers lenet5
  gabor bench --scaling scaling --threads 4
  gabor bench --accuracy")]
pub struct Arguments {
    /// Only workloads (with --accuracy: algorithms) whose name this regular expression finds
    #[arg(long, value_name = "REGEX", default_value = "")]
    only: String,
    /// Samples of each workload
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeats: u32,
    /// Seconds for all samples of a workload
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    seconds: f64,
    /// List the workloads
    #[arg(long)]
    list: bool,
    /// Time every kernel call: time, GFLOP/s, part of the machine's peak, bytes
    #[arg(long)]
    profile: bool,
    /// With --profile of one workload: draw where the time goes
    #[arg(long, value_name = "FILE.svg | FILE.png", requires = "profile")]
    picture: Option<PathBuf>,
    /// Time no list but growth: with the threads (1, 2, 4 … up to --threads), with the batch, with the picture. The folder gets
    /// the rows as scaling.jsonl and three pictures: threads.svg (with several threads only), batch.svg, size.svg
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["list", "profile", "answers"])]
    scaling: Option<PathBuf>,
    /// Time nothing, but write what the workloads begin with and answer, so that other programs can show that they compute
    /// the same: NAME.weights.safetensors, and NAME.data.safetensors with inputs and outputs (of a training: `losses`, those of
    /// the first 5 steps)
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["list", "profile", "repeats", "seconds", "recompute", "json"])]
    answers: Option<PathBuf>,
    /// Time nothing, but compare with 64 bits: the errors of each algorithm of convolution, forward and of both gradients, with
    /// every set of instructions that this processor has, for usual numbers and for hard ones. Ends with an error if one is
    /// above its bound
    #[arg(long, conflicts_with_all = ["list", "profile", "scaling", "answers", "repeats", "seconds", "recompute", "numerics", "tune"])]
    accuracy: bool,
    /// In which order layers and chains are given their feature maps (default: both)
    #[arg(long, value_enum, conflicts_with_all = ["list", "scaling", "answers", "accuracy"])]
    ends: Option<Ends>,
    /// What training steps compute again instead of keeping it: none, cheap or segments
    #[arg(long, value_name = "WHAT", default_value_t = Recompute::None, value_parser = recompute)]
    recompute: Recompute,
    #[command(flatten)]
    pub compute: Compute,
    #[command(flatten)]
    format: Format,
}

/// The order of feature maps at the ends of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ends {
    /// NCHW, as users have them
    Plain,
    /// NCHW16c, as they lie inside a network
    Blocked,
    /// One after the other
    Both,
}

pub fn run(a: &Arguments) -> Result<()> {
    let only = Regex::new(&a.only).map_err(|e| Failure::Usage(format!("--only {}: {e}", a.only)))?;
    if !(a.seconds > 0.0 && a.seconds <= 1e5) {
        return Err(Failure::Usage(format!("--seconds {}: right would be: a positive number", a.seconds)));
    }
    let how = Measure {
        repeats: a.repeats as usize,
        seconds: a.seconds,
        patience: if a.scaling.is_some() { a.seconds } else { f64::INFINITY },
        recompute: a.recompute,
    };
    if let Some(path) = &a.picture {
        gabor::picture::kind(path).map_err(|e| Failure::Usage(format!("--picture {e}")))?;
        written::check(&[("--picture", path)], None, &[])?;
    }
    for (flag, path) in [("--scaling", &a.scaling), ("--answers", &a.answers)] {
        if let Some(path) = path {
            written::folder(flag, path)?;
        }
    }
    if a.accuracy {
        return accuracy::run(a, &only);
    }
    if let Some(folder) = &a.scaling {
        return scaling::run(a, &only, how, folder);
    }
    let chosen: Vec<_> = workloads().into_iter().filter(|w| only.is_match(&w.name())).collect();
    let mut cold: Vec<String> = cold::names().filter(|name| only.is_match(name)).collect();
    if a.profile || a.answers.is_some() {
        // Other processes, of which this one sees nothing inside.
        cold.clear();
    }
    if chosen.is_empty() && cold.is_empty() {
        return Err(Failure::Failed(format!(
            "--only {}: no workload has such a name; right would be: one of `gabor bench --list`",
            a.only
        )));
    }
    if a.list {
        return output::text(
            &chosen.iter().map(Workload::name).chain(cold).map(|name| name + "\n").collect::<String>(),
        );
    }
    let is_layer = |w: &Workload| matches!(w, Workload::Layer { .. });
    if let Some(ends) = a.ends.filter(|_| !chosen.iter().any(is_layer)) {
        let value = ends.to_possible_value().map_or_else(String::new, |v| v.get_name().to_string());
        return Err(Failure::Usage(format!(
            "--ends {value}: --only {} finds no layer and no chain; right would be: without --ends, or layers such as --only \
             '^layer/'",
            a.only
        )));
    }
    let backend = a.compute.backend()?;
    let blocked = blocked_ends(&backend)?;
    // Networks have one order at their ends: the user's.
    let cases: Vec<(Workload, &CpuBackend)> = (chosen.into_iter())
        .flat_map(|w| {
            let ends = if is_layer(&w) { a.ends.unwrap_or(Ends::Both) } else { Ends::Plain };
            let plain = (ends != Ends::Blocked).then(|| (w.clone(), &*backend));
            plain.into_iter().chain((ends != Ends::Plain).then_some((w, &blocked)))
        })
        .collect();
    if a.profile {
        return profiles(a, &cases);
    }
    if let Some(folder) = &a.answers {
        return write_answers(&cases, folder);
    }
    let threads = backend.threads();
    if !a.format.json {
        output::text(HEAD)?;
    }
    for (workload, backend) in &cases {
        room(workload, backend, a.recompute)?;
        told(a, &measure(workload, (*backend, threads), how, &peak_memory)?)?;
    }
    cold.iter().try_for_each(|name| told(a, &cold::measure(a, name, &backend)?))
}

fn told(a: &Arguments, row: &Row) -> Result<()> {
    match a.format.json {
        true => output::json(&serde_json::to_value(row).unwrap_or_default()),
        false => output::text(&line(row)),
    }
}

/// Steps of a training whose losses are written.
const STEPS: usize = 5;

/// Of workloads with plain feature maps: other programs know no other.
fn write_answers(cases: &[(Workload, &CpuBackend)], folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Failure::Failed(format!("{}: {e}", folder.display())))?;
    for (workload, backend) in cases.iter().filter(|c| !c.1.options().blocked_ends) {
        room(workload, backend, Recompute::None)?;
        let answers = answers(workload, *backend, STEPS)?;
        let name = workload.name().replace('/', ".");
        for (what, tensors) in [("weights", &answers.weights), ("data", &answers.data)] {
            let bytes = gabor::formats::safetensors::write(tensors, &Default::default());
            gabor::write_aside(&folder.join(format!("{name}.{what}.safetensors")), &bytes)?;
        }
    }
    Ok(())
}

/// That the memory is there for a workload, by its plan.
fn room(workload: &Workload, backend: &CpuBackend, recompute: Recompute) -> Result<()> {
    let needed = memory(workload, &[backend], recompute)?;
    let refused = refusal(&workload.name(), needed, gabor::train::memory_left());
    refused.map_or(Ok(()), |r| Err(Failure::Failed(format!("{r}; right would be: others by --only"))))
}

/// That so many bytes are not left; `left` also says who sets the limit.
fn refusal(name: &str, needed: u64, left: Option<(u64, &str)>) -> Option<String> {
    let (left, whose) = left.filter(|l| needed > l.0)?;
    Some(format!("{name} would take about {} of memory, and {whose} has {} left", bytes(needed), bytes(left)))
}

/// Runs of a profile; the shortest time of each call counts.
const ROUNDS: usize = 30;

/// The same backend for feature maps in blocked order at the ends.
fn blocked_ends(backend: &CpuBackend) -> Result<CpuBackend> {
    let options = CpuOptions { blocked_ends: true, ..backend.options().clone() };
    Ok(CpuBackend::new(options).map_err(gabor::Error::from)?)
}

fn profiles(a: &Arguments, cases: &[(Workload, &CpuBackend)]) -> Result<()> {
    if a.picture.is_some() && cases.len() != 1 {
        return Err(Failure::Usage(format!(
            "--picture: one workload at a time; --only {} finds {}; right would be: a longer --only, and for a layer \
             --ends plain or blocked",
            a.only,
            cases.len()
        )));
    }
    let isa = a.compute.isa.unwrap_or_else(Isa::best);
    let mut peak = None;
    for &(ref workload, backend) in cases {
        room(workload, backend, a.recompute)?;
        let peak = *peak.get_or_insert_with(|| Peak::measure(backend.threads(), isa));
        let calls = profile(workload, backend, a.recompute, ROUNDS)?;
        if a.format.json {
            output::json(&json!({
                "workload": workload.name(), "variant": backend.name(), "threads": backend.threads(), "isa": isa.name(),
                "peak_gflops": peak.gflops, "peak_gb_s": peak.gb_s, "calls": calls,
            }))?;
        } else {
            output::text(&profile_table(workload, &calls, peak))?;
        }
        if let Some(path) = &a.picture {
            let picture = icicle(workload, &calls, peak).to_svg();
            gabor::picture::write(path, &picture, Look::Auto)?;
        }
    }
    Ok(())
}

/// Work per second, and the part of the peak that it is.
fn rate(c: &Profiled, peak: Peak) -> Option<(f64, f64)> {
    let gflops = c.flops as f64 / c.seconds / 1e9;
    (c.flops > 0).then_some((gflops, gflops / peak.gflops))
}

fn profile_table(workload: &Workload, calls: &[Profiled], peak: Peak) -> String {
    let total: f64 = calls.iter().map(|c| c.seconds).sum();
    let row = |c: &Profiled| {
        let (gflops, share) = rate(c, peak)
            .map_or((String::new(), String::new()), |(g, s)| (format!("{g:.1}"), format!("{:.0} %", 100.0 * s)));
        vec![
            c.node.clone(),
            c.kernel.clone(),
            format!("{:.1}", c.seconds * 1e6),
            format!("{:.1} %", 100.0 * c.seconds / total),
            gflops,
            share,
            count(c.bytes / 1000),
            format!("{:.1}", c.bytes as f64 / c.seconds / 1e9),
        ]
    };
    let rows: Vec<Vec<String>> = calls.iter().map(row).collect();
    let head = ["node", "kernel", "µs", "time", "GFLOP/s", "of peak", "kB", "GB/s"];
    let right = [false, false, true, true, true, true, true, true];
    format!(
        "{}: {:.3} ms in {} calls; this machine's peak: {:.0} GFLOP/s, {:.1} GB/s from memory\n{}\n",
        workload.name(),
        total * 1e3,
        calls.len(),
        peak.gflops,
        peak.gb_s,
        table(&head, &right, &rows)
    )
}

fn icicle(workload: &Workload, calls: &[Profiled], peak: Peak) -> Icicle {
    let leaf = |c: &Profiled| {
        let rate = rate(c, peak);
        let work = rate.map_or(String::new(), |(g, s)| format!(", {g:.1} GFLOP/s ({:.0} % of peak)", 100.0 * s));
        Leaf {
            path: c.node.clone(),
            seconds: c.seconds,
            share: rate.map(|r| r.1),
            note: format!("{}{work}, {:.1} GB/s", c.kernel, c.bytes as f64 / c.seconds / 1e9),
        }
    };
    Icicle { title: workload.name(), leaves: calls.iter().map(leaf).collect() }
}

/// The head of the table.
const HEAD: &str = "workload                                          ms median        min        max   GFLOP/s\n";

fn line(r: &Row) -> String {
    let rate = r.gflops.map_or(String::new(), |g| format!("{g:.1}"));
    let name = if r.variant == "cpu" { r.workload.clone() } else { format!("{} {}", r.workload, r.variant) };
    format!("{name:48} {:>10.3} {:>10.3} {:>10.3} {rate:>9}\n", r.ms_median, r.ms_min, r.ms_max)
}

/// The largest resident memory of this process in MB, where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn what_does_not_fit_is_refused() {
        let left = Some((3 << 30, "the machine"));
        assert_eq!(refusal("infer/vgg16/n64", 3 << 30, left), None);
        assert_eq!(refusal("infer/vgg16/n64", u64::MAX, None), None);
        assert_eq!(
            refusal("infer/vgg16/n64", 5 << 30, left).unwrap(),
            "infer/vgg16/n64 would take about 5.0 GiB of memory, and the machine has 3.0 GiB left"
        );
    }
}
