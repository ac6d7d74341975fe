//! Trainings that are left alone: a disk that fills up, memory that does not grow, a time that ends, and `lr-find`.

#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

mod common;

use common::{Place, json, read, stderr};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_run_and_space_lets_it_go_on() {
    let p = Place::new("fulldisk");
    let words = ["train", "--json", "net=lenet5", "epochs=2", "batch=128", "save_every=3", "ema=true", "--out"];
    p.done(&[&words[..], &["whole"]].concat());
    let disk = p.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&disk).output();
    if !mounted.is_ok_and(|o| o.status.success()) {
        println!(
            "skipped: mounting a small tmpfs is not allowed here; crates/train/tests/trainer.rs has a disk that fails"
        );
        return;
    }
    let _unmount = Mounted(&disk);
    // Something else fills the disk up: there is room for one checkpoint and part of a second.
    let largest = std::fs::metadata(p.path("whole/checkpoints/last.safetensors")).unwrap().len() as usize;
    let filler = disk.join("filler");
    std::fs::write(&filler, vec![1u8; (8 << 20) - 2 * largest - (largest / 2)]).unwrap();
    let out = p.gabor(&[&words[..], &["disk/run"]].concat());
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    assert!(
        stderr(&out).contains("cannot write a checkpoint of") && stderr(&out).contains("space left"),
        "{}",
        stderr(&out)
    );
    // Still full: the run is refused again, and nothing is lost.
    p.fails(1, &["train", "--json", "--resume", "disk/run"]);
    std::fs::remove_file(&filler).unwrap();
    p.done(&["train", "--json", "--resume", "disk/run"]);
    assert!(read(&p.path("whole/model.onnx")) == read(&disk.join("run/model.onnx")));
}

#[cfg(target_os = "linux")]
struct Mounted<'a>(&'a Path);

#[cfg(target_os = "linux")]
impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_over_a_thousand_steps() {
    let p = Place::new("flat");
    let words = [
        "train",
        "--json",
        "net=INPUT -> CONV3-8 -> RELU -> POOL -> FC",
        "batch=32",
        "epochs=100",
        "max_steps=1200",
        "ema=true",
        "augment=shift:1,rotate:5",
        "workers=2",
        "--threads",
        "2",
        "--out",
        "run",
        "save_every=50",
    ];
    let mut child = p.command(&words).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (mut early, mut late) = (0u64, 0u64);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let event = json(&line.unwrap());
        // The kernel's page of the process goes away with it.
        let Ok(text) = std::fs::read_to_string(&status) else { continue };
        let resident = text.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let Some(kib) = resident.and_then(|r| r.trim().trim_end_matches(" kB").parse::<u64>().ok()) else { continue };
        match event["step"].as_u64() {
            Some(100..=300) => early = early.max(kib),
            Some(1000..=1190) => late = late.max(kib),
            _ => {}
        }
    }
    assert!(child.wait().unwrap().success());
    assert!(early > 0 && late > 0, "{early} {late}");
    // Pages come and go with the loader's threads; a leak of one small batch a step would be 3 MiB.
    assert!(late < early + 1500, "{early} KiB at first, {late} KiB after 1,000 steps");
}

#[test]
fn a_rate_is_found_and_drawn() {
    let p = Place::new("lrfind");
    let found = json(&p.done(&["lr-find", "--json", "--steps", "40", "--from", "1e-5", "net=lenet5", "batch=32"]));
    assert_eq!((&found["picture"], found["points"].as_array().unwrap().len() > 20), (&"lr-find.svg".into(), true));
    let lr = found["suggestion"].as_f64().unwrap();
    assert!((1e-4..0.3).contains(&lr), "{found}");
    let svg = String::from_utf8(read(&p.path("lr-find.svg"))).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("steepest: ") && svg.contains("lenet5 on digits, adamw"), "{svg}");
    let text = p.done(&["lr-find", "--steps", "30", "--picture", "none", "net=lenet5"]);
    assert!(text.contains("suggestion: lr=") && !text.contains("picture"), "{text}");
    assert!(!p.path("runs").exists());
    let e = p.fails(2, &["lr-find", "--picture", "a.jpg"]);
    assert!(e.contains("right would be: a name in .svg or .png"), "{e}");
    let e = p.fails(1, &["lr-find", "--from", "1", "--to", "0.1"]);
    assert!(e.contains("rates from 1 to 0.1"), "{e}");
}

#[test]
fn keys_of_other_programs_are_answered() {
    let p = Place::new("spelling");
    for (word, right) in [
        ("accumulate=2", "`grad_accum`"),
        ("learning_rate=1", "`lr`"),
        ("ema_decay=0.9", "`ema`"),
        ("precision=f16", "f32"),
    ] {
        let e = p.fails(2, &["train", word]);
        assert!(e.contains(right), "{word}: {e}");
    }
    let all = [
        "ema=true",
        "label_smoothing=0.1",
        "schedule=one-cycle",
        "grad_accum=4",
        "clip=1.0",
        "max_time=1h",
        "memory=4GiB",
    ];
    let out = p.done(&[&["train", "--json", "net=lenet5", "max_steps=2", "--out", "run"][..], &all[..]].concat());
    let forecast = out.lines().map(json).find(|e| e["event"] == "forecast").unwrap();
    assert!(
        forecast["memory"].as_u64().unwrap() > 1 << 20 && forecast["free"].as_u64().unwrap() < 4 << 30,
        "{forecast}"
    );
}
