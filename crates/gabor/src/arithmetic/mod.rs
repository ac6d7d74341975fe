//! The arithmetic of one convolution with every number: [`arithmetic`].
//!
//! Geometry is the one of all convolutions here ([`ConvGeometry`]), and outputs come from the reference interpreter; this
//! file only says which numbers meet, and [`Arithmetic::animation`] draws it.

mod draw;
mod gif;
mod matrix;
mod words;

use crate::{Error, Result};
use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::Graph;
use gabor_tensor::{Axis, ConvGeometry, DType, Data, Padding, Rule, Shape, Stream, Tensor, WindowOptions};
pub use gif::{animated_gif, gif_scale};
pub use matrix::Matrix;
use std::collections::HashMap;

/// Most positions of the window, cells of the padded input along one side, and elements of a filter.
const MOST_STEPS: usize = 400;
const MOST_SIDE: usize = 64;
const MOST_CELLS: usize = 1600;
const MOST_TAPS: usize = 169;

/// A convolution of one channel with one filter.
#[derive(Clone, Debug, Default)]
pub struct ArithmeticOptions {
    /// Dimensions, 1 or 2; 0 is what the rest says, else 2.
    pub dims: usize,
    /// Extents of the input; empty is those of `values`, else 5.
    pub input: Vec<usize>,
    /// Extents of the filter, its stride, dilation and padding. An empty extent is that of `filter`, else 3.
    pub window: WindowOptions,
    /// Transposed convolution.
    pub transposed: bool,
    /// Elements more at the end of a transposed convolution's output.
    pub output_padding: Vec<usize>,
    /// Numbers of the input; `None` is small numbers by `seed`.
    pub values: Option<Matrix>,
    /// Numbers of the filter; `None` is small numbers by `seed`.
    pub filter: Option<Matrix>,
    /// Seed of numbers that are not given.
    pub seed: u64,
}

/// A product of a sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Index into the filter as it was given.
    pub tap: Vec<usize>,
    /// Index of the input's element; `None` where a zero stands.
    pub at: Option<Vec<usize>>,
    /// The input's value there.
    pub x: f64,
    /// The filter's value.
    pub w: f64,
}

/// One output.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Index of the output.
    pub position: Vec<usize>,
    /// First cell of the window on the input with everything around and between.
    pub corner: Vec<usize>,
    /// Products in the order in which the window is drawn.
    pub terms: Vec<Term>,
    /// The output, from the reference interpreter.
    pub sum: f64,
}

/// One dimension of the input as the window slides over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// What each cell is: an element, or a zero before, between or after.
    pub cells: Vec<Cell>,
    /// First cell of the window for the first output, and the step to the next.
    pub first: usize,
    pub step: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub dilation: usize,
    /// Whether the filter slides turned.
    pub turned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Element(usize),
    Padding,
    Between,
}

/// A convolution with its numbers.
#[derive(Clone, Debug)]
pub struct Arithmetic {
    geometry: ConvGeometry,
    asked: Padding,
    transposed: bool,
    extra: Vec<usize>,
    lines: Vec<Line>,
    /// Numbers of the input.
    pub input: Matrix,
    /// Numbers of the filter as it was given.
    pub filter: Matrix,
    /// Numbers of the output.
    pub output: Matrix,
    /// Outputs with their sums.
    pub steps: Vec<Step>,
}

