//! What a report says of a run.

use crate::inside::inside;
use crate::judged::{as_people_see_it, judged};
use crate::{FiltersOptions, Model, Result};
use gabor_data::Image;
use gabor_nets::summary;
use gabor_report::{Curve, Figure, LayerRow, Report, Seen, bytes, class_names, count, duration};
use gabor_train::{Event, Outcome, Setup};
use std::collections::HashSet;
use std::path::Path;

/// How many training images are shown as the network saw them.
const SEEN: usize = 12;

/// The report of a run, from what it trained, its model, how it ended and its events.
///
/// # Errors
/// Images that cannot be read again.
pub fn page(setup: &Setup, model: &Model, outcome: &Outcome, events: &[Event], directory: &Path) -> Result<Report> {
    let mut r = Report {
        kind: "training report".into(),
        title: directory.file_name().map_or_else(|| "run".into(), |n| n.to_string_lossy().into_owned()),
        subtitle: subtitle(setup),
        learning_rate: Curve::new("", learning_rate(events)),
        best_epoch: outcome.state.best.map(|b| b.epoch as f64 + 1.0),
        filters: first_filters(model),
        configuration: configuration(setup),
        provenance: provenance(setup, outcome),
        commands: commands(setup, model, directory),
        notes: notes(events),
        ..Default::default()
    };
    curves(&mut r, events);
    layers(&mut r, model);
    if let (Some(e), Ok((_, data))) = (&outcome.evaluation, setup.splits.evaluation()) {
        judged(&mut r, e, None, &**data, &setup.preprocessing)?;
        let file = directory.join("model.onnx").display().to_string();
        r.inside = inside(model, e, &**data, &setup.preprocessing, &file);
    }
    r.seen = seen(setup)?;
    let parameters = summary(model.graph()).parameters;
    r.figures.push(Figure::new("parameters", count(parameters), bytes(parameters * 4)));
    let whole = setup.config.is_lbfgs();
    let samples = if whole { setup.epoch_samples()? } else { setup.config.batch_size() };
    let steps = format!("{} steps of {samples}", count(outcome.state.step));
    r.figures.push(Figure::new("epochs", outcome.state.epoch.to_string(), steps));
    let images = outcome.state.step as f64 * setup.config.batch_size() as f64;
    let rate = if outcome.state.seconds > 0.0 { images / outcome.state.seconds } else { 0.0 };
    let rate = format!("{} images/s", count(rate as u64));
    r.figures.push(Figure::new("time", duration(outcome.state.seconds), rate));
    Ok(r)
}

/// Most notes that a page shows.
const NOTES: usize = 40;

/// What the run warned of and noted, each once, in the order in which it was first said.
fn notes(events: &[Event]) -> Vec<String> {
    let mut seen = HashSet::new();
    let text = |e: &Event| match e {
        Event::Warning { text } | Event::Note { text } => Some(text.clone()),
        _ => None,
    };
    let mut notes: Vec<String> = events.iter().filter_map(text).filter(|t| seen.insert(t.clone())).collect();
    if let Some(more) = notes.len().checked_sub(NOTES + 1) {
        notes.truncate(NOTES);
        notes.push(format!("and {} more; metrics.jsonl has all", count(more as u64 + 1)));
    }
    notes
}

fn subtitle(setup: &Setup) -> String {
    let title = setup.network.card().map_or(setup.network.name(), |c| c.title);
    let len = |d: &Option<std::sync::Arc<dyn gabor_data::Dataset>>| d.as_ref().map_or(0, |d| d.len() as u64);
    let parts = [
        ("training", len(&setup.splits.train)),
        ("validation", len(&setup.splits.validation)),
        ("test", len(&setup.splits.test)),
    ];
    let parts: Vec<String> = parts.iter().filter(|p| p.1 > 0).map(|(n, c)| format!("{} {n}", count(*c))).collect();
    let [c, h, w] = setup.preprocessing.input();
    let classes = setup.splits.classes().len();
    let data =
        Path::new(&setup.config.data).file_name().map_or(setup.config.data.clone(), |n| n.to_string_lossy().into());
    format!("{title}, on {data}: {} images, input {c} × {h} × {w}, {classes} classes.", parts.join(", "))
}

