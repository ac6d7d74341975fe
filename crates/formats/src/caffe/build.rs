//! What all layers share: values by the names of the file, parameters with their numbers.

use super::net::Layer;
use super::proto::Blobs;
use super::text::Msg;
use crate::{Error, Result};
use gabor_graph::{Graph, Parameter, ValueId};
use gabor_tensor::{Data, Dim, Rule, Shape, Tensor, Weights};
use std::collections::HashMap;

/// What a name of the file stands for.
#[derive(Clone)]
pub(super) enum Item {
    Value(ValueId),
    /// Normalised values whose scale and bias the next layer brings.
    Normalised {
        x: ValueId,
        mean: ValueId,
        var: ValueId,
        eps: f64,
    },
    /// Labels of training data, and what is computed from them.
    Label,
}

/// The network as far as it is built.
pub(super) struct Builder {
    pub(super) g: Graph,
    pub(super) weights: Weights,
    pub(super) blobs: Option<Blobs>,
    pub(super) items: HashMap<String, Item>,
    /// Values that no layer has read yet: in the end, the outputs.
    pub(super) open: Vec<String>,
    /// Parameters that several layers share, by the name of the file.
    shared: HashMap<String, ValueId>,
    pub(super) notes: Vec<String>,
}

/// One layer that is being built.
pub(super) struct Cx<'b, 'l> {
    pub(super) b: &'b mut Builder,
    pub(super) layer: &'l Layer<'l>,
    /// Its settings; empty if it has none.
    pub(super) p: &'l Msg<'l>,
    /// Values of its bottoms.
    pub(super) x: Vec<ValueId>,
    /// Whether the next layer, a Scale, is the only reader.
    pub(super) scale_follows: bool,
    /// The first bottom where it is normalised only.
    pub(super) normalised: Option<(ValueId, ValueId, ValueId, f64)>,
    arrays: usize,
}

impl Builder {
    pub(super) fn new(name: &str, blobs: Option<Blobs>) -> Self {
        Builder {
            g: Graph::new(name),
            weights: Weights::new(),
            blobs,
            items: HashMap::new(),
            open: Vec::new(),
            shared: HashMap::new(),
            notes: Vec::new(),
        }
    }
    /// Gives a value a name; an older one of that name is no longer seen.
    pub(super) fn define(&mut self, name: &str, item: Item) {
        self.open.retain(|n| n != name);
        if !matches!(item, Item::Label) {
            self.open.push(name.to_string());
        }
        self.items.insert(name.to_string(), item);
    }
}

