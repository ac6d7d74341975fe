//! Numbers as colours: two scales that are even to the eye and hold for the colour-blind.
//!
//! Both are straight in OKLab's lightness (Ottosson 2020), so that equal steps of a value look like equal steps, in grey
//! print, too.

use crate::Picture;

/// A colour scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// 0 to 1: from near black over blue and green to pale yellow.
    Sequential,
    /// −1 to 1: blue, near white at 0, orange.
    Diverging,
}

/// A colour in OKLab from lightness, chroma and hue in degrees, as bytes.
fn oklch(l: f64, c: f64, hue: f64) -> [u8; 3] {
    let (sin, cos) = hue.to_radians().sin_cos();
    let (a, b) = (c * cos, c * sin);
    let cube = |v: f64| v * v * v;
    let (x, y, z) = (
        cube(l + 0.396_337_777_4 * a + 0.215_803_757_3 * b),
        cube(l - 0.105_561_345_8 * a - 0.063_854_172_8 * b),
        cube(l - 0.089_484_177_5 * a - 1.291_485_548_0 * b),
    );
    let linear = [
        4.076_741_662_1 * x - 3.307_711_591_3 * y + 0.230_969_929_2 * z,
        -1.268_438_004_6 * x + 2.609_757_401_1 * y - 0.341_319_396_5 * z,
        -0.004_196_086_3 * x - 0.703_418_614_7 * y + 1.707_614_701_0 * z,
    ];
    linear.map(|v| {
        let v = v.clamp(0.0, 1.0);
        let s = if v <= 0.003_130_8 { 12.92 * v } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 };
        (s * 255.0).round() as u8
    })
}

impl Scale {
    /// The colour of a value; beyond the ends that of the end, for NaN middle grey.
    pub fn color(self, v: f32) -> [u8; 3] {
        if v.is_nan() {
            return [128; 3];
        }
        match self {
            Scale::Sequential => {
                let t = f64::from(v.clamp(0.0, 1.0));
                // Least chroma at the ends, where the screen has none.
                oklch(0.16 + 0.8 * t, 0.06 + 0.36 * t * (1.0 - t), 285.0 - 180.0 * t)
            }
            Scale::Diverging => {
                let t = f64::from(v.clamp(-1.0, 1.0));
                let size = t.abs();
                oklch(0.96 - 0.46 * size, 0.16 * size, if t < 0.0 { 255.0 } else { 50.0 })
            }
        }
    }
}

impl Scale {
    /// All its colours in one row, from the lowest value to the highest.
    pub(crate) fn bar(self) -> Picture {
        const COLORS: usize = 64;
        let at = |i: usize| {
            let t = i as f32 / (COLORS - 1) as f32;
            self.color(if self == Scale::Diverging { 2.0 * t - 1.0 } else { t })
        };
        Picture { width: COLORS, height: 1, channels: 3, data: (0..COLORS).flat_map(at).collect() }
    }
}

/// What a map's values are divided by before they become colours: the largest size, but for the part `outliers` of the
/// places, which would leave all others dark. Not zero.
pub fn extent(map: &[f32], outliers: f64) -> f32 {
    let mut sizes: Vec<f32> = map.iter().map(|v| v.abs()).filter(|v| v.is_finite()).collect();
    sizes.sort_by(f32::total_cmp);
    let at = ((sizes.len() as f64 * (1.0 - outliers)).ceil() as usize).clamp(1, sizes.len().max(1)) - 1;
    let found = sizes.get(at).copied().filter(|&v| v > 0.0).or_else(|| sizes.last().copied());
    found.filter(|&v| v > 0.0).unwrap_or(1.0)
}

/// A map `height` × `width` as a picture; `None` if the number of values is another.
pub fn heat(map: &[f32], [height, width]: [usize; 2], extent: f32, scale: Scale) -> Option<Picture> {
    Picture::new(width, height, 3, map.iter().flat_map(|v| scale.color(v / extent)).collect())
}

