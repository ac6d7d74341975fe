//! Arrays as files hold them: more element types than a graph has, whole numbers of 64 bits among them.
//!
//! A graph computes in `f32`, `i32` and bytes ([`gabor_tensor::DType`]). At its border stand arrays: halves and doubles
//! are rounded to `f32`, truths become floats 0 and 1, whole numbers become `i32` where each fits.

use crate::half::{f32_to_bf16, f32_to_f16};
use gabor_tensor::{DType, Data, Rule, Tensor};
use std::fmt;

/// The type of an array's elements in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// IEEE 754 binary16
    F16,
    /// The upper half of a binary32
    BF16,
    /// IEEE 754 binary32
    F32,
    /// IEEE 754 binary64
    F64,
    /// 8 bits, signed
    I8,
    /// 16 bits, signed
    I16,
    /// 32 bits, signed
    I32,
    /// 64 bits, signed
    I64,
    /// 8 bits
    U8,
    /// 16 bits
    U16,
    /// 32 bits
    U32,
    /// 64 bits
    U64,
    /// A truth in a byte
    Bool,
}

impl ElementType {
    /// The lower-case name: `f32`, `i64`, `bool`.
    pub const fn name(self) -> &'static str {
        match self {
            ElementType::F16 => "f16",
            ElementType::BF16 => "bf16",
            ElementType::F32 => "f32",
            ElementType::F64 => "f64",
            ElementType::I8 => "i8",
            ElementType::I16 => "i16",
            ElementType::I32 => "i32",
            ElementType::I64 => "i64",
            ElementType::U8 => "u8",
            ElementType::U16 => "u16",
            ElementType::U32 => "u32",
            ElementType::U64 => "u64",
            ElementType::Bool => "bool",
        }
    }
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            ElementType::I8 | ElementType::U8 | ElementType::Bool => 1,
            ElementType::F16 | ElementType::BF16 | ElementType::I16 | ElementType::U16 => 2,
            ElementType::F32 | ElementType::I32 | ElementType::U32 => 4,
            ElementType::F64 | ElementType::I64 | ElementType::U64 => 8,
        }
    }
    /// Whether it is a floating-point type.
    pub const fn is_float(self) -> bool {
        matches!(self, ElementType::F16 | ElementType::BF16 | ElementType::F32 | ElementType::F64)
    }
    /// What a graph computes it in.
    pub const fn dtype(self) -> DType {
        match self {
            _ if self.is_float() => DType::F32,
            ElementType::Bool => DType::F32,
            ElementType::U8 => DType::U8,
            _ => DType::I32,
        }
    }
    /// The smallest and the largest whole number; `None` for floats. Of 64 bits without sign, those that fit `i64`.
    pub const fn range(self) -> Option<(i64, i64)> {
        Some(match self {
            ElementType::I8 => (i8::MIN as i64, i8::MAX as i64),
            ElementType::I16 => (i16::MIN as i64, i16::MAX as i64),
            ElementType::I32 => (i32::MIN as i64, i32::MAX as i64),
            ElementType::I64 => (i64::MIN, i64::MAX),
            ElementType::U8 => (0, u8::MAX as i64),
            ElementType::U16 => (0, u16::MAX as i64),
            ElementType::U32 => (0, u32::MAX as i64),
            ElementType::U64 => (0, i64::MAX),
            ElementType::Bool => (0, 1),
            _ => return None,
        })
    }
    /// The number that arithmetic of this type makes of a number out of its range: its low bits.
    pub const fn wrap(self, v: i64) -> i64 {
        match self {
            ElementType::I8 => v as i8 as i64,
            ElementType::I16 => v as i16 as i64,
            ElementType::I32 => v as i32 as i64,
            ElementType::U8 => v as u8 as i64,
            ElementType::U16 => v as u16 as i64,
            ElementType::U32 => v as u32 as i64,
            ElementType::Bool => (v != 0) as i64,
            _ => v,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The elements of an array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Floating-point numbers of any width.
    Float(Vec<f32>),
    /// Whole numbers of any width, and truths as 0 and 1.
    Int(Vec<i64>),
}

impl Elements {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Elements::Float(v) => v.len(),
            Elements::Int(v) => v.len(),
        }
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An array of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its extents.
    pub shape: Vec<usize>,
    /// The type that its elements have in the file.
    pub kind: ElementType,
    /// Its elements: floats for floating-point types, whole numbers for all others.
    pub elements: Elements,
}

