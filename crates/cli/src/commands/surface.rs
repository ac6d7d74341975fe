//! `gabor surface`: losses as landscapes, and the ways of optimisers over them.

use crate::arguments::{Compute, Drawn, Format, Given};
use crate::commands::eval::{Split, part, splits};
use crate::failure::{Failure, Result};
use crate::looking::no_part;
use crate::output;
use crate::progress::Progress;
use crate::written::{self, Arrays};
use clap::Args;
use gabor::cpu::CpuBackend;
use gabor::report::{short, table};
use gabor::surface::{
    Function, LECTURE, Landscape, Perceptron, RateSchedule, Slice, SliceOptions, Surface, Training, Walk, Walker, Way,
    walk, walker,
};
use gabor::tensor::Tensor;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Draw a loss as a landscape, with the ways of optimisers
///
/// Of a model: the loss on a slice through its weights, along two random directions that are normalised filter by filter
/// (Li et al. 2018). With --example: the classic functions, and the lectures' perceptron with every number.
#[derive(Args)]
#[command(
    override_usage = "gabor surface MODEL --data DATA [OPTIONS]\n       gabor surface --example NAME [OPTIONS]",
    after_help = "\
Examples:
  gabor surface --example perceptron
  gabor surface --example perceptron --together --rate 0.005 --steps 20
  gabor surface --example rosenbrock --optimizers sgd,momentum,nesterov,adam -o rosenbrock.png
  gabor surface --example quadratic --optimizers momentum,momentum-inside --schedule inverse-root
  gabor surface runs/digits-lenet5-1 --data digits --radius 1.5 --npy grid
  gabor surface --net resnet20 --weights resnet20.th --data cifar10 --grid 21

Functions: quadratic, rosenbrock, saddle, beale, line (θ₀ + θ₁x on the perceptron's samples), ravine.

Optimizers, with μ of --momentum; all are those that train networks:
  sgd              w ← w − ηg
  momentum         v ← μv + g, w ← w − ηv
  momentum-inside  v ← μv − ηg, w ← w + v; for a constant η the same way as momentum
  averaged         Δ₁ = g, then Δ ← (1 − μ)g + μΔ; w ← w − ηΔ
  nesterov         v ← μv + g, w ← w − η(g + μv)
  rmsprop, adam    steps of about the length of η, whatever the slope

JSON: `title`, `picture`, `axes`, `x`, `y`, `heights` (row by row), `lowest` (`place`, `height`), `marks`, `walks`: a list of `name`, `rule`,
`rate`, `places`, `heights`, `diverged`, and `subtitle` (what the heights are of), `files` (with --npy). Of the perceptron: `samples`, `start`, `least_squares`, `least_loss`, `limit` (the largest rate at which
descent on all samples comes nearer), `optimizer`, `rule`, `diverged` (null, or how it went), `steps`: a list of `step`, `sample`, `before`, `predicted`, `loss`, `gradient`, `rate`,
`after`, `total` (the loss of all samples after it)."
)]
pub struct Arguments {
    /// The model: an .onnx file, a run's directory, weights with --net, or a name of the hub
    #[arg(value_name = "MODEL", conflicts_with = "example")]
    model: Option<String>,
    /// A classic instead: perceptron, quadratic, rosenbrock, saddle, beale, line, ravine
    #[arg(long, value_name = "NAME")]
    example: Option<String>,
    /// The data whose loss is drawn, as of gabor eval
    #[arg(long, value_name = "PATH", conflicts_with = "example")]
    data: Option<String>,
    /// Which part of the data (default: train, else test)
    #[arg(long, value_name = "PART", conflicts_with = "example")]
    split: Option<Split>,
    /// Pictures whose mean loss is the height, evenly spread over the data
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536), conflicts_with = "example")]
    samples: u32,
    /// How far the slice reaches, 1 being the length of the weights themselves
    #[arg(long, value_name = "R", default_value_t = 1.0, conflicts_with = "example")]
    radius: f64,
    /// Seed of the directions
    #[arg(long, value_name = "SEED", default_value_t = 0, conflicts_with = "example")]
    seed: u64,
    /// Places a side at which the height is measured (default 61 of functions, 25 of a model; pictures of functions are finer)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1000))]
    grid: Option<u16>,
    /// Whose ways are drawn, with commas between (default sgd,momentum,nesterov,adam; of the perceptron sgd); `none` for none
    #[arg(long, value_name = "NAMES", alias = "optimisers")]
    optimizers: Option<String>,
    /// Where ways begin: A,B on a surface, W of the perceptron
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    start: Option<String>,
    /// The learning rate η (default: one that fits the landscape, told in the picture)
    #[arg(long, value_name = "RATE")]
    rate: Option<f64>,
    /// How η goes on: constant (the default), or inverse-root, η₀ / √t
    #[arg(long, value_name = "HOW", value_parser = schedule)]
    schedule: Option<RateSchedule>,
    /// μ of momentum (default: 0.9)
    #[arg(long, value_name = "PART")]
    momentum: Option<f64>,
    /// Steps of each way (default 60 to 400 of functions, 30 of a model, 12 of the perceptron)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    steps: Option<u32>,
    /// Of the perceptron: every update takes all samples, and not one after the other
    #[arg(long, requires = "example")]
    together: bool,
    /// Also write the grid as DIR/heights.npy, x.npy and y.npy, and each way as DIR/NAME.npy
    #[arg(long, value_name = "DIR")]
    npy: Option<PathBuf>,
    #[command(flatten)]
    drawn: Drawn,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    pub compute: Compute,
    #[command(flatten)]
    format: Format,
}

