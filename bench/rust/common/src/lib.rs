//! What the programs share: their arguments, what they are given, the measurement, and the row they print.
//!
//! A program times one workload: `PROGRAM infer/resnet18/n1 --given FOLDER [--threads N] [--repeats N] [--seconds S]`.
//! It takes weights, inputs and answers from what `gabor bench --answers FOLDER` wrote, computes the answers itself and
//! ends with an error if they differ, so that a row is proof that the work is the same. Then it prints one JSON line with
//! the keys of `gabor bench --json`, measured as gabor measures itself: a warm-up, then samples, each the mean over
//! enough iterations. It ends with status 3 if the framework cannot do the workload.

mod given;

pub use given::{Array, Given};

use std::error::Error;
use std::time::Instant;

/// The result of a program.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a program is asked for.
pub struct Arguments {
    /// Name of the workload.
    pub workload: String,
    /// Folder with what the workload is given, and NAME.onnx of each network.
    pub folder: String,
    /// Threads.
    pub threads: usize,
    /// Samples.
    pub repeats: usize,
    /// Seconds for all samples together.
    pub seconds: f64,
}

impl Arguments {
    /// Those of the process.
    ///
    /// # Errors
    /// An argument that is not known or no number.
    pub fn read() -> Result<Arguments> {
        let mut a = Arguments { workload: String::new(), folder: ".".into(), threads: 2, repeats: 7, seconds: 2.0 };
        let mut given = std::env::args().skip(1);
        while let Some(key) = given.next() {
            if !key.starts_with("--") {
                a.workload = key;
                continue;
            }
            let value = given.next().ok_or_else(|| format!("{key} has no value"))?;
            match key.as_str() {
                "--given" => a.folder = value,
                "--threads" => a.threads = value.parse()?,
                "--repeats" => a.repeats = value.parse::<usize>()?.max(1),
                "--seconds" => a.seconds = value.parse()?,
                _ => return Err(format!("{key}: right would be: --given, --threads, --repeats or --seconds").into()),
            }
        }
        Ok(a)
    }

    /// Makes sure that rayon's global pool, which some frameworks use, has the threads that the row will name.
    ///
    /// # Errors
    /// If `RAYON_NUM_THREADS` says something else.
    pub fn check_rayon(&self) -> Result<()> {
        let set = std::env::var("RAYON_NUM_THREADS").unwrap_or_default();
        match set.parse() == Ok(self.threads) {
            true => Ok(()),
            false => Err(format!("RAYON_NUM_THREADS={set}: right would be: {}", self.threads).into()),
        }
    }

    /// The ONNX file of a network.
    pub fn model(&self, name: &str) -> String {
        format!("{}/{name}.onnx", self.folder)
    }
}

/// Who computes.
pub struct Peer {
    /// The framework.
    pub name: &'static str,
    /// The package whose version counts.
    pub package: &'static str,
    /// How it is used.
    pub variant: &'static str,
}

/// Warms up, measures `once` and prints the row. `difference` is how far the answers are from ours.
///
/// # Errors
/// Those of `once`.
pub fn measure(a: &Arguments, peer: &Peer, difference: f64, mut once: impl FnMut() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    let mut best = f64::MAX;
    let mut rounds = 0;
    // As long as gabor warms up, but no more than twice where a run takes longer than all samples should.
    while rounds < 2
        || (best < a.seconds && (rounds < 3 || started.elapsed().as_secs_f64() < (a.seconds / 4.0).min(0.5)))
    {
        let t = Instant::now();
        once()?;
        best = best.min(t.elapsed().as_secs_f64());
        rounds += 1;
    }
    let build = started.elapsed().as_secs_f64();
    let iterations = ((a.seconds / a.repeats as f64 / best) as usize).max(1);
    let mut samples = Vec::with_capacity(a.repeats);
    while samples.len() < a.repeats {
        let t = Instant::now();
        for _ in 0..iterations {
            once()?;
        }
        samples.push(t.elapsed().as_secs_f64() * 1e3 / iterations as f64);
        // Three samples of something slow say as much as seven.
        if samples.len() >= 3 && started.elapsed().as_secs_f64() > 10.0 * a.seconds {
            break;
        }
    }
    samples.sort_by(f64::total_cmp);
    let median = (samples[(samples.len() - 1) / 2] + samples[samples.len() / 2]) / 2.0;
    let batch = a.workload.rsplit_once("/n").map_or("null", |(_, n)| n);
    let memory = peak_memory().map_or("null".into(), |mb| format!("{mb:.1}"));
    println!(
        "{{\"workload\":\"{}\",\"peer\":\"{}\",\"version\":\"{}\",\"variant\":\"{}\",\"threads\":{},\"batch\":{batch},\
         \"ms_min\":{:.6},\"ms_median\":{median:.6},\"ms_max\":{:.6},\"gflops\":null,\"peak_rss_mb\":{memory},\
         \"gb_s\":null,\"flops\":null,\"samples\":{},\"build_s\":{build:.3},\"difference\":{difference:.3e}}}",
        a.workload,
        peer.name,
        version(peer.package),
        peer.variant,
        a.threads,
        samples[0],
        samples[samples.len() - 1],
        samples.len(),
    );
    Ok(())
}

/// Ends the program: the framework cannot do this workload.
pub fn cannot(a: &Arguments, reason: &str) -> ! {
    eprintln!("{}: {reason}", a.workload);
    std::process::exit(3)
}

/// The version of a package that this workspace is locked to.
fn version(package: &str) -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    let entry = format!("name = \"{package}\"\nversion = \"");
    let after = lock.split_once(&entry).map_or("", |(_, after)| after);
    after.split('"').next().unwrap_or_default()
}

/// The largest resident memory of this process in MB, where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
