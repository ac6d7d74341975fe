//! A convolution in words: the size rule with its numbers, what does not fit, sums.

use super::{Arithmetic, Cell, Term};
use gabor_tensor::{Axis, Padding};

/// Extents as people write them: `7×9`.
pub fn times(extents: &[usize]) -> String {
    extents.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

/// A number with all its digits, as it was typed.
pub fn number(v: f64) -> String {
    let text = if v.abs() >= 1e21 || (v != 0.0 && v.abs() < 1e-9) { format!("{v:e}") } else { format!("{v}") };
    if text == "-0" { "0".into() } else { text.replace('-', "−") }
}

/// The sum of products of decimal numbers in decimals, as one adds on paper: 0.1 · 3 is 0.3. `sum` where the digits are too
/// many for that.
pub fn exact(sum: f64, terms: &[Term]) -> String {
    on_paper(terms).unwrap_or_else(|| number(sum))
}

/// Letters of a sum on paper, more than which nobody reads.
const LETTERS: usize = 40;

fn on_paper(terms: &[Term]) -> Option<String> {
    let decimals = |v: f64| format!("{v}").split_once('.').map_or(0, |(_, d)| d.len());
    let (of_x, of_w) = terms.iter().fold((0, 0), |(x, w), t| (x.max(decimals(t.x)), w.max(decimals(t.w))));
    // A number in units of its last decimal.
    let whole = |v: f64, digits: usize| format!("{v:.digits$}").replace('.', "").parse::<i128>().ok();
    let mut total = 0i128;
    for t in terms {
        total = total.checked_add(whole(t.x, of_x)?.checked_mul(whole(t.w, of_w)?)?)?;
    }
    let digits = of_x + of_w;
    if digits > LETTERS {
        return None;
    }
    let all = format!("{:0>1$}", total.unsigned_abs(), digits + 1);
    let (before, after) = all.split_at(all.len() - digits);
    let after = after.trim_end_matches('0');
    let sign = if total < 0 { "−" } else { "" };
    let text = if after.is_empty() { format!("{sign}{before}") } else { format!("{sign}{before}.{after}") };
    (text.chars().count() <= LETTERS).then_some(text)
}

/// A number in the letters that a cell of the picture has room for: all its digits, or as many as fit, or a power of ten.
pub fn fitting(text: &str) -> String {
    if text.chars().count() <= CELL_LETTERS {
        return text.to_string();
    }
    let Ok(v) = text.replace('−', "-").parse::<f64>() else { return text.to_string() };
    let point = (0..CELL_LETTERS).rev().map(|d| format!("{v:.d$}"));
    let power = (0..CELL_LETTERS).rev().map(|d| format!("{v:.d$e}"));
    // A small number loses its digits behind the point before it loses its size.
    let all: Vec<String> = if v.abs() >= 0.01 { point.chain(power).collect() } else { power.collect() };
    let short = all.into_iter().find(|t| t.len() <= CELL_LETTERS);
    short.map_or_else(|| text.to_string(), |t| trimmed(&t).replace('-', "−"))
}

/// The numbers of a grid in the letters that its cells have room for, and how many of them lost digits.
pub fn fitting_all(texts: impl IntoIterator<Item = String>) -> (Vec<String>, usize) {
    let mut rounded = 0;
    let short = |text: String| {
        let short = fitting(&text);
        rounded += usize::from(short != text);
        short
    };
    (texts.into_iter().map(short).collect(), rounded)
}

/// Letters that a cell has room for.
const CELL_LETTERS: usize = 9;

/// Without zeros at the end of a fraction.
fn trimmed(text: &str) -> &str {
    if text.contains('.') && !text.contains('e') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// A product, so that it can stand after a plus sign.
pub fn product(t: &Term, first: bool) -> String {
    let x = number(t.x);
    let x = if t.x < 0.0 && !first { format!("({x})") } else { x };
    let w = number(t.w);
    if t.w < 0.0 { format!("{x}·({w})") } else { format!("{x}·{w}") }
}

/// Names of dimensions, outermost first, for `count` of their elements.
fn names(dims: usize, dim: usize, count: usize) -> &'static str {
    match (dims, dim, count) {
        (2, 0, 1) => "row",
        (2, 0, _) => "rows",
        (2, _, 1) => "column",
        (2, ..) => "columns",
        (_, _, 1) => "element",
        _ => "elements",
    }
}

/// `the last row and column`, `the last 2 rows and the last column`: counts per dimension.
fn last(counts: &[(usize, usize)], dims: usize) -> String {
    match counts {
        [(_, 1), (_, 1)] => "the last row and column".into(),
        [(_, a), (_, b)] if a == b => format!("the last {a} rows and columns"),
        _ => {
            let one = |&(dim, n): &(usize, usize)| match n {
                1 => format!("the last {}", names(dims, dim, 1)),
                n => format!("the last {n} {}", names(dims, dim, n)),
            };
            counts.iter().map(one).collect::<Vec<_>>().join(" and ")
        }
    }
}

fn verb(counts: &[(usize, usize)]) -> &'static str {
    if counts.iter().map(|c| c.1).sum::<usize>() == 1 { "is" } else { "are" }
}

