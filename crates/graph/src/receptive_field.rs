//! Receptive fields: which part of a value an element of a later value depends on.

use crate::ops::{
    AvgPool, BatchNorm, BatchNormInference, BinaryMap, Broadcast, Cast, Concat, Conv, Embed, GroupNorm, InstanceNorm,
    LayerNorm, LocalResponseNorm, LocallyConnected, LogSoftmax, MaxPool, Maxout, Pad, Reduce, Reshape, Slice, Softmax,
    Transpose, UnaryMap,
};
use crate::{Error, Graph, Node, Result, ValueId};
use gabor_tensor::{Rule, Shape, Window};
use std::collections::HashMap;

/// One spatial dimension of a receptive field: element `o` of the later value sees the elements
/// `start + o·jump .. start + o·jump + size` of the earlier one, as far as they exist (the rest is padding).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReceptiveField {
    /// Number of elements seen.
    pub size: usize,
    /// Distance between the fields of neighbours; 0 where all elements see the same.
    pub jump: usize,
    /// First element that element 0 sees; negative in the padding.
    pub start: isize,
}

impl ReceptiveField {
    fn end(&self) -> isize {
        self.start + self.size as isize
    }
    /// The part that both elements see or that lies between, with `extent` elements of the later value.
    fn union(self, other: Self, extent: usize) -> Self {
        let (a, b) = if self.jump == other.jump { (self, other) } else { (self.all(extent), other.all(extent)) };
        let (start, end) = (a.start.min(b.start), a.end().max(b.end()));
        ReceptiveField { size: (end - start) as usize, jump: a.jump, start }
    }
    /// What `extent` elements see together.
    fn all(self, extent: usize) -> Self {
        ReceptiveField { size: self.size + extent.saturating_sub(1) * self.jump, jump: 0, start: self.start }
    }
}

type Field = Vec<ReceptiveField>;

/// The receptive field of `to` in `from [n, c, spatial…]`, one entry per spatial dimension of `from`.
///
/// Chains and branches of convolutions, poolings, padding and element-wise operations are followed exactly. By
/// convention normalisation counts as element-wise (its statistics see the whole plane). Where another operation mixes
/// positions (a linear layer, global pooling, a transposed convolution), everything its input can see is counted.
///
/// ```
/// use gabor_graph::{Graph, receptive_field};
/// use gabor_tensor::{DType, Shape, WindowOptions};
/// let mut g = Graph::new("two poolings");
/// let x = g.input("x", Shape::batch(&[3, 32]), DType::F32).unwrap();
/// let o = WindowOptions::new(&[3]).stride(&[2]);
/// let a = g.max_pool(x, &o).unwrap();
/// let b = g.max_pool(a, &o).unwrap();
/// let field = receptive_field(&g, x, b).unwrap()[0];
/// assert_eq!((field.size, field.jump, field.start), (7, 4, 0));
/// ```
///
/// # Errors
/// A value without spatial dimensions, or one that the other does not depend on.
pub fn receptive_field(graph: &Graph, from: ValueId, to: ValueId) -> Result<Vec<ReceptiveField>> {
    let shape = graph.shape(from);
    let spatial = crate::ops::spatial_of(shape).map_err(|r| Error::new(&graph.value(from).name, r))?;
    let own = spatial.iter().map(|_| ReceptiveField { size: 1, jump: 1, start: 0 }).collect();
    let fields = follow(graph, HashMap::from([(from, own)]), &spatial);
    fields.get(&to).cloned().ok_or_else(|| {
        Error::new(&graph.value(to).name, Rule::new(format!("does not depend on {}", graph.value(from).name)))
    })
}

