//! Running variances for a network whose batch normalisation adds another `eps` than the file's.

use gabor_graph::Graph;
use gabor_graph::ops::BatchNormInference;
use gabor_tensor::{Data, Weights};
use std::collections::HashMap;

/// What is added to each running variance, by the parameter's name.
fn added(graph: &Graph) -> HashMap<&str, f64> {
    let nodes = graph.nodes().iter().filter_map(|n| Some((n.op::<BatchNormInference>()?.eps, n.inputs[4])));
    nodes.map(|(eps, var)| (graph.value(var).name.as_str(), eps)).collect()
}

/// Changes variances so that `var + eps` of the network is what it is in the file's own, and says how many.
///
/// A variance that would fall below 0 becomes 0: the network cannot say less.
pub(super) fn adapt(file: &Graph, network: &Graph, weights: &mut Weights) -> Option<String> {
    let (theirs, ours) = (added(file), added(network));
    let mut changed = 0;
    for (name, t) in &mut weights.0 {
        let (Some(&from), Some(&to)) = (theirs.get(name.as_str()), ours.get(name.as_str())) else { continue };
        if from == to {
            continue;
        }
        if let Data::F32(v) = t.data_mut() {
            // Files round eps, by which no variance may move at all.
            let mut moved = false;
            for x in v {
                let new = (f64::from(*x) + from - to).max(0.0) as f32;
                moved |= new != *x;
                *x = new;
            }
            changed += usize::from(moved);
        }
    }
    (changed > 0)
        .then(|| format!("{changed} running variances are changed for the network's eps of batch normalisation"))
}
