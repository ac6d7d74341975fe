//! `gabor compare`: runs beside each other.

use crate::arguments::Format;
use crate::failure::{Failure, Result};
use crate::output;
use crate::written;
use clap::Args;
use gabor::report::TitledTable;
use gabor::{RunState, compare_runs};
use std::path::PathBuf;

/// Lay training runs beside each other
///
/// Final figures, settings that differ, and mean ± standard deviation of runs that differ by their seed alone. Unfinished and
/// damaged runs are shown as such.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor compare runs/*
  gabor compare runs/digits-lenet5-1 runs/digits-mlp-1 --report compare.html   curves over each other
  gabor compare runs/* --json | jq '.runs | max_by(.result.top1) | .run'

JSON: `runs` (`run`, `name`, `state`, `reason`, `net`, `parameters`, `steps`, `best_epoch`, `validation_top1`, `validation_loss`,
`result` of `split`, `top1`, `top5`, `loss`, `seconds`, `images_per_second`, `settings`, `epochs`), `differing` (setting to the value of
each run), `repeats` (`runs`, and of each figure `mean`, `deviation`, `count`).")]
pub struct Arguments {
    /// Directories of runs
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Write a page with the curves over each other
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

pub fn run(a: &Arguments) -> Result<()> {
    if let Some(path) = &a.report {
        written::check(&[("--report", path)], None, &[])?;
    }
    let comparison = compare_runs(&a.runs)?;
    if comparison.runs.iter().all(|r| matches!(r.state, RunState::Damaged(_))) {
        let why: Vec<String> = comparison.runs.iter().map(|r| format!("{}: {}", r.path, r.state.text())).collect();
        return Err(Failure::Failed(format!("{}; right would be: directories that gabor train wrote", why.join("; "))));
    }
    if let Some(path) = &a.report {
        gabor::write_aside(path, comparison.page().to_html().as_bytes())?;
    }
    if a.format.json {
        return output::json(&comparison.to_json());
    }
    let section = |t: TitledTable| {
        if t.rows.is_empty() { String::new() } else { format!("\n{}\n{}", output::bold(&t.title), t.to_text()) }
    };
    let text = section(comparison.figures()) + &section(comparison.repeated()) + &section(comparison.settings());
    output::text(text.trim_start_matches('\n'))?;
    comparison.remarks().iter().for_each(|r| output::note(r));
    Ok(())
}
