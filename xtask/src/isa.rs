//! Kernels on instruction sets that this machine lacks: their tests under an emulator, and a network's answers beside those of
//! this machine.

use crate::repository::Repository;
use std::path::PathBuf;
use std::process::Command;

/// An instruction set that is emulated.
struct Set {
    name: &'static str,
    target: &'static str,
    /// What the compiler may use beyond what the target has.
    features: &'static str,
    linker: Option<&'static str>,
    /// The emulator, and words before the program's name.
    runner: &'static [&'static str],
    install: &'static str,
    /// Whether multiply-adds round once, so that networks answer with the bits of this machine.
    exact: bool,
}

const SETS: [Set; 2] = [
    Set {
        name: "neon",
        target: "aarch64-unknown-linux-gnu",
        features: "",
        linker: Some("aarch64-linux-gnu-gcc"),
        runner: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
        install: "apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
        exact: true,
    },
    Set {
        name: "wasm128",
        target: "wasm32-wasip1",
        features: "+simd128",
        linker: None,
        runner: &["node", "--no-warnings", "xtask/wasi.mjs"],
        install: "Node.js from version 20 on",
        exact: false,
    },
];

/// Tests of the backend that compute; pools of threads and limits of memory are no matter of an instruction set.
const BACKEND: [&str; 10] = [
    "blocked_pool",
    "direct_conv",
    "ends",
    "filter_grad",
    "first_layers",
    "norm",
    "residual",
    "step",
    "winograd",
    "winograd_filter_grad",
];

/// The networks whose answers are compared, and how far they may lie apart, relative to the largest, where multiply-adds do
/// not round once.
const NETWORKS: [&str; 2] = ["lenet5", "resnet18"];
const NEAR: f64 = 1e-5;

/// Tests the kernels and the backend of a set, then compares networks.
///
/// # Errors
/// If a tool is missing, a test fails or an answer differs.
pub fn chore(r: &Repository, name: &str) -> Result<String, String> {
    let names = SETS.map(|s| s.name).join(", ");
    let set = SETS.iter().find(|s| s.name == name).ok_or(format!("`{name}` is none of {names}"))?;
    for tool in set.runner.iter().take(1).copied().chain(set.linker) {
        let found = Command::new(tool).arg("--version").output().is_ok_and(|o| o.status.success());
        if !found {
            return Err(format!("{tool} is not there: {}", set.install));
        }
    }
    let installed = Command::new("rustup").args(["target", "add", set.target]).current_dir(&r.root).output();
    if !installed.is_ok_and(|o| o.status.success()) {
        return Err(format!("rustup target add {} fails", set.target));
    }
    let kernels = ["--package", "gabor-kernels", "--lib"].map(String::from).to_vec();
    let backend = BACKEND.iter().flat_map(|t| ["--test".to_string(), t.to_string()]);
    let backend = ["--package", "gabor-cpu"].map(String::from).into_iter().chain(backend).collect();
    for tests in [kernels, backend] {
        let done = cargo(r, Some(set)).arg("test").args(&tests).status().map_err(|e| format!("cargo: {e}"))?;
        if !done.success() {
            return Err(format!("{name}: tests of {} fail", tests[1]));
        }
    }
    let mut said = vec![format!("{name}: all tests of the kernels and the backend pass")];
    for network in NETWORKS {
        let (own, theirs) = (answers(r, None, network)?, answers(r, Some(set), network)?);
        said.push(format!("{network}: {}", compared(&own, &theirs, set.exact)?));
    }
    Ok(said.join("\n"))
}

/// Cargo for a set, or for this machine.
fn cargo(r: &Repository, set: Option<&Set>) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&r.root);
    if let Some(set) = set {
        let variable = |what| format!("CARGO_TARGET_{}_{what}", set.target.replace('-', "_").to_uppercase());
        // Tests run in the folders of their crates.
        let here: PathBuf = r.root.join("xtask/wasi.mjs");
        let runner = set.runner.iter().map(|w| w.replace("xtask/wasi.mjs", &here.to_string_lossy()));
        cargo.env("CARGO_BUILD_TARGET", set.target);
        cargo.env(variable("RUNNER"), runner.collect::<Vec<_>>().join(" "));
        if !set.features.is_empty() {
            cargo.env(variable("RUSTFLAGS"), format!("-C target-feature={}", set.features));
        }
        if let Some(linker) = set.linker {
            cargo.env(variable("LINKER"), linker);
        }
    }
    cargo
}

/// What a network answers: first the instructions that it ran with, then its outputs.
fn answers(r: &Repository, set: Option<&Set>, network: &str) -> Result<Vec<String>, String> {
    let example = ["run", "--quiet", "--package", "gabor-nets", "--example", "forward", network];
    let out = cargo(r, set).args(example).output().map_err(|e| format!("cargo: {e}"))?;
    if !out.status.success() {
        return Err(format!("{network} does not run: {}", String::from_utf8_lossy(&out.stderr).trim()));
    }
    let lines: Vec<String> = String::from_utf8_lossy(&out.stdout).lines().map(String::from).collect();
    if lines.len() < 2 { Err(format!("{network} answers nothing")) } else { Ok(lines) }
}

/// How far two answers lie apart.
fn compared(own: &[String], theirs: &[String], exact: bool) -> Result<String, String> {
    let numbers = |lines: &[String]| -> Vec<f64> { lines[1..].iter().filter_map(|l| l.parse().ok()).collect() };
    let (a, b) = (numbers(own), numbers(theirs));
    if a.len() + 1 != own.len() || a.len() != b.len() {
        return Err(format!("{} and {}: {} and {} numbers", own[0], theirs[0], a.len(), b.len()));
    }
    let size = a.iter().fold(0f64, |m, v| m.max(v.abs()));
    // NaN is no distance that passes.
    let apart =
        a.iter().zip(&b).map(|(a, b)| (a - b).abs() / size).fold(0f64, |m, d| if d > m || d.is_nan() { d } else { m });
    let text = format!("{} outputs of {} and {} lie {apart:.1e} apart", a.len(), own[0], theirs[0]);
    match if exact { apart == 0.0 } else { apart <= NEAR } {
        true => Ok(text),
        false => Err(format!("{text}; {} is right", if exact { 0.0 } else { NEAR })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_judged() {
        let lines = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        let own = lines("avx2 4 -2");
        assert!(compared(&own, &lines("neon 4 -2"), true).is_ok());
        assert!(compared(&own, &lines("wasm128 4.00001 -2"), false).is_ok());
        assert!(compared(&own, &lines("neon 4.00001 -2"), true).is_err());
        assert!(compared(&own, &lines("wasm128 4 -2.001"), false).is_err());
        assert!(compared(&own, &lines("wasm128 4"), false).is_err());
        assert!(compared(&own, &lines("wasm128 NaN -2"), false).is_err());
    }
}
