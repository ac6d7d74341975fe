//! From a description to layers of a net.

use super::error::Fault;
use super::lex::Span;
use super::tree::{Item, What};
use super::words::{ConvKind, Layer, Options, Pad, PoolKind};
use crate::{ConvOptions, LrnOptions, Net, PoolOptions, conv, pool};
use gabor_graph::{Error, ValueId};
use gabor_tensor::{Padding, Rule};

/// Most layers of a network.
const MOST_LAYERS: usize = 2000;
/// Most elements of a value or weight.
const MOST_ELEMENTS: u128 = 1 << 31;
/// Units of a fully connected layer that says nothing and is not the last.
const HIDDEN: usize = 128;

/// A description without repeats.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Extents of the input, if they are written.
    pub input: Option<Vec<usize>>,
    /// Where the input is named, or the start.
    pub input_span: Span,
    /// The last layer's place.
    pub end_span: Span,
    steps: Vec<Step>,
    /// Whether ReLUs are left out, as in the VGG table.
    implicit: bool,
}

#[derive(Clone, Debug)]
struct Step {
    what: Work,
    span: Span,
}

#[derive(Clone, Debug)]
enum Work {
    Layer(Layer),
    Residual(Vec<Step>),
    Branches(Vec<Vec<Step>>),
}

/// Writes out all repeats.
pub(super) fn expand(items: &[Item]) -> Result<Plan, Fault> {
    let mut budget = MOST_LAYERS;
    let mut steps = expand_all(items, &mut budget)?;
    let input_at = steps.iter().position(|s| matches!(s.what, Work::Layer(Layer::Input(_))));
    let (input, input_span) = match input_at {
        Some(0) => match steps.remove(0) {
            Step { what: Work::Layer(Layer::Input(extents)), span } => (extents, span),
            step => (None, step.span),
        },
        // A description may begin with its first layer; a later INPUT is refused while building.
        _ => (None, Span { start: items.first().map_or(0, |i| i.span.start), len: 1 }),
    };
    let Some(end_span) = steps.last().map(|s| s.span) else {
        return Err(Fault::at(input_span, Rule::new("no layer follows the input").right("INPUT 3x32x32 -> FC-10")));
    };
    let implicit = !any(&steps, &|l| matches!(l, Layer::Activation(_) | Layer::Maxout(_)));
    Ok(Plan { input, input_span, end_span, steps, implicit })
}

fn expand_all(items: &[Item], budget: &mut usize) -> Result<Vec<Step>, Fault> {
    let mut steps = Vec::new();
    for item in items {
        // Every item that is looked at counts, so that nested repeats of nothing end too.
        *budget = budget.checked_sub(1).ok_or_else(|| {
            Fault::at(item.span, Rule::new(format!("more than {MOST_LAYERS} layers and groups with all repeats")))
        })?;
        let span = item.span;
        match &item.what {
            What::Layer(layer) => steps.push(Step { what: Work::Layer(layer.clone()), span }),
            What::Group(inner) => steps.extend(expand_all(inner, budget)?),
            What::Residual(inner) => steps.push(Step { what: Work::Residual(expand_all(inner, budget)?), span }),
            What::Branches(parts) => {
                let parts = parts.iter().map(|p| expand_all(p, budget)).collect::<Result<_, _>>()?;
                steps.push(Step { what: Work::Branches(parts), span });
            }
            What::Repeat(inner, times) => {
                for _ in 0..*times {
                    steps.extend(expand_all(std::slice::from_ref(inner.as_ref()), budget)?);
                }
            }
        }
    }
    Ok(steps)
}

/// Whether some layer, inside groups too, is such a one.
fn any(steps: &[Step], test: &dyn Fn(&Layer) -> bool) -> bool {
    steps.iter().any(|s| match &s.what {
        Work::Layer(l) => test(l),
        Work::Residual(inner) => any(inner, test),
        Work::Branches(parts) => parts.iter().any(|p| any(p, test)),
    })
}

