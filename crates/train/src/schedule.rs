//! Schedules of the learning rate.
//!
//! A [`Schedule`] is plain data with a text form; a [`Rate`] puts it over a run of known length and answers with the
//! learning rate of every step. Steps and epochs count from 0.

use crate::error::suggest;
use gabor_tensor::Rule;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;
use std::fmt;

/// How the learning rate changes after the warm-up.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// η₀ throughout.
    Constant,
    /// Times `gamma` every `every` epochs: `step:30`, `step:30:0.1`.
    Step {
        /// Epochs between two changes.
        every: usize,
        /// Factor of each change.
        gamma: f64,
    },
    /// Times `gamma` at the begin of each of these epochs: `milestones:30,60,90`, `milestones:30,60:0.2`.
    Milestones {
        /// Epochs, increasing.
        at: Vec<usize>,
        /// Factor of each change.
        gamma: f64,
    },
    /// Times `gamma` every epoch: `exponential:0.95`.
    Exponential {
        /// Factor per epoch.
        gamma: f64,
    },
    /// η₀/√t with t the step, from 1 (lecture 4).
    InverseSqrt,
    /// Half a cosine over the whole run, from η₀ to `floor`·η₀ (Loshchilov and Hutter 2017): `cosine`, `cosine:0.01`.
    Cosine {
        /// Where it ends, relative to η₀.
        floor: f64,
    },
    /// Half a cosine from η₀ to `floor`·η₀ over `first` epochs, then again over `mult` times as many, and so on (SGDR,
    /// Loshchilov and Hutter 2017): `cosine-restarts:10`, `cosine-restarts:10:2`, `cosine-restarts:10:2:0.01`. Runs of 1, 3,
    /// 7, 15 … times `first` end at the floor where `mult` is 2.
    CosineRestarts {
        /// Epochs up to the first restart.
        first: usize,
        /// Factor from one cycle's length to the next's.
        mult: usize,
        /// Where each cycle ends, relative to η₀.
        floor: f64,
    },
    /// Up from η₀/25 to η₀ and down to η₀/250,000, both along half a cosine (Smith and Topin 2018, PyTorch's numbers;
    /// the momentum stays): `one-cycle`, `one-cycle:0.3`.
    OneCycle {
        /// Part of the run that goes up.
        rise: f64,
    },
    /// Times `factor` when the validation loss has not fallen by a part of 10⁻⁴ for more than `patience` epochs:
    /// `plateau`, `plateau:10:0.1`.
    Plateau {
        /// Epochs without progress that are let pass.
        patience: usize,
        /// Factor of each change.
        factor: f64,
    },
}

/// A schedule: a linear warm-up and what follows it. Text form: `KIND`, or `warmup:EPOCHS+KIND`.
///
/// ```
/// use gabor_train::Schedule;
/// let s: Schedule = "warmup:5+cosine".parse().unwrap();
/// assert_eq!((s.warmup, s.to_string().as_str()), (5.0, "warmup:5+cosine"));
/// let e = "cosin".parse::<Schedule>().unwrap_err();
/// assert!(e.to_string().contains("`cosine`"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Epochs over which the rate rises linearly to η₀; may be a fraction.
    pub warmup: f64,
    /// What follows; it counts from the warm-up's end.
    pub kind: Kind,
}

impl Schedule {
    /// A schedule without warm-up.
    pub fn new(kind: Kind) -> Self {
        Schedule { warmup: 0.0, kind }
    }
}

const FORMS: &[&str] = &[
    "constant",
    "step:EPOCHS[:FACTOR]",
    "milestones:E,E,…[:FACTOR]",
    "exponential:FACTOR",
    "inverse-sqrt",
    "cosine[:FLOOR]",
    "cosine-restarts:EPOCHS[:FACTOR[:FLOOR]]",
    "one-cycle[:RISE]",
    "plateau[:PATIENCE[:FACTOR]]",
];

/// One number of a schedule's text, with its bounds.
struct Args<'a> {
    text: &'a str,
    parts: std::str::Split<'a, char>,
}

