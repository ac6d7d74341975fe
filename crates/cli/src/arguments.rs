//! The command line: the list of commands and the options that several of them share.

use crate::commands::{
    bench, compare, compile, conv, convert, data, dream, eval, explain, features, filter, filters, lr_find, neighbors,
    predict, report, run, summary, surface, top, train,
};
use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Progress;
use clap::{Args, Parser, Subcommand};
use gabor::compile::Recompute;
use gabor::cpu::{CpuBackend, CpuOptions, Isa, Tuning};
use gabor::data::Preprocessing;
use gabor::picture::Look;
use gabor::{Loaded, Model};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

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
    LrFind(lr_find::Arguments),
    Eval(eval::Arguments),
    Predict(predict::Arguments),
    Explain(explain::Arguments),
    Features(features::Arguments),
    Top(top::Arguments),
    Neighbors(neighbors::Arguments),
    Filters(filters::Arguments),
    Filter(filter::Arguments),
    Dream(Box<dream::Arguments>),
    Surface(surface::Arguments),
    Summary(summary::Arguments),
    Run(run::Arguments),
    Compile(compile::Arguments),
    Conv(conv::Arguments),
    Convert(convert::Arguments),
    Data(data::Arguments),
    Compare(compare::Arguments),
    Report(report::Arguments),
    Bench(bench::Arguments),
}