/// Points at the ends of epochs; of a run with few of them also points in between.
fn curves(r: &mut Report, events: &[Event]) {
    let mut lines: [Vec<(f64, f64)>; 4] = Default::default();
    let epochs = events.iter().filter(|e| matches!(e, Event::Epoch { .. })).count();
    for event in events {
        match event {
            Event::Epoch { epoch, train_loss, train_top1, validation_loss, validation_top1, .. } => {
                let x = *epoch as f64 + 1.0;
                if epochs >= 5 {
                    lines[0].push((x, *train_loss));
                    lines[1].push((x, *train_top1));
                }
                lines[2].extend(validation_loss.map(|v| (x, v)));
                lines[3].extend(validation_top1.map(|v| (x, v)));
            }
            Event::Step { epoch, step_in_epoch, steps_per_epoch, loss, top1, .. } if epochs < 5 => {
                let x = *epoch as f64 + *step_in_epoch as f64 / (*steps_per_epoch).max(1) as f64;
                lines[0].push((x, *loss));
                lines[1].push((x, *top1));
            }
            _ => {}
        }
    }
    let [a, b, c, d] = lines;
    r.loss = vec![Curve::new("training", a), Curve::new("validation", c)];
    r.accuracy = vec![Curve::new("training", b), Curve::new("validation", d)];
}

fn learning_rate(events: &[Event]) -> Vec<(f64, f64)> {
    let point = |e: &Event| match e {
        Event::Step { epoch, step_in_epoch, steps_per_epoch, lr, .. } => {
            Some((*epoch as f64 + *step_in_epoch as f64 / (*steps_per_epoch).max(1) as f64, *lr))
        }
        _ => None,
    };
    events.iter().filter_map(point).collect()
}

fn layers(r: &mut Report, model: &Model) {
    let s = summary(model.graph());
    r.layer_columns =
        ["layer", "operation", "output", "values", "parameters", "FLOPs", "receptive field"].map(String::from).to_vec();
    let product = |v: Vec<usize>| v.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
    let shown = |v: u64| if v == 0 { "–".to_string() } else { count(v) };
    for l in &s.layers {
        let extents = l.output.0.iter().skip(1).map(|d| d.at(1)).collect();
        let field = if l.receptive_field.is_empty() { "all".into() } else { product(l.receptive_field.clone()) };
        let cells = vec![
            l.name.clone(),
            l.kind.clone(),
            product(extents),
            shown(l.values),
            shown(l.parameters),
            shown(l.flops),
            field,
        ];
        r.layers.push(LayerRow { cells });
    }
    r.layer_notes.push(format!(
        "In all {} parameters, {} values held and {} floating-point operations for an image.",
        count(s.parameters),
        count(s.values),
        count(s.flops)
    ));
    r.layer_notes.extend(s.notes);
}

/// The filters of the first layer that has any, as [`Model::filters`] draws them.
fn first_filters(model: &Model) -> Option<(String, String)> {
    let found = model.filters(&FiltersOptions::default()).ok()?;
    // Other layers' filters are no picture of what the network looks for in pictures.
    found.bank.first.then(|| (found.bank.layer.clone(), found.grid(&found.bank.layer).to_svg()))
}