impl<'a> Args<'a> {
    fn word(&mut self) -> Option<&'a str> {
        self.parts.next()
    }
    fn number(&mut self, what: &str, default: Option<f64>, low: f64, high: f64) -> Result<f64, Rule> {
        let right = || format!("a {what} between {low} and {high}");
        let Some(word) = self.word() else {
            let missing = || Rule::new(format!("the schedule `{}` lacks its {what}", self.text)).right(right());
            return default.ok_or_else(missing);
        };
        let value: f64 = (word.parse().ok()).ok_or_else(|| {
            Rule::new(format!("`{word}` in the schedule `{}` is no number", self.text)).right(right())
        })?;
        if !(low..=high).contains(&value) {
            return Err(Rule::new(format!("a {what} of {value} in the schedule `{}`", self.text)).right(right()));
        }
        Ok(value)
    }
    fn count(&mut self, what: &str, default: Option<f64>) -> Result<usize, Rule> {
        let v = self.number(what, default, 0.0, 1e9)?;
        if v.fract() != 0.0 {
            return Err(Rule::new(format!("a {what} of {v} in the schedule `{}`", self.text)).right("a whole number"));
        }
        Ok(v as usize)
    }
    fn finish(mut self) -> Result<(), Rule> {
        match self.word() {
            None => Ok(()),
            Some(w) => Err(Rule::new(format!("`:{w}` is left over in the schedule `{}`", self.text))
                .right(suggest(self.text.split(':').next().unwrap_or(""), FORMS.iter().copied()))),
        }
    }
}

impl std::str::FromStr for Schedule {
    type Err = Rule;
    fn from_str(text: &str) -> Result<Self, Rule> {
        let (warmup, kind) = match text.split_once('+') {
            Some((first, rest)) => {
                let Some(epochs) = first.strip_prefix("warmup:") else {
                    return Err(
                        Rule::new(format!("`{first}` before `+` in the schedule `{text}`")).right("warmup:EPOCHS+KIND")
                    );
                };
                let mut args = Args { text, parts: epochs.split(':') };
                let epochs = args.number("warm-up", None, 0.0, 1e9)?;
                args.finish()?;
                (epochs, rest)
            }
            None => (0.0, text),
        };
        let mut args = Args { text, parts: kind.split(':') };
        let name = args.word().unwrap_or("");
        let kind = match name {
            "constant" => Kind::Constant,
            "step" => {
                let every = args.count("number of epochs", None)?;
                if every == 0 {
                    return Err(Rule::new(format!("0 epochs between the steps of `{text}`")).right("1 or more"));
                }
                Kind::Step { every, gamma: args.number("factor", Some(0.1), 1e-9, 10.0)? }
            }
            "milestones" => {
                let list = args.word().unwrap_or("");
                let at: Option<Vec<usize>> = list.split(',').map(|w| w.trim().parse().ok()).collect();
                let rising = |at: &Vec<usize>| at.windows(2).all(|w| w[0] < w[1]);
                let at = at.filter(rising).ok_or_else(|| {
                    Rule::new(format!("`{list}` in the schedule `{text}`")).right("increasing epochs, such as 30,60,90")
                })?;
                Kind::Milestones { at, gamma: args.number("factor", Some(0.1), 1e-9, 10.0)? }
            }
            "exponential" => Kind::Exponential { gamma: args.number("factor", None, 1e-9, 10.0)? },
            "inverse-sqrt" => Kind::InverseSqrt,
            "cosine" => Kind::Cosine { floor: args.number("floor", Some(0.0), 0.0, 1.0)? },
            "cosine-restarts" => {
                let first = args.count("number of epochs", None)?;
                let mult = args.count("factor of the cycles' lengths", Some(1.0))?;
                if first == 0 || mult == 0 {
                    let rule = Rule::new(format!("cycles of {first} epochs, then {mult} times as many, in `{text}`"));
                    return Err(rule.right("1 or more of both"));
                }
                Kind::CosineRestarts { first, mult, floor: args.number("floor", Some(0.0), 0.0, 1.0)? }
            }
            "one-cycle" => Kind::OneCycle { rise: args.number("rising part", Some(0.3), 0.0, 1.0)? },
            "plateau" => Kind::Plateau {
                patience: args.count("patience", Some(10.0))?,
                factor: args.number("factor", Some(0.1), 1e-9, 0.999_999)?,
            },
            _ => {
                return Err(Rule::new(format!("no schedule is called `{name}`"))
                    .right(suggest(name, FORMS.iter().map(|f| f.split([':', '[']).next().unwrap_or(f)))));
            }
        };
        args.finish()?;
        Ok(Schedule { warmup, kind })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.warmup > 0.0 {
            write!(f, "warmup:{}+", self.warmup)?;
        }
        match &self.kind {
            Kind::Constant => f.write_str("constant"),
            Kind::Step { every, gamma } => write!(f, "step:{every}:{gamma}"),
            Kind::Milestones { at, gamma } => {
                let at: Vec<String> = at.iter().map(usize::to_string).collect();
                write!(f, "milestones:{}:{gamma}", at.join(","))
            }
            Kind::Exponential { gamma } => write!(f, "exponential:{gamma}"),
            Kind::InverseSqrt => f.write_str("inverse-sqrt"),
            Kind::Cosine { floor: 0.0 } => f.write_str("cosine"),
            Kind::Cosine { floor } => write!(f, "cosine:{floor}"),
            Kind::CosineRestarts { first, mult, floor } => {
                write!(f, "cosine-restarts:{first}:{mult}")?;
                if *floor > 0.0 { write!(f, ":{floor}") } else { Ok(()) }
            }
            Kind::OneCycle { rise } => write!(f, "one-cycle:{rise}"),
            Kind::Plateau { patience, factor } => write!(f, "plateau:{patience}:{factor}"),
        }
    }
}

