//! The picture as SVG. Everything that moves is a group with a CSS animation of one common length.

use super::place::{LINE, MARGIN, Places, broken, flat, places};
use super::{ConvAnimation, ConvCellKind, ConvGrid};
use crate::chart::escape;
use crate::heat::Scale;
use crate::style;
use std::fmt::Write;

/// Opacity of an output that is not computed yet: it can still be read.
const PALE: f64 = 0.42;
/// Part of a step that the window takes to move.
const MOVING: f64 = 0.22;

/// The picture: moving, or one step of it.
pub fn svg(a: &ConvAnimation, still: Option<usize>) -> String {
    let p = places(a);
    let mut out = head(a, &p, still.is_none());
    let first = still.unwrap_or(0);
    let c = p.cell;
    let _ = writeln!(out, "<text class=\"h\" x=\"{MARGIN}\" y=\"{}\">{}</text>", MARGIN + 16.0, escape(&a.title));
    for (i, line) in a.lines.iter().enumerate() {
        let y = MARGIN + 40.0 + 20.0 * i as f64;
        let _ = writeln!(out, "<text class=\"m\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", escape(line));
    }
    caption(&mut out, p.input, &a.caption);
    cells(&mut out, a, &p);
    // The window: a tint below the numbers, a frame and the filter's numbers above them.
    let corner = a.steps.get(first).map(|s| s.corner);
    if let Some(at) = corner {
        let (class, shift) = moved(still, at, c);
        let _ = write!(out, "<g class=\"w{class}\"{shift}>");
        for (y, x) in taps(a) {
            square(&mut out, "t", p.input[0] + x as f64 * c, p.input[1] + y as f64 * c, c);
        }
        out += "</g>\n";
    }
    numbers(&mut out, a, &p);
    if let Some(at) = corner {
        let (class, shift) = moved(still, at, c);
        let _ = write!(out, "<g class=\"w{class}\"{shift}>");
        window(&mut out, a, &p);
        out += "</g>\n";
    }
    if !flat(a) {
        grid(&mut out, &a.filter, p.filter, c, "k");
    }
    if let Some(given) = &a.given {
        grid(&mut out, given, p.given, c, "q");
    }
    outputs(&mut out, a, &p, still);
    sums(&mut out, a, &p, still);
    legend(&mut out, a, &p);
    out + "</svg>\n"
}

fn head(a: &ConvAnimation, p: &Places, moving: bool) -> String {
    let (width, height) = (p.width.ceil(), p.height.ceil());
    let color = |v: f32| {
        let [r, g, b] = Scale::Diverging.color(v);
        format!("#{r:02x}{g:02x}{b:02x}")
    };
    let (blue, orange) = (color(-0.85), color(0.85));
    // A letter is about 0.6 of its size wide; some room stays at both sides.
    let digits = |c: f64, most: usize| (c * 0.40).min((c - 4.0) / (0.62 * most.max(2) as f64)).clamp(3.0, 17.0);
    let longest = |n: &mut dyn Iterator<Item = usize>| n.max().unwrap_or(1);
    let most = longest(&mut a.cells.iter().map(|c| c.text.chars().count()));
    let results = longest(&mut a.output.numbers.iter().map(|n| n.chars().count()));
    let weights = longest(&mut a.filter.numbers.iter().map(|n| n.chars().count()));
    let mut style = format!(
        ".i {{ fill: {blue}; fill-opacity: 0.24; }} .e {{ fill: none; stroke: var(--muted); stroke-opacity: 0.5; stroke-dasharray: 3 3; }}\n\
         .z {{ fill: var(--muted); fill-opacity: 0.10; }}\n\
         .g {{ fill: none; stroke: var(--page); stroke-width: 1.6; }} .t {{ fill: {orange}; fill-opacity: 0.38; }}\n\
         .o {{ fill: {orange}; fill-opacity: 0.22; }} .k {{ fill: {orange}; fill-opacity: 0.38; }} .q {{ fill: {orange}; fill-opacity: 0.14; }}\n\
         .r {{ fill: none; stroke: {orange}; stroke-width: 2.4; }} .x {{ fill: url(#drop); }}\n\
         .d {{ font-size: {:.1}px; text-anchor: middle; }} .u {{ font-size: {:.1}px; text-anchor: middle; }} .v {{ font-size: {:.1}px; text-anchor: middle; }}\n\
         .a {{ fill: var(--muted); }} .y {{ font-size: 15px; white-space: pre; }}\n\
         .j {{ font-size: {:.1}px; text-anchor: end; font-weight: 600; }}\n",
        digits(p.cell, most),
        digits(p.cell, results),
        digits(p.cell, weights),
        (digits(p.cell, weights) * 0.6).max(6.5).min(digits(p.cell, weights)),
    );
    if moving && a.steps.len() > 1 {
        motion(&mut style, a, p);
    }
    let mut out = style::open(width, height, &a.title, &style);
    let _ = writeln!(
        out,
        "<defs><pattern id=\"drop\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <rect width=\"2\" height=\"7\" style=\"fill: var(--muted); fill-opacity: 0.55\"/></pattern></defs>"
    );
    out
}

