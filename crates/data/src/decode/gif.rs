//! GIF, first frame, by the crate `gif`; here only the checks around it and the canvas.

use super::{Format, damaged, from_channels};
use crate::{Image, Limits};
use gabor_tensor::Rule;
use std::num::NonZeroU64;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Image<'static>, Rule> {
    let fail = |e: gif::DecodingError| damaged(Format::Gif, e);
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    if let Some(bound) = NonZeroU64::new(limits.memory) {
        options.set_memory_limit(gif::MemoryLimit::Bytes(bound));
    }
    let mut decoder = options.read_info(bytes).map_err(fail)?;
    let (height, width) = (usize::from(decoder.height()), usize::from(decoder.width()));
    limits.check_image(height as u64, width as u64, 8)?;
    let (top, left, h, w) = match decoder.next_frame_info().map_err(fail)? {
        Some(f) => (usize::from(f.top), usize::from(f.left), usize::from(f.height), usize::from(f.width)),
        None => return Err(damaged(Format::Gif, "no frame")),
    };
    limits.check_image(h as u64, w as u64, 8)?;
    let mut frame = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut frame).map_err(fail)?;
    if (top, left, h, w) == (0, 0, height, width) {
        return from_channels(height, width, 4, frame);
    }
    // The frame may cover only part of the canvas; the rest is transparent.
    let mut canvas = vec![0; height * width * 4];
    let visible = w.min(width.saturating_sub(left));
    let rows = if visible == 0 { 0 } else { h.min(height.saturating_sub(top)) };
    for y in 0..rows {
        let to = ((top + y) * width + left) * 4;
        let from = y * w * 4;
        canvas[to..to + visible * 4].copy_from_slice(&frame[from..from + visible * 4]);
    }
    from_channels(height, width, 4, canvas)
}
