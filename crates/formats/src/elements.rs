//! Element types of files, and their bytes as tensors: floats become `f32`, signed and wide integers `i32` where each number
//! fits, bytes and booleans `u8`.

use crate::error::element_count;
use crate::half::{bf16_to_f32, f16_to_f32};
use crate::together::together;
use gabor_tensor::{Data, Rule, Tensor};
use std::io::{self, Write};

/// An element type that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

use Element::{BF16, Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};

impl Element {
    /// Bytes of one element.
    pub(crate) fn size(self) -> usize {
        match self {
            F64 | I64 | U64 => 8,
            F32 | I32 | U32 => 4,
            F16 | BF16 | I16 | U16 => 2,
            I8 | U8 | Bool => 1,
        }
    }
    /// The elements of a tensor of that shape, from exactly its bytes, in little-endian order.
    pub(crate) fn tensor(self, shape: &[usize], bytes: &[u8]) -> Result<Tensor, Rule> {
        let want = element_count(shape, self.size())? * self.size();
        if want != bytes.len() {
            let rule = Rule::new(format!("{} bytes for {self:?} {shape:?}", bytes.len()));
            return Err(rule.right(format!("{want} bytes")));
        }
        fn whole<const N: usize, V: TryInto<i32> + Copy + std::fmt::Display>(
            bytes: &[u8],
            f: impl Fn([u8; N]) -> V,
        ) -> Result<Data, Rule> {
            let all = bytes.as_chunks::<N>().0.iter().map(|&c| {
                let v = f(c);
                v.try_into().map_err(|_| Rule::new(format!("the number {v} does not fit a 32-bit integer")))
            });
            Ok(Data::I32(all.collect::<Result<_, _>>()?))
        }
        let data = match self {
            F64 => Data::F32(each(bytes, |b| f64::from_le_bytes(b) as f32)),
            F32 => Data::F32(each(bytes, f32::from_le_bytes)),
            F16 => Data::F32(each(bytes, |b| f16_to_f32(u16::from_le_bytes(b)))),
            BF16 => Data::F32(each(bytes, |b| bf16_to_f32(u16::from_le_bytes(b)))),
            I32 => Data::I32(each(bytes, i32::from_le_bytes)),
            I16 => Data::I32(each(bytes, |b| i32::from(i16::from_le_bytes(b)))),
            U16 => Data::I32(each(bytes, |b| i32::from(u16::from_le_bytes(b)))),
            I8 => Data::I32(each(bytes, |b: [u8; 1]| i32::from(b[0] as i8))),
            I64 => whole(bytes, i64::from_le_bytes)?,
            U64 => whole(bytes, u64::from_le_bytes)?,
            U32 => whole(bytes, u32::from_le_bytes)?,
            U8 | Bool => Data::U8(bytes.to_vec()),
        };
        Tensor::new(shape, data)
    }
}

/// Elements that are decoded at a time.
const PART: usize = 1 << 18;

/// What `f` makes of every `N` bytes.
pub(crate) fn each<const N: usize, T: Copy + Default + Send>(bytes: &[u8], f: impl Fn([u8; N]) -> T + Sync) -> Vec<T> {
    let from = bytes.as_chunks::<N>().0;
    if from.len() < 2 * PART {
        return from.iter().map(|&c| f(c)).collect();
    }
    // Zeros of the system, which are touched by the thread that decodes.
    let mut to = vec![T::default(); from.len()];
    together(from.chunks(PART).zip(to.chunks_mut(PART)), |(from, to)| {
        to.iter_mut().zip(from).for_each(|(to, &c)| *to = f(c));
    });
    to
}

/// Elements that are turned into bytes at a time.
const PIECE: usize = 1 << 14;

/// Writes a tensor's elements as little-endian bytes.
pub(crate) fn write_bytes(tensor: &Tensor, out: &mut dyn Write) -> io::Result<()> {
    fn pieces<T: Copy, const N: usize>(v: &[T], bytes: fn(T) -> [u8; N], out: &mut dyn Write) -> io::Result<()> {
        let mut piece = Vec::with_capacity(PIECE.min(v.len()) * N);
        for part in v.chunks(PIECE) {
            piece.clear();
            part.iter().for_each(|&x| piece.extend_from_slice(&bytes(x)));
            out.write_all(&piece)?;
        }
        Ok(())
    }
    match tensor.data() {
        Data::F32(v) => pieces(v, f32::to_le_bytes, out),
        Data::F64(v) => pieces(v, f64::to_le_bytes, out),
        Data::I32(v) => pieces(v, i32::to_le_bytes, out),
        Data::U8(v) => out.write_all(v),
    }
}
