//! Heights as tones, and as numbers beside their scale.

use crate::chart::short;

/// Heights as parts of the scale: by their logarithm above the least where they span much.
pub struct Tones {
    pub low: f64,
    pub high: f64,
    /// What is added before the logarithm; none where heights are taken as they are.
    pub shift: Option<f64>,
}

impl Tones {
    pub fn new(heights: &[f64]) -> Self {
        let mut known: Vec<f64> = heights.iter().copied().filter(|v| v.is_finite()).collect();
        known.sort_by(f64::total_cmp);
        let (Some(&low), Some(&high)) = (known.first(), known.last()) else {
            return Tones { low: 0.0, high: 1.0, shift: None };
        };
        let middle = known[known.len() / 2];
        // Half of the places in the lowest eighth of the range: even steps would show one colour.
        let steep = middle - low < (high - low) / 8.0;
        let shift = steep.then(|| ((middle - low) / 30.0).max((high - low) * 1e-9).max(f64::MIN_POSITIVE));
        Tones { low, high, shift }
    }
    pub fn part(&self, v: f64) -> f64 {
        let span = self.high - self.low;
        if span <= 0.0 {
            return 0.0;
        }
        match self.shift {
            None => (v - self.low) / span,
            Some(s) => log((v - self.low + s) / s) / log((span + s) / s),
        }
    }
    /// The height at a part of the scale.
    pub fn height(&self, part: f64) -> f64 {
        let span = self.high - self.low;
        match self.shift {
            None => self.low + part * span,
            Some(s) => self.low + s * ((span + s) / s).powf(part) - s,
        }
    }
}

fn log(v: f64) -> f64 {
    v.max(f64::MIN_POSITIVE).ln()
}

/// Numbers in three digits, or in as many more as it takes to tell different ones apart.
pub fn apart(all: &[f64]) -> Vec<String> {
    let shown = |digits: i32| all.iter().map(|&v| digits_of(v, digits)).collect::<Vec<_>>();
    let same = |shown: &[String]| {
        let pairs = all.windows(2).zip(shown.windows(2));
        pairs.into_iter().any(|(v, s)| v[0] != v[1] && s[0] == s[1])
    };
    (3..16).map(shown).find(|s| !same(s)).unwrap_or_else(|| all.iter().map(|v| format!("{v:e}")).collect())
}

/// A number in so many digits that count.
fn digits_of(v: f64, digits: i32) -> String {
    if v == 0.0 || !v.is_finite() || digits <= 3 {
        let power = 10f64.powf(2.0 - v.abs().log10().floor());
        return short(if v == 0.0 || !v.is_finite() { v } else { (v * power).round() / power });
    }
    let size = v.abs().log10().floor() as i32;
    let text = if (-5..=9).contains(&size) {
        format!("{v:.*}", (digits - 1 - size).max(0) as usize)
    } else {
        format!("{v:.*e}", (digits - 1) as usize)
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_differ_where_heights_do() {
        assert_eq!(apart(&[0.0, 0.25, 1234.5]), ["0", "0.25", "1230"]);
        assert_eq!(apart(&[2.40258, 2.40259, 2.40261]), ["2.40258", "2.40259", "2.40261"]);
        assert_eq!(apart(&[-1.00001, 1.00002]), ["−1", "1"]);
        assert_eq!(apart(&[100_001.0, 100_002.0]), ["100001", "100002"]);
        assert_eq!(apart(&[3.0, 3.0]), ["3", "3"]);
        assert_eq!(apart(&[1.00001e-9, 1.00002e-9]), ["1.00001e−9", "1.00002e−9"]);
    }

    #[test]
    fn tones_invert() {
        let even = Tones::new(&[0.0, 1.0, 2.0, 3.0]);
        assert!(even.shift.is_none());
        let steep = Tones::new(&[0.0, 0.1, 0.2, 0.3, 1000.0]);
        assert!(steep.shift.is_some());
        for tones in [even, steep] {
            for part in [0.0, 0.3, 1.0] {
                assert!((tones.part(tones.height(part)) - part).abs() < 1e-9);
            }
        }
    }
}
