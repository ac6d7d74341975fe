//! WebP, lossy and lossless, first frame, by the crate `image-webp`; here only the checks around it.

use super::{Format, damaged, exif, from_channels};
use crate::{Image, Limits};
use gabor_tensor::Rule;
use std::io::Cursor;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Image<'static>, Rule> {
    let fail = |e: image_webp::DecodingError| damaged(Format::Webp, e);
    // What follows the pixels (the orientation does) may be cut off without the decoder noticing.
    let declared = bytes.get(4..8).map_or(0, |b| u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
    if declared + 8 > bytes.len() as u64 {
        let given = format!("{} bytes", bytes.len());
        return Err(Rule::new("the WebP is shorter than it says")
            .given(given)
            .right(format!("{} bytes", declared + 8)));
    }
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).map_err(fail)?;
    // This bounds what is beside the pixels, which cannot be longer than the file.
    decoder.set_memory_limit(bytes.len());
    let (width, height) = decoder.dimensions();
    limits.check_image(height.into(), width.into(), 8)?;
    let size =
        decoder.output_buffer_size().ok_or_else(|| damaged(Format::Webp, "more bytes than memory has addresses"))?;
    limits.check_memory(size as u64)?;
    let mut data = vec![0; size];
    decoder.read_image(&mut data).map_err(fail)?;
    let orientation = decoder.exif_metadata().ok().flatten().map_or(1, |e| exif::orientation(&e));
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    Ok(exif::orient(from_channels(height as usize, width as usize, channels, data)?, orientation))
}
