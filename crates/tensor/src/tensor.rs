//! Dense tensors: extents and row-major elements.

use crate::{DType, Rule};
use std::sync::Arc;

/// The elements of a tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// Bytes.
    U8(Vec<u8>),
}

/// A dense, contiguous, row-major tensor. Copies share their elements until one of them is written to.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Arc<Data>,
}

impl Tensor {
    /// A tensor of extents `shape`; an error if the number of elements differs.
    pub fn new(shape: &[usize], data: Data) -> Result<Self, Rule> {
        let len = match &data {
            Data::F32(v) => v.len(),
            Data::F64(v) => v.len(),
            Data::I32(v) => v.len(),
            Data::U8(v) => v.len(),
        };
        let want = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        if want != Some(len) {
            return Err(wrong_number(len, shape, want));
        }
        Ok(Tensor { shape: shape.to_vec(), data: Arc::new(data) })
    }
    /// A tensor of 32-bit floats.
    ///
    /// ```
    /// let t = gabor_tensor::Tensor::f32(&[2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
    /// assert_eq!(t.shape(), [2, 2]);
    /// ```
    pub fn f32(shape: &[usize], data: Vec<f32>) -> Result<Self, Rule> {
        Self::new(shape, Data::F32(data))
    }
    /// A tensor of 64-bit floats.
    pub fn f64(shape: &[usize], data: Vec<f64>) -> Result<Self, Rule> {
        Self::new(shape, Data::F64(data))
    }
    /// A tensor of 32-bit integers.
    pub fn i32(shape: &[usize], data: Vec<i32>) -> Result<Self, Rule> {
        Self::new(shape, Data::I32(data))
    }
    /// A tensor of bytes.
    pub fn u8(shape: &[usize], data: Vec<u8>) -> Result<Self, Rule> {
        Self::new(shape, Data::U8(data))
    }
    /// A single 32-bit float, of shape `[]`.
    pub fn scalar(v: f32) -> Self {
        Tensor { shape: Vec::new(), data: Arc::new(Data::F32(vec![v])) }
    }
    /// Zeros of the given type.
    ///
    /// # Panics
    /// If there is no memory for that many elements, as any vector does.
    pub fn zeros(shape: &[usize], dtype: DType) -> Self {
        // Too many elements must not wrap to few: the allocation then refuses.
        let n = shape.iter().copied().fold(1, usize::saturating_mul);
        let data = match dtype {
            DType::F32 => Data::F32(vec![0.0; n]),
            DType::F64 => Data::F64(vec![0.0; n]),
            DType::I32 => Data::I32(vec![0; n]),
            DType::U8 => Data::U8(vec![0; n]),
        };
        Tensor { shape: shape.to_vec(), data: Arc::new(data) }
    }
    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
    /// Number of elements.
    pub fn len(&self) -> usize {
        match &*self.data {
            Data::F32(v) => v.len(),
            Data::F64(v) => v.len(),
            Data::I32(v) => v.len(),
            Data::U8(v) => v.len(),
        }
    }
    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The element type.
    pub fn dtype(&self) -> DType {
        match *self.data {
            Data::F32(_) => DType::F32,
            Data::F64(_) => DType::F64,
            Data::I32(_) => DType::I32,
            Data::U8(_) => DType::U8,
        }
    }
    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }
    /// The elements, for writing in place; copied first where another tensor shares them.
    pub fn data_mut(&mut self) -> &mut Data {
        Arc::make_mut(&mut self.data)
    }
    /// The elements, by value; copied where another tensor shares them.
    pub fn into_data(self) -> Data {
        Arc::unwrap_or_clone(self.data)
    }
    /// The elements as `f32`; an error for other types.
    pub fn as_f32(&self) -> Result<&[f32], Rule> {
        match &*self.data {
            Data::F32(v) => Ok(v),
            _ => Err(self.wrong_type(DType::F32)),
        }
    }
    /// The elements as `i32`; an error for other types.
    pub fn as_i32(&self) -> Result<&[i32], Rule> {
        match &*self.data {
            Data::I32(v) => Ok(v),
            _ => Err(self.wrong_type(DType::I32)),
        }
    }
    /// The elements as `u8`; an error for other types.
    pub fn as_u8(&self) -> Result<&[u8], Rule> {
        match &*self.data {
            Data::U8(v) => Ok(v),
            _ => Err(self.wrong_type(DType::U8)),
        }
    }
    fn wrong_type(&self, want: DType) -> Rule {
        Rule::new(format!("a tensor of {} where {want} is wanted", self.dtype())).right(format!("a tensor of {want}"))
    }
    /// The same tensor with every element converted (floats are truncated towards zero for integer types).
    pub fn cast(&self, dtype: DType) -> Tensor {
        let v = self.to_f64();
        let data = match dtype {
            DType::F64 => Data::F64(v),
            DType::F32 => match &*self.data {
                Data::F32(x) => Data::F32(x.clone()),
                _ => Data::F32(v.into_iter().map(|x| x as f32).collect()),
            },
            DType::I32 => Data::I32(v.into_iter().map(|x| x as i32).collect()),
            DType::U8 => Data::U8(v.into_iter().map(|x| x as u8).collect()),
        };
        Tensor { shape: self.shape.clone(), data: Arc::new(data) }
    }
    /// All elements as `f64`.
    pub fn to_f64(&self) -> Vec<f64> {
        match &*self.data {
            Data::F32(v) => v.iter().map(|&x| x as f64).collect(),
            Data::F64(v) => v.clone(),
            Data::I32(v) => v.iter().map(|&x| x as f64).collect(),
            Data::U8(v) => v.iter().map(|&x| x as f64).collect(),
        }
    }
    /// The same elements under other extents; an error if their number differs.
    pub fn reshape(self, shape: &[usize]) -> Result<Tensor, Rule> {
        let (have, want) = (self.len(), shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b)));
        if want != Some(have) {
            return Err(wrong_number(have, shape, want));
        }
        Ok(Tensor { shape: shape.to_vec(), data: self.data })
    }
}

fn wrong_number(len: usize, shape: &[usize], want: Option<usize>) -> Rule {
    Rule::new(format!("{len} elements for a tensor of shape {shape:?}"))
        .right(want.map_or("a smaller shape".into(), |w| format!("{w} elements")))
}
