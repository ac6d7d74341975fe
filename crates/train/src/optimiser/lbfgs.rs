//! L-BFGS on the host, for small smooth problems: the whole function at once, no mini-batches.

use gabor_tensor::Rule;
use std::collections::VecDeque;

/// How a step's length is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LineSearch {
    /// The learning rate, at the first step times min(1, 1/‖g‖₁): PyTorch's `line_search_fn=None`.
    Fixed,
    /// The strong Wolfe conditions (Nocedal and Wright 2006, algorithms 3.5 and 3.6).
    #[default]
    StrongWolfe,
}

/// Options; the defaults are PyTorch's where it has them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Length of a step before the line search.
    pub lr: f64,
    /// Most steps.
    pub max_steps: usize,
    /// Most evaluations of the function.
    pub max_evaluations: usize,
    /// Stops when no component of the gradient is larger.
    pub gradient_tolerance: f64,
    /// Stops when a step or the change of the function is smaller.
    pub change_tolerance: f64,
    /// Pairs of steps and gradient changes that are remembered.
    pub history: usize,
    /// How a step's length is found.
    pub line_search: LineSearch,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            lr: 1.0,
            max_steps: 100,
            max_evaluations: 1000,
            gradient_tolerance: 1e-7,
            change_tolerance: 1e-9,
            history: 100,
            line_search: LineSearch::StrongWolfe,
        }
    }
}

/// Why a minimisation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The gradient is small enough.
    Gradient,
    /// Steps or changes became small.
    Change,
    /// Steps or evaluations are used up.
    Budget,
    /// The line search found no lower point.
    LineSearch,
}

/// What a minimisation reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The function at the last point.
    pub value: f64,
    /// Steps taken.
    pub steps: usize,
    /// Evaluations of the function.
    pub evaluations: usize,
    /// Why it ended.
    pub ended: Ended,
}

/// A function of a flat vector: writes its gradient and returns its value.
pub type Function<'a> = dyn FnMut(&[f64], &mut [f64]) -> f64 + 'a;

/// All that a minimisation's next step depends on besides the function and the options.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The point.
    pub x: Vec<f64>,
    /// The gradient there.
    pub gradient: Vec<f64>,
    /// The function there.
    pub value: f64,
    /// Steps taken.
    pub steps: usize,
    /// Evaluations of the function.
    pub evaluations: usize,
    /// The scale of the first approximation of the Hessian's inverse.
    pub diagonal: f64,
    /// The last steps and changes of the gradient, the oldest first.
    pub pairs: Vec<(Vec<f64>, Vec<f64>)>,
}

/// A minimisation under way (Nocedal 1980; Liu and Nocedal 1989).
#[derive(Debug)]
pub struct Minimiser {
    options: Options,
    memory: Memory,
    x: Vec<f64>,
    g: Vec<f64>,
    value: f64,
    steps: usize,
    evaluations: usize,
}

