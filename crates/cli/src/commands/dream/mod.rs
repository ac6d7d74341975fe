//! `gabor dream`: pictures that a network makes.

mod arguments;

pub use arguments::Arguments;

use crate::failure::{Failure, Result};
use crate::looking::no_part;
use crate::output;
use crate::progress::Progress;
use crate::written::{self, Arrays};
use arguments::{Mode, Size};
use gabor::Model;
use gabor::data::{Image, Limits, decode_file};
use gabor::dream::{Basis, Changed, Dead, Deep, Dreams, Moment, Options, StyleOptimiser, Styled};
use gabor::picture::Kind;
use gabor::report::{Curve, LineAxis, LinePanel, LinePanels, Picture, class_name, short};
use gabor::tensor::Tensor;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The longer side of a photograph that is worked on.
const SIZE: usize = 512;
/// The same where every step takes long.
const STYLE_SIZE: usize = 384;

pub fn run(a: &Arguments) -> Result<()> {
    let mode = a.mode()?;
    let path = a.drawn.path("dream.png")?;
    let pictures = [&a.image, &a.content, &a.style].into_iter().flatten().map(PathBuf::as_path);
    let read = a.looking.read(a.model.iter().map(Path::new).chain(pictures));
    if let Some(path) = &a.curve {
        gabor::picture::kind(path).map_err(|e| Failure::Usage(format!("--curve {e}")))?;
    }
    let files: Vec<(&str, &Path)> = [("--output", Some(path.as_path())), ("--curve", a.curve.as_deref())]
        .into_iter()
        .filter_map(|(f, p)| Some((f, p?)))
        .collect();
    written::check(&files, a.npy.as_deref(), &read)?;
    if mode != Mode::Units {
        look_has_a_part(a, &path)?;
    }
    let (model, name) = a.looking.open_alone(a.model.as_deref())?;
    if model.preprocessing().is_none() {
        output::note(
            "the model does not say how a picture becomes its input; it is taken to be in 0..1 (see --preprocessing)",
        );
    }
    let mut timer = Timer::new();
    let (mut facts, words) = match mode {
        Mode::Units => dreams(a, &model, &name, &path, &mut timer)?,
        Mode::Deep => deep(a, &model, &name, &path, &mut timer)?,
        Mode::Style => style(a, &model, &name, &path, &mut timer)?,
    };
    if !a.format.json {
        let curve = a.curve.as_ref().map_or(String::new(), |p| format!("{}\n", p.display()));
        return output::text(&format!("{words}{}\n{curve}", path.display()));
    }
    facts["curve"] = a.curve.as_ref().map(|p| p.display().to_string()).into();
    facts["mode"] = mode.name().into();
    facts["picture"] = path.display().to_string().into();
    facts["steps"] = timer.steps.into();
    facts["seconds"] = timer.seconds.into();
    facts["steps_per_second"] = timer.rate().into();
    output::json(&facts)
}

/// Draws the line of progress, and times the steps after the first, which compiles.
struct Timer {
    line: Progress,
    first: Option<(Instant, usize)>,
    steps: usize,
    seconds: f64,
}

/// Parts of the work that the line of progress knows.
const PARTS: u64 = 10_000;

impl Timer {
    fn new() -> Self {
        Timer { line: Progress::new(0, PARTS).with_lines(), first: None, steps: 0, seconds: 0.0 }
    }
    fn hear(&mut self, m: Moment) {
        if m.done > 0 {
            let (begun, before) = *self.first.get_or_insert_with(|| (Instant::now(), m.done));
            // A part of a step is no step.
            if m.done - before > self.steps || self.seconds == 0.0 {
                self.seconds = begun.elapsed().as_secs_f64();
                self.steps = m.done - before;
            }
        }
        let said = match m.objective {
            Some(v) if self.steps > 0 => format!("objective {v:.3}  {:.1} steps/s", self.rate()),
            Some(v) => format!("objective {v:.3}"),
            None => "making ready".into(),
        };
        let text = format!("step {} of {}  {said}", m.done, m.total);
        self.line.draw_text((m.part * PARTS as f64) as u64, &text);
        if m.done == m.total {
            self.line.clear();
        }
    }
    fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.steps as f64 / self.seconds } else { 0.0 }
    }
}

/// A look is of words and charts: what is written as it was made has none.
fn look_has_a_part(a: &Arguments, path: &Path) -> Result<()> {
    let bare = gabor::picture::kind(path) == Ok(Kind::Png) && a.curve.is_none();
    let why = "a PNG that is the picture itself";
    no_part(&[("--look", bare && a.drawn.has_look())], why, "--output with a name in .svg, or without it")
}

