//! A network's graph built again with other normalisation or other names of parameters.

use super::{Forward, averaged, choose};
use crate::Result;
use crate::pattern::matches;
use gabor_graph::ops::{BatchNorm, BatchNormInference};
use gabor_graph::{Graph, Node, Phase, Source, ValueId};
use std::collections::{BTreeSet, HashMap};

/// Which batch normalisations use their running statistics in training, and leave them as they are.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum FreezeNorm {
    /// Those whose scale and shift are frozen both, as Keras does: what a frozen layer gives depends on its image alone.
    #[default]
    Frozen,
    /// All of them.
    All,
    /// None.
    Never,
    /// Those of which the name of a parameter fits one of these patterns.
    Patterns(Vec<String>),
}

/// The network with the normalisations fixed that `how` names; `frozen` says whether a trainable parameter is.
///
/// # Errors
/// A pattern that fits no normalisation.
pub(super) fn fixed_norms(forward: &Forward, how: &FreezeNorm, frozen: &dyn Fn(&str) -> bool) -> Result<Forward> {
    let g = &forward.graph;
    let name = |v: ValueId| g.value(v).name.as_str();
    let norms = || g.nodes().iter().filter(|n| n.op::<BatchNorm>().is_some());
    if let FreezeNorm::Patterns(patterns) = how {
        let names: Vec<&str> = norms().flat_map(|n| n.inputs[1..].iter().map(|&v| name(v))).collect();
        for p in patterns {
            choose::check("freeze_norm", p, names.iter().copied())?;
        }
    }
    let fixed = |node: &Node| match how {
        FreezeNorm::Frozen => node.inputs[1..3].iter().all(|&v| frozen(name(v))),
        FreezeNorm::All => true,
        FreezeNorm::Never => false,
        FreezeNorm::Patterns(patterns) => {
            node.inputs[1..].iter().any(|&v| patterns.iter().any(|p| matches(p, name(v))))
        }
    };
    let chosen: BTreeSet<&str> = norms().filter(|n| fixed(n)).map(|n| n.name.as_str()).collect();
    if chosen.is_empty() { Ok(forward.clone()) } else { rebuild(forward, &chosen, &BTreeSet::new()) }
}

/// The network that reads the averages of these parameters in their place.
pub(super) fn of_averages(forward: &Forward, names: &BTreeSet<&str>) -> Result<Forward> {
    rebuild(forward, &BTreeSet::new(), names)
}

fn rebuild(forward: &Forward, fixed: &BTreeSet<&str>, of_average: &BTreeSet<&str>) -> Result<Forward> {
    let old = &forward.graph;
    let mut new = Graph::new(old.name.clone());
    let mut values: HashMap<ValueId, ValueId> = HashMap::new();
    for v in old.value_ids() {
        let value = old.value(v);
        let made = match &value.source {
            Source::Input => new.input(&value.name, value.ty.shape.clone(), value.ty.dtype)?,
            Source::Parameter(p) => {
                let shape = value.ty.shape.known().unwrap_or_default();
                let average = of_average.contains(value.name.as_str()).then(|| averaged(&value.name));
                new.parameter(average.as_deref().unwrap_or(&value.name), &shape, p.clone())?
            }
            Source::Constant(t) => new.constant((**t).clone()),
            Source::Node(id, 0) => {
                let node = old.node(*id);
                let inputs: Vec<ValueId> = node.inputs.iter().map(|i| values[i]).collect();
                new.scope(node.name.clone());
                new.set_phase(node.phase);
                let outputs = match node.op::<BatchNorm>() {
                    Some(norm) if fixed.contains(node.name.as_str()) => {
                        new.add_node(BatchNormInference { eps: norm.eps }, &inputs)?
                    }
                    _ => new.add_shared(node.operation.clone(), &inputs)?,
                };
                values.extend(node.outputs.iter().copied().zip(outputs));
                continue;
            }
            Source::Node(..) => continue,
        };
        values.insert(v, made);
    }
    new.scope("");
    new.set_phase(Phase::Forward);
    for (name, v) in old.outputs() {
        new.output(name.clone(), values[v]);
    }
    for (p, v) in old.updates() {
        // A fixed normalisation gives no new statistics.
        if let Some(&v) = values.get(v) {
            new.update(values[p], v)?;
        }
    }
    let auxiliary = forward.auxiliary.iter().map(|(v, weight)| (values[v], *weight)).collect();
    Ok(Forward { graph: new, logits: values[&forward.logits], auxiliary })
}