impl Minimiser {
    /// Begins at `x`.
    ///
    /// # Errors
    /// A function that is not finite there.
    pub fn new(f: &mut Function<'_>, x: &[f64], options: Options) -> Result<Self, Rule> {
        let mut g = vec![0.0; x.len()];
        let value = f(x, &mut g);
        if !value.is_finite() || g.iter().any(|v| !v.is_finite()) {
            return Err(Rule::new(format!("the function is {value} at the start")).right("a finite value and gradient"));
        }
        let memory = Memory { pairs: VecDeque::new(), capacity: options.history.max(1), diagonal: 1.0 };
        Ok(Minimiser { options, memory, x: x.to_vec(), g, value, steps: 0, evaluations: 1 })
    }
    /// All that the next step depends on.
    pub fn standing(&self) -> Standing {
        Standing {
            x: self.x.clone(),
            gradient: self.g.clone(),
            value: self.value,
            steps: self.steps,
            evaluations: self.evaluations,
            diagonal: self.memory.diagonal,
            pairs: self.memory.pairs.iter().map(|(s, y, _)| (s.clone(), y.clone())).collect(),
        }
    }
    /// Goes on from where one stood: with the same function and options every bit is as if it had not been left.
    ///
    /// # Errors
    /// Vectors of different lengths, numbers that are not finite, or a pair without positive curvature.
    pub fn go_on(from: Standing, options: Options) -> Result<Self, Rule> {
        let n = from.x.len();
        let vectors = from.pairs.iter().flat_map(|(s, y)| [s, y]).chain([&from.x, &from.gradient]);
        let fits = |v: &Vec<f64>| v.len() == n && v.iter().all(|x| x.is_finite());
        if !vectors.into_iter().all(fits) || !from.value.is_finite() || !from.diagonal.is_finite() {
            return Err(Rule::new("the memory of L-BFGS is damaged").right(format!("finite vectors of {n} numbers")));
        }
        let capacity = options.history.max(1);
        let mut memory = Memory { pairs: VecDeque::new(), capacity, diagonal: 1.0 };
        let kept = from.pairs.len().min(capacity);
        for (s, y) in from.pairs {
            memory.push(s, y);
        }
        if memory.pairs.len() != kept {
            return Err(Rule::new("the memory of L-BFGS is damaged").right("pairs of positive curvature"));
        }
        memory.diagonal = from.diagonal;
        let Standing { x, gradient: g, value, steps, evaluations, .. } = from;
        Ok(Minimiser { options, memory, x, g, value, steps, evaluations })
    }
    /// Where it stands.
    pub fn x(&self) -> &[f64] {
        &self.x
    }
    /// The function there.
    pub fn value(&self) -> f64 {
        self.value
    }
    /// The gradient there.
    pub fn gradient(&self) -> &[f64] {
        &self.g
    }
    /// What it reached so far.
    pub fn outcome(&self, ended: Ended) -> Outcome {
        Outcome { value: self.value, steps: self.steps, evaluations: self.evaluations, ended }
    }
    /// One step; why there is no further one, if so.
    pub fn step(&mut self, f: &mut Function<'_>) -> Option<Ended> {
        let o = self.options;
        if largest(&self.g) <= o.gradient_tolerance {
            return Some(Ended::Gradient);
        }
        if self.steps >= o.max_steps || self.evaluations >= o.max_evaluations {
            return Some(Ended::Budget);
        }
        let mut d = vec![0.0; self.x.len()];
        self.memory.direction(&self.g, &mut d);
        let slope = dot(&self.g, &d);
        if slope > -o.change_tolerance {
            return Some(Ended::Change);
        }
        let size = self.g.iter().map(|v| v.abs()).sum::<f64>();
        let first = if self.steps == 0 { (1.0 / size).min(1.0) } else { 1.0 } * o.lr;
        let start = Point { t: 0.0, value: self.value, slope, g: self.g.clone() };
        let mut along = Along { f, x: &self.x, d: &d, evaluations: &mut self.evaluations, limit: o.max_evaluations };
        let found = match o.line_search {
            LineSearch::Fixed => Some(along.at(first)).filter(|p| p.value.is_finite()),
            LineSearch::StrongWolfe => along.strong_wolfe(&start, first),
        };
        let Some(next) = found else { return Some(Ended::LineSearch) };
        let change = (next.value - self.value).abs();
        for (x, d) in self.x.iter_mut().zip(&d) {
            *x += next.t * d;
        }
        let step = d.iter().map(|d| next.t * d).collect();
        self.memory.push(step, next.g.iter().zip(&self.g).map(|(new, old)| new - old).collect());
        (self.value, self.g) = (next.value, next.g);
        self.steps += 1;
        (largest(&d) * next.t <= o.change_tolerance || change < o.change_tolerance).then_some(Ended::Change)
    }
}

/// Minimises `f` from `x`, in place.
///
/// ```
/// use gabor_train::optimiser::lbfgs::{minimise, Options};
/// let mut x = [5.0, -3.0];
/// let mut f = |x: &[f64], g: &mut [f64]| {
///     (g[0], g[1]) = (2.0 * x[0], 20.0 * x[1]);
///     x[0] * x[0] + 10.0 * x[1] * x[1]
/// };
/// minimise(&mut f, &mut x, &Options::default()).unwrap();
/// assert!(x.iter().all(|v| v.abs() < 1e-4));
/// ```
///
/// # Errors
/// A function that is not finite at the start.
pub fn minimise(f: &mut Function<'_>, x: &mut [f64], options: &Options) -> Result<Outcome, Rule> {
    let mut m = Minimiser::new(f, x, *options)?;
    let ended = loop {
        if let Some(ended) = m.step(f) {
            break ended;
        }
    };
    x.copy_from_slice(m.x());
    Ok(m.outcome(ended))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn largest(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |m, v| v.abs().max(m))
}

/// The last steps s, changes of the gradient y and 1 / (s·y).
#[derive(Debug)]
struct Memory {
    pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)>,
    capacity: usize,
    diagonal: f64,
}