/// Adds the fields of all values that depend on those given. `extent` is that of the value they are fields in.
fn follow(graph: &Graph, mut fields: HashMap<ValueId, Field>, extent: &[usize]) -> HashMap<ValueId, Field> {
    for node in graph.nodes() {
        if !node.inputs.iter().any(|v| fields.contains_key(v)) {
            continue;
        }
        match effect(graph, node) {
            Effect::Window(window) if node.inputs[1..].iter().all(|v| !fields.contains_key(v)) => {
                if let Some(x) = fields.get(&node.inputs[0]) {
                    let y: Field = x.iter().zip(window.axes()).map(|(f, a)| slide(*f, a)).collect();
                    set(&mut fields, node, y);
                }
            }
            Effect::Shift(dim, start, step) => {
                let mut y = fields[&node.inputs[0]].clone();
                if let Some(f) = y.get_mut(dim) {
                    f.start += start * f.jump as isize;
                    f.jump *= step;
                }
                set(&mut fields, node, y);
            }
            Effect::Pads(pads) => {
                let mut y = fields[&node.inputs[0]].clone();
                for (f, (before, _)) in y.iter_mut().zip(pads) {
                    f.start -= (before * f.jump) as isize;
                }
                set(&mut fields, node, y);
            }
            Effect::Channels => {
                let v = node.inputs[0];
                let y = match fields[&v].len() {
                    d if keeps_places(graph, node, d) => fields[&v].clone(),
                    _ => everything(graph, node, &fields, extent),
                };
                set(&mut fields, node, y);
            }
            Effect::Pointwise => {
                let y = pointwise(graph, node, &fields);
                let y = y.unwrap_or_else(|| everything(graph, node, &fields, extent));
                set(&mut fields, node, y);
            }
            Effect::Inside => {
                let inner = inside(graph, node, &fields, extent);
                let y = inner.unwrap_or_else(|| everything(graph, node, &fields, extent));
                set(&mut fields, node, y);
            }
            Effect::Window(_) | Effect::Everything => {
                let y = everything(graph, node, &fields, extent);
                set(&mut fields, node, y);
            }
        }
    }
    fields
}

fn set(fields: &mut HashMap<ValueId, Field>, node: &Node, y: Field) {
    for &o in &node.outputs {
        fields.insert(o, y.clone());
    }
}

fn slide(f: ReceptiveField, axis: &gabor_tensor::Axis) -> ReceptiveField {
    ReceptiveField {
        size: f.size + (axis.reach() - 1) * f.jump,
        jump: f.jump * axis.stride,
        start: f.start - (axis.pad_begin * f.jump) as isize,
    }
}

/// What a node does to positions.
enum Effect<'a> {
    /// A window slides over the first input.
    Window(&'a Window),
    /// Every position sees its own.
    Pointwise,
    /// Every `step`-th position of a spatial dimension from a start on.
    Shift(usize, isize, usize),
    /// Positions are added before and after, per spatial dimension.
    Pads(&'a [(usize, usize)]),
    /// Elements are named anew; where only channels are, every position sees its own.
    Channels,
    /// To be found in the decomposition.
    Inside,
    /// Every position may see every other.
    Everything,
}

fn effect<'a>(graph: &Graph, node: &'a Node) -> Effect<'a> {
    let is_pointwise = node.op::<UnaryMap>().is_some()
        || node.op::<BinaryMap>().is_some()
        || node.op::<Broadcast>().is_some()
        || node.op::<Cast>().is_some()
        || node.op::<BatchNorm>().is_some()
        || node.op::<BatchNormInference>().is_some()
        || node.op::<LayerNorm>().is_some()
        || node.op::<GroupNorm>().is_some()
        || node.op::<InstanceNorm>().is_some()
        || node.op::<LocalResponseNorm>().is_some()
        || node.op::<Maxout>().is_some_and(|_| graph.shape(node.inputs[0]).rank() > 2)
        || node.op::<Softmax>().is_some_and(|o| o.axis == 1)
        || node.op::<LogSoftmax>().is_some_and(|o| o.axis == 1)
        || node.op::<Concat>().is_some_and(|o| o.axis == 1)
        || node.op::<Embed>().is_some_and(|o| o.axis == 1)
        || node.op::<Reduce>().is_some_and(|o| o.axes == [1]);
    if is_pointwise {
        return Effect::Pointwise;
    }
    let window = (node.op::<Conv>().map(|o| &o.geometry.window))
        .or_else(|| node.op::<MaxPool>().map(|o| &o.window))
        .or_else(|| node.op::<AvgPool>().map(|o| &o.window))
        .or_else(|| node.op::<LocallyConnected>().map(|o| &o.window));
    if let Some(window) = window {
        return Effect::Window(window);
    }
    if let Some(o) = node.op::<Slice>() {
        return match o.axis {
            0 => Effect::Everything,
            1 => Effect::Pointwise,
            d => Effect::Shift(d - 2, o.start as isize, o.step),
        };
    }
    if node.op::<Reshape>().is_some() || node.op::<Transpose>().is_some() {
        return Effect::Channels;
    }
    if let Some(o) = node.op::<Pad>() {
        return o.pads.get(2..).map_or(Effect::Everything, Effect::Pads);
    }
    Effect::Inside
}