/// The longer side that a photograph is worked on at, which is said where it is not its own.
fn working_size(a: &Arguments, photograph: &Image<'_>, usual: usize) -> Result<usize> {
    let (h, w) = (photograph.height(), photograph.width());
    let own = h.max(w);
    let size = a.size.unwrap_or(Size::Pixels(usual)).of(own)?;
    if a.size.is_none() && size < own {
        let side = |n: usize| ((n * size) as f64 / own as f64).round().max(1.0);
        let times = (own as f64 / size as f64).powi(2);
        output::note(&format!(
            "worked on at {} × {} of the photograph's {h} × {w} pixels; --size full takes all, and about {times:.0} times as long",
            side(h),
            side(w)
        ));
    }
    Ok(size)
}

/// Draws the objective over the steps, a chart for each picture.
fn draw_curve(a: &Arguments, model: &str, what: &str, panels: Vec<LinePanel>) -> Result<()> {
    let Some(path) = &a.curve else { return Ok(()) };
    let more = match panels.len() {
        n if n > CHARTS => format!("; the first {CHARTS} of {n}"),
        _ => String::new(),
    };
    let drawing = LinePanels {
        title: crate::looking::short_name(model),
        subtitle: format!("{what}{more}"),
        axis: "step".into(),
        along: LineAxis::Even,
        panels: panels.into_iter().take(CHARTS).collect(),
    };
    a.drawn.write(path, &drawing.to_svg())
}

/// Most charts of one drawing.
const CHARTS: usize = 48;

/// A chart of values at each step.
fn chart<'a>(title: &str, unit: &str, curves: impl IntoIterator<Item = (&'a str, Vec<f32>)>) -> LinePanel {
    let points = |v: Vec<f32>| v.into_iter().enumerate().map(|(i, v)| (i as f64 + 1.0, f64::from(v))).collect();
    let curves = curves.into_iter().map(|(name, v)| Curve::new(name, points(v))).collect();
    LinePanel { title: title.into(), unit: unit.into(), curves }
}

fn dreams(a: &Arguments, model: &Model, name: &str, path: &Path, timer: &mut Timer) -> Result<(Value, String)> {
    let (targets, o) = (a.targets(model, name)?, a.options()?);
    let channels = model.lens().map_err(|e| e.inside(name))?.gain.len();
    if channels != 3 {
        let why = format!("a network of {channels}-channel pictures");
        no_part(&[("--plain-colors", !o.decorrelate)], &why, "without it")?;
    }
    if targets.units.len() == 1 {
        look_has_a_part(a, path)?;
    }
    let found = model.dream(&targets, &o, &mut |m| {
        timer.hear(m);
        Ok(())
    });
    let found = found.map_err(|e| e.inside(name))?;
    let mut list = Vec::new();
    let mut words = String::new();
    for (d, called) in found.made.iter().zip(&found.names) {
        let shown = class_name(called);
        let npy = a.npy.as_deref().map(|dir| write(dir, &d.unit.to_string(), &found.extents, &d.input)).transpose()?;
        let dead = d.dead.map(|d| if d == Dead::Silent { "silent" } else { "unreached" });
        match d.dead {
            Some(Dead::Unreached) => output::note(&format!("{shown} is dead: no gradient reaches the picture")),
            Some(Dead::Silent) => output::note(&format!("{shown} is dead: it never fired in {} steps", o.steps)),
            None => words += &format!("{}  {} → {}\n", output::bold(shown), short(d.start.into()), short(d.end.into())),
        }
        list.push(json!({
            "unit": d.unit, "name": called, "start": d.start, "end": d.end, "dead": dead, "objective": d.curve, "npy": npy,
        }));
    }
    let charts = found.made.iter().zip(&found.names);
    let charts = charts.map(|(d, called)| chart(class_name(called), "", [("objective", d.curve.clone())])).collect();
    draw_curve(a, name, "What the units say to the picture as it was moved at each step", charts)?;
    match found.alone().filter(|_| gabor::picture::kind(path) == Ok(Kind::Png)) {
        Some(picture) => gabor::write_aside(path, &picture.to_png())?,
        None => a.drawn.write(path, &found.sheet(&crate::looking::short_name(name)).to_svg())?,
    }
    let settings = settings_of_units(a, &found, &o);
    Ok((json!({ "layer": found.layer, "settings": settings, "dreams": list }), words))
}

fn settings_of_units(a: &Arguments, found: &Dreams, o: &Options) -> Value {
    let [_, h, w] = found.extents;
    let basis = Basis::ALL.iter().find(|b| b.1 == o.basis).map(|b| b.0);
    json!({
        "steps": o.steps, "rate": o.rate, "basis": basis, "decorrelate": o.decorrelate,
        "jitter": o.jitter.unwrap_or(h.min(w) as f64 / 16.0), "rotate": o.rotate, "scale": o.scale, "l2": o.l2, "tv": o.variation,
        "seed": o.seed, "batch": o.batch, "at": a.at.as_deref().unwrap_or("everywhere"),
    })
}