/// Fills in the number of the last fully connected layer.
pub(super) fn with_classes(mut plan: Plan, classes: Option<usize>) -> Result<Plan, Fault> {
    let last = plan.steps.iter_mut().rev().find(|s| matches!(s.what, Work::Layer(Layer::Dense(_))));
    if let Some(Step { what: Work::Layer(Layer::Dense(units @ None)), span }) = last {
        *units = Some(classes.ok_or_else(|| {
            Fault::at(*span, Rule::new("the number of classes is not known").right("a number: FC-10"))
        })?);
    }
    Ok(plan)
}

/// Builds the network.
pub(super) fn build(net: &mut Net, plan: &Plan) -> Result<(), Fault> {
    let mut b = Builder { net, implicit: plan.implicit, relu_due: false, stage: 0, ended: false, counts: [0; 4] };
    b.all(&plan.steps)?;
    let flat = b.net.flatten().map(|_| ());
    flat.map_err(|e| Fault::at(plan.end_span, e.rule().clone()))
}

struct Builder<'a> {
    net: &'a mut Net,
    implicit: bool,
    /// A ReLU that is not written is due before the next layer.
    relu_due: bool,
    /// Number of poolings so far, for the filters of a bare `CONV`.
    stage: u32,
    /// Whether soft-max has ended the network.
    ended: bool,
    /// Convolutions, normalisations, fully connected layers and projections so far.
    counts: [usize; 4],
}

