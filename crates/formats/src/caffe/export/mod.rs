//! Graph and weights to a `.prototxt` text and the bytes of a `.caffemodel`.

mod maps;
mod plain;
mod weighted;

use super::proto::{BlobProto, BlobShape, WrittenLayer, WrittenNet};
use super::row;
use crate::wire::{Message, Packed};
use crate::{Error, Metadata, Refusal, Result};
use gabor_graph::ops::{BinaryMap, Reshape};
use gabor_graph::{Graph, Node, Source, ValueId};
use gabor_tensor::{DType, Dim, Rule, Shape, Tensor, Weights};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// The two files of a Caffe network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The text of the `.prototxt` file.
    pub prototxt: String,
    /// The bytes of the `.caffemodel` file.
    pub caffemodel: Vec<u8>,
}

/// Most bytes of numbers in a file, with room for the rest below 2 GiB, where protocol buffers end.
const MOST_BYTES: usize = (1 << 31) - (1 << 26);

/// Names of more classes than these are no comment that anyone reads.
const MOST_CLASSES: usize = 100;

/// Numbers that are known before the network runs: parameters, constants and what is made of them.
#[derive(Clone)]
struct Array<'a> {
    shape: Vec<usize>,
    numbers: Cow<'a, [f32]>,
}

impl<'a> Array<'a> {
    fn of(t: &'a Tensor) -> Self {
        let numbers = match t.as_f32() {
            Ok(v) => Cow::Borrowed(v),
            Err(_) => Cow::Owned(t.to_f64().into_iter().map(|v| v as f32).collect()),
        };
        Array { shape: t.shape().to_vec(), numbers }
    }
    fn new(shape: &[usize], numbers: Vec<f32>) -> Self {
        Array { shape: shape.to_vec(), numbers: numbers.into() }
    }
    fn with_shape(&self, shape: &[usize]) -> Self {
        Array { shape: shape.to_vec(), numbers: self.numbers.clone() }
    }
}

/// A layer that is being written.
struct Layer<'a> {
    name: String,
    kind: &'static str,
    bottoms: Vec<String>,
    tops: Vec<String>,
    /// Lines of its settings.
    lines: Vec<String>,
    arrays: Vec<Array<'a>>,
}

struct Writer<'a> {
    g: &'a Graph,
    layers: Vec<Layer<'a>>,
    /// The top that holds a value; none behind a node that was refused.
    tops: HashMap<ValueId, Option<String>>,
    /// The layer that makes a value.
    made_by: HashMap<ValueId, usize>,
    known: HashMap<ValueId, Array<'a>>,
    uses: HashMap<ValueId, usize>,
    outputs: HashMap<ValueId, &'a str>,
    layer_names: HashSet<String>,
    top_names: HashSet<String>,
}

/// Writes a network for inference, in the form that Caffe has had since 2014: layers of Caffe itself, none of its forks
/// (Clip and Swish are there since 2018). `metadata` becomes comments.
///
/// Caffe rounds the sizes of pooling up; where that makes more windows than the graph has, a Slice cuts the last ones off.
/// Batch normalisation becomes two layers, a shuffle of channels a Slice and a Concat, nearest upsampling a Deconvolution, and
/// padding or every second element a Convolution that changes nothing else.
///
/// # Errors
/// All nodes that no layers of Caffe express, with names and reasons; inputs without a batch; an output that is an input or
/// has two names; weights that do not hold a parameter, none at all, or more than a file can hold.
pub fn export(graph: &Graph, weights: &Weights, metadata: &Metadata) -> Result<Exported> {
    let needed = ancestors(graph);
    let mut w = Writer::new(graph, weights, &needed)?;
    let mut refusals = Vec::new();
    for node in graph.nodes().iter().filter(|n| n.outputs.iter().any(|o| needed.contains(o))) {
        if node.inputs.iter().any(|v| w.tops.get(v) == Some(&None)) {
            w.tops.extend(node.outputs.iter().map(|&o| (o, None)));
            continue;
        }
        if let Err(rule) = w.node(node) {
            let operation = node.operation.name().to_string();
            refusals.push(Refusal { node: node.name.clone(), operation, reason: rule.to_string() });
            w.tops.extend(node.outputs.iter().map(|&o| (o, None)));
        }
    }
    if !refusals.is_empty() {
        return Err(Error::refused("caffe", "written", refusals));
    }
    for (name, v) in graph.outputs() {
        if !w.made_by.contains_key(v) {
            return Err(Error::new(name, Rule::new("an output that no layer makes, which Caffe does not have")));
        }
    }
    if w.layers.iter().all(|l| l.arrays.is_empty()) {
        let rule = Rule::new("a network without weights: its .caffemodel would be empty");
        return Err(Error::new(&graph.name, rule.right("at least one parameter")));
    }
    let stored: usize = w.layers.iter().flat_map(|l| &l.arrays).map(|a| 4 * a.numbers.len()).sum();
    if stored > MOST_BYTES {
        let rule = Rule::new(format!("{stored} bytes of weights in one .caffemodel"));
        return Err(Error::new(&graph.name, rule.right("less than 2 GiB, where protocol buffers end")));
    }
    let mut prototxt = comments(metadata);
    prototxt.push_str(&format!("name: {}\n", quoted(&graph.name)));
    w.layers.iter().for_each(|l| l.write(&mut prototxt));
    let net = WrittenNet { name: graph.name.clone().into(), layer: w.layers.into_iter().map(Layer::numbers).collect() };
    let mut caffemodel = Vec::new();
    net.put(&mut caffemodel);
    Ok(Exported { prototxt, caffemodel })
}

