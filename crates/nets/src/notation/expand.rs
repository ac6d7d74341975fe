//! From the tree of a text to a plan: repeats written out, the last number filled in.

use super::error::Fault;
use super::lex::Span;
use super::tree::{Item, Join, What};
use super::words::Layer;
use gabor_tensor::Rule;

/// Most layers of a network.
const MOST_LAYERS: usize = 2000;

/// A description without repeats.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Extents of the input, if they are written.
    pub input: Option<Vec<usize>>,
    /// Number of words, if the input is text.
    pub vocabulary: Option<usize>,
    /// Where the input is named, or the start.
    pub input_span: Span,
    /// The last layer's place.
    pub end_span: Span,
    pub steps: Vec<Step>,
    /// Whether ReLUs are left out, as in the VGG table.
    pub implicit: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub what: Work,
    pub span: Span,
    pub name: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Work {
    Layer(Layer),
    /// Layers whose names get a prefix.
    Scope(Vec<Step>),
    Residual(Vec<Step>),
    Branches(Join, Vec<Vec<Step>>),
}

/// Writes out all repeats.
pub(super) fn expand(items: &[Item]) -> Result<Plan, Fault> {
    let mut budget = MOST_LAYERS;
    let mut steps = expand_all(items, &mut budget)?;
    let input_at = steps.iter().position(|s| matches!(s.what, Work::Layer(Layer::Input(_) | Layer::Text { .. })));
    let mut vocabulary = None;
    let (input, input_span) = match input_at {
        Some(0) => match steps.remove(0) {
            Step { what: Work::Layer(Layer::Input(extents)), span, .. } => (extents, span),
            Step { what: Work::Layer(Layer::Text { length, vocabulary: words }), span, .. } => {
                vocabulary = Some(words);
                (length.map(|l| vec![l]), span)
            }
            step => (None, step.span),
        },
        // A description may begin with its first layer; a later INPUT is refused while building.
        _ => (None, Span { start: items.first().map_or(0, |i| i.span.start), len: 1 }),
    };
    let Some(end_span) = steps.last().map(|s| s.span) else {
        return Err(Fault::at(input_span, Rule::new("no layer follows the input").right("INPUT 3x32x32 -> FC-10")));
    };
    let implicit = !any(&steps, &|l| matches!(l, Layer::Activation(_) | Layer::Maxout(_)));
    Ok(Plan { input, vocabulary, input_span, end_span, steps, implicit })
}

fn expand_all(items: &[Item], budget: &mut usize) -> Result<Vec<Step>, Fault> {
    let mut steps = Vec::new();
    for item in items {
        one(item, item.name.clone(), budget, &mut steps)?;
    }
    Ok(steps)
}

fn one(item: &Item, name: Option<String>, budget: &mut usize, steps: &mut Vec<Step>) -> Result<(), Fault> {
    let span = item.span;
    // Every item that is looked at counts, so that nested repeats of nothing end too.
    *budget = budget.checked_sub(1).ok_or_else(|| {
        let rule = Rule::new(format!("more than {MOST_LAYERS} layers and groups with all repeats"));
        Fault::at(span, rule.right("a smaller network"))
    })?;
    let what = match &item.what {
        What::Layer(layer) => Work::Layer(layer.clone()),
        What::Group(inner) => {
            let inner = expand_all(inner, budget)?;
            if name.is_none() {
                steps.extend(inner);
                return Ok(());
            }
            Work::Scope(inner)
        }
        What::Residual(inner) => Work::Residual(expand_all(inner, budget)?),
        What::Branches(join, parts) => {
            Work::Branches(*join, parts.iter().map(|p| expand_all(p, budget)).collect::<Result<_, _>>()?)
        }
        What::Repeat(inner, times) => {
            for i in 0..*times {
                let own = name.as_ref().or(inner.name.as_ref());
                let name = own.map(|n| if *times > 1 { format!("{n}.{i}") } else { n.clone() });
                one(inner, name, budget, steps)?;
            }
            return Ok(());
        }
    };
    steps.push(Step { what, span, name });
    Ok(())
}

/// Whether some layer, inside groups too, is such a one.
pub(super) fn any(steps: &[Step], test: &dyn Fn(&Layer) -> bool) -> bool {
    steps.iter().any(|s| match &s.what {
        Work::Layer(l) => test(l),
        Work::Residual(inner) | Work::Scope(inner) => any(inner, test),
        Work::Branches(_, parts) => parts.iter().any(|p| any(p, test)),
    })
}

/// The layers in their order, groups opened.
fn flat<'a>(steps: &'a mut [Step], out: &mut Vec<(&'a mut Layer, Span)>) {
    for step in steps {
        match &mut step.what {
            Work::Layer(layer) => out.push((layer, step.span)),
            Work::Residual(inner) | Work::Scope(inner) => flat(inner, out),
            Work::Branches(_, parts) => parts.iter_mut().for_each(|p| flat(p, out)),
        }
    }
}

/// Fills in the number of the last fully connected layer, or that of the classifier that `SOFTMAX` alone stands for.
pub(super) fn with_classes(mut plan: Plan, classes: Option<usize>) -> Result<Plan, Fault> {
    let mut layers = Vec::new();
    flat(&mut plan.steps, &mut layers);
    layers.retain(|(l, _)| !matches!(l, Layer::Claim(_)));
    let before = layers.len().checked_sub(2).map(|i| &*layers[i].0);
    // Scores come from a layer with weights or an average, not from an activation.
    let classifier = matches!(
        before,
        Some(Layer::Activation(_) | Layer::Maxout(_) | Layer::Dropout(_) | Layer::Pool { .. } | Layer::Lrn(_))
    );
    let last = match layers.pop() {
        Some((Layer::Softmax(units @ None), span)) if classifier => Some((units, span, "soft-max-10")),
        Some((Layer::Dense { units, .. }, span)) => Some((units, span, "FC-10")),
        _ => layers.iter_mut().rev().find_map(|(l, span)| match l {
            Layer::Dense { units, .. } => Some((units, *span, "FC-10")),
            _ => None,
        }),
    };
    if let Some((units @ None, span, right)) = last {
        *units = Some(classes.ok_or_else(|| {
            Fault::at(span, Rule::new("the number of classes is not known").right(format!("a number: {right}")))
        })?);
    }
    Ok(plan)
}
