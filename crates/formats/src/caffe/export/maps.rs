//! Pooling, and parts of feature maps.

use super::weighted::window_lines;
use super::{Array, Layer, Writer, unique};
use crate::caffe::weighted::pool_window;
use gabor_graph::ops::{
    AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool, Reduce, Slice, Transpose,
};
use gabor_graph::{Node, ValueId};
use gabor_tensor::{Axis, PoolDivisor, Reduction, Rule, Window};

/// What is kept of an axis: `(axis, start, end, extent)`.
pub(super) type Cut = (usize, usize, usize, usize);

/// Most parts that an axis is cut into.
const MOST_PARTS: usize = 64;

impl<'a> Writer<'a> {
    /// Writes the node if it is one of these.
    pub(super) fn window(&mut self, node: &Node) -> Result<bool, Rule> {
        if let Some(op) = node.op::<MaxPool>() {
            self.pool(node, &op.window, None)?;
        } else if let Some(op) = node.op::<AvgPool>() {
            self.pool(node, &op.window, Some(op.divisor))?;
        } else if node.op::<GlobalAvgPool>().is_some() {
            self.global(node, true)?;
        } else if node.op::<GlobalMaxPool>().is_some() {
            self.global(node, false)?;
        } else if let Some(op) = node.op::<AdaptiveAvgPool>() {
            self.adaptive(node, &op.output, true)?;
        } else if let Some(op) = node.op::<AdaptiveMaxPool>() {
            self.adaptive(node, &op.output, false)?;
        } else if let Some(op) = node.op::<Reduce>() {
            if op.axes != [2, 3] || op.kind == Reduction::Sum {
                return Err(Rule::new(format!("{} over axes {:?}", op.kind, op.axes)).right("mean or max over [2, 3]"));
            }
            self.global(node, op.kind == Reduction::Mean)?;
        } else if let Some(op) = node.op::<Slice>() {
            let extents = self.extents(node.inputs[0])?;
            let Some(d) = op.axis.checked_sub(1) else { return Err(Rule::new("a part of the batch")) };
            let x = self.bottom(node.inputs[0])?;
            self.slice(&node.name, x, (op.axis, op.start, op.end, extents[d]), Some(node.outputs[0]));
        } else if let Some(op) = node.op::<Transpose>() {
            self.swap(node, &op.perm)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Caffe rounds sizes up; windows that are too many are cut off, other windows are refused.
    fn pool(&mut self, node: &Node, window: &Window, divisor: Option<PoolDivisor>) -> Result<(), Rule> {
        let x = self.bottom(node.inputs[0])?;
        let axes = window.axes();
        if axes.len() != 2 || axes.iter().any(|a| a.dilation > 1) {
            return Err(Rule::new(format!("a window {window}")).right("one over two axes, not dilated"));
        }
        let (kernel, stride) = (window.kernel(), window.options().stride);
        let pad: Vec<usize> = axes.iter().map(|a| a.pad_begin).collect();
        let (_, theirs) = pool_window(&kernel, &stride, &pad, true, &window.input())?;
        for (a, b) in axes.iter().zip(theirs.axes()) {
            if b.output < a.output {
                let rule = Rule::new(format!("{} windows {window}, of which Caffe has {}", a.output, b.output));
                return Err(rule.right("the same padding before and behind"));
            }
        }
        if let Some(divisor) = divisor
            && !axes.iter().zip(theirs.axes()).all(|(a, b)| same_counts(a, b, divisor))
        {
            let rule = Rule::new(format!("sums of a window {window} that are divided by {divisor}"));
            return Err(rule.right("by the elements in the input and equal padding around it"));
        }
        let word = if divisor.is_some() { "AVE" } else { "MAX" };
        let mut lines = vec![format!("pool: {word}")];
        lines.extend(window_lines(&kernel, &stride, &pad, &[]));
        let cuts = self.cuts(window, &theirs);
        self.push_cut(&node.name, "Pooling", x, lines, vec![], cuts, node.outputs[0]);
        Ok(())
    }

    fn global(&mut self, node: &Node, average: bool) -> Result<(), Rule> {
        if self.shape(node.inputs[0]).rank() != 4 {
            let rule = Rule::new(format!("pooling of {}", self.shape(node.inputs[0])));
            return Err(rule.right("[n, c, h, w]"));
        }
        let x = self.bottom(node.inputs[0])?;
        let lines = vec![format!("pool: {}", if average { "AVE" } else { "MAX" }), "global_pooling: true".into()];
        self.push(&node.name, "Pooling", vec![x], lines, vec![], Some(node.outputs[0]));
        Ok(())
    }
    /// Bins of equal extents are windows.
    fn adaptive(&mut self, node: &Node, output: &[usize], average: bool) -> Result<(), Rule> {
        if output.iter().all(|&o| o == 1) {
            return self.global(node, average);
        }
        let (from, to) = (self.extents(node.inputs[0])?, self.extents(node.outputs[0])?);
        // Fewer elements than bins are repeated.
        if from.len() == 3 && to[1..].iter().zip(&from[1..]).all(|(o, n)| o > n && o.is_multiple_of(*n)) {
            let scale: Vec<usize> = to[1..].iter().zip(&from[1..]).map(|(o, n)| o / n).collect();
            return self.upsample(node, &scale);
        }
        let even = from.len() == 3 && from[1..].iter().zip(&to[1..]).all(|(n, o)| n.is_multiple_of(*o));
        if !even {
            return Err(Rule::new(format!("bins of unequal extents, {from:?} to {to:?}")).right("a size that divides"));
        }
        let kernel: Vec<usize> = from[1..].iter().zip(&to[1..]).map(|(n, o)| n / o).collect();
        let x = self.bottom(node.inputs[0])?;
        let mut lines = vec![format!("pool: {}", if average { "AVE" } else { "MAX" })];
        lines.extend(window_lines(&kernel, &kernel, &[], &[]));
        self.push(&node.name, "Pooling", vec![x], lines, vec![], Some(node.outputs[0]));
        Ok(())
    }

    /// Two neighbouring axes change places, as in a shuffle of channels: the value is cut along one of them, and the parts are
    /// joined along the other.
    fn swap(&mut self, node: &Node, perm: &[usize]) -> Result<(), Rule> {
        let extents = self.extents(node.inputs[0])?;
        let i = perm.iter().enumerate().position(|(i, &p)| i != p).unwrap_or(0);
        let wrong =
            || Rule::new(format!("axes in the order {perm:?}")).right("two neighbours behind the batch that swap");
        let swaps = (0..perm.len()).all(|j| {
            perm[j]
                == if j == i {
                    i + 1
                } else if j == i + 1 {
                    i
                } else {
                    j
                }
        });
        if i == 0 || !swaps {
            return Err(wrong());
        }
        let (a, b) = (extents[i - 1], extents[i]);
        // Of both axes the shorter one is cut.
        let (cut, parts, joined, part) = if a <= b { (i, a, i + 1, [b, 1]) } else { (i + 1, b, i, [1, a]) };
        if parts > MOST_PARTS {
            let rule = Rule::new(format!("axes of {a} and {b} elements that swap"));
            return Err(rule.right(format!("one of at most {MOST_PARTS}, of which each becomes a layer")));
        }
        let mut shape = extents.clone();
        shape[i - 1..=i].copy_from_slice(&part);
        let dims: String = shape.iter().map(|d| format!(" dim: {d}")).collect();
        let mut x = vec![self.bottom(node.inputs[0])?];
        if parts > 1 {
            let base = format!("{}_parts", node.name);
            x = vec![self.push(&base, "Slice", x, vec![format!("axis: {cut}")], vec![], None)];
            x.extend((1..parts).map(|_| unique(&mut self.top_names, &base)));
            if let Some(layer) = self.layers.last_mut() {
                layer.tops.clone_from(&x);
            }
        }
        let turned = x.into_iter().map(|top| {
            let lines = vec![format!("shape {{ dim: 0{dims} }}")];
            self.push(&format!("{}_part", node.name), "Reshape", vec![top], lines, vec![], None)
        });
        let turned: Vec<String> = turned.collect();
        self.push(&node.name, "Concat", turned, vec![format!("axis: {joined}")], vec![], Some(node.outputs[0]));
        Ok(())
    }

    /// What must be cut off where Caffe has more windows than the graph.
    pub(super) fn cuts(&self, ours: &Window, theirs: &Window) -> Vec<Cut> {
        let pairs = ours.axes().iter().zip(theirs.axes()).enumerate();
        pairs.filter(|(_, (a, b))| a.output < b.output).map(|(i, (a, b))| (i + 2, 0, a.output, b.output)).collect()
    }
    /// A layer, and what cuts its feature maps.
    #[allow(clippy::too_many_arguments, reason = "a layer has as many parts")]
    pub(super) fn push_cut(
        &mut self,
        base: &str,
        kind: &'static str,
        x: String,
        lines: Vec<String>,
        arrays: Vec<Array<'a>>,
        cuts: Vec<Cut>,
        y: ValueId,
    ) {
        let mut top = self.push(base, kind, vec![x], lines, arrays, Some(y).filter(|_| cuts.is_empty()));
        for (i, &cut) in cuts.iter().enumerate() {
            let last = i + 1 == cuts.len();
            top = self.slice(&format!("{base}_cut"), top, cut, Some(y).filter(|_| last));
        }
    }
    /// Part of a value; what else Caffe's Slice gives is read by a Silence.
    fn slice(&mut self, base: &str, x: String, (axis, start, end, extent): Cut, y: Option<ValueId>) -> String {
        let points: Vec<usize> = [start, end].into_iter().filter(|&p| p > 0 && p < extent).collect();
        let mut lines = vec![format!("axis: {axis}")];
        lines.extend(points.iter().map(|p| format!("slice_point: {p}")));
        if points.is_empty() {
            // The whole: a Split with one top.
            return self.push(base, "Split", vec![x], vec![], vec![], y);
        }
        let top = self.push(base, "Slice", vec![x], lines, vec![], y);
        let kept = usize::from(start > 0);
        let rest: Vec<String> =
            (0..points.len()).map(|_| unique(&mut self.top_names, &format!("{base}_rest"))).collect();
        if let Some(layer) = self.layers.last_mut() {
            layer.tops.extend(rest.iter().cloned());
            layer.tops.swap(0, kept);
        }
        let name = unique(&mut self.layer_names, &format!("{base}_silence"));
        let (tops, lines, arrays) = (vec![], vec![], vec![]);
        self.layers.push(Layer { name, kind: "Silence", bottoms: rest, tops, lines, arrays });
        top
    }
}

/// Whether Caffe divides each of our windows by the same number.
fn same_counts(ours: &Axis, theirs: &Axis, divisor: PoolDivisor) -> bool {
    let count = |o: usize, inside: &dyn Fn(usize, usize) -> bool| (0..ours.kernel).filter(|&k| inside(o, k)).count();
    (0..ours.output).all(|o| {
        let want = match divisor {
            PoolDivisor::CountIncludePad => count(o, &|o, k| ours.in_padded(o, k)),
            PoolDivisor::CountExcludePad => count(o, &|o, k| ours.index(o, k).is_some()),
            PoolDivisor::One => 1,
        };
        want == count(o, &|o, k| theirs.in_padded(o, k))
    })
}
