//! Readers under libFuzzer, with coverage: every target of `fuzz/` from the files that the tests of damaged files begin with.

use crate::repository::Repository;
use std::path::Path;
use std::process::Command;

/// Seconds for each target where none are asked for.
const SECONDS: u32 = 30;
/// The most that a reader may take for one file: MiB with what the sanitizer adds, and seconds.
const MEMORY: u32 = 1024;
const LONGEST: u32 = 10;
/// The variable that makes the tests of damaged files write what they begin with.
const SEEDS: &str = "GABOR_FUZZ_SEEDS";

/// Fuzzes the targets whose name holds `word`.
///
/// # Errors
/// If cargo-fuzz or a nightly compiler is missing, no target has that name, or one of them fails.
pub fn chore(r: &Repository, word: &str, seconds: Option<&str>) -> Result<String, String> {
    let seconds = match seconds.map(str::parse) {
        None => SECONDS,
        Some(Ok(n)) if n > 0 => n,
        Some(_) => return Err(format!("seconds: {}; right would be a number from 1 on", seconds.unwrap_or_default())),
    };
    let listed = cargo(r, &["+nightly", "fuzz", "list"]).output().map_err(|e| format!("cargo: {e}"))?;
    if !listed.status.success() {
        let why = String::from_utf8_lossy(&listed.stderr);
        let install = "rustup toolchain install nightly; cargo install cargo-fuzz; a C++ compiler";
        return Err(format!("{}\nfuzzing needs: {install}", why.trim()));
    }
    let names = String::from_utf8_lossy(&listed.stdout);
    let targets: Vec<&str> = names.split_whitespace().filter(|name| name.contains(word)).collect();
    if targets.is_empty() {
        return Err(format!("`{word}` is in none of {}", names.split_whitespace().collect::<Vec<_>>().join(", ")));
    }
    let corpus = r.root.join("fuzz/corpus");
    let tests = ["test", "--package", "gabor-formats", "--package", "gabor-data", "--test", "damaged"];
    let seeds = cargo(r, &tests).env(SEEDS, &corpus).output().map_err(|e| format!("cargo: {e}"))?;
    if !seeds.status.success() {
        return Err(format!("the tests of damaged files fail:\n{}", String::from_utf8_lossy(&seeds.stdout)));
    }
    let mut failed = Vec::new();
    for name in &targets {
        println!("{name}: {seconds} s");
        if !run(r, name, &corpus, seconds)? {
            failed.push(*name);
        }
    }
    let of = |n: usize| if n == 1 { "1 target".to_string() } else { format!("{n} targets") };
    if failed.is_empty() {
        return Ok(format!("{} for {seconds} s each: nothing found", of(targets.len())));
    }
    let what = failed.join(", ");
    Err(format!("found something in {}: {what}; the files lie in fuzz/artifacts/NAME", of(failed.len())))
}

fn run(r: &Repository, name: &str, corpus: &Path, seconds: u32) -> Result<bool, String> {
    let own = corpus.join(name);
    let words = corpus.join(format!("{name}.dict"));
    let own = own.to_str().ok_or("the path of the repository is no UTF-8")?;
    let mut command = cargo(r, &["+nightly", "fuzz", "run", name, own, "--"]);
    command.args([
        format!("-max_total_time={seconds}"),
        format!("-rss_limit_mb={MEMORY}"),
        format!("-timeout={LONGEST}"),
        "-verbosity=0".into(),
        "-print_final_stats=1".into(),
    ]);
    if words.is_file() {
        command.arg(format!("-dict={}", words.display()));
    }
    Ok(command.status().map_err(|e| format!("cargo: {e}"))?.success())
}

fn cargo(r: &Repository, words: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    // The compiler that runs this chore is not the one that is asked for.
    command.args(words).current_dir(&r.root).env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
    command
}
