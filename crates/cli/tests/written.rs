//! Files that cannot be written are noticed before the work, and what was worked for is not lost.

mod common;

use common::{Place, bmp, read, stderr, write};

/// Every command that writes a picture, a page or a table, on a model, pictures and runs that are not there: the output is
/// looked at first. The words, the flag of the output, its ending.
const COMMANDS: [(&[&str], &str, &str); 18] = [
    (&["explain", "none.onnx", "none.bmp"], "--output", "svg"),
    (&["features", "none.onnx", "none.bmp"], "--output", "svg"),
    (&["top", "none.onnx", "digits", "--layer", "relu1"], "--output", "svg"),
    (&["filters", "none.onnx"], "--output", "svg"),
    (&["dream", "none.onnx"], "--output", "svg"),
    (&["neighbors", "none.onnx", "digits", "--query", "none.bmp"], "--output", "svg"),
    (&["surface", "none.onnx", "--data", "digits"], "--output", "svg"),
    (&["filter", "none.bmp", "--kernel", "sobel"], "--output", "png"),
    (&["conv", "--input", "7"], "--output", "svg"),
    (&["lr-find", "--data", "none.dir"], "--picture", "svg"),
    (&["bench", "--only", "none.", "--profile"], "--picture", "svg"),
    (&["eval", "none.onnx", "--data", "digits"], "--report", "html"),
    (&["eval", "none.onnx", "--data", "digits"], "--predictions", "csv"),
    (&["report", "none.run"], "--output", "html"),
    (&["compare", "none.run"], "--report", "html"),
    (&["data", "check", "none.dir"], "--report", "html"),
    (&["data", "check", "none.dir"], "--fix-list", "csv"),
    (&["summary", "none.onnx"], "--svg", "svg"),
];

#[test]
fn outputs_are_looked_at_first() {
    let p = Place::new("written");
    write(&p.path("file"), "");
    for taken in ["taken.svg", "taken.png", "taken.html", "taken.csv"] {
        std::fs::create_dir(p.path(taken)).unwrap();
    }
    let before = names(&p);
    let says = |words: &[&str], more: &[&str], text: &str| {
        let said = p.fails(1, &[words, more].concat());
        assert!(said.contains(text) && !said.contains("none."), "{words:?} {more:?}: {said}");
    };
    for (words, flag, ending) in COMMANDS {
        let named = |start: &str| format!("{start}.{ending}");
        let far = "there is no directory nowhere; right would be: the name of one that is there";
        says(words, &[flag, &named("nowhere/x")], &format!("{flag} nowhere/x.{ending}: {far}"));
        says(words, &[flag, &named("file/x")], "file is no directory");
        says(words, &[flag, &named("taken")], "it is a directory; right would be: the name of a file");
        // Nobody can make a file there, not even root.
        #[cfg(target_os = "linux")]
        says(words, &[flag, &named("/proc/x")], "no file can be made in the directory /proc: ");
        if flag == "--output" && !["conv", "report"].contains(&words[0]) {
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
    says(&["bench", "--only", "none."], &["--scaling", "file/x"], "--scaling file/x: file is no directory");
    says(&["bench", "--only", "none."], &["--answers", "file"], "--answers file: file is no directory");
    // Whatever flag names a file that is read.
    for flag in ["--weights", "--net", "--preprocessing", "--model", "--test", "--data"] {
        let words = ["neighbors", "digits", flag, "w.safetensors", "-o", "./w.safetensors"];
        let said = p.fails(2, &words);
        assert!(said.contains("it would be written over a file that is read"), "{words:?}: {said}");
    }
    for command in ["explain", "features", "top", "dream", "filters", "surface"] {
        let words = [command, "--weights", "w.svg", "-o", "w.svg"];
        let image: &[&str] = match command {
            "explain" | "features" => &["a.png"],
            "top" => &["digits", "--layer", "relu1"],
            "surface" => &["--data", "digits"],
            _ => &[],
        };
        let said = p.fails(2, &[&words[..], image].concat());
        assert!(said.contains("it would be written over a file that is read"), "{words:?}: {said}");
    }
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

#[test]
fn a_picture_may_go_where_the_arrays_go() {
    let p = Place::new("written-beside");
    write(&p.path("a.bmp"), bmp(8, 8, |_, _| [200; 3]));
    let words = ["filter", "a.bmp", "--kernel", "sobel"];
    p.done(&[&words[..], &["--npy", "out/deep", "-o", "out/x.png"]].concat());
    assert!(p.path("out/x.png").is_file() && p.path("out/deep/filtered.npy").is_file());
    // Below it nothing is made.
    let said = p.fails(1, &[&words[..], &["--npy", "new", "-o", "new/below/x.png"]].concat());
    assert!(said.contains("there is no directory new/below") && !p.path("new").exists(), "{said}");
}
