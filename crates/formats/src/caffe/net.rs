//! The layers of a `.prototxt` in one form, whatever year it was written in.
//!
//! `layer` (since 2014), `layers` with types in capitals, and `layers { layer { type: "conv" … } }` (2013), whose settings
//! stood in one message and whose padding was a layer, become layers of the first kind, for the phase TEST.

use super::text::{Field, Msg, Position, Value};
use crate::{Error, Result};
use gabor_tensor::Rule;
use std::borrow::Cow;
use std::cell::Cell;

/// A layer of today's form.
#[derive(Clone, Debug)]
pub(super) struct Layer<'a> {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) bottoms: Vec<String>,
    pub(super) tops: Vec<String>,
    /// Names under which its arrays are shared, in order; empty for arrays of its own.
    pub(super) shared: Vec<String>,
    pub(super) msg: Msg<'a>,
}

impl Layer<'_> {
    /// Where it stands, for messages.
    pub(super) fn place(&self) -> String {
        format!("line {}: layer `{}` ({})", self.msg.at.line, self.name, self.kind)
    }
    pub(super) fn error(&self, rule: Rule) -> Error {
        Error::new(self.place(), rule)
    }
}

/// A network: inputs that stand outside layers, and layers.
pub(super) struct Net<'a> {
    pub(super) name: String,
    /// Name and extents of each.
    pub(super) inputs: Vec<(String, Vec<usize>)>,
    pub(super) layers: Vec<Layer<'a>>,
}

/// Types of the second form and today's.
const OLD_TYPES: &[(&str, &str)] = &[
    ("ABSVAL", "AbsVal"),
    ("ACCURACY", "Accuracy"),
    ("ARGMAX", "ArgMax"),
    ("BNLL", "BNLL"),
    ("CONCAT", "Concat"),
    ("CONTRASTIVE_LOSS", "ContrastiveLoss"),
    ("CONVOLUTION", "Convolution"),
    ("DATA", "Data"),
    ("DECONVOLUTION", "Deconvolution"),
    ("DROPOUT", "Dropout"),
    ("DUMMY_DATA", "DummyData"),
    ("EUCLIDEAN_LOSS", "EuclideanLoss"),
    ("ELTWISE", "Eltwise"),
    ("EXP", "Exp"),
    ("FLATTEN", "Flatten"),
    ("HDF5_DATA", "HDF5Data"),
    ("HDF5_OUTPUT", "HDF5Output"),
    ("HINGE_LOSS", "HingeLoss"),
    ("IM2COL", "Im2col"),
    ("IMAGE_DATA", "ImageData"),
    ("INFOGAIN_LOSS", "InfogainLoss"),
    ("INNER_PRODUCT", "InnerProduct"),
    ("LRN", "LRN"),
    ("MEMORY_DATA", "MemoryData"),
    ("MULTINOMIAL_LOGISTIC_LOSS", "MultinomialLogisticLoss"),
    ("MVN", "MVN"),
    ("POOLING", "Pooling"),
    ("POWER", "Power"),
    ("RELU", "ReLU"),
    ("SIGMOID", "Sigmoid"),
    ("SIGMOID_CROSS_ENTROPY_LOSS", "SigmoidCrossEntropyLoss"),
    ("SILENCE", "Silence"),
    ("SLICE", "Slice"),
    ("SOFTMAX", "Softmax"),
    ("SOFTMAX_LOSS", "SoftmaxWithLoss"),
    ("SPLIT", "Split"),
    ("TANH", "TanH"),
    ("THRESHOLD", "Threshold"),
    ("WINDOW_DATA", "WindowData"),
];

