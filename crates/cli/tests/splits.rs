//! The split of a run: written down, kept when files come and go, reused, and drawn around near duplicates; and data that
//! are looked at before a training.

mod common;

use common::{Place, bmp, json, read, stderr, stdout, write};

/// Waves that differ by `seed` in direction and length; `light` makes them a little brighter.
fn waves(seed: usize, light: f64) -> Vec<u8> {
    let [a, b, c] = [1.3, 2.1, 0.7].map(|k: f64| (k * (seed as f64 + 0.5) * 2.4).sin() * 9.0);
    bmp(40, 40, |x, y| {
        let (y, x) = (y as f64 / 40.0, x as f64 / 40.0);
        let v = (a * x + b * y).sin() + (c * x * y * 3.0 - a).sin() + (b * x * x + c).cos();
        [v * 40.0 + light, v * 30.0 + light, light - v * 20.0].map(|v| v as u8)
    })
}

fn photos(p: &Place, name: &str, n: usize) {
    for (k, class) in ["grüne Äpfel", "big bees"].iter().enumerate() {
        let folder = p.path(name).join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for i in 0..n {
            write(&folder.join(format!("{i:02}.bmp")), waves(i + 100 * k, 128.0));
        }
    }
}

const TRAIN: &[&str] =
    &["train", "--data", "photos", "--net", "mlp", "augment=mirror", "batch=5", "epochs=2", "check=none", "--out"];

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    TRAIN.iter().copied().chain(more.iter().copied()).collect()
}

#[test]
fn a_split_outlives_changes_of_the_folder() {
    let p = Place::new("splits");
    photos(&p, "photos", 12);
    p.done(&train(&["whole"]));
    let split = String::from_utf8(read(&p.path("whole/split.tsv"))).unwrap();
    let rows: Vec<&str> = split.lines().skip(1).collect();
    assert_eq!(rows.len(), 24);
    let parts = ["train", "val", "test"].map(|part| rows.iter().filter(|r| r.ends_with(&format!("\t{part}"))).count());
    assert_eq!(parts, [17, 2, 5], "{split}");
    assert!(rows.iter().any(|r| r.starts_with("grüne Äpfel/00.bmp\tgrüne Äpfel\t")), "{split}");

    // Files that came since would move others between the parts, if it were drawn again.
    p.done(&train(&["run", "max_steps=3"]));
    for i in 0..4 {
        write(&p.path(&format!("photos/big bees/0{i}new.bmp")), waves(300 + i, 128.0));
    }
    let out = p.gabor(&["train", "--resume", "run", "max_steps=none"]);
    assert!(out.status.success(), "{}", stderr(&out));
    let told =
        "since the run began: 4 added (big bees/00new.bmp, big bees/01new.bmp, big bees/02new.bmp, big bees/03new.bmp)";
    assert!(stderr(&out).contains(told), "{}", stderr(&out));
    assert_eq!(read(&p.path("run/split.tsv")), split.as_bytes());
    assert!(read(&p.path("run/model.onnx")) == read(&p.path("whole/model.onnx")));

    // The model is measured on the test part of its training.
    let out = p.gabor(&["eval", "run/model.onnx", "--json"]);
    assert_eq!(json(&stdout(&out))["count"], 5);
    assert!(stderr(&out).contains("photos: since the training: 4 added"), "{}", stderr(&out));

    // Without a file of the run it cannot go on.
    std::fs::remove_file(p.path("photos/big bees/05.bmp")).unwrap();
    let e = p.fails(1, &["train", "--resume", "run", "epochs=3", "max_steps=none"]);
    assert!(e.contains("error: photos: the data are not those that the run began with"), "{e}");
    assert!(e.contains("1 removed (big bees/05.bmp)") && e.contains("split=run/split.tsv"), "{e}");

    // Another run takes the split over; what is new is trained on.
    let out = p.gabor(&train(&["other", "split=run"]));
    assert!(out.status.success(), "{}", stderr(&out));
    assert!(stderr(&out).contains("1 removed (big bees/05.bmp), 4 added"), "{}", stderr(&out));
    let other = String::from_utf8(read(&p.path("other/split.tsv"))).unwrap();
    let lines = |text: &str, part: &str| -> Vec<String> {
        text.lines().filter(|r| r.ends_with(part) && !r.contains("bees/05")).map(String::from).collect()
    };
    assert_eq!(lines(&other, "\ttest"), lines(&split, "\ttest"));
    assert_eq!(lines(&other, "\tval"), lines(&split, "\tval"));
    assert_eq!(other.matches("new.bmp\tbig bees\ttrain").count(), 4);
    let e = p.fails(1, &train(&["third", "split=nowhere"]));
    assert!(e.contains("nowhere: cannot be read"), "{e}");
    let e = p.fails(1, &train(&["third", "split=photos/big bees/00.bmp"]));
    assert!(e.contains("00.bmp: the file is no text") || e.contains("00.bmp: the file is no split"), "{e}");
}

