//! How long a network will take on this machine, from the plan and from what the machine can do.

use crate::Result;
use gabor_compile::{Backend, CompileOptions, NodeReport, Program};
use gabor_cpu::{CpuBackend, Peak};
use gabor_graph::Graph;
use gabor_nets::Summary;

/// A forecast of time and memory. Nothing was run: each kernel call of the plan is taken to reach the part of the
/// machine's measured peak that its kind reaches on our workloads, or to wait for memory, whichever takes longer.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Samples of a run.
    pub batch: usize,
    /// Threads that compute.
    pub threads: usize,
    /// What the machine can do, measured.
    pub peak: Peak,
    /// Seconds of each row of the summary; layers that are fused count where most of the work is.
    pub layers: Vec<f64>,
    /// Seconds of a forward pass.
    pub inference: f64,
    /// Seconds of a training step: forward pass and gradients, which together take 3.5 forward passes on our workloads (2.3
    /// to 4.4), and the update of the parameters.
    pub training: f64,
    /// Bytes of a forward pass as it is planned: parameters, what is kept packed, values and working memory.
    pub inference_bytes: u64,
}

/// Batches beyond this are taken as that many times as much of this.
const MOST_BATCH: usize = 256;
/// Seconds to begin a call on all threads.
const CALL: f64 = 0.5e-6;
/// Times that the update goes over the parameters: reads of weight, gradient and two moments, writes of three.
const UPDATE_PASSES: f64 = 7.0;

/// Forward passes that a forward pass and its gradients take together.
const TRAINING: f64 = 3.5;

/// Parts of the peak that kernels reach, by the beginning of their names, whether something is fused to them or not. Winograd's algorithm saves multiplications,
/// which counts as more than the peak.
const SHARES: &[(&str, f64)] = &[
    ("conv.winograd", 2.4),
    ("conv.direct", 0.93),
    ("conv.cells", 1.3),
    ("conv.first", 0.9),
    ("conv.bands", 0.55),
    ("conv.depthwise", 0.5),
    ("matmul", 0.6),
];
/// The part of other kernels.
const OTHER: f64 = 0.5;

/// Times the bandwidth of memory that data of this many bytes are read with, out of caches.
fn out_of_caches(bytes: f64) -> f64 {
    match bytes {
        b if b < 0.5e6 => 5.0,
        b if b < 4e6 => 2.5,
        _ => 1.0,
    }
}

fn seconds(call: &NodeReport, peak: Peak) -> f64 {
    let kernel = call.kernel.trim_start_matches("fused_");
    let share = SHARES.iter().find(|(name, _)| kernel.starts_with(name)).map_or(OTHER, |s| s.1);
    let work = call.flops as f64 / (share * peak.gflops * 1e9);
    let bytes = call.bytes as f64;
    let memory = bytes / (out_of_caches(bytes) * peak.gb_s * 1e9);
    work.max(memory) + CALL
}

/// The row of a node, or of the node of which a rule made it: `block1.norm2.binary_4` came from `block1.norm2`.
fn row_of(summary: &Summary, node: &str) -> Option<usize> {
    let mut name = node;
    loop {
        match (summary.row_of(name), name.rsplit_once('.')) {
            (Some(row), _) => return Some(row),
            (None, Some((before, _))) => name = before,
            (None, None) => return None,
        }
    }
}

/// The forecast for a graph of which `summary` is the table, on the threads of `backend` with that peak.
///
/// ```
/// use gabor::{cpu::Peak, nets::summary, prelude::*};
/// let net = network("lenet5", &Default::default()).unwrap().graph(Mode::Infer).unwrap();
/// let peak = Peak { gflops: 100.0, gb_s: 10.0 };
/// let f = gabor::forecast(&net, &summary(&net), 8, &CpuBackend::default(), peak).unwrap();
/// assert!(f.inference > 0.0 && f.training > 2.0 * f.inference);
/// ```
///
/// # Errors
/// A graph that cannot be compiled.
pub fn forecast(graph: &Graph, summary: &Summary, batch: usize, backend: &CpuBackend, peak: Peak) -> Result<Forecast> {
    let program = Program::single("graph", graph.clone().validate()?);
    let n = batch.clamp(1, MOST_BATCH);
    let report = backend.compile(&program, &CompileOptions::default())?.report(0, n)?;
    let more = batch as f64 / n as f64;
    let mut layers = vec![0.0; summary.layers.len()];
    let mut end = 0;
    for call in report.nodes.iter().filter(|c| !c.prepared) {
        // A fused call has the name of the last node in it: it stands for all rows since the call before.
        let name = call.node.split(" → ").next().unwrap_or_default();
        let row = row_of(summary, name).unwrap_or(end);
        let covered = if row > end { end + 1..=row } else { row..=row };
        let heaviest = covered.max_by_key(|&r| summary.layers.get(r).map_or(0, |l| l.flops)).unwrap_or(row);
        if let Some(layer) = layers.get_mut(heaviest) {
            *layer += more * seconds(call, peak);
        }
        end = end.max(row);
    }
    let inference: f64 = layers.iter().sum();
    let update = UPDATE_PASSES * 4.0 * summary.parameters as f64 / (peak.gb_s * 1e9);
    let kept: usize = report.kept.iter().map(|h| h.bytes).sum();
    let fixed = (report.parameter_bytes + kept) as f64;
    let growing = (report.arena_bytes + report.scratch_bytes) as f64;
    Ok(Forecast {
        batch,
        threads: backend.threads(),
        peak,
        layers,
        inference,
        training: TRAINING * inference + update,
        inference_bytes: (fixed + more * growing) as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_nets::{Mode, summary, zoo};

    /// GELUs are not fused to the convolutions before them, which are no slower for it; and every layer of some size gets
    /// its own time.
    #[test]
    fn convolutions_cost_the_same_whatever_follows_them() {
        let graph = zoo::by_name("airbench94", &Default::default()).unwrap().graph(Mode::Infer).unwrap();
        let (table, peak) = (summary(&graph), Peak { gflops: 100.0, gb_s: 1000.0 });
        let f = forecast(&graph, &table, 64, &CpuBackend::default(), peak).unwrap();
        for (layer, seconds) in table.layers.iter().zip(&f.layers).filter(|(l, _)| l.flops > 5_000_000) {
            let share = 64.0 * layer.flops as f64 / (seconds * peak.gflops * 1e9);
            assert!((0.5..2.5).contains(&share), "{}: {share} of the peak", layer.name);
        }
    }
}
