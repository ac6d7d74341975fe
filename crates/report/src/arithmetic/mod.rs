//! The arithmetic of a convolution as a moving picture: a window over its input, its filter, and every output with the sum
//! that gives it. One SVG that plays without scripts, or one still SVG per step.

mod draw;
mod place;

/// What a cell of the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvCellKind {
    /// An element of the input.
    Input,
    /// A zero around it.
    Padding,
    /// A zero between elements, as a transposed convolution has them.
    Between,
}

/// A cell of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvCell {
    /// What it is.
    pub kind: ConvCellKind,
    /// Its number.
    pub text: String,
    /// No window reads it.
    pub dropped: bool,
}

/// Numbers in rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConvGrid {
    /// Rows; 1 of a one-dimensional convolution.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// `rows · columns` numbers.
    pub numbers: Vec<String>,
    /// What stands above.
    pub caption: String,
}

/// One position of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvStep {
    /// Row and column of the window's first element on the input.
    pub corner: [usize; 2],
    /// Products, in the order of the window.
    pub terms: Vec<String>,
    /// Name of the output and its value, left and right of the terms.
    pub output: [String; 2],
}

/// A convolution to draw. Steps are the outputs in their order, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvAnimation {
    /// The heading.
    pub title: String,
    /// Lines below it: the size rule with its numbers, what does not fit.
    pub lines: Vec<String>,
    /// Cells of the input with everything around and between, row by row.
    pub cells: Vec<ConvCell>,
    /// Rows and columns of these cells.
    pub extents: [usize; 2],
    /// What stands above the input.
    pub caption: String,
    /// The filter as it slides.
    pub filter: ConvGrid,
    /// The filter as it was given, where it slides turned.
    pub given: Option<ConvGrid>,
    /// Cells between neighbouring elements of the window, rows and columns.
    pub dilation: [usize; 2],
    /// The output.
    pub output: ConvGrid,
    /// Positions of the window, one per output.
    pub steps: Vec<ConvStep>,
}

impl ConvAnimation {
    /// Seconds that one step stays, in hundredths as files have them: time to read a sum where there are few, and a round of
    /// at most half a minute where there are up to 250.
    pub fn pace(&self) -> f64 {
        let hundredths = (3000.0 / self.steps.len().max(1) as f64).clamp(12.0, 140.0);
        hundredths.floor() / 100.0
    }
    /// Seconds of all steps.
    pub fn seconds(&self) -> f64 {
        self.pace() * self.steps.len() as f64
    }
    /// Width and height of the drawing.
    pub fn size(&self) -> [f64; 2] {
        let p = place::places(self);
        [p.width.ceil(), p.height.ceil()]
    }
    /// The moving picture. Where nothing moves (readers without animation, or who ask for none) it shows the first step.
    pub fn to_svg(&self) -> String {
        draw::svg(self, None)
    }
    /// One step as a still picture; the outputs after it are pale.
    pub fn frame(&self, step: usize) -> String {
        draw::svg(self, Some(step.min(self.steps.len().saturating_sub(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn animation() -> ConvAnimation {
        let cell = |kind, text: &str, dropped| ConvCell { kind, text: text.into(), dropped };
        let grid = |numbers: &[&str]| ConvGrid {
            rows: 1,
            columns: numbers.len(),
            numbers: numbers.iter().map(|n| n.to_string()).collect(),
            caption: "c < d".into(),
        };
        let step = |at: usize, sum: &str| ConvStep {
            corner: [0, at],
            terms: vec!["1·3".into(), "0·2".into()],
            output: [format!("y[{at}]"), sum.into()],
        };
        ConvAnimation {
            title: "T & U".into(),
            lines: vec!["(4 − 2)/1 + 1 = 3".into()],
            cells: vec![
                cell(ConvCellKind::Padding, "0", false),
                cell(ConvCellKind::Input, "1", false),
                cell(ConvCellKind::Between, "0", false),
                cell(ConvCellKind::Input, "5", true),
            ],
            extents: [1, 4],
            caption: "input".into(),
            filter: grid(&["3", "2"]),
            given: None,
            dilation: [1, 1],
            output: grid(&["7", "8"]),
            steps: vec![step(0, "7"), step(1, "8")],
        }
    }

    #[test]
    fn the_moving_picture_shows_every_step() {
        let svg = animation().to_svg();
        assert!(svg.contains("@keyframes") && svg.contains("prefers-reduced-motion") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("T &amp; U") && svg.contains("c &lt; d") && !svg.contains("<script"));
        assert!(svg.contains("y[0] = 1·3 + 0·2 = 7") && svg.contains("y[1] = 1·3 + 0·2 = 8"));
        // Legend of what there is: padding, zeros between, and what is dropped.
        assert!(svg.contains(">padding<") && svg.contains(">zero between<") && svg.contains(">read by no window<"));
    }

    #[test]
    fn a_frame_stands_still() {
        let all = animation();
        let (first, last) = (all.frame(0), all.frame(9));
        assert!(!first.contains("@keyframes") && !first.contains("animation"));
        assert!(first.contains("1·3 + 0·2 = 7") && !first.contains("1·3 + 0·2 = 8"));
        assert!(last.contains("1·3 + 0·2 = 8") && !last.contains("1·3 + 0·2 = 7"));
        // Without any step there is still a picture.
        let none = ConvAnimation { steps: Vec::new(), ..all };
        assert!(none.to_svg().ends_with("</svg>\n") && none.frame(0).ends_with("</svg>\n"));
    }
}