/// The values that the outputs depend on, and the outputs.
fn ancestors(graph: &Graph) -> HashSet<ValueId> {
    let mut needed: HashSet<ValueId> = graph.outputs().iter().map(|&(_, v)| v).collect();
    for node in graph.nodes().iter().rev() {
        if node.outputs.iter().any(|o| needed.contains(o)) {
            needed.extend(&node.inputs);
        }
    }
    needed
}

/// A name that was not taken, and now is.
fn unique(taken: &mut HashSet<String>, base: &str) -> String {
    let base = if base.is_empty() { "layer" } else { base };
    let names = std::iter::once(base.to_string()).chain((2..).map(|i| format!("{base}_{i}")));
    let name = names.into_iter().find(|n| !taken.contains(n)).unwrap_or_default();
    taken.insert(name.clone());
    name
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What Caffe has no field for.
fn comments(metadata: &Metadata) -> String {
    let mut out = String::from("# Written by gabor.\n");
    let mut line = |what: &str, text: &str| {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        out.push_str(&format!("# {what}: {text}\n"));
    };
    if let Some(how) = &metadata.preprocessing {
        line("preprocessing", how);
    }
    if metadata.classes.len() <= MOST_CLASSES {
        metadata.classes.iter().enumerate().for_each(|(i, name)| line(&format!("class {i}"), name));
    }
    out
}

impl Layer<'_> {
    fn write(&self, out: &mut String) {
        out.push_str(&format!("layer {{\n  name: {}\n  type: \"{}\"\n", quoted(&self.name), self.kind));
        self.bottoms.iter().for_each(|b| out.push_str(&format!("  bottom: {}\n", quoted(b))));
        self.tops.iter().for_each(|t| out.push_str(&format!("  top: {}\n", quoted(t))));
        let mut lines = self.lines.clone();
        match (self.kind, self.arrays.len()) {
            ("Convolution" | "Deconvolution" | "InnerProduct", 1) => lines.push("bias_term: false".into()),
            ("Scale", 2) => lines.push("bias_term: true".into()),
            _ => {}
        }
        if !lines.is_empty() {
            let message = if self.kind == "Input" { "input_param" } else { row(self.kind).map_or("", |r| r.1) };
            out.push_str(&format!("  {message} {{\n"));
            lines.iter().for_each(|l| out.push_str(&format!("    {l}\n")));
            out.push_str("  }\n");
        }
        out.push_str("}\n");
    }
    fn numbers(self) -> WrittenLayer<'static> {
        let blob = |a: Array<'_>| BlobProto {
            shape: Some(BlobShape { dim: Packed(a.shape.iter().map(|&d| d as i64).collect()) }),
            data: Packed(a.numbers.into_owned()),
            ..Default::default()
        };
        WrittenLayer {
            name: self.name.into(),
            kind: self.kind.into(),
            bottom: self.bottoms.into_iter().map(Cow::Owned).collect(),
            top: self.tops.into_iter().map(Cow::Owned).collect(),
            blobs: self.arrays.into_iter().map(blob).collect(),
        }
    }
}

