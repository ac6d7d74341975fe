//! `gabor lr-find`: which learning rate to train with.

use crate::arguments::{Format, backend};
use crate::commands::train::{Prepared, STOP, Settings, configuration, prepare, stop_on_signals};
use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Progress;
use crate::written;
use clap::Args;
use gabor::picture::Look;
use gabor::report::RangePicture;
use gabor::train::{Event, FnSink, RangeCurve, RangeTest, RunOptions, range_test};
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Find a learning rate
///
/// A short training in which the rate grows from step to step until the loss explodes (the range test of Smith 2017). Takes
/// the settings of `gabor train`; nothing is kept of the training. The picture shows the loss over the rate with two marks:
/// where it falls fastest, and a tenth of where it is lowest. A rate near them is good, for one-cycle the larger of them.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor lr-find
  gabor lr-find --data photos --net resnet18 optimiser=momentum batch=32
  gabor lr-find --data photos --net resnet18 --weights resnet18.pth --picture rates.svg
  gabor lr-find --from 1e-5 --to 1 --steps 200 --json

Of a fine-tuning the phase of the head alone is tested, with unfreeze=0 all layers.

JSON: `suggestion` (as `steepest`, else `minimum_tenth`), `steepest`, `minimum_tenth`, `diverged`, `picture`, and `points` with `lr`,
`loss`, `smoothed` of every step.")]
pub struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// The first learning rate
    #[arg(long, value_name = "RATE", default_value_t = RangeTest::default().from)]
    from: f64,
    /// The last learning rate
    #[arg(long, value_name = "RATE", default_value_t = RangeTest::default().to)]
    to: f64,
    /// Steps; the training set is gone through again where it has fewer
    #[arg(long, value_name = "N", default_value_t = RangeTest::default().steps)]
    steps: usize,
    /// The picture; `none` for no picture
    #[arg(long, value_name = "FILE.svg | FILE.png", default_value = "lr-find.svg")]
    picture: PathBuf,
    #[command(flatten)]
    format: Format,
}

pub fn run(a: &Arguments) -> Result<()> {
    let wanted = a.picture.as_os_str() != "none";
    if wanted {
        gabor::picture::kind(&a.picture).map_err(|e| Failure::Usage(format!("--picture {e}")))?;
        written::check(&[("--picture", &a.picture)], None, &[])?;
    }
    let config = configuration(&a.settings, None, None)?;
    stop_on_signals("stopping after this step")?;
    let Prepared { setup, weights } = prepare(&a.settings, config, None)?;
    let backend = backend(setup.config.threads.0)?;
    let range = RangeTest { from: a.from, to: a.to, steps: a.steps };
    let options = RunOptions { stop: Some(&STOP), weights, ..Default::default() };
    let mut progress = Progress::new(0, a.steps as u64);
    let mut notes: Vec<Event> = Vec::new();
    let mut listen = |e: &Event| match e {
        Event::Step { step, loss, lr, .. } => progress.draw_text(*step, &format!("lr {lr:.1e}  loss {loss:.3}")),
        Event::Warning { .. } => notes.push(e.clone()),
        _ => {}
    };
    let result = range_test(&setup, &*backend, options, range, &mut FnSink(&mut listen));
    progress.clear();
    for note in &notes {
        if let Event::Warning { text } = note {
            output::warning(text);
        }
    }
    let curve = result?;
    let interrupted = STOP.load(Ordering::Relaxed);
    let title = format!("{} on {}, {}", setup.network.name(), setup.config.data, setup.config.optimiser);
    if wanted && !interrupted {
        gabor::picture::write(&a.picture, &picture(&curve, title).to_svg(), Look::Auto)?;
    }
    let shown = (wanted && !interrupted).then(|| a.picture.display().to_string());
    let suggestion = curve.steepest.or(curve.minimum_tenth);
    if a.format.json {
        let document = json!({
            "suggestion": suggestion.map(rounded), "steepest": curve.steepest, "minimum_tenth": curve.minimum_tenth,
            "diverged": curve.diverged, "picture": shown, "points": curve.points,
        });
        return output::json(&document);
    }
    output::text(&text(&curve, shown.as_deref(), interrupted))
}

fn picture(curve: &RangeCurve, title: String) -> RangePicture {
    let points = curve.points.iter().map(|p| (p.lr, p.loss, p.smoothed)).collect();
    let marks = [("steepest", curve.steepest), ("minimum / 10", curve.minimum_tenth)];
    let marks = marks.into_iter().filter_map(|(what, lr)| lr.map(|lr| (lr, format!("{what}: {}", number(lr)))));
    RangePicture { title, points, marks: marks.collect() }
}

fn text(curve: &RangeCurve, picture: Option<&str>, interrupted: bool) -> String {
    let (first, last) = match curve.points.as_slice() {
        [first, .., last] => (first, last),
        _ => return "no step with a finite loss: the rates begin too large, or the data are not as the network wants them\n".into(),
    };
    let mut out = format!(
        "{} steps from {} to {}{}\n",
        curve.points.len(),
        number(first.lr),
        number(last.lr),
        match (interrupted, curve.diverged) {
            (true, _) => ", interrupted",
            (false, true) => ", where the loss exploded",
            (false, false) => "; the loss did not explode, a larger --to shows more",
        }
    );
    let shown = |v: Option<f64>| v.map_or("none: the loss does not fall".into(), number);
    out += &format!("the loss falls fastest at  {}\n", shown(curve.steepest));
    out += &format!("a tenth of its minimum at  {}\n", shown(curve.minimum_tenth));
    if let Some(picture) = picture {
        out += &format!("picture                    {picture}\n");
    }
    if let Some(lr) = curve.steepest.or(curve.minimum_tenth) {
        out += &format!("\nsuggestion: lr={}\n", number(rounded(lr)));
    }
    out
}

/// Two digits: more would promise too much.
fn rounded(lr: f64) -> f64 {
    format!("{lr:.1e}").parse().unwrap_or(lr)
}

/// A rate in two digits, as people type it.
fn number(lr: f64) -> String {
    let lr = rounded(lr);
    if (1e-4..1e4).contains(&lr) { lr.to_string() } else { format!("{lr:e}") }
}
