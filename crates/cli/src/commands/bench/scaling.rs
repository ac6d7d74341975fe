//! `gabor bench --scaling`: how the time grows with threads, batch and picture, as rows and as pictures.

use super::{Arguments, HEAD, line, refusal};
use crate::arguments::machine;
use crate::failure::{Failure, Result};
use crate::output;
use gabor::compile::Backend;
use gabor::picture::Look;
use gabor::report::{Bar, Bars, Curve, LineAxis, LinePanel, LinePanels, rounded};
use gabor_bench::{Measure, Row, Threaded, Workload, measure_in_turn, memory, scaling};
use regex_lite::Regex;
use std::path::Path;

/// Batch sizes whose gain by threads is shown.
const SHOWN: [usize; 2] = [1, 16];

pub fn run(a: &Arguments, only: &Regex, how: Measure, folder: &Path) -> Result<()> {
    let chosen: Vec<Workload> = scaling().into_iter().filter(|w| only.is_match(&w.name())).collect();
    if chosen.is_empty() {
        let names: Vec<String> = scaling().iter().map(Workload::name).collect();
        return Err(Failure::Failed(format!(
            "--only {}: no workload of --scaling has such a name; right would be: one of {}",
            a.only,
            names.join(", ")
        )));
    }
    std::fs::create_dir_all(folder).map_err(|e| Failure::Failed(format!("{}: {e}", folder.display())))?;
    let most = a.compute.backend()?.threads();
    let backends = doublings(most).map(|n| Ok((a.compute.backend_of(n)?, n))).collect::<Result<Vec<_>>>()?;
    let backends: Vec<Threaded<'_>> = backends.iter().map(|(b, n)| (&**b as _, *n)).collect();
    if !a.format.json {
        output::text(&format!("threads {HEAD}"))?;
    }
    let mut all: Vec<(Workload, Vec<Row>)> = Vec::new();
    let alone: Vec<&dyn Backend> = backends.iter().map(|b| b.0).collect();
    for workload in chosen {
        // One executable for each number of threads, all of them at once.
        let needed = memory(&workload, &alone, a.recompute)?;
        if let Some(refused) = refusal(&workload.name(), needed, gabor::train::memory_left()) {
            output::warning(&format!("{refused}: left out; with fewer --threads it takes less"));
            continue;
        }
        let rows = measure_in_turn(&workload, &backends, how)?;
        for row in &rows {
            if a.format.json {
                output::json(&serde_json::to_value(row).unwrap_or_default())?;
            } else {
                output::text(&format!("{:7} {}", row.threads, line(row)))?;
            }
        }
        all.push((workload, rows));
    }
    if all.is_empty() {
        return Err(Failure::Failed("nothing fits into memory; right would be: smaller ones by --only".into()));
    }
    let isa = a.compute.isa.unwrap_or_else(gabor::cpu::Isa::best);
    let place = format!("gabor {}, {}, {}", env!("CARGO_PKG_VERSION"), isa.name(), machine());
    let lines: Vec<String> = (all.iter().flat_map(|(_, rows)| rows))
        .map(|row| serde_json::to_string(row).unwrap_or_default() + "\n")
        .collect();
    gabor::write_aside(&folder.join("scaling.jsonl"), lines.concat().as_bytes())?;
    let drawn =
        [("threads.svg", threads(&all, &place)), ("batch.svg", batch(&all, &place)), ("size.svg", size(&all, &place))];
    for (name, svg) in drawn {
        if let Some(svg) = svg {
            gabor::picture::write(&folder.join(name), &svg, Look::Auto)?;
        }
    }
    Ok(())
}

/// 1, 2, 4 and so on up to `most`, and `most`.
fn doublings(most: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1), |n| Some(n * 2)).take_while(move |&n| n < most).chain([most])
}

