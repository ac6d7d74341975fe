//! `gabor convert`: from one file to another.

use crate::arguments::{Extents, Format, Network, Prepared, extents, is_file, network_of};
use crate::failure::{Failure, Result};
use crate::output;
use clap::Args;
use gabor::report::{count, table};
use gabor::tensor::Weights;
use gabor::{Difference, Model, Parts, Write};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Seeds of the random inputs that both sides run on.
const SEEDS: u64 = 3;

/// Convert models and weights
///
/// The endings say the formats. A model's weights are taken out of it (model.onnx → weights.pth), weights go into a network
/// that --net names (weights.pth → model.onnx), models and weights are written again in another format. Names may be
/// torchvision's or timm's; what does not fit is shown side by side.
#[derive(Args)]
#[command(after_help = after_help())]
pub struct Arguments {
    /// The file to read, or a name of the hub; a network in two files by either of them, or as A+B
    src: String,
    /// The file to write; of a format of two files either, and the other one must be new unless both are named, as A+B
    dst: PathBuf,
    /// The network that weights belong to: a name, a description, a .toml file, or a model file
    #[arg(long, value_name = "NET")]
    net: Option<String>,
    /// Extents of the network's input
    #[arg(long, value_name = "CxHxW", value_parser = extents, requires = "net")]
    input: Option<Extents>,
    /// Names of the classes, one a line
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    #[command(flatten)]
    prepared: Prepared,
    /// Run what was read and what was written on the same random inputs, and fail if they differ
    #[arg(long)]
    verify: bool,
    /// The largest difference that --verify accepts, relative to an output's largest number
    #[arg(long, value_name = "X", default_value_t = 1e-4, requires = "verify", value_parser = positive)]
    tolerance: f64,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    format: Format,
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|&v: &f64| v >= 0.0 && v.is_finite())
        .ok_or("right would be a number from 0, such as 1e-4".into())
}

fn after_help() -> String {
    let list = |f: fn(&gabor::Format) -> bool| {
        let all = gabor::FORMATS.iter().filter(|x| f(x)).flat_map(|x| x.extensions.iter().chain(&x.second));
        all.map(|e| format!(".{e}")).collect::<Vec<_>>().join(" ")
    };
    format!(
        "\
Examples:
  gabor convert model.onnx weights.safetensors
  gabor convert resnet18.pth resnet18.onnx --net resnet18 --classes imagenet.txt --verify
  gabor convert resnet20.th resnet20.safetensors
  gabor convert timm/resnet18.a1_in1k resnet18.onnx --verify
  gabor convert other.onnx ours.onnx --verify
  gabor convert lenet.onnx lenet.caffemodel --verify   (and lenet.prototxt beside it)

Read:    {}
Written: {}

JSON: `file`, `files` (all that were written), `tensors`, `elements`, `notes`; with --verify `differences` (`output`, `absolute`, `relative`).",
        list(|_| true),
        list(|f| f.write.is_some())
    )
}

pub fn run(a: &Arguments) -> Result<()> {
    let (format, write) = gabor::writer(&a.dst).map_err(|e| Failure::Usage(e.to_string()))?;
    let target = Target::new(&a.dst)?;
    if a.src.split('+').map(Path::new).chain([Path::new(&a.src)]).any(|s| target.files().any(|d| same_file(s, d))) {
        return Err(Failure::Usage(format!("{}: source and destination are one file; right would be: two", a.src)));
    }
    let mut loaded = a.network.load(&a.src)?;
    let names = a.classes.as_deref().map(class_names).transpose()?;
    // Weights that name their network stay weights where weights are written, unless the user names one.
    let named = matches!(write, Write::Network(_)).then_some(()).and(loaded.architecture.clone());
    let net = a.net.clone().or(named);
    let described = match net.as_deref().filter(|net| is_file(net)) {
        Some(file) if a.input.is_some() => {
            let text = format!("{file}: a model file has its own input; right would be: no --input");
            return Err(Failure::Usage(text));
        }
        Some(file) => Some(a.network.load_network(file)?),
        None => None,
    };
    let network = match &net {
        Some(net) if described.is_none() => {
            network_of(&loaded, Some(net), a.input.as_ref(), names.as_ref().map(Vec::len))?
        }
        _ => None,
    };
    let alone = loaded.graph.is_none() && network.is_none() && described.is_none();
    if alone && matches!(write, Write::Network(_)) {
        let text = format!("{}: weights alone are no model; right would be: --net NET, such as --net resnet18", a.src);
        return Err(Failure::Usage(text));
    }
    // Weights stay weights, unless a network is wanted or named.
    if let (Write::Weights(write), true) = (write, alone) {
        if a.classes.is_some() || a.prepared.preprocessing.is_some() {
            let text = format!("{}: a file of weights says neither classes nor preprocessing", a.dst.display());
            return Err(Failure::Usage(text + "; right would be: .onnx, or without --classes and --preprocessing"));
        }
        target.save(&write(&loaded.weights)?)?;
        if a.verify {
            same_tensors(&loaded.weights, &gabor::load(&a.dst.display().to_string())?.weights)?;
        }
        return report(a, &target, &loaded.weights, &loaded.notes, if a.verify { Some(Vec::new()) } else { None });
    }
    let mut model = match &described {
        Some(file) => loaded.model_in(file)?,
        None => loaded.model(network.as_ref())?,
    };
    if let Some(names) = names {
        if names.len() != model.class_count()? {
            let text = format!("{} names of classes for {}", names.len(), model.class_count()?);
            return Err(Failure::Failed(format!("{text}; right would be: one name per class")));
        }
        model = model.with_classes(names);
    }
    if let Some(how) = a.prepared.read()? {
        model = model.with_preprocessing(how);
    }
    let bytes = match write {
        Write::Network(write) => write(&model)?,
        Write::Weights(write) => write(model.weights())?,
    };
    target.save(&bytes)?;
    if format.name == "Darknet" && !model.classes().is_empty() {
        loaded.notes.push(format!("{}: the format says no names of classes", a.dst.display()));
    }
    let differences = if a.verify { Some(verify(&model, &a.dst, network.as_ref())?) } else { None };
    report(a, &target, model.weights(), &loaded.notes, differences)
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}

