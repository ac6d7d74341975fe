//! What belongs to places of an image, and moves with it.

use super::map::Map;
use super::warp::{self, Pixels, Sampling};
use crate::{Color, Error, Image};
use gabor_tensor::Rule;

/// Boxes, points and a label picture of an image. Coordinates are continuous, in pixels: x grows to the right, y down,
/// and the centre of the first pixel is (0.5, 0.5).
///
/// ```
/// use gabor_data::{Augmentation, Color, Image, Targets};
/// let image = Image::new(4, 8, Color::Grey, vec![0; 32]).unwrap();
/// let mut targets = Targets { boxes: vec![[1.0, 0.0, 3.0, 4.0]], ..Default::default() };
/// let mirror: Augmentation = "mirror@1".parse().unwrap();
/// mirror.apply_with(&image, &mut targets, [4, 8], 0, 0, 0).unwrap();
/// assert_eq!(targets.boxes, [[5.0, 0.0, 7.0, 4.0]]);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// Left, top, right and bottom edges. A box becomes the upright box around its varied outline, cut at the window's
    /// edges; one that has left the window keeps its place in the list and has no area.
    pub boxes: Vec<[f64; 4]>,
    /// Columns and rows. Points that have left the window keep their coordinates; those that no map can follow are not
    /// numbers.
    pub points: Vec<[f64; 2]>,
    /// A class for every pixel, of the image's size; drawn by the nearest pixel.
    pub mask: Option<Image<'static>>,
    /// The class beyond the edges of the mask.
    pub mask_fill: u8,
}

/// Places along each edge of a box that are followed where lines do not stay straight.
const PLACES: usize = 16;

impl Targets {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.boxes.is_empty() && self.points.is_empty() && self.mask.is_none()
    }
    pub(super) fn check(&self, size: [usize; 2]) -> Result<(), Error> {
        match &self.mask {
            Some(m) if m.color() != Color::Grey || [m.height(), m.width()] != size => {
                let given = format!("a mask of {} × {} × {}", m.height(), m.width(), m.channels());
                let right = format!("{} × {} × 1, as the image", size[0], size[1]);
                Err(Error::new("augmentation", Rule::new(given).right(right)))
            }
            _ => Ok(()),
        }
    }
    /// Moves everything to a window of `size` whose pixels come from where `map` says.
    pub(super) fn follow(&mut self, map: &Map, [h, w]: [usize; 2]) {
        for p in &mut self.points {
            let (x, y) = map.target(p[0], p[1]);
            *p = [x, y];
        }
        let places = if map.as_matrix().is_some() { 1 } else { PLACES };
        let (wide, high) = (w as f64, h as f64);
        for b in &mut self.boxes {
            let corners = [(b[0], b[1]), (b[2], b[1]), (b[2], b[3]), (b[0], b[3])];
            let mut around = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
            for (i, &(x0, y0)) in corners.iter().enumerate() {
                let (x1, y1) = corners[(i + 1) % 4];
                for k in 0..places {
                    let t = k as f64 / places as f64;
                    let (x, y) = map.target(x0 + t * (x1 - x0), y0 + t * (y1 - y0));
                    // Minimum and maximum pass over what is not a number.
                    around = [around[0].min(x), around[1].min(y), around[2].max(x), around[3].max(y)];
                }
            }
            let inside = |v: f64, most: f64| if v.is_finite() { v.clamp(0.0, most) } else { 0.0 };
            *b = [inside(around[0], wide), inside(around[1], high), inside(around[2], wide), inside(around[3], high)];
        }
        if let Some(mask) = self.mask.take() {
            let src = Pixels { data: mask.data(), size: [mask.height(), mask.width()] };
            let mut out = Vec::new();
            warp::draw::<1>(src, [h, w], map, Sampling::Nearest, [self.mask_fill], &mut out);
            self.mask = Some(Image::trusted(h, w, Color::Grey, out));
        }
    }
}
