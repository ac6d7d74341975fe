//! From a description to layers of a net.

use super::error::Fault;
use super::expand::{Plan, Step, Work, any};
use super::lex::Span;
use super::options::{Options, Pad};
use super::tree::Join;
use super::words::{ConvKind, Layer, PoolKind};
use crate::{Net, PoolOptions, conv, pool};
use gabor_graph::{Error, Initializer, ValueId};
use gabor_tensor::{PadMode, Padding, PoolDivisor, Rule};

/// Most elements of a value or weight.
const MOST_ELEMENTS: u128 = 1 << 31;
/// Units of a fully connected layer that says nothing and is not the last.
const HIDDEN: usize = 128;

/// Builds the network. The number of ReLUs in it that are not written.
pub(super) fn build(net: &mut Net, plan: &Plan) -> Result<usize, Fault> {
    let implicit = plan.implicit;
    let mut b = Builder { net, implicit, relu_due: false, unwritten: 0, stage: 0, ended: false, counts: [0; 6] };
    b.all(&plan.steps)?;
    let flat = b.net.flatten().map(|_| ());
    flat.map_err(|e| Fault::at(plan.end_span, e.rule().clone()))?;
    Ok(b.unwritten)
}

struct Builder<'a> {
    net: &'a mut Net,
    implicit: bool,
    /// A ReLU that is not written is due before the next layer.
    relu_due: bool,
    /// Such ReLUs so far.
    unwritten: usize,
    /// Number of poolings so far, for the filters of a bare `CONV`.
    stage: u32,
    /// Whether soft-max has ended the network.
    ended: bool,
    /// Convolutions, normalisations, fully connected layers, projections, scales and embeddings so far.
    counts: [usize; 6],
}

