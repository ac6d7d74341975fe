//! Small pictures: bytes, PNG, and addresses for pages.

/// A picture of bytes, row-major, channels interleaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// `height · width · channels` bytes.
    pub data: Vec<u8>,
}

impl Picture {
    /// A picture; `None` if the number of bytes is another, there are none, or there are neither 1 nor 3 channels.
    pub fn new(width: usize, height: usize, channels: usize, data: Vec<u8>) -> Option<Self> {
        let size = width.checked_mul(height)?.checked_mul(channels)?;
        (size == data.len() && size > 0 && matches!(channels, 1 | 3)).then_some(Picture {
            width,
            height,
            channels,
            data,
        })
    }
    /// The picture as the bytes of a PNG file; empty if its fields contradict each other.
    pub fn to_png(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let (Ok(w), Ok(h)) = (u32::try_from(self.width), u32::try_from(self.height)) else { return out };
        let mut encoder = png::Encoder::new(&mut out, w, h);
        encoder.set_color(if self.channels == 3 { png::ColorType::Rgb } else { png::ColorType::Grayscale });
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut w| w.write_image_data(&self.data));
        if written.is_err() {
            out.clear();
        }
        out
    }
    /// The picture as a data URI.
    pub fn to_uri(&self) -> String {
        format!("data:image/png;base64,{}", base64(&self.to_png()))
    }
}

/// Base 64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63] as char;
            out.push(if i <= chunk.len() { digit } else { '=' });
        }
    }
    out
}

/// A drawing as a data URI, light or dark as whoever sees it likes.
pub(crate) fn svg_uri(svg: &str) -> String {
    format!("data:image/svg+xml;base64,{}", base64(svg.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_rfc() {
        let all: Vec<String> = ["", "f", "fo", "foo", "foob"].iter().map(|t| base64(t.as_bytes())).collect();
        assert_eq!(all, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }

    #[test]
    fn pictures_are_addresses_of_their_own() {
        let p = Picture::new(1, 1, 1, vec![7]).unwrap();
        assert!(p.to_uri().starts_with("data:image/png;base64,iVBORw0KGgo"));
        assert_eq!(svg_uri("<svg/>"), "data:image/svg+xml;base64,PHN2Zy8+");
    }
}
