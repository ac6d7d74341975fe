//! Small pictures: bytes, PNG, and filters made visible.

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

/// The filters of a layer as pictures: weights `[co, ci, kh, kw]`. Zero is middle grey; each filter is scaled by its own
/// largest magnitude. Three input channels give colour; otherwise the channels of a filter stand side by side (at most
/// eight of them), one pixel apart. Empty if the sizes contradict each other.
pub fn filters(weight: &[f32], shape: [usize; 4]) -> Vec<Picture> {
    let [co, ci, kh, kw] = shape;
    let plane = kh * kw;
    if weight.len() != co * ci * plane || weight.is_empty() {
        return Vec::new();
    }
    let picture = |filter: &[f32]| {
        let most = filter.iter().filter(|v| v.is_finite()).fold(0f32, |m, v| m.max(v.abs()));
        let byte = |v: f32| if most > 0.0 { (127.5 + 127.5 * v / most).round().clamp(0.0, 255.0) as u8 } else { 128 };
        if ci == 3 {
            let data = (0..plane).flat_map(|i| (0..3).map(move |c| byte(filter[c * plane + i]))).collect();
            return Picture { width: kw, height: kh, channels: 3, data };
        }
        let shown = ci.min(8);
        let width = shown * (kw + 1) - 1;
        let mut data = vec![128; kh * width];
        for c in 0..shown {
            for y in 0..kh {
                for x in 0..kw {
                    data[y * width + c * (kw + 1) + x] = byte(filter[c * plane + y * kw + x]);
                }
            }
        }
        Picture { width, height: kh, channels: 1, data }
    };
    weight.chunks_exact(ci * plane).map(picture).collect()
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
    fn filters_are_scaled_about_grey() {
        let p = filters(&[0.0, -2.0, 1.0, 2.0], [1, 1, 2, 2]);
        assert_eq!(p, [Picture { width: 2, height: 2, channels: 1, data: vec![128, 0, 191, 255] }]);
        assert_eq!(filters(&[0.0; 12], [1, 3, 2, 2])[0].channels, 3);
        assert_eq!(filters(&[1.0; 8], [1, 2, 2, 2])[0].width, 5);
        assert!(filters(&[1.0; 7], [1, 2, 2, 2]).is_empty());
        assert!(p[0].to_uri().starts_with("data:image/png;base64,iVBORw0KGgo"));
    }
}