/// Types of the first form: today's, the message of its settings, and those with their names then and now.
type Settings = &'static [(&'static str, &'static str)];
const FIRST_TYPES: &[(&str, &str, &str, Settings)] = &[
    ("accuracy", "Accuracy", "", &[]),
    ("bnll", "BNLL", "", &[]),
    ("concat", "Concat", "concat_param", &[("concat_dim", "concat_dim")]),
    (
        "conv",
        "Convolution",
        "convolution_param",
        &[
            ("num_output", "num_output"),
            ("biasterm", "bias_term"),
            ("pad", "pad"),
            ("kernelsize", "kernel_size"),
            ("group", "group"),
            ("stride", "stride"),
        ],
    ),
    ("data", "Data", "", &[]),
    ("dropout", "Dropout", "dropout_param", &[("dropout_ratio", "dropout_ratio")]),
    ("euclidean_loss", "EuclideanLoss", "", &[]),
    ("flatten", "Flatten", "", &[]),
    ("hinge_loss", "HingeLoss", "", &[]),
    ("im2col", "Im2col", "", &[]),
    ("images", "ImageData", "", &[]),
    ("infogain_loss", "InfogainLoss", "", &[]),
    ("innerproduct", "InnerProduct", "inner_product_param", &[("num_output", "num_output"), ("biasterm", "bias_term")]),
    ("lrn", "LRN", "lrn_param", &[("local_size", "local_size"), ("alpha", "alpha"), ("beta", "beta"), ("k", "k")]),
    ("multinomial_logistic_loss", "MultinomialLogisticLoss", "", &[]),
    ("padding", "Padding", "padding_param", &[("pad", "pad")]),
    (
        "pool",
        "Pooling",
        "pooling_param",
        &[("pool", "pool"), ("pad", "pad"), ("kernelsize", "kernel_size"), ("stride", "stride")],
    ),
    ("relu", "ReLU", "", &[]),
    ("sigmoid", "Sigmoid", "", &[]),
    ("softmax", "Softmax", "", &[]),
    ("softmax_loss", "SoftmaxWithLoss", "", &[]),
    ("split", "Split", "", &[]),
    ("tanh", "TanH", "", &[]),
    ("window_data", "WindowData", "", &[]),
];

/// Reads the network for the phase TEST.
pub(super) fn read<'a>(root: &Msg<'a>) -> Result<Net<'a>> {
    let name = root.text("name")?.unwrap_or("caffe").to_string();
    root.ignore(&["force_backward", "debug_info"]);
    let state = root.message("state")?;
    let stages: Vec<String> = state.map(|s| s.texts("stage")).transpose()?.unwrap_or_default();
    let level = state.map(|s| s.int("level", 0)).transpose()?.unwrap_or(0);
    let train = state.map(|s| s.word("phase")).transpose()?.flatten() == Some("TRAIN");
    if train {
        return Err(root.at.error(Rule::new("the network's state is the phase TRAIN").right("TEST")));
    }
    let inputs = inputs(root)?;
    let mut layers = Vec::new();
    for field in &root.fields {
        match (field.name, &field.value) {
            ("layer", Value::Message(m)) => {
                field.used.set(true);
                layers.push(today(m.clone())?);
            }
            ("layers", Value::Message(m)) => {
                field.used.set(true);
                layers.push(old(m)?);
            }
            _ => {}
        }
    }
    root.all_read("the network")?;
    let mut kept = Vec::new();
    for layer in layers {
        if included(&layer, level, &stages)? {
            kept.push(layer);
        }
    }
    let layers = merge_padding(kept)?;
    Ok(Net { name, inputs, layers })
}

fn today(msg: Msg<'_>) -> Result<Layer<'_>> {
    let name = msg.text("name")?.unwrap_or("").to_string();
    let kind = msg.text("type")?.ok_or_else(|| msg.at.error(Rule::new(format!("layer `{name}` has no `type`"))))?;
    let kind = kind.to_string();
    let (bottoms, tops) = (msg.texts("bottom")?, msg.texts("top")?);
    let mut shared = Vec::new();
    for param in msg.messages("param")? {
        shared.push(param.text("name")?.unwrap_or("").to_string());
    }
    Ok(Layer { name, kind, bottoms, tops, shared, msg })
}

/// A layer of the second form, which may hold one of the first.
fn old<'a>(msg: &Msg<'a>) -> Result<Layer<'a>> {
    let (bottoms, tops) = (msg.texts("bottom")?, msg.texts("top")?);
    if let Some(first) = msg.message("layer")? {
        let name = first.text("name")?.unwrap_or("").to_string();
        let kind = first.text("type")?.unwrap_or("").to_string();
        let Some(&(_, now, param, settings)) = FIRST_TYPES.iter().find(|t| t.0 == kind) else {
            let known: Vec<&str> = FIRST_TYPES.iter().map(|t| t.0).collect();
            let rule = Rule::new(format!("layer `{name}` has type \"{kind}\"")).right(known.join(", "));
            return Err(first.at.error(rule));
        };
        let mut inner = Msg { fields: Vec::new(), at: first.at };
        for (then, new) in settings {
            for f in first.fields.iter().filter(|f| f.name == *then) {
                inner.fields.push(Field { name: new, used: Cell::new(false), ..f.clone() });
            }
        }
        let mut out = Msg { fields: Vec::new(), at: msg.at };
        if !param.is_empty() {
            let used = Cell::new(false);
            out.fields.push(Field { name: param, value: Value::Message(inner), at: first.at, used });
        }
        out.fields.extend(msg.fields.iter().filter(|f| matches!(f.name, "include" | "exclude")).cloned());
        return Ok(Layer { name, kind: now.into(), bottoms, tops, shared: Vec::new(), msg: out });
    }
    let name = msg.text("name")?.unwrap_or("").to_string();
    let word = msg.word("type")?.unwrap_or("NONE");
    let Some(&(_, kind)) = OLD_TYPES.iter().find(|t| t.0 == word) else {
        let rule = Rule::new(format!("layer `{name}` has type {word}, which is none of `layers`"));
        return Err(msg.at.error(rule.right("one in capitals such as CONVOLUTION, or `layer` with a type in quotes")));
    };
    let shared = msg.texts("param")?;
    Ok(Layer { name, kind: kind.into(), bottoms, tops, shared, msg: msg.clone() })
}