#[test]
fn near_duplicates_stay_on_one_side() {
    let p = Place::new("splits-near");
    for (k, class) in ["ant", "bee"].iter().enumerate() {
        for part in ["train", "test"] {
            std::fs::create_dir_all(p.path("photos").join(part).join(class)).unwrap();
        }
        for i in 0..8 {
            // Every picture three times, in other light.
            for (j, light) in [118.0, 128.0, 137.0].into_iter().enumerate() {
                write(&p.path(&format!("photos/train/{class}/{i}-{j}.bmp")), waves(i + 100 * k, light));
            }
            write(&p.path(&format!("photos/test/{class}/{i}.bmp")), waves(50 + i + 100 * k, 128.0));
        }
    }
    let words = ["train", "--data", "photos", "--net", "mlp", "augment=none", "batch=8", "max_steps=1", "val=0.2"];
    let run = |name: &str, more: &str| {
        let out = p.gabor(&[&words[..], &["--out", name, more]].concat());
        assert!(out.status.success(), "{}", stderr(&out));
        let split = String::from_utf8(read(&p.path(name).join("split.tsv"))).unwrap();
        let part = |c: &str, i: usize, j: usize| {
            let line = split.lines().find(|l| l.starts_with(&format!("train/{c}/{i}-{j}.bmp\t"))).unwrap();
            line.rsplit('\t').next().unwrap().to_string()
        };
        let torn = ["ant", "bee"]
            .iter()
            .flat_map(|c| (0..8).map(move |i| (c, i)))
            .filter(|(c, i)| (1..3).any(|j| part(c, *i, j) != part(c, *i, 0)))
            .count();
        assert!(split.contains("\tval\n"), "{split}");
        (torn, stderr(&out))
    };
    let (torn, notes) = run("kept", "check=auto");
    assert!(torn == 0 && notes.contains("16 groups of near duplicates are kept together"), "{torn} torn; {notes}");
    assert!(run("torn", "check=none").0 > 0);
}

