//! The map as a page that needs nothing else: one picture with all thumbnails, the data as JSON, a script that draws.

use super::{Atlas, PATHS, mark};
use crate::Picture;
use crate::chart::escape;
use crate::style::{CLASSES, FONT, class_variables, variables};
use std::fmt::Write;

const STYLE: &str = include_str!("atlas.css");
const SCRIPT: &str = include_str!("atlas.js");

impl Atlas {
    /// The map as one HTML page.
    pub fn to_html(&self) -> String {
        let title = escape(&self.title);
        let (sprite, side, columns) = self.sprite();
        let mut figures = String::new();
        for (name, value) in &self.figures {
            let _ = write!(figures, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value));
        }
        let named: String = CLASSES.iter().enumerate().map(|(i, c)| format!("--c{i}: var(--{}); ", c.0)).collect();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · gabor</title>\n<style>\n\
             {}{}:root {{ {named}}}\nbody {{ font-family: {FONT}; }}\n{STYLE}</style>\n</head>\n<body>\n\
             <header><div><h1>{title}</h1><p>{}</p></div><dl>{figures}</dl></header>\n\
             <main><div id=\"map\"><canvas id=\"canvas\" tabindex=\"0\" role=\"application\" aria-label=\"Map of {} pictures. Arrow \
             keys move it, plus and minus zoom, comma and full stop go from picture to picture, escape lets go.\"></canvas>\n\
             <div id=\"tools\"><button id=\"in\" title=\"zoom in (+)\" aria-label=\"zoom in\">+</button>\
             <button id=\"out\" title=\"zoom out (−)\" aria-label=\"zoom out\">−</button>\
             <button id=\"fit\" title=\"show all (0)\">all</button>\
             <button id=\"pictures\" aria-pressed=\"false\" title=\"pictures instead of marks (p)\">pictures</button></div>\n\
             <div id=\"tip\" hidden><canvas></canvas><b></b><span></span></div></div>\n\
             <aside><section id=\"chosen\" aria-live=\"polite\"></section><section><h2>Classes <button id=\"every\">show all</button></h2>\
             <ul id=\"legend\"></ul></section></aside></main>\n\
             <script type=\"application/json\" id=\"data\">{}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
            variables(),
            class_variables(),
            escape(&self.subtitle),
            self.points.len(),
            self.data(&sprite, side, columns),
        )
    }
    /// All pictures in one, row by row: the picture, the side of a tile, tiles a row.
    fn sprite(&self) -> (String, usize, usize) {
        let side = self.points.iter().map(|p| p.picture.width.max(p.picture.height)).max().unwrap_or(1);
        let columns = ((self.points.len() as f64).sqrt().ceil() as usize).max(1);
        let rows = self.points.len().div_ceil(columns).max(1);
        let width = columns * side;
        let mut data = vec![0u8; width * rows * side * 3];
        for (i, p) in self.points.iter().enumerate() {
            let p = &p.picture;
            let (left, top) = (i % columns * side + (side - p.width) / 2, i / columns * side + (side - p.height) / 2);
            for y in 0..p.height {
                for x in 0..p.width {
                    for c in 0..3 {
                        let from = (y * p.width + x) * p.channels + c.min(p.channels - 1);
                        data[((top + y) * width + left + x) * 3 + c] = p.data[from];
                    }
                }
            }
        }
        let uri = Picture::new(width, rows * side, 3, data).map_or(String::new(), |p| p.to_uri());
        (uri, side, columns)
    }
    fn data(&self, sprite: &str, side: usize, columns: usize) -> String {
        let [(x0, x1), (y0, y1)] = self.bounds();
        let span = (x1 - x0).max(y1 - y0).max(f64::MIN_POSITIVE);
        let list = |items: Vec<String>| format!("[{}]", items.join(","));
        let unit = |v: f64, a: f64, b: f64| {
            let v = (v - (a + b) / 2.0) / span;
            format!("{:.5}", if v.is_finite() { v } else { 0.0 })
        };
        let of = |f: &dyn Fn(usize) -> String| list((0..self.points.len()).map(f).collect());
        let point = |i: usize| &self.points[i];
        let sizes = of(&|i| format!("{}", point(i).picture.width * 1000 + point(i).picture.height));
        let marks: Vec<String> = (0..self.classes.len()).map(|c| format!("[{},{}]", mark(c).0, mark(c).1)).collect();
        format!(
            "{{\"x\":{},\"y\":{},\"class\":{},\"size\":{sizes},\"id\":{},\"near\":{},\"classes\":{},\"marks\":{},\"paths\":{},\
             \"side\":{side},\"columns\":{columns},\"sprite\":{}}}",
            of(&|i| unit(point(i).place[0], x0, x1)),
            of(&|i| unit(-point(i).place[1], -y1, -y0)),
            of(&|i| point(i).class.to_string()),
            of(&|i| text(&point(i).id)),
            of(&|i| list(point(i).near.iter().map(u32::to_string).collect())),
            list(self.classes.iter().map(|c| text(c)).collect()),
            list(marks),
            list(PATHS.iter().map(|p| text(p)).collect()),
            text(sprite),
        )
    }
}

/// A text as JSON that may stand inside of a page.
fn text(t: &str) -> String {
    let mut out = String::from("\"");
    for c in t.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '/' if out.ends_with('<') => out += "\\/",
            '!' if out.ends_with('<') => out += "\\u0021",
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out + "\""
}
