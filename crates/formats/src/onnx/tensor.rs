//! Tensors of ONNX files.

use super::proto::{TensorProto, elem, elem_name, elem_of};
use crate::error::element_count;
use crate::half::{bf16_to_f32, f16_to_f32};
use crate::wire::Text;
use gabor_tensor::{Data, Rule, Tensor};

/// The elements of a tensor that is known at import.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Elements {
    Float(Vec<f32>),
    /// Whole numbers and booleans: shapes, axes, indices.
    Int(Vec<i64>),
    Byte(Vec<u8>),
}

/// A tensor that is known at import.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub(super) shape: Vec<usize>,
    pub(super) elements: Elements,
}

impl Known {
    /// The tensor in a graph's element types.
    pub(super) fn into_tensor(self) -> Result<Tensor, Rule> {
        let data = match self.elements {
            Elements::Float(v) => Data::F32(v),
            Elements::Byte(v) => Data::U8(v),
            Elements::Int(v) => {
                let fit = |x: i64| {
                    i32::try_from(x).map_err(|_| Rule::new(format!("the number {x} does not fit a 32-bit integer")))
                };
                Data::I32(v.into_iter().map(fit).collect::<Result<_, _>>()?)
            }
        };
        Tensor::new(&self.shape, data)
    }
}

/// The tensor of a file, its extents compared with its bytes before anything is allocated.
pub(super) fn read(t: &TensorProto<'_>) -> Result<Known, Rule> {
    if t.data_location != 0 || !t.external_data.is_empty() {
        return Err(Rule::new("its elements lie in another file (external data)")
            .right("a file that holds its weights: save it again with save_as_external_data=False"));
    }
    let extent =
        |&d: &i64| usize::try_from(d).map_err(|_| Rule::new(format!("extents {:?}", t.dims)).right("none below 0"));
    let shape = t.dims.iter().map(extent).collect::<Result<Vec<_>, _>>()?;
    let size = match t.data_type {
        elem::FLOAT | elem::INT32 => 4,
        elem::DOUBLE | elem::INT64 => 8,
        elem::FLOAT16 | elem::BFLOAT16 => 2,
        elem::UINT8 | elem::INT8 | elem::BOOL => 1,
        other => {
            return Err(Rule::new(format!("elements of type {}", elem_name(other)))
                .right("float, double, float16, bfloat16, int64, int32, int8, uint8 or bool"));
        }
    };
    let count = element_count(&shape, size)?;
    let elements = match &t.raw_data {
        Some(raw) if raw.len() == count * size => from_raw(t.data_type, raw),
        Some(raw) => {
            return Err(Rule::new(format!("{} bytes for {} {shape:?}", raw.len(), elem_name(t.data_type)))
                .right(format!("{} bytes", count * size)));
        }
        None => {
            let (elements, len) = from_fields(t)?;
            if len != count {
                return Err(Rule::new(format!("{len} elements for a tensor of shape {shape:?}"))
                    .right(format!("{count} elements")));
            }
            elements
        }
    };
    Ok(Known { shape, elements })
}

fn from_raw(kind: i64, raw: &[u8]) -> Elements {
    fn each<const N: usize, T>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks::<N>().0.iter().map(|&c| f(c)).collect()
    }
    match kind {
        elem::FLOAT => Elements::Float(each(raw, f32::from_le_bytes)),
        elem::DOUBLE => Elements::Float(each(raw, |b| f64::from_le_bytes(b) as f32)),
        elem::FLOAT16 => Elements::Float(each(raw, |b| f16_to_f32(u16::from_le_bytes(b)))),
        elem::BFLOAT16 => Elements::Float(each(raw, |b| bf16_to_f32(u16::from_le_bytes(b)))),
        elem::INT64 => Elements::Int(each(raw, i64::from_le_bytes)),
        elem::INT32 => Elements::Int(each(raw, |b| i64::from(i32::from_le_bytes(b)))),
        elem::INT8 => Elements::Int(each(raw, |b: [u8; 1]| i64::from(b[0] as i8))),
        elem::BOOL => Elements::Int(raw.iter().map(|&b| i64::from(b != 0)).collect()),
        _ => Elements::Byte(raw.to_vec()),
    }
}

/// Elements in the typed field that the standard gives each type.
fn from_fields(t: &TensorProto<'_>) -> Result<(Elements, usize), Rule> {
    let half = |f: fn(u16) -> f32| t.int32_data.iter().map(|&v| f(v as u16)).collect();
    let elements = match t.data_type {
        elem::FLOAT => Elements::Float(t.float_data.clone()),
        elem::DOUBLE => Elements::Float(t.double_data.iter().map(|&v| v as f32).collect()),
        elem::FLOAT16 => Elements::Float(half(f16_to_f32)),
        elem::BFLOAT16 => Elements::Float(half(bf16_to_f32)),
        elem::INT64 => Elements::Int(t.int64_data.clone()),
        elem::UINT8 => {
            let byte = |&v: &i64| u8::try_from(v).map_err(|_| Rule::new(format!("a byte of {v}")));
            Elements::Byte(t.int32_data.iter().map(byte).collect::<Result<_, _>>()?)
        }
        _ => Elements::Int(t.int32_data.clone()),
    };
    let len = match &elements {
        Elements::Float(v) => v.len(),
        Elements::Int(v) => v.len(),
        Elements::Byte(v) => v.len(),
    };
    Ok((elements, len))
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