impl Arguments {
    fn momentum(&self) -> f64 {
        self.momentum.unwrap_or(0.9)
    }
}

/// The window with the place where ways begin in it, a twentieth from its edge; a note tells of a window that grew.
fn widened(mut bounds: [[f64; 2]; 2], start: [f64; 2]) -> [[f64; 2]; 2] {
    let before = bounds;
    for (b, s) in bounds.iter_mut().zip(start) {
        let margin = 0.05 * (b[1].max(s) - b[0].min(s));
        if s < b[0] {
            b[0] = s - margin;
        } else if s > b[1] {
            b[1] = s + margin;
        }
    }
    if bounds != before {
        let [x, y] = bounds.map(|b| format!("{} to {}", short(b[0]), short(b[1])));
        output::note(&format!(
            "--start {},{} is outside the window, which is widened to {x} and {y}",
            short(start[0]),
            short(start[1])
        ));
    }
    bounds
}

fn schedule(text: &str) -> Result<RateSchedule, String> {
    match text {
        "constant" => Ok(RateSchedule::Constant),
        "inverse-root" => Ok(RateSchedule::InverseRoot),
        _ => Err("right would be: constant or inverse-root".into()),
    }
}

pub fn run(a: &Arguments) -> Result<()> {
    if let Some(rate) = a.rate.filter(|r| !(r.is_finite() && *r > 0.0)) {
        return Err(Failure::Usage(format!("--rate {rate}: right would be: a positive number")));
    }
    if !(a.radius.is_finite() && a.radius > 0.0) {
        return Err(Failure::Usage(format!("--radius {}: right would be: a positive number", a.radius)));
    }
    let perceptron = a.example.as_deref() == Some("perceptron");
    if a.together && !perceptron {
        return Err(Failure::Usage("--together: it is of --example perceptron".into()));
    }
    if a.example.is_some() && (a.given.net.is_some() || a.given.weights.is_some()) {
        return Err(Failure::Usage(
            "--net and --weights: an example has no network; right would be: without --example".into(),
        ));
    }
    if a.optimizers.as_deref() == Some("none") {
        let options = [
            ("--start", a.start.is_some()),
            ("--rate", a.rate.is_some()),
            ("--schedule", a.schedule.is_some()),
            ("--momentum", a.momentum.is_some()),
            ("--steps", a.steps.is_some()),
        ];
        no_part(&options, "--optimizers none", "names of optimizers, or without it")?;
    }
    let path = a.drawn.path("surface.svg")?;
    let read = written::read(&a.given, None, a.model.iter().chain(&a.data).map(Path::new));
    written::check(&[("--output", &path)], a.npy.as_deref(), &read)?;
    let all = walkers(a, if perceptron { "sgd" } else { "sgd,momentum,nesterov,adam" })?;
    if !all.iter().any(|w| MOVED.contains(&w.name)) && a.momentum.is_some() {
        let why = format!("the ways of {}", all.iter().map(|w| w.name).collect::<Vec<_>>().join(", "));
        no_part(&[("--momentum", true)], &why, &format!("one of {} beside it, or without it", MOVED.join(", ")))?;
    }
    let backend = a.compute.backend()?;
    if perceptron {
        return smallest(a, &backend, &all, &path);
    }
    let surface = match &a.example {
        Some(name) => example(a, &backend, name, &all)?,
        None => of_model(a, &backend, &all)?,
    };
    let files = match &a.npy {
        Some(directory) => write_arrays(&surface, directory)?,
        None => Vec::new(),
    };
    a.drawn.write(&path, &surface.contour().to_svg())?;
    if a.format.json {
        return output::json(&to_json(&surface, &path, &files));
    }
    output::text(&format!("{}\n{}\n{}\n", output::bold(&surface.title), describe(&surface), path.display()))
}

