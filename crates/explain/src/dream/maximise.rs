//! Activation maximisation: the picture that a unit, a channel or a class answers to most.

use super::adam::Adam;
use super::canvas::{Basis, Canvas, Paint};
use super::engine::{Engine, Objective, no_unit, numbers};
use super::fourier::{fast_extent, too_large};
use super::smooth;
use super::warp::{Shake, View, Warp};
use super::{Hear, Lens, Moment, check_steps};
use crate::{Error, Layer, Result, Subject};
use gabor_tensor::Rule;

/// What is maximised, all in one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// The layer by name; `None` is the scores of the classes, before softmax.
    pub layer: Option<String>,
    /// Its units: channels of a map, elements of a vector, classes.
    pub units: Vec<usize>,
    /// Where in a map.
    pub place: Place,
}

/// Where a unit of a map is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The mean over all places: a channel.
    #[default]
    Everywhere,
    /// The place in the middle.
    Centre,
    /// Row and column.
    At(usize, usize),
}

/// Settings of activation maximisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Steps of Adam (default 128).
    pub steps: usize,
    /// Its learning rate (default 0.05).
    pub rate: f64,
    /// In what the picture is described (default waves).
    pub basis: Basis,
    /// Whether colours are mixed as in natural pictures, of pictures with three channels (default yes).
    pub decorrelate: bool,
    /// Pixels by which the picture is moved each step; `None` is a sixteenth of its side.
    pub jitter: Option<f64>,
    /// Degrees by which it is turned (default 10).
    pub rotate: f64,
    /// Part by which it grows or shrinks (default 0.1).
    pub scale: f64,
    /// Weight of the mean squared distance from grey (default 0).
    pub l2: f64,
    /// Weight of the total variation (default 0).
    pub variation: f64,
    /// Seed of the beginning and of all moves.
    pub seed: u64,
    /// Pictures that are made at once (default 8).
    pub batch: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            steps: 128,
            rate: 0.05,
            basis: Basis::Fourier,
            decorrelate: true,
            jitter: None,
            rotate: 10.0,
            scale: 0.1,
            l2: 0.0,
            variation: 0.0,
            seed: 0,
            batch: 8,
        }
    }
}

/// Why there is no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dead {
    /// No gradient ever reached the picture, from faint noise to stark noise.
    Unreached,
    /// The unit was zero everywhere, from the beginning to the end.
    Silent,
}

/// A picture that was made for a unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Dreamt {
    /// The unit.
    pub unit: usize,
    /// What the network is given, `[c, h, w]`, preprocessing applied.
    pub input: Vec<f32>,
    /// The same in 0..1, as people see it.
    pub picture: Vec<f32>,
    /// The objective for the random beginning, without moves.
    pub start: f32,
    /// The objective for the picture, without moves.
    pub end: f32,
    /// The objective at each step, for the picture as it was moved then.
    pub curve: Vec<f32>,
    /// Whether the unit is dead.
    pub dead: Option<Dead>,
}

/// Makes a picture for each unit.
///
/// The picture is larger than what the network sees by the room that it is moved in; its middle is the result. A unit of
/// a rectified layer that says nothing yet is climbed by what goes into the rectifier until it does.
///
/// # Errors
/// A layer, unit or place that does not exist, settings out of bounds, numbers that are not finite.
pub fn maximise(
    subject: &Subject,
    lens: &Lens,
    targets: &Targets,
    options: &Options,
    hear: &mut Hear<'_>,
) -> Result<Vec<Dreamt>> {
    let layer = match &targets.layer {
        Some(name) => subject.layer(name)?,
        None => subject.answer(),
    };
    if let Some(&unit) = targets.units.iter().find(|&&u| u >= layer.shape[0]) {
        return Err(no_unit(&layer, unit));
    }
    let at = place(&layer, targets.place)?;
    check(options)?;
    lens.check(subject)?;
    // Each result is kept twice: as the network is given it, and as people see it.
    let each = 2 * 4 * subject.input().iter().product::<usize>() as u64;
    let what = format!("the pictures of {} units", targets.units.len());
    subject.room().check("units", &what, each.saturating_mul(targets.units.len() as u64), "fewer units")?;
    let mut out = Vec::with_capacity(targets.units.len());
    let total = targets.units.len() * options.steps;
    hear(Moment::beginning(total))?;
    let mut scene: Option<Scene> = None;
    for units in targets.units.chunks(options.batch) {
        let mut fit = match scene.take() {
            Some(s) if s.engine.n() == units.len() => s,
            _ => Scene::new(subject, lens, &layer, units.len(), options)?,
        };
        let done = out.len() * options.steps;
        out.extend(climb(&mut fit, units, at, options, &mut |step, objective| {
            hear(Moment::after(done + step * units.len(), total, objective))
        })?);
        scene = Some(fit);
    }
    Ok(out)
}

