//! Memory at fixed addresses: the arena, parameters, prepared values.

use gabor_tensor::{DType, Data, Tensor};

/// A cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([u8; 64]);

/// Zeroed bytes, aligned to a cache line, whose address does not change until it is resized.
#[derive(Default)]
pub struct Buffer {
    lines: Vec<Line>,
}

impl Buffer {
    /// A buffer of at least `bytes` bytes; an error if the system has no such memory.
    pub fn new(bytes: usize) -> Result<Self, gabor_tensor::Rule> {
        let count = bytes.div_ceil(64);
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).map_err(|_| {
            gabor_tensor::Rule::new(format!("{} MiB of memory are not to be had", bytes >> 20))
                .right("a smaller batch or network")
        })?;
        lines.resize(count, Line([0; 64]));
        Ok(Buffer { lines })
    }
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.lines.len() * 64
    }
    /// Address of the byte at `offset`.
    pub fn at(&mut self, offset: usize) -> *mut u8 {
        assert!(offset <= self.len(), "offset {offset} of a buffer of {} bytes", self.len());
        // SAFETY: inside the allocation or one past its end.
        unsafe { self.lines.as_mut_ptr().cast::<u8>().add(offset) }
    }
    /// Address of the byte at `offset`, for reading.
    pub fn read_at(&self, offset: usize) -> *const u8 {
        assert!(offset <= self.len(), "offset {offset} of a buffer of {} bytes", self.len());
        // SAFETY: inside the allocation or one past its end.
        unsafe { self.lines.as_ptr().cast::<u8>().add(offset) }
    }
    /// Copies a tensor's elements to the begin of the buffer, which is large enough: the caller checked the type.
    pub fn write(&mut self, t: &Tensor) {
        let bytes = bytes_of(t);
        assert!(bytes.len() <= self.len());
        // SAFETY: both ranges are valid for that many bytes and belong to different allocations.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at(0), bytes.len()) }
    }
    /// The first elements as floats.
    pub fn as_f32(&self, len: usize) -> &[f32] {
        assert!(len * 4 <= self.len());
        // SAFETY: aligned, initialised, and any bytes are floats.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), len) }
    }
}

/// The elements of a tensor as bytes.
fn bytes_of(t: &Tensor) -> &[u8] {
    let size = t.len() * t.dtype().size();
    let start = start_of(t);
    // SAFETY: the elements are initialised and every byte of them is a valid u8.
    unsafe { std::slice::from_raw_parts(start, size) }
}

/// Address of a tensor's first element.
pub fn start_of(t: &Tensor) -> *const u8 {
    match t.data() {
        Data::F32(v) => v.as_ptr().cast(),
        Data::F64(v) => v.as_ptr().cast(),
        Data::I32(v) => v.as_ptr().cast(),
        Data::U8(v) => v.as_ptr(),
    }
}

/// Whether the backend computes with elements of this type.
pub fn is_supported(dtype: DType) -> bool {
    dtype != DType::F64
}
