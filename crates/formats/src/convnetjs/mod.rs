//! ConvNetJS: a network with its numbers as one JSON text (Karpathy 2014).
//!
//! Parameters are called `conv1.weight`, `conv1.bias`, `fc1.weight`, …. ConvNetJS keeps volumes with the channels
//! innermost; here, as everywhere else, they come first. A snapshot does not say how a picture becomes the input.

mod json;

use crate::{Error, Imported, Metadata, Result};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, Padding, Rule, Shape, Tensor, Weights, WindowOptions};
use json::{Layer, Vol};

/// The network of a snapshot: what `net.toJSON()` gives. The output is called `output`; at the end of a classifier it is
/// `[n, classes]`.
///
/// # Errors
/// A text that is no such JSON, with line and column; a layer that is not known or whose numbers do not fit, with its
/// place in the list.
pub fn import(bytes: &[u8]) -> Result<Imported> {
    let layers = json::read(bytes)?;
    let mut b = Builder { g: Graph::new("convnetjs"), weights: Weights::new(), convs: 0, fcs: 0, notes: Vec::new() };
    let mut x = None;
    for (i, layer) in layers.into_iter().enumerate() {
        let place = format!("layer {i} ({})", layer.layer_type);
        let y = b.layer(i, layer, x).map_err(|e| match e {
            // The graph knows the node's name; the list's place says more to the owner of a JSON text.
            Fail::Rule(rule) => Error::new(&place, rule),
            Fail::Graph(e) => Error::new(format!("{place}: {}", e.place()), e.rule().clone()),
        })?;
        x = Some(y);
    }
    let value =
        x.ok_or_else(|| Error::new("convnetjs", Rule::new("a network without layers").right("at least one")))?;
    b.g.output("output", value);
    Ok(Imported {
        graph: b.g,
        weights: b.weights,
        metadata: Metadata::default(),
        format: "ConvNetJS".into(),
        producer: "ConvNetJS".into(),
        notes: b.notes,
    })
}

enum Fail {
    Rule(Rule),
    Graph(gabor_graph::Error),
}
impl From<Rule> for Fail {
    fn from(r: Rule) -> Self {
        Fail::Rule(r)
    }
}
impl From<gabor_graph::Error> for Fail {
    fn from(e: gabor_graph::Error) -> Self {
        Fail::Graph(e)
    }
}

struct Builder {
    g: Graph,
    weights: Weights,
    convs: usize,
    fcs: usize,
    notes: Vec<String>,
}

impl Builder {
    fn layer(&mut self, i: usize, l: Layer, x: Option<ValueId>) -> Result<ValueId, Fail> {
        if l.layer_type == "input" {
            if x.is_some() {
                return Err(Rule::new("an input after other layers").right("one, in front").into());
            }
            let [c, h, w] = [l.out_depth, l.out_sy, l.out_sx];
            let shape = if (h, w) == (1, 1) { Shape::batch(&[c]) } else { Shape::batch(&[c, h, w]) };
            return Ok(self.g.input("input", shape, DType::F32)?);
        }
        let x = x.ok_or_else(|| Rule::new("no input stands before it").right("an input layer"))?;
        self.g.scope(format!("{}_{i}", l.layer_type));
        let declared = [l.out_depth, l.out_sy, l.out_sx];
        let y = match l.layer_type.as_str() {
            "conv" => self.conv(l, x)?,
            "fc" => self.fc(l, x)?,
            "pool" => {
                let image = self.image(x)?;
                let sx = l.want("sx", l.sx)?;
                let options = WindowOptions::new(&[l.sy.unwrap_or(sx), sx])
                    .stride(&[l.want("stride", l.stride)?])
                    .padding(Padding::all(l.pad.unwrap_or(0)));
                self.g.max_pool(image, &options)?
            }
            "relu" => self.g.relu(x)?,
            "sigmoid" => self.g.sigmoid(x)?,
            "tanh" => self.g.tanh(x)?,
            "maxout" => {
                let size = l.want("group_size", l.group_size)?;
                let [c, ..] = self.extents(x);
                if c < size {
                    return Err(Rule::new(format!("groups of {size} of {c} channels")).into());
                }
                // Channels that fill no group are left out.
                let whole = c - c % size;
                let v = if whole < c { self.g.slice(x, 1, 0, whole, 1)? } else { x };
                self.g.maxout(v, size)?
            }
            "lrn" => {
                let n = l.want("n", l.n)?;
                if n.is_multiple_of(2) {
                    return Err(Rule::new(format!("a window of {n} channels")).right("an odd number").into());
                }
                let number = |what: &str, v: Option<f64>| v.ok_or_else(|| Rule::new(format!("`{what}` is missing")));
                let (k, alpha, beta) = (number("k", l.k)?, number("alpha", l.alpha)?, number("beta", l.beta)?);
                let image = self.image(x)?;
                self.g.local_response_norm(image, n, alpha, beta, k)?
            }
            "dropout" => {
                // ConvNetJS multiplies by the probability of dropping, where keeping was meant; its networks learnt with it.
                let p = l.drop_prob.unwrap_or(0.5);
                self.notes.push(format!("layer {i} (dropout): values times {p} at inference, as in ConvNetJS"));
                self.g.scale(x, p)?
            }
            "softmax" => {
                let flat = self.flat(x)?;
                self.g.softmax(flat, 1)?
            }
            "svm" | "regression" => self.flat(x)?,
            _ => {
                let right =
                    "input, conv, fc, pool, relu, sigmoid, tanh, maxout, lrn, dropout, softmax, svm or regression";
                return Err(Rule::new("this layer is not known").right(right).into());
            }
        };
        let found = self.extents(y);
        if found != declared {
            let show = |[c, h, w]: [usize; 3]| format!("out_depth {c}, out_sy {h}, out_sx {w}");
            return Err(Rule::new(format!("the layer gives {}, the file says {}", show(found), show(declared))).into());
        }
        Ok(y)
    }