/// A map over a picture of the same size: the picture in grey, coloured as much as the value is large. `None` if sizes
/// differ.
pub fn overlay(picture: &Picture, map: &[f32], extent: f32, scale: Scale) -> Option<Picture> {
    let c = picture.channels;
    if map.len() != picture.width * picture.height || picture.data.len() != map.len() * c {
        return None;
    }
    let blend = |(pixel, &v): (&[u8], &f32)| {
        let v = v / extent;
        let grey = match *pixel {
            [r, g, b] => 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b),
            _ => f32::from(pixel[0]),
        };
        let part = 0.2 + 0.65 * v.abs().clamp(0.0, 1.0).sqrt();
        scale.color(v).map(|colour| (grey * (1.0 - part) + f32::from(colour) * part) as u8)
    };
    Picture::new(picture.width, picture.height, 3, picture.data.chunks_exact(c).zip(map).flat_map(blend).collect())
}

/// Values about zero, channel by channel, as a picture in which zero is middle grey: `[c, h, w]` with one or three
/// channels. `None` for another number of channels or values.
pub fn signed(values: &[f32], [c, h, w]: [usize; 3], extent: f32) -> Option<Picture> {
    let places = h * w;
    if values.len() != c * places {
        return None;
    }
    let byte = |v: f32| (127.5 + 127.5 * (v / extent).clamp(-1.0, 1.0)).round() as u8;
    let data = (0..places).flat_map(|i| (0..c).map(move |k| byte(values[k * places + i]))).collect();
    Picture::new(w, h, c, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lightness as the eye has it, of a colour that the screen shows (CIE 1976).
    fn lightness([r, g, b]: [u8; 3]) -> f64 {
        let linear = |v: u8| {
            let v = f64::from(v) / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        let y = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
        if y > 0.008_856 { 116.0 * y.cbrt() - 16.0 } else { 903.3 * y }
    }

    #[test]
    fn scales_are_even() {
        let steps = |scale: Scale, low: f32| -> Vec<f64> {
            let l: Vec<f64> = (0..=20).map(|i| lightness(scale.color(low + (1.0 - low) * i as f32 / 20.0))).collect();
            l.windows(2).map(|p| p[1] - p[0]).collect()
        };
        let up = steps(Scale::Sequential, 0.0);
        assert!(up.iter().all(|d| (2.0..7.5).contains(d)), "{up:?}");
        for half in [steps(Scale::Diverging, -1.0)[..10].to_vec(), steps(Scale::Diverging, -1.0)[10..].to_vec()] {
            assert!(half.iter().all(|d| (2.5..7.0).contains(&d.abs())), "{half:?}");
        }
        let [blue, orange] = [-1.0, 1.0].map(|v| Scale::Diverging.color(v));
        assert!(blue[2] > blue[0] && orange[0] > orange[2]);
        assert_eq!(Scale::Sequential.color(f32::NAN), [128; 3]);
    }

    #[test]
    fn maps_become_pictures() {
        assert_eq!(extent(&[0.0; 4], 0.0), 1.0);
        assert_eq!(extent(&[1.0, -3.0, 2.0, f32::NAN], 0.0), 3.0);
        let mut many = vec![1.0; 99];
        many.push(1000.0);
        assert_eq!(extent(&many, 0.01), 1.0);
        let p = Picture::new(2, 1, 1, vec![0, 255]).unwrap();
        let over = overlay(&p, &[0.0, 1.0], 1.0, Scale::Sequential).unwrap();
        assert_eq!((over.channels, over.data.len()), (3, 6));
        assert!(over.data[0] < 40 && overlay(&p, &[0.0], 1.0, Scale::Sequential).is_none());
        assert_eq!(signed(&[0.0, 2.0], [1, 1, 2], 2.0).unwrap().data, [128, 255]);
        assert!(signed(&[0.0; 4], [2, 1, 2], 1.0).is_none());
    }
}
