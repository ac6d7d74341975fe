//! Where the window is cut from: what a pipeline may begin with.

use super::draw::{Key, within};
use super::{Canvas, Operation};
use crate::Image;
use crate::preprocess::resize::{self, Axis};
use gabor_tensor::Stream;
use std::ops::Range;

/// A part of an image, in whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl Operation {
    /// Whether it cuts the window.
    pub(super) fn is_view(&self) -> bool {
        use Operation::{CenterCrop, RandomCrop, RandomResizedCrop, ShortSide};
        matches!(self, RandomCrop {} | CenterCrop {} | ShortSide { .. } | RandomResizedCrop { .. })
    }
}

impl Canvas<'_> {
    /// Chooses the window. Whole-pixel crops only begin the map; crops that resize are drawn at once.
    pub(super) fn open(&mut self, view: Option<&Operation>, key: Key) {
        self.buffers.map.reset(0.0, 0.0);
        let (Some(image), [h, w]) = (self.source, self.size) else { return };
        let (ih, iw) = (image.height(), image.width());
        let Some(op) = view.filter(|op| !matches!(op, Operation::CenterCrop {})) else {
            let (top, left) = (ih.saturating_sub(h) / 2, iw.saturating_sub(w) / 2);
            return self.buffers.map.reset(left as f64, top as f64);
        };
        let mut s = key.stream(op.page().code, 0);
        match op {
            Operation::ShortSide { to } => {
                let to = (to[0] as usize + s.below((to[1] - to[0]) as usize + 1)).max(h.max(w));
                let long = |long: usize, short: usize| (to as u128 * long as u128 / short as u128) as usize;
                let (rh, rw) = if ih <= iw { (to, long(iw, ih)) } else { (long(ih, iw), to) };
                let (top, left) = (s.below(rh - h + 1), s.below(rw - w + 1));
                let whole = Region { top: 0, left: 0, height: ih, width: iw };
                self.resize(image, whole, (rh, rw), (top..top + h, left..left + w));
            }
            Operation::RandomResizedCrop { area, ratio } => {
                let region = random_region([ih, iw], *area, *ratio, &mut s);
                self.resize(image, region, (h, w), (0..h, 0..w));
            }
            _ => {
                let (top, left) = (s.below(ih - h + 1), s.below(iw - w + 1));
                self.buffers.map.reset(left as f64, top as f64);
            }
        }
    }
    /// Brings a region of the image to `to` rows and columns and keeps a window of them.
    fn resize(&mut self, image: &Image<'_>, r: Region, to: (usize, usize), window: (Range<usize>, Range<usize>)) {
        let c = self.channels();
        let super::Buffers { out, spare, map, resize: buffers, .. } = &mut *self.buffers;
        let whole = r.height == image.height() && r.width == image.width();
        let src = if whole {
            image.data()
        } else {
            spare.clear();
            for row in image.data().chunks_exact(image.width() * c).skip(r.top).take(r.height) {
                spare.extend_from_slice(&row[r.left * c..(r.left + r.width) * c]);
            }
            spare
        };
        let (top, left) = (window.0.start as f64, window.1.start as f64);
        let rows = Axis::whole(r.height, to.0, window.0);
        let columns = Axis::whole(r.width, to.1, window.1);
        match c {
            1 => resize::resize::<1>(src, &rows, &columns, self.filter, buffers, out),
            _ => resize::resize::<3>(src, &rows, &columns, self.filter, buffers, out),
        }
        self.source = None;
        if let Some(targets) = &mut self.targets {
            let (sx, sy) = (r.width as f64 / to.1 as f64, r.height as f64 / to.0 as f64);
            map.reset(r.left as f64, r.top as f64);
            map.matrix(&[sx, 0.0, left * sx, 0.0, sy, top * sy, 0.0, 0.0, 1.0]);
            targets.follow(map, self.size);
        }
        map.reset(0.0, 0.0);
    }
}

/// The box of torchvision's RandomResizedCrop: ten tries, then the largest box at the centre whose ratio is allowed.
fn random_region([ih, iw]: [usize; 2], area: [f64; 2], ratio: [f64; 2], s: &mut Stream) -> Region {
    let (all, logs) = ((ih * iw) as f64, ratio.map(libm::log));
    for _ in 0..10 {
        let (target, r) = (all * within(s, area), libm::exp(within(s, logs)));
        let (w, h) = ((target * r).sqrt().round() as usize, (target / r).sqrt().round() as usize);
        if (1..=iw).contains(&w) && (1..=ih).contains(&h) {
            return Region { top: s.below(ih - h + 1), left: s.below(iw - w + 1), height: h, width: w };
        }
    }
    let own = iw as f64 / ih as f64;
    let (w, h) = if own < ratio[0] {
        (iw, ((iw as f64 / ratio[0]).round() as usize).clamp(1, ih))
    } else if own > ratio[1] {
        (((ih as f64 * ratio[1]).round() as usize).clamp(1, iw), ih)
    } else {
        (iw, ih)
    };
    Region { top: (ih - h) / 2, left: (iw - w) / 2, height: h, width: w }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_the_area_and_ratio_asked_for() {
        let mut s = Stream::new(3, 0, 0, 0);
        let (mut least, mut most) = (f64::MAX, 0.0f64);
        for _ in 0..2000 {
            let r = random_region([375, 500], [0.08, 1.0], [0.75, 4.0 / 3.0], &mut s);
            assert!(r.top + r.height <= 375 && r.left + r.width <= 500, "{r:?}");
            let (part, ratio) = ((r.height * r.width) as f64 / 187500.0, r.width as f64 / r.height as f64);
            // Rounding to whole pixels moves both a little.
            assert!((0.078..=1.0).contains(&part) && (0.74..=1.35).contains(&ratio), "{r:?}");
            (least, most) = (least.min(part), most.max(part));
        }
        assert!(least < 0.09 && most > 0.9, "{least} {most}");
        // A strip has no such box: the widest one at its centre is taken.
        let strip = random_region([10, 1000], [0.5, 1.0], [0.75, 4.0 / 3.0], &mut s);
        assert_eq!(strip, Region { top: 0, left: 493, height: 10, width: 13 });
    }
}