impl Command {
    /// The options of a command that computes.
    fn compute(&self) -> Option<&Compute> {
        match self {
            Command::Eval(a) => Some(&a.compute),
            Command::Predict(a) => Some(&a.compute),
            Command::Explain(a) => Some(&a.looking.compute),
            Command::Features(a) => Some(&a.looking.compute),
            Command::Top(a) => Some(&a.looking.compute),
            Command::Neighbors(a) => Some(&a.compute),
            Command::Filter(a) => Some(&a.compute),
            Command::Dream(a) => Some(&a.looking.compute),
            Command::Surface(a) => Some(&a.compute),
            Command::Report(a) => Some(&a.compute),
            Command::Run(a) => Some(&a.compute),
            Command::Compile(a) => Some(&a.compute),
            Command::Bench(a) => Some(&a.compute),
            Command::Train(_)
            | Command::LrFind(_)
            | Command::Filters(_)
            | Command::Summary(_)
            | Command::Conv(_)
            | Command::Convert(_)
            | Command::Data(_)
            | Command::Compare(_) => None,
        }
    }
    pub fn run(&self) -> Result<()> {
        self.work()?;
        self.compute().map_or(Ok(()), Compute::remember)
    }
    fn work(&self) -> Result<()> {
        match self {
            Command::Train(a) => train::run(a),
            Command::LrFind(a) => lr_find::run(a),
            Command::Eval(a) => eval::run(a),
            Command::Predict(a) => predict::run(a),
            Command::Explain(a) => explain::run(a),
            Command::Features(a) => features::run(a),
            Command::Top(a) => top::run(a),
            Command::Neighbors(a) => neighbors::run(a),
            Command::Filters(a) => filters::run(a),
            Command::Filter(a) => filter::run(a),
            Command::Dream(a) => dream::run(a),
            Command::Surface(a) => surface::run(a),
            Command::Summary(a) => summary::run(a),
            Command::Run(a) => run::run(a),
            Command::Compile(a) => compile::run(a),
            Command::Conv(a) => conv::run(a),
            Command::Convert(a) => convert::run(a),
            Command::Data(a) => data::run(a),
            Command::Compare(a) => compare::run(a),
            Command::Report(a) => report::run(a),
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

/// What every command has whose result is a picture.
#[derive(Args)]
pub struct Drawn {
    /// Where the picture goes: .svg, or .png with two pixels for each unit of the drawing (default: COMMAND.svg, of dream dream.png)
    #[arg(short, long, value_name = "FILE.svg | FILE.png")]
    output: Option<PathBuf>,
    /// The picture's look: auto (in an SVG as its viewer prefers, in a PNG light), light or dark
    #[arg(long, value_name = "LOOK", default_value = "auto", value_parser = look)]
    look: Look,
}

impl Drawn {
    /// Where the picture goes; asked before the work, so that a wrong name costs nothing.
    pub fn path(&self, default: &str) -> Result<PathBuf> {
        let path = self.output.clone().unwrap_or_else(|| default.into());
        gabor::picture::kind(&path).map_err(|e| Failure::Usage(format!("--output {e}")))?;
        Ok(path)
    }
    /// Whether a look was asked for.
    pub fn has_look(&self) -> bool {
        self.look != Look::Auto
    }
    /// Writes the picture.
    pub fn write(&self, path: &Path, svg: &str) -> Result<()> {
        Ok(gabor::picture::write(path, svg, self.look)?)
    }
}

/// The look of a picture.
pub fn look(text: &str) -> Result<Look, String> {
    match text {
        "auto" => Ok(Look::Auto),
        "light" => Ok(Look::Light),
        "dark" => Ok(Look::Dark),
        _ => Err("right would be: auto, light or dark".into()),
    }
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
    /// Measure which kernels are fastest here, and remember it in this file (default: chosen by rule, at once)
    #[arg(long, value_name = "FILE")]
    pub tune: Option<PathBuf>,
    #[arg(skip)]
    choices: OnceLock<Arc<Tuning>>,
}

impl Compute {
    pub fn backend(&self) -> Result<Arc<CpuBackend>> {
        self.backend_with(self.threads.map(usize::from))
    }
    /// The same with another number of threads.
    pub fn backend_of(&self, threads: usize) -> Result<Arc<CpuBackend>> {
        self.backend_with(Some(threads))
    }
    fn backend_with(&self, threads: Option<usize>) -> Result<Arc<CpuBackend>> {
        let strict = self.numerics == "strict";
        let tune = self.tuning()?;
        let options = CpuOptions { threads, isa: self.isa, strict, tune, ..Default::default() };
        Ok(Arc::new(CpuBackend::new(options).map_err(gabor::Error::from)?))
    }
    /// The choices that a file remembers; none if it is not there yet.
    fn tuning(&self) -> Result<Option<Arc<Tuning>>> {
        let Some(path) = &self.tune else { return Ok(None) };
        let read = if path.exists() {
            let text = String::from_utf8_lossy(&gabor::read_limited(path, 64 << 20)?).into_owned();
            let place = |rule| Failure::Failed(format!("{}: {rule}", path.display()));
            Tuning::from_text(&text, &machine()).map_err(place)?
        } else {
            Tuning::new(&machine())
        };
        Ok(Some(self.choices.get_or_init(|| Arc::new(read)).clone()))
    }
    /// Writes the choices to where they are remembered, once the work is done.
    fn remember(&self) -> Result<()> {
        match (&self.tune, self.choices.get()) {
            (Some(path), Some(tuning)) => Ok(gabor::write_aside(path, tuning.to_text().as_bytes())?),
            _ => Ok(()),
        }
    }
}

/// The processor, as measured choices name it.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':')).map(|(_, name)| name.trim());
    format!("{} {}", std::env::consts::ARCH, name.unwrap_or(std::env::consts::OS))
}

fn isa(text: &str) -> Result<Isa, String> {
    let names = || Isa::available().iter().map(|i| i.name()).collect::<Vec<_>>().join(", ");
    Isa::from_name(text).ok_or_else(|| format!("right would be, on this processor: {}", names()))
}

/// What a training step computes again.
pub fn recompute(text: &str) -> Result<Recompute, String> {
    text.parse().map_err(|rule: gabor::tensor::Rule| rule.to_string())
}

pub fn backend(threads: Option<usize>) -> Result<Arc<CpuBackend>> {
    Ok(Arc::new(CpuBackend::new(CpuOptions { threads, ..Default::default() }).map_err(gabor::Error::from)?))
}

/// Extents of a network's input: one number for all dimensions of a picture (or the length of a text), or channels and
/// the dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Extents(Vec<usize>);

/// `3x224x224` as channels, height and width; `3x16x112x112` of a film; `64` for a picture of that side or a text of as
/// many words.
pub fn extents(text: &str) -> Result<Extents, String> {
    let parts: Option<Vec<usize>> = text.split(['x', '×']).map(|p| p.trim().parse().ok()).collect();
    match parts {
        Some(v) if v.len() <= 4 && !v.contains(&0) => Ok(Extents(v)),
        _ => {
            Err("right would be CHANNELSxHEIGHTxWIDTH, such as 3x224x224; 3x16x112x112 for a film, 64 for a text"
                .into())
        }
    }
}

/// `NAME=FILE`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.into(), value.into())),
        _ => Err("right would be NAME=FILE".into()),
    }
}

/// Whether a network is a model file, and not a name of the zoo, a description or a file that describes it. A directory that
/// is called as a network of the zoo is taken where a separator shows that it is meant: `./resnet18`.
pub fn is_file(net: &str) -> bool {
    let shadows = Path::new(net).is_dir() && !net.contains(['/', '\\']);
    let of_zoo = shadows && gabor::nets::zoo::by_name(net, &Default::default()).is_ok();
    !net.ends_with(".toml")
        && !of_zoo
        && (net.ends_with(".onnx")
            || gabor::hub_name(net).is_some()
            || Path::new(&*gabor::model_file(net.split('+').next().unwrap_or(net))).is_file())
}