impl Builder<'_> {
    fn all(&mut self, steps: &[Step]) -> Result<(), Fault> {
        for step in steps {
            let at = |rule| Fault::at(step.span, rule);
            if self.ended {
                return Err(at(Rule::new("soft-max ends the network, and a layer follows it").right("soft-max last")));
            }
            match &step.what {
                Work::Layer(layer) => self.layer(layer).map_err(at)?,
                Work::Residual(inner) => self.residual(inner, step.span)?,
                Work::Branches(parts) => self.branches(parts, step.span)?,
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
        if std::mem::take(&mut self.relu_due) { done(self.net.relu()) } else { Ok(()) }
    }
    fn name(&mut self, kind: usize) -> String {
        self.counts[kind] += 1;
        format!("{}{}", ["conv", "bn", "fc", "proj"][kind], self.counts[kind])
    }

    fn layer(&mut self, layer: &Layer) -> Result<(), Rule> {
        // A normalisation stands between its layer and the ReLU; soft-max and flattening need none before them.
        if !matches!(layer, Layer::BatchNorm | Layer::GroupNorm(_) | Layer::Softmax | Layer::Flatten) {
            self.settle()?;
        }
        match layer {
            Layer::Input(_) => Err(Rule::new("INPUT stands at the beginning, once")),
            Layer::Conv { kind, kernel, filters, options } => self.conv(*kind, kernel, *filters, options),
            Layer::Pool { kind, kernel, options, optional } => self.pool(*kind, kernel, options, *optional),
            Layer::GlobalAverage => done(self.net.global_avg_pool()),
            Layer::GlobalMax => done(self.net.global_max_pool()),
            Layer::AdaptiveAverage(sizes) => {
                let d = self.net.extents().len().saturating_sub(1);
                let sizes = if sizes.len() == 1 { vec![sizes[0]; d] } else { sizes.clone() };
                done(self.net.adaptive_avg_pool(&sizes))
            }
            Layer::Dense(units) => {
                let units = units.unwrap_or(HIDDEN);
                let inputs = self.net.extents().iter().fold(1u128, |a, &e| a.saturating_mul(e as u128));
                weight_fits(inputs.saturating_mul(units as u128))?;
                self.relu_due = self.implicit;
                let name = self.name(2);
                done(self.net.linear(&name, units))
            }
            Layer::Lrn(size) => done(self.net.lrn(LrnOptions { size: *size, ..LrnOptions::default() })),
            Layer::BatchNorm => {
                let name = self.name(1);
                done(self.net.batch_norm(&name))
            }
            Layer::GroupNorm(groups) => {
                let name = self.name(1);
                done(self.net.group_norm(&name, *groups, 1e-5))
            }
            Layer::Activation(a) => done(self.net.activation(*a)),
            Layer::Maxout(pieces) => done(self.net.maxout(*pieces)),
            Layer::Dropout(p) => done(self.net.dropout(*p)),
            Layer::Flatten => done(self.net.flatten()),
            Layer::Softmax => {
                self.ended = true;
                Ok(())
            }
        }
    }

    fn conv(&mut self, kind: ConvKind, kernel: &[usize], filters: Option<usize>, o: &Options) -> Result<(), Rule> {
        let d = self.net.extents().len().saturating_sub(1);
        let kernel = if kernel.len() == 1 { vec![kernel[0]; d] } else { kernel.to_vec() };
        let default = match kind {
            ConvKind::Depthwise => 1,
            _ => (32 << self.stage.min(4)).min(512),
        };
        let mut options = ConvOptions {
            groups: o.groups.unwrap_or(1),
            bias: !o.no_bias,
            ..conv(filters.unwrap_or(default), 1).kernel(&kernel)
        };
        options = options.stride(o.stride.unwrap_or(1)).dilation(o.dilation.unwrap_or(1));
        let dilation = o.dilation.unwrap_or(1);
        options.window.padding = match (o.pad, kind) {
            (Some(Pad::Number(p)), _) => Padding::all(p),
            (Some(Pad::Same), _) => Padding::Same,
            (None, ConvKind::Transposed) => Padding::Valid,
            // Half the kernel's reach keeps the extents at stride 1.
            (None, _) => {
                let half = |&k: &usize| ((k - 1) * dilation / 2, (k - 1) * dilation / 2);
                Padding::Explicit(kernel.iter().map(half).collect())
            }
        };
        let ci = if kind == ConvKind::Depthwise { 1 } else { self.net.channels() };
        let co = if kind == ConvKind::Depthwise { self.net.channels() } else { options.filters };
        weight_fits(kernel.iter().fold(ci as u128 * co as u128, |a, &k| a.saturating_mul(k as u128)))?;
        self.relu_due = self.implicit;
        let name = self.name(0);
        done(match kind {
            ConvKind::Plain => self.net.conv(&name, options),
            ConvKind::Depthwise => self.net.depthwise(&name, options),
            ConvKind::Transposed => self.net.conv_transpose(&name, options, &[]),
        })
    }

    fn pool(&mut self, kind: PoolKind, kernel: &[usize], o: &Options, optional: bool) -> Result<(), Rule> {
        let spatial = self.net.extents().get(1..).unwrap_or_default().to_vec();
        let kernel = if kernel.len() == 1 { vec![kernel[0]; spatial.len()] } else { kernel.to_vec() };
        if optional && (spatial.is_empty() || spatial.iter().zip(&kernel).any(|(e, k)| e < k)) {
            return Ok(());
        }
        let mut options = PoolOptions { ..pool(1) };
        options.window.kernel_size = kernel.clone();
        options.window.stride = o.stride.map_or(kernel, |s| vec![s]);
        options.window.dilation = vec![o.dilation.unwrap_or(1)];
        options.window.ceil_mode = o.ceil;
        options.window.padding = match o.pad {
            Some(Pad::Number(p)) => Padding::all(p),
            Some(Pad::Same) => Padding::Same,
            None => Padding::Valid,
        };
        self.stage += 1;
        done(match kind {
            PoolKind::Max => self.net.max_pool(options),
            PoolKind::Average => self.net.avg_pool(options),
            PoolKind::L2 => self.net.lp_pool(2.0, options),
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
        let norm = any(inner, &|l| matches!(l, Layer::BatchNorm));
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
        let name = self.name(3);
        let options = conv(to[0], 1).stride(stride);
        done(self.net.conv(&name, if norm { options.no_bias() } else { options }))?;
        if norm {
            done(self.net.batch_norm(&format!("{name}_bn")))?;
        }
        Ok(self.net.value())
    }

    fn branches(&mut self, parts: &[Vec<Step>], span: Span) -> Result<(), Fault> {
        let at = |rule| Fault::at(span, rule);
        self.settle().map_err(at)?;
        let x = self.net.value();
        let stage = self.stage;
        let mut made = Vec::with_capacity(parts.len());
        for part in parts {
            self.net.at(x);
            self.stage = stage;
            self.all(part)?;
            self.settle().map_err(at)?;
            made.push(self.net.value());
        }
        done(self.net.concat(&made)).map_err(at)
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
