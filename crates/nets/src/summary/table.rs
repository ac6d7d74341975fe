//! The table as text.

use super::Summary;
use std::fmt;

/// A number with commas between thousands.
fn commas(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// Bytes in KiB, MiB or GiB.
fn size(bytes: u64) -> String {
    let mib = bytes as f64 / (1 << 20) as f64;
    if mib < 1.0 {
        return format!("{:.1} KiB", mib * 1024.0);
    }
    if mib >= 1024.0 { format!("{:.2} GiB", mib / 1024.0) } else { format!("{mib:.1} MiB") }
}

/// Operations with a prefix.
fn work(flops: u64) -> String {
    match flops {
        0..=999 => format!("{flops}"),
        1_000..=999_999 => format!("{:.1} k", flops as f64 / 1e3),
        1_000_000..=999_999_999 => format!("{:.1} M", flops as f64 / 1e6),
        _ => format!("{:.2} G", flops as f64 / 1e9),
    }
}

/// Seconds with a unit.
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

/// At most `most` characters, the middle left out: scopes and layer both say something.
fn shortened(text: &str, most: usize) -> String {
    let n = text.chars().count();
    if n <= most {
        return text.to_string();
    }
    let (head, tail) = ((most - 1) / 2, most - 1 - (most - 1) / 2);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(n - tail)).collect()
}

/// Longest name and kind of a layer that are shown whole.
const MOST_NAME: usize = 44;
const MOST_KIND: usize = 36;
/// Shortest that a name is cut to before columns are left out.
const LEAST_NAME: usize = 16;

/// How a table is printed.
#[derive(Clone, Copy, Debug)]
pub struct TableOptions<'a> {
    /// Batch size of the forecast of memory.
    pub batch: u64,
    /// Columns of the terminal; what does not fit is shortened, then left out. `None`: as wide as it is.
    pub width: Option<usize>,
    /// Seconds of each row, if they are known.
    pub seconds: Option<&'a [f64]>,
}

impl Summary {
    /// The table with a forecast of memory at batch size `n`.
    pub fn to_table(&self, n: u64) -> String {
        self.to_table_with(&TableOptions { batch: n, width: None, seconds: None })
    }
    /// The table as the options say.
    pub fn to_table_with(&self, o: &TableOptions<'_>) -> String {
        const HEAD: [&str; 8] = ["layer", "kind", "output", "values", "parameters", "FLOPs", "time", "field"];
        let list = |v: &[usize]| v.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
        let shown = |v: u64| if v == 0 { String::new() } else { commas(v) };
        let time = |row: usize| match o.seconds.and_then(|s| s.get(row)) {
            Some(&s) if s > 0.0 => span(s),
            _ => String::new(),
        };
        let mut rows: Vec<[String; 8]> = self
            .layers
            .iter()
            .enumerate()
            .map(|(i, r)| {
                let extents: Vec<usize> = r.output.0.iter().skip(1).map(|d| d.at(1)).collect();
                let field = if r.receptive_field.is_empty() { "all".into() } else { list(&r.receptive_field) };
                let flops = if r.flops == 0 { String::new() } else { work(r.flops) };
                let (name, kind) = (shortened(&r.name, MOST_NAME), shortened(&r.kind, MOST_KIND));
                [name, kind, list(&extents), shown(r.values), shown(r.parameters), flops, time(i), field]
            })
            .collect();
        rows.push([
            "total".into(),
            String::new(),
            String::new(),
            commas(self.values),
            commas(self.parameters),
            work(self.flops),
            o.seconds.map_or(String::new(), |s| span(s.iter().sum())),
            String::new(),
        ]);
        let width = |rows: &[[String; 8]], i: usize| {
            rows.iter().map(|r| r[i].chars().count()).chain([HEAD[i].chars().count()]).max().unwrap_or_default()
        };
        let mut columns: Vec<usize> = (0..HEAD.len()).filter(|&i| i != 6 || o.seconds.is_some()).collect();
        let total = |rows: &[[String; 8]], columns: &[usize]| {
            columns.iter().map(|&i| width(rows, i)).sum::<usize>() + 2 * (columns.len() - 1)
        };
        if let Some(room) = o.width {
            // Names first, then the columns that can best be done without.
            for leave in [None, Some(7), Some(5), Some(3), Some(1), Some(6)] {
                columns.retain(|&i| Some(i) != leave);
                let over = total(&rows, &columns).saturating_sub(room);
                let name = width(&rows, 0).saturating_sub(over).max(LEAST_NAME);
                if total(&rows, &columns) - width(&rows, 0) + name <= room || leave == Some(6) {
                    rows.iter_mut().for_each(|r| r[0] = shortened(&r[0], name));
                    break;
                }
            }
        }
        let line = |cells: &[String]| {
            let mut text = String::new();
            for (at, &i) in columns.iter().enumerate() {
                let (gap, cell, w) = (if at == 0 { "" } else { "  " }, &cells[i], width(&rows, i));
                // Text stands left, numbers right.
                text += &if (3..7).contains(&i) { format!("{gap}{cell:>w$}") } else { format!("{gap}{cell:<w$}") };
            }
            text.trim_end().to_string() + "\n"
        };
        let rule = "─".repeat(total(&rows, &columns)) + "\n";
        let mut text = format!("{}\n", self.name) + &line(&HEAD.map(String::from)) + &rule;
        for (i, row) in rows.iter().enumerate() {
            if i + 1 == rows.len() {
                text += &rule;
            }
            text += &line(row);
        }
        let m = self.memory(o.batch);
        text += &format!(
            "parameters {} ({}), without biases and normalisation {}{}\n",
            commas(self.parameters),
            size(4 * self.parameters),
            commas(self.weights),
            if self.state > 0 { format!(", state {}", commas(self.state)) } else { String::new() }
        );
        text += &format!(
            "values of one sample {} ({}): training keeps them all, inference only those still needed\n",
            commas(self.values),
            size(4 * self.values)
        );
        text += &format!(
            "memory at batch {}: about {} for inference, {} for training\n",
            o.batch,
            size(m.inference),
            size(m.training)
        );
        for note in &self.notes {
            text += &format!("note: {note}\n");
        }
        text
    }
}

impl fmt::Display for Summary {
    /// The table, with the forecast at batch size 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_table(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(commas(138_357_544), "138,357,544");
        assert_eq!((commas(0), commas(999), commas(1000)), ("0".into(), "999".into(), "1,000".into()));
        assert_eq!([size(61 << 20), size(1536), size(3 << 30)], ["61.0 MiB", "1.5 KiB", "3.00 GiB"]);
        assert_eq!(work(1_500_000), "1.5 M");
        assert_eq!([span(2e-6), span(0.0123), span(0.5), span(2.0)], ["2 µs", "12.3 ms", "500 ms", "2.0 s"]);
        assert_eq!(shortened("layer1.0.downsample.0", 11), "layer…ple.0");
        assert_eq!(shortened("short", 5), "short");
    }
}
