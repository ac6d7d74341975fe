//! Trainings as processes: complete run directories, the same bits however they are run, interrupted or killed.

mod common;

use common::{Place, json, read, stderr};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A training small enough for a test, with everything random in it switched on.
const SMALL: &[&str] =
    &["train", "--json", "net=lenet5", "epochs=2", "batch=128", "augment=shift:1,rotate:5", "save_every=3"];

fn words<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SMALL.iter().copied().chain(more.iter().copied()).collect()
}

/// Reads JSON lines until one of this event.
fn wait_for(child: &mut Child, event: &str, times: usize) {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let mut seen = 0;
    for line in lines {
        if json(&line.unwrap())["event"] == event {
            seen += 1;
            if seen == times {
                return;
            }
        }
    }
    panic!("the command ended before its {times}. {event}");
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_run_directory_is_complete_and_threads_do_not_matter() {
    let p = Place::new("threads");
    for threads in ["1", "2", "4"] {
        let workers = format!("workers={threads}");
        p.done(&words(&["--threads", threads, "--out", threads, &workers]));
    }
    for file in [
        "config.toml",
        "metrics.jsonl",
        "report.html",
        "checkpoints/last.safetensors",
        "checkpoints/best.safetensors",
        "checkpoints/previous.safetensors",
    ] {
        assert!(p.path("1").join(file).is_file(), "{file}");
    }
    let events: Vec<_> =
        std::fs::read_dir(p.path("1")).unwrap().filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
    assert!(events.iter().any(|n| n.starts_with("events.out.tfevents.")), "{events:?}");
    let model = read(&p.path("1/model.onnx"));
    assert!(model == read(&p.path("2/model.onnx")) && model == read(&p.path("4/model.onnx")));
    // The first free name is taken where none is given.
    for _ in 0..2 {
        p.done(&["train", "net=mlp", "max_steps=1"]);
    }
    assert!(p.path("runs/digits-mlp-1/model.onnx").is_file() && p.path("runs/digits-mlp-2/model.onnx").is_file());
    // A run is not written over.
    let e = p.fails(1, &words(&["--out", "1"]));
    assert!(e.contains("holds a run already") && e.contains("--resume"), "{e}");
}

#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_to_the_same_bits() {
    let p = Place::new("killed");
    p.done(&words(&["--out", "whole"]));
    let whole = read(&p.path("whole/model.onnx"));
    // Killed at moments that no one chose: somewhere in the first and in the second epoch.
    let mut moment = Instant::now().elapsed().subsec_nanos() as u64;
    for (round, checkpoints) in [(0, 2), (1, 6)] {
        let run = format!("killed{round}");
        let mut child = p.command(&words(&["--out", &run])).spawn().unwrap();
        wait_for(&mut child, "checkpoint", checkpoints);
        moment = moment.wrapping_mul(6364136223846793005).wrapping_add(std::process::id().into());
        std::thread::sleep(Duration::from_micros(moment >> 33 & 0xffff));
        child.kill().unwrap();
        child.wait().unwrap();
        let out = p.gabor(&["train", "--json", "--resume", &run]);
        assert!(out.status.success(), "{}", stderr(&out));
        assert!(whole == read(&p.path(&run).join("model.onnx")), "killed after checkpoint {checkpoints}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_stops_and_a_second_trainer_is_kept_out() {
    let p = Place::new("signals");
    let mut child = p.command(&words(&["--out", "run", "epochs=400"])).spawn().unwrap();
    wait_for(&mut child, "checkpoint", 3);
    let e = p.fails(1, &["train", "--resume", "run"]);
    assert!(e.starts_with("error: run") && e.contains("another process"), "{e}");
    signal(&child, "INT");
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    assert!(stderr(&out).contains("once more to abort"));
    let last = String::from_utf8(out.stdout).unwrap();
    let last = json(last.lines().last().unwrap());
    assert_eq!((&last["event"], &last["reason"]), (&"stopped".into(), &"interrupted".into()));
    assert!(last["resume"].as_str().unwrap().contains("--resume run"));
    // What was saved is what goes on.
    let step = last["step"].as_u64().unwrap();
    let more = format!("max_steps={}", step + 1);
    let on = p.done(&["train", "--json", "--resume", "run", &more]);
    assert_eq!(json(on.lines().next().unwrap())["resumed_from"], step);
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_written_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let p = Place::new("readonly");
    let dir = p.path("locked");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(dir.join("probe"), "").is_ok() {
        // The administrator writes everywhere; a file in the way of a directory is refused to him too.
        std::fs::write(p.path("file"), "").unwrap();
        let e = p.fails(1, &["train", "--out", "file/run"]);
        assert!(e.starts_with("error: file/run"), "{e}");
    } else {
        let e = p.fails(1, &["train", "--out", "locked/run"]);
        assert!(e.starts_with("error: locked/run"), "{e}");
    }
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
}
