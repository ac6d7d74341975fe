//! Graph and weights to a `.cfg` text and the bytes of a `.weights` file.

use super::weights::variance_out;
use crate::{Error, Refusal, Result};
use gabor_graph::ops::{
    AdaptiveAvgPool, BatchNormInference, BinaryMap, Clip, Concat, Conv, Elu, GlobalAvgPool, LeakyRelu, MatMul, MaxPool,
    Reshape, Silu, Softmax, UnaryMap, UpsampleNearest,
};
use gabor_graph::{Graph, Node, ValueId};
use gabor_tensor::{Axis, Binary, Dim, Rule, Unary, Weights};
use std::collections::HashMap;

/// The two files of a Darknet network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The text of the `.cfg` file.
    pub cfg: String,
    /// The bytes of the `.weights` file, version 0.2.
    pub weights: Vec<u8>,
}

/// What a layer keeps in the `.weights` file.
enum Numbers {
    None,
    Conv { weight: ValueId },
    Connected { weight: ValueId },
}

/// A section that is being written.
struct Layer {
    kind: &'static str,
    lines: Vec<String>,
    numbers: Numbers,
    bias: Option<ValueId>,
    /// γ, β, mean and variance with what is added to it.
    bn: Option<([ValueId; 4], f64)>,
    activation: Option<&'static str>,
    /// What the layer gives, as far as it is written.
    value: ValueId,
}

/// A place that a value comes from.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Input,
    Layer(usize),
    /// Behind a node that was refused.
    Lost,
}

struct Writer<'a> {
    g: &'a Graph,
    layers: Vec<Layer>,
    place: HashMap<ValueId, Place>,
    /// Parameters that were given another shape.
    parameter: HashMap<ValueId, ValueId>,
    uses: HashMap<ValueId, usize>,
}

/// Writes a network for inference: convolutions with bias or batch normalisation, activations, maximum and global average
/// pooling, linear layers, sums, joined channels, nearest upsampling and a last softmax. Branches become `[route]` and
/// `[shortcut]`.
///
/// # Errors
/// All nodes that Darknet cannot say, with names and reasons; other than one input and one output; weights that do not
/// hold a parameter.
pub fn export(graph: &Graph, weights: &Weights) -> Result<Exported> {
    let fail = |rule| Error::new("darknet", rule);
    let (inputs, outputs): (Vec<ValueId>, _) = (graph.inputs().collect(), graph.outputs());
    let (&[input], [(_, output)]) = (&inputs[..], outputs) else {
        let rule = Rule::new(format!("{} inputs and {} outputs", inputs.len(), outputs.len()));
        return Err(fail(rule.right("one input and one output")));
    };
    let head = match graph.shape(input).0[..] {
        [Dim::Batch(1), Dim::Fixed(c), Dim::Fixed(h), Dim::Fixed(w)] => {
            format!("height={h}\nwidth={w}\nchannels={c}\n")
        }
        [Dim::Batch(1), Dim::Fixed(k)] => format!("inputs={k}\n"),
        _ => {
            let rule = Rule::new(format!("an input of shape {}", graph.shape(input)));
            return Err(fail(rule.right("[n, c, h, w] or [n, k]")));
        }
    };
    let mut w = Writer {
        g: graph,
        layers: Vec::new(),
        place: HashMap::from([(input, Place::Input)]),
        parameter: graph.parameters().map(|(v, _)| (v, v)).collect(),
        uses: HashMap::new(),
    };
    for &v in graph.nodes().iter().flat_map(|n| &n.inputs).chain([output]) {
        *w.uses.entry(v).or_default() += 1;
    }
    let mut refusals = Vec::new();
    for node in graph.nodes() {
        let data = |v: &&ValueId| !w.parameter.contains_key(*v);
        if node.inputs.iter().filter(data).any(|v| w.place.get(v) == Some(&Place::Lost)) {
            w.place.extend(node.outputs.iter().map(|&o| (o, Place::Lost)));
            continue;
        }
        if let Err(rule) = w.node(node) {
            let operation = node.operation.name().to_string();
            refusals.push(Refusal { node: node.name.clone(), operation, reason: rule.to_string() });
            w.place.extend(node.outputs.iter().map(|&o| (o, Place::Lost)));
        }
    }
    if !refusals.is_empty() {
        return Err(Error::refused("darknet", "written", refusals));
    }
    // The last section is the output.
    w.go_to(*output).map_err(fail)?;
    if w.layers.is_empty() {
        return Err(fail(Rule::new("a network without layers")));
    }
    let mut cfg = format!("[net]\n{head}");
    let mut bytes: Vec<u8> = [0i32, 2, 0].iter().flat_map(|v| v.to_le_bytes()).collect();
    bytes.extend_from_slice(&0u64.to_le_bytes());
    for layer in &w.layers {
        layer.write(graph, weights, &mut cfg, &mut bytes)?;
    }
    Ok(Exported { cfg, weights: bytes })
}

