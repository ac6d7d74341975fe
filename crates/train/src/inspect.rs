//! Data before a training: looked at, and divided as it was before where that is written down.

use crate::{Config, Error, Result};
use gabor_data::{
    CheckOptions, CheckReport, Depth, FindingKind, Limits, Newcomers, Severity, Splits, WrittenSplit, check,
};
use gabor_tensor::Rule;
use std::path::Path;

/// Sets of at most this many files are decoded before a training: some seconds' work.
const FEW_FILES: usize = 2000;
/// Of larger ones the headers of at most this many files are read.
const MOST_HEADERS: usize = 20_000;
/// Samples that a message lists.
const LISTED: usize = 5;

/// Hears of (samples looked at, samples in all).
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Looks at the data and divides them: as the run in `resumed` wrote it down, as the file of the key `split` says, else
/// anew, with near duplicates on one side.
pub(crate) fn divide(
    config: &Config,
    splits: Splits,
    resumed: Option<&Path>,
    progress: Progress<'_>,
) -> Result<Splits> {
    if let Some(run) = resumed.filter(|run| run.join(WrittenSplit::FILE).is_file()) {
        return as_before(config, &splits, run);
    }
    // What is judged, copies across the parts above all, is what is trained on.
    let mut splits = match &config.split {
        Some(path) => as_written(config, &splits, path)?,
        None => splits,
    };
    let report = look(config, &splits, progress)?;
    if let Some(report) = &report {
        judge(config, report, &mut splits)?;
    }
    if config.split.is_none() && splits.validation.is_none() && config.val > 0.0 {
        let groups: Vec<Vec<usize>> = report.iter().flat_map(|r| &r.groups).map(|g| training(g)).collect();
        let kept = groups.iter().filter(|g| g.len() > 1).count();
        let together;
        (splits, together) = splits.hold_out_groups(config.val, config.seed, &groups)?;
        if kept > 0 && !together {
            splits
                .notes
                .push("pictures that look alike could not be kept together, in training or in validation".into());
        } else if kept > 0 {
            let are = if kept == 1 {
                "1 group of near duplicates is".into()
            } else {
                format!("{kept} groups of near duplicates are")
            };
            splits.notes.push(format!("{are} kept together, in training or in validation"));
        }
    }
    Ok(splits)
}

/// The indices in the training part.
fn training(group: &[gabor_data::Place]) -> Vec<usize> {
    group.iter().filter(|p| p.part == "train").map(|p| p.index).collect()
}

/// The split that the key `split` names. What is new is trained on.
fn as_written(config: &Config, splits: &Splits, path: &str) -> Result<Splits> {
    let written = WrittenSplit::read(Path::new(path), &Limits::default())?;
    let (mut divided, changes) = written.apply(splits, &config.data, Newcomers::Train)?;
    if !changes.none() {
        let text = format!("the data are not those of {path}: {}; what is added is trained on", changes.text());
        divided.notes.push(text);
    }
    Ok(divided)
}

/// The split that a run wrote down. Samples that came since are left out; without those that went, or with others in
/// their place, the run could not go on as it began.
fn as_before(config: &Config, splits: &Splits, run: &Path) -> Result<Splits> {
    let file = run.join(WrittenSplit::FILE);
    let written = WrittenSplit::read(&file, &Limits::default())?;
    let (mut divided, changes) = written.apply(splits, &config.data, Newcomers::LeftOut)?;
    if !changes.removed.is_empty() || !changes.relabelled.is_empty() {
        let rule = Rule::new("the data are not those that the run began with").given(changes.text());
        let right = format!("the same data; or a new run with split={}", file.display());
        return Err(Error::new(config.data.clone(), rule.right(right)));
    }
    if !changes.added.is_empty() {
        let text = format!("since the run began: {}; left out, a new run would use them", changes.text());
        divided.notes.push(text);
    }
    Ok(divided)
}

/// The report that the key `check` asks for.
fn look(config: &Config, splits: &Splits, progress: Progress<'_>) -> Result<Option<CheckReport>> {
    let sets = [&splits.train, &splits.validation, &splits.test];
    let samples: usize = sets.iter().copied().flatten().map(|d| d.len()).sum();
    let depth = match config.check.as_str() {
        "none" => return Ok(None),
        "full" => Depth::Full,
        "headers" => Depth::Headers,
        // The embedded digits are known.
        _ if splits.kind == "digits" => return Ok(None),
        // What is no file was read when it was opened.
        _ if sets.iter().copied().flatten().all(|d| matches!(d.encoded(0), Ok(None))) => Depth::Labels,
        _ if samples <= FEW_FILES => Depth::Full,
        _ => Depth::Headers,
    };
    let samples = (config.check == "auto" && depth == Depth::Headers).then_some(MOST_HEADERS);
    let threads = config.threads.0.unwrap_or(0);
    Ok(Some(check(splits, &CheckOptions { depth, threads, samples, ..Default::default() }, progress)?))
}

/// Bad samples end it, warnings become notes.
fn judge(config: &Config, report: &CheckReport, splits: &mut Splits) -> Result<()> {
    let bad = |k| matches!(k, FindingKind::Unreadable | FindingKind::LabelOutOfRange);
    let found = report.findings.iter().filter(|f| bad(f.kind)).flat_map(|f| &f.examples);
    let all: Vec<String> = found.flat_map(|e| e.samples.iter().map(|s| format!("{}: {}", s.id, e.text))).collect();
    if !all.is_empty() {
        let (n, shown) = (all.len(), all.iter().take(LISTED).map(|l| format!("\n  {l}")).collect::<String>());
        let more = if n > LISTED { format!("\n  … and {} more", n - LISTED) } else { String::new() };
        let what = if n == 1 { "1 sample cannot be used".into() } else { format!("{n} samples cannot be used") };
        if skips(config) {
            splits.notes.push(format!("{what} and are left out:{shown}{more}"));
        } else {
            let rule = Rule::new(what).given(format!("{shown}{more}\n"));
            let right = format!("intact files (`gabor data check {}` lists all), or bad=skip", config.data);
            return Err(Error::new(config.data.clone(), rule.right(right)));
        }
    }
    let warnings = report.findings.iter().filter(|f| !bad(f.kind) && f.severity != Severity::Note);
    splits.notes.extend(warnings.map(|f| format!("data: {} (`gabor data check` shows which)", f.text)));
    Ok(())
}

/// Whether bad samples are passed over while training.
fn skips(config: &Config) -> bool {
    config.entries().iter().any(|(key, value)| *key == "bad" && value == "skip")
}
