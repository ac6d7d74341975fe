//! The layers of a `.cfg` file, one function per section. Facts are those of Darknet's C source; keys that only its
//! newer fork knows (`stride_x`, `dilation`, `groups` of a route, `[sam]`, `[scale_channels]`) mean what they mean there.

use super::activations::{ACTIVATIONS, activate};
use super::cfg::Section;
use super::weights::{EPS, Numbers};
use crate::{Error, Metadata, Result};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{Dim, Rule, Shape, Weights};

/// An output of a layer: always `[n, c, h, w]`, or `[n, c]` where `h` and `w` are 1.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub(super) value: ValueId,
    pub(super) c: usize,
    pub(super) h: usize,
    pub(super) w: usize,
}

/// What is being built.
pub(super) struct Builder<'a> {
    pub(super) g: Graph,
    pub(super) weights: Weights,
    pub(super) numbers: Option<Numbers<'a>>,
    pub(super) metadata: Metadata,
    pub(super) notes: Vec<String>,
    /// Outputs of all layers so far; a route or shortcut may ask for any.
    pub(super) outputs: Vec<Output>,
    pub(super) convs: usize,
    pub(super) connected: usize,
    pub(super) locals: usize,
}

/// Keys of `[net]` and of layers that speak of training, speed or Darknet's own printing.
const TRAINING: &[&str] = &[
    "learning_rate",
    "dontsave",
    "onlyforward",
    "stopbackward",
    "truth",
    "smooth",
    "train_only_bn",
    "burnin_update",
    "ignore_thresh",
    "random",
    "jitter",
    "label_smooth_eps",
    "show_details",
    "receptive_field",
    "wait_stream",
    "nonlinear",
    "clip",
    "dot",
    "dropblock",
    "dropblock_size_rel",
    "dropblock_size_abs",
    "adversarial_lr",
];
/// Keys of any layer that change what is computed or what the weights hold.
const REFUSED: &[(&str, &str)] = &[
    ("dontload", "a layer whose numbers the file does not hold"),
    ("dontloadscales", "a layer some of whose numbers the file does not hold"),
    ("numload", "a layer whose numbers the file holds in part"),
];

impl<'a> Builder<'a> {
    pub(super) fn new(numbers: Option<Numbers<'a>>) -> Self {
        Builder {
            g: Graph::new("darknet"),
            weights: Weights::new(),
            numbers,
            metadata: Metadata::default(),
            notes: Vec::new(),
            outputs: Vec::new(),
            convs: 0,
            connected: 0,
            locals: 0,
        }
    }

