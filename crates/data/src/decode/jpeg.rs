//! JPEG: whole by `zune-jpeg`, at a quarter of its size by `jpeg-decoder`; here the checks around them.

use super::{Format, damaged, exif, from_channels};
use crate::image::Reduction;
use crate::{Color, Image, Limits};
use gabor_tensor::Rule;
use jpeg_decoder::ColorTransform;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// What the segments before the first scan say of the picture.
pub(super) struct Frame {
    pub height: usize,
    pub width: usize,
    components: u8,
    /// Pixels along an axis that one sample of the coarsest component stands for.
    coarse: usize,
    /// Bits a sample.
    precision: u8,
    /// Where the first scan begins.
    scan: usize,
    orientation: u8,
}

/// Decodes to grey (one component) or RGB (all others). `want` is given the upright extents [h, w] and says which are
/// enough; the image is at least so large.
pub(super) fn decode(
    bytes: &[u8],
    limits: &Limits,
    want: impl FnOnce([usize; 2]) -> [usize; 2],
) -> Result<Image<'static>, Rule> {
    let frame = frame(bytes)?;
    limits.check_image(frame.height as u64, frame.width as u64, 12)?;
    let end = end(bytes, frame.scan)?;
    // A block of 8 × 8 takes a bit at least; a header that lies would be answered with grey.
    let (bits, blocks) = (8 * end.saturating_sub(frame.scan), frame.height.div_ceil(8) * frame.width.div_ceil(8));
    if bits < blocks {
        let given = format!("{} bytes of data for {} × {} pixels", bits / 8, frame.width, frame.height);
        return Err(damaged(Format::Jpeg, given));
    }
    let upright = [frame.height, frame.width];
    let turned = frame.orientation >= 5;
    let wanted = if turned {
        let [h, w] = want([upright[1], upright[0]]);
        [w, h]
    } else {
        want(upright)
    };
    let image = match frame.reduction(wanted) {
        1 => whole(bytes, &frame)?,
        by => reduced(bytes, &frame, by)?,
    };
    Ok(exif::orient(image, frame.orientation))
}

impl Frame {
    /// The reduction that leaves `wanted` rows and columns, in every component: `jpeg-decoder` reduces colours that
    /// are stored at half the size once more. 1 where reducing saves nothing. Halving does not: `jpeg-decoder` takes as
    /// long for a half as `zune-jpeg` for the whole, and as long for an eighth as for a quarter.
    fn reduction(&self, [h, w]: [usize; 2]) -> usize {
        let enough = |by: usize| self.height / (by * self.coarse) >= h && self.width / (by * self.coarse) >= w;
        let simple = matches!(self.components, 1 | 3) && self.precision == 8;
        if simple && enough(4) { 4 } else { 1 }
    }
}

fn whole(bytes: &[u8], frame: &Frame) -> Result<Image<'static>, Rule> {
    let fail = |e| damaged(Format::Jpeg, e);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options());
    decoder.decode_headers().map_err(fail)?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let (space, channels) = if grey { (ColorSpace::Luma, 1) } else { (ColorSpace::RGB, 3) };
    let info = decoder.info().ok_or_else(|| damaged(Format::Jpeg, "no frame header"))?;
    if (usize::from(info.height), usize::from(info.width)) != (frame.height, frame.width) {
        return Err(damaged(Format::Jpeg, "two frame headers"));
    }
    decoder.set_options(options().jpeg_set_out_colorspace(space));
    from_channels(frame.height, frame.width, channels, decoder.decode().map_err(fail)?)
}

fn options() -> DecoderOptions {
    DecoderOptions::default().set_max_width(usize::from(u16::MAX)).set_max_height(usize::from(u16::MAX))
}