impl Array {
    /// 32-bit floats.
    pub fn floats(shape: Vec<usize>, v: Vec<f32>) -> Self {
        Array { shape, kind: ElementType::F32, elements: Elements::Float(v) }
    }
    /// 64-bit whole numbers.
    pub fn ints(shape: Vec<usize>, v: Vec<i64>) -> Self {
        Array { shape, kind: ElementType::I64, elements: Elements::Int(v) }
    }
    /// A tensor of a graph as an array.
    pub fn of(t: &Tensor) -> Self {
        let (kind, elements) = match t.data() {
            Data::F32(v) => (ElementType::F32, Elements::Float(v.clone())),
            Data::F64(v) => (ElementType::F64, Elements::Float(v.iter().map(|&x| x as f32).collect())),
            Data::I32(v) => (ElementType::I32, Elements::Int(v.iter().map(|&x| i64::from(x)).collect())),
            Data::U8(v) => (ElementType::U8, Elements::Int(v.iter().map(|&x| i64::from(x)).collect())),
        };
        Array { shape: t.shape().to_vec(), kind, elements }
    }
    /// The array as a graph computes it.
    ///
    /// # Errors
    /// A whole number that does not fit 32 bits.
    pub fn into_tensor(self) -> Result<Tensor, Rule> {
        let data = match (self.elements, self.kind.dtype()) {
            (Elements::Float(v), _) => Data::F32(v),
            (Elements::Int(v), DType::F32) => Data::F32(v.into_iter().map(|x| x as f32).collect()),
            (Elements::Int(v), DType::U8) => Data::U8(v.into_iter().map(|x| x as u8).collect()),
            (Elements::Int(v), _) => {
                let fit = |(i, x): (usize, i64)| {
                    i32::try_from(x).map_err(|_| {
                        Rule::new(format!("element {i} is {x}, which does not fit a 32-bit integer"))
                            .right("whole numbers between -2147483648 and 2147483647")
                    })
                };
                Data::I32(v.into_iter().enumerate().map(fit).collect::<Result<_, _>>()?)
            }
        };
        Tensor::new(&self.shape, data)
    }
}

/// The little-endian bytes of a graph's result as elements of a file's type.
///
/// # Errors
/// A whole number out of the type's range, or a fraction where whole numbers are wanted.
pub fn encode(t: &Tensor, kind: ElementType) -> Result<Vec<u8>, Rule> {
    let mut out = Vec::with_capacity(t.len() * kind.size());
    if let (Data::F32(v), true) = (t.data(), kind.is_float()) {
        for &x in v {
            match kind {
                ElementType::F16 => out.extend_from_slice(&f32_to_f16(x).to_le_bytes()),
                ElementType::BF16 => out.extend_from_slice(&f32_to_bf16(x).to_le_bytes()),
                ElementType::F64 => out.extend_from_slice(&f64::from(x).to_le_bytes()),
                _ => out.extend_from_slice(&x.to_le_bytes()),
            }
        }
        return Ok(out);
    }
    let values = t.to_f64();
    let Some((low, high)) = kind.range() else {
        return encode(&t.cast(DType::F32), kind);
    };
    for (i, x) in values.into_iter().enumerate() {
        // The largest numbers of 64 bits are not computed here, so a float tells all that there are apart.
        if x.fract() != 0.0 || x < low as f64 || x > high as f64 {
            return Err(Rule::new(format!("element {i} is {x}, which is no {kind}"))
                .right(format!("whole numbers between {low} and {high}")));
        }
        out.extend_from_slice(&(x as i64).to_le_bytes()[..kind.size()]);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_keep_their_range() {
        let big = Array::ints(vec![2], vec![1, 1 << 40]);
        let e = big.into_tensor().unwrap_err().to_string();
        assert!(e.contains("element 1 is 1099511627776") && e.contains("32-bit"), "{e}");
        assert_eq!(ElementType::U8.wrap(300), 44);
        assert_eq!(ElementType::I8.wrap(200), -56);
        let truth = Array { shape: vec![2], kind: ElementType::Bool, elements: Elements::Int(vec![0, 1]) };
        assert_eq!(truth.into_tensor().unwrap(), Tensor::f32(&[2], vec![0.0, 1.0]).unwrap());
    }

    #[test]
    fn results_in_the_types_of_files() {
        let t = Tensor::f32(&[3], vec![0.0, 1.0, -2.0]).unwrap();
        assert_eq!(encode(&t, ElementType::I16).unwrap(), [0, 0, 1, 0, 254, 255]);
        assert_eq!(encode(&t, ElementType::F16).unwrap(), [0, 0, 0, 0x3C, 0, 0xC0]);
        let e = encode(&t, ElementType::U8).unwrap_err().to_string();
        assert!(e.contains("element 2 is -2, which is no u8"), "{e}");
        assert!(encode(&Tensor::scalar(0.5), ElementType::I64).is_err());
        let i = Tensor::i32(&[1], vec![7]).unwrap();
        assert_eq!(encode(&i, ElementType::I64).unwrap(), [7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(encode(&i, ElementType::F64).unwrap(), 7f64.to_le_bytes());
    }
}
