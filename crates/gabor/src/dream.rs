//! Pictures that a model makes: what a unit or class answers to most, DeepDream, and style transfer.

use crate::{Error, Model, Result};
use gabor_data::{Color, Filter, Image, Preprocessing, Resize};
use gabor_explain::Room;
use gabor_explain::dream::{Adam, Descent, Loss, deep_dream, maximise, transfer};
pub use gabor_explain::dream::{
    Basis, Dead, Deep, DeepOptions, Dreamt, Hear, Lens, Moment, Options, Pixels, Place, StyleOptions, Styled, Targets,
};
use gabor_report::{Panel, Picture, Sheet, class_name, short};
use gabor_tensor::Rule;
use gabor_train::optimiser::lbfgs::{self, Ended, Minimiser};
use std::cell::{Cell, RefCell};

/// Pictures made for units.
#[derive(Clone, Debug)]
pub struct Dreams {
    /// The layer; `None` is the classes.
    pub layer: Option<String>,
    /// What each unit is called: its class, or its number.
    pub names: Vec<String>,
    /// What was made, in the order asked for.
    pub made: Vec<Dreamt>,
    /// `[c, h, w]` of each.
    pub extents: [usize; 3],
    bgr: bool,
}

/// A picture that was changed: dreamt on, or given another's style.
#[derive(Clone, Debug)]
pub struct Changed<T> {
    /// As people see it.
    pub picture: Picture,
    /// What the network would be given, `[c, h, w]`.
    pub input: Vec<f32>,
    /// `[c, h, w]`.
    pub extents: [usize; 3],
    /// How it went.
    pub how: T,
}

impl Model {
    /// How a picture in 0..1 becomes this model's input; a model without preprocessing is taken to want 0..1 itself.
    ///
    /// # Errors
    /// A model that takes no pictures.
    pub fn lens(&self) -> Result<Lens> {
        let channels = self.graph.shape(self.image_input()?).at(1)[1];
        let Some(p) = self.preprocessing() else { return Ok(Lens::plain(channels)) };
        let gain: Vec<f32> = p.std.iter().map(|s| 255.0 / (p.divisor * s)).collect();
        let offset = p.mean.iter().zip(&p.std).map(|(m, s)| -m / s).collect();
        Ok(Lens { gain, offset, bgr: p.color == Color::Bgr })
    }
    /// The numbers of classes by name or number.
    ///
    /// # Errors
    /// A class that the model does not have.
    pub fn class_numbers(&self, names: &[String]) -> Result<Vec<usize>> {
        names.iter().map(|n| self.class_index(n)).collect()
    }
    /// Makes the picture that each unit answers to most.
    ///
    /// # Errors
    /// Those of [`maximise`](gabor_explain::dream::maximise).
    pub fn dream(&self, targets: &Targets, options: &Options, hear: &mut Hear<'_>) -> Result<Dreams> {
        let (subject, lens) = (self.subject()?, self.lens()?);
        let made = maximise(&subject, &lens, targets, options, hear)?;
        let name = |&u: &usize| if targets.layer.is_none() { self.class(u) } else { format!("unit {u}") };
        let names = targets.units.iter().map(name).collect();
        Ok(Dreams { layer: targets.layer.clone(), names, made, extents: subject.input(), bgr: lens.bgr })
    }
    /// Dreams on a photograph, brought to `size` pixels along its longer side.
    ///
    /// # Errors
    /// Those of [`deep_dream`](gabor_explain::dream::deep_dream).
    pub fn deep_dream(
        &self,
        image: &Image<'_>,
        size: usize,
        options: &DeepOptions,
        hear: &mut Hear<'_>,
    ) -> Result<Changed<Deep>> {
        let (subject, lens) = (self.subject()?, self.lens()?);
        let from = pixels(image, size, subject.input()[0], lens.bgr)?;
        let how = deep_dream(&subject, &lens, &from.values, from.size, options, hear)?;
        changed(&lens, &how.picture.clone(), from.size, how)
    }
    /// Gives a photograph, brought to `size` pixels along its longer side, the style of another.
    ///
    /// # Errors
    /// Those of [`transfer`](gabor_explain::dream::transfer), a rate out of bounds.
    pub fn style_transfer(
        &self,
        [content, style]: [&Image<'_>; 2],
        size: usize,
        options: &StyleOptions,
        optimiser: StyleOptimiser,
        hear: &mut Hear<'_>,
    ) -> Result<Changed<Styled>> {
        let (subject, lens) = (self.subject()?, self.lens()?);
        let of = |image| pixels(image, size, subject.input()[0], lens.bgr);
        let [content, style] = [&of(content)?, &of(style)?];
        let mut descent = optimiser.descent(content.values.len())?;
        let how = transfer(&subject, &lens, [content, style], options, &mut *descent, hear)?;
        changed(&lens, &how.picture.values.clone(), how.picture.size, how)
    }
}

/// How style transfer goes down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StyleOptimiser {
    /// Adam with a learning rate in parts of the range of brightness.
    Adam {
        /// 0 to 1000; 0.02 is usual.
        rate: f64,
    },
    /// L-BFGS with a line search by the strong Wolfe conditions, as Gatys et al. took it.
    Lbfgs,
}

