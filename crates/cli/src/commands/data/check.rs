//! `gabor data check`: what is wrong with a data set.

use crate::arguments::Format;
use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Progress;
use crate::written;
use clap::Args;
use gabor::data::{
    CheckOptions, CheckReport, Depth, Example, Finding, Near, Newcomers, PartReport, Severity, Splits, check,
};
use gabor::report::{bytes, count, duration, table};
use gabor::train::{open_data, open_divided};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Find what is wrong with a data set before a training does
///
/// Opens every picture: damaged files, copies of pictures across the parts (leakage) and under several labels, near
/// duplicates, classes that are missing or rare, odd sizes and colour modes. The exit code is 1 where there are errors.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor data check photos
  gabor data check photos --report check.html   duplicates and odd pictures side by side
  gabor data check photos --input 224           tell of pictures that are much smaller than 224
  gabor data check photos --split runs/a        whether the parts of that run share pictures
  gabor data check photos --fix-list bad.txt && xargs -d '\\n' -a bad.txt rm
  gabor data check photos --strict --json | jq '.findings[] | select(.severity == \"warning\")'

Near duplicates have perceptual hashes (of the DCT, 63 bits) that differ in few bits, and thumbnails that correlate.
`--near 0` to 15 says in how many bits, `--near off` looks for the same pixels only.

JSON: `kind`, `classes`, `depth`, `parts` (`name`, `samples`, `per_class`, `unreadable`, `bytes`, `width`, `height` as least,
middle and largest, `formats`, `modes`), `findings` (`severity`, `kind`, `text`, `right`, `examples` of `samples` and `text`),
`groups` of duplicates, `seconds`. A sample has `part`, `index`, `id`, `class`.")]
pub struct Arguments {
    /// The data: `digits` or a directory
    #[arg(value_name = "DATA")]
    data: String,
    /// List every instance of a finding instead of the first ones
    #[arg(long, conflicts_with = "examples")]
    all: bool,
    /// Instances of a finding that are listed
    #[arg(long, value_name = "N", default_value_t = 5)]
    examples: usize,
    /// Read the headers of files only: quick, and finds less
    #[arg(long)]
    headers: bool,
    /// Bits in which hashes of near duplicates may differ, 0 to 15, or `off` [default: 8, of small grey pictures off]
    #[arg(long, value_name = "BITS", value_parser = near)]
    near: Option<Near>,
    /// The parts as a run (its directory) or a file split.tsv has them, as split=… gives them to a training
    #[arg(long, value_name = "RUN|FILE")]
    split: Option<PathBuf>,
    /// The network's input, as its side or HEIGHTxWIDTH, to tell of much smaller pictures
    #[arg(long, value_name = "SIDE", value_parser = sides)]
    input: Option<[usize; 2]>,
    /// Fail on warnings, too
    #[arg(long)]
    strict: bool,
    /// Write the paths of samples that cannot be read to this file, one a line
    #[arg(long, value_name = "FILE")]
    fix_list: Option<PathBuf>,
    /// Write a page with the pictures of every finding side by side
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Threads (default: all cores); the report does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    #[command(flatten)]
    format: Format,
}

/// Instances of a finding on the page, if not more are asked for.
const PAGE: usize = 24;

fn near(text: &str) -> Result<Near, String> {
    match text.parse() {
        Ok(bits @ 0..=15) => Ok(Near::Bits(bits)),
        _ if text == "off" => Ok(Near::Off),
        _ => Err("right would be a number from 0 to 15, or off".into()),
    }
}

fn sides(text: &str) -> Result<[usize; 2], String> {
    let parts: Option<Vec<usize>> = text.split(['x', '×']).map(|p| p.trim().parse().ok().filter(|v| *v > 0)).collect();
    match parts.as_deref() {
        Some(&[side]) => Ok([side; 2]),
        Some(&[.., h, w]) => Ok([h, w]),
        _ => Err("right would be a side such as 224, or HEIGHTxWIDTH".into()),
    }
}

pub fn run(a: &Arguments) -> Result<()> {
    let files = [("--fix-list", a.fix_list.as_deref()), ("--report", a.report.as_deref())];
    let files: Vec<(&str, &Path)> = files.into_iter().filter_map(|(flag, path)| Some((flag, path?))).collect();
    written::check(&files, None, &[PathBuf::from(&a.data)])?;
    let splits = open(a)?;
    let defaults = CheckOptions::default();
    let options = CheckOptions {
        depth: if a.headers { Depth::Headers } else { Depth::Full },
        threads: a.threads.map_or(0, usize::from),
        near: a.near.unwrap_or(defaults.near),
        input: a.input,
        ..defaults
    };
    let begun = Instant::now();
    let mut line: Option<Progress> = None;
    let report = check(&splits, &options, &mut |done, total| {
        line.get_or_insert_with(|| Progress::late(total)).draw_images(done, "checking");
    })?;
    if let Some(p) = &mut line {
        p.clear();
    }
    let seconds = begun.elapsed().as_secs_f64();
    if let Some(path) = &a.fix_list {
        let paths: String = report.bad().flat_map(|p| [p.id.as_str(), "\n"]).collect();
        gabor::write_aside(path, paths.as_bytes())?;
    }
    if let Some(path) = &a.report {
        let shown = if a.all { usize::MAX } else { a.examples.max(PAGE) };
        let page = gabor::check_page(&a.data, &splits, &report, shown);
        gabor::write_aside(path, page.to_html().as_bytes())?;
    }
    if a.format.json {
        let mut value = serde_json::to_value(&report).unwrap_or_default();
        value["seconds"] = seconds.into();
        output::json(&value)?;
    } else {
        let shown = if a.all { usize::MAX } else { a.examples };
        output::text(&describe(&a.data, &report, shown, seconds))?;
    }
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    if errors > 0 || a.strict && warnings > 0 {
        let kinds =
            |n: usize, what: &str| if n == 1 { format!("1 kind of {what}") } else { format!("{n} kinds of {what}s") };
        let what = if errors > 0 { kinds(errors, "error") } else { kinds(warnings, "warning") };
        return Err(Failure::Failed(format!("{}: {what}", a.data)));
    }
    Ok(())
}

