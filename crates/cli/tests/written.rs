//! Files that cannot be written are noticed before the work, and what was worked for is not lost.

mod common;

use common::{Place, bmp, read, stderr, write};

/// Every command that writes a picture, on a model and pictures that are not there: the output is looked at first.
const COMMANDS: [&[&str]; 9] = [
    &["explain", "none.onnx", "none.bmp"],
    &["features", "none.onnx", "none.bmp"],
    &["top", "none.onnx", "digits", "--layer", "relu1"],
    &["filters", "none.onnx"],
    &["dream", "none.onnx"],
    &["neighbors", "none.onnx", "digits", "--query", "none.bmp"],
    &["surface", "none.onnx", "--data", "digits"],
    &["filter", "none.bmp", "--kernel", "sobel"],
    &["conv", "--input", "7"],
];

#[test]
fn outputs_are_looked_at_first() {
    let p = Place::new("written");
    write(&p.path("file"), "");
    for taken in ["taken.svg", "taken.png", "taken.html"] {
        std::fs::create_dir(p.path(taken)).unwrap();
    }
    let before = names(&p);
    let says = |words: &[&str], more: &[&str], text: &str| {
        let said = p.fails(1, &[words, more].concat());
        assert!(said.contains(text) && !said.contains("none."), "{words:?} {more:?}: {said}");
    };
    for words in COMMANDS {
        let ending = if words[0] == "filter" { "png" } else { "svg" };
        let named = |start: &str| format!("{start}.{ending}");
        let far = "there is no directory nowhere; right would be: the name of one that is there";
        says(words, &["-o", &named("nowhere/x")], &format!("--output nowhere/x.{ending}: {far}"));
        says(words, &["-o", &named("file/x")], "file is no directory");
        says(words, &["-o", &named("taken")], "it is a directory; right would be: the name of a file");
        // Nobody can make a file there, not even root.
        #[cfg(target_os = "linux")]
        says(words, &["-o", &named("/proc/x")], "no file can be made in the directory /proc: ");
        if words[0] != "conv" {
            says(words, &["--npy", "file"], "--npy file: file is no directory");
            says(words, &["--npy", "file/deep/er"], "--npy file/deep/er: file is no directory");
            let same = p.fails(2, &[words, &["-o", &named("a"), "--npy", &named("a")]].concat());
            assert!(same.contains("--output writes it; right would be: a directory of its own"), "{same}");
            #[cfg(target_os = "linux")]
            says(words, &["--npy", "/proc/x/y"], "no file can be made in the directory /proc: ");
        }
    }
    let maps = ["neighbors", "none.onnx", "digits"];
    says(&maps, &["--map", "nowhere/x.html"], "--map nowhere/x.html: there is no directory nowhere");
    says(&maps, &["--map", "taken.html"], "--map taken.html: it is a directory");
    let twice = ["neighbors", "none.onnx", "digits", "--query", "a.bmp", "-o", "a.svg", "--map", "./a.svg"];
    assert!(p.fails(2, &twice).contains("--map ./a.svg: it would be written over what --output writes"));
    let over = ["features", "none.onnx", "a.png", "-o", "./a.png"];
    assert!(p.fails(2, &over).contains("--output ./a.png: it would be written over a file that is read"));
    assert_eq!(names(&p), before, "nothing is left behind");
}

fn names(p: &Place) -> Vec<String> {
    let all = std::fs::read_dir(p.path("")).unwrap();
    let mut all: Vec<String> = all.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    all.sort();
    all
}

#[test]
fn an_index_survives_what_fails_after_it() {
    let p = Place::new("written-index");
    p.model();
    let late =
        ["neighbors", "model/model.onnx", "digits", "--map", "m.svg", "--map-points", "50", "--perplexity", "40"];
    let said = p.fails(1, &late);
    assert!(said.contains("a perplexity of 40") && said.contains("is kept: neighbors.safetensors"), "{said}");
    assert!(p.done(&["neighbors", "neighbors.safetensors"]).contains("mAP"));
    // With -o it is there before anything else is tried; another file is left alone.
    let kept = read(&p.path("neighbors.safetensors"));
    let said = p.fails(1, &[&late[..], &["-o", "own.safetensors", "--npy", "arrays"]].concat());
    assert!(!said.contains("is kept") && read(&p.path("own.safetensors")) == kept, "{said}");
    assert!(p.path("arrays/features.npy").is_file());
    // What can be known before is said before.
    for more in [["--query-index", "100000"], ["--query", "none.bmp"], ["--test", "nowhere"]] {
        let said = p.fails(1, &[&["neighbors", "model/model.onnx", "digits"], &more[..]].concat());
        assert!(!said.contains("is kept") && said.contains(more[1]), "{said}");
    }
    write(&p.path("a.bmp"), bmp(8, 8, |_, _| [200; 3]));
    let out = p.gabor(&["neighbors", "own.safetensors", "--query", "a.bmp", "--test", "digits", "--k", "5"]);
    let told = common::stdout(&out);
    assert!(told.matches(" by 5").count() == 1 && told.matches(" by 1").count() == 1, "{told}{}", stderr(&out));
}