impl Writer<'_> {
    fn used_once(&self, v: ValueId) -> bool {
        self.uses.get(&v) == Some(&1)
    }
    /// Makes the layer that gives `x` the last one.
    fn go_to(&mut self, x: ValueId) -> Result<(), Rule> {
        match self.place.get(&x) {
            Some(&Place::Layer(i)) if i + 1 == self.layers.len() => Ok(()),
            Some(&Place::Layer(i)) => {
                self.push("route", vec![format!("layers={i}")], Numbers::None, x);
                Ok(())
            }
            Some(Place::Input) if self.layers.is_empty() => Ok(()),
            Some(Place::Input) => Err(Rule::new("the input is read by a later layer, which Darknet cannot say")),
            _ => Err(Rule::new("an operand that is neither a layer's output nor the input")),
        }
    }
    fn push(&mut self, kind: &'static str, lines: Vec<String>, numbers: Numbers, value: ValueId) {
        self.place.insert(value, Place::Layer(self.layers.len()));
        self.layers.push(Layer { kind, lines, numbers, bias: None, bn: None, activation: None, value });
    }
    /// The layer that `x` ends, if another operation may still be said in its section.
    fn open(&mut self, x: ValueId) -> Option<&mut Layer> {
        let Some(&Place::Layer(i)) = self.place.get(&x) else { return None };
        let fits = i + 1 == self.layers.len() && self.layers[i].value == x && self.used_once(x);
        self.layers.get_mut(i).filter(|l| fits && l.activation.is_none())
    }
    /// The same layer now ends in `y`.
    fn extend(&mut self, y: ValueId) {
        if let Some(layer) = self.layers.last_mut() {
            layer.value = y;
        }
        self.place.insert(y, Place::Layer(self.layers.len() - 1));
    }
    fn parameter(&self, v: ValueId) -> Result<ValueId, Rule> {
        self.parameter.get(&v).copied().ok_or_else(|| Rule::new("a weight that is no parameter"))
    }

    fn node(&mut self, node: &Node) -> Result<(), Rule> {
        let (x, y) = (node.inputs[0], node.outputs[0]);
        if let Some(activation) = activation(node)? {
            if let Some(layer) = self.open(x).filter(|l| !matches!(l.numbers, Numbers::None)) {
                layer.activation = Some(activation);
                self.extend(y);
                return Ok(());
            }
            self.go_to(x)?;
            self.push("activation", vec![format!("activation={activation}")], Numbers::None, y);
            return Ok(());
        }
        if let Some(op) = node.op::<Conv>() {
            return self.conv(op, node);
        }
        if let Some(op) = node.op::<BatchNormInference>() {
            let v = &node.inputs;
            let vectors = [self.parameter(v[1])?, self.parameter(v[2])?, self.parameter(v[3])?, self.parameter(v[4])?];
            let free = |l: &&mut Layer| !matches!(l.numbers, Numbers::None) && l.bias.is_none() && l.bn.is_none();
            let layer = self.open(x).filter(free);
            let layer =
                layer.ok_or_else(|| Rule::new("batch normalisation other than right after a layer without bias"))?;
            layer.bn = Some((vectors, op.eps));
            self.extend(y);
            return Ok(());
        }
        if node.op::<BinaryMap>().is_some_and(|op| op.f == Binary::Add) {
            return self.sum(node);
        }
        if let Some(op) = node.op::<MatMul>() {
            if op.transpose_a || !op.transpose_b {
                return Err(Rule::new("a matrix product other than a linear layer's"));
            }
            let weight = self.parameter(node.inputs[1])?;
            self.go_to(x)?;
            let outputs = self.g.shape(weight).at(1)[0];
            self.push("connected", vec![format!("output={outputs}")], Numbers::Connected { weight }, y);
            return Ok(());
        }
        if node.op::<Reshape>().is_some() {
            return self.reshape(x, y);
        }
        let (kind, lines) = if let Some(op) = node.op::<MaxPool>() {
            ("maxpool", max_pool(op.window.axes())?)
        } else if node.op::<GlobalAvgPool>().is_some()
            || node.op::<AdaptiveAvgPool>().is_some_and(|op| op.output.iter().all(|&o| o == 1))
        {
            ("avgpool", vec![])
        } else if let Some(op) = node.op::<UpsampleNearest>() {
            match op.scale[..] {
                [a, b] if a == b => ("upsample", vec![format!("stride={a}")]),
                _ => return Err(Rule::new(format!("scales {:?}", op.scale)).right("two equal ones")),
            }
        } else if let Some(op) = node.op::<Softmax>() {
            if op.axis != 1 || self.g.shape(x).rank() != 2 {
                return Err(Rule::new(format!("softmax over axis {} of {}", op.axis, self.g.shape(x))));
            }
            ("softmax", vec!["groups=1".into()])
        } else if let Some(op) = node.op::<Concat>() {
            if op.axis != 1 {
                return Err(Rule::new(format!("joined along axis {}", op.axis)).right("axis 1, channels"));
            }
            let mut from = Vec::new();
            for v in &node.inputs {
                match self.place.get(v) {
                    Some(Place::Layer(i)) => from.push(i.to_string()),
                    _ => return Err(Rule::new("an operand that no layer makes, which Darknet cannot say")),
                }
            }
            self.push("route", vec![format!("layers={}", from.join(","))], Numbers::None, y);
            return Ok(());
        } else {
            return Err(Rule::new("Darknet has no such layer"));
        };
        self.go_to(x)?;
        self.push(kind, lines, Numbers::None, y);
        Ok(())
    }

    fn conv(&mut self, op: &Conv, node: &Node) -> Result<(), Rule> {
        let g = &op.geometry;
        let weight = self.parameter(node.inputs[1])?;
        let [a, b] = g.window.axes() else {
            return Err(Rule::new(format!("{} spatial dimensions", g.window.rank())).right("2"));
        };
        let square = |f: fn(&Axis) -> usize| f(a) == f(b);
        let same = square(|a| a.kernel) && square(|a| a.stride) && square(|a| a.dilation) && square(|a| a.pad_begin);
        if !same || a.pad_begin != a.pad_end || b.pad_begin != b.pad_end || g.window.is_ceil() {
            return Err(Rule::new(format!("a window {}", g.window)).right("a square one, padded equally on all sides"));
        }
        if a.dilation > 1 {
            return Err(Rule::new(format!("dilation {}", a.dilation)).right("1: Darknet has no other"));
        }
        self.go_to(node.inputs[0])?;
        let mut lines = vec![format!("filters={}", g.co), format!("size={}", a.kernel), format!("stride={}", a.stride)];
        lines.push(if a.pad_begin == a.kernel / 2 { "pad=1".into() } else { format!("padding={}", a.pad_begin) });
        if g.groups > 1 {
            lines.push(format!("groups={}", g.groups));
        }
        self.push("convolutional", lines, Numbers::Conv { weight }, node.outputs[0]);
        Ok(())
    }

    /// A bias, or two layers' outputs.
    fn sum(&mut self, node: &Node) -> Result<(), Rule> {
        let (mut a, mut b, y) = (node.inputs[0], node.inputs[1], node.outputs[0]);
        if self.parameter.contains_key(&a) {
            std::mem::swap(&mut a, &mut b);
        }
        if let Some(&p) = self.parameter.get(&b) {
            let free = |l: &&mut Layer| !matches!(l.numbers, Numbers::None) && l.bias.is_none() && l.bn.is_none();
            let c = self.g.shape(a).0.get(1).copied();
            let fits = c.is_some() && self.g.shape(p).0.iter().copied().eq(c);
            let layer = self.open(a).filter(free).filter(|_| fits);
            layer.ok_or_else(|| Rule::new("a bias other than right after a layer without one"))?.bias = Some(p);
            self.extend(y);
            return Ok(());
        }
        if self.g.shape(a) != self.g.shape(b) {
            return Err(Rule::new(format!("a sum of {} and {}", self.g.shape(a), self.g.shape(b))));
        }
        if !matches!(self.place.get(&b), Some(&Place::Layer(i)) if i + 1 == self.layers.len()) {
            std::mem::swap(&mut a, &mut b);
        }
        let Some(&Place::Layer(from)) = self.place.get(&a) else {
            return Err(Rule::new("a sum with what no layer makes, which Darknet cannot say"));
        };
        self.go_to(b)?;
        self.push("shortcut", vec![format!("from={from}")], Numbers::None, y);
        Ok(())
    }

    /// Between `[n, c, 1, 1]`, `[n, c]` and `[n, c·h·w]` nothing happens in Darknet.
    fn reshape(&mut self, x: ValueId, y: ValueId) -> Result<(), Rule> {
        if let Some(&p) = self.parameter.get(&x) {
            self.parameter.insert(y, p);
            return Ok(());
        }
        let shape = self.g.shape(y).clone();
        let plain = shape.rank() == 2 || shape.rank() == 4 && shape.0[2..].iter().all(|d| *d == Dim::Fixed(1));
        if !plain || shape.0[0] != Dim::Batch(1) {
            return Err(Rule::new(format!("{} as {shape}", self.g.shape(x))).right("[n, c·h·w]"));
        }
        let place = self.place.get(&x).copied().unwrap_or(Place::Lost);
        self.place.insert(y, place);
        if let Place::Layer(i) = place
            && self.layers[i].value == x
            && self.used_once(x)
        {
            self.layers[i].value = y;
        }
        Ok(())
    }
}

