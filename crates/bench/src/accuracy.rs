//! How far results are from those in 64 bits: for each algorithm of convolution, its three passes, usual numbers and
//! hard ones.

use crate::case::{SEED, given, layer_graph};
use crate::workload::{Kind, Layer};
use gabor_compile::{Backend, CompileOptions, Error, Program, Result};
use gabor_cpu::reference::{Precision, evaluate};
use gabor_cpu::{CpuBackend, CpuOptions, Isa, WinogradTile};
use gabor_graph::{Graph, ValueId};
use gabor_nets::initial_values;
use gabor_tensor::{Data, Rule, Tensor};
use serde::Serialize;
use std::collections::HashMap;

/// An algorithm on a layer that it is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Algorithm {
    /// Its name.
    pub name: &'static str,
    /// The convolution that it computes.
    pub layer: Layer,
    /// Winograd's tiles; `None` for direct sums.
    pub winograd: Option<WinogradTile>,
    /// Largest error of usual numbers that is right, in units of [`Difference::rms`].
    pub bound: f64,
}

impl Algorithm {
    /// Whether the gradients are computed by it too. With a stride they are where the layer has cells, else directly.
    fn has_gradients(&self) -> bool {
        self.layer.stride == 1 || self.layer.ci < 16
    }
}

/// Direct sums, and Winograd's with tiles of 3x3, may be off by this.
const DIRECT: f64 = 1.5e-6;
/// Larger tiles have points further from 0 and 1.
const F4: f64 = 5e-6;
/// And windows of 4x4 and 5x5 have more of them.
const FIVE: f64 = 2e-5;
/// Numbers about 1e-40 have four digits, of which Winograd's algorithms lose one or two.
const DENORMAL: f64 = 5e-3;

const fn layer(name: &'static str, ci: usize, co: usize, hw: usize, kernel: usize) -> Layer {
    let pad = kernel / 2;
    Layer { name, kind: Kind::Conv, ci, co, hw, kernel, stride: 1, pad, groups: 1, batches: &[1] }
}

const THREE: Layer = layer("3x3", 128, 128, 28, 3);
const STRIDED: Layer = Layer { stride: 2, ..layer("3x3, stride 2", 128, 128, 28, 3) };
const FOURS: Layer = layer("4x4", 64, 96, 14, 4);
const FIVES: Layer = layer("5x5", 64, 96, 14, 5);

const FIRST: Layer = Layer { stride: 2, ..layer("7x7, stride 2", 3, 64, 112, 7) };

const ALGORITHMS: &[Algorithm] = &[
    Algorithm { name: "direct 3x3", layer: THREE, winograd: None, bound: DIRECT },
    Algorithm { name: "direct 1x1", layer: layer("1x1", 256, 128, 28, 1), winograd: None, bound: DIRECT },
    Algorithm { name: "direct 5x5", layer: FIVES, winograd: None, bound: DIRECT },
    Algorithm { name: "direct 3x3, stride 2", layer: STRIDED, winograd: None, bound: DIRECT },
    Algorithm {
        name: "direct 3x3, 4 groups",
        layer: Layer { groups: 4, ..layer("3x3, 4 groups", 128, 128, 28, 3) },
        winograd: None,
        bound: DIRECT,
    },
    Algorithm {
        name: "depthwise 3x3",
        layer: Layer { groups: 384, ..layer("3x3, depthwise", 384, 384, 14, 3) },
        winograd: None,
        bound: DIRECT,
    },
    Algorithm { name: "first layer 7x7, stride 2", layer: FIRST, winograd: None, bound: DIRECT },
    Algorithm { name: "Winograd F(2x2, 3x3)", layer: THREE, winograd: Some(WinogradTile::F2), bound: DIRECT },
    Algorithm { name: "Winograd F(4x4, 3x3)", layer: THREE, winograd: Some(WinogradTile::F4), bound: F4 },
    Algorithm { name: "Winograd F(2x2, 4x4)", layer: FOURS, winograd: Some(WinogradTile::F2), bound: FIVE },
    Algorithm { name: "Winograd F(4x4, 4x4)", layer: FOURS, winograd: Some(WinogradTile::F4), bound: FIVE },
    Algorithm { name: "Winograd F(2x2, 5x5)", layer: FIVES, winograd: Some(WinogradTile::F2), bound: FIVE },
    Algorithm { name: "Winograd F(4x4, 5x5)", layer: FIVES, winograd: Some(WinogradTile::F4), bound: FIVE },
    Algorithm { name: "Winograd F(4, 2), 3x3, stride 2", layer: STRIDED, winograd: Some(WinogradTile::F4), bound: F4 },
    // Over cells of 2x2 pixels a window of 7x7 is one of 4x4.
    Algorithm { name: "Winograd F(2x2), first 7x7", layer: FIRST, winograd: Some(WinogradTile::F2), bound: FIVE },
    Algorithm { name: "Winograd F(4x4), first 7x7", layer: FIRST, winograd: Some(WinogradTile::F4), bound: FIVE },
];

