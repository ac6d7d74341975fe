//! A convolution as an animation to draw.

use super::words::{exact, fitting, fitting_all, number, product, times};
use super::{Arithmetic, Cell, unravel};
use gabor_report::{ConvAnimation, ConvCell, ConvCellKind, ConvGrid, ConvStep};

/// Row and column of an index in one or two dimensions.
fn flat(index: &[usize]) -> [usize; 2] {
    match *index {
        [y, x] => [y, x],
        [x] => [0, x],
        _ => [0, 0],
    }
}

impl Arithmetic {
    /// The animation of all steps.
    pub fn animation(&self) -> ConvAnimation {
        let extents: Vec<usize> = self.lines.iter().map(|l| l.cells.len()).collect();
        let read: Vec<Vec<bool>> = (0..extents.len()).map(|d| self.read(d)).collect();
        let cells = (0..extents.iter().product())
            .map(|i| {
                let cell = unravel(i, &extents);
                let kind = match self.kind(&cell) {
                    Cell::Element(_) => ConvCellKind::Input,
                    Cell::Padding => ConvCellKind::Padding,
                    Cell::Between => ConvCellKind::Between,
                };
                let at: Option<Vec<usize>> = (self.lines.iter().zip(&cell))
                    .map(|(l, &c)| if let Cell::Element(i) = l.cells[c] { Some(i) } else { None })
                    .collect();
                let text = at.map_or_else(|| "0".into(), |at| fitting(&number(self.input.at(&at))));
                ConvCell { kind, text, dropped: self.is_dropped(&cell, &read) }
            })
            .collect();
        let [rows, columns] = match extents[..] {
            [h, w] => [h, w],
            _ => [1, extents[0]],
        };
        let grid = |shape: &[usize], numbers: Vec<String>, caption: String| {
            let [rows, columns] = if let [h, w] = *shape { [h, w] } else { [1, shape[0]] };
            ConvGrid { rows, columns, numbers, caption }
        };
        let given: Vec<String> = self.filter.values.iter().map(|&v| fitting(&number(v))).collect();
        let kernel = times(&self.filter.shape);
        let turned: Vec<String> = given.iter().rev().cloned().collect();
        // A filter that is its own mirror image need not stand twice.
        let both = self.is_transposed() && turned != given;
        let filter = if both {
            grid(&self.filter.shape, turned, format!("filter {kernel}, turned by 180°"))
        } else {
            grid(&self.filter.shape, given.clone(), format!("filter {kernel}"))
        };
        let steps = (self.steps.iter())
            .map(|s| {
                let at: Vec<String> = s.position.iter().map(usize::to_string).collect();
                let terms = s.terms.iter().enumerate().map(|(i, t)| product(t, i == 0)).collect();
                let output = [format!("y[{}]", at.join(", ")), exact(s.sum, &s.terms)];
                ConvStep { corner: flat(&s.corner), terms, output }
            })
            .collect();
        let dilation: Vec<usize> = self.lines.iter().map(|l| l.dilation).collect();
        let dilation = if let [x] = dilation[..] { [1, x] } else { flat(&dilation) };
        let around = self.geometry().window.axes().iter().any(|a| a.pad_begin + a.pad_end > 0);
        let caption = match (self.is_transposed(), around) {
            (false, true) => format!("input {}, padding {}", times(&self.input.shape), self.padding_text()),
            (true, _) if self.lines.iter().any(|l| l.cells.contains(&Cell::Between)) => {
                format!("input {} with zeros between and around", times(&self.input.shape))
            }
            (true, _) => format!("input {} with zeros around", times(&self.input.shape)),
            _ => format!("input {}", times(&self.input.shape)),
        };
        // In one dimension the filter moves below the input and has no caption of its own.
        let caption = if self.lines.len() == 1 { format!("{caption}, and the filter {kernel}") } else { caption };
        let (output, rounded) = fitting_all((0..self.steps.len()).map(|i| self.output_text(i)));
        let rounded = match rounded {
            0 => String::new(),
            _ => ", rounded (exact in the sums)".into(),
        };
        ConvAnimation {
            title: self.heading(),
            lines: self.formulas().into_iter().chain(self.notes()).collect(),
            cells,
            extents: [rows, columns],
            caption,
            filter,
            given: both.then(|| grid(&self.filter.shape, given, "filter as given".into())),
            dilation,
            output: grid(&self.output.shape, output, format!("output {}{rounded}", times(&self.output.shape))),
            steps,
        }
    }
}