#[test]
fn bad_files_end_a_training_before_it_begins() {
    let p = Place::new("splits-bad");
    photos(&p, "photos", 8);
    write(&p.path("photos/big bees/torn.bmp"), &waves(1, 128.0)[..500]);
    let words = ["train", "--data", "photos", "--net", "mlp", "max_steps=1", "--out"];
    let e = p.fails(1, &[&words[..], &["run"]].concat());
    assert!(e.starts_with("error: photos: 1 sample cannot be used"), "{e}");
    assert!(e.contains("photos/big bees/torn.bmp: ") && e.contains("gabor data check photos"), "{e}");
    assert!(!p.path("run").exists());
    // Copies stay on one side of a test part that is drawn.
    std::fs::remove_file(p.path("photos/big bees/torn.bmp")).unwrap();
    for i in 0..8 {
        write(&p.path(&format!("photos/big bees/{i:02} copy.bmp")), waves(i + 100, 128.0));
    }
    let out = p.gabor(&[&words[..], &["run"]].concat());
    assert!(out.status.success(), "{}{}", stdout(&out), stderr(&out));
    let told = stderr(&out);
    assert!(told.contains("8 groups of equal pictures stay together") && !told.contains("train part, too"), "{told}");
    // Copies across parts that are given are told, and no reason to stop.
    std::fs::create_dir_all(p.path("given")).unwrap();
    std::fs::rename(p.path("photos"), p.path("given/train")).unwrap();
    photos(&p, "given/test", 4);
    let out = p.gabor(&["train", "--data", "given", "--net", "mlp", "max_steps=1", "--out", "again"]);
    assert!(out.status.success(), "{}{}", stdout(&out), stderr(&out));
    assert!(stderr(&out).contains("test samples are in the train part, too, in the same pixels"), "{}", stderr(&out));
}

#[test]
fn a_division_that_is_given_is_the_one_that_is_judged() {
    let p = Place::new("splits-judged");
    photos(&p, "photos", 12);
    // A copy of a picture on either side of a division made by hand.
    write(&p.path("photos/big bees/00 copy.bmp"), waves(100, 128.0));
    let mut split = String::from("# gabor split 1: sample, class, part\n");
    for class in ["grüne Äpfel", "big bees"] {
        for i in 0..12 {
            let part = if i < 8 { "train" } else { "test" };
            split += &format!("{class}/{i:02}.bmp\t{class}\t{part}\n");
        }
    }
    write(&p.path("leaky.tsv"), format!("{split}big bees/00 copy.bmp\tbig bees\ttest\n"));
    write(&p.path("clean.tsv"), format!("{split}big bees/00 copy.bmp\tbig bees\ttrain\n"));
    let words = ["train", "--data", "photos", "--net", "mlp", "augment=none", "max_steps=1", "--out"];
    let notes = |name: &str, split: &str| {
        let out = p.gabor(&[&words[..], &[name, split]].concat());
        assert!(out.status.success(), "{}", stderr(&out));
        stderr(&out)
    };
    let told = "1 of 9 test samples is in the train part, too, in the same pixels";
    let leaky = notes("a", "split=leaky.tsv");
    assert!(leaky.contains(told), "{leaky}");
    // Nothing is drawn, so nothing is told of a drawing.
    assert!(!leaky.contains("held out") && !leaky.contains("stays together"), "{leaky}");
    let clean = notes("b", "split=clean.tsv");
    assert!(!clean.contains("test samples are in the train part"), "{clean}");

    // The same by `data check`, by file and by run; without it the parts are drawn around copies.
    let check = |more: &[&str]| stdout(&p.gabor(&[&["data", "check", "photos"][..], more].concat()));
    for split in ["leaky.tsv", "a"] {
        assert!(check(&["--split", split]).contains(told), "{}", check(&["--split", split]));
    }
    assert!(!check(&["--split", "clean.tsv"]).contains("in the train part, too"));
    assert!(!check(&[]).contains("in the train part, too"));
    write(&p.path("photos/big bees/new.bmp"), waves(777, 128.0));
    let text = check(&["--split", "leaky.tsv"]);
    assert!(text.contains("not as leaky.tsv has them: 1 added (big bees/new.bmp)"), "{text}");
    assert!(p.fails(1, &["data", "check", "photos", "--split", "nowhere"]).contains("nowhere: cannot be read"));

    // A run is shown with its own parts.
    let shown =
        |words: &[&str]| json(&p.done(&[&["data", "show", "a", "--part", "test", "--json"][..], words].concat()));
    let ids: Vec<String> =
        shown(&["--samples", "20"])["samples"].as_array().unwrap().iter().map(|s| s["id"].to_string()).collect();
    assert!(ids.len() == 9 && ids.iter().any(|id| id.contains("00 copy")), "{ids:?}");
}