impl<'a> Writer<'a> {
    /// The inputs as layers, and all numbers that are known.
    fn new(g: &'a Graph, weights: &'a Weights, needed: &HashSet<ValueId>) -> Result<Self> {
        let mut w = Writer {
            g,
            layers: Vec::new(),
            tops: HashMap::new(),
            made_by: HashMap::new(),
            known: HashMap::new(),
            uses: HashMap::new(),
            outputs: HashMap::new(),
            layer_names: HashSet::new(),
            top_names: HashSet::new(),
        };
        for (name, v) in g.outputs() {
            if w.outputs.insert(*v, name).is_some() || !w.top_names.insert(name.clone()) {
                let rule = Rule::new("an output that has two names, or a name of two outputs");
                return Err(Error::new(name, rule.right("one name each")));
            }
            *w.uses.entry(*v).or_default() += 1;
        }
        let live = g.nodes().iter().filter(|n| n.outputs.iter().any(|o| needed.contains(o)));
        live.flat_map(|n| &n.inputs).for_each(|&v| *w.uses.entry(v).or_default() += 1);
        for v in g.value_ids().filter(|v| needed.contains(v)) {
            let value = g.value(v);
            match &value.source {
                Source::Input => w.input(v)?,
                Source::Parameter(_) => {
                    let want = value.ty.shape.at(1);
                    let t = weights.get(&value.name).filter(|t| t.shape() == want);
                    let rule = || Rule::new(format!("the weights hold none of shape {want:?}"));
                    w.known.insert(v, Array::of(t.ok_or_else(|| Error::new(&value.name, rule()))?));
                }
                Source::Constant(t) => drop(w.known.insert(v, Array::of(t))),
                Source::Node(..) => {}
            }
        }
        Ok(w)
    }
    fn input(&mut self, v: ValueId) -> Result<()> {
        let value = self.g.value(v);
        let extents: Option<Vec<usize>> = value.ty.shape.0.iter().skip(1).map(|d| d.fixed()).collect();
        let batched = value.ty.shape.0.first() == Some(&Dim::Batch(1));
        let extents = extents.filter(|e| batched && !e.is_empty() && value.ty.dtype == DType::F32);
        let rule = || Rule::new(format!("an input {}", value.ty)).right("f32, [n, …] with known extents");
        let extents = extents.ok_or_else(|| Error::new(&value.name, rule()))?;
        if !self.top_names.insert(value.name.clone()) {
            return Err(Error::new(&value.name, Rule::new("an input and an output of one name").right("two names")));
        }
        let dims: String = extents.iter().map(|d| format!(" dim: {d}")).collect();
        let name = unique(&mut self.layer_names, &value.name);
        self.layers.push(Layer {
            name,
            kind: "Input",
            bottoms: Vec::new(),
            tops: vec![value.name.clone()],
            lines: vec![format!("shape {{ dim: 1{dims} }}")],
            arrays: Vec::new(),
        });
        self.tops.insert(v, Some(value.name.clone()));
        Ok(())
    }