/// The arithmetic of a convolution (or transposed convolution) in one or two dimensions.
///
/// ```
/// use gabor::{ArithmeticOptions, Matrix, arithmetic};
/// let numbers = |v: &str| Some(v.parse::<Matrix>().unwrap());
/// let asked = ArithmeticOptions { values: numbers("1,0,2,2,3,1"), filter: numbers("3,2,2"), ..Default::default() };
/// let found = arithmetic(&asked).unwrap();
/// assert_eq!(found.output.values, [7.0, 8.0, 16.0, 14.0]);
/// assert_eq!(found.formulas(), ["o = (n − k)/s + 1 = (6 − 3)/1 + 1 = 4"]);
/// ```
///
/// # Errors
/// A geometry that is not one, numbers that do not fit it, and one too large to be drawn.
pub fn arithmetic(o: &ArithmeticOptions) -> Result<Arithmetic> {
    let (input, kernel) = extents(o)?;
    let weight = [&[1, 1], &kernel[..]].concat();
    let options = WindowOptions { kernel_size: kernel.clone(), ..o.window.clone() };
    if !o.transposed && !o.output_padding.is_empty() {
        return Err(Rule::new("output_padding is of transposed convolutions")
            .right("without it, or transposed")
            .into());
    }
    // Refused by its own numbers before anything of that size is made.
    let taps = kernel.iter().fold(1, |a: usize, &k| a.saturating_mul(k));
    if taps > MOST_TAPS {
        return Err(Rule::new(format!("a filter of {taps} elements is too large to be drawn"))
            .right(format!("at most {MOST_TAPS}"))
            .into());
    }
    let geometry = if o.transposed {
        ConvGeometry::transposed(1, &input, &weight, 1, &options, &o.output_padding)?
    } else {
        ConvGeometry::new(1, &input, &weight, 1, &options)?
    };
    let lines = geometry.window.axes().iter().map(|a| line(a, o.transposed)).collect::<Result<Vec<_>>>()?;
    let cells: usize = lines.iter().map(|l| l.cells.len()).product();
    if cells > MOST_CELLS {
        return Err(Rule::new(format!("an input of {cells} cells with its padding is too large to be drawn"))
            .right(format!("at most {MOST_CELLS}"))
            .into());
    }
    let outputs: Vec<usize> = lines.iter().map(|l| l.outputs).collect();
    let count: usize = outputs.iter().product();
    if count > MOST_STEPS {
        return Err(Rule::new(format!("{} outputs are {count} steps, too many to be shown", words::times(&outputs)))
            .right(format!("at most {MOST_STEPS}: a smaller input or a larger stride"))
            .into());
    }
    let made = |shape: &[usize], given: &Option<Matrix>, name: &str, below: usize| match given {
        Some(m) => m.reshaped(shape, name),
        None => Ok(Matrix::small(shape, Stream::new(o.seed, 0, 0, gabor_tensor::rng::name_key(name)), below)),
    };
    let x = made(&input, &o.values, "values", 4)?;
    let w = made(&kernel, &o.filter, "filter", 3)?;
    let output = Matrix { shape: outputs, values: computed(&geometry, o.transposed, &x, &w)? };
    let extra =
        if o.output_padding.len() == 1 { vec![o.output_padding[0]; input.len()] } else { o.output_padding.clone() };
    let mut found = Arithmetic {
        geometry,
        asked: o.window.padding.clone(),
        transposed: o.transposed,
        extra,
        lines,
        input: x,
        filter: w,
        output,
        steps: Vec::new(),
    };
    found.steps = (0..count).map(|i| found.step(i)).collect();
    Ok(found)
}

/// Extents of input and filter, by what is said of them.
fn extents(o: &ArithmeticOptions) -> Result<(Vec<usize>, Vec<usize>)> {
    let w = &o.window;
    let pads = if let Padding::Explicit(p) = &w.padding { p.len() } else { 0 };
    let said = [o.input.len(), w.kernel_size.len(), w.stride.len(), w.dilation.len(), pads, o.output_padding.len()];
    let shapes = [&o.values, &o.filter].map(|m| m.as_ref().map_or(0, |m| m.shape.len()));
    let dims = match o.dims {
        0 if said.iter().chain(&shapes).any(|&d| d >= 2) => 2,
        // Numbers in one row alone are a signal.
        0 if shapes.contains(&1) => 1,
        0 => 2,
        d => d,
    };
    if dims > 2 {
        return Err(Rule::new(format!("{dims} dimensions cannot be drawn")).right("1 or 2").into());
    }
    let of = |name: &str, said: &[usize], given: &Option<Matrix>, default: usize| match (said, given) {
        ([], Some(m)) if m.shape.len() == dims => Ok(m.shape.clone()),
        ([], Some(m)) => {
            let rule = Rule::new(format!("{} numbers in one row for {dims} dimensions", m.values.len()));
            let name = if name == "input" { "values" } else { "filter" };
            Err(Error::new(name, rule.right("rows with `;` between them, or their extents")))
        }
        ([], None) => Ok(vec![default; dims]),
        ([one], _) => Ok(vec![*one; dims]),
        (all, _) if all.len() == dims => Ok(all.to_vec()),
        (all, _) => {
            let rule = Rule::new(format!("{} extents for {dims} dimensions", all.len()));
            Err(Error::new(name, rule.right(format!("1 or {dims} numbers"))))
        }
    };
    Ok((of("input", &o.input, &o.values, 5)?, of("kernel", &w.kernel_size, &o.filter, 3)?))
}

