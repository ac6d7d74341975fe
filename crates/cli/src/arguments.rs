//! The command line: the list of commands and the options that several of them share.

use crate::commands::{bench, compile, convert, eval, predict, run, summary, train};
use crate::failure::{Failure, Result};
use clap::{Args, Parser, Subcommand};
use gabor::cpu::{CpuBackend, CpuOptions, Isa};
use std::path::Path;
use std::sync::Arc;

/// Convolutional networks, from pixels to understanding.
#[derive(Parser)]
#[command(name = "gabor", version, arg_required_else_help = true, after_help = AFTER)]
pub struct Gabor {
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str = "\
Begin with:
  gabor train                         train LeNet-5 on 1,797 real digits, in seconds
  gabor predict runs/digits-lenet5-1/model.onnx picture.png
  gabor summary vgg16                 the table of a network's layers

`gabor COMMAND --help` explains a command with examples.";

#[derive(Subcommand)]
pub enum Command {
    Train(train::Arguments),
    Eval(eval::Arguments),
    Predict(predict::Arguments),
    Summary(summary::Arguments),
    Run(run::Arguments),
    Compile(compile::Arguments),
    Convert(convert::Arguments),
    Bench(bench::Arguments),
}

impl Command {
    pub fn run(&self) -> Result<()> {
        match self {
            Command::Train(a) => train::run(a),
            Command::Eval(a) => eval::run(a),
            Command::Predict(a) => predict::run(a),
            Command::Summary(a) => summary::run(a),
            Command::Run(a) => run::run(a),
            Command::Compile(a) => compile::run(a),
            Command::Convert(a) => convert::run(a),
            Command::Bench(a) => bench::run(a),
        }
    }
}

/// What every command has.
#[derive(Args)]
pub struct Format {
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// What every command that computes has.
#[derive(Args)]
pub struct Compute {
    /// Threads that compute (default: all cores); results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub threads: Option<u16>,
    /// `fast` (Winograd where it is faster) or `strict` (direct sums only)
    #[arg(long, value_name = "HOW", default_value = "fast", value_parser = ["fast", "strict"])]
    pub numerics: String,
    /// Instructions to use: avx512, avx2, neon or portable (default: the best there are); bits do not depend on it
    #[arg(long, value_name = "SET", value_parser = isa)]
    pub isa: Option<Isa>,
}

impl Compute {
    pub fn backend(&self) -> Result<Arc<CpuBackend>> {
        let strict = self.numerics == "strict";
        let options =
            CpuOptions { threads: self.threads.map(usize::from), isa: self.isa, strict, ..Default::default() };
        Ok(Arc::new(CpuBackend::new(options).map_err(gabor::Error::from)?))
    }
}

fn isa(text: &str) -> Result<Isa, String> {
    let names = || Isa::available().iter().map(|i| i.name()).collect::<Vec<_>>().join(", ");
    Isa::from_name(text).ok_or_else(|| format!("right would be, on this processor: {}", names()))
}

pub fn backend(threads: Option<usize>) -> Result<Arc<CpuBackend>> {
    Ok(Arc::new(CpuBackend::new(CpuOptions { threads, ..Default::default() }).map_err(gabor::Error::from)?))
}

/// `3x224x224` as channels, height and width.
pub fn extents(text: &str) -> Result<[usize; 3], String> {
    let parts: Option<Vec<usize>> = text.split(['x', '×']).map(|p| p.trim().parse().ok()).collect();
    match parts.as_deref() {
        Some(&[c, h, w]) if c > 0 && h > 0 && w > 0 => Ok([c, h, w]),
        _ => Err("right would be CHANNELSxHEIGHTxWIDTH, such as 3x224x224".into()),
    }
}

/// `NAME=FILE`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.into(), value.into())),
        _ => Err("right would be NAME=FILE".into()),
    }
}

/// Whether a network is a model file, and not a name of the zoo, a description or a file that describes it.
pub fn is_file(net: &str) -> bool {
    !net.ends_with(".toml") && (net.ends_with(".onnx") || Path::new(net).is_file())
}

/// Largest file that describes a network.
const LARGEST_DESCRIPTION: u64 = 1 << 16;

/// The network of a name, a description, or a `.toml` file that describes it.
pub fn network(net: &str, input: Option<[usize; 3]>, classes: Option<usize>) -> Result<gabor::nets::Network> {
    let mut options = gabor::nets::zoo::Options { classes, ..Default::default() };
    if let Some([c, h, w]) = input {
        (options.channels, options.input) = (Some(c), Some(vec![h, w]));
    }
    let failed = |e: gabor::nets::Error| Failure::Failed(gabor::Error::from(e).to_string());
    if !net.ends_with(".toml") || net.contains('\n') {
        return gabor::nets::network(net, &options).map_err(failed);
    }
    let bytes = gabor::read_limited(Path::new(net), LARGEST_DESCRIPTION)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::Failed(format!("{net}: the file is no text; right would be: UTF-8")))?;
    gabor::nets::notation::parse_toml(&text, &options).map_err(|e| failed(e.inside(net)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Gabor as clap::CommandFactory>::command().debug_assert();
        assert_eq!(extents("3x4×5"), Ok([3, 4, 5]));
        assert!(extents("3x4").is_err() && extents("0x1x1").is_err());
        assert_eq!(pair("a=b=c.npy"), Ok(("a=b".into(), "c.npy".into())));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
