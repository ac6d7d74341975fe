//! Drawing an image through a map: whole pixels are copied, everything else is one bilinear interpolation.

use super::map::Map;

/// 1 in 16.16 fixed point.
const ONE: f64 = 65536.0;
/// A place far beyond any image, for what comes from nowhere.
const NOWHERE: i64 = i64::MIN / 4;

/// Bytes of an image: rows, columns, channels interleaved.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub data: &'a [u8],
    pub size: [usize; 2],
}

/// How the value between pixels is found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sampling {
    Bilinear,
    /// For label pictures, whose values have no between.
    Nearest,
}

/// Draws a window of `size` = [h, w] whose pixel is the source at the pixel's place under `map`; `fill` lies beyond the
/// source's edges. Replaces the contents of `out`.
pub(super) fn draw<const C: usize>(
    src: Pixels<'_>,
    size: [usize; 2],
    map: &Map,
    sampling: Sampling,
    fill: [u8; C],
    out: &mut Vec<u8>,
) {
    let [h, w] = size;
    out.clear();
    if let Some(whole) = Whole::of(map) {
        return whole.copy::<C>(src, size, fill, out);
    }
    out.reserve(h * w * C);
    let source = Source::<C> { pixels: src.data.as_chunks::<C>().0, size: src.size, fill };
    let mut pixel = |x: i64, y: i64| match sampling {
        // Half of a 256th part is added to round the weights.
        Sampling::Bilinear => out.extend_from_slice(&source.bilinear(x - 32768 + 128, y - 32768 + 128)),
        Sampling::Nearest => out.extend_from_slice(&source.at(y >> 16, x >> 16)),
    };
    match map.as_matrix() {
        // An affine map goes on by equal steps; every row begins anew, so that rounding adds up over one row only.
        Some(m) if m[6] == 0.0 && m[7] == 0.0 => {
            let (step_x, step_y) = ((m[0] / m[8] * ONE).round() as i64, (m[3] / m[8] * ONE).round() as i64);
            for row in 0..h {
                let (x, y) = fixed(map.source(0.5, row as f64 + 0.5));
                for column in 0..w as i64 {
                    pixel(x + column * step_x, y + column * step_y);
                }
            }
        }
        _ => {
            for row in 0..h {
                for column in 0..w {
                    let (x, y) = fixed(map.source(column as f64 + 0.5, row as f64 + 0.5));
                    pixel(x, y);
                }
            }
        }
    }
}

/// A place in fixed point, rounded to the nearest. A conversion to a whole number cuts towards zero, which is downwards once
/// everything is positive; it is one instruction, where rounding is a call.
fn fixed((x, y): (f64, f64)) -> (i64, i64) {
    const ABOVE: i64 = 1 << 47;
    let one = |v: f64| if v.abs() < 1e9 { (v * ONE + (ABOVE as f64 + 0.5)) as i64 - ABOVE } else { NOWHERE };
    (one(x), one(y))
}

/// What is drawn from.
struct Source<'a, const C: usize> {
    pixels: &'a [[u8; C]],
    size: [usize; 2],
    fill: [u8; C],
}

impl<const C: usize> Source<'_, C> {
    #[inline]
    fn at(&self, y: i64, x: i64) -> [u8; C] {
        let [h, w] = self.size;
        if y >= 0 && x >= 0 && (y as usize) < h && (x as usize) < w {
            self.pixels[y as usize * w + x as usize]
        } else {
            self.fill
        }
    }
    /// The value at a place counted from the centre of the first pixel, 16.16, by 8-bit weights.
    #[inline]
    fn bilinear(&self, x: i64, y: i64) -> [u8; C] {
        let [h, w] = self.size;
        let (ix, iy) = (x >> 16, y >> 16);
        let (fx, fy) = ((x >> 8 & 255) as u32, (y >> 8 & 255) as u32);
        let inside = ix >= 0 && iy >= 0 && ix + 1 < w as i64 && iy + 1 < h as i64;
        let [p, q, r, s] = if inside {
            let i = iy as usize * w + ix as usize;
            [self.pixels[i], self.pixels[i + 1], self.pixels[i + w], self.pixels[i + w + 1]]
        } else {
            [self.at(iy, ix), self.at(iy, ix + 1), self.at(iy + 1, ix), self.at(iy + 1, ix + 1)]
        };
        std::array::from_fn(|c| {
            let above = u32::from(p[c]) * (256 - fx) + u32::from(q[c]) * fx;
            let below = u32::from(r[c]) * (256 - fx) + u32::from(s[c]) * fx;
            ((above * (256 - fy) + below * fy + (1 << 15)) >> 16) as u8
        })
    }
}

/// A map that moves whole pixels: the source column of column i is x + i, or x − i where mirrored; rows likewise.
struct Whole {
    x: i64,
    y: i64,
    mirror: bool,
    flip: bool,
}

