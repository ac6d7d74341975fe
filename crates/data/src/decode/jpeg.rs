//! JPEG, by zune-jpeg; here only the checks around it.

use super::{Format, damaged, exif, from_channels};
use crate::{Image, Limits};
use gabor_tensor::Rule;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// Decodes to grey (one component) or RGB (all others).
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Image<'static>, Rule> {
    let options = DecoderOptions::default().set_max_width(usize::from(u16::MAX)).set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| damaged(Format::Jpeg, e))?;
    let info = decoder.info().ok_or_else(|| damaged(Format::Jpeg, "no frame header"))?;
    limits.check_image(info.height.into(), info.width.into(), 12)?;
    check_end(bytes)?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let (space, channels) = if grey { (ColorSpace::Luma, 1) } else { (ColorSpace::RGB, 3) };
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let data = decoder.decode().map_err(|e| damaged(Format::Jpeg, e))?;
    let orientation = decoder.exif().map_or(1, |e| exif::orientation(e));
    Ok(exif::orient(from_channels(info.height.into(), info.width.into(), channels, data)?, orientation))
}

/// The decoder fills what is missing with grey, so a truncated file is recognised here: the end-of-image marker must
/// follow after the segments and scans. A thumbnail inside a segment has its own, which does not count.
fn check_end(bytes: &[u8]) -> Result<(), Rule> {
    let mut at = 2;
    loop {
        // In a scan, 0xff is followed by 0 (a stuffed byte) or by a restart marker; anything else ends the scan.
        let Some(marker) = bytes.get(at..).and_then(|b| {
            b.windows(2).position(|p| p[0] == 0xff && !matches!(p[1], 0 | 0xff | 0x01 | 0xd0..=0xd7)).map(|p| at + p)
        }) else {
            let given = format!("{} bytes", bytes.len());
            return Err(Rule::new("the JPEG ends before its end-of-image marker").given(given).right("a whole file"));
        };
        if bytes[marker + 1] == 0xd9 {
            return Ok(());
        }
        let length = bytes.get(marker + 2..marker + 4).map_or(2, |b| usize::from(b[0]) << 8 | usize::from(b[1]));
        at = marker + 2 + length.max(2);
    }
}
