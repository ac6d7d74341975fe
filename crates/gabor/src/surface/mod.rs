//! Losses as landscapes in two dimensions, and the ways of optimisers over them.
//!
//! A [`Landscape`] has a height and a slope at every place: a function of two numbers ([`Function`]) or a slice through the
//! loss of a network ([`Slice`]). [`walk`] lets an optimiser of [`train`](crate::train) go from a place, by the same graph of
//! its update as in a training.

mod function;
mod perceptron;
mod slice;

pub use function::{EXAMPLES, Function};
pub use perceptron::{LECTURE, Perceptron, Step, Training};
pub use slice::{Slice, SliceOptions};

use crate::{Error, Result};
use gabor_compile::Backend;
use gabor_report::{Contour, ContourPath, short};
use gabor_tensor::Rule;
use gabor_train::optimiser::{Adam, Descent, MomentumForm, Optimiser, RmsProp, Sgd};
use std::sync::Arc;

/// Something to descend.
pub trait Landscape {
    /// The height at each place.
    ///
    /// # Errors
    /// What goes wrong in computing it.
    fn heights(&mut self, places: &[[f64; 2]]) -> Result<Vec<f64>>;
    /// Height and slope at a place.
    ///
    /// # Errors
    /// What goes wrong in computing it.
    fn slope(&mut self, place: [f64; 2]) -> Result<(f64, [f64; 2])>;
}

/// An optimiser with its name, and by what its learning rate differs from gradient descent's.
#[derive(Clone, Debug)]
pub struct Walker {
    /// The name.
    pub name: &'static str,
    /// What it does, in the lectures' letters.
    pub rule: &'static str,
    /// The optimiser.
    pub optimiser: Arc<dyn Optimiser>,
    /// Whether steps have about the length of the rate, whatever the slope.
    pub normalised: bool,
}

/// Names of all walkers.
pub const WALKERS: [&str; 7] = ["sgd", "momentum", "momentum-inside", "averaged", "nesterov", "rmsprop", "adam"];

/// The walker of that name, with momentum μ where it has one.
///
/// # Errors
/// A name that there is not; a momentum that is not in [0, 1).
pub fn walker(name: &str, momentum: f64) -> Result<Walker> {
    if !(0.0..1.0).contains(&momentum) {
        return Err(Error::from(
            Rule::new(format!("a momentum of {momentum}")).right("a number from 0 up to, not including, 1"),
        ));
    }
    let sgd = Sgd { momentum, ..Default::default() };
    let (rule, optimiser, normalised): (_, Arc<dyn Optimiser>, _) = match name {
        "sgd" => ("w ← w − ηg", Arc::new(Sgd::default()), false),
        "momentum" => ("v ← μv + g, w ← w − ηv", Arc::new(sgd), false),
        "momentum-inside" => ("v ← μv − ηg, w ← w + v", Arc::new(Sgd { form: MomentumForm::RateInside, ..sgd }), false),
        "averaged" => {
            ("Δ₁ = g, then Δ ← (1 − μ)g + μΔ; w ← w − ηΔ", Arc::new(Sgd { dampening: momentum, ..sgd }), false)
        }
        "nesterov" => ("v ← μv + g, w ← w − η(g + μv)", Arc::new(Sgd { nesterov: true, ..sgd }), false),
        "rmsprop" => ("s ← 0.99s + 0.01g², w ← w − ηg/√s", Arc::new(RmsProp::default()), true),
        "adam" => ("w ← w − ηm̂/(√v̂ + ε)", Arc::new(Adam::default()), true),
        _ => {
            let rule = Rule::new(format!("no optimiser here is called `{name}`"));
            return Err(Error::from(rule.right(WALKERS.join(", "))));
        }
    };
    let name = WALKERS.into_iter().find(|w| *w == name).unwrap_or("");
    Ok(Walker { name, rule, optimiser, normalised })
}

/// How the learning rate goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RateSchedule {
    /// ηₜ = η₀.
    #[default]
    Constant,
    /// ηₜ = η₀ / √t, the lectures' most common choice.
    InverseRoot,
}

impl RateSchedule {
    /// The rate of step t, from 1.
    pub fn at(self, rate: f64, t: usize) -> f64 {
        match self {
            RateSchedule::Constant => rate,
            RateSchedule::InverseRoot => rate / (t.max(1) as f64).sqrt(),
        }
    }
}

/// How an optimiser is let go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// Where it begins.
    pub start: [f64; 2],
    /// η of the first step.
    pub rate: f64,
    /// How η goes on.
    pub schedule: RateSchedule,
    /// Most steps.
    pub steps: usize,
}

/// The way of an optimiser.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk {
    /// The optimiser's name.
    pub name: String,
    /// Its rule.
    pub rule: String,
    /// The learning rate of the first step.
    pub rate: f64,
    /// Every place, the start first.
    pub places: Vec<[f64; 2]>,
    /// The height at every place.
    pub heights: Vec<f64>,
    /// Whether it ended early: it ran away, or to where there is no height.
    pub diverged: bool,
}

/// Farther out than this many times the start's distance a way is given up: it has gone wild.
const WILD: f64 = 1e6;

