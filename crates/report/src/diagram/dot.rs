//! The picture as text for Graphviz.

use super::{Diagram, short_count};
use std::fmt::Write;

impl Diagram {
    /// Text in Graphviz's language, for `dot -Tsvg`: blocks with their layers' names, extents on the arrows. `folded`: as
    /// in [`to_svg`](Diagram::to_svg).
    pub fn to_dot(&self, folded: bool) -> String {
        let (diagram, frames) = if folded { self.folded() } else { (self.clone(), Vec::new()) };
        let mut out = format!(
            "digraph {} {{\n  label={};\n  labelloc=t;\n  rankdir=TB;\n  \
             node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11];\n  \
             edge [color=\"#8a939c\", fontname=\"Helvetica\", fontsize=9, fontcolor=\"#5d6772\"];\n",
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
            let (fill, stroke) = b.kind.colors();
            let _ = writeln!(
                out,
                "  b{i} [label={}, tooltip={}, fillcolor=\"{fill}\", color=\"{stroke}\"];",
                quoted(&lines.join("\n")),
                quoted(&b.name)
            );
        }
        for (i, f) in frames.iter().enumerate() {
            let inside: String = f.blocks.iter().map(|b| format!(" b{b};")).collect();
            let _ = writeln!(
                out,
                "  subgraph cluster_{i} {{ label=\"× {}\"; labeljust=r; style=\"rounded,dashed\"; color=\"#c4c9cd\";{inside} }}",
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
