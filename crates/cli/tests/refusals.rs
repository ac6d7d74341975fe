//! What cannot be trained is refused before it begins, with what would be right.

mod common;

use common::{Place, bmp, stderr, stdout, write};

/// A folder of `n` pictures.
fn photos(p: &Place, folder: &std::path::Path, n: usize) {
    let folder = p.path("").join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    for i in 0..n {
        write(&folder.join(format!("{i:02}.bmp")), bmp(24, 24, |x, y| [(x * 9 + i) as u8, (y * 7 * i) as u8, 99]));
    }
}

#[test]
fn a_single_class_is_nothing_to_learn() {
    let p = Place::new("single");
    // What happens where the folder above the classes is given: everything in it is one class.
    photos(&p, "photos/flowers/daisy".as_ref(), 12);
    photos(&p, "photos/flowers/rose".as_ref(), 12);
    for words in [&["train", "--data", "photos", "--net", "mlp"][..], &["lr-find", "data=photos", "net=mlp"]] {
        let e = p.fails(1, words);
        let told = "error: photos: a single class, so there is nothing to tell apart; given: flowers; right would be: two classes";
        assert!(e.contains(told), "{e}");
    }
    assert!(!p.path("runs/photos-mlp-1").exists());
    let out = p.gabor(&["data", "check", "photos"]);
    assert!(stdout(&out).contains("warning: there is a single class"), "{}", stdout(&out));
    // Looking at them is no training.
    p.done(&["data", "show", "photos", "augment=mirror"]);
    p.done(&["train", "--data", "photos/flowers", "--net", "mlp", "max_steps=1"]);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_kept_apart() {
    use std::os::unix::ffi::OsStrExt;
    let p = Place::new("no-text");
    let name = |bytes: &[u8]| std::path::Path::new("photos").join(std::ffi::OsStr::from_bytes(bytes));
    photos(&p, &name(b"bee"), 12);
    photos(&p, &name(b"w\xe4sp"), 12);
    let from = p.path("photos/bee/00.bmp");
    for file in [&b"\xff.bmp"[..], b"\xfe.bmp"] {
        std::fs::copy(&from, p.path("photos/bee").join(std::ffi::OsStr::from_bytes(file))).unwrap();
    }
    // Files and a class with such names are read; two classes that cannot be told apart by name are not mixed.
    let out = p.gabor(&["train", "--data", "photos", "--net", "mlp", "max_steps=1", "--out", "run"]);
    assert!(out.status.success(), "{}", stderr(&out));
    let split = String::from_utf8(common::read(&p.path("run/split.tsv"))).unwrap();
    assert!(split.contains("bee/\u{fffd}.bmp\tbee") && split.contains("bee/\u{fffd}.bmp#2\tbee"), "{split}");
    photos(&p, &name(b"w\xf6sp"), 12);
    let e = p.fails(1, &["train", "--data", "photos", "--net", "mlp", "max_steps=1"]);
    let told = "error: photos: names of class folders that differ only in bytes that are no text; given: w\u{fffd}sp";
    assert!(e.contains(told), "{e}");
}

#[test]
fn a_batch_is_at_most_what_there_is_and_memory_is_told_before_it_is_taken() {
    let p = Place::new("absurd");
    photos(&p, "photos/ants".as_ref(), 12);
    photos(&p, "photos/bees".as_ref(), 12);
    let train = ["train", "--data", "photos", "augment=none", "val=0", "epochs=1", "threads=1"];
    let last = |words: &[&str]| {
        let out = p.gabor(&[&train[..], words].concat());
        assert!(out.status.success(), "{}", stderr(&out));
        stdout(&out) + &stderr(&out)
    };
    let told = last(&["--net", "mlp", "batch=65536", "--out", "a"]);
    assert!(told.contains("batch=65536 is more than the 20 training images: a step takes all of them"), "{told}");
    assert!(told.contains("1 epoch of 1 step of 20"), "{told}");
    last(&["--net", "mlp", "batch=20", "--out", "b"]);
    assert!(common::read(&p.path("a/model.onnx")) == common::read(&p.path("b/model.onnx")));
    // Hundreds of gigabytes are planned, not reserved: so the refusal can say what would fit.
    let net = "INPUT 3x2048x2048 -> [CONV3-64 -> RELU]*8 -> GAP -> FC";
    let e = p.fails(1, &[&train[..], &["--net", net, "batch=16", "--out", "c"]].concat());
    assert!(
        e.contains("error: memory: a run in steps of 16 samples takes about ") && e.contains("GiB of memory"),
        "{e}"
    );
    assert!(e.contains("recompute=segments (about ") && e.contains("a smaller input or network"), "{e}");
    let e = p.fails(1, &[&train[..], &["--net", "lenet5", "memory=1MiB", "--out", "d"]].concat());
    assert!(e.contains("the key `memory` (1.00 MiB, of which the program holds "), "{e}");
}

#[test]
fn the_last_epoch_is_shown_and_steps_are_told_as_they_are() {
    let p = Place::new("rows");
    let words = ["train", "--net", "mlp", "augment=none", "check=none", "threads=1"];
    // Of 400 epochs every twentieth has a row; this ends in between.
    let text = p.done(&[&words[..], &["epochs=400", "batch=512", "max_steps=7", "--out", "a"]].concat());
    let rows: Vec<&str> = text.lines().filter(|l| l.contains(" %") && l.contains("e-")).collect();
    assert!(rows.len() == 1 && rows[0].trim_start().starts_with("2 "), "{text}");
    assert!(text.contains(&format!("{}\nstopped at step 7", rows[0])), "{text}");
    let text = p.done(&[&words[..], &["optimiser=lbfgs", "epochs=1", "batch=128", "--out", "b"]].concat());
    assert!(text.contains("1 epoch of 1 step of 1293"), "{text}");
}