/// Lets an optimiser walk. A way ends early where height or slope is not finite, or where it runs away.
///
/// # Errors
/// What goes wrong in computing heights.
pub fn walk(
    backend: &dyn Backend,
    land: &mut dyn Landscape,
    walker: &Walker,
    way: &Way,
    hear: &mut dyn FnMut(),
) -> Result<Walk> {
    let Way { start, rate, schedule, steps } = *way;
    let mut descent = Descent::new(backend, walker.optimiser.clone(), &start.map(|v| v as f32))?;
    let mut places = vec![start.map(|v| f64::from(v as f32))];
    let (mut heights, mut diverged) = (Vec::new(), false);
    for t in 1..=steps {
        let at = places[places.len() - 1];
        let (height, slope) = land.slope(at)?;
        heights.push(height);
        hear();
        let far = at.iter().any(|v| v.abs() > WILD * (1.0 + start[0].abs() + start[1].abs()));
        if far || !height.is_finite() || slope.iter().any(|v| !v.is_finite()) {
            diverged = true;
            break;
        }
        let next = descent.step(&slope.map(|v| v as f32), schedule.at(rate, t))?;
        places.push([f64::from(next[0]), f64::from(next[1])]);
    }
    if heights.len() < places.len() {
        heights.extend(land.heights(&places[heights.len()..])?);
    }
    Ok(Walk { name: walker.name.into(), rule: walker.rule.into(), rate, places, heights, diverged })
}

/// Heights on a grid, and the ways over it.
#[derive(Clone, Debug, PartialEq)]
pub struct Surface {
    /// What it is of.
    pub title: String,
    /// A line about it.
    pub subtitle: String,
    /// What the axes are called.
    pub axes: [String; 2],
    /// Places of the columns.
    pub x: Vec<f64>,
    /// Places of the rows.
    pub y: Vec<f64>,
    /// Heights, row by row: `y.len()` × `x.len()`.
    pub heights: Vec<f64>,
    /// What is drawn instead of these heights: the same at more places, where they cost little.
    pub finer: Option<Box<Surface>>,
    /// Ways of optimisers.
    pub walks: Vec<Walk>,
    /// Places with a name, such as the minimum.
    pub marks: Vec<(String, [f64; 2])>,
}

/// Numbers from low to high, both among them.
pub fn spaced([low, high]: [f64; 2], count: usize) -> Vec<f64> {
    (0..count).map(|i| low + (high - low) * i as f64 / (count.max(2) - 1) as f64).collect()
}

impl Surface {
    /// Measures a landscape on a grid. `hear` gets the number of places done.
    ///
    /// # Errors
    /// A grid of fewer than two places a side; what goes wrong in computing heights.
    pub fn measure(
        land: &mut dyn Landscape,
        [x, y]: [[f64; 2]; 2],
        grid: usize,
        hear: &mut dyn FnMut(usize),
    ) -> Result<Self> {
        if grid < 2 {
            return Err(Error::from(Rule::new(format!("a grid of {grid} places a side")).right("at least two")));
        }
        let (x, y) = (spaced(x, grid), spaced(y, grid));
        let mut heights = Vec::with_capacity(grid * grid);
        for &b in &y {
            let row: Vec<[f64; 2]> = x.iter().map(|&a| [a, b]).collect();
            heights.extend(land.heights(&row)?);
            hear(heights.len());
        }
        let axes = ["x".into(), "y".into()];
        let (title, subtitle) = Default::default();
        Ok(Surface { title, subtitle, axes, x, y, heights, finer: None, walks: Vec::new(), marks: Vec::new() })
    }
    /// Measures the landscape at as many places as the picture shows, so that lines through narrow valleys are whole. The
    /// heights of the surface itself stay what they are.
    ///
    /// # Errors
    /// What goes wrong in computing heights.
    pub fn refine(&mut self, land: &mut dyn Landscape) -> Result<()> {
        /// As many places a side as a drawing has steps that one can see.
        const DRAWN: usize = 281;
        let ends = |v: &[f64]| [v[0], v[v.len() - 1]];
        if self.x.len().min(self.y.len()) < DRAWN {
            let finer = Surface::measure(land, [ends(&self.x), ends(&self.y)], DRAWN, &mut |_| {})?;
            self.finer = Some(Box::new(finer));
        }
        Ok(())
    }
    /// The picture as plain data.
    pub fn contour(&self) -> Contour {
        let path = |w: &Walk| {
            let last = w.heights.last().copied().unwrap_or(f64::NAN);
            let (rate, steps) = (short(w.rate), w.places.len() - 1);
            let note = match w.diverged {
                true => format!("η {rate}, diverged at step {steps}"),
                false => format!("η {rate}, {steps} {} to {}", if steps == 1 { "step" } else { "steps" }, short(last)),
            };
            ContourPath { name: w.name.clone(), note, points: w.places.clone() }
        };
        let drawn = self.finer.as_deref().unwrap_or(self);
        Contour {
            title: self.title.clone(),
            subtitle: self.subtitle.clone(),
            axes: self.axes.clone(),
            x: drawn.x.clone(),
            y: drawn.y.clone(),
            heights: drawn.heights.clone(),
            paths: self.walks.iter().map(path).collect(),
            marks: self.marks.clone(),
        }
    }
}