/// What a plateau schedule remembers; saved with every checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlateauState {
    /// The best metric so far; none before the first epoch.
    pub best: Option<f64>,
    /// Epochs without progress.
    pub waited: usize,
    /// Product of the changes so far.
    pub factor: f64,
}

impl Default for PlateauState {
    fn default() -> Self {
        PlateauState { best: None, waited: 0, factor: 1.0 }
    }
}

/// A schedule over a run of known length.
#[derive(Clone, Debug)]
pub struct Rate {
    schedule: Schedule,
    base: f64,
    steps_per_epoch: u64,
    total: u64,
    /// Memory of a plateau schedule.
    pub plateau: PlateauState,
}

impl Rate {
    /// The schedule from η₀ = `base` over `total` steps.
    pub fn new(schedule: Schedule, base: f64, steps_per_epoch: u64, total: u64) -> Self {
        Rate { schedule, base, steps_per_epoch: steps_per_epoch.max(1), total, plateau: PlateauState::default() }
    }
    /// The learning rate of a step.
    pub fn at(&self, step: u64) -> f64 {
        let warmup = (self.schedule.warmup * self.steps_per_epoch as f64).round() as u64;
        if step < warmup {
            return self.base * (step + 1) as f64 / warmup as f64;
        }
        let (t, total) = (step - warmup, self.total.saturating_sub(warmup).max(1));
        let epoch = t / self.steps_per_epoch;
        let factor = match &self.schedule.kind {
            Kind::Constant => 1.0,
            Kind::Step { every, gamma } => libm::pow(*gamma, (epoch / *every as u64) as f64),
            Kind::Milestones { at, gamma } => {
                libm::pow(*gamma, at.iter().filter(|&&m| m as u64 <= epoch).count() as f64)
            }
            Kind::Exponential { gamma } => libm::pow(*gamma, epoch as f64),
            Kind::InverseSqrt => 1.0 / ((t + 1) as f64).sqrt(),
            Kind::Cosine { floor } => anneal(1.0, *floor, t as f64 / total as f64),
            Kind::CosineRestarts { first, mult, floor } => {
                let (at, length) = cycle(t, *first as u64 * self.steps_per_epoch, *mult as u64);
                anneal(1.0, *floor, at as f64 / length as f64)
            }
            Kind::OneCycle { rise } => one_cycle(*rise, t as f64, total as f64),
            Kind::Plateau { .. } => self.plateau.factor,
        };
        self.base * factor
    }
    /// Tells a plateau schedule the validation loss of an epoch; returns whether the rate changed.
    pub fn epoch_ended(&mut self, loss: f64) -> bool {
        let Kind::Plateau { patience, factor } = self.schedule.kind else { return false };
        let p = &mut self.plateau;
        if p.best.is_none_or(|best| loss < best * (1.0 - 1e-4)) {
            (p.best, p.waited) = (Some(loss), 0);
            return false;
        }
        p.waited += 1;
        if p.waited <= patience {
            return false;
        }
        (p.waited, p.factor) = (0, p.factor * factor);
        true
    }
}