/// What is wrong with a network's name that looks like a path.
pub fn misnamed(net: &str) -> Option<String> {
    let path = Path::new(net);
    let names = "right would be: a network's name (gabor summary --list has all), a description, or a .toml file";
    let what = if net.trim().is_empty() {
        return Some(format!("--net: the name is empty; {names}"));
    } else if path.is_dir() {
        "a directory where a network is wanted"
    } else if path.is_file() {
        "a model file, whose input and classes are its own"
    } else if !net.contains(char::is_whitespace) && (net.contains(['/', '\\']) || gabor::format_of(path).is_ok()) {
        "no such file"
    } else {
        return None;
    };
    Some(format!("{net}: {what}; {names}"))
}

/// The answer to who names a network of the zoo where weights are wanted.
pub fn holds_no_weights(source: &str) -> Option<String> {
    let known = !Path::new(source).exists() && gabor::nets::zoo::by_name(source, &Default::default()).is_ok();
    known.then(|| {
        format!(
            "{source}: a network of the zoo, which holds no weights; right would be: a file of weights with --net \
             {source}, or a name of the hub such as timm/resnet18.a1_in1k"
        )
    })
}

/// Largest file that describes a network.
const LARGEST_DESCRIPTION: u64 = 1 << 16;

/// The network of a name, a description, or a `.toml` file that describes it.
pub fn network(net: &str, input: Option<&Extents>, classes: Option<usize>) -> Result<gabor::nets::Network> {
    let mut options = gabor::nets::zoo::Options { classes, ..Default::default() };
    match input.map(|i| i.0.as_slice()) {
        Some([c, spatial @ ..]) if !spatial.is_empty() => {
            (options.channels, options.input) = (Some(*c), Some(spatial.to_vec()));
        }
        Some(one) => options.input = Some(one.to_vec()),
        None => {}
    }
    let failed = |e: gabor::nets::Error| Failure::Failed(gabor::Error::from(e).to_string());
    if !net.ends_with(".toml") || net.contains('\n') {
        return gabor::nets::network(net, &options)
            .map_err(|e| misnamed(net).map_or_else(|| failed(e), Failure::Failed));
    }
    let bytes = gabor::read_limited(Path::new(net), LARGEST_DESCRIPTION)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::Failed(format!("{net}: the file is no text; right would be: UTF-8")))?;
    gabor::nets::notation::parse_toml(&text, &options).map_err(|e| failed(e.inside(net)))
}

/// The model of a file, or of weights and a network's name.
#[derive(Args)]
pub struct Given {
    /// The network that weights belong to, where MODEL or --weights is a file of weights alone; a directory that is called as
    /// a network of the zoo is ./NAME
    #[arg(long, value_name = "NET")]
    pub net: Option<String>,
    /// Weights instead of a model: .safetensors, .pth, .onnx, …, or a name of the hub such as timm/resnet18.a1_in1k
    #[arg(long, value_name = "FILE | NAME")]
    pub weights: Option<String>,
    #[command(flatten)]
    pub network: Network,
}

/// How pictures become the input of a model that does not say it, or says it wrongly.
#[derive(Args)]
pub struct Prepared {
    /// Preprocessing instead of the model's: `imagenet` or a JSON file
    ///
    /// The file for pictures of 224 × 224 in colour, with what PyTorch's ImageNet models expect (a pixel becomes (x / divisor −
    /// mean) / std):
    ///
    /// {"color":"rgb","resize":{"short_side":{"to":256}},"filter":"bilinear","crop":[224,224],"divisor":255,
    /// "mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}
    ///
    /// color: rgb, bgr or grey (then one number of mean and std). resize: {"exact":{"height":28,"width":28}} without crop, or as
    /// above. filter: nearest, bilinear or bicubic. gabor convert MODEL model.onnx --preprocessing FILE.json writes it into a
    /// model for good.
    #[arg(long, value_name = "imagenet | FILE.json", verbatim_doc_comment)]
    pub preprocessing: Option<String>,
}

impl Prepared {
    /// As the option says; `None` where it is not given.
    pub fn read(&self) -> Result<Option<Preprocessing>> {
        let Some(how) = &self.preprocessing else { return Ok(None) };
        if how == "imagenet" {
            return Ok(Some(Preprocessing::imagenet()));
        }
        let bytes = gabor::read_limited(Path::new(how), 1 << 20)?;
        let read = Preprocessing::from_json(&String::from_utf8_lossy(&bytes));
        read.map(Some).map_err(|e| Failure::Failed(gabor::Error::from(e).inside(how).to_string()))
    }
}

/// What every command has that may look for files elsewhere.
#[derive(Args)]
pub struct Network {
    /// Take names of the hub (OWNER/NAME, OWNER/NAME@REVISION) from the cache alone, as HF_HUB_OFFLINE=1 does; HF_HOME says
    /// where the cache is, HF_ENDPOINT names a mirror, HF_TOKEN lets private repositories be read
    #[arg(long)]
    pub offline: bool,
}

