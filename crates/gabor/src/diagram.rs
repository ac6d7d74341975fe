//! A network as a picture.

use gabor_graph::Graph;
use gabor_nets::{SketchKind, sketch};
use gabor_report::{Block, BlockKind, Diagram, count};

/// The picture of a graph's forward part: [`to_svg`](Diagram::to_svg) draws it, [`to_dot`](Diagram::to_dot) writes it for
/// Graphviz.
///
/// ```
/// use gabor::prelude::*;
/// let net = network("INPUT 3x32x32 -> CONV3-16 -> RELU -> POOL -> FC-10", &Default::default()).unwrap();
/// let picture = gabor::diagram(&net.graph(Mode::Infer).unwrap());
/// assert!(picture.to_svg(true).contains("3×3 conv, 16"));
/// ```
pub fn diagram(graph: &Graph) -> Diagram {
    let s = sketch(graph);
    let (mut parameters, mut flops) = (0u64, 0u64);
    let blocks: Vec<Block> = (s.blocks.into_iter())
        .map(|b| {
            parameters += b.parameters;
            flops = flops.saturating_add(b.flops);
            let extents: Vec<String> = b.output.0.iter().skip(1).map(|d| d.at(1).to_string()).collect();
            Block {
                name: b.name,
                kind: kind(b.kind),
                title: b.title,
                extras: b.extras,
                output: extents.join("×"),
                parameters: b.parameters,
            }
        })
        .collect();
    let subtitle = format!("{} parameters, {:.2} GFLOPs for one sample", count(parameters), flops as f64 / 1e9);
    Diagram { title: s.name, subtitle, blocks, links: s.links }
}

fn kind(k: SketchKind) -> BlockKind {
    match k {
        SketchKind::Input => BlockKind::Input,
        SketchKind::Conv => BlockKind::Conv,
        SketchKind::Linear => BlockKind::Linear,
        SketchKind::Pool => BlockKind::Pool,
        SketchKind::Norm => BlockKind::Norm,
        SketchKind::Activation => BlockKind::Activation,
        SketchKind::Join => BlockKind::Join,
        SketchKind::Other => BlockKind::Other,
        SketchKind::Output => BlockKind::Output,
    }
}
