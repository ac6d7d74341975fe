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

/// The colours as CSS variables, by what the viewer prefers.
pub(crate) fn variables() -> String {
    let root = |dark: bool| {
        COLORS.iter().fold(String::new(), |mut out, (name, light, darker)| {
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
    let plain = svg.replace(&variables(), "");
    COLORS.iter().fold(plain, |out, (name, light, dark)| {
        out.replace(&format!("var(--{name})"), if look == Look::Dark { dark } else { light })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