/// All algorithms, the direct ones first.
pub fn algorithms() -> &'static [Algorithm] {
    ALGORITHMS
}

/// What is convolved, always with normal weights: feature maps forward and for the filter's gradient, gradients of the
/// output for the input's. The other operand of a pass is usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Numbers {
    /// As networks have them: rectified normal feature maps, normal gradients.
    Usual,
    /// One channel is 10,000 times as large as the others.
    HugeChannel,
    /// 10,000 and -10,000 are added by turns along the rows.
    Alternating,
    /// All are so small (1e-40 of the usual) that 32 bits keep them with fewer digits.
    Denormal,
    /// One of them is infinite.
    Infinity,
    /// One of them is not a number.
    Nan,
}

impl Numbers {
    /// All but the usual ones.
    pub const HARD: [Numbers; 5] =
        [Numbers::HugeChannel, Numbers::Alternating, Numbers::Denormal, Numbers::Infinity, Numbers::Nan];
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Numbers::Usual => "usual",
            Numbers::HugeChannel => "huge channel",
            Numbers::Alternating => "±10000",
            Numbers::Denormal => "denormal",
            Numbers::Infinity => "infinity",
            Numbers::Nan => "NaN",
        }
    }
    /// The bound of errors where that of usual numbers is `usual`.
    fn bound(self, usual: f64) -> f64 {
        match self {
            Numbers::Usual => usual,
            Numbers::Denormal => DENORMAL,
            _ => 2.0 * usual,
        }
    }
    /// Makes usual numbers of shape [N, C, H, W] into these.
    fn apply(self, v: &mut [f32], shape: &[usize]) {
        let plane = shape[2] * shape[3];
        // Row and column 4: where tiles of 4x4 outputs have most that it should not reach.
        let place = 4 * (shape[3] + 1);
        match self {
            Numbers::Usual => {}
            Numbers::HugeChannel => (v.chunks_mut(plane).step_by(shape[1])).flatten().for_each(|v| *v *= 1e4),
            Numbers::Alternating => (v.iter_mut().enumerate()).for_each(|(i, v)| *v += [1e4, -1e4][i % shape[3] % 2]),
            Numbers::Denormal => v.iter_mut().for_each(|v| *v *= 1e-40),
            Numbers::Infinity => v[place] = f32::INFINITY,
            Numbers::Nan => v[place] = f32::NAN,
        }
    }
}

/// How far a result is from that in 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Root of the mean square of the errors over that of the results in 64 bits, where both are finite.
    pub rms: f64,
    /// How many elements are infinite or no number.
    pub not_finite: usize,
    /// How many are so in 64 bits.
    pub not_finite_in_64_bits: usize,
    /// How many of these are finite in 32 bits, so that something wrong would not be seen.
    pub hidden: usize,
}

impl Difference {
    fn new(got: &[f32], want: &[f64]) -> Self {
        let mut d = Difference { rms: 0.0, not_finite: 0, not_finite_in_64_bits: 0, hidden: 0 };
        let (mut errors, mut squares) = (0.0, 0.0);
        for (&got, &want) in got.iter().zip(want) {
            d.not_finite += usize::from(!got.is_finite());
            d.not_finite_in_64_bits += usize::from(!want.is_finite());
            d.hidden += usize::from(got.is_finite() && !want.is_finite());
            if got.is_finite() && want.is_finite() {
                errors += (f64::from(got) - want).powi(2);
                squares += want.powi(2);
            }
        }
        d.rms = if errors > 0.0 { (errors / squares).sqrt() } else { 0.0 };
        d
    }
}

/// The errors of an algorithm, on sets of instructions that give the same bits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// The algorithm.
    pub algorithm: &'static str,
    /// The numbers that it was given.
    pub numbers: Numbers,
    /// The sets of instructions.
    pub isa: Vec<&'static str>,
    /// The kernels that computed the passes.
    pub kernels: Vec<String>,
    /// Of the forward pass.
    pub forward: Difference,
    /// Of the gradient of the input.
    pub input_gradient: Difference,
    /// Of the gradient of the filter.
    pub filter_gradient: Difference,
    /// The largest error that is right.
    pub bound: f64,
}

impl Accuracy {
    /// The three passes.
    pub fn passes(&self) -> [Difference; 3] {
        [self.forward, self.input_gradient, self.filter_gradient]
    }
    /// Whether no error is above its bound, and nothing that is wrong looks like a number.
    pub fn is_right(&self) -> bool {
        self.passes().iter().all(|d| d.rms <= self.bound && d.hidden == 0)
    }
}

