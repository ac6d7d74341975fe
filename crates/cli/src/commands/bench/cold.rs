//! How long it takes from nothing to an answer.

use super::Arguments;
use crate::failure::{Failure, Result};
use gabor::Model;
use gabor::cpu::CpuBackend;
use gabor::formats::npy;
use gabor::nets::zoo;
use gabor::prelude::*;
use gabor::tensor::{Stream, rng};
use gabor_bench::Row;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Networks whose cold start is timed.
const NETWORKS: [&str; 1] = ["resnet18"];

/// The names of the workloads.
pub fn names() -> impl Iterator<Item = String> {
    NETWORKS.iter().map(|net| format!("coldstart/{net}"))
}

/// Files that are gone with this value.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // In the system's folder for such files, where nobody misses their removal.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Times a new process of this command, `gabor run` on a model's file and one picture of random numbers, from its creation
/// to the line that tells of the answer.
pub fn measure(a: &Arguments, name: &str, backend: &CpuBackend) -> Result<Row> {
    let started = Instant::now();
    let net = zoo::by_name(name.rsplit('/').next().unwrap_or(name), &zoo::Options::default())?;
    let folder = Folder(std::env::temp_dir().join(format!("gabor-cold-{}", std::process::id())));
    let (model, picture) = (folder.0.join("model.onnx"), folder.0.join("images.npy"));
    let failed = |e: std::io::Error| gabor::Error::io(&folder.0, "write", &e);
    std::fs::create_dir_all(&folder.0).map_err(failed)?;
    let graph = net.graph(Mode::Infer)?;
    let weights = net.initialize(1)?;
    gabor::write_aside(&model, &Model::new(graph, weights)?.to_onnx()?)?;
    let shape: Vec<usize> = std::iter::once(1).chain(net.input().iter().copied()).collect();
    let mut random = Stream::new(1, 0, 0, rng::op::TEST);
    let numbers = (0..shape.iter().product()).map(|_| random.normal() as f32).collect();
    let picture_bytes = npy::write(&Tensor::f32(&shape, numbers).map_err(|r| gabor::Error::new(name, r))?);
    gabor::write_aside(&picture, &picture_bytes)?;
    let mut start = command(a, &folder.0, &model, &picture, backend.threads())?;
    // The first one brings the files into the system's cache.
    time(&mut start)?;
    let build_s = started.elapsed().as_secs_f64();
    let samples = (0..a.repeats).map(|_| time(&mut start)).collect::<Result<Vec<f64>>>()?;
    Ok(Row { build_s, ..Row::new(name.into(), "cpu", backend.threads(), samples) })
}

fn command(a: &Arguments, folder: &Path, model: &Path, picture: &Path, threads: usize) -> Result<Command> {
    let this = std::env::current_exe().map_err(|e| Failure::Failed(format!("this command's own file: {e}")))?;
    let mut command = Command::new(this);
    command.arg("run").arg(model).arg("--input").arg(format!("images={}", picture.display()));
    command.arg("--output").arg(folder.join("answer")).args(["--json", "--threads", &threads.to_string()]);
    command.args(["--numerics", &a.compute.numerics]);
    if let Some(isa) = a.compute.isa {
        command.args(["--isa", isa.name()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// Milliseconds to the first line.
fn time(command: &mut Command) -> Result<f64> {
    let failed = |e: std::io::Error| Failure::Failed(format!("a new process of this command: {e}"));
    let started = Instant::now();
    let mut child = command.spawn().map_err(failed)?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        let mut out = BufReader::new(out);
        out.read_line(&mut line).map_err(failed)?;
    }
    let ms = started.elapsed().as_secs_f64() * 1e3;
    let mut said = String::new();
    if let Some(mut err) = child.stderr.take() {
        err.read_to_string(&mut said).map_err(failed)?;
    }
    match child.wait().map_err(failed)? {
        status if status.success() && !line.is_empty() => Ok(ms),
        status => Err(Failure::Failed(format!("a new process of this command ended with {status}: {said}"))),
    }
}
