//! The picture as text for Graphviz.

use super::{Diagram, short_count};
use crate::style;
use std::fmt::Write;

impl Diagram {
    /// Text in Graphviz's language, for `dot -Tsvg`: blocks with their layers' names, extents on the arrows. `folded`: as
    /// in [`to_svg`](Diagram::to_svg).
    pub fn to_dot(&self, folded: bool) -> String {
        let (diagram, frames) = if folded { self.folded() } else { (self.clone(), Vec::new()) };
        let grey = style::light("muted");
        let mut out = format!(
            "digraph {} {{\n  label={};\n  labelloc=t;\n  rankdir=TB;\n  \
             node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11];\n  \
             edge [color=\"{grey}\", fontname=\"Helvetica\", fontsize=9, fontcolor=\"{grey}\"];\n",
            quoted(&self.title),
            quoted(&format!("{}\n{}", self.title, self.subtitle))
        );
        for (i, b) in diagram.blocks.iter().enumerate() {
            let mut lines = vec![b.title.clone()];
            if !b.extras.is_empty() {
                lines.push(b.extras.join(", "));
            }
            if b.parameters > 0 {
                lines.push(format!("{} parameters", short_count(b.parameters)));
            }
            let (color, tint) = (style::light(b.kind.color()), b.kind.tint());
            let _ = writeln!(
                out,
                "  b{i} [label={}, tooltip={}, fillcolor=\"{color}{tint:02x}\", color=\"{color}\"];",
                quoted(&lines.join("\n")),
                quoted(&b.name)
            );
        }
        for (i, f) in frames.iter().enumerate() {
            let inside: String = f.blocks.iter().map(|b| format!(" b{b};")).collect();
            let _ = writeln!(
                out,
                "  subgraph cluster_{i} {{ label=\"× {}\"; labeljust=r; style=\"rounded,dashed\"; color=\"{grey}\";{inside} }}",
                f.times
            );
        }
        for &(a, b) in &diagram.links {
            let Some(from) = diagram.blocks.get(a).filter(|_| b < diagram.blocks.len()) else { continue };
            let _ = writeln!(out, "  b{a} -> b{b} [label={}];", quoted(&format!(" {}", from.output)));
        }
        out + "}\n"
    }
}

/// A text in quotes, with `\n` for new lines.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out + "\""
}
