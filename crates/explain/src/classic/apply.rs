//! A filter over a picture of any size, in bands, through the backend's convolution.

use super::ClassicFilter;
use crate::{Error, Result};
use gabor_compile::{Backend, CompileOptions, Executable, Program};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{DType, Padding, Rule, Shape, Tensor, WindowOptions};
use std::collections::HashMap;

/// What a picture is continued with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Border {
    /// Its mirror image without the edge: `3 2 | 1 2 3 | 2 1`.
    #[default]
    Reflect,
    /// Its edge: `1 1 | 1 2 3 | 3 3`.
    Replicate,
    /// Its other end: `2 3 | 1 2 3 | 1 2`.
    Wrap,
    /// Zero.
    Zero,
}

impl Border {
    /// Every border with its name.
    pub const ALL: [(&'static str, Border); 4] = [
        ("reflect", Border::Reflect),
        ("replicate", Border::Replicate),
        ("wrap", Border::Wrap),
        ("zero", Border::Zero),
    ];
    /// The element that stands at `i`, of `n`; `None` is zero.
    pub fn at(self, i: isize, n: usize) -> Option<usize> {
        let length = isize::try_from(n).ok().filter(|&n| n > 0)?;
        let found = match self {
            Border::Reflect if length == 1 => 0,
            Border::Reflect => {
                let around = i.rem_euclid(2 * (length - 1));
                around.min(2 * (length - 1) - around)
            }
            Border::Replicate => i.clamp(0, length - 1),
            Border::Wrap => i.rem_euclid(length),
            Border::Zero => i,
        };
        usize::try_from(found).ok().filter(|&f| f < n)
    }
}

/// Pixels of a band.
const BAND: usize = 1 << 21;

/// A filter that is applied to planes of one width.
pub struct Filtering<'a> {
    backend: &'a dyn Backend,
    size: [usize; 2],
    /// Convolutions after each other: a filter of many weights that is a column times a row is applied as these two.
    passes: Vec<([usize; 2], Vec<f32>)>,
    compiled: HashMap<[usize; 2], Box<dyn Executable>>,
}

impl<'a> Filtering<'a> {
    /// Prepares `weights` of `filter`: its own, or those at right angles to them.
    pub fn new(backend: &'a dyn Backend, filter: &ClassicFilter, weights: &[f64]) -> Self {
        let narrow = |w: &[f64]| w.iter().map(|&v| v as f32).collect::<Vec<f32>>();
        let [h, w] = filter.size;
        let passes = match separated(filter.size, weights) {
            Some((column, row)) => vec![([h, 1], narrow(&column)), ([1, w], narrow(&row))],
            None => vec![(filter.size, narrow(weights))],
        };
        Filtering { backend, size: filter.size, passes, compiled: HashMap::new() }
    }
    /// Whether it is applied as a column and a row.
    pub fn is_separable(&self) -> bool {
        self.passes.len() > 1
    }
    /// The filtered plane `[h, w]` of `pixels`, as many values. `done` hears after each band how many rows are ready.
    ///
    /// # Errors
    /// What the backend cannot compute.
    pub fn apply(
        &mut self,
        pixels: &[u8],
        [h, w]: [usize; 2],
        border: Border,
        done: &mut dyn FnMut(usize),
    ) -> Result<Vec<f32>> {
        let [kh, kw] = self.size;
        let (top, left) = ((kh - 1) / 2, (kw - 1) / 2);
        let columns: Vec<Option<usize>> = (0..w + kw - 1).map(|x| border.at(x as isize - left as isize, w)).collect();
        let band = (BAND / (w + kw)).clamp(1, h);
        let mut out = Vec::with_capacity(h * w);
        let mut from = 0;
        while from < h {
            let rows = band.min(h - from);
            let mut input = Vec::with_capacity((rows + kh - 1) * columns.len());
            for y in 0..rows + kh - 1 {
                match border.at((from + y) as isize - top as isize, h) {
                    Some(y) => {
                        let row = &pixels[y * w..(y + 1) * w];
                        input.extend(columns.iter().map(|c| c.map_or(0.0, |c| f32::from(row[c]))));
                    }
                    None => input.resize(input.len() + columns.len(), 0.0),
                }
            }
            let x = Tensor::f32(&[1, 1, rows + kh - 1, columns.len()], input).map_err(place)?;
            let run = self.compiled([rows + kh - 1, columns.len()])?;
            run.run(0, 1, &[("x", &x)])?;
            out.extend_from_slice(run.output("y")?.to_tensor().as_f32().map_err(place)?);
            from += rows;
            done(from);
        }
        Ok(out)
    }
    fn compiled(&mut self, extents: [usize; 2]) -> Result<&mut Box<dyn Executable>> {
        // The last band may be shorter; more than two shapes never stay.
        if !self.compiled.contains_key(&extents) {
            let run = self.compile(extents)?;
            self.compiled.insert(extents, run);
        }
        self.compiled.get_mut(&extents).ok_or_else(|| place(Rule::new("a compiled convolution is gone")))
    }
    fn compile(&self, [h, w]: [usize; 2]) -> Result<Box<dyn Executable>> {
        let mut graph = Graph::new("filter");
        let mut x: ValueId = graph.input("x", Shape::batch(&[1, h, w]), DType::F32)?;
        for (size, weights) in &self.passes {
            let weight = Tensor::f32(&[1, 1, size[0], size[1]], weights.clone()).map_err(place)?;
            let weight = graph.constant(weight);
            x = graph.conv(x, weight, 1, &WindowOptions::default().padding(Padding::Valid))?;
        }
        graph.output("y", x);
        self.backend.compile(&Program::single("filter", graph.validate()?), &CompileOptions::default())
    }
}

