//! Times the workloads whose name contains the first argument: `cargo run --release -p gabor-bench --example time -- lenet`.
#![allow(clippy::print_stdout)]

use gabor_bench::{Measure, measure, workloads};
use gabor_cpu::{CpuBackend, CpuOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let threads = std::env::args().nth(2).and_then(|t| t.parse().ok()).unwrap_or(2);
    let backend = CpuBackend::new(CpuOptions { threads: Some(threads), ..Default::default() })?;
    for w in workloads().iter().filter(|w| w.name().contains(&wanted)) {
        let row = measure(w, &backend, threads, Measure { repeats: 5, seconds: 1.0 }, &|| None)?;
        println!("{}", serde_json::to_string(&row)?);
        if std::env::args().any(|a| a == "--profile") {
            for (node, kernel, flops, seconds) in gabor_bench::profile(w, &backend, 50)? {
                println!("{:9.1} us {:7.1} GFLOP/s  {kernel:28} {node}", seconds * 1e6, flops as f64 / seconds / 1e9);
            }
        }
    }
    Ok(())
}
