//! Kinds of parameters as data.

use serde_json::Value;

/// A value of an operation: read from JSON or TOML and written again.
pub(super) trait Parameter: Sized {
    /// The value; `None` if it is no such one.
    fn read(v: &Value) -> Option<Self>;
    /// The value as data that [`Parameter::read`] understands.
    fn write(&self) -> Value;
}

/// A number as data; whole ones without a point.
fn number(v: f64) -> Value {
    if v.fract() == 0.0 && v.abs() < 1e15 { Value::from(v as i64) } else { Value::from(v) }
}

impl Parameter for f64 {
    fn read(v: &Value) -> Option<Self> {
        v.as_f64().filter(|v| v.is_finite())
    }
    fn write(&self) -> Value {
        number(*self)
    }
}

impl Parameter for u32 {
    fn read(v: &Value) -> Option<Self> {
        v.as_f64().filter(|v| v.fract() == 0.0 && (0.0..4294967296.0).contains(v)).map(|v| v as u32)
    }
    fn write(&self) -> Value {
        Value::from(*self)
    }
}

impl Parameter for bool {
    fn read(v: &Value) -> Option<Self> {
        v.as_bool()
    }
    fn write(&self) -> Value {
        Value::from(*self)
    }
}

/// A range; one number is both its ends.
impl Parameter for [f64; 2] {
    fn read(v: &Value) -> Option<Self> {
        match v.as_array().map(Vec::as_slice) {
            Some([a, b]) => Some([f64::read(a)?, f64::read(b)?]),
            Some(_) => None,
            None => f64::read(v).map(|v| [v; 2]),
        }
    }
    fn write(&self) -> Value {
        Value::from(self.map(number).to_vec())
    }
}

impl Parameter for Vec<f64> {
    fn read(v: &Value) -> Option<Self> {
        match v.as_array() {
            Some(list) => list.iter().map(f64::read).collect(),
            None => f64::read(v).map(|v| vec![v]),
        }
    }
    fn write(&self) -> Value {
        Value::from(self.iter().map(|&v| number(v)).collect::<Vec<_>>())
    }
}