impl<'b, 'l> Cx<'b, 'l> {
    pub(super) fn new(b: &'b mut Builder, layer: &'l Layer<'l>, p: &'l Msg<'l>) -> Self {
        Cx { b, layer, p, x: Vec::new(), scale_follows: false, normalised: None, arrays: 0 }
    }
    pub(super) fn g(&mut self) -> &mut Graph {
        &mut self.b.g
    }
    pub(super) fn error(&self, rule: Rule) -> Error {
        self.layer.error(rule)
    }
    /// The only bottom.
    pub(super) fn one(&self) -> Result<ValueId> {
        match self.x[..] {
            [x] => Ok(x),
            ref all => Err(self.error(Rule::new(format!("{} bottoms", all.len())).right("1"))),
        }
    }
    pub(super) fn shape(&self, x: ValueId) -> Shape {
        self.b.g.shape(x).clone()
    }
    /// The extents of a value behind the batch, all known.
    pub(super) fn extents(&self, x: ValueId) -> Result<Vec<usize>> {
        let shape = self.shape(x);
        let known: Option<Vec<usize>> = shape.0.iter().skip(1).map(|d| d.fixed()).collect();
        known.filter(|_| matches!(shape.0.first(), Some(Dim::Batch(_)))).ok_or_else(|| {
            self.error(Rule::new(format!("a bottom of shape {shape}")).right("[n, …] with known extents"))
        })
    }
    /// An axis, counted from the end where it is negative.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let found = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(found).ok().filter(|&a| a < rank).ok_or_else(|| {
            let rule = Rule::new(format!("axis {axis} of {rank}"));
            self.error(rule.right(format!("{} to {}", -(rank as i64), rank as i64 - 1)))
        })
    }
    /// An axis other than the batch's.
    pub(super) fn inner_axis(&self, axis: i64, rank: usize) -> Result<usize> {
        match self.axis(axis, rank)? {
            0 => Err(self.error(Rule::new("axis 0, which is the batch").right("axis 1 or more"))),
            a => Ok(a),
        }
    }

    /// The next array of the layer, as it stands in the file.
    fn array(&mut self, shapes: &[&[usize]]) -> Result<Option<Tensor>> {
        let i = self.arrays;
        self.arrays += 1;
        let Some(blobs) = &mut self.b.blobs else { return Ok(None) };
        let name = &self.layer.name;
        let layer = blobs.get_mut(name);
        let found = layer.and_then(|all| all.get_mut(i));
        let Some(t) = found else {
            let rule = Rule::new(format!("the .caffemodel has no array {i} of layer `{name}`"));
            return Err(self.layer.error(rule.right("the .caffemodel of this .prototxt")));
        };
        // Old files pad extents with ones in front.
        let plain = |s: &[usize]| s.iter().copied().skip_while(|&d| d == 1).collect::<Vec<_>>();
        let fits = shapes.iter().find(|s| plain(s) == plain(t.shape()));
        let Some(shape) = fits else {
            let rule = Rule::new(format!("array {i} of layer `{name}` in the .caffemodel has extents {:?}", t.shape()));
            return Err(self.layer.error(rule.right(format!("{:?}", shapes[0]))));
        };
        // The numbers move out: a layer is built once, and shared arrays stand in every sharer's layer.
        let t = std::mem::replace(t, Tensor::scalar(0.0));
        t.reshape(shape).map(Some).map_err(|r| self.layer.error(r))
    }
    /// A parameter `LAYER.kind`, or one that an earlier layer shares; its numbers change as they are read.
    pub(super) fn parameter_with(
        &mut self,
        kind: &str,
        shape: &[usize],
        stored: &[usize],
        p: Parameter,
        change: impl FnOnce(Tensor) -> Result<Tensor, Rule>,
    ) -> Result<ValueId> {
        let share = self.layer.shared.get(self.arrays).filter(|s| !s.is_empty()).cloned();
        let owner = share.as_ref().and_then(|s| self.b.shared.get(s)).copied();
        let numbers = self.array(&[stored])?;
        if let Some(v) = owner {
            if self.b.g.shape(v).known().as_deref() != Some(shape) {
                let rule = Rule::new(format!("shared parameter {} for {shape:?}", self.b.g.shape(v)));
                return Err(self.error(rule.right("equal extents")));
            }
            return Ok(v);
        }
        let name = format!("{}.{kind}", self.layer.name);
        if let Some(t) = numbers {
            let t = change(t).map_err(|r| self.error(r))?;
            self.b.weights.insert(&*name, t);
        }
        let v = self.b.g.parameter(&name, shape, p)?;
        if let Some(s) = share {
            self.b.shared.insert(s, v);
        }
        Ok(v)
    }
    pub(super) fn parameter(&mut self, kind: &str, shape: &[usize], p: Parameter) -> Result<ValueId> {
        self.parameter_with(kind, shape, shape, p, Ok)
    }
    /// Arrays of a BatchNorm: mean and variance, to be divided by a third.
    pub(super) fn statistics(&mut self, c: usize) -> Result<Option<[Tensor; 2]>> {
        let (mean, var, factor) = (self.array(&[&[c]])?, self.array(&[&[c]])?, self.array(&[&[1], &[]])?);
        let (Some(mean), Some(var), Some(factor)) = (mean, var, factor) else { return Ok(None) };
        let factor = factor.to_f64()[0] as f32;
        let factor = if factor == 0.0 { 0.0 } else { 1.0 / factor };
        let scaled = |mut t: Tensor| {
            if let Data::F32(v) = t.data_mut() {
                v.iter_mut().for_each(|x| *x *= factor);
            }
            t
        };
        Ok(Some([scaled(mean), scaled(var)]))
    }
    /// An error if the file has more arrays for this layer than it reads.
    pub(super) fn all_arrays_read(&self) -> Result<()> {
        let held = self.b.blobs.as_ref().and_then(|b| b.get(&self.layer.name)).map_or(0, Vec::len);
        if held > self.arrays {
            let rule = Rule::new(format!("the .caffemodel has {held} arrays for it"));
            return Err(self.error(rule.right(self.arrays.to_string())));
        }
        Ok(())
    }
}