impl Builder<'_> {
    fn all(&mut self, steps: &[Step]) -> Result<(), Fault> {
        for step in steps {
            let at = |rule| Fault::at(step.span, rule);
            if self.ended {
                return Err(at(Rule::new("soft-max ends the network, and a layer follows it").right("soft-max last")));
            }
            match (&step.what, &step.name) {
                (Work::Layer(layer), name) => self.layer(layer, name.as_deref()).map_err(at)?,
                (_, None) => self.group(step)?,
                (_, Some(name)) => {
                    // Inside a scope names are counted from 1 again.
                    let outer = std::mem::take(&mut self.counts);
                    self.net.enter(name);
                    let done = self.group(step);
                    self.net.leave(name);
                    self.counts = outer;
                    done?;
                }
            }
            let elements = self.net.extents().iter().fold(1u128, |a, &e| a.saturating_mul(e as u128));
            if elements > MOST_ELEMENTS {
                return Err(at(Rule::new(format!("a value of {elements} elements")).right("at most 2³¹")));
            }
        }
        Ok(())
    }
    /// Adds the ReLU that is due.
    fn settle(&mut self) -> Result<(), Rule> {
        if !std::mem::take(&mut self.relu_due) {
            return Ok(());
        }
        self.unwritten += 1;
        done(self.net.relu())
    }
    fn group(&mut self, step: &Step) -> Result<(), Fault> {
        match &step.what {
            Work::Layer(layer) => self.layer(layer, None).map_err(|rule| Fault::at(step.span, rule)),
            Work::Scope(inner) => self.all(inner),
            Work::Residual(inner) => self.residual(inner, step.span),
            Work::Branches(join, parts) => self.branches(*join, parts, step.span),
        }
    }
    /// The given name, or the next free one of that kind.
    fn name(&mut self, kind: usize, given: Option<&str>) -> String {
        if let Some(name) = given {
            return name.into();
        }
        loop {
            self.counts[kind] += 1;
            let name = format!("{}{}", ["conv", "bn", "fc", "proj", "scale_", "embedding"][kind], self.counts[kind]);
            if self.net.is_free(&name) {
                return name;
            }
        }
    }

    fn layer(&mut self, layer: &Layer, name: Option<&str>) -> Result<(), Rule> {
        // A normalisation stands between its layer and the ReLU; soft-max and flattening need none before them.
        let waits = matches!(
            layer,
            Layer::BatchNorm(_)
                | Layer::GroupNorm { .. }
                | Layer::SampleNorm { .. }
                | Layer::ChannelNorm { .. }
                | Layer::ChannelScale(_)
                | Layer::DropPath(_)
                | Layer::Softmax(None)
                | Layer::Flatten
                | Layer::PlaceBias
                | Layer::Claim(_)
        );
        if !waits {
            self.settle()?;
        }
        let d = self.net.extents().len().saturating_sub(1);
        let spread = |v: &[usize]| if v.len() == 1 { vec![v[0]; d] } else { v.to_vec() };
        match layer {
            Layer::Input(_) | Layer::Text { .. } => {
                Err(Rule::new("INPUT stands at the beginning, once").right("INPUT first"))
            }
            Layer::Conv { kind, kernel, filters, options } => {
                self.conv(*kind, &spread(kernel), *filters, options, name)
            }
            Layer::Pool { kind, kernel, options, optional } => {
                self.pool(*kind, &spread(kernel), options, *optional, name)
            }
            Layer::GlobalAverage => done(self.net.named(name).global_avg_pool()),
            Layer::GlobalMax => done(self.net.named(name).global_max_pool()),
            Layer::AdaptiveAverage(sizes) => done(self.net.named(name).adaptive_avg_pool(&spread(sizes))),
            Layer::AdaptiveMax(sizes) => done(self.net.named(name).adaptive_max_pool(&spread(sizes))),
            Layer::Dense { units, bias } => {
                self.relu_due = self.implicit;
                self.dense(units.unwrap_or(HIDDEN), *bias, name)
            }
            Layer::Lrn(options) => done(self.net.named(name).lrn(*options)),
            Layer::BatchNorm(options) => {
                let name = self.name(1, name);
                done(self.net.batch_norm_with(&name, *options))
            }
            Layer::GroupNorm { groups, eps } => {
                let name = self.name(1, name);
                done(self.net.group_norm(&name, *groups, *eps))
            }
            Layer::SampleNorm { eps } => {
                let name = self.name(1, name);
                done(self.net.layer_norm(&name, 1, *eps))
            }
            Layer::Activation(a) => done(self.net.named(name).activation(*a)),
            Layer::Maxout(pieces) => done(self.net.named(name).maxout(*pieces)),
            Layer::Dropout(p) => done(self.net.named(name).dropout(*p)),
            Layer::Flatten => done(self.net.named(name).flatten()),
            Layer::ChannelNorm { eps } => {
                let name = self.name(1, name);
                done(self.net.channel_norm(&name, *eps))
            }
            Layer::Shuffle(groups) => done(self.net.named(name).channel_shuffle(*groups)),
            Layer::DropPath(p) => done(self.net.named(name).stochastic_depth(*p)),
            Layer::ChannelScale(value) => {
                let name = self.name(4, name);
                done(self.net.layer_scale(&name, *value))
            }
            Layer::Embedding(features) => {
                weight_fits(*features as u128 * self.net.vocabulary().unwrap_or(1) as u128)?;
                let name = self.name(5, name);
                done(self.net.embedding(&name, *features, Initializer::Normal { mean: 0.0, std: 1.0 }))
            }
            Layer::PlaceBias => {
                let name = self.name(1, name);
                done(self.net.place_bias(&name))
            }
            Layer::Softmax(units) => {
                self.ended = true;
                self.relu_due = false;
                units.map_or(Ok(()), |units| self.dense(units, true, name))
            }
            Layer::Claim(extents) => self.claim(extents),
        }
    }

    fn dense(&mut self, units: usize, bias: bool, name: Option<&str>) -> Result<(), Rule> {
        let inputs = self.net.extents().iter().fold(1u128, |a, &e| a.saturating_mul(e as u128));
        weight_fits(inputs.saturating_mul(units as u128))?;
        let name = self.name(2, name);
        done(self.net.linear_with(&name, units, bias))
    }

    /// Compares what is there with what a listing says, in the lectures' order; extents of 1 say nothing.
    fn claim(&self, said: &[usize]) -> Result<(), Rule> {
        let there = self.net.extents();
        let plain = |v: &mut dyn Iterator<Item = &usize>| v.copied().filter(|&e| e != 1).collect::<Vec<_>>();
        if plain(&mut said.iter().rev()) == plain(&mut there.iter()) {
            return Ok(());
        }
        let list = |v: &mut dyn Iterator<Item = &usize>| v.map(usize::to_string).collect::<Vec<_>>().join("x");
        let (said, there) = (list(&mut said.iter()), list(&mut there.iter().rev()));
        Err(Rule::new(format!("the text says [{said}], and the layers give [{there}]")).right(format!("[{there}]")))
    }

    fn conv(
        &mut self,
        kind: ConvKind,
        kernel: &[usize],
        filters: Option<usize>,
        o: &Options,
        name: Option<&str>,
    ) -> Result<(), Rule> {
        let default = match kind {
            ConvKind::Depthwise => 1,
            _ => (32 << self.stage.min(4)).min(512),
        };
        let mut options = conv(filters.unwrap_or(default), 1).kernel(kernel);
        options.groups = o.groups.unwrap_or(1);
        options.bias = !o.no_bias;
        options.window.stride = or_one(&o.stride);
        options.window.dilation = or_one(&o.dilation);
        options.pad_mode = o.pad_mode.unwrap_or(PadMode::Constant);
        options.window.padding = match (&o.pad, kind) {
            (Some(pad), _) => padding(pad),
            (None, ConvKind::Transposed) => Padding::Valid,
            // Half the kernel's reach keeps the extents at stride 1.
            (None, _) => {
                let dilation = |i: usize| o.dilation.get(i).or(o.dilation.first()).copied().unwrap_or(1);
                let half = |(i, &k): (usize, &usize)| ((k - 1) * dilation(i) / 2, (k - 1) * dilation(i) / 2);
                Padding::Explicit(kernel.iter().enumerate().map(half).collect())
            }
        };
        let ci = if kind == ConvKind::Depthwise { 1 } else { self.net.channels() };
        let co = if kind == ConvKind::Depthwise { self.net.channels() } else { options.filters };
        let elements = kernel.iter().fold(ci as u128 * co as u128, |a, &k| a.saturating_mul(k as u128));
        weight_fits(elements)?;
        if kind == ConvKind::Local {
            let places = self.net.extents().iter().skip(1).fold(1u128, |a, &e| a.saturating_mul(e as u128));
            weight_fits(elements.saturating_mul(places))?;
        }
        self.relu_due = self.implicit;
        let name = self.name(0, name);
        done(match kind {
            ConvKind::Plain => self.net.conv(&name, options),
            ConvKind::Depthwise => self.net.depthwise(&name, options),
            ConvKind::Transposed => self.net.conv_transpose(&name, options, &o.output_padding),
            ConvKind::Local => self.net.locally_connected(&name, options),
        })
    }

    fn pool(
        &mut self,
        kind: PoolKind,
        kernel: &[usize],
        o: &Options,
        optional: bool,
        name: Option<&str>,
    ) -> Result<(), Rule> {
        let spatial = self.net.extents().get(1..).unwrap_or_default().to_vec();
        if optional && (spatial.is_empty() || spatial.iter().zip(kernel).any(|(e, k)| e < k)) {
            return Ok(());
        }
        let mut options = PoolOptions { ..pool(1) };
        options.window.kernel_size = kernel.to_vec();
        options.window.stride = if o.stride.is_empty() { kernel.to_vec() } else { o.stride.clone() };
        options.window.dilation = or_one(&o.dilation);
        options.window.ceil_mode = o.ceil;
        options.window.padding = o.pad.as_ref().map_or(Padding::Valid, padding);
        if o.count_exclude_pad {
            options.divisor = PoolDivisor::CountExcludePad;
        }
        self.stage += 1;
        let net = self.net.named(name);
        done(match kind {
            PoolKind::Max => net.max_pool(options),
            PoolKind::Average => net.avg_pool(options),
            PoolKind::Norm(p) => net.lp_pool(p, options),
        })
    }

    fn residual(&mut self, inner: &[Step], span: Span) -> Result<(), Fault> {
        let at = |rule| Fault::at(span, rule);
        self.settle().map_err(at)?;
        let x = self.net.value();
        self.all(inner)?;
        if !self.implicit {
            self.settle().map_err(at)?;
        }
        // A ReLU that is due waits until after the addition.
        self.relu_due = self.implicit;
        let y = self.net.value();
        let norm = any(inner, &|l| matches!(l, Layer::BatchNorm(_)));
        let shortcut = self.shortcut(x, y, norm).map_err(at)?;
        done(self.net.at(y).add(shortcut)).map_err(at)
    }
    /// `x`, or its projection to the shape of `y`.
    fn shortcut(&mut self, x: ValueId, y: ValueId, norm: bool) -> Result<ValueId, Rule> {
        let to = self.net.at(y).extents();
        let from = self.net.at(x).extents();
        if from == to || from.len() != to.len() || from.len() < 2 {
            // Equal, or what the addition will refuse with its own words.
            return Ok(x);
        }
        let stride = from[1].div_ceil(to[1]);
        if from[1..].iter().zip(&to[1..]).any(|(f, t)| f.div_ceil(stride) != *t) {
            let rule = Rule::new(format!("a residual block makes {to:?} of {from:?}"));
            return Err(rule.right("the same extents, or all divided by the same stride"));
        }
        let name = self.name(3, None);
        let options = conv(to[0], 1).stride(stride);
        done(self.net.conv(&name, if norm { options.no_bias() } else { options }))?;
        if norm {
            done(self.net.batch_norm(&format!("{name}_bn")))?;
        }
        Ok(self.net.value())
    }

    fn branches(&mut self, join: Join, parts: &[Vec<Step>], span: Span) -> Result<(), Fault> {
        let at = |rule| Fault::at(span, rule);
        self.settle().map_err(at)?;
        let x = self.net.value();
        let stage = self.stage;
        let mut made = Vec::with_capacity(parts.len());
        for part in parts {
            self.net.at(x);
            self.stage = stage;
            self.all(part)?;
            // A sum is taken before the ReLU, as at the end of a residual block.
            if join == Join::Add {
                self.relu_due = false;
            }
            self.settle().map_err(at)?;
            made.push(self.net.value());
        }
        self.relu_due = join == Join::Add && self.implicit;
        let (Some((&first, others)), false) = (made.split_first(), join == Join::Concat) else {
            return done(self.net.concat(&made)).map_err(at);
        };
        let size = |net: &Net, v: ValueId| net.graph().shape(v).len_at(1);
        self.net.at(first);
        for &other in others {
            done(match join {
                Join::Add => self.net.add(other),
                // The smaller one is repeated.
                _ if size(self.net, other) > size(self.net, self.net.value()) => {
                    let smaller = self.net.value();
                    self.net.at(other).weigh(smaller)
                }
                _ => self.net.weigh(other),
            })
            .map_err(at)?;
        }
        Ok(())
    }
}

fn or_one(v: &[usize]) -> Vec<usize> {
    if v.is_empty() { vec![1] } else { v.to_vec() }
}

fn padding(pad: &Pad) -> Padding {
    match pad {
        Pad::Numbers(all) => Padding::Explicit(all.iter().map(|&p| (p, p)).collect()),
        Pad::Same => Padding::Same,
    }
}

/// The rule alone: the place in the text is known better.
fn done(result: Result<&mut Net, Error>) -> Result<(), Rule> {
    result.map(|_| ()).map_err(|e| e.rule().clone())
}

fn weight_fits(elements: u128) -> Result<(), Rule> {
    if elements <= MOST_ELEMENTS {
        return Ok(());
    }
    Err(Rule::new(format!("a weight of {elements} elements")).right("at most 2³¹"))
}
