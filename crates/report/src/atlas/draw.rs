//! The map as a drawing.

use super::{Atlas, PATHS, mark};
use crate::poster::text;
use crate::style::{self, CLASSES};
use crate::words::{shorten, title, wrap};
use std::fmt::Write;

const MARGIN: f64 = 28.0;
const HEAD: f64 = 70.0;
/// Side of the map.
const SIDE: f64 = 900.0;
/// Width of a column of the legend, and most of them.
const LEGEND: f64 = 170.0;
const COLUMNS: usize = 4;
const ROW: f64 = 20.0;
/// Radius of a mark where there are few, and its least.
const RADIUS: (f64, f64) = (5.0, 2.2);
/// Side of a picture on the map.
const THUMB: f64 = 30.0;

impl Atlas {
    /// The map as an SVG file of its own: marks by class, or with `pictures` as many small pictures as find room, marks
    /// for the rest.
    pub fn to_svg(&self, pictures: bool) -> String {
        let [(x0, x1), (y0, y1)] = self.bounds();
        let span = (x1 - x0).max(y1 - y0).max(f64::MIN_POSITIVE);
        let present = self.present();
        let (ratio_x, ratio_y) = ((x1 - x0) / span, (y1 - y0) / span);
        let (wide, tall) = ((SIDE * ratio_x).max(360.0), (SIDE * ratio_y).max(360.0));
        // The legend stands beside the map in one column, or two; one that is longer goes on below the map's end.
        let rows = ((SIDE / ROW) as usize).max(present.len().div_ceil(COLUMNS));
        let columns = present.len().div_ceil(rows).max(1) as f64;
        let high = tall.max(present.len().min(rows) as f64 * ROW + 20.0);
        let width = wide + columns * LEGEND + 3.0 * MARGIN;
        let height = high + HEAD + 2.0 * MARGIN;
        let fills: String =
            CLASSES.iter().enumerate().map(|(i, c)| format!(".c{i} {{ fill: var(--{}); }}\n", c.0)).collect();
        let css = format!("{}{fills}", style::class_variables());
        let mut out = style::open(width.ceil(), height.ceil(), &self.title, &css);
        out += "<defs>";
        for (i, path) in PATHS.iter().enumerate() {
            let _ = write!(out, "<path id=\"m{i}\" d=\"{path}\"/>");
        }
        out += "</defs>\n";
        title(&mut out, [MARGIN, MARGIN + 16.0], width - 2.0 * MARGIN, &self.title);
        let figures: Vec<String> = self.figures.iter().map(|(n, v)| format!("{n} {v}")).collect();
        let words = [vec![self.subtitle.clone()], figures].concat().join(" · ");
        for (i, line) in wrap(&words, width - 2.0 * MARGIN, 13.0, 2).iter().enumerate() {
            text(&mut out, "m", MARGIN, MARGIN + 39.0 + i as f64 * 18.0, line);
        }
        let (left, top) = (MARGIN, MARGIN + HEAD);
        let at = |p: [f64; 2]| {
            let x = left + (wide - SIDE * ratio_x) / 2.0 + (p[0] - x0) / span * SIDE;
            // Up is up.
            let y = top + (high - SIDE * ratio_y) / 2.0 + (y1 - p[1]) / span * SIDE;
            (x, y)
        };
        let known: Vec<_> = self.points.iter().filter(|p| p.place.iter().all(|v| v.is_finite())).collect();
        let radius = (RADIUS.0 * (300.0 / known.len().max(1) as f64).sqrt()).clamp(RADIUS.1, RADIUS.0);
        let mut shown: Vec<bool> = vec![false; known.len()];
        if pictures {
            let cells = (SIDE.max(wide).max(high) / THUMB).ceil() as usize + 2;
            let mut taken = vec![Vec::<(f64, f64)>::new(); cells * cells];
            for (i, p) in known.iter().enumerate() {
                let (x, y) = at(p.place);
                let (cx, cy) = (((x - left).max(0.0) / THUMB) as usize, ((y - top).max(0.0) / THUMB) as usize);
                let near =
                    (cy.saturating_sub(1)..=cy + 1).flat_map(|b| (cx.saturating_sub(1)..=cx + 1).map(move |a| (a, b)));
                let free = near.filter_map(|(a, b)| taken.get(b * cells + a)).flatten();
                if free.into_iter().any(|t| (t.0 - x).abs() < THUMB + 1.0 && (t.1 - y).abs() < THUMB + 1.0) {
                    continue;
                }
                if let Some(cell) = taken.get_mut(cy * cells + cx) {
                    cell.push((x, y));
                    shown[i] = true;
                }
            }
        }
        let marked = |out: &mut String, class: usize, x: f64, y: f64, r: f64| {
            let (colour, shape) = mark(class);
            let _ = writeln!(
                out,
                "<use href=\"#m{shape}\" class=\"c{colour}\" transform=\"translate({x:.1} {y:.1}) scale({r:.2})\"/>"
            );
        };
        out += "<g opacity=\"0.85\">\n";
        for (p, _) in known.iter().zip(&shown).filter(|s| !s.1) {
            let (x, y) = at(p.place);
            marked(&mut out, p.class as usize, x, y, radius);
        }
        out += "</g>\n";
        for (p, _) in known.iter().zip(&shown).filter(|s| *s.1) {
            let (x, y) = at(p.place);
            let (w, h) = (p.picture.width.max(1) as f64, p.picture.height.max(1) as f64);
            let scale = (THUMB / w).min(THUMB / h);
            let (w, h) = (w * scale, h * scale);
            let _ = writeln!(
                out,
                "<image{} x=\"{:.1}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" href=\"{}\"/>\
                 <rect class=\"c{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"3\"/>",
                if scale > 1.0 { " class=\"p\"" } else { "" },
                x - w / 2.0,
                y - h / 2.0,
                p.picture.to_uri(),
                mark(p.class as usize).0,
                x - w / 2.0,
                y + h / 2.0 - 3.0,
            );
        }
        let x = left + wide + MARGIN;
        for (i, &class) in present.iter().enumerate() {
            let (x, y) = (x + (i / rows) as f64 * LEGEND, top + (i % rows) as f64 * ROW + 8.0);
            marked(&mut out, class, x + 6.0, y - 4.0, 5.0);
            text(&mut out, "m", x + 20.0, y, &shorten(&self.classes[class], LEGEND - 26.0, 13.0));
        }
        out + "</svg>\n"
    }
}