    /// Adds a layer; its top is the value `y`, or one that only the next layers read.
    fn push(
        &mut self,
        base: &str,
        kind: &'static str,
        bottoms: Vec<String>,
        lines: Vec<String>,
        arrays: Vec<Array<'a>>,
        y: Option<ValueId>,
    ) -> String {
        let name = unique(&mut self.layer_names, base);
        let top = match y.and_then(|y| self.output_name(y)) {
            Some(output) => output,
            None => unique(&mut self.top_names, &name),
        };
        if let Some(y) = y {
            self.tops.insert(y, Some(top.clone()));
            self.made_by.insert(y, self.layers.len());
        }
        self.layers.push(Layer { name, kind, bottoms, tops: vec![top.clone()], lines, arrays });
        top
    }
    /// The name of an output that nothing else reads.
    fn output_name(&self, y: ValueId) -> Option<String> {
        self.outputs.get(&y).filter(|_| self.uses.get(&y) == Some(&1)).map(|n| n.to_string())
    }
    /// The layer that ends in `x` for one reader alone and has room for a bias.
    fn open(&self, x: ValueId) -> Option<usize> {
        let i = *self.made_by.get(&x).filter(|_| self.uses.get(&x) == Some(&1))?;
        let l = &self.layers[i];
        let kind = matches!(l.kind, "Convolution" | "Deconvolution" | "InnerProduct" | "Scale");
        (kind && l.arrays.len() == 1 && l.bottoms.len() == 1).then_some(i)
    }
    /// The bias of a layer, which then ends in `y`.
    fn add_bias(&mut self, i: usize, bias: Array<'a>, y: ValueId) {
        let output = self.output_name(y);
        let layer = &mut self.layers[i];
        layer.arrays.push(bias);
        if let Some(output) = output {
            self.top_names.remove(&layer.tops[0]);
            layer.tops[0] = output;
        }
        self.tops.insert(y, Some(layer.tops[0].clone()));
        self.made_by.insert(y, i);
    }
    /// The top that holds a value.
    fn bottom(&self, x: ValueId) -> Result<String, Rule> {
        let top = self.tops.get(&x).cloned().flatten();
        top.ok_or_else(|| Rule::new("an operand that is a number, where Caffe reads another layer"))
    }
    fn array(&self, v: ValueId) -> Result<&Array<'a>, Rule> {
        self.known.get(&v).ok_or_else(|| Rule::new("weights that are computed").right("a parameter or a constant"))
    }
    fn shape(&self, v: ValueId) -> &'a Shape {
        self.g.shape(v)
    }
    /// The extents of a value behind the batch.
    fn extents(&self, v: ValueId) -> Result<Vec<usize>, Rule> {
        let shape = self.shape(v);
        let known: Option<Vec<usize>> = shape.0.iter().skip(1).map(|d| d.fixed()).collect();
        known
            .filter(|_| shape.0.first() == Some(&Dim::Batch(1)))
            .ok_or_else(|| Rule::new(format!("a value of shape {shape}")).right("[n, …]"))
    }

    fn node(&mut self, node: &Node) -> Result<(), Rule> {
        if let Some(&second) = node.outputs.get(1).filter(|v| self.uses.contains_key(v)) {
            let name = &self.g.value(second).name;
            return Err(Rule::new(format!("its second output `{name}` is read, which Caffe does not give")));
        }
        let y = node.outputs[0];
        if node.inputs.iter().all(|v| self.known.contains_key(v)) {
            let array = self.compute(node)?;
            self.known.insert(y, array);
            return Ok(());
        }
        self.extents(y)?;
        if !self.weighted(node)? && !self.window(node)? && !self.plain(node)? {
            return Err(Rule::new("Caffe has no such layer"));
        }
        // An output that a later layer reads would be none in Caffe.
        if let Some(output) = self.outputs.get(&y).filter(|_| self.uses.get(&y) != Some(&1)) {
            let output = output.to_string();
            let x = self.bottom(y)?;
            let name = unique(&mut self.layer_names, &format!("{x}_split"));
            let other = unique(&mut self.top_names, &name);
            let tops = vec![output, other.clone()];
            self.made_by.insert(y, self.layers.len());
            self.layers.push(Layer { name, kind: "Split", bottoms: vec![x], tops, lines: vec![], arrays: vec![] });
            self.tops.insert(y, Some(other));
        }
        Ok(())
    }
    /// Numbers made of numbers: other extents, or element by element.
    fn compute(&self, node: &Node) -> Result<Array<'a>, Rule> {
        let a = self.array(node.inputs[0])?;
        if node.op::<Reshape>().is_some() {
            return Ok(a.with_shape(&self.shape(node.outputs[0]).at(1)));
        }
        let Some(op) = node.op::<BinaryMap>() else { return Err(Rule::new("it computes weights from weights")) };
        let b = self.array(node.inputs[1])?;
        if a.shape != b.shape {
            return Err(Rule::new(format!("weights {:?} and {:?}", a.shape, b.shape)).right("equal extents"));
        }
        let numbers = a.numbers.iter().zip(b.numbers.iter()).map(|(&p, &q)| op.f.eval(p, q)).collect();
        Ok(Array::new(&a.shape, numbers))
    }
}
