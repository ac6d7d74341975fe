//! Tensors of ONNX files.

use super::outline::OWN;
use super::proto::{TensorProto, elem, elem_name, elem_of};
use super::stored::{self, Stored};
use crate::Result;
pub(super) use crate::array::{Array as Known, ElementType, Elements};
use crate::elements::each;
use crate::error::At;
use crate::half::{bf16_to_f32, f16_to_f32};
use crate::wire::{Budget, Message, Text};
use gabor_tensor::{Data, Floats, Rule, Tensor};
use std::sync::Arc;

/// Where the elements of a tensor lie when they lie in another file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// The other file, relative to the model's directory: plain names with `/` between them, none of them `..`. Or
    /// [`OWN`]: the model's own file.
    pub file: &'a str,
    /// The first byte.
    pub offset: u64,
    /// The number of bytes: as many as the tensor's extents and element type say.
    pub length: usize,
}

/// Gives what lies at a [`Location`], to several threads: this crate opens no file.
pub trait External: Sync {
    /// The bytes.
    ///
    /// # Errors
    /// A place that is not there or must not be read.
    fn bytes(&self, at: &Location<'_>) -> Result<Vec<u8>, Rule>;
    /// The same as little-endian floats, which may be read later. That they are there is known before.
    ///
    /// # Errors
    /// A place that is not there or must not be read.
    fn floats(&self, at: &Location<'_>) -> Result<Arc<dyn Floats>, Rule> {
        let bytes = self.bytes(at)?;
        if bytes.len() != at.length {
            return Err(of_other_length(bytes.len(), at));
        }
        Ok(Arc::new(Here(each(&bytes, f32::from_le_bytes))))
    }
}

pub(super) fn of_other_length(bytes: usize, at: &Location<'_>) -> Rule {
    Rule::new(format!("{bytes} bytes of `{}`", at.file)).right(format!("{} bytes", at.length))
}

/// Floats that are here already.
struct Here(Vec<f32>);

impl Floats for Here {
    fn read(&self, from: usize, to: &mut [f32]) -> Result<(), Rule> {
        let wanted = self.0.get(from..).and_then(|f| f.get(..to.len()));
        to.copy_from_slice(wanted.ok_or_else(|| Rule::new(format!("{} floats", self.0.len())))?);
        Ok(())
    }
}

impl<F: Fn(&Location<'_>) -> Result<Vec<u8>, Rule> + Sync> External for F {
    fn bytes(&self, at: &Location<'_>) -> Result<Vec<u8>, Rule> {
        self(at)
    }
}

/// The element type behind a number.
pub(super) fn kind_of(number: i64) -> Result<ElementType, Rule> {
    ELEMENT_TYPES.iter().find(|(n, _)| *n == number).map(|&(_, k)| k).ok_or_else(|| {
        Rule::new(format!("elements of type {}", elem_name(number)))
            .right("float, double, float16, bfloat16, int64 to int8, uint64 to uint8 or bool")
    })
}

/// Element types by their numbers in `TensorProto.DataType`.
const ELEMENT_TYPES: [(i64, ElementType); 13] = [
    (elem::FLOAT, ElementType::F32),
    (elem::UINT8, ElementType::U8),
    (elem::INT8, ElementType::I8),
    (elem::UINT16, ElementType::U16),
    (elem::INT16, ElementType::I16),
    (elem::INT32, ElementType::I32),
    (elem::INT64, ElementType::I64),
    (elem::BOOL, ElementType::Bool),
    (elem::FLOAT16, ElementType::F16),
    (elem::DOUBLE, ElementType::F64),
    (elem::UINT32, ElementType::U32),
    (elem::UINT64, ElementType::U64),
    (elem::BFLOAT16, ElementType::BF16),
];

/// The array in the bytes of a `.pb` file, a `TensorProto` of its own.
///
/// # Errors
/// Bytes that are no such message, elements of a type that is not read, and extents that the bytes do not fill.
pub fn read_tensor(bytes: &[u8]) -> Result<Known> {
    let proto = TensorProto::read(bytes, &mut Budget::new()).at("onnx tensor")?;
    read(&proto, None).at("onnx tensor")
}

/// The tensor of a file with its elements.
pub(super) fn read(t: &TensorProto<'_>, external: Option<&dyn External>) -> Result<Known, Rule> {
    Stored::open(t, external)?.into_known()?.or_else(|unread| stored::read(&unread))
}

/// Where external data lie: a place below the model's directory and as many bytes as the tensor has.
pub(super) fn location<'t>(t: &'t TensorProto<'_>, length: usize) -> Result<Location<'t>, Rule> {
    let entry = |key: &str| t.external_data.iter().find(|e| e.key == key).map(|e| &*e.value);
    let number = |key: &str| {
        entry(key)
            .map(|v| {
                v.parse::<u64>().map_err(|_| Rule::new(format!("external data with {key} {v:?}")).right("a number"))
            })
            .transpose()
    };
    let file = entry("location").ok_or_else(|| Rule::new("external data without a location"))?;
    // A model file must not read what its reader did not mean to open.
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', ':', '\0']);
    let own = file == OWN;
    if !own && !file.strip_prefix("./").unwrap_or(file).split('/').all(plain) {
        return Err(Rule::new(format!("external data at {file:?}"))
            .right("a file in the model's directory or below it, without `..`"));
    }
    if let Some(given) = number("length")?
        && given != length as u64
    {
        let what = if own { "raw data" } else { "external data" };
        return Err(Rule::new(format!("{what} of {given} bytes")).right(format!("{length} bytes")));
    }
    Ok(Location { file, offset: number("offset")?.unwrap_or(0), length })
}

pub(super) fn from_raw(kind: ElementType, raw: &[u8]) -> Result<Elements, Rule> {
    Ok(match kind {
        ElementType::F32 => Elements::Float(each(raw, f32::from_le_bytes)),
        ElementType::F64 => doubles(&each(raw, f64::from_le_bytes))?,
        ElementType::F16 => Elements::Float(each(raw, |b| f16_to_f32(u16::from_le_bytes(b)))),
        ElementType::BF16 => Elements::Float(each(raw, |b| bf16_to_f32(u16::from_le_bytes(b)))),
        ElementType::I64 => Elements::Int(each(raw, i64::from_le_bytes)),
        ElementType::U64 => unsigned(&each(raw, i64::from_le_bytes))?,
        ElementType::I32 => Elements::Int(each(raw, |b| i64::from(i32::from_le_bytes(b)))),
        ElementType::U32 => Elements::Int(each(raw, |b| i64::from(u32::from_le_bytes(b)))),
        ElementType::I16 => Elements::Int(each(raw, |b| i64::from(i16::from_le_bytes(b)))),
        ElementType::U16 => Elements::Int(each(raw, |b| i64::from(u16::from_le_bytes(b)))),
        ElementType::I8 => Elements::Int(each(raw, |b: [u8; 1]| i64::from(b[0] as i8))),
        ElementType::U8 => Elements::Int(raw.iter().map(|&b| i64::from(b)).collect()),
        ElementType::Bool => Elements::Int(raw.iter().map(|&b| i64::from(b != 0)).collect()),
    })
}

/// Doubles as floats: an error where one is too large.
fn doubles(v: &[f64]) -> Result<Elements, Rule> {
    match v.iter().find(|x| x.is_finite() && !(**x as f32).is_finite()) {
        Some(x) => Err(Rule::new(format!("the double {x:e} does not fit a 32-bit float"))),
        None => Ok(Elements::Float(v.iter().map(|&x| x as f32).collect())),
    }
}

fn unsigned(v: &[i64]) -> Result<Elements, Rule> {
    match v.iter().find(|x| **x < 0) {
        Some(&x) => Err(Rule::new(format!("the number {} does not fit 63 bits", x as u64))),
        None => Ok(Elements::Int(v.to_vec())),
    }
}

/// Elements in the typed field that the standard gives each type.
pub(super) fn from_fields(t: &TensorProto<'_>, kind: ElementType) -> Result<Elements, Rule> {
    let half = |f: fn(u16) -> f32| Elements::Float(t.int32_data.iter().map(|&v| f(v as u16)).collect());
    Ok(match kind {
        ElementType::F32 => Elements::Float(t.float_data.clone()),
        ElementType::F64 => doubles(&t.double_data)?,
        ElementType::F16 => half(f16_to_f32),
        ElementType::BF16 => half(bf16_to_f32),
        ElementType::I64 => Elements::Int(t.int64_data.clone()),
        ElementType::U64 | ElementType::U32 => unsigned(&t.uint64_data)?,
        _ => {
            let (low, high) = kind.range().unwrap_or((0, 0));
            match t.int32_data.iter().find(|v| !(low..=high).contains(v)) {
                Some(v) => return Err(Rule::new(format!("an element of {v} in a tensor of {kind}"))),
                None => Elements::Int(t.int32_data.clone()),
            }
        }
    })
}

/// A tensor for a file.
pub(super) fn write<'a>(name: impl Into<Text<'a>>, t: &Tensor) -> TensorProto<'a> {
    let mut raw = Vec::with_capacity(t.len() * t.dtype().size());
    match t.data() {
        Data::F32(v) => v.iter().for_each(|x| raw.extend_from_slice(&x.to_le_bytes())),
        Data::F64(v) => v.iter().for_each(|x| raw.extend_from_slice(&x.to_le_bytes())),
        Data::I32(v) => v.iter().for_each(|x| raw.extend_from_slice(&x.to_le_bytes())),
        Data::U8(v) => raw.extend_from_slice(v),
    }
    TensorProto {
        dims: t.shape().iter().map(|&d| d as i64).collect(),
        data_type: elem_of(t.dtype()),
        name: name.into(),
        raw_data: Some(raw.into()),
        ..Default::default()
    }
}

/// 64-bit integers for a file: shapes and axes.
pub(super) fn write_ints<'a>(shape: &[usize], v: &[i64]) -> TensorProto<'a> {
    TensorProto {
        dims: shape.iter().map(|&d| d as i64).collect(),
        data_type: elem::INT64,
        raw_data: Some(v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into()),
        ..Default::default()
    }
}
