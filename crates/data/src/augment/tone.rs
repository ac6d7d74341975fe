//! Changes of light and colour, with given parameters: as torchvision and Pillow define them.
//!
//! Pixels are bytes, channels interleaved; `rgb` says which channel is red, green and blue (for grey pictures, all the
//! same one). Results are cut to 0..=255 and towards zero, as both libraries do.

/// Where red, green and blue stand in a pixel of `C` channels.
pub(super) type Order = [usize; 3];

/// ITU-R 601 luma, rounded to nearest.
fn luma<const C: usize>(p: &[u8; C], rgb: Order) -> u8 {
    if C == 1 { p[0] } else { crate::image::luma(&rgb.map(|c| p[c])) }
}

/// Replaces every value by a function of it, through a table; what the function gives is cut to 0..=255.
fn by_table(pixels: &mut [u8], f: impl Fn(u8) -> f64) {
    let table: [u8; 256] = std::array::from_fn(|v| f(v as u8) as u8);
    for v in pixels {
        *v = table[usize::from(*v)];
    }
}

/// Replaces every channel's values through its own table.
fn by_tables<const C: usize>(pixels: &mut [u8], tables: &[[u8; 256]; C]) {
    for p in pixels.as_chunks_mut::<C>().0 {
        for (v, table) in p.iter_mut().zip(tables) {
            *v = table[usize::from(*v)];
        }
    }
}

/// How often each value occurs in each channel.
fn histograms<const C: usize>(pixels: &[u8]) -> [[u32; 256]; C] {
    let mut out = [[0; 256]; C];
    for p in pixels.as_chunks::<C>().0 {
        for (v, counts) in p.iter().zip(&mut out) {
            counts[usize::from(*v)] += 1;
        }
    }
    out
}

/// Multiplies by `factor`.
pub(super) fn brightness(pixels: &mut [u8], factor: f64) {
    by_table(pixels, |v| f64::from(v) * factor);
}

/// Multiplies the distance from the mean luma, rounded as Pillow does, by `factor`.
pub(super) fn contrast<const C: usize>(pixels: &mut [u8], rgb: Order, factor: f64) {
    let all = pixels.as_chunks::<C>().0;
    let sum: u64 = all.iter().map(|p| u64::from(luma(p, rgb))).sum();
    let mean = (sum as f64 / all.len().max(1) as f64 + 0.5).floor();
    by_table(pixels, |v| mean + (f64::from(v) - mean) * factor);
}

/// Multiplies every pixel's distance from its own luma by `factor`; grey pictures stay as they are.
pub(super) fn saturation<const C: usize>(pixels: &mut [u8], rgb: Order, factor: f64) {
    let factor = (factor * 65536.0).round() as i64;
    for p in pixels.as_chunks_mut::<C>().0 {
        let grey = i64::from(luma(p, rgb));
        for v in p {
            *v = (((grey << 16) + (i64::from(*v) - grey) * factor) >> 16).clamp(0, 255) as u8;
        }
    }
}

/// Turns the hue by `turn` of the whole circle, through HSV; grey pictures stay as they are.
pub(super) fn hue<const C: usize>(pixels: &mut [u8], rgb: Order, turn: f64) {
    if C == 1 {
        return;
    }
    let turn = 6.0 * turn as f32;
    for p in pixels.as_chunks_mut::<C>().0 {
        let [r, g, b] = rgb.map(|c| f32::from(p[c]));
        let (high, low) = (r.max(g).max(b), r.min(g).min(b));
        let chroma = high - low;
        if chroma == 0.0 {
            continue;
        }
        let sixth = if high == r {
            (g - b) / chroma
        } else if high == g {
            (b - r) / chroma + 2.0
        } else {
            (r - g) / chroma + 4.0
        };
        let at = (sixth + turn + 12.0) % 6.0;
        // A channel is as light as the distance of its own hue (red 0, green 2, blue 4) from the hue allows.
        for (i, &c) in rgb.iter().enumerate() {
            let distance = (at - 2.0 * i as f32).abs();
            let distance = distance.min(6.0 - distance);
            p[c] = (high - chroma * (distance - 1.0).clamp(0.0, 1.0) + 0.5) as u8;
        }
    }
}

