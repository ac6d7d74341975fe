//! Functions of two numbers that optimisers are tried on, as graphs.

use super::Landscape;
use crate::{Error, Result};
use gabor_compile::{Backend, CompileOptions, Executable, Program, differentiate};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{DType, Rule, Shape, Tensor, Unary};

/// What there is to choose from: name, formula.
pub const EXAMPLES: [(&str, &str); 6] = [
    ("quadratic", "½(x² + 20y²), a valley 20 times as steep as it is long"),
    ("rosenbrock", "(1 − x)² + 100(y − x²)², a bent valley (Rosenbrock 1960)"),
    ("saddle", "½(x² − y²) + ¼y⁴, a saddle between two minima"),
    ("beale", "(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)² (Beale 1958)"),
    ("line", "½Σ(y − θ₀ − θ₁x)² on the perceptron's samples"),
    ("ravine", "x² + 2.5 sin²(2x) + 5y², a valley with bumps"),
];

/// A function of two numbers.
pub struct Function {
    run: Box<dyn Executable>,
    /// Its name.
    pub name: &'static str,
    /// Its formula.
    pub formula: &'static str,
    /// Where it is drawn.
    pub bounds: [[f64; 2]; 2],
    /// Where ways begin.
    pub start: [f64; 2],
    /// Learning rate of gradient descent, and of optimisers whose steps have about the length of the rate.
    pub rates: [f64; 2],
    /// Steps that show what is to be seen.
    pub steps: usize,
    /// Names of the coordinates.
    pub axes: [&'static str; 2],
    /// Where it is least.
    pub minima: Vec<[f64; 2]>,
}

impl Function {
    /// The function of that name.
    ///
    /// # Errors
    /// A name that there is not.
    pub fn new(backend: &dyn Backend, name: &str) -> Result<Self> {
        let Some((name, formula)) = EXAMPLES.into_iter().find(|e| e.0 == name) else {
            let all: Vec<&str> = EXAMPLES.iter().map(|e| e.0).collect();
            let rule = Rule::new(format!("there is no example `{name}`"));
            return Err(Error::from(rule.right(format!("perceptron, {}", all.join(", ")))));
        };
        let mut g = Graph::new(name);
        let places = g.input("places", Shape::batch(&[2]), DType::F32)?;
        let x = g.slice(places, 1, 0, 1, 1)?;
        let y = g.slice(places, 1, 1, 2, 1)?;
        let heights = height(&mut g, name, x, y)?;
        let total = g.sum_all(heights)?;
        let slopes = differentiate(&mut g, total, &[places])?;
        let Some(slope) = slopes[0] else {
            return Err(Error::new(name, Rule::new("the function depends on neither coordinate")));
        };
        g.output("heights", heights);
        g.output("slopes", slope);
        let run = backend.compile(&Program::single("function", g.validate()?), &CompileOptions::default())?;
        let (bounds, start, rates, minima): (_, _, _, Vec<[f64; 2]>) = match name {
            "quadratic" => ([[-2.5, 1.0], [-1.2, 1.2]], [-2.2, 0.9], [0.04, 0.12], vec![[0.0, 0.0]]),
            "rosenbrock" => ([[-2.0, 2.0], [-1.0, 3.0]], [-1.2, 1.0], [0.001, 0.1], vec![[1.0, 1.0]]),
            "saddle" => ([[-1.6, 1.6], [-1.6, 1.6]], [-1.4, 0.02], [0.08, 0.06], vec![[0.0, 1.0], [0.0, -1.0]]),
            "beale" => ([[-1.0, 4.2], [-2.0, 2.0]], [0.6, 1.6], [0.004, 0.08], vec![[3.0, 0.5]]),
            "line" => ([[-1.0, 3.0], [0.4, 1.4]], [2.6, 0.5], [0.008, 0.06], vec![least_line()]),
            _ => ([[-2.5, 2.5], [-1.2, 1.2]], [-2.2, 0.9], [0.02, 0.06], vec![[0.0, 0.0]]),
        };
        let steps = match name {
            "rosenbrock" => 400,
            "beale" => 200,
            "line" => 100,
            _ => 60,
        };
        let axes = if name == "line" { ["θ₀", "θ₁"] } else { ["x", "y"] };
        Ok(Function { run, name, formula, bounds, start, rates, steps, axes, minima })
    }
}

/// The nodes of a function's height, `[n, 1]`.
fn height(g: &mut Graph, name: &str, x: ValueId, y: ValueId) -> Result<ValueId> {
    let square = |g: &mut Graph, v: ValueId| g.unary(Unary::Square, v);
    Ok(match name {
        "quadratic" => {
            let (a, b) = (square(g, x)?, square(g, y)?);
            let (a, b) = (g.scale(a, 0.5)?, g.scale(b, 10.0)?);
            g.add(a, b)?
        }
        "rosenbrock" => {
            let a = g.shift(x, -1.0)?;
            let a = square(g, a)?;
            let b = square(g, x)?;
            let b = g.sub(y, b)?;
            let b = square(g, b)?;
            let b = g.scale(b, 100.0)?;
            g.add(a, b)?
        }
        "saddle" => {
            let (a, b) = (square(g, x)?, square(g, y)?);
            let c = square(g, b)?;
            let d = g.sub(a, b)?;
            let (c, d) = (g.scale(c, 0.25)?, g.scale(d, 0.5)?);
            g.add(c, d)?
        }
        "beale" => {
            let (mut power, mut sum) = (y, None);
            for c in [1.5, 2.25, 2.625] {
                // c − x + x·yᵏ
                let part = g.mul(x, power)?;
                let part = g.sub(part, x)?;
                let part = g.shift(part, c)?;
                let part = square(g, part)?;
                sum = Some(match sum {
                    Some(s) => g.add(s, part)?,
                    None => part,
                });
                power = g.mul(power, y)?;
            }
            sum.unwrap_or(x)
        }
        "line" => {
            let mut sum = None;
            for [a, b] in super::LECTURE {
                let off = g.scale(y, a)?;
                let off = g.add(off, x)?;
                let off = g.shift(off, -b)?;
                let off = square(g, off)?;
                sum = Some(match sum {
                    Some(s) => g.add(s, off)?,
                    None => off,
                });
            }
            g.scale(sum.unwrap_or(x), 0.5)?
        }
        _ => {
            let (a, b) = (square(g, x)?, square(g, y)?);
            let wave = g.scale(x, 2.0)?;
            let wave = g.unary(Unary::Sin, wave)?;
            let wave = square(g, wave)?;
            let (b, wave) = (g.scale(b, 5.0)?, g.scale(wave, 2.5)?);
            let sum = g.add(a, b)?;
            g.add(sum, wave)?
        }
    })
}

/// Least squares of the lecture's samples by a line.
fn least_line() -> [f64; 2] {
    let n = super::LECTURE.len() as f64;
    let sum = |f: fn(&[f64; 2]) -> f64| super::LECTURE.iter().map(f).sum::<f64>();
    let (sx, sy, sxx, sxy) = (sum(|p| p[0]), sum(|p| p[1]), sum(|p| p[0] * p[0]), sum(|p| p[0] * p[1]));
    let slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
    [(sy - slope * sx) / n, slope]
}

impl Function {
    fn run(&mut self, places: &[[f64; 2]]) -> Result<()> {
        let data = places.iter().flatten().map(|&v| v as f32).collect();
        let tensor = Tensor::f32(&[places.len(), 2], data)?;
        Ok(self.run.run(0, places.len(), &[("places", &tensor)])?)
    }
    fn read(&self, name: &str) -> Result<Vec<f64>> {
        Ok(self.run.output(name)?.as_f32()?.iter().map(|&v| f64::from(v)).collect())
    }
}

impl Landscape for Function {
    fn heights(&mut self, places: &[[f64; 2]]) -> Result<Vec<f64>> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        self.run(places)?;
        self.read("heights")
    }
    fn slope(&mut self, place: [f64; 2]) -> Result<(f64, [f64; 2])> {
        self.run(&[place])?;
        let slope = self.read("slopes")?;
        Ok((self.read("heights")?[0], [slope[0], slope[1]]))
    }
}
