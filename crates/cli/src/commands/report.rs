//! `gabor report`: the page of a run, written again.

use crate::arguments::{Compute, Format};
use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Progress;
use crate::written;
use clap::Args;
use gabor::report::percent;
use serde_json::json;
use std::path::PathBuf;

/// Write the page of a run again, from what is in its directory
///
/// A training writes report.html when it ends. This writes it anew: curves from metrics.jsonl, layers and the pictures that
/// look inside the network from the model, mistakes from the data. Of a run that is not over it shows what there is so far.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor report runs/digits-lenet5-1
  gabor report runs/digits-lenet5-1 -o digits.html --json

The part `Inside the network` has what is cheap to compute: where the network looked for its worst mistakes (Grad-CAM) and
its strongest feature maps. gabor explain, features, filters, top, dream and neighbors show the rest.

JSON: `run`, `report` (the file written), `steps`, `epochs`, `split`, `top1` (null of a run that is not over).")]
pub struct Arguments {
    /// The run's directory
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Where the page goes (default: report.html in the run's directory)
    #[arg(short, long, value_name = "FILE.html")]
    output: Option<PathBuf>,
    #[command(flatten)]
    pub compute: Compute,
    #[command(flatten)]
    format: Format,
}

pub fn run(a: &Arguments) -> Result<()> {
    let path = a.output.clone().unwrap_or_else(|| a.run.join("report.html"));
    if path.extension().is_none_or(|e| !e.eq_ignore_ascii_case("html")) {
        let text = format!("--output {}: right would be: a name in .html", path.display());
        return Err(Failure::Usage(text));
    }
    // A run that is not there is told of as such.
    if a.output.is_some() || a.run.is_dir() {
        written::check(&[("--output", &path)], None, &[])?;
    }
    let mut line: Option<Progress> = None;
    let found = gabor::run_report(&a.run, a.compute.backend()?, &mut |done, total| {
        line.get_or_insert_with(|| Progress::late(total)).draw_images(done, "looking at the data");
    });
    if let Some(p) = &mut line {
        p.clear();
    }
    let found = found?;
    gabor::write_aside(&path, found.report.to_html().as_bytes())?;
    let (state, path) = (&found.state, path.display().to_string());
    if a.format.json {
        let (split, top1) = found.judged.unzip();
        return output::json(&json!({
            "run": a.run.display().to_string(), "report": path, "steps": state.step, "epochs": state.epoch, "split": split,
            "top1": top1,
        }));
    }
    let told = match &found.judged {
        Some((split, top1)) => format!("{} on the {split} part", percent(*top1)),
        None => "not over: the page shows the training so far".to_string(),
    };
    output::text(&format!(
        "{} after {} steps, {told}\n{path}\n",
        output::bold(&a.run.display().to_string()),
        state.step
    ))
}