/// Luma in every channel.
pub(super) fn grey<const C: usize>(pixels: &mut [u8], rgb: Order) {
    for p in pixels.as_chunks_mut::<C>().0 {
        *p = [luma(p, rgb); C];
    }
}

/// Adds `by` to each channel; in the picture's own order.
pub(super) fn add<const C: usize>(pixels: &mut [u8], by: [f64; C]) {
    let tables: [[u8; 256]; C] = by.map(|by| std::array::from_fn(|v| (v as f64 + by + 0.5) as u8));
    by_tables(pixels, &tables);
}

/// Keeps the highest `bits`.
pub(super) fn posterize(pixels: &mut [u8], bits: u32) {
    let mask = !(255u32 >> bits.min(8)) as u8;
    pixels.iter_mut().for_each(|v| *v &= mask);
}

/// Inverts values from `threshold` on.
pub(super) fn solarize(pixels: &mut [u8], threshold: f64) {
    by_table(pixels, |v| f64::from(if f64::from(v) >= threshold { 255 - v } else { v }));
}

/// Adds to values below 128.
pub(super) fn solarize_add(pixels: &mut [u8], by: f64) {
    by_table(pixels, |v| if v < 128 { f64::from(v) + by } else { f64::from(v) });
}

/// The negative.
pub(super) fn invert(pixels: &mut [u8]) {
    pixels.iter_mut().for_each(|v| *v = 255 - *v);
}

/// Stretches every channel to 0..=255.
pub(super) fn autocontrast<const C: usize>(pixels: &mut [u8]) {
    let tables = histograms::<C>(pixels).map(|counts| {
        let low = counts.iter().position(|&n| n > 0).unwrap_or(0);
        let high = counts.iter().rposition(|&n| n > 0).unwrap_or(255);
        std::array::from_fn(|v| {
            if high <= low {
                return v as u8;
            }
            ((v as f64 - low as f64) * 255.0 / (high - low) as f64) as u8
        })
    });
    by_tables(pixels, &tables);
}

/// Equalises every channel's histogram, by Pillow's whole-number steps.
pub(super) fn equalize<const C: usize>(pixels: &mut [u8]) {
    let tables = histograms::<C>(pixels).map(|counts| {
        let total: u32 = counts.iter().sum();
        let last = counts.iter().rfind(|&&n| n > 0).copied().unwrap_or(0);
        let step = (total - last) / 255;
        let mut sum = step / 2;
        std::array::from_fn(|v| {
            if step == 0 {
                return v as u8;
            }
            let out = (sum / step).min(255) as u8;
            sum += counts[v];
            out
        })
    });
    by_tables(pixels, &tables);
}

/// Multiplies the distance from a smoothed picture (3 × 3: one, in the middle five, over 13) by `factor`; the outermost
/// pixels stay.
pub(super) fn sharpness<const C: usize>(pixels: &mut [u8], [h, w]: [usize; 2], factor: f64, spare: &mut Vec<u8>) {
    if h < 3 || w < 3 {
        return;
    }
    spare.clear();
    spare.extend_from_slice(pixels);
    let factor = (factor * 65536.0).round() as i64;
    let stride = w * C;
    for y in 1..h - 1 {
        let row = |dy: usize| &spare[(y + dy - 1) * stride..][..stride];
        let (above, here, below) = (row(0), row(1), row(2));
        let out = &mut pixels[y * stride..][..stride];
        for i in C..stride - C {
            let three = |r: &[u8]| u32::from(r[i - C]) + u32::from(r[i]) + u32::from(r[i + C]);
            let sum = three(above) + three(here) + three(below) + 4 * u32::from(here[i]);
            let smooth = i64::from((2 * sum + 13) / 26);
            out[i] = (((smooth << 16) + (i64::from(here[i]) - smooth) * factor) >> 16).clamp(0, 255) as u8;
        }
    }
}
