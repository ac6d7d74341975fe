//! Patches that excite units most, with the way back to their pixels beside them (Zeiler and Fergus 2014, figure 2).

use crate::poster::{pixelated, text};
use crate::words::{paragraph, shorten, title, wrap};
use crate::{Picture, style};
use std::fmt::Write;

/// A part of a picture in a frame of the unit's whole field; what lies beyond the picture's border is hatched.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The pixels.
    pub picture: Picture,
    /// The way back to them, of the same size.
    pub projection: Picture,
    /// Columns and rows of the frame to the left of the pixels and above them.
    pub offset: [usize; 2],
}

/// A unit with what excites it.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitPatches {
    /// What it is called.
    pub caption: String,
    /// More about it: its largest value, its classes, or that it is dead.
    pub note: String,
    /// The patches, the strongest first; a unit without any keeps its place, with an empty frame.
    pub patches: Vec<Patch>,
}

/// Units side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatchSheet {
    /// The heading.
    pub title: String,
    /// Lines below it.
    pub lines: Vec<String>,
    /// Columns and rows of a frame.
    pub frame: [usize; 2],
    /// Patches of a unit, for which there is room.
    pub count: usize,
    /// The units.
    pub units: Vec<UnitPatches>,
}

const MARGIN: f64 = 28.0;
/// Side of a block of a unit's patches, about.
const BLOCK: f64 = 210.0;
/// Smallest side of a patch.
const LEAST: f64 = 40.0;
const GAP: f64 = 26.0;
/// Room between the patches and their projections, between two patches, and for the words.
const BETWEEN: f64 = 8.0;
const SEAM: f64 = 3.0;
const WORDS: f64 = 56.0;
/// Width that words have where there are few pictures, and height of a line.
const LEAST_WIDTH: f64 = 620.0;
const LINE: f64 = 19.0;
/// Height of the frames of units without patches where no unit has any.
const EMPTY: f64 = 44.0;

impl Patch {
    /// Whether a part of a frame of these extents lies beyond the picture's border.
    fn is_cut(&self, frame: [usize; 2]) -> bool {
        self.picture.width < frame[0] || self.picture.height < frame[1]
    }
}

