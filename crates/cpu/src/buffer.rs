//! Memory at fixed addresses: the arena, parameters, prepared values.

use gabor_tensor::{DType, Data, Tensor};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// A cache line: where every buffer begins.
const LINE: usize = 64;
/// A page of the large kind. Buffers that hold some begin on one.
const HUGE: usize = 2 << 20;

/// Zeroed bytes, aligned to a cache line, whose address does not change until it is resized. Pages that are never written
/// take no memory.
pub struct Buffer {
    start: NonNull<u8>,
    len: usize,
    /// What was allocated; `start` lies in it.
    allocated: Option<(NonNull<u8>, Layout)>,
}

// SAFETY: the memory belongs to the buffer alone.
unsafe impl Send for Buffer {}
// SAFETY: a shared buffer is only read.
unsafe impl Sync for Buffer {}

impl Default for Buffer {
    fn default() -> Self {
        // A well aligned address that is never read.
        let start = NonNull::<Line>::dangling().cast();
        Buffer { start, len: 0, allocated: None }
    }
}

/// What has the alignment of a cache line.
#[repr(align(64))]
struct Line;

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some((start, layout)) = self.allocated {
            // SAFETY: allocated with this layout and not yet freed.
            unsafe { dealloc(start.as_ptr(), layout) }
        }
    }
}

impl Buffer {
    /// A buffer of at least `bytes` bytes; an error if the system has no such memory.
    pub fn new(bytes: usize) -> Result<Self, gabor_tensor::Rule> {
        if bytes == 0 {
            return Ok(Self::default());
        }
        let missing = || {
            gabor_tensor::Rule::new(format!("{} MiB of memory are not to be had", bytes >> 20))
                .right("a smaller batch or network")
        };
        let align = if bytes >= 2 * HUGE { HUGE } else { LINE };
        let len = bytes.checked_next_multiple_of(LINE).ok_or_else(missing)?;
        // Zeroed memory of a larger alignment would be written by the allocator, so the begin is aligned here.
        let layout = len.checked_add(align).and_then(|l| Layout::from_size_align(l, 16).ok()).ok_or_else(missing)?;
        // SAFETY: the size is not zero.
        let raw = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(missing)?;
        // SAFETY: at most `align` bytes further, and as many were asked for on top.
        let start = unsafe { raw.add(raw.as_ptr().align_offset(align)) };
        if align == HUGE {
            prefer_huge_pages(start, len);
        }
        Ok(Buffer { start, len, allocated: Some((raw, layout)) })
    }
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Address of the byte at `offset`.
    pub fn at(&mut self, offset: usize) -> *mut u8 {
        assert!(offset <= self.len(), "offset {offset} of a buffer of {} bytes", self.len());
        // SAFETY: inside the allocation or one past its end.
        unsafe { self.start.as_ptr().add(offset) }
    }
    /// Address of the byte at `offset`, for reading.
    pub fn read_at(&self, offset: usize) -> *const u8 {
        assert!(offset <= self.len(), "offset {offset} of a buffer of {} bytes", self.len());
        // SAFETY: inside the allocation or one past its end.
        unsafe { self.start.as_ptr().cast_const().add(offset) }
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
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), len) }
    }
}

/// Asks the system for large pages: fewer faults at the first touch, and fewer misses in the table of pages.
#[cfg(target_os = "linux")]
fn prefer_huge_pages(start: NonNull<u8>, len: usize) {
    // SAFETY: whole pages inside the buffer; the advice changes nothing that a program can see. That it may be refused
    // is no error.
    unsafe { libc::madvise(start.as_ptr().cast(), len / HUGE * HUGE, libc::MADV_HUGEPAGE) };
}
#[cfg(not(target_os = "linux"))]
fn prefer_huge_pages(_start: NonNull<u8>, _len: usize) {}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_zero() {
        for bytes in [0, 1, 64, 1000, 2 * HUGE, 3 * HUGE + 100] {
            let mut b = Buffer::new(bytes).unwrap();
            assert!(b.len() >= bytes && b.len() < bytes + LINE && b.at(0).align_offset(LINE) == 0);
            assert!(bytes < 2 * HUGE || b.at(0).align_offset(HUGE) == 0);
            assert!(b.as_f32(bytes / 4).iter().all(|&v| v == 0.0));
            let t = Tensor::f32(&[bytes / 4], vec![1.5; bytes / 4]).unwrap();
            b.write(&t);
            assert!(b.as_f32(bytes / 4).iter().all(|&v| v == 1.5));
        }
        assert!(Buffer::new(usize::MAX - 5).is_err() && Buffer::new(usize::MAX / 4).is_err());
    }
}