/// Computes the passes of algorithms with each set of instructions and compares with 64 bits. Sets with the same bits share
/// a row.
///
/// # Errors
/// A set of instructions that this processor lacks; an algorithm that the backend would replace by another.
pub fn accuracy(
    algorithms: &[&Algorithm],
    numbers: Numbers,
    isas: &[Isa],
    threads: Option<usize>,
) -> Result<Vec<Accuracy>> {
    let mut known: Vec<(Layer, Passes, Vec<Vec<f64>>)> = Vec::new();
    let mut rows = Vec::new();
    for algorithm in algorithms {
        // What hard numbers do shows on a small layer.
        let layer = if numbers == Numbers::Usual { algorithm.layer } else { small(algorithm.layer) };
        let at = match known.iter().position(|k| k.0 == layer) {
            Some(at) => at,
            None => {
                let passes = Passes::new(&layer, numbers)?;
                let want = passes.reference()?;
                known.push((layer, passes, want));
                known.len() - 1
            }
        };
        let (_, passes, want) = &known[at];
        rows.extend(of_sets(algorithm, numbers, isas, threads, (passes, want))?);
    }
    Ok(rows)
}

/// A layer with few channels and pixels, for the same algorithms.
fn small(layer: Layer) -> Layer {
    let groups = if layer.groups == layer.ci { 48 } else { layer.groups };
    let few = |channels: usize| if layer.groups == layer.ci { 48 } else { channels.min(64) };
    Layer { ci: few(layer.ci), co: few(layer.co), hw: 12, groups, ..layer }
}

/// The rows of an algorithm.
fn of_sets(
    algorithm: &Algorithm,
    numbers: Numbers,
    isas: &[Isa],
    threads: Option<usize>,
    (problem, want): (&Passes, &[Vec<f64>]),
) -> Result<Vec<Accuracy>> {
    let mut rows: Vec<(Vec<Vec<f32>>, Accuracy)> = Vec::new();
    for &isa in isas {
        let strict = algorithm.winograd.is_none();
        let options =
            CpuOptions { threads, isa: Some(isa), strict, winograd: algorithm.winograd, ..Default::default() };
        let (got, kernels) = problem.run(&CpuBackend::new(options)?)?;
        let is_winograd = |k: &String| k.contains("winograd") || k.contains("cells");
        let wrong =
            |k: &&String| is_winograd(k) == strict && (strict || algorithm.has_gradients() || !k.contains("grad"));
        if let Some(other) = kernels.iter().find(wrong) {
            let rule = format!("{other} computes a pass of this layer");
            return Err(Error::new(algorithm.name, Rule::new(rule).right("a layer for which the algorithm is")));
        }
        if let Some((_, row)) = rows.iter_mut().find(|(bits, _)| same(bits, &got)) {
            row.isa.push(isa.name());
            continue;
        }
        let difference = |i: usize| Difference::new(&got[i], &want[i]);
        let row = Accuracy {
            algorithm: algorithm.name,
            numbers,
            isa: vec![isa.name()],
            kernels,
            forward: difference(0),
            input_gradient: difference(1),
            filter_gradient: difference(2),
            bound: numbers.bound(algorithm.bound),
        };
        rows.push((got, row));
    }
    Ok(rows.into_iter().map(|r| r.1).collect())
}

/// Whether results have the same bits; any NaN is as good as another.
fn same(a: &[Vec<f32>], b: &[Vec<f32>]) -> bool {
    let bits = |v: f32| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() };
    a.iter().flatten().map(|&v| bits(v)).eq(b.iter().flatten().map(|&v| bits(v)))
}

/// A layer forward and backward, with numbers.
struct Passes {
    graph: Graph,
    n: usize,
    usual: Vec<(String, Tensor)>,
    hard: Vec<(String, Tensor)>,
    weights: Vec<(String, Tensor)>,
}

/// The outputs of a pass, and whether the gradient of the output is its hard operand.
const PASSES: [(&str, bool); 3] = [("y", false), ("d0", true), ("d1", false)];

