//! What is legal but surprising in a network's layers.

use gabor_graph::ops::{AvgPool, Conv, LpPool, MaxPool};
use gabor_graph::{Graph, Node, Phase};
use gabor_tensor::Window;

/// Most layers that a note names.
const MOST_NAMES: usize = 3;

/// Notes of the forward part, `LAYERS: NOTE`; layers of which the same is said share one.
pub(super) fn notes(graph: &Graph) -> Vec<String> {
    let mut all: Vec<(String, Vec<&str>)> = Vec::new();
    for node in graph.nodes().iter().filter(|n| n.phase == Phase::Forward && !n.notes.is_empty()) {
        // Where windows leave gaps between them, leaving out the last elements too is what was meant.
        if window(node).is_some_and(|w| w.axes().iter().all(|a| a.dropped() == 0 || a.reach() < a.stride)) {
            continue;
        }
        let text = joined(&node.notes);
        match all.iter_mut().find(|(t, _)| *t == text) {
            Some((_, names)) => names.push(&node.name),
            None => all.push((text, vec![&node.name])),
        }
    }
    all.into_iter().map(|(text, names)| format!("{}: {text}", listed(&names))).collect()
}

fn window(node: &Node) -> Option<&Window> {
    let pool = || node.op::<MaxPool>().map(|p| &p.window).or(node.op::<AvgPool>().map(|p| &p.window));
    let conv = node.op::<Conv>().map(|c| &c.geometry.window);
    conv.or_else(pool).or(node.op::<LpPool>().map(|p| &p.window))
}

/// The notes of one layer in a line; what holds for rows and for columns is said once.
fn joined(notes: &[String]) -> String {
    match notes {
        [rows, columns] if rows.replace(" rows ", " columns ") == *columns => {
            rows.replace(" rows ", " rows and columns ")
        }
        all => all.join("; "),
    }
}

fn listed(names: &[&str]) -> String {
    match names.len() {
        n if n > MOST_NAMES => format!("{} and {} more", names[..MOST_NAMES].join(", "), n - MOST_NAMES),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use crate::zoo::Options;
    use crate::{Mode, network, summary};

    fn of(net: &str) -> Vec<String> {
        summary(&network(net, &Options::default()).unwrap().graph(Mode::Infer).unwrap()).notes
    }

    #[test]
    fn only_what_surprises_is_said_and_once() {
        // A 1×1 convolution with stride 2 has gaps everywhere.
        assert_eq!(of("resnet18"), Vec::<String>::new());
        assert_eq!(of("INPUT 3x8x8 conv1-4 s2 p0 relu FC-2"), Vec::<String>::new());
        let two = "INPUT 3x8x8 [conv3-4 s2 p0 relu | maxpool3 s2 p0] FC-2";
        let text = "the last 1 rows and columns are dropped: (8 + 0 - 3) is not a multiple of stride 2";
        assert_eq!(of(two), [format!("conv1, pool1: {text}")]);
        let many =
            "INPUT 3x8x8 [maxpool3 s2 p0 | maxpool3 s2 p0 | maxpool3 s2 p0 | maxpool3 s2 p0 | avgpool3 s2 p0] FC-2";
        assert_eq!(of(many), [format!("pool1, pool2, pool3 and 2 more: {text}")]);
        let uneven = of("INPUT 3x9x8 maxpool3 s2 p0 FC-2");
        assert_eq!(uneven, ["pool1: the last 1 columns are dropped: (8 + 0 - 3) is not a multiple of stride 2"]);
    }
}