/// `+ 2·1`, `+ 1 + 2` or nothing.
fn padding(a: &Axis, sign: char) -> String {
    match (a.pad_begin, a.pad_end) {
        (0, 0) => String::new(),
        (p, q) if p == q => format!(" {sign} 2·{p}"),
        (p, q) => format!(" {sign} {p} {sign} {q}"),
    }
}

impl Arithmetic {
    /// The size rule in letters and numbers, one line per dimension; one for all where they are alike.
    pub fn formulas(&self) -> Vec<String> {
        let axes = self.geometry().window.axes();
        let mut lines: Vec<String> = (0..axes.len()).map(|d| self.formula(&axes[d], d)).collect();
        if lines.windows(2).all(|p| p[0] == p[1]) {
            lines.truncate(1);
        } else {
            let names = ["height", "width"];
            lines.iter_mut().zip(names).for_each(|(l, name)| *l = format!("{name}: {l}"));
        }
        lines
    }
    fn formula(&self, a: &Axis, dim: usize) -> String {
        let dilated = a.dilation > 1;
        if self.is_transposed() {
            let extra = self.extra.get(dim).copied().unwrap_or(0);
            // A geometry's padding is what is taken off the output.
            let letters = format!(
                "o = (n − 1)·s{} + {}(k − 1) + 1{}",
                letters_of(a, '−'),
                if dilated { "d·" } else { "" },
                if extra > 0 { " + extra" } else { "" }
            );
            let reach = if dilated { format!("{}·", a.dilation) } else { String::new() };
            let extra = if extra > 0 { format!(" + {extra}") } else { String::new() };
            return format!(
                "{letters} = ({} − 1)·{}{} + {reach}({} − 1) + 1{extra} = {}",
                a.output,
                a.stride,
                padding(a, '−'),
                a.kernel,
                a.input
            );
        }
        let room = a.input + a.pad_begin + a.pad_end - a.reach();
        let even = room.is_multiple_of(a.stride);
        let floor = |text: String| if even { text } else { format!("floor({text})") };
        let letters = floor(format!("(n{} − {})/s", letters_of(a, '+'), if dilated { "d·(k − 1) − 1" } else { "k" }));
        let kernel = if dilated { format!("{}·({} − 1) − 1", a.dilation, a.kernel) } else { a.kernel.to_string() };
        let numbers = floor(format!("({}{} − {kernel})/{}", a.input, padding(a, '+'), a.stride));
        let between = if even {
            String::new()
        } else {
            format!(" = floor({}) + 1", number((room as f64 / a.stride as f64 * 100.0).round() / 100.0))
        };
        format!("o = {letters} + 1 = {numbers} + 1{between} = {}", a.output)
    }
    /// What is legal but surprising.
    pub fn notes(&self) -> Vec<String> {
        let axes = self.geometry().window.axes();
        let dims = axes.len();
        let mut notes = Vec::new();
        if self.is_transposed() {
            if matches!(self.asked, Padding::Same) {
                let pads: Vec<String> = axes.iter().map(|a| format!("{} and {}", a.pad_begin, a.pad_end)).collect();
                notes.push(format!("same: {} taken off the ends", pads.join(", ")));
            }
            if axes.iter().any(|a| a.stride > 1 && a.dilation == 1 && a.kernel % a.stride != 0) {
                let (a, s) = axes
                    .iter()
                    .find(|a| a.stride > 1 && a.kernel % a.stride != 0)
                    .map_or((0, 0), |a| (a.kernel, a.stride));
                notes.push(format!(
                    "kernel {a} is no multiple of stride {s}: outputs sum unequally many inputs, which shows as a checkerboard"
                ));
            }
            // Outputs that lie between the places where the filter is laid down.
            let axes = axes.iter().filter(|a| a.stride > a.reach() && a.output > 1);
            if let Some(a) = axes.clone().next() {
                notes.push(format!(
                    "stride {} is larger than the window of {}: outputs between get nothing and are 0",
                    a.stride,
                    a.reach()
                ));
            }
            return notes;
        }
        if matches!(self.asked, Padding::Same) {
            let pads: Vec<String> =
                axes.iter().map(|a| format!("{} before and {} after", a.pad_begin, a.pad_end)).collect();
            let pads = if pads.windows(2).all(|p| p[0] == p[1]) { pads[0].clone() } else { pads.join(", ") };
            notes.push(format!("same: as many outputs as ceil(n/s); padding {pads}"));
        }
        let (input, kernel) = (times(&self.input.shape), times(&self.filter.shape));
        let strides: Vec<usize> = axes.iter().map(|a| a.stride).collect();
        let stride = if strides.windows(2).all(|p| p[0] == p[1]) { strides[0].to_string() } else { times(&strides) };
        let gone: Vec<(usize, usize)> =
            axes.iter().enumerate().map(|(i, a)| (i, a.dropped())).filter(|d| d.1 > 0).collect();
        if !gone.is_empty() {
            let more = axes[gone[0].0];
            let room = more.input + more.pad_begin + more.pad_end - more.reach();
            let wanted = more.stride - room % more.stride;
            notes.push(format!(
                "{input} with {kernel}, stride {stride}: {} {} dropped ({room} is no multiple of {}; {wanted} more of padding \
                 at the end would take {} in)",
                last(&gone, dims),
                verb(&gone),
                more.stride,
                if gone.iter().map(|g| g.1).sum::<usize>() == 1 { "it" } else { "them" },
            ));
        }
        let unread = |dim: usize, cells: std::ops::Range<usize>| {
            let read = self.read(dim);
            cells.filter(|&c| !read[c]).count()
        };
        let padding: Vec<(usize, usize)> = (axes.iter().enumerate())
            .map(|(i, a)| (i, unread(i, a.pad_begin + a.input..a.pad_begin + a.input + a.pad_end)))
            .filter(|p| p.1 > 0)
            .collect();
        if !padding.is_empty() && gone.is_empty() {
            notes.push(format!("{} of padding {} read by no window", last(&padding, dims), verb(&padding)));
        }
        // Elements that windows step over.
        let skipped: Vec<String> = (axes.iter().enumerate())
            .map(|(i, a)| (i, unread(i, a.pad_begin..a.pad_begin + a.input) - a.dropped()))
            .filter(|s| s.1 > 0)
            .map(|(i, n)| format!("{n} {}", names(dims, i, n)))
            .collect();
        if !skipped.is_empty() {
            let larger = axes
                .iter()
                .find(|a| a.stride > a.reach())
                .map_or(String::new(), |a| format!(": stride {} is larger than the window of {}", a.stride, a.reach()));
            notes.push(format!(
                "{} between windows {} read by none{larger}",
                skipped.join(" and "),
                if skipped == ["1 row"] || skipped == ["1 column"] || skipped == ["1 element"] { "is" } else { "are" }
            ));
        }
        notes
    }
    /// A sum with all its products: `1·3 + 0·2 + 2·2 = 7`.
    pub fn sum_text(&self, step: usize) -> String {
        let Some(s) = self.steps.get(step) else { return String::new() };
        let terms: Vec<String> = s.terms.iter().enumerate().map(|(i, t)| product(t, i == 0)).collect();
        format!("{} = {}", terms.join(" + "), exact(s.sum, &s.terms))
    }
    /// An output with all its digits.
    pub fn output_text(&self, step: usize) -> String {
        self.steps.get(step).map_or(String::new(), |s| exact(s.sum, &s.terms))
    }
    /// What is convolved, in one line.
    pub fn heading(&self) -> String {
        let axes = self.geometry().window.axes();
        let all = |f: &dyn Fn(&Axis) -> usize| {
            let v: Vec<usize> = axes.iter().map(f).collect();
            if v.windows(2).all(|p| p[0] == p[1]) { v[0].to_string() } else { times(&v) }
        };
        let mut out = format!("{} with {}", times(&self.input.shape), times(&self.filter.shape));
        let stride = all(&|a| a.stride);
        if stride != "1" {
            out += &format!(", stride {stride}");
        }
        if axes.iter().any(|a| a.pad_begin + a.pad_end > 0) {
            out += &format!(", padding {}", self.padding_text());
        }
        let dilation = all(&|a| a.dilation);
        if dilation != "1" {
            out += &format!(", dilation {dilation}");
        }
        if self.extra.iter().any(|&e| e > 0) {
            out += &format!(", output padding {}", times(&self.extra));
        }
        let kind = if self.is_transposed() { "Transposed convolution" } else { "Convolution" };
        format!("{kind}: {out} → {}", times(&self.output.shape))
    }
    /// `1`, `1:2` (before and after), or one of them per dimension.
    pub fn padding_text(&self) -> String {
        let one = |a: &Axis| {
            if a.pad_begin == a.pad_end { a.pad_begin.to_string() } else { format!("{}:{}", a.pad_begin, a.pad_end) }
        };
        let all: Vec<String> = self.geometry().window.axes().iter().map(one).collect();
        if all.windows(2).all(|p| p[0] == p[1]) { all[0].clone() } else { all.join("×") }
    }
    /// Whether a cell is one that no window reads.
    pub(crate) fn is_dropped(&self, cell: &[usize], read: &[Vec<bool>]) -> bool {
        cell.iter().zip(read).any(|(&c, read)| !read[c])
    }
    pub(crate) fn kind(&self, cell: &[usize]) -> Cell {
        let all: Vec<Cell> = self.lines.iter().zip(cell).map(|(l, &c)| l.cells[c]).collect();
        // Around the input counts before between its elements.
        if all.contains(&Cell::Padding) {
            return Cell::Padding;
        }
        if all.contains(&Cell::Between) {
            return Cell::Between;
        }
        all.first().copied().unwrap_or(Cell::Padding)
    }
}

fn letters_of(a: &Axis, sign: char) -> String {
    match (a.pad_begin, a.pad_end) {
        (0, 0) => String::new(),
        (p, q) if p == q => format!(" {sign} 2p"),
        _ => format!(" {sign} p₁ {sign} p₂"),
    }
}