impl Passes {
    fn new(layer: &Layer, numbers: Numbers) -> Result<Self> {
        let n = layer.batches[0];
        let graph = layer_graph(layer, true, 1)?;
        let mut usual = given(&graph, n, 1);
        for (name, t) in &mut usual {
            if let (Data::F32(v), "x") = (t.data_mut(), name.as_str()) {
                v.iter_mut().for_each(|v| *v = v.max(0.0));
            }
        }
        let mut hard = usual.clone();
        for (_, t) in &mut hard {
            let shape = t.shape().to_vec();
            if let Data::F32(v) = t.data_mut() {
                numbers.apply(v, &shape);
            }
        }
        let weights = initial_values(&graph, SEED).collect();
        Ok(Passes { graph, n, usual, hard, weights })
    }
    /// The inputs of a pass.
    fn inputs(&self, hard_dy: bool) -> impl Iterator<Item = &(String, Tensor)> {
        let is_hard = move |name: &str| (name == "dy") == hard_dy;
        self.usual.iter().zip(&self.hard).map(move |(usual, hard)| if is_hard(&usual.0) { hard } else { usual })
    }
    /// The results in 64 bits.
    fn reference(&self) -> Result<Vec<Vec<f64>>> {
        let value = |name: &str| -> Result<ValueId> {
            let found = self.graph.output_value(name).or_else(|| self.graph.find(name));
            found.ok_or_else(|| Error::new(name, Rule::new("the layer has no such value")))
        };
        let pass = |(output, hard_dy): (&str, bool)| -> Result<Vec<f64>> {
            let all = self.inputs(hard_dy).chain(&self.weights);
            let bindings =
                all.map(|(name, t)| Ok((value(name)?, t.clone()))).collect::<Result<HashMap<ValueId, Tensor>>>()?;
            let found = evaluate(&self.graph, self.n, &bindings, Precision::F64, &[value(output)?])?;
            Ok(found.first().map(Tensor::to_f64).unwrap_or_default())
        };
        PASSES.into_iter().map(pass).collect()
    }
    /// The results of a backend, and its kernels.
    fn run(&self, backend: &CpuBackend) -> Result<(Vec<Vec<f32>>, Vec<String>)> {
        let program = Program::single("layer", self.graph.clone().validate()?);
        let mut run = backend.compile(&program, &CompileOptions::default())?;
        for (name, t) in &self.weights {
            run.write(name, t)?;
        }
        let mut results = Vec::new();
        for (output, hard_dy) in PASSES {
            let inputs: Vec<(&str, &Tensor)> = self.inputs(hard_dy).map(|(name, t)| (name.as_str(), t)).collect();
            run.run(0, self.n, &inputs)?;
            results.push(run.output(output)?.as_f32()?.to_vec());
        }
        let kernels = run.report(0, self.n)?.nodes.into_iter().filter(|n| !n.prepared).map(|n| n.kernel);
        Ok((results, kernels.filter(|k| k.contains("conv")).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On small layers: 64 bits are slow.
    fn rows(numbers: Numbers) -> Vec<(Algorithm, Accuracy)> {
        let all: Vec<Algorithm> = algorithms().iter().map(|a| Algorithm { layer: small(a.layer), ..*a }).collect();
        let rows = accuracy(&all.iter().collect::<Vec<_>>(), numbers, &Isa::available(), Some(2)).unwrap();
        assert!(rows.len() >= all.len());
        rows.into_iter().map(|row| (*all.iter().find(|a| a.name == row.algorithm).unwrap(), row)).collect()
    }

    #[test]
    fn usual_numbers_are_as_precise_as_promised() {
        for (a, row) in rows(Numbers::Usual) {
            assert!(row.is_right() && row.bound == a.bound, "{row:?}");
            assert!(row.passes().iter().all(|pass| pass.rms > 1e-9 && pass.not_finite == 0), "{row:?}");
        }
    }

    #[test]
    fn hard_numbers_are_as_precise_and_nothing_wrong_is_hidden() {
        for numbers in Numbers::HARD {
            for (a, row) in rows(numbers) {
                assert!(row.is_right(), "{row:?}");
                for pass in row.passes() {
                    let spreads = pass.not_finite > pass.not_finite_in_64_bits;
                    assert!(!spreads || a.winograd.is_some(), "{row:?}");
                    let one_is_not = matches!(numbers, Numbers::Infinity | Numbers::Nan);
                    assert_eq!(pass.not_finite_in_64_bits > 0, one_is_not, "{row:?}");
                }
            }
        }
    }

    #[test]
    fn differences() {
        let d = Difference::new(&[3.0, 4.0 + 5e-3, f32::NAN, 1.0], &[3.0, 4.0, f64::INFINITY, f64::NAN]);
        assert!((d.rms - 1e-3).abs() < 1e-6, "{d:?}");
        assert_eq!((d.not_finite, d.not_finite_in_64_bits, d.hidden), (1, 2, 1));
        let mut v = [1.0; 2 * 3 * 2 * 2];
        Numbers::HugeChannel.apply(&mut v, &[2, 3, 2, 2]);
        assert_eq!(v.iter().map(|&v| usize::from(v == 1e4)).sum::<usize>(), 8);
        assert!(v[..4].iter().chain(&v[12..16]).all(|&v| v == 1e4));
    }
}