    /// Reads one layer, which goes on from `x`.
    pub(super) fn layer(&mut self, s: &Section<'_>, x: Output) -> Result<Output> {
        let index = self.outputs.len();
        s.refuse(REFUSED)?;
        s.ignore(TRAINING);
        let y = match s.kind {
            "conv" | "convolutional" => self.convolutional(s, x)?,
            "conn" | "connected" => self.connected(s, x)?,
            "local" => self.local(s, x)?,
            "max" | "maxpool" => self.maxpool(s, x, index)?,
            "avg" | "avgpool" => self.named(s, index, |b| {
                let v = b.image(x)?;
                Ok(Output { value: b.g.global_avg_pool(v)?, c: x.c, h: 1, w: 1 })
            })?,
            "dropout" => {
                s.ignore(&["probability"]);
                x
            }
            "cost" => {
                s.ignore(&["type", "scale", "ratio", "noobj", "thresh"]);
                x
            }
            "soft" | "softmax" => self.softmax(s, x, index)?,
            "shortcut" => self.shortcut(s, x, index)?,
            "route" => self.route(s, index)?,
            "upsample" => {
                let (stride, scale) = (s.positive("stride", 2)?, s.float("scale", 1.0)?);
                let (h, w) = (x.h.saturating_mul(stride), x.w.saturating_mul(stride));
                self.named(s, index, |b| {
                    let v = b.image(x)?;
                    let mut value = b.g.upsample_nearest(v, &[stride, stride])?;
                    if scale != 1.0 {
                        value = b.g.scale(value, scale)?;
                    }
                    Ok(Output { value, c: x.c, h, w })
                })?
            }
            "reorg" => self.reorg(s, x, index)?,
            "crop" => self.crop(s, x, index)?,
            "lrn" | "normalization" => self.normalization(s, x, index)?,
            "activation" => {
                let name = format!("activation_{index}");
                self.activation(s, "linear", &name, x)?
            }
            "logistic" => self.named(s, index, |b| Ok(Output { value: b.g.sigmoid(x.value)?, ..x }))?,
            "scale_channels" => self.scale_channels(s, x, index)?,
            "sam" => {
                let from = self.one_layer(s, index)?;
                let y = self.named(s, index, |b| {
                    let (a, f) = (b.image(x)?, b.image(from)?);
                    b.same_extents(s, x, from)?;
                    Ok(Output { value: b.g.mul(a, f)?, ..x })
                })?;
                self.activation(s, "linear", &format!("act_{index}"), y)?
            }
            "yolo" | "region" | "detection" | "iseg" => return self.head(s, x, index),
            other => return Err(s.error(refused_kind(other))),
        };
        if let Some((line, key)) = s.unread().next() {
            let rule = Rule::new(format!("`{key}` is not known in [{}]", s.kind));
            return Err(Error::new(format!("line {line}"), rule.right("a key that Darknet knows, or a comment")));
        }
        Ok(y)
    }

    // --- helpers ------------------------------------------------------------------------------------------------

    /// Builds with nodes named after the section and the number that Darknet prints for the layer.
    pub(super) fn named(
        &mut self,
        s: &Section<'_>,
        index: usize,
        build: impl FnOnce(&mut Self) -> Result<Output>,
    ) -> Result<Output> {
        self.g.scope(format!("{}_{index}", s.kind));
        build(self).map_err(|e| inside(s, e))
    }
    /// The output as `[n, c, h, w]`.
    pub(super) fn image(&mut self, x: Output) -> Result<ValueId> {
        if self.g.shape(x.value).rank() == 4 {
            return Ok(x.value);
        }
        Ok(self.g.reshape(x.value, &Shape::batch(&[x.c, x.h, x.w]))?)
    }
    /// The output as `[n, c·h·w]`.
    pub(super) fn flat(&mut self, x: Output) -> Result<ValueId> {
        if self.g.shape(x.value).rank() == 2 { Ok(x.value) } else { Ok(self.g.flatten(x.value)?) }
    }
    pub(super) fn one_layer(&self, s: &Section<'_>, index: usize) -> Result<Output> {
        match s.layers("from", index)?[..] {
            [one] => Ok(self.outputs[one]),
            ref all => Err(s.error_at("from", Rule::new(format!("{} layers", all.len())).right("one"))),
        }
    }
    pub(super) fn same_extents(&self, s: &Section<'_>, x: Output, from: Output) -> Result<()> {
        if (x.c, x.h, x.w) == (from.c, from.h, from.w) {
            return Ok(());
        }
        let show = |o: Output| format!("{} × {} × {}", o.c, o.h, o.w);
        Err(s.error(Rule::new(format!("{} with {}", show(x), show(from))).right("equal extents")))
    }
    /// A parameter with its numbers, if there is a file of them.
    pub(super) fn parameter(&mut self, name: &str, shape: &[usize], p: Parameter) -> Result<ValueId> {
        if let Some(numbers) = &mut self.numbers {
            let t = numbers.take(name, shape)?;
            self.weights.insert(name, t);
        }
        Ok(self.g.parameter(name, shape, p)?)
    }
    /// Bias and, where it is asked for, batch normalisation of `c` channels: declared in the file's order.
    pub(super) fn norm(&mut self, bn: Option<&str>, bias: &str, c: usize) -> Result<Norm> {
        let Some(bn) = bn else {
            let bias = self.parameter(bias, &[c], Parameter::bias(Initializer::Zeros))?;
            return Ok(Norm::Bias(bias));
        };
        let beta = self.parameter(&format!("{bn}.bias"), &[c], Parameter::bias(Initializer::Zeros))?;
        let gamma = self.parameter(&format!("{bn}.weight"), &[c], Parameter::bias(Initializer::Ones))?;
        let mean = self.parameter(&format!("{bn}.running_mean"), &[c], Parameter::state(Initializer::Zeros))?;
        let name = format!("{bn}.running_var");
        if let Some(numbers) = &mut self.numbers {
            let t = numbers.variance(&name, c)?;
            self.weights.insert(&*name, t);
        }
        let var = self.g.parameter(&name, &[c], Parameter::state(Initializer::Ones))?;
        Ok(Norm::Batch(bn.to_string(), [gamma, beta, mean, var]))
    }
    pub(super) fn apply(&mut self, norm: Norm, y: ValueId) -> Result<ValueId> {
        match norm {
            Norm::Bias(b) => {
                let shape = self.g.shape(y).clone();
                let b = self.g.per_channel(b, &shape)?;
                Ok(self.g.add(y, b)?)
            }
            Norm::Batch(name, vectors) => {
                self.g.scope(name);
                Ok(self.g.batch_norm_inference(y, vectors, EPS)?)
            }
        }
    }