/// The keyframes: of the window, of the mark on the output, of sums, and of each output.
fn motion(out: &mut String, a: &ConvAnimation, p: &Places) {
    let count = a.steps.len();
    let whole = a.pace() * count as f64;
    let percent = |t: f64| 100.0 * t / count as f64;
    let path = |out: &mut String, name: &str, at: &dyn Fn(usize) -> [f64; 2]| {
        let _ = write!(out, "@keyframes {name} {{");
        for i in 0..count {
            let [x, y] = at(i);
            let to = if i + 1 == count { 100.0 } else { percent(i as f64 + 1.0 - MOVING) };
            let _ = write!(out, " {:.3}%, {to:.3}% {{ transform: translate({x}px, {y}px); }}", percent(i as f64));
        }
        *out += " }\n";
    };
    path(out, "w", &|i| [a.steps[i].corner[1] as f64 * p.cell, a.steps[i].corner[0] as f64 * p.cell]);
    let columns = a.output.columns.max(1);
    path(out, "r", &|i| [(i % columns) as f64 * p.cell, (i / columns) as f64 * p.cell]);
    let _ = writeln!(
        out,
        ".w {{ animation: w {whole:.2}s ease-in-out infinite; }} .mk {{ animation: r {whole:.2}s ease-in-out infinite; }}\n\
         @keyframes s {{ 0% {{ opacity: 1; }} {:.3}%, 100% {{ opacity: 0; }} }}\n\
         .s {{ opacity: 0; animation: s {whole:.2}s step-end infinite; }} .s1 {{ opacity: 1; }}",
        percent(1.0)
    );
    // An output appears when the window has come to rest over its elements, and stays to the end of the round.
    for i in 1..count {
        let _ = writeln!(
            out,
            "@keyframes o{i} {{ 0% {{ opacity: {PALE}; }} {:.3}%, 100% {{ opacity: 1; }} }} \
             .o{i} {{ opacity: {PALE}; animation: o{i} {whole:.2}s step-end infinite; }}",
            percent(i as f64)
        );
    }
    *out += "@media (prefers-reduced-motion: reduce) { g, text { animation: none !important; } }\n";
}

/// The class that moves the window, or the place where it stands.
fn moved(still: Option<usize>, corner: [usize; 2], cell: f64) -> (&'static str, String) {
    let shift = format!(" transform=\"translate({} {})\"", corner[1] as f64 * cell, corner[0] as f64 * cell);
    (if still.is_some() { "0" } else { "" }, shift)
}

/// Rows and columns of the window's elements from its corner.
fn taps(a: &ConvAnimation) -> impl Iterator<Item = (usize, usize)> + '_ {
    let [dy, dx] = a.dilation;
    (0..a.filter.rows).flat_map(move |y| (0..a.filter.columns).map(move |x| (y * dy, x * dx)))
}

fn square(out: &mut String, class: &str, x: f64, y: f64, side: f64) {
    let _ = write!(out, "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\"/>");
}

fn caption(out: &mut String, at: [f64; 2], text: &str) {
    let _ = writeln!(out, "<text class=\"c\" x=\"{}\" y=\"{}\">{}</text>", at[0], at[1] - 10.0, escape(text));
}

fn cells(out: &mut String, a: &ConvAnimation, p: &Places) {
    for (i, cell) in a.cells.iter().enumerate() {
        let (y, x) = (i / a.extents[1], i % a.extents[1]);
        let (x, y) = (p.input[0] + x as f64 * p.cell, p.input[1] + y as f64 * p.cell);
        match cell.kind {
            ConvCellKind::Input => square(out, "i", x, y, p.cell),
            ConvCellKind::Padding => square(out, "e", x + 1.5, y + 1.5, p.cell - 3.0),
            ConvCellKind::Between => square(out, "z", x, y, p.cell),
        }
        square(out, "g", x, y, p.cell);
        if cell.dropped {
            square(out, "x", x, y, p.cell);
        }
        out.push('\n');
    }
}

fn middle(out: &mut String, class: &str, [x, y]: [f64; 2], side: f64, text: &str) {
    let _ = write!(
        out,
        "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        x + side / 2.0,
        y + side / 2.0 + side * 0.13,
        escape(text)
    );
}

fn numbers(out: &mut String, a: &ConvAnimation, p: &Places) {
    for (i, cell) in a.cells.iter().enumerate() {
        let (y, x) = (i / a.extents[1], i % a.extents[1]);
        let at = [p.input[0] + x as f64 * p.cell, p.input[1] + y as f64 * p.cell];
        let pale = cell.kind != ConvCellKind::Input || cell.dropped;
        middle(out, if pale { "d a" } else { "d" }, at, p.cell, &cell.text);
    }
    out.push('\n');
}