/// Where step `t` stands in its cycle, and the cycle's length.
fn cycle(t: u64, first: u64, mult: u64) -> (u64, u64) {
    let (mut at, mut length) = (t, first.max(1));
    if mult == 1 {
        return (at % length, length);
    }
    while at >= length {
        at -= length;
        length = length.saturating_mul(mult);
    }
    (at, length)
}

/// Half a cosine from `from` at 0 to `to` at 1.
fn anneal(from: f64, to: f64, part: f64) -> f64 {
    to + 0.5 * (from - to) * (1.0 + libm::cos(PI * part.min(1.0)))
}

fn one_cycle(rise: f64, t: f64, total: f64) -> f64 {
    let (start, end) = (1.0 / 25.0, 1.0 / 25.0e4);
    let (up, last) = (rise * total - 1.0, total - 1.0);
    if t <= up && up > 0.0 {
        anneal(start, 1.0, t / up)
    } else if last > up {
        anneal(1.0, end, (t - up.max(0.0)) / (last - up.max(0.0)))
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(text: &str, base: f64, per_epoch: u64, total: u64, at: &[u64]) -> Vec<f64> {
        let rate = Rate::new(text.parse().unwrap(), base, per_epoch, total);
        at.iter().map(|&s| rate.at(s)).collect()
    }
    fn close(a: &[f64], b: &[f64]) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs()), "{a:?}\n{b:?}");
    }

    /// Values of torch.optim.lr_scheduler (see tests/goldens/optimisers.py).
    #[test]
    fn equals_pytorch() {
        let golden: serde_json::Value = serde_json::from_str(include_str!("../tests/goldens/schedules.json")).unwrap();
        for case in golden.as_array().unwrap() {
            let list: Vec<f64> = case["rates"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            let (text, total) = (case["schedule"].as_str().unwrap(), list.len() as u64);
            let at: Vec<u64> = (0..total).collect();
            close(&rates(text, case["base"].as_f64().unwrap(), 1, total, &at), &list);
        }
    }

    #[test]
    fn plateau_waits_and_divides() {
        let mut r = Rate::new("plateau:2:0.1".parse().unwrap(), 1.0, 10, 100);
        let changed: Vec<bool> = [1.0, 0.5, 0.5, 0.6, 0.49999, 0.4].iter().map(|&l| r.epoch_ended(l)).collect();
        assert_eq!(changed, [false, false, false, false, true, false]);
        assert!((r.at(60) - 0.1).abs() < 1e-15 && r.plateau.best == Some(0.4));
    }

    #[test]
    fn warm_up_comes_before_any_schedule() {
        close(&rates("warmup:2+step:1", 1.0, 2, 12, &[0, 1, 2, 3, 4, 5, 6]), &[0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.1]);
        close(&rates("inverse-sqrt", 0.1, 5, 20, &[0, 3, 15]), &[0.1, 0.05, 0.025]);
    }

    #[test]
    fn text_goes_round_and_errors_say_what_is_right() {
        for text in [
            "constant",
            "step:30:0.1",
            "milestones:30,60:0.2",
            "exponential:0.95",
            "inverse-sqrt",
            "cosine",
            "cosine-restarts:5:2:0.1",
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        for (text, part) in [
            ("stp:3", "`step`"),
            ("step", "lacks its number of epochs"),
            ("step:0", "1 or more"),
            ("step:x", "no number"),
            ("cosine:2", "between 0 and 1"),
            ("cosine:0.1:3", "left over"),
            ("cosine-restarts", "lacks its number of epochs"),
            ("cosine-restarts:0", "1 or more of both"),
            ("cosine_restarts:5", "`cosine-restarts`"),
            ("onecycle", "`one-cycle`"),
            ("milestones:5,3", "increasing"),
            ("warm:5+cosine", "warmup:EPOCHS+KIND"),
            ("plateau:1.5", "whole number"),
            ("exponential:NaN", "between"),
        ] {
            let e = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(e.contains(part), "{text}: {e}");
        }
    }
}