/// The optimizers that have momentum.
const MOVED: [&str; 4] = ["momentum", "momentum-inside", "averaged", "nesterov"];

fn walkers(a: &Arguments, default: &str) -> Result<Vec<Walker>> {
    let names = a.optimizers.as_deref().unwrap_or(default);
    if names == "none" {
        return Ok(Vec::new());
    }
    let one =
        |n: &str| walker(n.trim(), a.momentum()).map_err(|e| Failure::Usage(format!("--optimizers {names}: {e}")));
    names.split(',').map(one).collect()
}

/// Where ways begin.
fn start(a: &Arguments, default: [f64; 2]) -> Result<[f64; 2]> {
    let Some(text) = &a.start else { return Ok(default) };
    let parts: Vec<Option<f64>> =
        text.split(',').map(|p| p.trim().parse().ok().filter(|v: &f64| v.is_finite())).collect();
    match parts[..] {
        [Some(x), Some(y)] => Ok([x, y]),
        _ => Err(Failure::Usage(format!(
            "--start {text}: right would be: two numbers with a comma between, such as 0.5,-1"
        ))),
    }
}

fn example(a: &Arguments, backend: &CpuBackend, name: &str, all: &[Walker]) -> Result<Surface> {
    let mut f = Function::new(backend, name).map_err(|e| Failure::Usage(format!("--example {name}: {e}")))?;
    let start = start(a, f.start)?;
    let bounds = if all.is_empty() { f.bounds } else { widened(f.bounds, start) };
    let mut surface = Surface::measure(&mut f, bounds, usize::from(a.grid.unwrap_or(61)), &mut |_| {})?;
    surface.refine(&mut f)?;
    surface.title = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    surface.subtitle = f.formula.to_string();
    surface.axes = f.axes.map(String::from);
    surface.marks = f.minima.iter().map(|&m| ("least".to_string(), m)).collect();
    for w in all {
        let [plain, normalised] = f.rates;
        // Momentum adds up about 1 / (1 − μ) gradients, where it is not averaged.
        let own = if w.normalised { normalised } else { plain * shorter(w, a.momentum()) };
        let rate = a.rate.unwrap_or(own);
        let steps = a.steps.map_or(f.steps, |s| s as usize);
        surface.walks.push(walk(
            backend,
            &mut f,
            w,
            &Way { start, rate, schedule: a.schedule.unwrap_or_default(), steps },
            &mut || {},
        )?);
    }
    Ok(surface)
}

/// By how much a walker's rate is smaller than gradient descent's where none is given.
fn shorter(w: &Walker, momentum: f64) -> f64 {
    if matches!(w.name, "momentum" | "momentum-inside" | "nesterov") { (1.0 - momentum).max(0.25) } else { 1.0 }
}

