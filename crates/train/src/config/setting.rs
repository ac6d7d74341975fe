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