/// Whether a layer belongs to the phase TEST.
fn included(layer: &Layer<'_>, level: i64, stages: &[String]) -> Result<bool> {
    let meets = |rule: &Msg<'_>| -> Result<bool> {
        let phase = rule.word("phase")?.is_none_or(|p| p == "TEST" || p == "1");
        let low = rule.int("min_level", level)? <= level;
        let high = rule.int("max_level", level)? >= level;
        let all = rule.texts("stage")?.iter().all(|s| stages.contains(s));
        let none = !rule.texts("not_stage")?.iter().any(|s| stages.contains(s));
        Ok(phase && low && high && all && none)
    };
    let (include, exclude) = (layer.msg.messages("include")?, layer.msg.messages("exclude")?);
    if !include.is_empty() && !exclude.is_empty() {
        return Err(layer.error(Rule::new("rules of both kinds").right("include or exclude")));
    }
    let any = |rules: &[&Msg<'_>]| rules.iter().try_fold(false, |found, r| Ok::<bool, Error>(found || meets(r)?));
    Ok(if include.is_empty() { !any(&exclude)? } else { any(&include)? })
}

/// Layers of padding become a setting of the layer behind them, as in Caffe.
fn merge_padding(layers: Vec<Layer<'_>>) -> Result<Vec<Layer<'_>>> {
    let mut kept: Vec<Layer<'_>> = Vec::with_capacity(layers.len());
    let mut padded: Vec<(String, String, Field<'_>)> = Vec::new();
    for mut layer in layers {
        if layer.kind == "Padding" {
            let pad = layer.msg.message("padding_param")?.and_then(|m| m.fields.first().cloned());
            let (Some(bottom), Some(top), Some(pad)) = (layer.bottoms.first(), layer.tops.first(), pad) else {
                return Err(layer.error(Rule::new("padding without bottom, top or `pad`")));
            };
            padded.push((top.clone(), bottom.clone(), pad));
            continue;
        }
        if let Some((_, bottom, pad)) = padded.iter().rev().find(|p| layer.bottoms.first() == Some(&p.0)) {
            let target = layer.msg.fields.iter_mut().find(|f| matches!(f.name, "convolution_param" | "pooling_param"));
            let Some(Field { value: Value::Message(m), .. }) = target else {
                return Err(layer.error(Rule::new("padding before a layer other than convolution or pooling")));
            };
            m.fields.push(Field { used: Cell::new(false), ..pad.clone() });
            layer.bottoms[0] = bottom.clone();
        }
        kept.push(layer);
    }
    Ok(kept)
}

/// `input` with `input_shape` or four `input_dim` each.
fn inputs(root: &Msg<'_>) -> Result<Vec<(String, Vec<usize>)>> {
    let names = root.texts("input")?;
    let shapes = root.messages("input_shape")?;
    let dims = root.sizes("input_dim")?;
    let mut all = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let shape = if let Some(shape) = shapes.get(i) {
            shape.sizes("dim")?
        } else if let Some(four) = dims.get(4 * i..4 * i + 4).filter(|_| shapes.is_empty()) {
            four.to_vec()
        } else {
            let at = root.fields.iter().find(|f| f.name == "input").map_or(Position::default(), |f| f.at);
            let rule = Rule::new(format!("input `{name}` has no extents"));
            return Err(at.error(rule.right("input_shape { dim: 1 … }, or four lines input_dim, for every input")));
        };
        all.push((name.clone(), shape));
    }
    Ok(all)
}

/// Reading fields; each getter marks what it reads.
impl<'a> Msg<'a> {
    fn all<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s Field<'a>> {
        self.fields.iter().filter(move |f| f.name == name).inspect(|f| f.used.set(true))
    }
    fn one(&self, name: &str) -> Result<Option<&Field<'a>>> {
        let mut all = self.all(name);
        let first = all.next();
        match all.next() {
            Some(second) => Err(second.at.error(Rule::new(format!("`{name}` stands twice")).right("once"))),
            None => Ok(first),
        }
    }
    /// A text in quotes.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>> {
        self.one(name)?.map(Field::text).transpose()
    }
    /// All texts of that name.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        self.all(name).map(|f| f.text().map(str::to_string)).collect()
    }
    /// A name of an enum.
    pub(super) fn word(&self, name: &str) -> Result<Option<&str>> {
        self.one(name)?.map(Field::word).transpose()
    }
    /// A message.
    pub(super) fn message(&self, name: &str) -> Result<Option<&Msg<'a>>> {
        self.one(name)?.map(Field::message).transpose()
    }
    /// All messages of that name.
    pub(super) fn messages(&self, name: &str) -> Result<Vec<&Msg<'a>>> {
        self.all(name).map(Field::message).collect()
    }
    /// A whole number.
    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64> {
        self.one(name)?.map_or(Ok(default), Field::int)
    }
    /// A whole number from 0 on, if it stands there.
    pub(super) fn size(&self, name: &str) -> Result<Option<usize>> {
        self.one(name)?.map(Field::size).transpose()
    }
    /// All whole numbers of that name, from 0 on.
    pub(super) fn sizes(&self, name: &str) -> Result<Vec<usize>> {
        self.all(name).map(Field::size).collect()
    }
    /// All whole numbers of that name.
    pub(super) fn ints(&self, name: &str) -> Result<Vec<i64>> {
        self.all(name).map(Field::int).collect()
    }
    /// A finite number.
    pub(super) fn float(&self, name: &str, default: f64) -> Result<f64> {
        self.one(name)?.map_or(Ok(default), Field::float)
    }
    /// All numbers of that name.
    pub(super) fn floats(&self, name: &str) -> Result<Vec<f64>> {
        self.all(name).map(Field::float).collect()
    }
    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        let Some(f) = self.one(name)? else { return Ok(default) };
        match f.word()? {
            "true" | "True" | "t" | "1" => Ok(true),
            "false" | "False" | "f" | "0" => Ok(false),
            w => Err(f.at.error(Rule::new(format!("`{name}` is {w}")).right("true or false"))),
        }
    }
    /// Marks fields that say nothing about inference.
    pub(super) fn ignore(&self, names: &[&str]) {
        self.fields.iter().filter(|f| names.contains(&f.name)).for_each(|f| f.used.set(true));
    }
    /// An error for a field that nobody has read.
    pub(super) fn all_read(&self, what: &str) -> Result<()> {
        match self.fields.iter().find(|f| !f.used.get()) {
            Some(f) => Err(f.at.error(Rule::new(format!("`{}` is not known in {what}", f.name)))),
            None => Ok(()),
        }
    }
}

