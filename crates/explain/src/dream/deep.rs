//! DeepDream: a photograph with more of what a layer sees in it, from coarse to fine.

use super::engine::{Engine, Objective, no_unit, numbers};
use super::resample::resample;
use super::{Hear, Lens, Moment, check_steps, levels};
use crate::{Error, Layer, Result, Subject};
use gabor_tensor::{Rule, Stream, rng::op};

/// Settings of DeepDream.
#[derive(Clone, Debug, PartialEq)]
pub struct DeepOptions {
    /// The layer; `None` is one in the middle of those with a place for every 16 pixels.
    pub layer: Option<String>,
    /// The channels that count; none is all of them.
    pub units: Vec<usize>,
    /// Sizes at which the picture is worked on, the full one included (default 4).
    pub octaves: usize,
    /// The factor from one size to the next (default 1.4).
    pub octave_scale: f64,
    /// Steps at each size (default 14).
    pub steps: usize,
    /// How far a step moves a pixel on average, as a part of the range of brightness (default 0.007).
    pub strength: f64,
    /// Pixels by which the picture is rolled each step (default 32).
    pub jitter: usize,
    /// Whether the network looks at parts of its own size instead of the whole picture.
    pub tiles: bool,
    /// Seed of the rolls.
    pub seed: u64,
}

impl Default for DeepOptions {
    fn default() -> Self {
        DeepOptions {
            layer: None,
            units: Vec::new(),
            octaves: 4,
            octave_scale: 1.4,
            steps: 14,
            strength: 0.007,
            jitter: 32,
            tiles: false,
            seed: 0,
        }
    }
}

/// A picture that was dreamt on.
#[derive(Clone, Debug, PartialEq)]
pub struct Deep {
    /// `[c, h, w]` in 0..1.
    pub picture: Vec<f32>,
    /// The layer that was looked at.
    pub layer: String,
    /// Rows and columns of each octave, the smallest first.
    pub octaves: Vec<[usize; 2]>,
    /// The mean square of what the layer said, at each step.
    pub curve: Vec<f32>,
}

/// Dreams on a picture `[c, h, w]` in 0..1, of any size.
///
/// # Errors
/// A layer or unit that does not exist; a network that cannot look at pictures of other sizes than its own up to the layer
/// (then [`tiles`](DeepOptions::tiles) help); settings out of bounds; a layer that says nothing about the picture.
pub fn deep_dream(
    subject: &Subject,
    lens: &Lens,
    picture: &[f32],
    [h, w]: [usize; 2],
    o: &DeepOptions,
    hear: &mut Hear<'_>,
) -> Result<Deep> {
    lens.check(subject)?;
    let layer = match &o.layer {
        Some(name) => subject.layer(name)?,
        None => levels::dreamt(subject)?,
    };
    if let Some(&unit) = o.units.iter().find(|&&u| u >= layer.shape[0]) {
        return Err(no_unit(&layer, unit));
    }
    let [c, nh, nw] = subject.input();
    check(o, c, [h, w], picture.len())?;
    let least = if o.tiles { [nh, nw] } else { [SMALLEST; 2] };
    let octaves = sizes([h, w], least, o)?;
    let mut work = Work::new(&octaves, o.steps);
    hear(work.moment(None))?;
    let mut curve = Vec::with_capacity(work.total);
    let mut detail: Option<(Vec<f32>, [usize; 2])> = None;
    let mut image = Vec::new();
    for &size in &octaves {
        let base = planes(picture, [h, w], size);
        image = base.clone();
        if let Some((d, from)) = &detail {
            image.iter_mut().zip(planes(d, *from, size)).for_each(|(i, d)| *i = (*i + d).clamp(0.0, 1.0));
        }
        let seen = if o.tiles { [nh, nw] } else { size };
        let engine = engine(subject, &layer, seen, o)?;
        let mut octave =
            Octave { engine, lens, size, seen, picture: vec![0.0; image.len()], d: vec![0.0; image.len()] };
        for _ in 0..o.steps {
            let last = curve.last().copied();
            let mut part = |pixels: usize| {
                work.pixels += pixels as f64;
                hear(work.moment(last))
            };
            let mean = octave.step(&mut image, o, curve.len() as u32, &mut part)?;
            curve.push(mean);
            work.done += 1;
            hear(work.moment(Some(mean)))?;
        }
        detail = Some((image.iter().zip(&base).map(|(i, b)| i - b).collect(), size));
    }
    Ok(Deep { picture: image, layer: layer.name, octaves, curve })
}

