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

/// Bytes in MiB or GiB.
fn size(bytes: u64) -> String {
    let mib = bytes as f64 / (1 << 20) as f64;
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

impl Summary {
    /// The table with a forecast of memory at batch size `n`.
    pub fn to_table(&self, n: u64) -> String {
        const HEAD: [&str; 7] = ["layer", "kind", "output", "values", "parameters", "FLOPs", "field"];
        let list = |v: &[usize]| v.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
        let shown = |v: u64| if v == 0 { String::new() } else { commas(v) };
        let mut rows: Vec<[String; 7]> = self
            .layers
            .iter()
            .map(|r| {
                let extents: Vec<usize> = r.output.0.iter().skip(1).map(|d| d.at(1)).collect();
                let field = if r.receptive_field.is_empty() { "all".into() } else { list(&r.receptive_field) };
                let flops = if r.flops == 0 { String::new() } else { work(r.flops) };
                [r.name.clone(), r.kind.clone(), list(&extents), shown(r.values), shown(r.parameters), flops, field]
            })
            .collect();
        rows.push([
            "total".into(),
            String::new(),
            String::new(),
            commas(self.values),
            commas(self.parameters),
            work(self.flops),
            String::new(),
        ]);
        let width = |i: usize| {
            rows.iter().map(|r| r[i].chars().count()).chain([HEAD[i].chars().count()]).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        let line = |cells: &[String]| {
            let mut text = String::new();
            for (i, (cell, &w)) in cells.iter().zip(&widths).enumerate() {
                let gap = if i == 0 { "" } else { "  " };
                // Text stands left, numbers right.
                text += &if (3..6).contains(&i) { format!("{gap}{cell:>w$}") } else { format!("{gap}{cell:<w$}") };
            }
            text.trim_end().to_string() + "\n"
        };
        let rule = "─".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)) + "\n";
        let mut text = format!("{}\n", self.name) + &line(&HEAD.map(String::from)) + &rule;
        for (i, row) in rows.iter().enumerate() {
            if i + 1 == rows.len() {
                text += &rule;
            }
            text += &line(row);
        }
        let m = self.memory(n);
        text += &format!(
            "parameters {} ({}), without biases and normalisation {}{}\n",
            commas(self.parameters),
            size(4 * self.parameters),
            commas(self.weights),
            if self.state > 0 { format!(", state {}", commas(self.state)) } else { String::new() }
        );
        text += &format!(
            "memory at batch {n}: about {} for inference, {} for training\n",
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
        assert_eq!(size(61 << 20), "61.0 MiB");
        assert_eq!(work(1_500_000), "1.5 M");
    }
}