impl StyleOptimiser {
    /// The optimiser's name.
    pub fn name(self) -> &'static str {
        match self {
            StyleOptimiser::Adam { .. } => "adam",
            StyleOptimiser::Lbfgs => "lbfgs",
        }
    }
    /// The way down for so many numbers.
    fn descent(self, count: usize) -> Result<Box<dyn Descent>> {
        match self {
            StyleOptimiser::Adam { rate } if (0.0..=1000.0).contains(&rate) => Ok(Box::new(Adam::new(rate))),
            StyleOptimiser::Adam { rate } => {
                Err(Error::new("rate", Rule::new(format!("a value of {rate}")).right("0 to 1000")))
            }
            StyleOptimiser::Lbfgs => {
                // The pairs, and about as many vectors as a step works with.
                let bytes = (8 * count * (2 * HISTORY + 10)) as u64;
                let room = Room::new(gabor_train::memory_left);
                room.check("style", "the memory of L-BFGS", bytes, "a smaller --size, or --optimiser adam")?;
                Ok(Box::new(Quasi))
            }
        }
    }
}

/// Pairs that L-BFGS remembers: more help little (Nocedal and Wright 2006, section 7.2), and a picture is long.
const HISTORY: usize = 10;

/// L-BFGS on what is left of a picture when values beyond 0 to 1 are cut off.
struct Quasi;

impl Descent for Quasi {
    fn descend(&mut self, x: &mut [f32], evaluations: usize, loss: &mut Loss<'_>) -> gabor_explain::Result<()> {
        let (left, failed) = (Cell::new(evaluations), RefCell::new(None));
        let (mut inside, mut d) = (x.to_vec(), vec![0.0f32; x.len()]);
        let mut f = |at: &[f64], g: &mut [f64]| {
            if failed.borrow().is_some() {
                return f64::NAN;
            }
            left.set(left.get().saturating_sub(1));
            inside.iter_mut().zip(at).for_each(|(i, v)| *i = v.clamp(0.0, 1.0) as f32);
            let value = loss(&inside, &mut d).unwrap_or_else(|e| {
                *failed.borrow_mut() = Some(e);
                f64::NAN
            });
            for ((g, &d), v) in g.iter_mut().zip(&d).zip(at) {
                // Where a value is cut off, moving it changes nothing.
                *g = if (0.0..=1.0).contains(v) { f64::from(d) } else { 0.0 };
            }
            value
        };
        let mut at: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        // Where rounding leads a line search astray, steepest descent begins anew, as long as that leads anywhere.
        while left.get() > 0 {
            let options = lbfgs::Options {
                max_steps: usize::MAX,
                max_evaluations: left.get(),
                history: HISTORY,
                ..Default::default()
            };
            let Ok(mut m) = Minimiser::new(&mut f, &at, options) else { break };
            let ended = loop {
                if let Some(ended) = m.step(&mut f) {
                    break ended;
                }
            };
            at.copy_from_slice(m.x());
            if ended != Ended::LineSearch || m.outcome(ended).steps == 0 {
                break;
            }
        }
        x.iter_mut().zip(&at).for_each(|(x, v)| *x = v.clamp(0.0, 1.0) as f32);
        failed.into_inner().map_or(Ok(()), Err)
    }
}

fn changed<T>(lens: &Lens, values: &[f32], [h, w]: [usize; 2], how: T) -> Result<Changed<T>> {
    let extents = [lens.gain.len(), h, w];
    let picture = seen(values, extents, lens.bgr).ok_or_else(|| Error::from(Rule::new("the picture is empty")))?;
    Ok(Changed { picture, input: lens.prepared(values), extents, how })
}

/// The longest side of a photograph that is worked on.
const LARGEST: usize = 8192;

/// A photograph in 0..1, in the channels that the network takes.
fn pixels(image: &Image<'_>, size: usize, channels: usize, bgr: bool) -> Result<Pixels> {
    if !(1..=LARGEST).contains(&size) {
        let rule = Rule::new(format!("a longer side of {size} pixels")).right(format!("1 to {LARGEST}"));
        return Err(Error::new("size", rule));
    }
    let (h, w) = (image.height(), image.width());
    let side = |n: usize| ((n * size) as f64 / h.max(w) as f64).round().max(1.0) as usize;
    let (height, width) = (side(h), side(w));
    let mut p = Preprocessing::exact([channels, height, width])?;
    p.resize = Resize::Exact { height, width };
    p.filter = Filter::Bicubic;
    if bgr {
        p.color = Color::Bgr;
    }
    Ok(Pixels { values: p.apply(image)?, size: [height, width] })
}