/// How far the work is: by pixels, of which the last octave has most.
struct Work {
    done: usize,
    total: usize,
    pixels: f64,
    all: f64,
}

impl Work {
    fn new(octaves: &[[usize; 2]], steps: usize) -> Self {
        let all = octaves.iter().map(|&[h, w]| (h * w * steps) as f64).sum();
        Work { done: 0, total: octaves.len() * steps, pixels: 0.0, all }
    }
    fn moment(&self, objective: Option<f32>) -> Moment {
        Moment { done: self.done, total: self.total, part: (self.pixels / self.all).min(1.0), objective }
    }
}

/// The smallest side that is dreamt on.
const SMALLEST: usize = 24;

fn check(o: &DeepOptions, c: usize, [h, w]: [usize; 2], len: usize) -> Result<()> {
    let fail = |place: &str, given: String, right: &str| Err(Error::new(place, Rule::new(given).right(right)));
    check_steps(o.steps)?;
    if len != c * h * w || h == 0 || w == 0 {
        return fail("image", format!("{len} numbers of a picture of {h} × {w}"), &format!("{c} channels of them"));
    }
    if h.max(w) > 8192 {
        return fail("size", format!("a picture of {h} × {w}"), "at most 8192 × 8192");
    }
    if !(1..=32).contains(&o.octaves) {
        return fail("octaves", format!("{} octaves", o.octaves), "1 to 32");
    }
    if !(1.01..=4.0).contains(&o.octave_scale) {
        return fail("octave-scale", format!("a factor of {}", o.octave_scale), "1.01 to 4");
    }
    if !(0.0..=1.0).contains(&o.strength) {
        return fail("strength", format!("a strength of {}", o.strength), "0 to 1");
    }
    Ok(())
}

/// The sizes, the smallest first; those below what can be looked at are left out.
fn sizes([h, w]: [usize; 2], least: [usize; 2], o: &DeepOptions) -> Result<Vec<[usize; 2]>> {
    if o.tiles && (h < least[0] || w < least[1]) {
        let rule = Rule::new(format!("a picture of {h} × {w} is smaller than a tile of {} × {}", least[0], least[1]));
        return Err(Error::new("tiles", rule.right("a larger --size, or no --tiles")));
    }
    let at = |i: usize| {
        let by = libm::pow(o.octave_scale, i as f64);
        [h, w].map(|n| ((n as f64 / by).round() as usize).max(1))
    };
    let fits = |s: &[usize; 2], i: usize| i == 0 || (s[0] >= least[0] && s[1] >= least[1]);
    Ok((0..o.octaves).map(|i| (i, at(i))).filter(|(i, s)| fits(s, *i)).map(|(_, s)| s).rev().collect())
}

fn planes(values: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    values.chunks_exact(from[0] * from[1]).flat_map(|p| resample(p, from, to)).collect()
}

fn engine(subject: &Subject, layer: &Layer, size: [usize; 2], o: &DeepOptions) -> Result<Engine> {
    let mut engine = Engine::new(subject, layer, size, 1, Objective::Squared).map_err(|e| {
        let own = size == subject.input()[1..];
        let rule = Rule::new(format!("on a picture of {} × {}: {e}", size[0], size[1]));
        Error::new(&layer.name, if own { rule } else { rule.right("an earlier layer, a larger picture, or --tiles") })
    })?;
    let units = numbers(&mut engine.units);
    units.fill(if o.units.is_empty() { 1.0 } else { 0.0 });
    o.units.iter().for_each(|&u| units[u] = 1.0);
    Ok(engine)
}

/// One size of the picture, with the network compiled for it.
struct Octave<'a> {
    engine: Engine,
    lens: &'a Lens,
    size: [usize; 2],
    /// What the network sees at once.
    seen: [usize; 2],
    /// The rolled picture and the gradient by it.
    picture: Vec<f32>,
    d: Vec<f32>,
}

