//! `gabor data convert`: from one format of data sets to another.

use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Progress;
use clap::Args;
use gabor::data::{Color, ConvertOptions, Converted, OnBad, OpenOptions, Target, convert, digits, open};
use gabor::report::{bytes, count, table};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Write a data set in another format
///
/// Reads whatever `gabor train --data` reads and writes a folder per class, MNIST's IDX, CIFAR's binary files, tar shards
/// (WebDataset) or Parquet (Hugging Face). Parts, classes and labels stay; image files are copied as they are where both
/// sides hold files, and pixels become PNG. The new data set appears when it is whole.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor data convert photos shards --to tar
  gabor data convert photos shards --to tar --shard-bytes 1GB --bad skip
  gabor data convert labels.csv photos --to folder
  gabor data convert mnist mnist-parquet --to parquet
  gabor data convert photos small --to cifar --size 32x32
  gabor data convert photos grey --to idx --size 28x28 --color grey

IDX holds grey images of one size, CIFAR's binary files coloured ones of 32x32: --size and --color bring images there.
A tar data set has its index beside it (shards.idx), so that shards in an object store are not read through at the start.

JSON: `from`, `to`, `format`, `classes`, `parts` (`name`, `samples`), `files`, `bytes`, `copied`, `encoded`, `bad` (messages),
`notes`, `seconds`.")]
pub struct Arguments {
    /// The data: `digits`, a directory, a manifest (.csv, .tsv), shards such as x-{000000..000009}.tar
    #[arg(value_name = "FROM")]
    from: String,
    /// The new directory
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// The format: folder, idx, cifar, tar or parquet
    #[arg(long = "to", value_name = "FORMAT", value_parser = target)]
    target: Target,
    /// Resize every image (bilinear, antialiased)
    #[arg(long, value_name = "HxW", value_parser = size)]
    size: Option<[usize; 2]>,
    /// Bring every image to this colour mode: grey or rgb
    #[arg(long, value_name = "MODE", value_parser = color)]
    color: Option<Color>,
    /// Bytes of a shard, such as 256MB
    #[arg(long, value_name = "BYTES", default_value = "256MB", value_parser = amount)]
    shard_bytes: u64,
    /// What to do about images that cannot be read: fail, or skip, which decodes also files that are only copied
    #[arg(long, value_name = "WHAT", default_value = "fail", value_parser = crate::arguments::on_bad)]
    bad: OnBad,
    /// Replace the data set that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    format: crate::arguments::Format,
}

fn target(text: &str) -> Result<Target, String> {
    let found = Target::ALL.iter().find(|(name, _)| *name == text).map(|(_, t)| *t);
    found.ok_or_else(|| format!("right would be: {}", Target::ALL.map(|(name, _)| name).join(", ")))
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |t: &str| t.parse().ok().filter(|v| (1..=16_384).contains(v));
    let sides = text.split_once('x').and_then(|(h, w)| Some([side(h)?, side(w)?]));
    sides.ok_or("right would be: HEIGHTxWIDTH, such as 224x224, each from 1 to 16384".into())
}

fn color(text: &str) -> Result<Color, String> {
    match text {
        "grey" | "gray" => Ok(Color::Grey),
        "rgb" => Ok(Color::Rgb),
        _ => Err("right would be: grey or rgb".into()),
    }
}

/// Bytes, with a unit or without: 1000000, 64KB, 256MB, 1GB, 1GiB.
fn amount(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => 0,
    };
    let bytes = text[..digits].parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|&n| n > 0);
    bytes.ok_or("right would be: a number of bytes, such as 256MB or 1GiB".into())
}

pub fn run(a: &Arguments) -> Result<()> {
    let started = Instant::now();
    if let (Ok(from), Ok(to)) = (std::fs::canonicalize(&a.from), std::fs::canonicalize(&a.to))
        && from.starts_with(&to)
    {
        let text = format!("{}: holds the data that are read; right would be: another directory", a.to.display());
        return Err(Failure::Usage(text));
    }
    // A lone training part stays whole.
    let whole = OpenOptions { test_fraction: 0.0, ..Default::default() };
    let splits = if a.from == "digits" { digits() } else { open(&a.from, &whole).map_err(gabor::Error::from)? };
    let options = ConvertOptions {
        size: a.size,
        color: a.color,
        shard_bytes: a.shard_bytes,
        force: a.force,
        bad: a.bad,
        ..ConvertOptions::new(a.target)
    };
    let mut progress: Option<Progress> = None;
    let result = convert(&splits, &a.to, &options, &mut |done, total| {
        let rate = done as f64 / started.elapsed().as_secs_f64().max(1e-3);
        progress.get_or_insert_with(|| Progress::new(0, total)).draw(done, rate, "converting");
    });
    if let Some(p) = &mut progress {
        p.clear();
    }
    let mut done = result.map_err(gabor::Error::from)?;
    done.notes.splice(0..0, splits.notes.clone());
    report(a, splits.classes().len(), &done, started.elapsed().as_secs_f64())
}

fn report(a: &Arguments, classes: usize, done: &Converted, seconds: f64) -> Result<()> {
    let name = Target::ALL.iter().find(|(_, t)| *t == a.target).map_or("", |(name, _)| name);
    if a.format.json {
        let parts: Vec<_> = done.parts.iter().map(|(p, n)| json!({ "name": p.name(), "samples": n })).collect();
        let bad: Vec<String> = done.bad.iter().map(ToString::to_string).collect();
        return output::json(&json!({
            "from": a.from, "to": a.to, "format": name, "classes": classes, "parts": parts, "files": done.files,
            "bytes": done.bytes, "copied": done.copied, "encoded": done.encoded, "bad": bad, "notes": done.notes,
            "seconds": seconds,
        }));
    }
    for note in &done.notes {
        output::note(note);
    }
    for bad in &done.bad {
        output::warning(&format!("left out: {bad}"));
    }
    if !done.bad.is_empty() {
        let all = done.bad.len() as u64 + done.parts.iter().map(|p| p.1).sum::<u64>();
        output::note(&format!(
            "{} of {} samples cannot be read and are left out",
            count(done.bad.len() as u64),
            count(all)
        ));
    }
    let mut rows = vec![];
    for (part, samples) in &done.parts {
        rows.push(vec![part.name().to_string(), count(*samples)]);
    }
    let what = match (done.copied, done.encoded) {
        (_, 0) => "image files copied as they are".to_string(),
        (0, _) => "pixels written".to_string(),
        (c, e) => format!("{} image files copied, pixels of {} written", count(c), count(e)),
    };
    let files = if done.files == 1 { "1 file".into() } else { format!("{} files", count(done.files)) };
    output::text(&format!(
        "{}\n{}: {} classes, {}, {} ({what})\n",
        table(&["part", "samples"], &[false, true], &rows),
        a.to.display(),
        count(classes as u64),
        files,
        bytes(done.bytes),
    ))
}