/// Some training images of the first epoch after augmentation, taken back from what the network got.
fn seen(setup: &Setup) -> Result<Vec<Seen>> {
    let data = setup.splits.train()?;
    let Some(batch) = setup.training_loader()?.epoch(0, 0).next() else { return Ok(Vec::new()) };
    let batch = batch?;
    let p = &setup.preprocessing;
    let [c, h, w] = p.input();
    let names = class_names(data.classes());
    let mut out = Vec::new();
    for (floats, &index) in batch.images.as_f32()?.chunks_exact(c * h * w).zip(&batch.indices).take(SEEN) {
        let byte = |(i, &v): (usize, &f32)| {
            let channel = i / (h * w);
            ((v * p.std[channel] + p.mean[channel]) * p.divisor).round().clamp(0.0, 255.0) as u8
        };
        let planes: Vec<u8> = floats.iter().enumerate().map(byte).collect();
        let pixels: Vec<u8> =
            (0..h * w).flat_map(|i| (0..c).map(move |k| (i, k))).map(|(i, k)| planes[k * h * w + i]).collect();
        let index = index as usize;
        let class = data.labels().get(index).and_then(|&l| names.get(l as usize));
        let picture = Image::new(h, w, p.color, pixels).ok().and_then(|image| as_people_see_it(&image));
        out.extend(picture.map(|picture| Seen {
            picture,
            class: class.cloned().unwrap_or_default(),
            id: data.id(index),
        }));
    }
    Ok(out)
}

/// The settings as `key = value`, without their pages.
fn configuration(setup: &Setup) -> String {
    let entries = setup.config.entries();
    let width = entries.iter().map(|(k, _)| k.len()).max().unwrap_or(0);
    entries.iter().map(|(k, v)| format!("{k:width$} = {v}\n")).collect()
}

fn provenance(setup: &Setup, outcome: &Outcome) -> Vec<(String, String)> {
    let mut out = vec![
        ("made by".to_string(), format!("gabor {}", env!("CARGO_PKG_VERSION"))),
        ("date".into(), date()),
        ("data".into(), setup.config.data.clone()),
        ("network".into(), setup.network.name().to_string()),
        ("seed".into(), setup.config.seed.to_string()),
        ("stopped".into(), outcome.stopped.map_or("after the last epoch", |s| s.name()).to_string()),
    ];
    if let Some(card) = setup.network.card() {
        out.push(("paper".into(), format!("{} ({})", card.paper, card.year)));
    }
    if setup.config.data == "digits" {
        let credit = "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak 1998, UCI Machine Learning \
                      Repository, doi 10.24432/C50P49, CC BY 4.0";
        out.push(("credit".into(), credit.into()));
    }
    out
}

/// The methods by which `gabor explain` can explain a model: all, or those that need no feature map with places.
pub fn explain_methods(model: &Model) -> &'static str {
    if model.subject().is_ok_and(|s| s.last_map().is_ok()) { "all" } else { "saliency" }
}

fn commands(setup: &Setup, model: &Model, directory: &Path) -> Vec<(String, String)> {
    let run = directory.display();
    let data = if setup.config.data == "digits" { String::new() } else { format!(" --data {}", setup.config.data) };
    vec![
        (format!("gabor predict {run}/model.onnx {run}/sample.png"), "name a picture".into()),
        (
            format!("gabor eval {run}/model.onnx{data} --tta flip --calibrate --report eval.html"),
            "measure it closely".into(),
        ),
        (format!("gabor summary {run}/model.onnx"), "see its layers".into()),
        (format!("gabor filters {run}"), "see its filters".into()),
        (
            format!("gabor explain {run} {run}/sample.png --method {}", explain_methods(model)),
            "see why it answers so".into(),
        ),
        (format!("gabor train --resume {run} epochs={}", 2 * setup.config.epochs.0.unwrap_or(1)), "train on".into()),
    ]
}

/// Today in UTC as `2026-03-01 14:05 UTC`.
fn date() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, minutes) = ((now / 86_400) as i64, now % 86_400 / 60);
    let (y, m, d) = civil(days);
    format!("{y}-{m:02}-{d:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar: years begin in March, so that the
/// leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::civil;

    #[test]
    fn days_and_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_513), (2026, 3, 1));
    }
}