    fn conv(&mut self, mut l: Layer, x: ValueId) -> Result<ValueId, Fail> {
        let sx = l.want("sx", l.sx)?;
        let sy = l.sy.unwrap_or(sx);
        let [depth, ..] = self.extents(x);
        let (filters, biases) = numbers(&mut l, [sx, sy, depth])?;
        self.convs += 1;
        let name = format!("conv{}", self.convs);
        let w = self.parameter(&format!("{name}.weight"), &[l.out_depth, depth, sy, sx], channels_first(filters))?;
        let b = self.parameter(&format!("{name}.bias"), &[l.out_depth], biases.w)?;
        let options =
            WindowOptions::default().stride(&[l.want("stride", l.stride)?]).padding(Padding::all(l.pad.unwrap_or(0)));
        self.g.scope(name);
        let image = self.image(x)?;
        Ok(self.g.conv_bias(image, w, b, 1, &options)?)
    }

    fn fc(&mut self, mut l: Layer, x: ValueId) -> Result<ValueId, Fail> {
        let [c, h, w] = self.extents(x);
        let inputs = c.saturating_mul(h).saturating_mul(w);
        let (mut filters, biases) = numbers(&mut l, [1, 1, inputs])?;
        // A filter runs over a volume with its channels innermost.
        filters.iter_mut().for_each(|f| (f.sx, f.sy, f.depth) = (w, h, c));
        self.fcs += 1;
        let name = format!("fc{}", self.fcs);
        let w = self.parameter(&format!("{name}.weight"), &[l.out_depth, inputs], channels_first(filters))?;
        let b = self.parameter(&format!("{name}.bias"), &[l.out_depth], biases.w)?;
        self.g.scope(name);
        let flat = self.flat(x)?;
        Ok(self.g.linear(flat, w, Some(b))?)
    }

    fn parameter(&mut self, name: &str, shape: &[usize], numbers: Vec<f32>) -> Result<ValueId, Fail> {
        let tensor = Tensor::f32(shape, numbers)?;
        let parameter = match shape.len() {
            1 => Parameter::bias(Initializer::Zeros),
            _ => Parameter::weight(Initializer::KaimingNormal { a: 0.0, fan_out: false }),
        };
        let v = self.g.parameter(name, shape, parameter)?;
        self.weights.insert(name, tensor);
        Ok(v)
    }
    /// `[c, h, w]` of a value `[n, c, h, w]` or `[n, c]`.
    fn extents(&self, x: ValueId) -> [usize; 3] {
        let shape = self.g.shape(x).at(1);
        [1, 2, 3].map(|i| shape.get(i).copied().unwrap_or(1))
    }
    fn image(&mut self, x: ValueId) -> Result<ValueId, Fail> {
        if self.g.shape(x).rank() == 4 {
            return Ok(x);
        }
        let extents = self.extents(x);
        Ok(self.g.reshape(x, &Shape::batch(&extents))?)
    }
    fn flat(&mut self, x: ValueId) -> Result<ValueId, Fail> {
        if self.g.shape(x).rank() == 2 { Ok(x) } else { Ok(self.g.flatten(x)?) }
    }
}

/// A layer's filters and biases, each of the size that is due.
fn numbers(l: &mut Layer, [sx, sy, depth]: [usize; 3]) -> Result<(Vec<Vol>, Vol), Rule> {
    let (filters, biases) = (std::mem::take(&mut l.filters), l.biases.take());
    let biases = biases.ok_or_else(|| Rule::new("`biases` are missing"))?;
    if filters.len() != l.out_depth || biases.w.len() != l.out_depth {
        let rule = format!("{} filters and {} biases for {} outputs", filters.len(), biases.w.len(), l.out_depth);
        return Err(Rule::new(rule).right("one of each per output"));
    }
    let len = sx.saturating_mul(sy).saturating_mul(depth);
    for (i, f) in filters.iter().enumerate() {
        if (f.sx, f.sy, f.depth, f.w.len()) != (sx, sy, depth, len) {
            let rule =
                Rule::new(format!("filter {i} has {} numbers, sx {}, sy {}, depth {}", f.w.len(), f.sx, f.sy, f.depth));
            return Err(rule.right(format!("{len} numbers, sx {sx}, sy {sy}, depth {depth}")));
        }
    }
    Ok((filters, biases))
}

/// From `(y·sx + x)·depth + d` to `(d·sy + y)·sx + x`, filter by filter.
fn channels_first(filters: Vec<Vol>) -> Vec<f32> {
    let mut out = Vec::with_capacity(filters.iter().map(|f| f.w.len()).sum());
    for f in filters {
        for d in 0..f.depth {
            out.extend((0..f.sx * f.sy).map(|at| f.w[at * f.depth + d]));
        }
    }
    out
}
