//! A network as a picture: blocks and arrows from top to bottom, as an SVG file or as text for Graphviz.

mod dot;
mod fold;
mod layout;
mod svg;

/// What a block does, which is its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockKind {
    /// What goes in.
    Input,
    /// Convolutions of every kind.
    Conv,
    /// Fully connected layers.
    Linear,
    /// Pooling.
    Pool,
    /// Normalisation that stands alone.
    Norm,
    /// Activation that stands alone.
    Activation,
    /// Sums, products and concatenations.
    Join,
    /// Anything else.
    Other,
    /// What comes out.
    Output,
}

impl BlockKind {
    /// The kinds of the legend; what goes in and comes out explains itself.
    const NAMES: [(BlockKind, &str); 7] = [
        (BlockKind::Conv, "convolution"),
        (BlockKind::Linear, "fully connected"),
        (BlockKind::Pool, "pooling"),
        (BlockKind::Norm, "normalisation"),
        (BlockKind::Activation, "activation"),
        (BlockKind::Join, "sum, product, concatenation"),
        (BlockKind::Other, "other"),
    ];
    /// Name of the edge's colour, the inside's too, but for its opacity.
    fn color(self) -> &'static str {
        match self {
            BlockKind::Input | BlockKind::Output => "text",
            BlockKind::Conv => "blue",
            BlockKind::Linear => "green",
            BlockKind::Pool => "orange",
            BlockKind::Norm => "purple",
            BlockKind::Activation => "gold",
            BlockKind::Join | BlockKind::Other => "grey",
        }
    }
    /// Opacity of the inside, in 255ths.
    fn tint(self) -> u8 {
        if matches!(self, BlockKind::Input | BlockKind::Output) { 0 } else { 40 }
    }
}

/// One block: a layer with what works in place on its output.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The layer's name, shown where a reader points at it.
    pub name: String,
    /// What it does.
    pub kind: BlockKind,
    /// What it is: `3×3 conv, 64, /2`.
    pub title: String,
    /// What follows in place: `batch norm`, `relu`.
    pub extras: Vec<String>,
    /// Extents of one sample of its output: `64×112×112`.
    pub output: String,
    /// Trainable parameters.
    pub parameters: u64,
}

/// A network to draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagram {
    /// Headline.
    pub title: String,
    /// A line below it.
    pub subtitle: String,
    /// Blocks in an order in which they can be computed.
    pub blocks: Vec<Block>,
    /// Arrows from one block to a later one, by their numbers; others are left out.
    pub links: Vec<(usize, usize)>,
}

/// Blocks that are drawn once and stand for several copies.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame {
    /// The blocks that are drawn.
    blocks: Vec<usize>,
    /// How often they follow each other.
    times: usize,
    /// Names of the first block and of the last block of all copies.
    names: (String, String),
}

/// A short form of a count: `1,792`, `295 k`, `102.8 M`.
fn short_count(n: u64) -> String {
    match n {
        0..10_000 => crate::count(n),
        10_000..1_000_000 => format!("{:.0} k", n as f64 / 1e3),
        _ => format!("{:.1} M", n as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests;