/// Values in 0..1 as people see them: one channel grey, three coloured, any other number by its mean.
fn seen(values: &[f32], [c, h, w]: [usize; 3], bgr: bool) -> Option<Picture> {
    let area = h * w;
    let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
    if c != 3 {
        let mean = |i: usize| (0..c).map(|k| values[k * area + i]).sum::<f32>() / c as f32;
        return Picture::new(w, h, 1, (0..area).map(|i| byte(mean(i))).collect());
    }
    let order = if bgr { [2, 1, 0] } else { [0, 1, 2] };
    Picture::new(w, h, 3, (0..area).flat_map(|i| order.map(|k| byte(values[k * area + i]))).collect())
}

/// A picture with every pixel as a square of them, so that its shorter side has at least `least`.
fn enlarged(p: Picture, least: usize) -> Picture {
    let by = least.div_ceil(p.width.min(p.height).max(1));
    let at = |y: usize, x: usize| &p.data[((y / by) * p.width + x / by) * p.channels..][..p.channels];
    let (height, width) = (p.height * by, p.width * by);
    let data = (0..height).flat_map(|y| (0..width).flat_map(move |x| at(y, x).iter().copied())).collect();
    Picture { width, height, channels: p.channels, data }
}

/// The shorter side of a picture that stands alone; small ones are enlarged to it.
const ALONE: usize = 224;

impl Dreams {
    /// The picture of a unit; even grey for one that is dead.
    pub fn picture(&self, i: usize) -> Option<Picture> {
        let [_, h, w] = self.extents;
        match self.made.get(i)? {
            d if d.dead.is_some() => Picture::new(w, h, 1, vec![128; w * h]),
            d => seen(&d.picture, self.extents, self.bgr),
        }
    }
    /// The picture of the only unit, large enough to be looked at; `None` if there are several.
    pub fn alone(&self) -> Option<Picture> {
        (self.made.len() == 1).then(|| self.picture(0)).flatten().map(|p| enlarged(p, ALONE))
    }
    /// All of them, side by side.
    pub fn sheet(&self, title: &str) -> Sheet {
        let of = match &self.layer {
            Some(layer) => format!("units of {layer}"),
            None => "classes, by their scores before softmax".to_string(),
        };
        let note = |d: &Dreamt| match d.dead {
            Some(Dead::Unreached) => "dead: no gradient reaches the picture".to_string(),
            Some(Dead::Silent) => "dead: it never fired".to_string(),
            None => format!("{} → {}", short(d.start.into()), short(d.end.into())),
        };
        let panel = |(i, (d, name)): (usize, (&Dreamt, &String))| {
            Some(Panel { picture: self.picture(i)?, caption: class_name(name).into(), note: note(d) })
        };
        let panels = self.made.iter().zip(&self.names).enumerate().filter_map(panel).collect();
        let subtitle = format!("What they answer to most: {of}");
        Sheet { title: title.into(), subtitle, panels, ..Default::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_looked_at_before_memory_is_taken() {
        let image = Image::new(1, 2, Color::Grey, vec![0, 9]).unwrap();
        for size in [0, LARGEST + 1, usize::MAX] {
            let e = pixels(&image, size, 1, false).unwrap_err().to_string();
            assert_eq!(e, format!("size: a longer side of {size} pixels; right would be: 1 to 8192"));
        }
        assert_eq!(pixels(&image, 4, 1, false).unwrap().size, [2, 4]);
    }

    #[test]
    fn pictures_are_as_people_see_them() {
        let rgb = seen(&[1.0, 0.0, 0.5, 0.5, 0.0, 1.0], [3, 1, 2], false).unwrap();
        assert_eq!(rgb.data, [255, 128, 0, 0, 128, 255]);
        assert_eq!(seen(&[1.0, 0.0, 0.5, 0.5, 0.0, 1.0], [3, 1, 2], true).unwrap().data, [0, 128, 255, 255, 128, 0]);
        assert_eq!(seen(&[0.0, 1.0, 1.0, 1.0], [2, 1, 2], false).unwrap().data, [128, 255]);
        let large = enlarged(Picture::new(2, 1, 1, vec![3, 9]).unwrap(), 2);
        assert_eq!((large.width, large.height, large.data), (4, 2, vec![3, 3, 9, 9, 3, 3, 9, 9]));
    }
}