impl Layer {
    fn write(&self, g: &Graph, weights: &Weights, cfg: &mut String, bytes: &mut Vec<u8>) -> Result<()> {
        cfg.push_str(&format!("\n[{}]\n", self.kind));
        if self.bn.is_some() {
            cfg.push_str("batch_normalize=1\n");
        }
        self.lines.iter().for_each(|l| cfg.push_str(&format!("{l}\n")));
        let (weight, connected) = match self.numbers {
            Numbers::None => return Ok(()),
            Numbers::Conv { weight } => (weight, false),
            Numbers::Connected { weight } => (weight, true),
        };
        cfg.push_str(&format!("activation={}\n", self.activation.unwrap_or("linear")));
        let numbers = |v: ValueId| {
            let name = &g.value(v).name;
            let want = g.shape(v).at(1);
            let t = weights.get(name).filter(|t| t.shape() == want);
            let t = t.ok_or_else(|| Error::new(name, Rule::new(format!("the weights hold none of shape {want:?}"))))?;
            Ok::<Vec<f32>, Error>(t.to_f64().into_iter().map(|x| x as f32).collect())
        };
        let mut put = |v: Vec<f32>| v.iter().for_each(|x| bytes.extend_from_slice(&x.to_le_bytes()));
        let outputs = g.shape(weight).at(1)[0];
        let Some(([gamma, beta, mean, var], eps)) = self.bn else {
            put(match self.bias {
                Some(b) => numbers(b)?,
                None => vec![0.0; outputs],
            });
            put(numbers(weight)?);
            return Ok(());
        };
        let variance: Option<Vec<f32>> = numbers(var)?.into_iter().map(|v| variance_out(v, eps)).collect();
        let name = &g.value(var).name;
        let variance = variance.ok_or_else(|| {
            let rule = Rule::new(format!("a variance below what Darknet adds to it, with eps {eps}"));
            Error::new(name, rule.right("√(var + eps) of at least 10⁻⁶"))
        })?;
        put(numbers(beta)?);
        if connected {
            put(numbers(weight)?);
        }
        put(numbers(gamma)?);
        put(numbers(mean)?);
        put(variance);
        if !connected {
            put(numbers(weight)?);
        }
        Ok(())
    }
}