impl Whole {
    fn of(map: &Map) -> Option<Whole> {
        let m = map.as_matrix()?;
        let straight = m[1] == 0.0 && m[3] == 0.0 && m[6] == 0.0 && m[7] == 0.0 && m[8] == 1.0;
        let whole = |v: f64| v.fract() == 0.0 && v.abs() < 1e9;
        if !(straight && m[0].abs() == 1.0 && m[4].abs() == 1.0 && whole(m[2]) && whole(m[5])) {
            return None;
        }
        // The centre i + ½ of a pixel comes from x + i + ½, or from x − i − ½, the centre of pixel x − i − 1.
        let (mirror, flip) = (m[0] < 0.0, m[4] < 0.0);
        Some(Whole { x: m[2] as i64 - i64::from(mirror), y: m[5] as i64 - i64::from(flip), mirror, flip })
    }
    fn copy<const C: usize>(&self, src: Pixels<'_>, [h, w]: [usize; 2], fill: [u8; C], out: &mut Vec<u8>) {
        let ([sh, sw], pixels) = (src.size, src.data.as_chunks::<C>().0);
        // The columns of the window that lie inside the source.
        let (first, last) =
            if self.mirror { (self.x - sw as i64 + 1, self.x + 1) } else { (-self.x, sw as i64 - self.x) };
        let from = first.clamp(0, w as i64) as usize;
        let to = last.clamp(from as i64, w as i64) as usize;
        out.resize(h * w * C, fill[0]);
        for (y, row) in out.as_chunks_mut::<C>().0.chunks_exact_mut(w).enumerate() {
            let sy = if self.flip { self.y - y as i64 } else { self.y + y as i64 };
            if sy < 0 || sy >= sh as i64 || from == to {
                row.fill(fill);
                continue;
            }
            row[..from].fill(fill);
            row[to..].fill(fill);
            let line = &pixels[sy as usize * sw..][..sw];
            if self.mirror {
                let end = (self.x - from as i64 + 1) as usize;
                for (o, p) in row[from..to].iter_mut().zip(line[end - (to - from)..end].iter().rev()) {
                    *o = *p;
                }
            } else {
                let start = (self.x + from as i64) as usize;
                row[from..to].copy_from_slice(&line[start..start + to - from]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::map::about;
    use super::*;

    fn ramp(h: usize, w: usize) -> Vec<u8> {
        (0..h * w).map(|v| (v * 7 % 251) as u8).collect()
    }
    fn drawn(data: &[u8], size: [usize; 2], linear: [f64; 4], fill: u8) -> Vec<u8> {
        let mut map = Map::default();
        map.reset(0.0, 0.0);
        map.matrix(&about(linear, (size[1] as f64 / 2.0, size[0] as f64 / 2.0)));
        let mut out = vec![9; 3];
        draw::<1>(Pixels { data, size }, size, &map, Sampling::Bilinear, [fill], &mut out);
        out
    }

    #[test]
    fn warp_turns_and_zooms_about_the_centre() {
        let image = ramp(9, 9);
        assert_eq!(drawn(&image, [9, 9], [1.0, 0.0, 0.0, 1.0], 0), image);
        // Half a turn reverses the pixels, a quarter turn takes the source from (x, y) = (cx + dy, cy − dx).
        assert!(drawn(&image, [9, 9], [-1.0, 0.0, 0.0, -1.0], 0).iter().eq(image.iter().rev()));
        assert_eq!(drawn(&image, [9, 9], [0.0, 1.0, -1.0, 0.0], 0)[2 * 9 + 3], image[5 * 9 + 2]);
        // Zoom out by two: everything beyond the centre is fill.
        let far = drawn(&image, [9, 9], [2.0, 0.0, 0.0, 2.0], 3);
        assert_eq!((far[0], far[4 * 9 + 4]), (3, image[4 * 9 + 4]));
    }

    /// Whole-pixel copies give what interpolation gives.
    #[test]
    fn copies_are_interpolations() {
        let (image, size) = (ramp(7, 10), [7, 10]);
        for (mirror, flip) in [(1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)] {
            for (x, y) in [(0.0, 0.0), (3.0, -2.0), (-4.0, 1.0), (11.0, 0.0), (0.0, 40.0)] {
                let mut map = Map::default();
                map.reset(x, y);
                map.matrix(&about([mirror, 0.0, 0.0, flip], (4.0, 3.0)));
                let src = Pixels { data: &image, size };
                let mut copied = Vec::new();
                draw::<1>(src, [6, 8], &map, Sampling::Bilinear, [5], &mut copied);
                let source = Source::<1> { pixels: image.as_chunks::<1>().0, size, fill: [5] };
                for (i, &v) in copied.iter().enumerate() {
                    let (sx, sy) = fixed(map.source((i % 8) as f64 + 0.5, (i / 8) as f64 + 0.5));
                    assert_eq!(v, source.bilinear(sx - 32768, sy - 32768)[0], "{mirror} {flip} {x} {y} at {i}");
                }
            }
        }
    }
}