/// What a workload is about, without its batch.
fn subject(workload: &Workload) -> String {
    match workload {
        Workload::Train { model, .. } => format!("training {model}"),
        Workload::Infer { model, .. } | Workload::Sized { model, .. } => model.replace('_', "’s "),
        Workload::Layer { layer, .. } => layer.name.to_string(),
    }
}

fn several(n: usize) -> String {
    if n == 1 { "1 thread".into() } else { format!("{n} threads") }
}

/// How much faster several threads are than one; none if nothing was timed with several.
fn threads(all: &[(Workload, Vec<Row>)], place: &str) -> Option<String> {
    let mut bars = Vec::new();
    for (workload, rows) in all {
        let [one, more @ ..] = rows.as_slice() else { continue };
        if matches!(workload, Workload::Sized { .. }) || !SHOWN.contains(&workload.batch()) {
            continue;
        }
        bars.extend(more.iter().enumerate().map(|(i, row)| {
            let gain = one.ms_median / row.ms_median;
            Bar {
                name: format!("{}, batch {}", subject(workload), workload.batch()),
                part: gain / row.threads as f64,
                note: format!("{gain:.2} × as fast with {}, {} ms", several(row.threads), rounded(row.ms_median)),
                color: i,
            }
        }));
    }
    let picture = Bars {
        title: "Threads: the gain over one, as a part of their number".into(),
        subtitle: place.into(),
        mark: "all of it".into(),
        bars,
    };
    (!picture.bars.is_empty()).then(|| picture.to_svg())
}

/// Pictures per second over the batch size.
fn batch(all: &[(Workload, Vec<Row>)], place: &str) -> Option<String> {
    let kept = |w: &Workload| !matches!(w, Workload::Sized { .. });
    let panels =
        panels(all, kept, "pictures per second", |w, row| (w.batch() as f64, w.batch() as f64 * 1e3 / row.ms_median));
    picture("Batch: how many pictures in a second", place, "batch size", panels)
}

/// The time of a pixel over the extents of a picture.
fn size(all: &[(Workload, Vec<Row>)], place: &str) -> Option<String> {
    let kept = |w: &Workload| matches!(w, Workload::Sized { .. });
    let panels = panels(all, kept, "nanoseconds per pixel", |w, row| {
        let side = if let Workload::Sized { size, .. } = w { *size as f64 } else { f64::NAN };
        (side, row.ms_median * 1e6 / (side * side * w.batch() as f64))
    });
    picture("Picture: how long a pixel takes", place, "height and width", panels)
}

fn picture(title: &str, place: &str, axis: &str, panels: Vec<LinePanel>) -> Option<String> {
    let picture = LinePanels {
        title: title.into(),
        subtitle: place.into(),
        axis: axis.into(),
        along: LineAxis::Doublings,
        panels,
    };
    (!picture.panels.is_empty()).then(|| picture.to_svg())
}

/// A chart for each subject, a curve for each number of threads.
fn panels(
    all: &[(Workload, Vec<Row>)],
    kept: impl Fn(&Workload) -> bool,
    unit: &str,
    point: impl Fn(&Workload, &Row) -> (f64, f64),
) -> Vec<LinePanel> {
    let mut panels: Vec<LinePanel> = Vec::new();
    for (workload, rows) in all.iter().filter(|(w, _)| kept(w)) {
        let title = subject(workload);
        let at = panels.iter().position(|p| p.title == title).unwrap_or_else(|| {
            let curves = rows.iter().map(|r| Curve::new(several(r.threads), Vec::new())).collect();
            panels.push(LinePanel { title, unit: unit.into(), curves });
            panels.len() - 1
        });
        for (curve, row) in panels[at].curves.iter_mut().zip(rows) {
            curve.points.push(point(workload, row));
        }
    }
    panels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_double_up_to_the_most() {
        let upto = |n| doublings(n).collect::<Vec<_>>();
        assert_eq!((upto(1), upto(2), upto(6)), (vec![1], vec![1, 2], vec![1, 2, 4, 6]));
    }
}
