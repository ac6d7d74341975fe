//! PNG (the first frame of an animation), by the crate `png`; here only the checks around it.

use super::{Format, damaged, exif, from_channels};
use crate::{Image, Limits};
use gabor_tensor::Rule;
use std::io::Cursor;

/// Bytes beside the pixels that a file may make the decoder hold: chunks that are kept, a row, tables.
const BESIDE: u64 = 64 << 20;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Image<'static>, Rule> {
    let fail = |e: png::DecodingError| damaged(Format::Png, e);
    let bound = usize::try_from(limits.memory.min(BESIDE)).unwrap_or(usize::MAX);
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: bound });
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    // What pictures carry beside pixels and orientation is passed over unread: it may unpack to any size.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(fail)?;
    limits.check_image(header.height.into(), header.width.into(), 8)?;
    let mut reader = decoder.read_info().map_err(fail)?;
    let size =
        reader.output_buffer_size().ok_or_else(|| damaged(Format::Png, "more bytes than memory has addresses"))?;
    limits.check_memory(size as u64)?;
    let mut data = vec![0; size];
    let info = reader.next_frame(&mut data).map_err(fail)?;
    data.truncate(info.buffer_size());
    let orientation = reader.info().exif_metadata.as_deref().map_or(1, exif::orientation);
    let image = from_channels(info.height as usize, info.width as usize, info.color_type.samples(), data)?;
    Ok(exif::orient(image, orientation))
}