fn of_model(a: &Arguments, backend: &std::sync::Arc<CpuBackend>, all: &[Walker]) -> Result<Surface> {
    let Some(data) = &a.data else {
        let text = "no data; right would be: gabor surface MODEL --data DATA, or gabor surface --example NAME";
        return Err(Failure::Usage(text.into()));
    };
    let named = a.model.as_deref();
    let (model, name) = a.given.open(named)?;
    let model = model.on(backend.clone());
    let parts = splits(data, &model, named)?;
    let wanted = a.split.or(parts.train.is_some().then_some(Split::Train));
    let (split, set) = part(data, &parts, wanted)?;
    let options = SliceOptions { samples: a.samples as usize, seed: a.seed };
    let mut slice = Slice::new(&model, set, &options).map_err(|e| e.inside(&name))?;
    let r = a.radius;
    let from = start(a, [-0.75 * r, 0.65 * r])?;
    let (grid, steps) = (usize::from(a.grid.unwrap_or(25)), a.steps.unwrap_or(30) as usize);
    let mut line = Progress::late((grid * grid) as u64);
    let bounds = if all.is_empty() { [[-r, r]; 2] } else { widened([[-r, r]; 2], from) };
    let measured = Surface::measure(&mut slice, bounds, grid, &mut |done| line.draw_text(done as u64, "heights"));
    line.clear();
    let mut surface = measured.map_err(|e| e.inside(&name))?;
    let own = slice.heights(&[[0.0, 0.0]])?[0];
    surface.title = format!("The loss around {}", model.graph().name);
    surface.subtitle = format!("mean cross-entropy of {} {split} images; the model itself {own:.4}", slice.samples());
    surface.axes = ["along d₁, normalised by filter".into(), "along d₂".into()];
    surface.marks = vec![("model".into(), [0.0, 0.0])];
    let mut line = Progress::late((steps * all.len()) as u64);
    let mut done = 0;
    let (_, slope) = slice.slope(from)?;
    let length = slope[0].hypot(slope[1]);
    for w in all {
        // The first step of gradient descent goes a tenth of the radius; the others by the same measure.
        let plain = if length > 0.0 { 0.1 * r / length } else { 1.0 };
        let own = if w.normalised { 0.06 * r } else { plain * shorter(w, a.momentum()) };
        let mut hear = || {
            done += 1;
            line.draw_text(done, w.name);
        };
        let rate = a.rate.unwrap_or(own);
        surface.walks.push(walk(
            &**backend,
            &mut slice,
            w,
            &Way { start: from, rate, schedule: a.schedule.unwrap_or_default(), steps },
            &mut hear,
        )?);
    }
    line.clear();
    Ok(surface)
}

fn lowest(s: &Surface) -> Option<([f64; 2], f64)> {
    let known = s.heights.iter().enumerate().filter(|h| h.1.is_finite());
    let (i, &height) = known.min_by(|a, b| a.1.total_cmp(b.1))?;
    Some(([s.x[i % s.x.len()], s.y[i / s.x.len()]], height))
}

fn to_json(s: &Surface, path: &Path, files: &[String]) -> Value {
    let walk = |w: &Walk| json!({ "name": w.name, "rule": w.rule, "rate": w.rate, "places": w.places, "heights": w.heights, "diverged": w.diverged });
    let marks: Vec<Value> = s.marks.iter().map(|(name, place)| json!({ "name": name, "place": place })).collect();
    json!({
        "title": s.title,
        "subtitle": s.subtitle,
        "picture": path.display().to_string(),
        "axes": s.axes,
        "x": s.x,
        "y": s.y,
        "heights": s.heights,
        "lowest": lowest(s).map(|(place, height)| json!({ "place": place, "height": height })),
        "marks": marks,
        "walks": s.walks.iter().map(walk).collect::<Vec<_>>(),
        "files": files,
    })
}

