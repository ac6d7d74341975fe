//! What the programs share: their arguments, the measurement, and the row they print.
//!
//! A program times one workload: `PROGRAM infer/resnet18/n1 [--models FOLDER] [--threads N] [--repeats N] [--seconds S]`
//! prints one JSON line with the keys of `gabor bench --json`, measured as gabor measures itself: a warm-up, then
//! samples, each the mean over enough iterations. It ends with status 3 if the framework cannot do the workload.

use std::error::Error;
use std::time::Instant;

/// The result of a program.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a program is asked for.
pub struct Arguments {
    /// Name of the workload.
    pub workload: String,
    /// Folder with NAME.onnx of each network.
    pub models: String,
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
        let mut a = Arguments { workload: String::new(), models: ".".into(), threads: 2, repeats: 7, seconds: 2.0 };
        let mut given = std::env::args().skip(1);
        while let Some(key) = given.next() {
            if !key.starts_with("--") {
                a.workload = key;
                continue;
            }
            let value = given.next().ok_or_else(|| format!("{key} has no value"))?;
            match key.as_str() {
                "--models" => a.models = value,
                "--threads" => a.threads = value.parse()?,
                "--repeats" => a.repeats = value.parse::<usize>()?.max(1),
                "--seconds" => a.seconds = value.parse()?,
                _ => return Err(format!("{key}: right would be: --models, --threads, --repeats or --seconds").into()),
            }
        }
        Ok(a)
    }

    /// The ONNX file of a network.
    pub fn model(&self, name: &str) -> String {
        format!("{}/{name}.onnx", self.models)
    }
}

/// Warms up, measures `once` and prints the row. `crate_name` is the package of the framework whose version counts.
///
/// # Errors
/// Those of `once`.
pub fn measure(
    a: &Arguments,
    crate_name: &str,
    peer: &str,
    variant: &str,
    mut once: impl FnMut() -> Result<()>,
) -> Result<()> {
    let started = Instant::now();
    let mut best = f64::MAX;
    let mut rounds = 0;
    while rounds < 3 || started.elapsed().as_secs_f64() < (a.seconds / 4.0).min(0.5) {
        let t = Instant::now();
        once()?;
        best = best.min(t.elapsed().as_secs_f64());
        rounds += 1;
    }
    let build = started.elapsed().as_secs_f64();
    let iterations = ((a.seconds / a.repeats as f64 / best) as usize).max(1);
    let mut samples = Vec::with_capacity(a.repeats);
    for _ in 0..a.repeats {
        let t = Instant::now();
        for _ in 0..iterations {
            once()?;
        }
        samples.push(t.elapsed().as_secs_f64() * 1e3 / iterations as f64);
    }
    samples.sort_by(f64::total_cmp);
    let median = (samples[(samples.len() - 1) / 2] + samples[samples.len() / 2]) / 2.0;
    let batch = a.workload.rsplit_once("/n").map_or("null", |(_, n)| n);
    let memory = peak_memory().map_or("null".into(), |mb| format!("{mb:.1}"));
    println!(
        "{{\"workload\":\"{}\",\"peer\":\"{peer}\",\"version\":\"{}\",\"variant\":\"{variant}\",\"threads\":{},\
         \"batch\":{batch},\"ms_min\":{:.6},\"ms_median\":{median:.6},\"ms_max\":{:.6},\"peak_rss_mb\":{memory},\
         \"samples\":{},\"build_s\":{build:.3}}}",
        a.workload,
        version(crate_name),
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

/// `n` numbers between -1 and 1, always the same.
pub fn noise(n: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
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