fn class_names(path: &Path) -> Result<Vec<String>> {
    if path.to_str().is_some_and(|p| p.parse::<u64>().is_ok()) && !path.exists() {
        let text = format!("--classes {}: a number; right would be: a file with a name for each class", path.display());
        return Err(Failure::Usage(text));
    }
    let bytes = gabor::read_limited(path, 64 << 20)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect())
}

/// The files that are written.
struct Target {
    /// The file; of two, the one with the network.
    first: PathBuf,
    /// The one with the weights.
    second: Option<PathBuf>,
}

impl Target {
    /// The files that a destination stands for: the user names either of two, or both.
    fn new(dst: &Path) -> Result<Self> {
        let (format, _) = gabor::writer(dst).map_err(|e| Failure::Usage(e.to_string()))?;
        let Some(ending) = format.second else { return Ok(Target { first: dst.to_path_buf(), second: None }) };
        if let Some((a, b)) = dst.to_str().and_then(|d| d.split_once('+')) {
            return Ok(Target { first: a.into(), second: Some(b.into()) });
        }
        let named_second = dst.extension().and_then(|e| e.to_str()).is_some_and(|e| e.eq_ignore_ascii_case(ending));
        let other = dst.with_extension(if named_second { format.extensions[0] } else { ending });
        let (first, second) = if named_second { (&other, dst) } else { (&dst.to_path_buf(), &*other) };
        // What nobody named is nobody's to overwrite.
        if other.exists() {
            let (first, second) = (first.display(), second.display());
            return Err(Failure::Usage(format!(
                "{}: the file is there, and {} goes with one of that name; right would be: another name, or both, to \
                 write both anew: {first}+{second}",
                other.display(),
                dst.display(),
            )));
        }
        Ok(Target { first: first.clone(), second: Some(second.to_path_buf()) })
    }
    fn files(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&*self.first).chain(self.second.as_deref())
    }
    fn save(&self, parts: &Parts) -> Result<()> {
        gabor::write_aside(&self.first, &parts.first)?;
        match (&self.second, &parts.second) {
            (Some(path), Some(bytes)) => Ok(gabor::write_aside(path, bytes)?),
            _ => Ok(()),
        }
    }
}

/// What was written, read back and run beside what was read.
fn verify(model: &Model, dst: &Path, network: Option<&gabor::nets::Network>) -> Result<Vec<Difference>> {
    let mut written = gabor::load(&dst.display().to_string())?;
    let other = match (&written.graph, network) {
        (Some(_), _) => written.model(None)?,
        (None, Some(network)) => written.model(Some(network))?,
        // Weights that were taken out of a model go into its graph again.
        (None, None) => Model::new(model.graph().clone(), std::mem::take(&mut written.weights))?,
    };
    Ok(gabor::compare(model, &other, SEEDS)?)
}

fn same_tensors(a: &Weights, b: &Weights) -> Result<()> {
    match a.iter().find(|(name, t)| b.get(name) != Some(t)) {
        None if a.len() == b.len() => Ok(()),
        None => Err(Failure::Failed(format!("verification: {} tensors became {}", a.len(), b.len()))),
        Some((name, _)) => Err(Failure::Failed(format!("verification: the tensor `{name}` reads back otherwise"))),
    }
}

fn report(
    a: &Arguments,
    target: &Target,
    weights: &Weights,
    notes: &[String],
    differences: Option<Vec<Difference>>,
) -> Result<()> {
    let (tensors, elements) = (weights.len(), weights.elements());
    let files: Vec<String> = target.files().map(|f| f.display().to_string()).collect();
    let bad = |d: &Difference| d.relative.is_nan() || d.relative > a.tolerance;
    let far: Vec<&Difference> = differences.iter().flatten().filter(|d| bad(d)).collect();
    if a.format.json {
        let mut value = json!({ "file": a.dst.display().to_string(), "files": files, "tensors": tensors, "elements": elements, "notes": notes });
        if let Some(all) = &differences {
            // JSON has no infinity; null says that shapes differ or a number is none.
            value["differences"] = (all.iter())
                .map(|d| json!({ "output": d.output, "absolute": d.absolute, "relative": d.relative }))
                .collect::<Vec<Value>>()
                .into();
        }
        output::json(&value)?;
    } else {
        notes.iter().for_each(|n| output::note(n));
        let mut text = format!("{}: {tensors} tensors, {} numbers\n", files.join(" and "), count(elements as u64));
        match &differences {
            Some(all) if all.is_empty() => text += "verified: every tensor reads back the same\n",
            Some(all) => {
                let row = |d: &Difference| {
                    vec![d.output.clone(), format!("{:.3e}", d.absolute), format!("{:.3e}", d.relative)]
                };
                text += &format!("\nlargest differences on {SEEDS} random inputs\n");
                let rows: Vec<Vec<String>> = all.iter().map(row).collect();
                text += &table(&["output", "absolute", "relative"], &[false, true, true], &rows);
            }
            None => {}
        }
        output::text(&text)?;
    }
    match far.first() {
        None => Ok(()),
        Some(d) => Err(Failure::Failed(format!(
            "verification: the output `{}` differs by {:.3e}; right would be: at most {:e} of its largest number",
            d.output, d.relative, a.tolerance
        ))),
    }
}