/// The cells of one dimension. A transposed convolution is drawn as what it equals: the turned filter slides by single
/// steps over the input with `stride - 1` zeros between its elements and `dilation · (kernel - 1) - padding` around it.
fn line(a: &Axis, transposed: bool) -> Result<Line> {
    let side = |length: usize| {
        if length <= MOST_SIDE {
            return Ok(length);
        }
        let rule =
            Rule::new(format!("an input of {length} cells along one side, padding included, is too large to be drawn"));
        Err(Error::from(rule.right(format!("at most {MOST_SIDE}"))))
    };
    if !transposed {
        let length = side(a.input + a.pad_begin + a.pad_end)?;
        let cell = |c: usize| c.checked_sub(a.pad_begin).filter(|&i| i < a.input).map_or(Cell::Padding, Cell::Element);
        let cells = (0..length).map(cell).collect();
        let (outputs, kernel, dilation) = (a.output, a.kernel, a.dilation);
        return Ok(Line { cells, first: 0, step: a.stride, outputs, kernel, dilation, turned: false });
    }
    // The geometry is that of the convolution from the output to the input.
    let reach = a.reach() - 1;
    let stretched = (a.output - 1) * a.stride + 1;
    // More padding than the filter reaches takes elements away: the window then begins inside.
    let (lead, first) = (reach.saturating_sub(a.pad_begin), a.pad_begin.saturating_sub(reach));
    let length = side((lead + stretched).max(first + a.input + reach))?;
    let cell = |c: usize| match c.checked_sub(lead) {
        Some(i) if i < stretched && i % a.stride == 0 => Cell::Element(i / a.stride),
        Some(i) if i < stretched => Cell::Between,
        _ => Cell::Padding,
    };
    let cells = (0..length).map(cell).collect();
    Ok(Line { cells, first, step: 1, outputs: a.input, kernel: a.kernel, dilation: a.dilation, turned: true })
}

/// The output by the reference interpreter, in 64 bits.
fn computed(g: &ConvGeometry, transposed: bool, x: &Matrix, w: &Matrix) -> Result<Vec<f64>> {
    let mut graph = Graph::new("arithmetic");
    let input = graph.input("x", Shape::batch(&[&[1], &x.shape[..]].concat()), DType::F32)?;
    let weight = graph.input("w", Shape::fixed(&g.weight_shape()), DType::F32)?;
    let y = if transposed {
        let conv = gabor_graph::ops::ConvTranspose { geometry: g.clone() };
        graph.add_one(conv, &[input, weight])?
    } else {
        graph.add_one(gabor_graph::ops::Conv { geometry: g.clone() }, &[input, weight])?
    };
    let tensor = |shape: &[usize], v: &[f64]| Tensor::new(shape, Data::F64(v.to_vec()));
    let bindings = HashMap::from([
        (input, tensor(&[&[1, 1], &x.shape[..]].concat(), &x.values)?),
        (weight, tensor(&g.weight_shape(), &w.values)?),
    ]);
    let found = evaluate(&graph, 1, &bindings, Precision::F64, &[y])?;
    match found.first().map(Tensor::data) {
        Some(Data::F64(v)) => Ok(v.clone()),
        _ => Err(Rule::new("the reference interpreter gave no numbers of 64 bits").into()),
    }
}

/// The index of an element in every dimension.
fn unravel(mut i: usize, shape: &[usize]) -> Vec<usize> {
    let mut out = vec![0; shape.len()];
    for (o, &n) in out.iter_mut().zip(shape).rev() {
        (*o, i) = (i % n, i / n);
    }
    out
}

impl Arithmetic {
    fn step(&self, i: usize) -> Step {
        let position = unravel(i, &self.output.shape);
        let corner: Vec<usize> = self.lines.iter().zip(&position).map(|(l, &o)| l.first + o * l.step).collect();
        let terms = (0..self.filter.values.len())
            .map(|t| {
                let drawn = unravel(t, &self.filter.shape);
                let cells = self.lines.iter().zip(&corner).zip(&drawn).map(|((l, &c), &j)| l.cells[c + j * l.dilation]);
                let at: Option<Vec<usize>> =
                    cells.map(|c| if let Cell::Element(i) = c { Some(i) } else { None }).collect();
                let tap: Vec<usize> =
                    self.lines.iter().zip(&drawn).map(|(l, &j)| if l.turned { l.kernel - 1 - j } else { j }).collect();
                let x = at.as_ref().map_or(0.0, |at| self.input.at(at));
                Term { x, w: self.filter.at(&tap), tap, at }
            })
            .collect();
        Step { corner, terms, sum: self.output.values[i], position }
    }
    /// The geometry: of the convolution, or of the one whose input gradient a transposed convolution is.
    pub fn geometry(&self) -> &ConvGeometry {
        &self.geometry
    }
    /// Whether it is a transposed convolution.
    pub fn is_transposed(&self) -> bool {
        self.transposed
    }
    /// The cells along one dimension that a window reads.
    pub(crate) fn read(&self, dim: usize) -> Vec<bool> {
        let l = &self.lines[dim];
        let mut read = vec![false; l.cells.len()];
        for o in 0..l.outputs {
            for k in 0..l.kernel {
                read[l.first + o * l.step + k * l.dilation] = true;
            }
        }
        read
    }
}

#[cfg(test)]
mod tests;
