//! Pictures made by a network: gradients climbed by the pixels.
//!
//! | what | from |
//! |---|---|
//! | [`maximise`]: the picture that a unit, channel or class answers to most | Simonyan et al. 2014; Olah et al. 2017 |
//! | [`deep_dream`]: a photograph with more of what a layer sees in it | Mordvintsev et al. 2015 |
//! | [`transfer`]: a photograph in the style of another | Gatys et al. 2016 |
//!
//! The network is a compiled graph that gives gradients by its input. What stands before it (waves, colours, moves) is
//! linear but for one sigmoid; its transposes are written by hand and tested as adjoints.

mod adam;
mod canvas;
mod deep;
mod descent;
mod engine;
mod fourier;
mod levels;
mod maximise;
mod resample;
mod smooth;
mod style;
#[cfg(test)]
mod tests;
mod warp;

pub use adam::Adam;
pub use canvas::Basis;
pub use deep::{Deep, DeepOptions, deep_dream};
pub use descent::{Descent, Loss};
pub use maximise::{Dead, Dreamt, Options, Place, Targets, maximise};
pub use style::{Pixels, StyleOptions, Styled, transfer};

use crate::{Error, Result, Subject};
use gabor_tensor::Rule;

/// How a picture in 0..1 becomes the network's input: per channel times `gain` plus `offset`.
#[derive(Clone, Debug, PartialEq)]
pub struct Lens {
    /// Factor per channel, not zero.
    pub gain: Vec<f32>,
    /// What is added per channel.
    pub offset: Vec<f32>,
    /// Whether three channels are blue, green, red in this order.
    pub bgr: bool,
}

impl Lens {
    /// A network whose input is in 0..1.
    pub fn plain(channels: usize) -> Self {
        Lens { gain: vec![1.0; channels], offset: vec![0.0; channels], bgr: false }
    }
    /// The picture in 0..1 of an input `[c, h, w]`.
    pub fn unprepared(&self, input: &[f32]) -> Vec<f32> {
        self.planes(input, |v, gain, offset| ((v - offset) / gain).clamp(0.0, 1.0))
    }
    /// The input of a picture `[c, h, w]` in 0..1.
    pub fn prepared(&self, picture: &[f32]) -> Vec<f32> {
        self.planes(picture, |v, gain, offset| v * gain + offset)
    }
    fn planes(&self, values: &[f32], f: impl Fn(f32, f32, f32) -> f32) -> Vec<f32> {
        let each = (values.len() / self.gain.len().max(1)).max(1);
        let both = self.gain.iter().zip(&self.offset);
        values
            .chunks(each)
            .zip(both)
            .flat_map(|(p, (&g, &o))| p.iter().map(|&v| f(v, g, o)).collect::<Vec<_>>())
            .collect()
    }
    fn check(&self, subject: &Subject) -> Result<()> {
        let channels = subject.input()[0];
        let sound = self.gain.iter().all(|g| g.is_finite() && *g != 0.0) && self.offset.iter().all(|o| o.is_finite());
        if self.gain.len() == channels && self.offset.len() == channels && sound {
            return Ok(());
        }
        let rule = Rule::new(format!("gains {:?} and offsets {:?}", self.gain, self.offset));
        Err(Error::new(subject.images_name(), rule.right(format!("{channels} finite numbers each, no gain of 0"))))
    }
}

/// How far a dream is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// Steps done, over all pictures.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
    /// The part of the work that is done, 0 to 1: a step on a larger picture is more of it.
    pub part: f64,
    /// The objective of the last step (its mean over the pictures that are made at once); `None` while the first one is made
    /// ready and computed.
    pub objective: Option<f32>,
}

impl Moment {
    /// Before the first of so many steps.
    fn beginning(total: usize) -> Self {
        Moment { done: 0, total, part: 0.0, objective: None }
    }
    /// After a step, where all are alike.
    fn after(done: usize, total: usize, objective: f32) -> Self {
        Moment { done, total, part: done as f64 / total.max(1) as f64, objective: Some(objective) }
    }
}

/// Who hears of the beginning and of every step; an error ends the work.
pub type Hear<'a> = dyn FnMut(Moment) -> Result<()> + 'a;

fn check_steps(steps: usize) -> Result<()> {
    if (1..=100_000).contains(&steps) {
        return Ok(());
    }
    Err(Error::new("steps", Rule::new(format!("{steps} steps")).right("1 to 100000")))
}
