//! An animation as a GIF file: a picture per step, of which only what changed is written.

use crate::picture::{Look, Pixels, SCALE, dressed, pixels};
use crate::{Error, Result};
use gabor_report::ConvAnimation;
use gabor_tensor::Rule;
use gif::{DisposalMethod, Encoder, Frame, Repeat};
use std::borrow::Cow;
use std::collections::HashMap;

/// Pixels of all steps together, up to which there are two for each unit of the drawing: drawing more would take minutes.
const SHARP: f64 = 2e9;
/// Colours, and the number that says that a pixel stays what it was.
const COLORS: usize = 255;
const SAME: u8 = 255;

/// The animation as the bytes of a GIF file that repeats for ever. `done` hears after each step how many are drawn.
///
/// # Errors
/// An animation too large to be pixels.
pub fn animated_gif(a: &ConvAnimation, look: Look, done: &mut dyn FnMut(usize)) -> Result<Vec<u8>> {
    let look = if look == Look::Auto { Look::Light } else { look };
    let scale = gif_scale(a);
    let drawn = |step: usize| {
        let failed = |e: &dyn std::fmt::Display| {
            Error::from(Rule::new(e.to_string()).right("a smaller input, or a name in .svg"))
        };
        pixels(&dressed(&a.frame(step), look), scale).map_err(|e| failed(&e))
    };
    let count = a.steps.len().max(1);
    let mut palette = Palette::of(&[&drawn(0)?, &drawn(count - 1)?]);
    let failed = |e: gif::EncodingError| Error::from(Rule::new(format!("no GIF: {e}")));
    let mut out = Vec::new();
    let mut encoder: Option<Encoder<&mut Vec<u8>>> = None;
    let mut before: Vec<u8> = Vec::new();
    let mut room = Some(&mut out);
    for step in 0..count {
        let p = drawn(step)?;
        let (Ok(width), Ok(height)) = (u16::try_from(p.width), u16::try_from(p.height)) else {
            let rule = Rule::new(format!("a GIF of {} × {} pixels", p.width, p.height));
            return Err(rule.right("at most 65535 rows and columns: a smaller input").into());
        };
        if let Some(bytes) = room.take() {
            let mut first = Encoder::new(bytes, width, height, &palette.bytes()).map_err(failed)?;
            first.set_repeat(Repeat::Infinite).map_err(failed)?;
            encoder = Some(first);
        }
        let now: Vec<u8> = p.rgba.chunks_exact(4).map(|c| palette.index([c[0], c[1], c[2]])).collect();
        let [left, top, w, h] = changed(&before, &now, p.width);
        // What stays is not written again, which takes next to no bytes.
        let pixel = |i: usize| if before.get(i) == Some(&now[i]) { SAME } else { now[i] };
        let rows = (top..top + h).flat_map(|y| (left..left + w).map(move |x| y * p.width + x)).map(pixel);
        let pause = a.pace() * 100.0;
        let frame = Frame {
            delay: pause.round() as u16,
            dispose: DisposalMethod::Keep,
            left: left as u16,
            top: top as u16,
            width: w as u16,
            height: h as u16,
            transparent: Some(SAME),
            buffer: Cow::Owned(rows.collect()),
            ..Frame::default()
        };
        if let Some(e) = &mut encoder {
            e.write_frame(&frame).map_err(failed)?;
        }
        before = now;
        done(step + 1);
    }
    drop(encoder);
    Ok(out)
}

/// Pixels of an animation's GIF for each unit of the drawing: two, so that it is sharp on fine screens, or one where there is too
/// much to draw.
pub fn gif_scale(a: &ConvAnimation) -> f64 {
    let [width, height] = a.size();
    if 4.0 * width * height * a.steps.len() as f64 <= SHARP { SCALE } else { 1.0 }
}

/// Left, top, width and height of what differs; one pixel where nothing does, all at first.
fn changed(before: &[u8], now: &[u8], width: usize) -> [usize; 4] {
    let height = now.len() / width.max(1);
    if before.len() != now.len() {
        return [0, 0, width, height];
    }
    let differs = |y: usize| before[y * width..(y + 1) * width] != now[y * width..(y + 1) * width];
    let Some(top) = (0..height).find(|&y| differs(y)) else { return [0, 0, 1, 1] };
    let bottom = (top..height).rfind(|&y| differs(y)).unwrap_or(top);
    let column = |x: usize| (top..=bottom).any(|y| before[y * width + x] != now[y * width + x]);
    let left = (0..width).find(|&x| column(x)).unwrap_or(0);
    let right = (left..width).rfind(|&x| column(x)).unwrap_or(left);
    [left, top, right + 1 - left, bottom + 1 - top]
}

/// The colours that are most used; any other becomes the nearest of them.
struct Palette {
    colors: Vec<[u8; 3]>,
    known: HashMap<[u8; 3], u8>,
}

impl Palette {
    fn of(pictures: &[&Pixels]) -> Self {
        let mut uses: HashMap<[u8; 3], usize> = HashMap::new();
        for p in pictures {
            p.rgba.chunks_exact(4).for_each(|c| *uses.entry([c[0], c[1], c[2]]).or_default() += 1);
        }
        let mut all: Vec<([u8; 3], usize)> = uses.into_iter().collect();
        // By use, then by colour, so that the file is the same every time.
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        Palette { colors: all.iter().take(COLORS).map(|c| c.0).collect(), known: HashMap::new() }
    }
    /// The table of a file: as many colours as there are numbers.
    fn bytes(&self) -> Vec<u8> {
        self.colors.iter().chain(std::iter::repeat(&[0; 3])).take(COLORS + 1).flatten().copied().collect()
    }
    fn index(&mut self, color: [u8; 3]) -> u8 {
        let colors = &self.colors;
        *self.known.entry(color).or_insert_with(|| {
            let far = |c: &[u8; 3]| c.iter().zip(color).map(|(&a, b)| i32::from(a.abs_diff(b)).pow(2)).sum::<i32>();
            colors.iter().enumerate().min_by_key(|c| far(c.1)).map_or(0, |c| c.0 as u8)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_written() {
        assert_eq!(changed(&[], &[0; 6], 3), [0, 0, 3, 2]);
        assert_eq!(changed(&[0; 6], &[0; 6], 3), [0, 0, 1, 1]);
        assert_eq!(changed(&[0; 9], &[0, 0, 0, 0, 1, 2, 0, 0, 0], 3), [1, 1, 2, 1]);
    }
}