/// The data in the parts that a training would give them.
fn open(a: &Arguments) -> Result<Splits> {
    let Some(split) = &a.split else { return Ok(open_data(&a.data)?) };
    let (mut splits, changes) = open_divided(&a.data, split, Newcomers::Train)?;
    if !changes.none() {
        let what = format!("not as {} has them: {}", split.display(), changes.text());
        splits.notes.push(format!("{what}; what is added counts as training part"));
    }
    Ok(splits)
}

/// The report as text: the parts, then what was found, worst first, with at most `shown` instances each.
fn describe(data: &str, r: &CheckReport, shown: usize, seconds: f64) -> String {
    let samples: usize = r.parts.iter().map(|p| p.samples).sum();
    let depth = match r.depth {
        Depth::Full => "",
        Depth::Headers => ", headers only",
        Depth::Labels => ", labels only",
    };
    let mut out = format!(
        "{}: {}, {} samples of {} classes, checked in {}{depth}\n\n",
        output::bold(data),
        r.kind,
        count(samples as u64),
        r.classes.len(),
        duration(seconds)
    );
    out += &parts(r);
    for (severity, one) in [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")] {
        for f in r.findings.iter().filter(|f| f.severity == severity) {
            out += &finding(f, one, shown);
        }
    }
    let [errors, warnings, notes] = [Severity::Error, Severity::Warning, Severity::Note].map(|s| r.count(s));
    if errors + warnings == 0 {
        out += "\nnothing wrong was found\n";
    }
    let hidden = r.findings.iter().any(|f| f.examples.len() > shown);
    if hidden && errors + warnings + notes > 0 {
        out += "\n--all lists every instance\n";
    }
    out
}

fn finding(f: &Finding, severity: &str, shown: usize) -> String {
    let mut out = format!("\n{} {}\n", output::bold(&format!("{severity}:")), f.text);
    let mut line = |text: String| out += &format!("    {text}\n");
    for e in f.examples.iter().take(shown) {
        line(example(e));
    }
    if f.examples.len() > shown {
        line(format!("… and {} more", count((f.examples.len() - shown) as u64)));
    }
    if !f.right.is_empty() {
        out += &format!("  right would be: {}\n", f.right);
    }
    out
}

/// One sample with what is the matter; several with their classes.
fn example(e: &Example) -> String {
    /// Groups of more members are cut.
    const MEMBERS: usize = 6;
    match &e.samples[..] {
        [] => e.text.clone(),
        [one] => format!("{}: {}", one.id, e.text),
        many => {
            let names: Vec<String> = many.iter().take(MEMBERS).map(|p| format!("{} ({})", p.id, p.class)).collect();
            let more =
                if many.len() > MEMBERS { format!(" = … {} more", many.len() - MEMBERS) } else { String::new() };
            format!("{}{more}: {}", names.join(" = "), e.text)
        }
    }
}

/// The numbers of the parts, and the samples of every class where there are few classes.
fn parts(r: &CheckReport) -> String {
    let of_three = |v: Option<[u32; 3]>| {
        v.map_or("–".to_string(), |[a, b, c]| if a == c { a.to_string() } else { format!("{a} / {b} / {c}") })
    };
    let listed = |all: &std::collections::BTreeMap<String, usize>| {
        let mut names: Vec<(&String, &usize)> = all.iter().collect();
        names.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), name.as_str()));
        let all: Vec<String> = names.iter().map(|(name, n)| format!("{} {name}", count(**n as u64))).collect();
        if all.is_empty() { "–".into() } else { all.join(", ") }
    };
    let row = |p: &PartReport| {
        let size = if p.bytes > 0 { bytes(p.bytes) } else { "–".into() };
        vec![
            p.name.clone(),
            count(p.samples as u64),
            size,
            of_three(p.width),
            of_three(p.height),
            listed(&p.formats),
            listed(&p.modes),
        ]
    };
    let head = ["part", "samples", "files", "width", "height", "formats", "colours"];
    let rows: Vec<Vec<String>> = r.parts.iter().map(row).collect();
    let mut out = table(&head, &[false, true, true, true, true], &rows);
    if (1..=20).contains(&r.classes.len()) {
        let names: Vec<&str> = std::iter::once("class").chain(r.parts.iter().map(|p| p.name.as_str())).collect();
        let rows: Vec<Vec<String>> = (r.classes.iter().enumerate())
            .map(|(c, name)| {
                let counts = r.parts.iter().map(|p| count(p.per_class.get(c).copied().unwrap_or(0) as u64));
                std::iter::once(name.clone()).chain(counts).collect()
            })
            .collect();
        out += "\n";
        out += &table(&names, &[false, true, true, true], &rows);
    }
    out
}
