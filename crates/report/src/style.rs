//! How everything that we draw looks: ink, paper and colours under one set of names, for pages and for pictures.

use crate::chart::escape;
use std::fmt::Write;

/// Whether a picture is light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// As whoever opens it has set it; where nobody can say, light.
    #[default]
    Auto,
    /// Dark ink on light paper.
    Light,
    /// Light ink on dark paper.
    Dark,
}

/// Name, colour in the light, colour in the dark. The hues are those of Okabe and Ito (2008), which the colour-blind tell
/// apart, each as dark or light as its paper asks for.
const COLORS: [(&str, &str, &str); 15] = [
    ("page", "#fcfcfa", "#111417"),
    ("card", "#ffffff", "#191d21"),
    ("text", "#1a1e23", "#e8eaec"),
    ("muted", "#5d6772", "#98a2ad"),
    ("line", "#e2e4e6", "#2c3238"),
    ("soft", "#f3f4f2", "#20252a"),
    ("blue", "#0072b2", "#56b4e9"),
    ("orange", "#c25400", "#f0953f"),
    ("green", "#00785a", "#3fc39a"),
    ("purple", "#a8487f", "#dd8fb8"),
    ("sky", "#2b8fc7", "#8fd0f5"),
    ("gold", "#97690a", "#e6c34a"),
    ("red", "#b3261e", "#ff8a80"),
    ("grey", "#66707a", "#a9b3bd"),
    ("on", "#ffffff", "#0b0e10"),
];

/// The names of the colours for several series, in the order in which they are taken.
pub const SERIES: [&str; 8] = ["blue", "orange", "green", "purple", "gold", "sky", "red", "grey"];

/// Colours of classes where there may be many, as [`COLORS`] has them: far from each other to normal eyes and to those of
/// dichromats, the farthest first, and each of one hue in both looks. `atlas/palette.py` found them.
pub(crate) const CLASSES: [(&str, &str, &str); 20] = [
    ("k0", "#0072b2", "#56b4e9"),
    ("k1", "#b8b408", "#fcf73c"),
    ("k2", "#4f0915", "#b00921"),
    ("k3", "#61b5fa", "#176490"),
    ("k4", "#7a5a00", "#cbad7f"),
    ("k5", "#0932a6", "#3b4df8"),
    ("k6", "#a462fc", "#9e77fc"),
    ("k7", "#e492a4", "#ec5790"),
    ("k8", "#701edb", "#7429c3"),
    ("k9", "#552b79", "#d6c6f8"),
    ("k10", "#67a028", "#5fe300"),
    ("k11", "#074f41", "#75d6bc"),
    ("k12", "#49de78", "#34b13c"),
    ("k13", "#1c264b", "#656fc4"),
    ("k14", "#8b3e7b", "#b70f8d"),
    ("k15", "#9181c4", "#9b8bba"),
    ("k16", "#3f7f4f", "#99fa99"),
    ("k17", "#28d7dc", "#b7fefa"),
    ("k18", "#c34e84", "#7e4c5c"),
    ("k19", "#6c2f06", "#aa6348"),
];

/// The colours as CSS variables, by what the viewer prefers.
pub(crate) fn variables() -> String {
    as_variables(&COLORS)
}

/// The colours of classes, likewise.
pub(crate) fn class_variables() -> String {
    as_variables(&CLASSES)
}

fn as_variables(colors: &[(&str, &str, &str)]) -> String {
    let root = |dark: bool| {
        colors.iter().fold(String::new(), |mut out, (name, light, darker)| {
            let _ = write!(out, "--{name}: {}; ", if dark { darker } else { light });
            out
        })
    };
    let (light, dark) = (root(false), root(true));
    format!(":root {{ {light}}}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n")
}

/// The colour of that name in the light; black for a name that there is not.
pub(crate) fn light(name: &str) -> &'static str {
    COLORS.iter().find(|c| c.0 == name).map_or("#000000", |c| c.1)
}

/// The letters of pictures and pages.
pub(crate) const FONT: &str =
    "Inter, ui-sans-serif, system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/// The beginning of an SVG file: element, style and paper. It ends with `</svg>`.
