//! The layers of a network by their depth: the head, the upper and the lower half of the rest.

use super::Forward;
use gabor_graph::{Graph, Node, Source, ValueId};
use std::collections::{BTreeSet, HashMap};

/// A group of trainable parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// `head`, `upper half` or `lower half`.
    pub name: &'static str,
    /// Names, in the order of the network.
    pub parameters: Vec<String>,
}

/// The trainable parameters of a network in groups, from the head down; empty groups are left out.
///
/// The head is the last layer with weights before each of the scores, auxiliary ones too, with what follows it (its
/// bias). The depth of a layer is the number of layers with weights on the longest way to it; the upper half are those
/// deeper than half of the deepest outside the head.
pub fn groups(forward: &Forward) -> Vec<Group> {
    let g = &forward.graph;
    let own = own_parameters(g);
    let scores: Vec<ValueId> = [forward.logits].into_iter().chain(forward.auxiliary.iter().map(|a| a.0)).collect();
    let head = head(g, &own, &scores);
    let depth = depths(g, &own);
    let all: Vec<&str> = g.parameters().filter(|(_, p)| p.trainable).map(|(v, _)| g.value(v).name.as_str()).collect();
    let deepest = all.iter().filter(|n| !head.contains(**n)).filter_map(|n| depth.get(*n)).max().copied().unwrap_or(0);
    let of = |n: &str| match depth.get(n) {
        _ if head.contains(n) => 0,
        Some(&d) if 2 * d > deepest => 1,
        _ => 2,
    };
    let group =
        |i: usize, name| Group { name, parameters: all.iter().filter(|n| of(n) == i).map(|n| n.to_string()).collect() };
    let list = [group(0, "head"), group(1, "upper half"), group(2, "lower half")];
    list.into_iter().filter(|g| !g.parameters.is_empty()).collect()
}

/// Trainable parameters that each value is made of, for values that no input reaches.
fn own_parameters(g: &Graph) -> HashMap<ValueId, BTreeSet<ValueId>> {
    let mut own: HashMap<ValueId, BTreeSet<ValueId>> = HashMap::new();
    for v in g.value_ids() {
        match &g.value(v).source {
            Source::Parameter(p) => {
                own.insert(v, if p.trainable { [v].into() } else { BTreeSet::new() });
            }
            Source::Constant(_) => {
                own.insert(v, BTreeSet::new());
            }
            Source::Input => {}
            Source::Node(id, _) => {
                let inputs = &g.node(*id).inputs;
                if inputs.iter().all(|i| own.contains_key(i)) {
                    let all = inputs.iter().flat_map(|i| own[i].iter().copied()).collect();
                    own.insert(v, all);
                }
            }
        }
    }
    own
}

/// What a node reads of parameters, and whether weights are among it: numbers that join several values, no bias or scale.
fn read(g: &Graph, own: &HashMap<ValueId, BTreeSet<ValueId>>, node: &Node) -> (Vec<ValueId>, bool) {
    let parameters: Vec<ValueId> = node.inputs.iter().filter_map(|i| own.get(i)).flatten().copied().collect();
    let weights = parameters.iter().any(|&v| g.shape(v).rank() >= 2);
    (parameters, weights)
}

fn head(g: &Graph, own: &HashMap<ValueId, BTreeSet<ValueId>>, scores: &[ValueId]) -> BTreeSet<String> {
    let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut stack = scores.to_vec();
    while let Some(v) = stack.pop() {
        let Some(node) = g.producer(v).filter(|_| seen.insert(v)) else { continue };
        let (parameters, weights) = read(g, own, node);
        found.extend(parameters.iter().map(|&p| g.value(p).name.clone()));
        if !weights {
            stack.extend(node.inputs.iter().filter(|i| !own.contains_key(i)));
        }
    }
    found
}

/// The depth of every trainable parameter, by name.
fn depths(g: &Graph, own: &HashMap<ValueId, BTreeSet<ValueId>>) -> HashMap<String, usize> {
    let (mut of_value, mut of_parameter) = (HashMap::<ValueId, usize>::new(), HashMap::new());
    for node in g.nodes() {
        let (parameters, weights) = read(g, own, node);
        let before = node.inputs.iter().filter_map(|i| of_value.get(i)).max().copied().unwrap_or(0);
        let joins = node.inputs.iter().any(|i| !own.contains_key(i));
        let depth = before + usize::from(weights && joins);
        if joins {
            for p in parameters {
                of_parameter.entry(g.value(p).name.clone()).or_insert(depth);
            }
        }
        of_value.extend(node.outputs.iter().map(|&o| (o, depth)));
    }
    of_parameter
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_nets::{Mode, network};

    fn of(net: &str) -> Vec<Group> {
        groups(&Forward::of(&network(net, &Default::default()).unwrap(), Mode::Train).unwrap())
    }

    #[test]
    fn a_residual_network_is_cut_at_half_its_depth() {
        let g = of("resnet18");
        assert_eq!(g.iter().map(|g| g.name).collect::<Vec<_>>(), ["head", "upper half", "lower half"]);
        assert_eq!(g[0].parameters, ["fc.weight", "fc.bias"]);
        // Seventeen layers below the head: the ninth is the first of the upper half.
        assert_eq!(
            (g[1].parameters[0].as_str(), g[2].parameters[0].as_str()),
            ("layer2.1.conv2.weight", "conv1.weight")
        );
        assert_eq!(g[2].parameters.last().map(String::as_str), Some("layer2.1.bn1.bias"));
        assert_eq!(g.iter().map(|g| g.parameters.len()).sum::<usize>(), 62);
    }

    #[test]
    fn a_head_may_be_a_convolution_and_may_have_companions() {
        let squeeze = of("squeezenet1_1");
        assert_eq!(squeeze[0].parameters, ["classifier.1.weight", "classifier.1.bias"]);
        let google = of("googlenet");
        let head: Vec<&str> = google[0].parameters.iter().map(String::as_str).collect();
        assert!(["fc.weight", "aux1.fc2.weight", "aux2.fc2.bias"].iter().all(|n| head.contains(n)), "{head:?}");
        assert_eq!(head.len(), 6);
    }
}
