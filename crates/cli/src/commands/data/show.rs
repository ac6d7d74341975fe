//! `gabor data show`: samples as the network will see them.

use crate::arguments::{Drawn, Format};
use crate::failure::{Failure, Result};
use crate::output;
use clap::Args;
use gabor::data::{Augmentation, Operation, Part};
use gabor::train::{Config, Setup};
use gabor::{Show, ShowOptions};
use std::path::Path;

/// See samples as the network will see them
///
/// Writes a picture: each row is a sample as it is stored, and what the first epochs of a training make of it after
/// preprocessing and augmentation; below, whole batches, with what mixup and CutMix mixed. The pixels come from the loader
/// that a training with the same settings uses.
#[derive(Args)]
#[command(after_help = after_help())]
pub struct Arguments {
    /// The data (`digits` or a directory), or the directory of a run
    #[arg(value_name = "DATA | RUN")]
    source: String,
    /// Settings of a training
    #[arg(value_name = "KEY=VALUE")]
    words: Vec<String>,
    /// The network whose input is shown
    #[arg(long, value_name = "NET")]
    net: Option<String>,
    #[command(flatten)]
    drawn: Drawn,
    /// Part of the data
    #[arg(long, value_name = "PART", default_value = "train", value_parser = ["train", "val", "test"])]
    part: String,
    /// Samples, one row each, from all classes in turn
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(0..=200))]
    samples: u16,
    /// Epochs whose variants stand beside a sample
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=50))]
    epochs: u16,
    /// Batches of the first epoch
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=50))]
    batches: u16,
    #[command(flatten)]
    format: Format,
}

fn after_help() -> String {
    let mut out = "\
Examples:
  gabor data show photos
  gabor data show mnist augment=handwriting,elastic -o elastic.svg
  gabor data show photos --net resnet18 augment=inception mixup=0.2 cutmix=1.0 --batches 4
  gabor data show photos augment=pipeline.toml --samples 10 --epochs 8
  gabor data show runs/photos-resnet18-1        exactly what that run trains on
  gabor data show photos --part val             what validation sees: nothing varies

Every key of `gabor train` may follow. Without --net and input=…, pictures of one size keep it, and photographs get 224 × 224.

augment=… is a preset, a .toml file of [[operation]] tables (name, p, parameters), or words with commas between:
rotate:15 with parameters in their order or by name (elastic:sigma=5), ranges as random_resized_crop:0.25..1, @0.5 for the
probability, -NAME to leave out, +NAME for once more, fill:128 or fill:R/G/B for the colour beyond the edges.

Presets:
"
    .to_string();
    for (name, what) in Augmentation::presets() {
        out += &format!("  {name}: {what}\n");
    }
    out += "\nOperations:\n";
    for page in Operation::PAGES {
        let usually = if page.probability < 1.0 { format!("@{}", page.probability) } else { String::new() };
        out += &format!("  {}{usually}: {}\n", page.name, page.doc.trim());
        for (name, what, values) in page.parameters {
            out += &format!("      {name}: {} ({values})\n", what.trim());
        }
    }
    out + "\nJSON: `picture` (the file), `data`, `part`, `augment` (the pipeline with every parameter), `mixup`, `cutmix`,\n\
        `preprocessing`, \
        `epochs`, `samples` (`index`, `id`, `class`, `stored` as [rows, columns]), `batches` (`mixed_by`, `lambda`,\n\
        `samples` of `index`, `class`, and `partner`, `partner_class` where they are mixed)."
}

pub fn run(a: &Arguments) -> Result<()> {
    let path = a.drawn.path("show.svg")?;
    let config = configuration(a)?;
    let setup = Setup::prepare(&config, divided_by(a), &mut |_, _| {})?;
    let part = Part::of(&a.part).unwrap_or(Part::Train);
    let options = ShowOptions {
        part,
        samples: a.samples.into(),
        epochs: a.epochs.into(),
        batches: a.batches.into(),
        title: format!("{}, as the network sees it", setup.config.data),
        lines: lines(&setup, part),
        ..Default::default()
    };
    let shown = gabor::show(&setup, &options)?;
    a.drawn.write(&path, &shown.svg)?;
    if a.format.json {
        return output::json(&json(a, &path, &setup, part, &shown));
    }
    let of = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let (samples, batches) = (of(shown.samples.len(), "sample"), of(shown.batches.len(), "batch"));
    let batches = batches.replace("batchs", "batches");
    output::text(&format!("{}: {samples}, {batches} of {}\n", path.display(), setup.config.data))
}