impl Memory {
    fn push(&mut self, s: Vec<f64>, y: Vec<f64>) {
        let curvature = dot(&s, &y);
        // A pair without positive curvature would make the approximate Hessian indefinite.
        if curvature > 1e-10 {
            self.diagonal = curvature / dot(&y, &y);
            if self.pairs.len() == self.capacity {
                self.pairs.pop_front();
            }
            self.pairs.push_back((s, y, 1.0 / curvature));
        }
    }
    /// −H·g by the two loops.
    fn direction(&self, g: &[f64], d: &mut [f64]) {
        d.iter_mut().zip(g).for_each(|(d, g)| *d = -g);
        let mut weights = Vec::with_capacity(self.pairs.len());
        for (s, y, inverse) in self.pairs.iter().rev() {
            let a = dot(s, d) * inverse;
            d.iter_mut().zip(y).for_each(|(d, y)| *d -= a * y);
            weights.push(a);
        }
        d.iter_mut().for_each(|d| *d *= self.diagonal);
        for ((s, y, inverse), a) in self.pairs.iter().zip(weights.into_iter().rev()) {
            let b = dot(y, d) * inverse;
            d.iter_mut().zip(s).for_each(|(d, s)| *d += (a - b) * s);
        }
    }
}

/// The function at distance `t` along the direction.
struct Point {
    t: f64,
    value: f64,
    slope: f64,
    g: Vec<f64>,
}

struct Along<'a, 'f> {
    f: &'a mut Function<'f>,
    x: &'a [f64],
    d: &'a [f64],
    evaluations: &'a mut usize,
    limit: usize,
}

impl Along<'_, '_> {
    fn at(&mut self, t: f64) -> Point {
        let x: Vec<f64> = self.x.iter().zip(self.d).map(|(x, d)| x + t * d).collect();
        let mut g = vec![0.0; x.len()];
        let value = (self.f)(&x, &mut g);
        *self.evaluations += 1;
        let slope = dot(&g, self.d);
        // A point outside the function's domain counts as infinitely high.
        let value = if value.is_finite() && slope.is_finite() { value } else { f64::INFINITY };
        Point { t, value, slope, g }
    }

    /// A point with sufficient decrease (c₁ = 10⁻⁴) and small slope (c₂ = 0.9).
    fn strong_wolfe(&mut self, start: &Point, first: f64) -> Option<Point> {
        let (c1, c2) = (1e-4, 0.9);
        let high = |p: &Point| p.value > start.value + c1 * p.t * start.slope;
        let flat = |p: &Point| p.slope.abs() <= -c2 * start.slope;
        let mut before = Point { g: start.g.clone(), ..*start };
        let mut t = first;
        for i in 0..25 {
            if *self.evaluations >= self.limit {
                return None;
            }
            let p = self.at(t);
            if high(&p) || (i > 0 && p.value >= before.value) {
                return self.zoom(before, p, &high, &flat);
            }
            if flat(&p) {
                return Some(p);
            }
            if p.slope >= 0.0 {
                return self.zoom(p, before, &high, &flat);
            }
            before = p;
            t *= 2.0;
        }
        None
    }

    /// Shrinks the interval between `low`, the best point so far, and `other`.
    fn zoom(
        &mut self,
        mut low: Point,
        mut other: Point,
        high: &dyn Fn(&Point) -> bool,
        flat: &dyn Fn(&Point) -> bool,
    ) -> Option<Point> {
        for _ in 0..40 {
            if *self.evaluations >= self.limit {
                break;
            }
            let p = self.at(between(&low, &other));
            if high(&p) || p.value >= low.value {
                other = p;
            } else {
                if flat(&p) {
                    return Some(p);
                }
                if p.slope * (other.t - low.t) >= 0.0 {
                    other = low;
                }
                low = p;
            }
            if (other.t - low.t).abs() < 1e-12 {
                break;
            }
        }
        // Decrease without the slope's condition is still progress.
        (low.t > 0.0 && !high(&low)).then_some(low)
    }
}

