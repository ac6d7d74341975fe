//! Numbers and tables for people.

/// A number with thin groups of thousands: `138,357,544`.
///
/// ```
/// assert_eq!(gabor_report::count(138_357_544), "138,357,544");
/// ```
pub fn count(v: u64) -> String {
    let digits = v.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A part of one as a percentage with two digits, three where it is close to all: `98.61 %`.
pub fn percent(v: f64) -> String {
    if !v.is_finite() {
        return "–".into();
    }
    format!("{:.2} %", v * 100.0)
}

/// Bytes with a binary unit: `244 KiB`.
pub fn bytes(v: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut x = v as f64;
    let mut unit = 0;
    while x >= 1024.0 && unit + 1 < units.len() {
        x /= 1024.0;
        unit += 1;
    }
    if unit == 0 || x >= 100.0 { format!("{x:.0} {}", units[unit]) } else { format!("{x:.1} {}", units[unit]) }
}

/// Seconds as people say them: `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 07 min`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".into();
    }
    let whole = seconds.round() as u64;
    match seconds {
        s if s < 0.9995 => format!("{:.0} ms", s * 1000.0),
        s if s < 59.95 => format!("{s:.1} s"),
        _ if whole < 3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A table with a line below its head; columns marked in `right` are aligned to the right. Lines end in a line feed.
pub fn table(head: &[&str], right: &[bool], rows: &[Vec<String>]) -> String {
    let cell = |row: &[String], c: usize| row.get(c).cloned().unwrap_or_default();
    let width =
        |c: usize| rows.iter().map(|r| cell(r, c).chars().count()).chain([head[c].chars().count()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<String>| {
        let mut out = String::new();
        for (c, text) in cells.iter().enumerate() {
            let pad = " ".repeat(widths[c] - text.chars().count());
            let gap = if c == 0 { "" } else { "  " };
            let at_right = right.get(c).copied().unwrap_or(false);
            out += &if at_right { format!("{gap}{pad}{text}") } else { format!("{gap}{text}{pad}") };
        }
        out.trim_end().to_string() + "\n"
    };
    let mut out = line(head.iter().map(|h| h.to_string()).collect());
    out += &(widths.iter().map(|&w| "─".repeat(w)).collect::<Vec<_>>().join("──") + "\n");
    for row in rows {
        out += &line((0..head.len()).map(|c| cell(row, c)).collect());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([count(0), count(999), count(1000)], ["0", "999", "1,000"]);
        assert_eq!([bytes(12), bytes(250_000), bytes(61 << 20)], ["12 B", "244 KiB", "61.0 MiB"]);
        assert_eq!(duration(0.85), "850 ms");
        assert_eq!(duration(59.97), "1 min 00 s");
        assert_eq!(duration(7_620.0), "2 h 07 min");
    }

    #[test]
    fn columns_line_up() {
        let t = table(&["a", "long"], &[false, true], &[vec!["xyz".into(), "1".into()], vec!["q".into()]]);
        assert_eq!(t, "a    long\n─────────\nxyz     1\nq\n");
    }
}