fn describe(s: &Surface) -> String {
    let mut out = format!("{}\n", s.subtitle);
    if let Some(([x, y], height)) = lowest(s) {
        out += &format!("lowest on the grid {height:.6} at ({x:.3}, {y:.3})\n");
    }
    if s.walks.is_empty() {
        return out;
    }
    let row = |w: &Walk| {
        let (place, height) = (w.places[w.places.len() - 1], w.heights.last().copied().unwrap_or(f64::NAN));
        let at = match w.diverged {
            true => "diverged".into(),
            false => format!("({:.4}, {:.4})", place[0], place[1]),
        };
        vec![
            w.name.clone(),
            short(w.rate),
            (w.places.len() - 1).to_string(),
            at,
            if w.diverged { short(height) } else { format!("{height:.6}") },
            w.rule.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = s.walks.iter().map(row).collect();
    let head = ["optimizer", "rate", "steps", "ends at", "height", "rule"];
    out + "\n" + &table(&head, &[false, true, true, true, true, false], &rows)
}

fn write_arrays(s: &Surface, directory: &Path) -> Result<Vec<String>> {
    let to = Arrays::new(directory)?;
    let mut arrays = vec![
        ("heights".to_string(), vec![s.y.len(), s.x.len()], s.heights.clone()),
        ("x".to_string(), vec![s.x.len()], s.x.clone()),
        ("y".to_string(), vec![s.y.len()], s.y.clone()),
    ];
    for w in &s.walks {
        let rows = w.places.iter().zip(&w.heights).flat_map(|(p, h)| [p[0], p[1], *h]).collect();
        arrays.push((w.name.clone(), vec![w.places.len(), 3], rows));
    }
    arrays.into_iter().map(|(name, shape, values)| to.write(&name, Tensor::f64(&shape, values))).collect()
}

/// The lectures' perceptron.
fn smallest(a: &Arguments, backend: &CpuBackend, all: &[Walker], path: &Path) -> Result<()> {
    let [one] = all else {
        return Err(Failure::Usage("--optimizers: the perceptron is trained by one; right would be: sgd".into()));
    };
    if a.npy.is_some() || a.grid.is_some() {
        return Err(Failure::Usage("--npy and --grid: the perceptron has no grid; right would be: --json".into()));
    }
    let begun = match &a.start {
        Some(text) => text.parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| {
            Failure::Usage(format!("--start {text}: right would be: one number, the w to begin with"))
        })?,
        None => 0.0,
    };
    let plain = if a.together { 0.005 } else { 0.004 };
    let rate = a.rate.unwrap_or(if one.normalised { 0.2 } else { plain * shorter(one, a.momentum()) });
    let training = Training {
        samples: &LECTURE,
        start: begun,
        walker: one,
        rate: (rate, a.schedule.unwrap_or_default()),
        steps: a.steps.unwrap_or(12) as usize,
        together: a.together,
    };
    let p = Perceptron::train(backend, &training)?;
    let how = if a.together { "all samples together" } else { "sample by sample" };
    let subtitle = format!("L(w) = Σ ½(y − wx)², {} with η = {rate}, {how}", one.rule);
    let told = p.diverged().map_or(String::new(), |d| format!(": {d}"));
    a.drawn.write(path, &p.curve("The smallest network, ŷ = wx", &format!("{subtitle}{told}")).to_svg())?;
    if a.format.json {
        let step = |s: &gabor::surface::Step| {
            json!({
                "step": s.step, "sample": s.sample, "before": s.before, "predicted": s.predicted, "loss": s.loss,
                "gradient": s.gradient, "rate": s.rate, "after": s.after, "total": s.total,
            })
        };
        return output::json(&json!({
            "title": "perceptron",
            "picture": path.display().to_string(),
            "samples": p.samples,
            "start": p.start,
            "least_squares": p.least_squares,
            "least_loss": p.least_loss,
            "limit": p.limit,
            "optimizer": one.name,
            "rule": one.rule,
            "diverged": p.diverged(),
            "steps": p.steps.iter().map(step).collect::<Vec<_>>(),
        }));
    }
    let row = |s: &gabor::surface::Step| {
        let sample = s.sample.map_or("all".to_string(), |p| format!("({}, {})", p[0], p[1]));
        let predicted = s.predicted.map_or("–".to_string(), |v| format!("{v:.5}"));
        let number = |v: f64| format!("{v:.6}");
        vec![
            s.step.to_string(),
            sample,
            number(s.before),
            predicted,
            number(s.loss),
            number(s.gradient),
            format!("{:.5}", s.rate),
            number(s.after),
            number(s.total),
        ]
    };
    let rows: Vec<Vec<String>> = p.steps.iter().map(row).collect();
    let head = ["step", "(x, y)", "w", "ŷ", "loss", "dL/dw", "η", "w after", "loss of all"];
    let mut text =
        format!("{}\n{subtitle}\n\n{}", output::bold("The smallest network, ŷ = wx"), table(&head, &[true; 9], &rows));
    if let Some(words) = p.diverged() {
        text += &format!("\n{words}\n");
    }
    text += &format!(
        "\nleast squares: w = Σxy / Σx² = {:.6}, loss {:.6}\ndescent on all samples comes nearer for η < 2 / Σx² = {:.6}\n{}\n",
        p.least_squares,
        p.least_loss,
        p.limit,
        path.display()
    );
    output::text(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor::surface::{EXAMPLES, WALKERS};

    #[test]
    fn help_names_all_there_is() {
        use clap::CommandFactory;
        #[derive(clap::Parser)]
        struct Only {
            #[command(flatten)]
            surface: Arguments,
        }
        let help = Only::command().render_long_help().to_string();
        for name in EXAMPLES.iter().map(|e| e.0).chain(WALKERS) {
            assert!(help.contains(name), "{name}");
        }
    }
}