    /// A detection head: what goes into it is an output of the graph; boxes are not made of it.
    fn head(&mut self, s: &Section<'_>, x: Output, index: usize) -> Result<Output> {
        let name = format!("{}_{index}", s.kind);
        self.notes.push(format!("{}: output `{name}` is what goes into it; boxes are not decoded", s.place()));
        self.g.output(name, x.value);
        Ok(x)
    }

    pub(super) fn output_of(&self, value: ValueId) -> Output {
        let at = |i: usize| self.g.shape(value).0.get(i).and_then(|d: &Dim| d.fixed()).unwrap_or(1);
        Output { value, c: at(1), h: at(2), w: at(3) }
    }

    // --- activations --------------------------------------------------------------------------------------------

    pub(super) fn activation(&mut self, s: &Section<'_>, default: &str, scope: &str, x: Output) -> Result<Output> {
        let name = s.text("activation").unwrap_or(default);
        if name == "linear" {
            return Ok(x);
        }
        self.g.scope(scope);
        match activate(&mut self.g, name, x.value).map_err(|e| inside(s, e.into()))? {
            Some(value) => Ok(Output { value, ..x }),
            None => Err(s.error_at("activation", Rule::new(format!("`{name}` is not known")).right(ACTIVATIONS))),
        }
    }
}

/// Bias, or batch normalisation with its name.
pub(super) enum Norm {
    Bias(ValueId),
    Batch(String, [ValueId; 4]),
}

/// Adds the section's place to an error of the graph; errors of the same section stay.
pub(super) fn inside(s: &Section<'_>, e: Error) -> Error {
    if e.place().starts_with("line ") {
        e
    } else {
        Error::new(format!("{}: {}", s.place(), e.place()), e.rule().clone())
    }
}

fn refused_kind(kind: &str) -> Rule {
    let why = match kind {
        "rnn" | "gru" | "lstm" | "crnn" | "conv_lstm" | "history" => "recurrent layers are not known",
        "batchnorm" => "its numbers are saved differently by different versions of Darknet",
        "deconv" | "deconvolutional" => "Darknet itself cannot load its weights",
        "net" | "network" => "it stands a second time",
        _ => "this layer is not known",
    };
    Rule::new(why).right(
        "convolutional, connected, local, maxpool, avgpool, dropout, cost, softmax, shortcut, route, upsample, reorg, \
         crop, normalization, activation, logistic, sam, scale_channels, yolo, region or detection",
    )
}