fn deep(a: &Arguments, model: &Model, name: &str, path: &Path, timer: &mut Timer) -> Result<(Value, String)> {
    let image = open(a.image.as_deref())?;
    let size = working_size(a, &image, SIZE)?;
    let o = a.deep()?;
    let made: Changed<Deep> = model
        .deep_dream(&image, size, &o, &mut |m| {
            timer.hear(m);
            Ok(())
        })
        .map_err(|e| e.inside(name))?;
    let npy = a.npy.as_deref().map(|dir| write(dir, "dream", &made.extents, &made.input)).transpose()?;
    draw(a, path, &made.picture, name, &format!("dreamt on by {}", made.how.layer))?;
    let of = format!("Mean of the squares at each step, in {} octaves", made.how.octaves.len());
    let objective = [("objective", made.how.curve.clone())];
    draw_curve(a, name, &of, vec![chart(&made.how.layer, "", objective)])?;
    let settings = json!({
        "units": o.units, "octaves": o.octaves, "octave_scale": o.octave_scale, "steps": o.steps, "strength": o.strength,
        "jitter": o.jitter, "tiles": o.tiles, "seed": o.seed, "size": size,
    });
    let facts = json!({
        "layer": made.how.layer, "octaves": made.how.octaves, "settings": settings, "objective": made.how.curve, "npy": npy,
    });
    let last = made.how.octaves.len();
    let words = format!("{}, {last} octaves of {} steps\n", output::bold(&made.how.layer), o.steps);
    Ok((facts, words))
}

fn style(a: &Arguments, model: &Model, name: &str, path: &Path, timer: &mut Timer) -> Result<(Value, String)> {
    let (content, style) = (open(a.content.as_deref())?, open(a.style.as_deref())?);
    let (size, o, optimiser) = (working_size(a, &content, STYLE_SIZE)?, a.styling(), a.style_optimiser());
    let made: Changed<Styled> = model
        .style_transfer([&content, &style], size, &o, optimiser, &mut |m| {
            timer.hear(m);
            Ok(())
        })
        .map_err(|e| e.inside(name))?;
    let npy = a.npy.as_deref().map(|dir| write(dir, "style", &made.extents, &made.input)).transpose()?;
    draw(a, path, &made.picture, name, "in the style of another")?;
    let settings = json!({
        "content_weight": o.content_weight, "style_weight": o.style_weight, "tv": o.variation, "steps": o.steps,
        "optimiser": optimiser.name(), "rate": if let StyleOptimiser::Adam { rate } = optimiser { Some(rate) } else { None }, "size": size,
    });
    let losses = |i: usize| made.how.curve.iter().map(|c| c[i]).collect::<Vec<f32>>();
    let facts = json!({
        "content_layers": made.how.content_layers, "style_layers": made.how.style_layers, "settings": settings,
        "content_loss": losses(0), "style_loss": losses(1), "npy": npy,
    });
    let charts = vec![
        chart("content", &made.how.content_layers.join(", "), [("loss", losses(0))]),
        chart("style", &made.how.style_layers.join(", "), [("loss", losses(1))]),
    ];
    draw_curve(a, name, "Loss relative to what the layers say of the photographs, at each evaluation", charts)?;
    let ends = |i: usize| (made.how.curve.first().map_or(0.0, |c| c[i]), made.how.curve.last().map_or(0.0, |c| c[i]));
    let words = format!(
        "content in {}  {:.3} → {:.3}\nstyle in {}  {:.3} → {:.3}\n",
        made.how.content_layers.join(", "),
        ends(0).0,
        ends(0).1,
        made.how.style_layers.join(", "),
        ends(1).0,
        ends(1).1
    );
    Ok((facts, words))
}

fn open(path: Option<&Path>) -> Result<Image<'static>> {
    let path = path.unwrap_or(Path::new(""));
    Ok(decode_file(path, &Limits::default()).map_err(gabor::Error::from)?)
}

/// A photograph as itself, or with words under it.
fn draw(a: &Arguments, path: &Path, picture: &Picture, name: &str, what: &str) -> Result<()> {
    if gabor::picture::kind(path) == Ok(Kind::Png) {
        return Ok(gabor::write_aside(path, &picture.to_png())?);
    }
    let panel = gabor::report::Panel { picture: picture.clone(), caption: what.into(), note: String::new() };
    let sheet = gabor::report::Sheet {
        title: crate::looking::short_name(name),
        subtitle: what.into(),
        panels: vec![panel],
        columns: 1,
        keys: Vec::new(),
    };
    a.drawn.write(path, &sheet.to_svg())
}

/// Numbers as a file; its name.
fn write(directory: &Path, name: &str, shape: &[usize], values: &[f32]) -> Result<String> {
    Arrays::new(directory)?.write(name, Tensor::f32(shape, values.to_vec()))
}
