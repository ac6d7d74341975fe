//! What one must be able to rely on overnight: the same bits however a run is computed and however often it dies.

mod common;

use common::{backend, directory, run, setup};
use gabor_tensor::{Stream, rng};
use gabor_train::checkpoint::{Content, Disk, Storage};
use gabor_train::{Checkpoints, Event, FnSink, RunOptions, train};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A run with everything that has memory: averages, accumulated gradients, phases, momenta, normalisation, dropout.
const WORDS: &[&str] = &["epochs=3", "unfreeze=1", "ema=0.9", "grad_accum=2", "clip=1", "discriminative=0.5"];
const SAVED: &[&str] = &["save_every=4"];
/// Long enough to die ten times on a fast machine.
const LONG: &[&str] = &["epochs=8"];

#[test]
fn threads_and_workers_change_no_bit_of_any_part() {
    let of = |threads: usize, workers: usize| {
        let workers = format!("workers={workers}");
        run(&setup(&[WORDS, &["epochs=2", "max_steps=50", workers.as_str()][..]].concat()), threads, None, false)
    };
    let base = of(1, 1);
    for threads in [1, 2, 4] {
        for workers in [1, 2, 4] {
            let other = of(threads, workers);
            assert!(other.weights == base.weights, "{threads} threads, {workers} workers");
            assert_eq!(other.state.best, base.state.best);
        }
    }
}

/// A disk on which the process is killed in the middle of a file, from one write on.
struct Deadly {
    writes: AtomicU64,
    deadly: u64,
}

impl Storage for Deadly {
    fn write(&self, path: &Path, content: Content<'_>) -> std::io::Result<()> {
        if self.writes.fetch_add(1, Ordering::Relaxed) < self.deadly {
            return Disk.write(path, content);
        }
        let mut bytes = Vec::new();
        content(&mut bytes)?;
        Disk.write(path, &|file| file.write_all(&bytes[..bytes.len() / 3]))?;
        die();
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

/// Body of the processes that are killed below; does nothing unless it is one.
#[test]
fn child_that_dies() {
    let Ok(dir) = std::env::var("GABOR_TEST_DYING_CHILD") else { return };
    let resume = Checkpoints::open(Path::new(&dir)).unwrap().exist();
    let deadly = std::env::var("GABOR_TEST_DEADLY_WRITE").ok().and_then(|v| v.parse().ok());
    let storage = deadly.map(|deadly| Box::new(Deadly { writes: AtomicU64::new(0), deadly }) as Box<dyn Storage>);
    let options = RunOptions { directory: Some(dir.into()), resume, storage, ..Default::default() };
    let mut left: u32 = std::env::var("GABOR_TEST_DEADLY_EVENT").map_or(u32::MAX, |v| v.parse().unwrap());
    let mut sink = FnSink(|event: &Event| {
        if matches!(event, Event::Checkpoint { .. }) {
            left = left.saturating_sub(1);
            if left == 0 {
                // Some time after, in the middle of whatever is done then.
                std::thread::spawn(die);
            }
        }
    });
    train(&setup(&[WORDS, LONG, SAVED].concat()), &backend(2), options, &mut sink).unwrap();
}

/// The signal that no process can answer, from outside as the kernel sends it.
fn die() {
    Command::new("kill").args(["-9", &std::process::id().to_string()]).status().unwrap();
}

#[cfg(unix)]
#[test]
fn ten_kills_change_no_bit() {
    use std::os::unix::process::ExitStatusExt;
    let whole = run(&setup(&[WORDS, LONG].concat()), 1, None, false);
    let dir = directory("ten-kills");
    let mut stream = Stream::new(10, 0, 0, rng::op::TEST);
    let mut kills = 0;
    for round in 0..10 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["child_that_dies", "--exact"]).env("GABOR_TEST_DYING_CHILD", &dir);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // Every other one dies within a checkpoint (of `last`, or of `best` at an epoch's end), the others some time after
        // one. No clock decides, so that the test is the same on any machine.
        let deadly = if round % 2 == 0 { "GABOR_TEST_DEADLY_WRITE" } else { "GABOR_TEST_DEADLY_EVENT" };
        let status = command.env(deadly, (1 + stream.below(3)).to_string()).status().unwrap();
        assert!(status.success() || status.signal() == Some(9), "{status}");
        kills += usize::from(status.signal() == Some(9));
    }
    assert_eq!(kills, 10);
    let resume = Checkpoints::open(&dir).unwrap().exist();
    let out = run(&setup(&[WORDS, LONG, SAVED].concat()), 2, Some(&dir), resume);
    assert!(out.weights == whole.weights && out.state.best == whole.state.best, "after {kills} kills");
    std::fs::remove_dir_all(&dir).unwrap();
}