/// Whether a reshape or a transposition leaves the last `d` axes, the spatial ones, as they are: a shuffle of channels is
/// made of such.
fn keeps_places(graph: &Graph, node: &Node, d: usize) -> bool {
    let (x, y) = (&graph.shape(node.inputs[0]).0, &graph.shape(node.outputs[0]).0);
    // Beside them there are at least the image and its channels.
    if x.len() < d + 2 || y.len() < d + 2 || x[x.len() - d..] != y[y.len() - d..] {
        return false;
    }
    let in_place = |p: &[usize]| (p.len() - d..p.len()).all(|i| p[i] == i);
    node.op::<Transpose>().is_none_or(|t| in_place(&t.perm))
}

/// The union of the inputs' fields, position by position; `None` where axes do not correspond.
fn pointwise(graph: &Graph, node: &Node, fields: &HashMap<ValueId, Field>) -> Option<Field> {
    let shape = graph.shape(node.outputs[0]);
    let mut joined: Option<Field> = None;
    for v in &node.inputs {
        let Some(field) = fields.get(v) else { continue };
        let own = graph.shape(*v);
        if own.rank() != shape.rank() || field.len() + 2 != shape.rank() {
            return None;
        }
        let adapted = field.iter().enumerate().map(|(d, f)| {
            let repeated = own.0[d + 2] != shape.0[d + 2];
            if repeated { f.all(1) } else { *f }
        });
        joined = Some(match joined {
            None => adapted.collect(),
            Some(j) => j.iter().zip(adapted).enumerate().map(|(d, (a, b))| a.union(b, extent_of(shape, d))).collect(),
        });
    }
    joined
}

fn extent_of(shape: &Shape, spatial: usize) -> usize {
    shape.0.get(spatial + 2).and_then(|d| d.fixed()).unwrap_or(1)
}

/// The field through a decomposition.
fn inside(graph: &Graph, node: &Node, fields: &HashMap<ValueId, Field>, extent: &[usize]) -> Option<Field> {
    let mut inner = Graph::new("inside");
    let (mut ids, mut known) = (Vec::new(), HashMap::new());
    for (i, v) in node.inputs.iter().enumerate() {
        let ty = graph.ty(*v);
        let id = inner.input(&format!("x{i}"), ty.shape.clone(), ty.dtype).ok()?;
        if let Some(f) = fields.get(v) {
            known.insert(id, f.clone());
        }
        ids.push(id);
    }
    let outputs = node.operation.decompose(&mut inner, &ids)?.ok()?;
    follow(&inner, known, extent).remove(outputs.first()?)
}

/// All that all positions of all inputs see.
fn everything(graph: &Graph, node: &Node, fields: &HashMap<ValueId, Field>, extent: &[usize]) -> Field {
    let seen = node.inputs.iter().filter_map(|v| fields.get(v).map(|f| (graph.shape(*v), f)));
    let together = seen.map(|(shape, field)| -> Field {
        let all = |(d, f): (usize, &ReceptiveField)| match shape.rank() {
            r if r == extent.len() + 2 => f.all(extent_of(shape, d)),
            // Positions are no longer told apart by axes, unless all see the same already.
            _ if f.jump == 0 => *f,
            _ => ReceptiveField { size: extent[d], jump: 0, start: 0 },
        };
        field.iter().enumerate().map(all).collect()
    });
    let union = |a: Field, b: Field| a.into_iter().zip(b).map(|(a, b)| a.union(b, 1)).collect();
    together.reduce(union).unwrap_or_default()
}
