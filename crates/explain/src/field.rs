//! What a unit sees of a picture.

use crate::{Layer, Result, Subject};
use gabor_graph::ops::{AvgPool, Conv, LocallyConnected, MaxPool};
use gabor_graph::{Graph, Node, ReceptiveField, ValueId, receptive_field};
use gabor_tensor::Window;
use std::collections::{HashMap, HashSet};

/// The receptive fields of a layer's units.
///
/// Size, step and start follow the formula over all layers before it. The field of one unit, [`at`](Field::at), is followed
/// back place by place, so that padding between layers and gaps of dilation count as what they are: nothing seen.
#[derive(Clone, Debug)]
pub struct Field {
    axes: [ReceptiveField; 2],
    picture: [usize; 2],
    from: ValueId,
    to: ValueId,
    reads: Vec<Read>,
    /// Rows and columns of the values on the way.
    extents: HashMap<ValueId, [usize; 2]>,
}

/// A rectangle of a picture's pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// What the places of a value read of another one.
#[derive(Clone, Debug)]
struct Read {
    value: ValueId,
    of: ValueId,
    /// `None`: every place reads all.
    taps: Option<[Taps; 2]>,
}

/// Place `o` reads `start + o·stride + k·gap` for every `k` below `count`, as far as these are places.
#[derive(Clone, Copy, Debug)]
struct Taps {
    count: usize,
    gap: usize,
    stride: usize,
    start: isize,
}

impl Taps {
    fn read(&self, places: &[bool], of: &mut [bool]) {
        for (o, _) in places.iter().enumerate().filter(|p| *p.1) {
            for k in 0..self.count {
                let at = self.start + (o * self.stride + k * self.gap) as isize;
                if let Some(p) = usize::try_from(at).ok().and_then(|at| of.get_mut(at)) {
                    *p = true;
                }
            }
        }
    }
}

impl Field {
    /// Rows and columns that a unit sees, the padding around the picture included.
    pub fn size(&self) -> [usize; 2] {
        self.axes.map(|a| a.size)
    }
    /// Pixels from a unit's field to that of its neighbour below and to the right; 0 where all see the same.
    pub fn step(&self) -> [usize; 2] {
        self.axes.map(|a| a.jump)
    }
    /// First row and column that the first unit sees; negative in the padding.
    pub fn start(&self) -> [isize; 2] {
        self.axes.map(|a| a.start)
    }
    /// Whether every unit sees the whole picture.
    pub fn is_whole(&self) -> bool {
        let whole =
            |(a, n): (&ReceptiveField, usize)| a.jump == 0 && a.start <= 0 && a.start + a.size as isize >= n as isize;
        self.axes.iter().zip(self.picture).all(whole)
    }
    /// First row and column that the unit at `[row, column]` sees, maybe outside the picture.
    pub fn corner(&self, place: [usize; 2]) -> [isize; 2] {
        [0, 1].map(|d| self.axes[d].start + (place[d] * self.axes[d].jump) as isize)
    }
    /// The pixels that the unit at `[row, column]` sees; none for one that sees padding alone.
    pub fn at(&self, place: [usize; 2]) -> Part {
        let nothing = |v: ValueId| self.extents[&v].map(|n| vec![false; n]);
        let mut seen = HashMap::from([(self.to, nothing(self.to))]);
        if let Some(own) = seen.get_mut(&self.to) {
            own.iter_mut().zip(place).for_each(|(o, at)| o.iter_mut().skip(at).take(1).for_each(|p| *p = true));
        }
        for read in &self.reads {
            let Some(places) = seen.get(&read.value) else { continue };
            let mut found = nothing(read.of);
            match &read.taps {
                None => found.iter_mut().for_each(|f| f.fill(true)),
                Some(taps) => (0..2).for_each(|d| taps[d].read(&places[d], &mut found[d])),
            }
            // What reads nothing along one axis reads nothing at all.
            if found.iter().all(|f| f.contains(&true)) {
                let all = seen.entry(read.of).or_insert_with(|| nothing(read.of));
                all.iter_mut().flatten().zip(found.iter().flatten()).for_each(|(a, f)| *a |= f);
            }
        }
        let Some(pixels) = seen.get(&self.from) else { return Part::default() };
        let [(top, height), (left, width)] = [0, 1].map(|d| {
            let first = pixels[d].iter().position(|&p| p).unwrap_or(0);
            (first, pixels[d].iter().rposition(|&p| p).map_or(0, |last| last + 1 - first))
        });
        Part { top, left, height, width }
    }
}