/// Every number of a file is below this, so that sums and products of a few of them fit.
const MAX_NUMBER: i64 = 1 << 31;

impl<'a> Field<'a> {
    fn wrong<T>(&self, what: &str) -> Result<T> {
        let found = match &self.value {
            Value::Message(_) => "a message".to_string(),
            Value::Text(t) | Value::Word(t) => format!("`{}`", t.chars().take(40).collect::<String>()),
        };
        Err(self.at.error(Rule::new(format!("`{}` is {found}", self.name)).right(what)))
    }
    fn text(&self) -> Result<&str> {
        if let Value::Text(t) = &self.value { Ok(t) } else { self.wrong("a text in quotes") }
    }
    fn word(&self) -> Result<&str> {
        if let Value::Word(w) = &self.value { Ok(w) } else { self.wrong("a word without quotes") }
    }
    fn message(&self) -> Result<&Msg<'a>> {
        if let Value::Message(m) = &self.value { Ok(m) } else { self.wrong("a message in braces") }
    }
    fn int(&self) -> Result<i64> {
        let word: Cow<'_, str> = match &self.value {
            Value::Word(w) => Cow::Borrowed(w),
            _ => return self.wrong("a whole number"),
        };
        let (sign, digits) = word.strip_prefix('-').map_or((1, &*word), |d| (-1, d));
        let parsed = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
            Some(hex) => i64::from_str_radix(hex, 16),
            None => digits.parse::<i64>(),
        };
        match parsed {
            Ok(v) if v < MAX_NUMBER => Ok(sign * v),
            _ => self.wrong("a whole number below 2³¹"),
        }
    }
    fn size(&self) -> Result<usize> {
        usize::try_from(self.int()?).or_else(|_| self.wrong("a whole number from 0 on"))
    }
    fn float(&self) -> Result<f64> {
        let Value::Word(w) = &self.value else { return self.wrong("a number") };
        let digits = w.strip_suffix(['f', 'F']).unwrap_or(w);
        match digits.parse::<f64>() {
            Ok(v) if v.is_finite() => Ok(v),
            _ => self.wrong("a finite number"),
        }
    }
}