/// The minimum of the cubic through two points, kept away from the interval's ends.
fn between(a: &Point, b: &Point) -> f64 {
    let (lower, upper) = (a.t.min(b.t), a.t.max(b.t));
    let margin = 0.1 * (upper - lower);
    let d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.t - b.t);
    let square = d1 * d1 - a.slope * b.slope;
    let cubic = if square >= 0.0 {
        let d2 = (b.t - a.t).signum() * square.sqrt();
        b.t - (b.t - a.t) * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2)
    } else {
        f64::NAN
    };
    if cubic.is_finite() { cubic.clamp(lower + margin, upper - margin) } else { 0.5 * (lower + upper) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rosenbrock(x: &[f64], g: &mut [f64]) -> f64 {
        g.fill(0.0);
        let mut sum = 0.0;
        for i in 0..x.len() - 1 {
            let (a, b) = (1.0 - x[i], x[i + 1] - x[i] * x[i]);
            sum += a * a + 100.0 * b * b;
            g[i] += -2.0 * a - 400.0 * x[i] * b;
            g[i + 1] += 200.0 * b;
        }
        sum
    }

    #[test]
    fn rosenbrock_in_ten_dimensions() {
        let mut x: Vec<f64> = (0..10).map(|i| if i % 2 == 0 { -1.2 } else { 1.0 }).collect();
        let out = minimise(&mut rosenbrock, &mut x, &Options::default()).unwrap();
        assert!(out.value < 1e-9 && x.iter().all(|v| (v - 1.0).abs() < 1e-4), "{out:?} {x:?}");
        assert!(out.evaluations < 150, "{out:?}");
    }

    #[test]
    fn every_accepted_step_satisfies_the_strong_wolfe_conditions() {
        let mut calls = Vec::new();
        let mut x = [-1.2, 1.0];
        for _ in 0..30 {
            let before = x;
            let mut g0 = [0.0; 2];
            let v0 = rosenbrock(&before, &mut g0);
            let one = Options { max_steps: 1, ..Default::default() };
            minimise(&mut rosenbrock, &mut x, &one).unwrap();
            let d = [x[0] - before[0], x[1] - before[1]];
            let mut g1 = [0.0; 2];
            let v1 = rosenbrock(&x, &mut g1);
            assert!(v1 <= v0 + 1e-4 * dot(&g0, &d) && dot(&g1, &d).abs() <= 0.9 * dot(&g0, &d).abs());
            calls.push(v1);
        }
        assert!(calls.windows(2).all(|w| w[1] <= w[0]));
    }

    /// Softmax regression of tests/goldens/optimisers.py by torch.optim.LBFGS without line search.
    #[test]
    fn steps_equal_pytorchs() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/goldens/optimisers.json")).unwrap();
        let list =
            |v: &serde_json::Value| v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>();
        let data = list(&golden["x"]);
        let mut f = |p: &[f64], g: &mut [f64]| {
            g.fill(0.0);
            let mut loss = 0.0;
            for i in 0..12 {
                let row = &data[i * 4..][..4];
                let scores: Vec<f64> = (0..3).map(|c| dot(&p[c * 4..][..4], row) + p[12 + c]).collect();
                let sum: f64 = scores.iter().map(|s| s.exp()).sum();
                loss += (sum.ln() - scores[i % 3]) / 12.0;
                for c in 0..3 {
                    let d = (scores[c].exp() / sum - f64::from(u8::from(c == i % 3))) / 12.0;
                    (0..4).for_each(|k| g[c * 4 + k] += d * row[k]);
                    g[12 + c] += d;
                }
            }
            loss
        };
        let x = [list(&golden["w"]), list(&golden["b"])].concat();
        let options = Options { history: 10, line_search: LineSearch::Fixed, lr: 0.5, ..Default::default() };
        let mut m = Minimiser::new(&mut f, &x, options).unwrap();
        for point in golden["lbfgs"].as_array().unwrap() {
            m.step(&mut f);
            for (a, b) in m.x().iter().zip(list(point)) {
                assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{:?}", m.x());
            }
        }
    }

    #[test]
    fn going_on_equals_not_stopping_bit_for_bit() {
        let start = [-1.2, 1.0, 0.5];
        let options = Options { history: 4, ..Default::default() };
        let mut whole = Minimiser::new(&mut rosenbrock, &start, options).unwrap();
        let mut parts = Minimiser::new(&mut rosenbrock, &start, options).unwrap();
        for step in 0..12 {
            assert_eq!(whole.step(&mut rosenbrock), parts.step(&mut rosenbrock));
            if step % 3 == 1 {
                parts = Minimiser::go_on(parts.standing(), options).unwrap();
            }
            assert_eq!(whole.standing(), parts.standing());
        }
        let short = Standing { gradient: vec![1.0], ..whole.standing() };
        let e = Minimiser::go_on(short, options).unwrap_err().to_string();
        assert!(e.contains("the memory of L-BFGS is damaged; right would be: finite vectors of 3 numbers"), "{e}");
    }

    #[test]
    fn refuses_an_infinite_start() {
        let mut f = |_: &[f64], _: &mut [f64]| f64::NAN;
        let e = minimise(&mut f, &mut [0.0], &Options::default()).unwrap_err();
        assert!(e.to_string().contains("NaN at the start"), "{e}");
    }
}