/// The window at the first cell: frames of its elements with the filter's numbers. In one dimension the filter is a strip
/// of its own below.
fn window(out: &mut String, a: &ConvAnimation, p: &Places) {
    let c = p.cell;
    let [dy, dx] = a.dilation;
    let strip = flat(a);
    for ((y, x), w) in taps(a).zip(&a.filter.numbers) {
        let (px, py) = (p.input[0] + x as f64 * c, p.input[1] + y as f64 * c);
        if dy > 1 || dx > 1 {
            square(out, "r", px + 1.0, py + 1.0, c - 2.0);
        }
        if strip {
            let at = [px, p.filter[1]];
            square(out, "k", at[0], at[1], c);
            square(out, "g", at[0], at[1], c);
            middle(out, "v", at, c, w);
        } else {
            let _ = write!(
                out,
                "<text class=\"j\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                px + c - 3.5,
                py + c - 4.0,
                escape(w)
            );
        }
    }
    if dy == 1 && dx == 1 {
        let (w, h) = (a.filter.columns as f64 * c, a.filter.rows as f64 * c);
        let _ = write!(
            out,
            "<rect class=\"r\" x=\"{}\" y=\"{}\" width=\"{w}\" height=\"{h}\" rx=\"2\"/>",
            p.input[0], p.input[1]
        );
    }
}

fn grid(out: &mut String, g: &ConvGrid, at: [f64; 2], c: f64, class: &str) {
    caption(out, at, &g.caption);
    for (i, n) in g.numbers.iter().enumerate() {
        let [x, y] = [at[0] + (i % g.columns) as f64 * c, at[1] + (i / g.columns) as f64 * c];
        square(out, class, x, y, c);
        square(out, "g", x, y, c);
        middle(out, "v", [x, y], c, n);
    }
    out.push('\n');
}

fn outputs(out: &mut String, a: &ConvAnimation, p: &Places, still: Option<usize>) {
    caption(out, p.output, &a.output.caption);
    let columns = a.output.columns.max(1);
    for (i, n) in a.output.numbers.iter().enumerate() {
        let at = [p.output[0] + (i % columns) as f64 * p.cell, p.output[1] + (i / columns) as f64 * p.cell];
        let _ = match still {
            Some(step) if i > step => write!(out, "<g opacity=\"{PALE}\">"),
            Some(_) => write!(out, "<g>"),
            None if i == 0 => write!(out, "<g>"),
            None => write!(out, "<g class=\"o{i}\">"),
        };
        square(out, "o", at[0], at[1], p.cell);
        square(out, "g", at[0], at[1], p.cell);
        middle(out, "u", at, p.cell, n);
        out.push_str("</g>\n");
    }
    if a.steps.is_empty() {
        return;
    }
    let at = still.unwrap_or(0);
    let shift = [(at % columns) as f64 * p.cell, (at / columns) as f64 * p.cell];
    let class = if still.is_some() { "mk0" } else { "mk" };
    let _ = writeln!(
        out,
        "<g class=\"{class}\" transform=\"translate({} {})\"><rect class=\"r\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"2\"/></g>",
        shift[0], shift[1], p.output[0], p.output[1], p.cell, p.cell
    );
}

fn sums(out: &mut String, a: &ConvAnimation, p: &Places, still: Option<usize>) {
    let pace = a.pace();
    let whole = pace * a.steps.len() as f64;
    for (i, step) in a.steps.iter().enumerate().filter(|(i, _)| still.is_none_or(|s| s == *i)) {
        let _ = match still {
            Some(_) => write!(out, "<g>"),
            None if a.steps.len() == 1 => write!(out, "<g>"),
            None => write!(
                out,
                "<g class=\"s{}\" style=\"animation-delay: {:.2}s\">",
                if i == 0 { " s1" } else { "" },
                i as f64 * pace - whole
            ),
        };
        for (line, text) in broken(&step.terms, &step.output, p.letters).iter().enumerate() {
            let y = p.sum[1] + line as f64 * LINE;
            let indent = if line > 0 { 22.0 } else { 0.0 };
            let text = escape(text.trim_start());
            let _ = write!(out, "<text class=\"y\" x=\"{}\" y=\"{y}\">{text}</text>", p.sum[0] + indent);
        }
        out.push_str("</g>\n");
    }
}

fn legend(out: &mut String, a: &ConvAnimation, p: &Places) {
    let has = |kind: ConvCellKind| a.cells.iter().any(|c| c.kind == kind);
    let kinds = [
        (has(ConvCellKind::Padding), "e", "padding"),
        (has(ConvCellKind::Between), "z", "zero between"),
        (a.cells.iter().any(|c| c.dropped), "x", "read by no window"),
    ];
    let mut x = p.legend[0];
    for (_, class, name) in kinds.iter().filter(|k| k.0) {
        square(out, class, x + 0.5, p.legend[1] + 0.5, 13.0);
        let _ = writeln!(out, "<text class=\"n\" x=\"{}\" y=\"{}\">{name}</text>", x + 20.0, p.legend[1] + 11.0);
        x += 20.0 + name.len() as f64 * 6.4 + 22.0;
    }
}