/// The element of a map that is looked at; `None` is all of them.
fn place(layer: &Layer, place: Place) -> Result<Option<usize>> {
    let (&[_, h, w], false) = (&layer.shape[..], place == Place::Everywhere) else {
        return match place {
            Place::At(..) => {
                let rule = Rule::new("a place of a layer that has none").right("a layer of shape [channels, h, w]");
                Err(Error::new(&layer.name, rule))
            }
            _ => Ok(None),
        };
    };
    match place {
        Place::At(y, x) if y >= h || x >= w => {
            let rule = Rule::new(format!("place {y},{x} of a map of {h} × {w}"));
            Err(Error::new(&layer.name, rule.right(format!("0,0 to {},{}", h - 1, w - 1))))
        }
        Place::At(y, x) => Ok(Some(y * w + x)),
        _ => Ok(Some(h / 2 * w + w / 2)),
    }
}

fn check(o: &Options) -> Result<()> {
    check_steps(o.steps)?;
    let within = |name: &str, v: f64, low: f64, high: f64| match (low..=high).contains(&v) {
        true => Ok(()),
        false => Err(Error::new(name, Rule::new(format!("a value of {v}")).right(format!("{low} to {high}")))),
    };
    within("rate", o.rate, 1e-6, 100.0)?;
    within("rotate", o.rotate, 0.0, 180.0)?;
    within("scale", o.scale, 0.0, 0.9)?;
    within("jitter", o.jitter.unwrap_or(0.0), 0.0, 1024.0)?;
    within("l2", o.l2, 0.0, 1e9)?;
    within("tv", o.variation, 0.0, 1e9)?;
    within("batch", o.batch as f64, 1.0, 1024.0)
}

/// Everything between the numbers that are optimised and the objective, for some pictures at once.
pub(super) struct Scene {
    pub(super) engine: Engine,
    pub(super) canvas: Canvas,
    lens: Lens,
    warps: Vec<Warp>,
    /// Canvases in 0..1, and the gradient by one of them.
    pixels: Vec<f32>,
    d: Vec<f32>,
    weights: [f32; 2],
    shake: Shake,
}

impl Scene {
    pub(super) fn new(subject: &Subject, lens: &Lens, layer: &Layer, n: usize, o: &Options) -> Result<Self> {
        let [c, h, w] = subject.input();
        let jitter = o.jitter.unwrap_or(h.min(w) as f64 / 16.0);
        let still = jitter == 0.0 && o.rotate == 0.0 && o.scale == 0.0;
        let room = if still { 0 } else { (jitter.ceil() as usize).min(h.max(w)).max(1) };
        let larger = |n: usize| if still { n } else { fast_extent(n + 2 * room, n) };
        let (ch, cw) = (larger(h), larger(w));
        if ch > 4096 || cw > 4096 {
            return Err(Error::new(subject.images_name(), too_large(h, w)));
        }
        let paint = Paint { basis: o.basis, decay: 1.0, decorrelate: o.decorrelate, bgr: lens.bgr };
        // A canvas, its numbers, their gradient and Adam's two moments; and the waves of one.
        let all = (c * ch * cw) as u64 * 4;
        let bytes = all.saturating_mul(6 * n as u64 + 6);
        let what = format!("{n} pictures of {ch} × {cw} made at once");
        subject.room().check(subject.images_name(), &what, bytes, "a smaller batch")?;
        let canvas = Canvas::new([c, ch, cw], paint);
        let engine = Engine::new(subject, layer, [h, w], n, Objective::Linear)?;
        let pixels = canvas.pixels();
        Ok(Scene {
            engine,
            lens: lens.clone(),
            warps: (0..n).map(|_| Warp::new([ch, cw], [h, w])).collect(),
            pixels: vec![0.0; n * pixels],
            d: vec![0.0; pixels],
            canvas,
            weights: [o.l2 as f32, o.variation as f32],
            shake: Shake { jitter, rotate: o.rotate, scale: o.scale },
        })
    }
    /// Paints picture `i` of these numbers and shows the network a view of it.
    pub(super) fn show(&mut self, i: usize, parameters: &[f32], view: &View) {
        let (all, [c, ch, cw]) = (self.canvas.pixels(), self.canvas.extents);
        let pixels = &mut self.pixels[i * all..][..all];
        self.canvas.paint(parameters, pixels);
        self.warps[i].look(view);
        let seen = numbers(&mut self.engine.images);
        let area = seen.len() / self.warps.len() / c;
        for (k, plane) in pixels.chunks_exact(ch * cw).enumerate() {
            let out = &mut seen[(i * c + k) * area..][..area];
            self.warps[i].see(plane, [self.lens.gain[k], self.lens.offset[k]], out);
        }
    }
    /// The gradient of the objective of picture `i` by its numbers, after a run; whether any reached the picture, and what
    /// the regularisers subtract.
    pub(super) fn pull(&mut self, i: usize, out: &mut [f32]) -> Result<(bool, f64)> {
        let (all, [c, ch, cw]) = (self.canvas.pixels(), self.canvas.extents);
        let gradient = self.engine.gradient()?;
        let area = gradient.len() / self.warps.len() / c;
        let mut reached = false;
        self.d.fill(0.0);
        for (k, plane) in self.d.chunks_exact_mut(ch * cw).enumerate() {
            let seen = &gradient[(i * c + k) * area..][..area];
            reached |= seen.iter().any(|&v| v != 0.0);
            self.warps[i].pull(seen, self.lens.gain[k], plane);
        }
        let pixels = &self.pixels[i * all..][..all];
        let mut less = 0.0;
        if self.weights[0] > 0.0 {
            less += f64::from(self.weights[0]) * smooth::grey(pixels, self.weights[0], &mut self.d);
        }
        if self.weights[1] > 0.0 {
            less += f64::from(self.weights[1]) * smooth::variation(pixels, [ch, cw], self.weights[1], &mut self.d);
        }
        self.canvas.pull(pixels, &mut self.d, out);
        Ok((reached, less))
    }
}