impl Octave<'_> {
    /// One step up; returns the mean square that the layer said. `part` hears of the pixels of each part that was looked at.
    fn step(
        &mut self,
        image: &mut [f32],
        o: &DeepOptions,
        step: u32,
        part: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<f32> {
        let [h, w] = self.size;
        let mut stream = Stream::new(o.seed, step, 0, op::USER + 2);
        let by = [h, w].map(|n| stream.below((2 * o.jitter + 1).min(n)));
        roll(image, [h, w], by, &mut self.picture);
        let (mut sum, mut count) = (0.0, 0usize);
        let tiles = starts(h, self.seen[0]).count() * starts(w, self.seen[1]).count();
        for y in starts(h, self.seen[0]) {
            for x in starts(w, self.seen[1]) {
                self.show([y, x]);
                self.engine.run()?;
                let said = self.chosen(o)?;
                sum += said.0;
                count += said.1;
                self.collect([y, x])?;
                part(h * w / tiles)?;
            }
        }
        let mean = self.d.iter().map(|v| f64::from(v.abs())).sum::<f64>() / self.d.len() as f64;
        if !(mean.is_finite() && sum.is_finite()) {
            return Err(Error::new("dream", Rule::new("the gradient is no number").right("weights that are finite")));
        }
        if mean == 0.0 {
            let rule = Rule::new("dead: no gradient reaches the picture");
            return Err(Error::new("dream", rule.right("another layer or other units")));
        }
        let rate = (o.strength / mean) as f32;
        // Rolled back.
        for (plane, d) in image.chunks_exact_mut(h * w).zip(self.d.chunks_exact(h * w)) {
            for y in 0..h {
                let from = &d[(y + by[0]) % h * w..][..w];
                for (x, v) in plane[y * w..][..w].iter_mut().enumerate() {
                    *v = (*v + rate * from[(x + by[1]) % w]).clamp(0.0, 1.0);
                }
            }
        }
        Ok((sum / count.max(1) as f64) as f32)
    }
    /// Sum and number of the squares of what the chosen units said.
    fn chosen(&self, o: &DeepOptions) -> Result<(f64, usize)> {
        let (area, values) = (self.engine.area(), self.engine.layer()?);
        let squares = |v: &[f32]| v.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
        Ok(match o.units.is_empty() {
            true => (squares(values), values.len()),
            false => (o.units.iter().map(|&u| squares(&values[u * area..][..area])).sum(), area * o.units.len()),
        })
    }
    /// Shows the network the part that begins there.
    fn show(&mut self, [top, left]: [usize; 2]) {
        let ([h, w], [sh, sw]) = (self.size, self.seen);
        let out = numbers(&mut self.engine.images);
        for (k, (out, plane)) in out.chunks_exact_mut(sh * sw).zip(self.picture.chunks_exact(h * w)).enumerate() {
            let (gain, offset) = (self.lens.gain[k], self.lens.offset[k]);
            for (y, row) in out.chunks_exact_mut(sw).enumerate() {
                let from = &plane[(top + y) * w + left..][..sw];
                row.iter_mut().zip(from).for_each(|(o, v)| *o = v * gain + offset);
            }
        }
    }
    /// Takes the gradient by the part that begins there.
    fn collect(&mut self, [top, left]: [usize; 2]) -> Result<()> {
        let ([h, w], [sh, sw]) = (self.size, self.seen);
        let gradient = self.engine.gradient()?;
        for (k, (part, plane)) in gradient.chunks_exact(sh * sw).zip(self.d.chunks_exact_mut(h * w)).enumerate() {
            for (y, row) in part.chunks_exact(sw).enumerate() {
                let to = &mut plane[(top + y) * w + left..][..sw];
                to.iter_mut().zip(row).for_each(|(o, v)| *o = v * self.lens.gain[k]);
            }
        }
        Ok(())
    }
}

/// Where parts begin so that they cover everything; the last ends at the end.
fn starts(whole: usize, part: usize) -> impl Iterator<Item = usize> + Clone {
    (0..whole.div_ceil(part)).map(move |i| (i * part).min(whole - part))
}

/// The picture with `by` rows and columns moved from the end to the beginning.
fn roll(image: &[f32], [h, w]: [usize; 2], by: [usize; 2], out: &mut [f32]) {
    for (from, to) in image.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w)) {
        for y in 0..h {
            let row = &mut to[(y + by[0]) % h * w..][..w];
            row.copy_from_slice(&from[y * w..][..w]);
            row.rotate_right(by[1]);
        }
    }
}

#[cfg(test)]
#[path = "deep_tests.rs"]
mod tests;
