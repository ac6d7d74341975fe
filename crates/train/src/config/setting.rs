//! How a setting is read from text and written as text.

use crate::schedule::Schedule;
use gabor_compile::Recompute;
use gabor_tensor::Rule;

/// A value of the configuration.
pub trait Setting: Sized {
    /// Reads the text of a value; `what` describes what would be right.
    ///
    /// # Errors
    /// Text that is no such value.
    fn read(text: &str, what: &str) -> Result<Self, Rule>;
    /// The value as text that [`read`](Setting::read) understands.
    fn text(&self) -> String;
}

fn wrong(text: &str, what: &str) -> Rule {
    Rule::new(format!("`{text}` cannot be read")).right(what)
}

macro_rules! by_parsing {
    ($($ty:ty),*) => {$(
        impl Setting for $ty {
            fn read(text: &str, what: &str) -> Result<Self, Rule> {
                text.parse().map_err(|_| wrong(text, what))
            }
            fn text(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
by_parsing!(usize, u64, bool, String, Recompute);

impl Setting for f64 {
    fn read(text: &str, what: &str) -> Result<Self, Rule> {
        text.parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| wrong(text, what))
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Setting for Schedule {
    fn read(text: &str, _what: &str) -> Result<Self, Rule> {
        text.parse()
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

/// `none`, or a value.
impl<T: Setting> Setting for Option<T> {
    fn read(text: &str, what: &str) -> Result<Self, Rule> {
        if text == "none" { Ok(None) } else { T::read(text, what).map(Some) }
    }
    fn text(&self) -> String {
        self.as_ref().map_or("none".into(), T::text)
    }
}

/// A value, or `auto`: chosen by data and network when the run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Auto<T>(pub Option<T>);

impl<T: Setting> Setting for Auto<T> {
    fn read(text: &str, what: &str) -> Result<Self, Rule> {
        if text == "auto" { Ok(Auto(None)) } else { T::read(text, what).map(|v| Auto(Some(v))) }
    }
    fn text(&self) -> String {
        self.0.as_ref().map_or("auto".into(), T::text)
    }
}

/// `true`, `false`, or how much.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Amount {
    /// `false`.
    #[default]
    Off,
    /// `true`: the usual amount.
    On,
    /// A number.
    Of(f64),
}

impl Amount {
    /// The number, `usual` for `true`; none for `false`.
    pub fn or(self, usual: f64) -> Option<f64> {
        match self {
            Amount::Off => None,
            Amount::On => Some(usual),
            Amount::Of(v) => Some(v),
        }
    }
}

impl Setting for Amount {
    fn read(text: &str, what: &str) -> Result<Self, Rule> {
        match text {
            "true" => Ok(Amount::On),
            "false" => Ok(Amount::Off),
            number => f64::read(number, what).map(Amount::Of),
        }
    }
    fn text(&self) -> String {
        match self {
            Amount::Off => "false".into(),
            Amount::On => "true".into(),
            Amount::Of(v) => v.text(),
        }
    }
}

/// A time in whole seconds, at least one: `90s`, `30m`, `2h`, `1h30m`, `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Setting for Span {
    fn read(text: &str, what: &str) -> Result<Self, Rule> {
        let (mut seconds, mut number, mut smallest) = (0f64, String::new(), u64::MAX);
        for c in text.chars().filter(|c| !c.is_whitespace()) {
            if c.is_ascii_digit() || c == '.' {
                number.push(c);
                continue;
            }
            // From days down to seconds, each at most once.
            let unit = UNITS.iter().find(|(u, s)| *u == c && *s < smallest).map(|u| u.1);
            let (Some(unit), Ok(n)) = (unit, number.parse::<f64>()) else { return Err(wrong(text, what)) };
            (seconds, smallest) = (seconds + n * unit as f64, unit);
            number.clear();
        }
        // A number alone could be minutes as well as seconds.
        if !number.is_empty() || !(1.0..=1e10).contains(&seconds) {
            return Err(wrong(text, what));
        }
        Ok(Span(seconds.round() as u64))
    }
    fn text(&self) -> String {
        let (mut rest, mut out) = (self.0, String::new());
        for (letter, unit) in UNITS {
            if rest >= unit {
                out += &format!("{}{letter}", rest / unit);
                rest %= unit;
            }
        }
        out
    }
}

/// Bytes: `4GiB`, `512MiB`, `3.5GB`, or a number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

const SIZES: [(&str, u64); 9] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("", 1),
];

impl Setting for Bytes {
    fn read(text: &str, what: &str) -> Result<Self, Rule> {
        let read = SIZES.iter().find_map(|(unit, factor)| {
            let number = text.strip_suffix(unit)?.trim().parse::<f64>().ok()?;
            let bytes = number * *factor as f64;
            (1.0..=1e18).contains(&bytes).then_some(Bytes(bytes.round() as u64))
        });
        read.ok_or_else(|| wrong(text, what))
    }
    fn text(&self) -> String {
        let unit = SIZES[..3].iter().find(|(_, factor)| self.0.is_multiple_of(*factor));
        unit.map_or_else(|| self.0.to_string(), |(name, factor)| format!("{}{name}", self.0 / factor))
    }
}

/// A list, with commas between.
impl Setting for Vec<String> {
    fn read(text: &str, _what: &str) -> Result<Self, Rule> {
        Ok(text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(String::from).collect())
    }
    fn text(&self) -> String {
        self.join(",")
    }
}

/// Extents of the model's input, `3x224x224`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputSize(pub [usize; 3]);

impl Setting for InputSize {
    fn read(text: &str, what: &str) -> Result<Self, Rule> {
        let parts: Option<Vec<usize>> = text.split(['x', '×']).map(|p| p.trim().parse().ok()).collect();
        match parts.as_deref() {
            Some(&[c, h, w]) if (1..=1024).contains(&c) && (1..=16384).contains(&h) && (1..=16384).contains(&w) => {
                Ok(InputSize([c, h, w]))
            }
            _ => Err(wrong(text, what)),
        }
    }
    fn text(&self) -> String {
        let [c, h, w] = self.0;
        format!("{c}x{h}x{w}")
    }
}

/// A TOML value as the text of a setting.
pub(super) fn plain(value: &toml::Value) -> Result<String, Rule> {
    Ok(match value {
        toml::Value::String(s) => s.clone(),
        toml::Value::Integer(v) => v.to_string(),
        toml::Value::Float(v) => v.to_string(),
        toml::Value::Boolean(v) => v.to_string(),
        toml::Value::Array(list) => list.iter().map(plain).collect::<Result<Vec<_>, _>>()?.join(","),
        toml::Value::Datetime(_) | toml::Value::Table(_) => {
            return Err(Rule::new("a date or a table").right("a number, a text or a list"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_go_round() {
        for (text, seconds) in
            [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1d", 86_400), ("1.5h", 5400)]
        {
            let span = Span::read(text, "").unwrap();
            assert_eq!((span.0, Span::read(&span.text(), "")), (seconds, Ok(span)), "{text}");
        }
        for text in ["", "30", "0s", "m", "2h2h", "5m1h", "-1s", "3w"] {
            assert!(Span::read(text, "a time").is_err(), "{text}");
        }
        for (text, bytes) in
            [("4GiB", 4 << 30), ("512MiB", 512 << 20), ("1.5GB", 1_500_000_000), ("2G", 2 << 30), ("77", 77)]
        {
            let size = Bytes::read(text, "").unwrap();
            assert_eq!((size.0, Bytes::read(&size.text(), "")), (bytes, Ok(size)), "{text}");
        }
        for text in ["", "GiB", "-1GiB", "0", "4 TiB", "NaN"] {
            assert!(Bytes::read(text, "bytes").is_err(), "{text}");
        }
        for (text, amount) in [("true", Some(0.1)), ("false", None), ("0.25", Some(0.25))] {
            let read = Amount::read(text, "").unwrap();
            assert_eq!((read.or(0.1), read.text().as_str()), (amount, text));
        }
    }
}