fn reduced(bytes: &[u8], frame: &Frame, by: usize) -> Result<Image<'static>, Rule> {
    // The same judge of the colour space as for whole pictures.
    let mut judge = JpegDecoder::new_with_options(ZCursor::new(bytes), options());
    judge.decode_headers().map_err(|e| damaged(Format::Jpeg, e))?;
    let (transform, color) = match judge.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorTransform::Grayscale, Color::Grey),
        Some(ColorSpace::YCbCr) => (ColorTransform::YCbCr, Color::Rgb),
        Some(ColorSpace::RGB) => (ColorTransform::RGB, Color::Rgb),
        _ => return whole(bytes, frame),
    };
    let fail = |e| damaged(Format::Jpeg, e);
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_color_transform(transform);
    let (h, w) = (frame.height.div_ceil(by), frame.width.div_ceil(by));
    // Both fit: they are at most a quarter of 16 bits.
    let size = decoder.scale(w as u16, h as u16).map_err(fail)?;
    decoder.set_max_decoding_buffer_size(h * w * 4);
    if (usize::from(size.1), usize::from(size.0)) != (h, w) {
        return whole(bytes, frame);
    }
    let data = decoder.decode().map_err(fail)?;
    let reduction = Reduction { by, original: [frame.height, frame.width], before: [0, 0] };
    Ok(Image::new(h, w, color, data)?.reduced(Some(reduction)))
}

/// The marker after `at` that is none of a scan's own, and where it stands. In a scan, 0xff is followed by 0 (a stuffed
/// byte) or by a restart marker.
fn marker(bytes: &[u8], mut at: usize) -> Option<(usize, u8)> {
    loop {
        at += memchr::memchr(0xff, bytes.get(at..)?)?;
        match *bytes.get(at + 1)? {
            0 | 0x01 | 0xd0..=0xd7 => at += 2,
            0xff => at += 1,
            m => return Some((at, m)),
        }
    }
}

/// The contents of the segment whose marker stands at `at`, and where the next one may.
fn segment(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let length = bytes.get(at + 2..at + 4).map(|b| usize::from(b[0]) << 8 | usize::from(b[1]))?;
    let end = at + 2 + length.max(2);
    Some((bytes.get(at + 4..end)?, end))
}

/// Reads the segments before the first scan.
pub(super) fn frame(bytes: &[u8]) -> Result<Frame, Rule> {
    let fail = |e: &str| damaged(Format::Jpeg, e);
    let (mut at, mut found, mut orientation): (_, Option<Frame>, _) = (2, None, 1);
    while let Some((start, m)) = marker(bytes, at) {
        match m {
            0xd8 => {
                at = start + 2;
                continue;
            }
            0xd9 => break,
            _ => {}
        }
        let (body, end) = segment(bytes, start).ok_or_else(|| fail("a segment is cut short"))?;
        match (m, body, &mut found) {
            (
                0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf,
                [precision, h1, h0, w1, w0, components, parts @ ..],
                None,
            ) => {
                let extent = |hi: u8, lo: u8| usize::from(hi) << 8 | usize::from(lo);
                let sampling = || parts.as_chunks::<3>().0.iter().map(|p| [p[1] >> 4, p[1] & 15].map(usize::from));
                let most = sampling().fold([1, 1], |m, s| [m[0].max(s[0]), m[1].max(s[1])]);
                let coarse = sampling().flat_map(|s| [0, 1].map(|i| most[i].div_ceil(s[i].max(1)))).max();
                found = Some(Frame {
                    height: extent(*h1, *h0),
                    width: extent(*w1, *w0),
                    components: *components,
                    coarse: coarse.unwrap_or(1),
                    precision: *precision,
                    scan: 0,
                    orientation: 1,
                });
            }
            (0xc0..=0xc3, _, Some(_)) => return Err(fail("two frame headers")),
            (0xe1, body, _) if body.starts_with(b"Exif\0\0") && orientation == 1 => {
                orientation = exif::orientation(body)
            }
            (0xda, _, _) => {
                let frame = found.ok_or_else(|| fail("a scan without a frame header"))?;
                return Ok(Frame { scan: end, orientation, ..frame });
            }
            _ => {}
        }
        at = end;
    }
    Err(fail("the file ends before its first scan"))
}

/// The decoders fill what is missing with grey, so a truncated file is recognised here: the end-of-image marker must
/// follow after the segments and scans. A thumbnail inside a segment has its own, which does not count. Where it stands.
fn end(bytes: &[u8], mut at: usize) -> Result<usize, Rule> {
    loop {
        let Some((start, m)) = marker(bytes, at) else {
            let given = format!("{} bytes", bytes.len());
            return Err(Rule::new("the JPEG ends before its end-of-image marker").given(given).right("a whole file"));
        };
        if m == 0xd9 {
            return Ok(start);
        }
        at = segment(bytes, start).map_or(start + 4, |s| s.1);
    }
}
