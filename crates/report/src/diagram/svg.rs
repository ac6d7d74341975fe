//! The picture as SVG.

use super::layout::{Placed, layout};
use super::{Block, BlockKind, Diagram, Frame, short_count};
use crate::chart::escape;
use crate::style;
use crate::words::{paragraph, title};
use std::fmt::Write;

const MARGIN: f64 = 28.0;
/// Height of the title and the legend, and of a line below the title.
const HEAD: f64 = 72.0;
const LINE: f64 = 20.0;
/// Width that words have where the network is narrow.
const LEAST: f64 = 420.0;
/// Longest text on a block, in characters.
const MOST_TEXT: usize = 44;
/// Room at the right of a block for the number of its copies.
const BADGE: f64 = 38.0;

impl Diagram {
    /// The picture as an SVG file of its own. `folded`: parts that repeat directly after each other are drawn once, with
    /// the number of copies beside them.
    pub fn to_svg(&self, folded: bool) -> String {
        let (diagram, frames) = if folded { self.folded() } else { (self.valid(), Vec::new()) };
        let alone = |i: usize| frames.iter().find(|f| f.blocks == [i]);
        let sizes: Vec<(f64, f64)> = diagram
            .blocks
            .iter()
            .enumerate()
            .map(|(i, b)| {
                let (w, h) = extents(b);
                // The badge of a single block is part of its room, on both sides so that it stays in the middle.
                (if alone(i).is_some() { w + 2.0 * BADGE } else { w }, h)
            })
            .collect();
        let at = layout(&sizes, &diagram.links);
        let kinds: Vec<(BlockKind, &str)> =
            BlockKind::NAMES.into_iter().filter(|(k, _)| diagram.blocks.iter().any(|b| b.kind == *k)).collect();
        let legend: f64 = kinds.iter().map(|(_, name)| legend_width(name)).sum();
        let framed = if frames.iter().any(|f| f.blocks.len() > 1) { BADGE } else { 0.0 };
        let inner = (at.width + 2.0 * framed).max(LEAST);
        // A narrow network has its legend on two lines.
        let per_line = if legend <= inner { kinds.len() } else { kinds.len().div_ceil(2) };
        let lines = kinds.chunks(per_line.max(1));
        let legend = lines.clone().map(|l| l.iter().map(|(_, n)| legend_width(n)).sum::<f64>()).fold(0.0, f64::max);
        let inner = inner.max(legend);
        let words = paragraph(std::slice::from_ref(&self.subtitle), inner);
        let head = HEAD + LINE * (lines.len().max(1) - 1 + words.len()) as f64;
        let width = (inner + 2.0 * MARGIN).ceil();
        let height = (at.height + head + 2.0 * MARGIN).ceil();
        let mut css = String::from(
            ".t { font-size: 12.5px; font-weight: 600; text-anchor: middle; }\n\
             .e { font-size: 11px; text-anchor: middle; }\n\
             .s { font-size: 11px; fill: var(--muted); text-anchor: middle; }\n\
             .x { font-size: 14px; font-weight: 600; fill: var(--muted); }\n\
             .l { fill: none; stroke: var(--muted); stroke-opacity: 0.75; stroke-width: 1.4; }\n\
             .f { fill: var(--soft); stroke: var(--muted); stroke-opacity: 0.5; stroke-width: 1.2; stroke-dasharray: 5 4; }\n",
        );
        for kind in kinds.iter().map(|k| k.0).chain([BlockKind::Input, BlockKind::Output]) {
            let (class, color, tint) = (class(kind), kind.color(), f64::from(kind.tint()) / 255.0);
            let _ = writeln!(
                css,
                ".{class} {{ fill: var(--{color}); fill-opacity: {tint:.3}; stroke: var(--{color}); stroke-width: 1.3; }}"
            );
        }
        let mut out = style::open(width, height, &self.title, &css);
        out += "<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
                orient=\"auto\"><path d=\"M0 0.6 L7.4 4 L0 7.4 z\" style=\"fill: var(--muted)\"/></marker></defs>\n";
        title(&mut out, [MARGIN, MARGIN + 14.0], inner, &self.title);
        for (i, line) in words.iter().enumerate() {
            let y = MARGIN + 36.0 + LINE * i as f64;
            let _ = writeln!(out, "<text class=\"m\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", escape(line));
        }
        for (i, line) in lines.enumerate() {
            let (mut x, y) = (MARGIN, MARGIN + 40.0 + LINE * (i + words.len()) as f64);
            for (kind, name) in line {
                let _ = writeln!(
                    out,
                    "<rect class=\"{}\" x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" rx=\"3\"/>\
                     <text class=\"m\" x=\"{}\" y=\"{y}\">{name}</text>",
                    class(*kind),
                    y - 10.5,
                    x + 18.0
                );
                x += legend_width(name);
            }
        }
        let left = ((width - at.width) / 2.0).round();
        let _ = writeln!(out, "<g transform=\"translate({left} {})\">", head + MARGIN);
        for f in frames.iter().filter(|f| f.blocks.len() > 1) {
            out += &frame(f, &at.boxes, &at.paths, &diagram.links);
        }
        for path in &at.paths {
            let _ = writeln!(out, "<path class=\"l\" d=\"{}\" marker-end=\"url(#a)\"/>", curve(path));
        }
        for (i, (b, p)) in diagram.blocks.iter().zip(&at.boxes).enumerate() {
            let f = alone(i);
            let width = if f.is_some() { p.width - 2.0 * BADGE } else { p.width };
            out += &block(b, &Placed { width, ..*p });
            if let Some(f) = f {
                let _ = writeln!(
                    out,
                    "<text class=\"x\" x=\"{:.1}\" y=\"{:.1}\">× {}</text>",
                    p.x + width / 2.0 + 9.0,
                    p.y + 5.0,
                    f.times
                );
            }
        }
        out + "</g>\n</svg>\n"
    }