///
/// Colours are variables, `var(--text)`, by the names of [`SERIES`] and `page card text muted line soft`. Classes: `h` and
/// `m` are a heading and the line below it, `c` and `n` a caption and a note, `b` paper, `f` a frame, `p` a picture whose
/// pixels stay squares. `css` is added; weights of letters in hundreds, which is all that some programs read.
pub fn open(width: f64, height: f64, title: &str, css: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{}\">\n<style>\n{}\
         text {{ font-family: {FONT}; fill: var(--text); }}\n\
         .h {{ font-size: 20px; font-weight: 600; }} .m {{ font-size: 13px; fill: var(--muted); }}\n\
         .c {{ font-size: 13px; font-weight: 600; }} .n {{ font-size: 11.5px; fill: var(--muted); }}\n\
         .b {{ fill: var(--page); }} .f {{ fill: none; stroke: var(--line); }}\n\
         .p {{ image-rendering: pixelated; }}\n{css}</style>\n\
         <rect class=\"b\" width=\"{width}\" height=\"{height}\"/>\n",
        escape(title),
        variables(),
    )
}

/// A picture that we drew, in one look for good: colours stand where variables stood, so that programs read it which know
/// no variables.
///
/// ```
/// use gabor_report::{Look, Sheet, dressed};
/// let svg = Sheet { title: "maps".into(), ..Default::default() }.to_svg();
/// assert_eq!(dressed(&svg, Look::Auto), svg);
/// assert!(dressed(&svg, Look::Dark).contains("fill: #111417") && !dressed(&svg, Look::Dark).contains("var("));
/// ```
pub fn dressed(svg: &str, look: Look) -> String {
    if look == Look::Auto {
        return svg.to_string();
    }
    let plain = svg.replace(&variables(), "").replace(&class_variables(), "");
    COLORS.iter().chain(&CLASSES).fold(plain, |out, (name, light, dark)| {
        out.replace(&format!("var(--{name})"), if look == Look::Dark { dark } else { light })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brightnesses of red, green and blue as light, seen by one eye, in OKLab.
    fn oklab(color: &str, eye: [[f64; 3]; 3]) -> [f64; 3] {
        let light = [1, 3, 5].map(|i| {
            let v = f64::from(u8::from_str_radix(&color[i..i + 2], 16).unwrap()) / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        });
        let times = |m: [[f64; 3]; 3], v: [f64; 3]| m.map(|r| r[0] * v[0] + r[1] * v[1] + r[2] * v[2]);
        let lms = times(
            [
                [0.412_221_470_8, 0.536_332_536_3, 0.051_445_992_9],
                [0.211_903_498_2, 0.680_699_545_1, 0.107_396_956_6],
                [0.088_302_461_9, 0.281_718_837_6, 0.629_978_700_5],
            ],
            times(eye, light).map(|v| v.clamp(0.0, 1.0)),
        );
        times(
            [
                [0.210_454_255_3, 0.793_617_785_0, -0.004_072_046_8],
                [1.977_998_495_1, -2.428_592_205_0, 0.450_593_709_9],
                [0.025_904_037_1, 0.782_771_766_2, -0.808_675_766_0],
            ],
            lms.map(f64::cbrt),
        )
    }

    #[test]
    fn colours_of_classes_are_far_from_each_other_to_all_eyes() {
        let normal = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        // Machado et al. 2009, severity 1.
        let deutan = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]];
        let protan =
            [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]];
        for (eye, least) in [(normal, 0.115), (deutan, 0.07), (protan, 0.07)] {
            for dark in [false, true] {
                let all: Vec<[f64; 3]> = CLASSES.iter().map(|c| oklab(if dark { c.2 } else { c.1 }, eye)).collect();
                for (i, a) in all.iter().enumerate() {
                    for b in &all[..i] {
                        let d = (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f64>().sqrt();
                        assert!(d >= least, "{} and another: {d}", CLASSES[i].1);
                    }
                }
            }
        }
    }

    /// Who changes the look finds a class again by its colour.
    #[test]
    fn a_class_has_one_hue_in_both_looks() {
        let normal = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        for (name, light, dark) in CLASSES {
            let [a, b] = [light, dark].map(|c| oklab(c, normal));
            let apart = (a[2].atan2(a[1]) - b[2].atan2(b[1])).to_degrees().rem_euclid(360.0);
            assert!(apart.min(360.0 - apart) < 16.0, "{name}: {light} and {dark} are {apart} degrees apart");
        }
    }

    #[test]
    fn a_dressed_picture_has_no_variables() {
        let svg = open(10.0, 8.0, "a < b", ".q { stroke: var(--gold); }\n") + "</svg>\n";
        assert!(svg.contains("@media") && svg.contains("a &lt; b") && svg.contains("viewBox=\"0 0 10 8\""));
        for (look, gold) in [(Look::Light, "#97690a"), (Look::Dark, "#e6c34a")] {
            let svg = dressed(&svg, look);
            assert!(!svg.contains("--") && !svg.contains("@media") && svg.contains(gold), "{svg}");
        }
        assert!(SERIES.iter().all(|s| COLORS.iter().any(|c| c.0 == *s)));
    }
}