/// Darknet's name of an activation; an error for one with numbers that it does not have.
fn activation(node: &Node) -> Result<Option<&'static str>, Rule> {
    let found = |ok: bool, name, rule: &dyn Fn() -> Rule| if ok { Ok(Some(name)) } else { Err(rule()) };
    if let Some(op) = node.op::<UnaryMap>() {
        return match op.f {
            Unary::Relu => Ok(Some("relu")),
            Unary::Sigmoid => Ok(Some("logistic")),
            Unary::Tanh => Ok(Some("tanh")),
            f => Err(Rule::new(format!("Darknet has no activation {f}"))),
        };
    }
    if let Some(op) = node.op::<LeakyRelu>() {
        // A number that came through a file of 32-bit floats is no longer 0.1 to the last digit.
        let slope = op.slope as f32;
        let name = if slope == 0.01 { "relie" } else { "leaky" };
        let rule = || Rule::new(format!("slope {slope}")).right("0.1 (leaky) or 0.01 (relie)");
        return found(slope == 0.1 || slope == 0.01, name, &rule);
    }
    if let Some(op) = node.op::<Elu>() {
        return found(op.alpha == 1.0, "elu", &|| Rule::new(format!("alpha {}", op.alpha)).right("1"));
    }
    if let Some(op) = node.op::<Clip>() {
        let rule = || Rule::new(format!("clip to [{}, {}]", op.min, op.max)).right("[0, 6] or [-1, 1]");
        let name = if op.min == 0.0 { "relu6" } else { "hardtan" };
        return found([(0.0, 6.0), (-1.0, 1.0)].contains(&(op.min, op.max)), name, &rule);
    }
    Ok(node.op::<Silu>().map(|_| "swish"))
}

/// A maximum never comes from padding, so any padding that gives the same windows says the same.
fn max_pool(axes: &[Axis]) -> Result<Vec<String>, Rule> {
    let fits = |a: &Axis, p: usize| {
        p / 2 == a.pad_begin && (a.input + p).checked_sub(a.kernel).map(|room| room / a.stride + 1) == Some(a.output)
    };
    match axes {
        [a, b] if a.kernel == b.kernel && a.stride == b.stride && a.dilation == 1 && b.dilation == 1 => {
            let padding = (0..2 * a.kernel).rev().find(|&p| fits(a, p) && fits(b, p)).ok_or_else(|| {
                Rule::new("padding that Darknet cannot say").right("half of it, rounded down, before the first element")
            })?;
            let mut lines = vec![format!("size={}", a.kernel), format!("stride={}", a.stride)];
            if padding != a.kernel - 1 {
                lines.push(format!("padding={padding}"));
            }
            Ok(lines)
        }
        _ => Err(Rule::new("a window that is not square, or dilated").right("a square one")),
    }
}