/// Steps without any gradient after which nothing more is to be hoped for.
const PATIENCE: usize = 16;
/// What a picture is multiplied by that nothing answers to: from faint to stark in so many steps.
const LOUDER: f32 = 1.5;

/// One climb of a batch.
fn climb(
    scene: &mut Scene,
    units: &[usize],
    at: Option<usize>,
    o: &Options,
    hear: &mut dyn FnMut(usize, f32) -> Result<()>,
) -> Result<Vec<Dreamt>> {
    let numbers_each = scene.canvas.parameters();
    let mut parameters: Vec<Vec<f32>> = units.iter().map(|&u| scene.canvas.begin(o.seed, u as u32)).collect();
    let mut adams: Vec<Adam> = units.iter().map(|_| Adam::new(o.rate)).collect();
    let mut d = vec![0.0; numbers_each];
    let mut reached = vec![false; units.len()];
    let still = Shake::NONE.draw(0, 0, 0);
    for (i, &unit) in units.iter().enumerate() {
        scene.engine.choose(i, unit, at);
    }
    let said = |scene: &mut Scene, parameters: &[Vec<f32>], step: Option<usize>| -> Result<Vec<(f32, f32)>> {
        for (i, p) in parameters.iter().enumerate() {
            let view = step.map_or(still, |s| scene.shake.draw(o.seed, s as u32, units[i] as u32));
            scene.show(i, p, &view);
        }
        scene.engine.run()?;
        let said = units.iter().enumerate().map(|(i, &u)| scene.engine.said(i, u, at));
        let said = said.collect::<Result<Vec<_>>>()?;
        // What is silent is climbed by what goes into the rectifier, from the next run on.
        said.iter().enumerate().for_each(|(i, s)| scene.engine.leak(i, s.1 <= 0.0));
        match said.iter().position(|s| !s.0.is_finite()) {
            Some(i) => Err(not_finite(units[i])),
            None => Ok(said),
        }
    };
    let start = said(scene, &parameters, None)?;
    let mut curves: Vec<Vec<f32>> = units.iter().map(|_| Vec::with_capacity(o.steps)).collect();
    for step in 0..o.steps {
        let now = said(scene, &parameters, Some(step))?;
        for (i, p) in parameters.iter_mut().enumerate() {
            // Given up, as it would have been alone: what was made louder for ever would not stay finite.
            if step >= PATIENCE && !reached[i] {
                continue;
            }
            let (any, _) = scene.pull(i, &mut d)?;
            reached[i] |= any;
            if reached[i] {
                adams[i].climb(p, &d);
            } else {
                p.iter_mut().for_each(|v| *v *= LOUDER);
            }
            curves[i].push(now[i].0);
        }
        hear(step + 1, now.iter().map(|s| s.0).sum::<f32>() / now.len() as f32)?;
        if step + 1 == PATIENCE && !reached.contains(&true) {
            break;
        }
    }
    let end = said(scene, &parameters, None)?;
    let seen = numbers(&mut scene.engine.images);
    let each = seen.len() / units.len();
    let results = units.iter().enumerate().zip(curves).map(|((i, &unit), curve)| {
        let input = seen[i * each..][..each].to_vec();
        let picture = scene.lens.unprepared(&input);
        let fired = start[i].1 > 0.0 || end[i].1 > 0.0 || curve.iter().any(|&v| v > 0.0);
        let dead = match () {
            () if !reached[i] => Some(Dead::Unreached),
            () if scene.engine.silent && !fired => Some(Dead::Silent),
            () => None,
        };
        Dreamt { unit, input, picture, start: start[i].0, end: end[i].0, curve, dead }
    });
    Ok(results.collect())
}

fn not_finite(unit: usize) -> Error {
    let rule = Rule::new(format!("the objective of unit {unit} is no number"));
    Error::new("dream", rule.right("weights that are finite, or a smaller rate"))
}