impl Network {
    /// What a source holds; a line on the terminal shows how far a download is.
    pub fn load(&self, source: &str) -> Result<Loaded> {
        self.load_part(source, false)
    }
    /// The network that a source describes; weights beside it are left alone.
    pub fn load_network(&self, source: &str) -> Result<Loaded> {
        self.load_part(source, true)
    }
    fn load_part(&self, source: &str, network_only: bool) -> Result<Loaded> {
        if let Some(text) = holds_no_weights(source) {
            return Err(Failure::Usage(text));
        }
        let mut line: Option<(String, Progress)> = None;
        let mut hear = |file: &str, done: u64, total: u64| {
            if line.as_ref().is_none_or(|l| l.0 != file) {
                line = Some((file.to_string(), Progress::new(done, total)));
            }
            if let Some((_, p)) = &mut line {
                p.draw_bytes(done, file);
            }
        };
        let options = &mut gabor::LoadOptions { offline: self.offline, network_only, progress: Some(&mut hear) };
        let loaded = gabor::load_with(source, options);
        if let Some((_, p)) = &mut line {
            p.clear();
        }
        Ok(loaded?)
    }
}

impl Given {
    /// The model, and the name that messages call it by; exactly one of `model` and `--weights` must be there.
    pub fn open(&self, model: Option<&str>) -> Result<(Model, String)> {
        let source = match (model, &self.weights) {
            (Some(_), Some(weights)) => {
                let text = format!("--weights {weights}: a model is given already; right would be: one of them");
                return Err(Failure::Usage(text));
            }
            (Some(source), None) => source,
            (None, Some(source)) => source.as_str(),
            (None, None) => {
                let text = "no model; right would be: MODEL, or --net NET --weights FILE";
                return Err(Failure::Usage(text.into()));
            }
        };
        let mut loaded = self.network.load(source)?;
        let model = match self.net.as_deref().filter(|net| is_file(net)) {
            Some(file) => {
                let model = loaded.model_in(&self.network.load_network(file)?)?;
                loaded.notes.iter().for_each(|n| output::note(n));
                model
            }
            None => model_of(loaded, self.net.as_deref())?,
        };
        Ok((model, source.to_string()))
    }
}

/// The network that weights go into: the one that is named, else the one that the source names; for the weights' number of
/// classes where the user says none.
pub fn network_of(
    loaded: &Loaded,
    net: Option<&str>,
    input: Option<&Extents>,
    classes: Option<usize>,
) -> Result<Option<gabor::nets::Network>> {
    let named = || loaded.architecture.as_deref().filter(|_| loaded.graph.is_none());
    let Some(net) = net.or_else(named) else { return Ok(None) };
    let found = network(net, input, classes)?;
    match loaded.other_classes(&found).filter(|_| classes.is_none()) {
        Some(n) => Ok(Some(network(net, input, Some(n))?)),
        None => Ok(Some(found)),
    }
}

/// The model of what was loaded. Notes are printed.
pub fn model_of(mut loaded: Loaded, net: Option<&str>) -> Result<Model> {
    let network = network_of(&loaded, net, None, None)?;
    let model = loaded.model(network.as_ref())?;
    loaded.notes.iter().for_each(|n| output::note(n));
    Ok(model)
}

/// What becomes of pictures that cannot be read.
pub fn on_bad(text: &str) -> std::result::Result<gabor::data::OnBad, String> {
    match text {
        "fail" => Ok(gabor::data::OnBad::Fail),
        "skip" => Ok(gabor::data::OnBad::Skip),
        _ => Err("right would be: fail or skip".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Gabor as clap::CommandFactory>::command().debug_assert();
        assert_eq!(extents("3x4×5"), Ok(Extents(vec![3, 4, 5])));
        assert!(extents("3x4x").is_err() && extents("0x1x1").is_err() && extents("1x2x3x4x5").is_err());
        let input = |net: &str, text: &str| {
            network(net, Some(&extents(text).unwrap()), None).map(|n| n.input().to_vec()).map_err(|e| e.to_string())
        };
        assert_eq!(input("resnet18", "64"), Ok(vec![3, 64, 64]));
        assert_eq!(input("tiny_c3d", "1x16x32x48"), Ok(vec![1, 16, 32, 48]));
        assert_eq!(input("text_cnn", "20"), Ok(vec![20]));
        assert!(input("text_cnn", "3x20").unwrap_err().contains("one number, the length of a text in words"));
        assert_eq!(pair("a=b=c.npy"), Ok(("a=b".into(), "c.npy".into())));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