fn place(rule: Rule) -> Error {
    Error::new("filter", rule)
}

/// A filter as a column times a row, if it is one and has enough weights for that to pay.
fn separated([h, w]: [usize; 2], weights: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
    if h.min(w) < 3 || h * w < 25 {
        return None;
    }
    let pivot = (0..weights.len()).fold(0, |b, i| if weights[i].abs() > weights[b].abs() { i } else { b });
    let most = weights[pivot];
    if most == 0.0 {
        return None;
    }
    let column: Vec<f64> = (0..h).map(|y| weights[y * w + pivot % w]).collect();
    let row: Vec<f64> = (0..w).map(|x| weights[pivot / w * w + x] / most).collect();
    let same = (0..h * w).all(|i| (weights[i] - column[i / w] * row[i % w]).abs() <= 1e-9 * most.abs());
    same.then_some((column, row))
}

#[cfg(test)]
mod tests {
    use super::super::{Classic, ClassicNumbers};
    use super::*;
    use gabor_cpu::CpuBackend;

    #[test]
    fn borders_continue_a_row() {
        let row =
            |b: Border, n: usize| (-3..n as isize + 3).map(|i| b.at(i, n).map_or(-1, |v| v as i32)).collect::<Vec<_>>();
        assert_eq!(row(Border::Reflect, 3), [1, 2, 1, 0, 1, 2, 1, 0, 1]);
        assert_eq!(row(Border::Replicate, 2), [0, 0, 0, 0, 1, 1, 1, 1]);
        assert_eq!(row(Border::Wrap, 3), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
        assert_eq!(row(Border::Zero, 1), [-1, -1, -1, 0, -1, -1, -1]);
        assert_eq!(row(Border::Reflect, 1), [0; 7]);
    }

    /// Bands, borders and the separable way give what a plain double sum gives.
    #[test]
    fn results_are_those_of_plain_sums() {
        let backend = CpuBackend::default();
        let (h, w) = (37, 23);
        let pixels: Vec<u8> = (0..h * w).map(|i| (i * i * 31 % 251) as u8).collect();
        for (kind, separable) in
            [(Classic::Gaussian, true), (Classic::Sharpen, false), (Classic::Gabor, false), (Classic::Box, true)]
        {
            // A wave along an axis would be separable, too.
            let theta = (kind == Classic::Gabor).then_some(30.0);
            let n = ClassicNumbers { size: (kind != Classic::Sharpen).then_some(9), theta, ..Default::default() };
            let f = kind.filter(&n).unwrap();
            let most = 1e-6 * 255.0 * f.weights.iter().map(|w| w.abs()).sum::<f64>();
            for (_, border) in Border::ALL {
                let mut filtering = Filtering::new(&backend, &f, &f.weights);
                assert_eq!(filtering.is_separable(), separable);
                let found = filtering.apply(&pixels, [h, w], border, &mut |_| {}).unwrap();
                let [kh, kw] = f.size;
                for (i, &v) in found.iter().enumerate() {
                    let mut sum = 0.0;
                    for (j, k) in f.weights.iter().enumerate() {
                        let y = border.at((i / w + j / kw) as isize - (kh / 2) as isize, h);
                        let x = border.at((i % w + j % kw) as isize - (kw / 2) as isize, w);
                        sum += y.zip(x).map_or(0.0, |(y, x)| f64::from(pixels[y * w + x]) * k);
                    }
                    assert!((f64::from(v) - sum).abs() < most, "{kind:?} {border:?} at {i}: {v} {sum}");
                }
            }
        }
    }
}