impl PatchSheet {
    /// The sheet as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let across = (self.count.max(1) as f64).sqrt().ceil();
        let down = (self.count.max(1) as f64 / across).ceil();
        let (fw, fh) = (self.frame[0].max(1) as f64, self.frame[1].max(1) as f64);
        // The longer side of a patch; the other follows, within bounds.
        let side = (BLOCK / across).max(LEAST);
        let scale = side / fw.max(fh);
        let (w, h) = (fw * scale, fh * scale);
        let block = [across * (w + SEAM) - SEAM, down * (h + SEAM) - SEAM];
        let alive = self.units.iter().any(|u| !u.patches.is_empty());
        // Where there is nothing to show, empty frames need no room for pictures.
        let block = if alive { block } else { [block[0].min(90.0), EMPTY] };
        let unit = [(2.0 * block[0] + BETWEEN).max(170.0), block[1] + WORDS];
        let count = self.units.len();
        let columns =
            (((count as f64 * (unit[1] + GAP) / (unit[0] + GAP)).sqrt() * 1.2).round() as usize).clamp(1, count.max(1));
        let rows = count.div_ceil(columns);
        let inner = (columns as f64 * (unit[0] + GAP) - GAP).max(LEAST_WIDTH);
        let mut lines = paragraph(&self.lines, inner);
        let cut = self.units.iter().flat_map(|u| &u.patches).any(|p| p.is_cut(self.frame));
        lines.extend(cut.then(|| "Hatched: outside the picture.".to_string()));
        let head = 34.0 + lines.len() as f64 * LINE + 10.0;
        let width = (inner + 2.0 * MARGIN).ceil();
        let height = (2.0 * MARGIN + head + (rows as f64 * (unit[1] + GAP) - GAP).max(0.0)).ceil();
        let css = ".e { fill: url(#out); stroke: var(--muted); stroke-opacity: 0.6; stroke-width: 0.8; }\n\
                   .z { fill: none; stroke: var(--muted); stroke-opacity: 0.7; stroke-dasharray: 4 4; }\n\
                   .w { font-size: 13px; fill: var(--muted); text-anchor: middle; }\n";
        let mut out = style::open(width, height, &self.title, css);
        out += "<defs><pattern id=\"out\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
                <rect width=\"6\" height=\"6\" style=\"fill: var(--soft)\"/>\
                <rect width=\"1.6\" height=\"6\" style=\"fill: var(--muted); fill-opacity: 0.5\"/></pattern></defs>\n";
        title(&mut out, [MARGIN, MARGIN + 16.0], inner, &self.title);
        for (i, line) in lines.iter().enumerate() {
            text(&mut out, "m", MARGIN, MARGIN + 39.0 + i as f64 * LINE, line);
        }
        for (i, u) in self.units.iter().enumerate() {
            let x = MARGIN + (i % columns) as f64 * (unit[0] + GAP);
            let y = MARGIN + head + (i / columns) as f64 * (unit[1] + GAP);
            text(&mut out, "c", x, y + 12.0, &shorten(&u.caption, unit[0], 13.0));
            for (k, line) in wrap(&u.note, unit[0], 11.5, 2).iter().enumerate() {
                text(&mut out, "n", x, y + 28.0 + k as f64 * 14.0, line);
            }
            if u.patches.is_empty() {
                for beside in [0.0, block[0] + BETWEEN] {
                    let _ = writeln!(
                        out,
                        "<rect class=\"z\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
                         <text class=\"w\" x=\"{:.1}\" y=\"{:.1}\">nothing</text>",
                        x + beside + 0.5,
                        y + WORDS - 3.5,
                        block[0] - 1.0,
                        block[1] - 1.0,
                        x + beside + block[0] / 2.0,
                        y + WORDS + block[1] / 2.0
                    );
                }
            }
            for (k, p) in u.patches.iter().enumerate() {
                let (px, py) = ((k % across as usize) as f64 * (w + SEAM), (k / across as usize) as f64 * (h + SEAM));
                let sides = [(&p.picture, 0.0), (&p.projection, block[0] + BETWEEN)];
                for (picture, beside) in sides {
                    let (fx, fy) = (x + px + beside, y + WORDS - 4.0 + py);
                    if p.is_cut(self.frame) {
                        let _ = writeln!(
                            out,
                            "<rect class=\"e\" x=\"{fx:.1}\" y=\"{fy:.1}\" width=\"{w:.1}\" height=\"{h:.1}\"/>"
                        );
                    }
                    let (ix, iy) = (fx + p.offset[0] as f64 * scale, fy + p.offset[1] as f64 * scale);
                    let (iw, ih) = (picture.width as f64 * scale, picture.height as f64 * scale);
                    let _ = writeln!(
                        out,
                        "<image{} x=\"{ix:.1}\" y=\"{iy:.1}\" width=\"{iw:.1}\" height=\"{ih:.1}\" href=\"{}\"/>",
                        pixelated(picture, iw),
                        picture.to_uri()
                    );
                }
            }
        }
        out + "</svg>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_its_patches_and_their_projections() {
        let picture = Picture::new(3, 5, 1, vec![9; 15]).unwrap();
        let patch = |left| Patch { picture: picture.clone(), projection: picture.clone(), offset: [left, 0] };
        let unit = |n: usize, patches: Vec<Patch>| UnitPatches {
            caption: format!("unit {n}"),
            note: if patches.is_empty() { "dead".into() } else { String::new() },
            patches,
        };
        let units = vec![unit(4, Vec::new()), unit(0, vec![patch(2), patch(0), patch(1)]), unit(6, Vec::new())];
        let sheet = PatchSheet { title: "T".into(), lines: vec!["l".into()], frame: [5, 5], count: 4, units };
        let svg = sheet.to_svg();
        // What lies outside the picture is hatched, and said.
        assert_eq!((svg.matches("<image").count(), svg.matches("class=\"e\"").count()), (6, 6));
        assert!(svg.contains("url(#out)") && svg.contains(">Hatched: outside the picture.<"), "{svg}");
        // Units without patches keep their places, before and after others.
        let at = |name: &str| svg.find(&format!(">{name}<")).unwrap_or_else(|| panic!("{name}: {svg}"));
        assert!(at("unit 4") < at("unit 0") && at("unit 0") < at("unit 6") && svg.matches("class=\"z\"").count() == 4);
        let x = |name: &str| svg[..at(name)].rsplit("x=\"").next().unwrap().split('"').next().unwrap().to_string();
        assert_eq!(x("unit 4"), format!("{MARGIN:.1}"));
        // Two patches across: 105 units each for 5 pixels, so two columns beyond the border are 42 units.
        let left: f64 = x("unit 0").parse().unwrap();
        assert!(svg.contains(&format!("<image class=\"p\" x=\"{:.1}\"", left + 42.0)), "{svg}");
        // Whole patches have nothing to hatch; where all units are dead, their frames are low.
        let whole = PatchSheet { frame: [3, 5], units: vec![unit(0, vec![patch(0)])], ..sheet.clone() }.to_svg();
        assert!(!whole.contains("class=\"e\"") && !whole.contains("Hatched"));
        let dead = PatchSheet { units: vec![unit(4, Vec::new()), unit(6, Vec::new())], ..sheet }.to_svg();
        assert!(dead.contains("height=\"43.0\"") && dead.contains(">dead<"), "{dead}");
        assert!(PatchSheet::default().to_svg().ends_with("</svg>\n"));
    }
}
