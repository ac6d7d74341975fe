//! Event files, read by TensorBoard itself where it is installed (`GABOR_PYTHON`, else python3): every value at its step,
//! after a run that was not interrupted, was killed and went on, and was killed in the middle of a record.

#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

mod common;

use common::{Place, json, read, stderr, stdout};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

/// Whether TensorBoard was there to be asked.
fn agrees(run: &Path, files: usize) -> bool {
    let python = std::env::var("GABOR_PYTHON").unwrap_or("python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_events.py");
    let out = match Command::new(&python).arg(script).arg(run).arg(files.to_string()).output() {
        Ok(out) if out.status.code() != Some(77) => out,
        _ => {
            println!("skipped: {python} has no tensorboard");
            return false;
        }
    };
    assert!(out.status.success(), "{}{}", stdout(&out), stderr(&out));
    true
}

#[test]
fn tensorboard_reads_every_value() {
    let p = Place::new("tensorboard");
    let words = ["train", "--json", "net=lenet5", "epochs=3", "batch=128", "augment=none", "save_every=3"];
    let on = |run: &'static str| [&words[..], &["--out", run]].concat();
    p.done(&on("whole"));
    if !agrees(&p.path("whole"), 1) {
        return;
    }
    let mut child = p.command(&on("killed")).spawn().unwrap();
    let mut checkpoints = 0;
    for line in BufReader::new(child.stdout.as_mut().unwrap()).lines() {
        checkpoints += u32::from(json(&line.unwrap())["event"] == "checkpoint");
        if checkpoints == 6 {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // As if it had been killed while it wrote a record.
    let first = std::fs::read_dir(p.path("killed")).unwrap().filter_map(|e| Some(e.ok()?.path()));
    let first = first.into_iter().find(|f| f.to_string_lossy().contains("tfevents")).unwrap();
    let bytes = read(&first);
    common::write(&first, [&bytes[..], &bytes[..17]].concat());
    p.done(&["train", "--json", "--resume", "killed"]);
    assert!(agrees(&p.path("killed"), 2));
    // It goes on a second time, for more epochs.
    p.done(&["train", "--json", "--resume", "killed", "epochs=4"]);
    assert!(agrees(&p.path("killed"), 3));
}
