//! Help, exit codes, messages, and files that are not what they should be.

mod common;

use common::{Place, bmp, json, stderr, write};

#[test]
fn help_and_exit_codes() {
    let p = Place::new("help");
    for command in ["train", "eval", "predict", "summary", "run", "compile", "convert", "bench"] {
        let help = p.done(&[command, "--help"]);
        assert!(help.contains("Examples:") && help.contains("--json"), "{command}: {help}");
        assert_eq!(help.contains("--offline"), help.contains("HF_ENDPOINT") && help.contains("@REVISION"), "{command}");
    }
    assert!(p.done(&["--help"]).contains("gabor train"));
    assert!(p.done(&["--version"]).starts_with("gabor 0."));
    let settings = p.done(&["train", "--help"]);
    assert!(settings.contains("label_smoothing = 0") && settings.contains("schedule = one-cycle"));
    assert!(p.fails(2, &["trian"]).contains("'train'"));
    assert!(p.fails(2, &["predict"]).contains("MODEL"));
    assert!(p.fails(2, &["predict", "a.onnx", "b.png", "--tops", "3"]).contains("--top"));
    assert!(p.fails(2, &["eval", "m.onnx", "--threads", "0"]).contains("--threads"));
}

#[test]
fn messages_say_where_what_and_what_would_be_right() {
    let p = Place::new("messages");
    let e = p.fails(2, &["train", "epoch=3"]);
    assert_eq!(
        e.lines().next().unwrap().split(';').next().unwrap(),
        "error: argument `epoch=3`: there is no key `epoch`"
    );
    assert!(e.contains("right would be: `epochs`"), "{e}");
    assert!(p.fails(2, &["train", "epochs=many"]).contains("auto or a whole number"));
    assert!(p.fails(2, &["train", "hello"]).contains("key=value"));
    assert!(p.fails(2, &["train", "a.toml", "b.toml"]).contains("b.toml: a second configuration file"));
    assert!(p.fails(1, &["train", "none.toml"]).starts_with("error: none.toml: cannot read"));
    assert!(p.fails(1, &["train", "--net", "lenet6"]).contains("lenet5"));
    assert!(p.fails(1, &["train", "--data", "nowhere"]).starts_with("error: nowhere: "));
    assert!(p.fails(1, &["train", "--resume", "nowhere"]).starts_with("error: nowhere: there is no run"));
    write(&p.path("bad.toml"), "epochs = 2\nlearning = 3\n");
    assert!(p.fails(1, &["train", "bad.toml"]).starts_with("error: bad.toml, key `learning`: there is no key"));
    let out = p.command(&["train"]).env("GABOR_EPOCS", "3").output().unwrap();
    assert!(stderr(&out).starts_with("error: environment variable GABOR_EPOCS: there is no key"), "{}", stderr(&out));
    assert!(p.fails(1, &["summary", "vgg17"]).contains("vgg16"));
    assert!(p.fails(2, &["summary", "vgg16", "--input", "3x224x"]).contains("3x224x224"));
    assert!(p.fails(1, &["summary", "vgg16", "--input", "3x8x8"]).contains("right would be"));
    assert!(p.fails(2, &["convert", "a.png", "b.jpg"]).contains("right would be: one of .onnx .safetensors"));
    assert!(p.fails(2, &["bench", "--only", "("]).starts_with("error: --only (: "));
    assert!(p.fails(1, &["bench", "--only", "nothing like it"]).contains("gabor bench --list"));
    assert!(!p.path("runs").exists(), "a command that was called wrongly leaves nothing behind");
}

#[test]
fn bad_files_are_refused() {
    let p = Place::new("files");
    let model = p.model();
    let good = common::read(&model);
    write(&p.path("ok.bmp"), bmp(9, 7, |x, y| [(x * 28) as u8, (y * 36) as u8, 0]));
    assert!(p.fails(1, &["predict", "none.onnx", "ok.bmp"]).starts_with("error: none.onnx: cannot read"));
    std::fs::create_dir(p.path("bare")).unwrap();
    assert!(p.fails(1, &["predict", "bare", "ok.bmp"]).contains("bare: a directory without model.onnx"));
    write(&p.path("short.onnx"), &good[..good.len() / 2]);
    let e = p.fails(1, &["predict", "short.onnx", "ok.bmp"]);
    assert!(e.starts_with("error: short.onnx: "), "{e}");
    write(&p.path("text.onnx"), "this is no model");
    assert!(p.fails(1, &["summary", "text.onnx"]).starts_with("error: text.onnx: "));
    write(&p.path("empty.onnx"), "");
    assert!(p.fails(1, &["eval", "empty.onnx"]).starts_with("error: empty.onnx: "));
    write(&p.path("text.png"), "this is no picture");
    let e = p.fails(1, &["predict", "model/model.onnx", "text.png", "ok.bmp"]);
    assert!(e.starts_with("error: text.png: not an image that is read") && e.contains("1 of 2 pictures"), "{e}");
    write(&p.path("short.bmp"), &bmp(9, 7, |_, _| [0; 3])[..60]);
    assert!(p.fails(1, &["predict", "model/model.onnx", "short.bmp"]).starts_with("error: short.bmp: "));
    write(&p.path("x.npy"), "no numbers");
    let words = ["run", "model/model.onnx", "--input", "images=x.npy", "--output", "out"];
    assert!(p.fails(1, &words).starts_with("error: x.npy: "));
    write(&p.path("w.safetensors"), [9u8; 40]);
    let words = ["convert", "w.safetensors", "w.onnx", "--net", "mlp"];
    assert!(p.fails(1, &words).starts_with("error: w.safetensors: "));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let p = Place::new("pipe");
    let mut child = p.command(&["summary", "resnet152"]).spawn().unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{}", stderr(&out));
}

#[test]
fn nothing_is_coloured_off_a_terminal() {
    let p = Place::new("colour");
    assert!(!p.done(&["summary", "lenet5"]).contains('\x1b'));
    assert!(!p.fails(1, &["summary", "x.onnx"]).contains('\x1b'));
    assert_eq!(json(&p.done(&["summary", "lenet5", "--json"]))["parameters"], 61_706);
}
