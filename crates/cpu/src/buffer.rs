//! Memory at fixed addresses: the arena, parameters, prepared values.

use crate::pool::{Address, Pool};
use gabor_tensor::{DType, Data, Rule, Tensor};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// A cache line: where every buffer begins.
const LINE: usize = 64;
/// A page of the large kind. Buffers that hold some begin on one.
const HUGE: usize = 2 << 20;
/// The smallest page of any system.
const PAGE: usize = 4 << 10;

/// Bytes that one thread copies at a time.
const PART: usize = 1 << 20;

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
    pub fn new(bytes: usize) -> Result<Self, Rule> {
        if bytes == 0 {
            return Ok(Self::default());
        }
        let missing = || out_of_memory(bytes);
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
    /// As [`new`](Buffer::new), with its memory taken now, shared out to the threads. The system clears every page at its
    /// first touch, and a thread that waits for a large page in the middle of its work keeps the others waiting, too.
    pub fn touched(bytes: usize, pool: &mut Pool) -> Result<Self, Rule> {
        let buffer = Self::new(bytes)?;
        let (start, len) = (Address(buffer.start.as_ptr()), buffer.len);
        if len >= 2 * HUGE {
            pool.run(len.div_ceil(HUGE), &|part, _| {
                for at in (part * HUGE..len.min((part + 1) * HUGE)).step_by(PAGE) {
                    // SAFETY: inside the buffer, of which nobody else knows yet.
                    unsafe { start.get().add(at).write_volatile(0) };
                }
            });
        }
        Ok(buffer)
    }
    /// Makes it at least so long, as [`touched`](Buffer::touched); what it held is gone then, as the old and the new memory
    /// need not fit side by side.
    pub fn grow(&mut self, bytes: usize, pool: &mut Pool) -> Result<(), Rule> {
        if bytes > self.len {
            *self = Buffer::default();
            *self = Self::touched(bytes, pool)?;
        }
        Ok(())
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
    /// Copies a tensor's elements to the bytes from `offset` on, which are as many: the caller checked the type. Those of
    /// a large tensor are shared out to the threads, as the first touch of memory takes most of the time.
    pub fn write(&mut self, offset: usize, t: &Tensor, pool: &mut Pool) {
        let bytes = bytes_of(t);
        let to = Address(self.at(offset));
        assert!(bytes.len() <= self.len() - offset);
        pool.run(bytes.len().div_ceil(PART), &|part, _| {
            let from = &bytes[part * PART..bytes.len().min((part + 1) * PART)];
            // SAFETY: both ranges are valid for that many bytes and belong to different allocations; parts are disjoint.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to.get().add(part * PART), from.len()) }
        });
    }
    /// The bytes from `offset` on, where a float may begin, as floats.
    pub fn as_f32(&self, offset: usize, len: usize) -> &[f32] {
        assert!(offset.is_multiple_of(4) && offset <= self.len() && len <= (self.len() - offset) / 4);
        // SAFETY: aligned, initialised, and any bytes are floats.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(offset).cast(), len) }
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

/// That the system has no such memory.
pub(crate) fn out_of_memory(bytes: usize) -> Rule {
    Rule::new(format!("{} MiB of memory are not to be had", bytes >> 20)).right("a smaller batch or network")
}

/// Zeros, on large pages where the system has them: for files of many megabytes, whose first touch of every small page
/// would cost more than reading them. They take memory as they are written.
///
/// None where the system has no such memory.
pub fn zeros(len: usize) -> Option<Vec<u8>> {
    // SAFETY: any bytes are bytes.
    unsafe { zeroed(len) }
}

/// As [`zeros`], floats.
pub fn zeros_f32(len: usize) -> Option<Vec<f32>> {
    // SAFETY: zeros are floats.
    unsafe { zeroed(len) }
}

/// Has the system give these numbers their memory at once, where it can: they will all be written soon, and a fault for
/// each small page would take longer.
pub fn take_memory(numbers: &mut [f32]) {
    #[cfg(target_os = "linux")]
    {
        let bytes = size_of_val(numbers);
        let before = numbers.as_ptr().cast::<u8>().align_offset(PAGE);
        if before < bytes {
            let (start, len) = (numbers.as_mut_ptr().cast::<u8>(), (bytes - before) / PAGE * PAGE);
            // SAFETY: whole pages inside the slice; its contents stay what they are. That it may be refused is no error.
            unsafe { libc::madvise(start.add(before).cast(), len, libc::MADV_POPULATE_WRITE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = numbers;
}

/// The bytes of numbers, in the order of this machine.
pub fn bytes_mut(numbers: &mut [f32]) -> &mut [u8] {
    let len = size_of_val(numbers);
    // SAFETY: the same memory, borrowed for as long; any bytes are floats.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), len) }
}

/// # Safety
/// Zeros are a `T`.
unsafe fn zeroed<T>(len: usize) -> Option<Vec<T>> {
    let layout = Layout::array::<T>(len).ok().filter(|l| l.size() > 0)?;
    // SAFETY: the size is not zero.
    let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
    let (before, bytes) = (start.align_offset(HUGE), layout.size());
    if before < bytes && bytes >= 2 * HUGE {
        // SAFETY: inside the allocation.
        prefer_huge_pages(unsafe { start.add(before) }, bytes - before);
    }
    // SAFETY: allocated as a vector of that capacity allocates, and initialised.
    Some(unsafe { Vec::from_raw_parts(start.as_ptr().cast(), len, len) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_zero() {
        for bytes in [0, 1, 64, 1000, 2 * HUGE, 3 * HUGE + 100] {
            let mut b = Buffer::touched(bytes, &mut Pool::new(2)).unwrap();
            assert!(b.len() >= bytes && b.len() < bytes + LINE && b.at(0).align_offset(LINE) == 0);
            assert!(bytes < 2 * HUGE || b.at(0).align_offset(HUGE) == 0);
            assert!(b.as_f32(0, bytes / 4).iter().all(|&v| v == 0.0));
            let t = Tensor::f32(&[bytes / 4], vec![1.5; bytes / 4]).unwrap();
            b.write(0, &t, &mut Pool::new(2));
            assert!(b.as_f32(0, bytes / 4).iter().all(|&v| v == 1.5));
        }
        assert!(Buffer::new(usize::MAX - 5).is_err() && Buffer::new(usize::MAX / 4).is_err());
    }

    #[test]
    fn zeros_are_zero() {
        for len in [1, 1000, 2 * HUGE, 5 * HUGE + 17] {
            assert_eq!(zeros(len), Some(vec![0; len]));
            let mut floats = zeros_f32(len).unwrap();
            take_memory(&mut floats);
            assert_eq!(floats, vec![0.0; len]);
        }
        assert!(zeros(0).is_none() && zeros(usize::MAX).is_none() && zeros_f32(usize::MAX / 4).is_none());
    }
}