    /// Without arrows that do not lead to a later block.
    fn valid(&self) -> Diagram {
        let n = self.blocks.len();
        let links = self.links.iter().copied().filter(|&(a, b)| a < b && b < n).collect();
        Diagram { links, ..self.clone() }
    }
}

fn class(kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::Input => "in",
        BlockKind::Conv => "conv",
        BlockKind::Linear => "fc",
        BlockKind::Pool => "pool",
        BlockKind::Norm => "norm",
        BlockKind::Activation => "act",
        BlockKind::Join => "join",
        BlockKind::Other => "other",
        BlockKind::Output => "out",
    }
}

fn legend_width(name: &str) -> f64 {
    18.0 + text_width(name, 6.4) + 20.0
}

fn text_width(text: &str, per: f64) -> f64 {
    text.chars().count() as f64 * per
}

/// At most [`MOST_TEXT`] characters, the middle left out.
fn short(text: &str) -> String {
    let n = text.chars().count();
    if n <= MOST_TEXT {
        return text.to_string();
    }
    let half = MOST_TEXT / 2;
    text.chars().take(half).chain(['…']).chain(text.chars().skip(n - half + 1)).collect()
}

/// The lines of a block: what it is, what follows in place, what comes out.
fn lines(b: &Block) -> Vec<(&'static str, String)> {
    let mut out = vec![("t", short(&b.title))];
    if !b.extras.is_empty() {
        out.push(("e", short(&b.extras.join(" · "))));
    }
    let mut last = b.output.clone();
    if b.parameters > 0 {
        last += &format!("  ·  {} param.", short_count(b.parameters));
    }
    if !last.is_empty() {
        out.push(("s", short(&last)));
    }
    out
}

fn extents(b: &Block) -> (f64, f64) {
    let lines = lines(b);
    let wide = |(class, text): &(&str, String)| text_width(text, if *class == "t" { 7.1 } else { 6.0 });
    let width = lines.iter().map(wide).fold(0.0, f64::max) + 26.0;
    (width.max(84.0).round(), 13.0 + 15.5 * lines.len() as f64)
}

fn block(b: &Block, p: &Placed) -> String {
    let (x, y) = (p.x - p.width / 2.0, p.y - p.height / 2.0);
    let round = if matches!(b.kind, BlockKind::Input | BlockKind::Output) { p.height / 2.0 } else { 7.0 };
    let mut out = format!(
        "<g><title>{}</title><rect class=\"{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{round:.1}\"/>",
        escape(&short(&b.name)),
        class(b.kind),
        p.width,
        p.height
    );
    for (i, (class, text)) in lines(b).iter().enumerate() {
        let at = y + 18.5 + 15.5 * i as f64;
        let _ = write!(out, "<text class=\"{class}\" x=\"{:.1}\" y=\"{at:.1}\">{}</text>", p.x, escape(text));
    }
    out + "</g>\n"
}

/// The box around a part that stands for several copies, with their number beside it.
fn frame(f: &Frame, boxes: &[Placed], paths: &[Vec<(f64, f64)>], links: &[(usize, usize)]) -> String {
    let inside = |b: &usize| f.blocks.contains(b);
    let mut bounds = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    let mut take = |x0: f64, y0: f64, x1: f64, y1: f64| {
        bounds = [bounds[0].min(x0), bounds[1].min(y0), bounds[2].max(x1), bounds[3].max(y1)];
    };
    for &b in &f.blocks {
        let p = &boxes[b];
        take(p.x - p.width / 2.0, p.y - p.height / 2.0, p.x + p.width / 2.0, p.y + p.height / 2.0);
    }
    let (low, high) = (bounds[1], bounds[3]);
    let mut take = |x: f64| bounds = [bounds[0].min(x), bounds[1], bounds[2].max(x), bounds[3]];
    // Arrows that pass beside the blocks, the shortcut's among them, belong to it.
    for (path, _) in paths.iter().zip(links).filter(|(_, (_, to))| inside(to)) {
        path.iter().filter(|p| p.1 >= low && p.1 <= high).for_each(|p| take(p.0));
    }
    let [x0, y0, x1, y1] = [bounds[0] - 12.0, bounds[1] - 9.0, bounds[2] + 12.0, bounds[3] + 9.0];
    format!(
        "<g><title>{} … {}</title><rect class=\"f\" x=\"{x0:.1}\" y=\"{y0:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"11\"/>\
         <text class=\"x\" x=\"{:.1}\" y=\"{:.1}\">× {}</text></g>\n",
        escape(&short(&f.names.0)),
        escape(&short(&f.names.1)),
        x1 - x0,
        y1 - y0,
        x1 + 8.0,
        (y0 + y1) / 2.0 + 5.0,
        f.times
    )
}

/// Straight lines down, and bends between ranks.
fn curve(points: &[(f64, f64)]) -> String {
    let mut out = String::new();
    let mut last = (f64::NAN, f64::NAN);
    for (i, &(x, y)) in points.iter().enumerate() {
        if i == 0 {
            let _ = write!(out, "M{x:.1} {y:.1}");
        } else if (x - last.0).abs() < 0.5 {
            if y != last.1 {
                let _ = write!(out, " L{x:.1} {y:.1}");
            }
        } else {
            let middle = (y + last.1) / 2.0;
            let _ = write!(out, " C{:.1} {middle:.1} {x:.1} {middle:.1} {x:.1} {y:.1}", last.0);
        }
        last = (x, y);
    }
    out
}