impl Part {
    /// The part of every plane of `[c, rows, columns]`.
    pub fn cut<T: Copy>(&self, planes: &[T], [rows, columns]: [usize; 2]) -> Vec<T> {
        let size = (rows * columns).max(1);
        let mut out = Vec::with_capacity(planes.len() / size * self.height * self.width);
        for plane in planes.chunks_exact(size) {
            for row in plane.chunks_exact(columns).skip(self.top).take(self.height) {
                out.extend_from_slice(&row[self.left..self.left + self.width]);
            }
        }
        out
    }
}

impl Subject {
    /// What the units of a layer see of the picture: strides, padding and dilation of all layers before it counted, the
    /// union over branches.
    ///
    /// # Errors
    /// A value that does not depend on the pictures.
    pub fn field(&self, layer: &Layer) -> Result<Field> {
        let (graph, from) = (self.graph(), self.images());
        let axes = receptive_field(graph, from, layer.value)?;
        let [_, h, w] = self.input();
        let all = |n: usize| ReceptiveField { size: n, jump: 0, start: 0 };
        let axes = match axes[..] {
            [y, x] => [y, x],
            _ => [all(h), all(w)],
        };
        let mut reads = Vec::new();
        let depends = self.dependent();
        let mut needed = HashSet::from([layer.value]);
        for node in graph.nodes().iter().rev().filter(|n| n.outputs[0] <= layer.value) {
            for &value in node.outputs.iter().filter(|o| needed.contains(o)).collect::<Vec<_>>() {
                for (i, &of) in node.inputs.iter().enumerate().filter(|(_, v)| depends[v.0 as usize]) {
                    needed.insert(of);
                    reads.push(Read { value, of, taps: taps(graph, node, i) });
                }
            }
        }
        let extents = needed.into_iter().chain([from]).map(|v| (v, places(graph, v))).collect();
        Ok(Field { axes, picture: [h, w], from, to: layer.value, reads, extents })
    }
}

/// Rows and columns of a value; 1 × 1 of one that has none.
fn places(graph: &Graph, v: ValueId) -> [usize; 2] {
    match graph.shape(v).at(1)[..] {
        [_, _, h, w] => [h, w],
        _ => [1, 1],
    }
}

/// What a node's places read of its input `i`.
fn taps(graph: &Graph, node: &Node, i: usize) -> Option<[Taps; 2]> {
    let is_map = |v: ValueId| graph.shape(v).rank() == 4;
    if !is_map(node.inputs[i]) || !is_map(node.outputs[0]) {
        return None;
    }
    if let Some(window) = window(node).filter(|_| i == 0) {
        return match window.axes() {
            [y, x] => Some([y, x].map(|a| Taps {
                count: a.kernel,
                gap: a.dilation,
                stride: a.stride,
                start: -(a.pad_begin as isize),
            })),
            _ => None,
        };
    }
    // The node alone: what the whole graph's rule says of it.
    let mut alone = Graph::new("alone");
    let inputs: Option<Vec<ValueId>> = (node.inputs.iter().enumerate())
        .map(|(k, &v)| alone.input(&format!("x{k}"), graph.shape(v).clone(), graph.ty(v).dtype).ok())
        .collect();
    let inputs = inputs?;
    let outputs = alone.add_shared(node.operation.clone(), &inputs).ok()?;
    match receptive_field(&alone, inputs[i], outputs[0]).ok()?[..] {
        [y, x] => Some([y, x].map(|f| Taps { count: f.size, gap: 1, stride: f.jump, start: f.start })),
        _ => None,
    }
}

fn window(node: &Node) -> Option<&Window> {
    (node.op::<Conv>().map(|o| &o.geometry.window))
        .or_else(|| node.op::<MaxPool>().map(|o| &o.window))
        .or_else(|| node.op::<AvgPool>().map(|o| &o.window))
        .or_else(|| node.op::<LocallyConnected>().map(|o| &o.window))
}
