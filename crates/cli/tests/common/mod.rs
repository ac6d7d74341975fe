//! The command as a process, in a directory of its own.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A directory that goes away with the test.
pub struct Place(PathBuf);

impl Place {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gabor-cli-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    /// The command, to be run here.
    pub fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_gabor"));
        c.args(words).current_dir(&self.0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars().filter(|(k, _)| k.starts_with("GABOR_")) {
            c.env_remove(name);
        }
        c
    }
    /// Runs the command here.
    pub fn gabor(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }
    /// Runs the command, which must succeed; its standard output.
    pub fn done(&self, words: &[&str]) -> String {
        let out = self.gabor(words);
        assert!(out.status.success(), "{words:?}: {}", stderr(&out));
        stdout(&out)
    }
    /// Runs the command, which must fail with this exit code; its standard error.
    pub fn fails(&self, code: i32, words: &[&str]) -> String {
        let out = self.gabor(words);
        assert_eq!(out.status.code(), Some(code), "{words:?}: {}{}", stdout(&out), stderr(&out));
        stderr(&out)
    }
    /// A small trained model.
    pub fn model(&self) -> PathBuf {
        self.done(&["train", "--net", "mlp", "--out", "model", "max_steps=6", "epochs=2", "augment=none"]);
        self.path("model/model.onnx")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn stdout(out: &Output) -> String {
    String::from_utf8(out.stdout.clone()).unwrap()
}

pub fn stderr(out: &Output) -> String {
    String::from_utf8(out.stderr.clone()).unwrap()
}

pub fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// A picture as the bytes of a BMP file of 24 bits a pixel: simple enough to write by hand.
pub fn bmp(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Vec<u8> {
    let row = (width * 3).next_multiple_of(4);
    let size = 54 + row * height;
    let mut out = b"BM".to_vec();
    for v in
        [size as u32, 0, 54, 40, width as u32, height as u32, 1 | 24 << 16, 0, (row * height) as u32, 2835, 2835, 0, 0]
    {
        out.extend(v.to_le_bytes());
    }
    for y in (0..height).rev() {
        let at = out.len();
        for x in 0..width {
            let [r, g, b] = pixel(x, y);
            out.extend([b, g, r]);
        }
        out.resize(at + row, 0);
    }
    out
}

pub fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::write(path, bytes).unwrap();
}

pub fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The model of a file with its weights as `edit` makes them, as another file.
pub fn edited(from: &Path, to: &Path, edit: impl Fn(&str, Vec<f32>) -> Vec<f32>) {
    let model = gabor::Model::open(from).unwrap();
    let mut weights = gabor::tensor::Weights::new();
    for (name, t) in model.weights().iter() {
        let values = edit(name, t.as_f32().unwrap().to_vec());
        weights.insert(name, gabor::tensor::Tensor::f32(t.shape(), values).unwrap());
    }
    let other = gabor::Model::new(model.graph().clone(), weights).unwrap();
    let other = other.with_classes(model.classes().to_vec()).with_preprocessing(model.preprocessing().unwrap().clone());
    write(to, other.to_onnx().unwrap());
}