/// The settings: of a run, or of the data that is named.
fn configuration(a: &Arguments) -> Result<Config> {
    let settings = Path::new(&a.source).join("config.toml");
    let is_run = settings.is_file();
    let mut words = a.words.clone();
    if let Some(word) = words.iter().find(|w| !w.contains('=')) {
        return Err(Failure::Usage(format!("{word}: no setting; right would be: KEY=VALUE, such as augment=none")));
    }
    let says = |key: &str| says(a, key);
    if let Some(net) = &a.net {
        if says("net") {
            return Err(Failure::Usage(format!("--net {net}: the network is given twice; right would be: once")));
        }
        words.push(format!("net={net}"));
    }
    if !is_run {
        if says("data") {
            let text = format!("{}: the data are given twice; right would be: once", a.source);
            return Err(Failure::Usage(text));
        }
        words.push(format!("data={}", a.source));
        if a.net.is_none() && !says("net") {
            // Nothing is computed: this network stands for an input of the data's own extents.
            words.push("net=INPUT -> GAP -> FC".into());
        }
    }
    let file = is_run.then_some(settings);
    let of_words = |e: &gabor::train::Error| e.place().starts_with("argument");
    let config = Config::load(file.as_deref(), [], &words);
    config.map_err(|e| if of_words(&e) { Failure::Usage(e.to_string()) } else { e.into() })
}

/// Whether a setting is among the words.
fn says(a: &Arguments, key: &str) -> bool {
    a.words.iter().any(|w| w.split_once('=').is_some_and(|(k, _)| k.trim() == key))
}

/// The run whose parts are shown: as it wrote them down, unless a word asks for other data or another division.
fn divided_by(a: &Arguments) -> Option<&Path> {
    let run = Path::new(&a.source);
    let other = ["data", "split", "val", "seed"].iter().any(|key| says(a, key));
    (run.join("config.toml").is_file() && !other).then_some(run)
}

/// What stands below the heading.
fn lines(setup: &Setup, part: Part) -> Vec<String> {
    let [c, h, w] = setup.preprocessing.input();
    let mut lines = vec![format!("{} part, {c} × {h} × {w}", part.name())];
    if part == Part::Train {
        lines.push(format!("augment = {}", setup.augmentation));
        let mixing = [("mixup", setup.config.mixup), ("cutmix", setup.config.cutmix)];
        let mixing: Vec<String> = mixing.iter().filter(|m| m.1 > 0.0).map(|m| format!("{} = {}", m.0, m.1)).collect();
        if !mixing.is_empty() {
            lines.push(mixing.join(", "));
        }
    }
    lines
}

fn json(a: &Arguments, path: &Path, setup: &Setup, part: Part, shown: &Show) -> serde_json::Value {
    let data = match part {
        Part::Train => &setup.splits.train,
        Part::Validation => &setup.splits.validation,
        Part::Test => &setup.splits.test,
    };
    let class = |i: u32| -> Option<&str> {
        let data = data.as_ref()?;
        data.classes().get(*data.labels().get(i as usize)? as usize).map(String::as_str)
    };
    let samples: Vec<_> = (shown.samples.iter())
        .map(|s| serde_json::json!({ "index": s.index, "id": s.id, "class": s.class, "stored": s.stored }))
        .collect();
    let batches: Vec<_> = (shown.batches.iter())
        .map(|b| {
            let samples: Vec<_> = (b.samples.iter())
                .map(|&(i, partner)| match partner {
                    None => serde_json::json!({ "index": i, "class": class(i) }),
                    Some(p) => serde_json::json!({
                        "index": i, "class": class(i), "partner": p, "partner_class": class(p),
                    }),
                })
                .collect();
            serde_json::json!({ "mixed_by": b.mixed_by, "lambda": b.lambda, "samples": samples })
        })
        .collect();
    let training = part == Part::Train;
    let preprocessing: serde_json::Value = serde_json::from_str(&setup.preprocessing.to_json()).unwrap_or_default();
    serde_json::json!({
        "picture": path.display().to_string(),
        "data": setup.config.data,
        "part": part.name(),
        "augment": training.then(|| setup.augmentation.to_string()),
        "mixup": training.then_some(setup.config.mixup),
        "cutmix": training.then_some(setup.config.cutmix),
        "preprocessing": preprocessing,
        "epochs": if training { a.epochs } else { 1 },
        "samples": samples,
        "batches": batches,
    })
}
