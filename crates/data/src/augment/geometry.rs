//! What each geometric operation does to a canvas.

use super::draw::symmetric;
use super::map::{Lens, Matrix, about, inverse, quadrilateral};
use super::{Canvas, Operation};
use gabor_tensor::Stream;

impl Operation {
    /// Applies the operation: a geometric one adds to the map, any other changes pixels.
    pub(super) fn run(&self, canvas: &mut Canvas<'_>, s: &mut Stream) {
        let [h, w] = canvas.size.map(|v| v as f64);
        let centre = (w / 2.0, h / 2.0);
        let mut add = |m: Matrix| canvas.buffers.map.matrix(&m);
        // Each matrix is the inverse of what is said: it leads from the varied image to its source.
        match *self {
            Operation::RandomCrop {}
            | Operation::CenterCrop {}
            | Operation::ShortSide { .. }
            | Operation::RandomResizedCrop { .. } => {}
            Operation::Shift { pixels } => {
                let mut draw = || s.below(2 * pixels as usize + 1) as f64 - f64::from(pixels);
                let (y, x) = (draw(), draw());
                add([1.0, 0.0, x, 0.0, 1.0, y, 0.0, 0.0, 1.0]);
            }
            Operation::Mirror {} => add([-1.0, 0.0, w, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]),
            Operation::Flip {} => add([1.0, 0.0, 0.0, 0.0, -1.0, h, 0.0, 0.0, 1.0]),
            Operation::Rotate { degrees } => {
                let angle = symmetric(s, degrees).to_radians();
                let (sin, cos) = (libm::sin(angle), libm::cos(angle));
                add(about([cos, sin, -sin, cos], centre));
            }
            Operation::Translate { x, y } => {
                let (dx, dy) = (symmetric(s, x) * w, symmetric(s, y) * h);
                add([1.0, 0.0, -dx, 0.0, 1.0, -dy, 0.0, 0.0, 1.0]);
            }
            Operation::Scale { by } => {
                let factor = 1.0 / (1.0 + symmetric(s, by));
                add(about([factor, 0.0, 0.0, factor], centre));
            }
            Operation::Stretch { by } => {
                let factor = 1.0 + symmetric(s, by);
                add(about([1.0 / factor, 0.0, 0.0, factor], centre));
            }
            Operation::Shear { x, y } => {
                let (x, y) = (symmetric(s, x), symmetric(s, y));
                add(about([1.0, -libm::tan(x.to_radians()), 0.0, 1.0], centre));
                add(about([1.0, 0.0, -libm::tan(y.to_radians()), 1.0], centre));
            }
            Operation::Perspective { distortion } => {
                let (mx, my) = (distortion * w / 2.0, distortion * h / 2.0);
                let corners = [(0.0, 0.0), (w, 0.0), (w, h), (0.0, h)].map(|(x, y)| {
                    let (dx, dy) = (s.range(0.0, mx), s.range(0.0, my));
                    (if x > 0.0 { x - dx } else { dx }, if y > 0.0 { y - dy } else { dy })
                });
                if let Some(m) = quadrilateral((w, h), corners).and_then(|m| inverse(&m)) {
                    add(m);
                }
            }
            Operation::Lens { strength } => {
                let unit = (w * w + h * h).sqrt() / 2.0;
                canvas.buffers.map.lens(Lens { k: symmetric(s, strength), centre, unit });
            }
            Operation::Elastic { alpha, sigma } => canvas.buffers.map.field().fill(canvas.size, alpha, sigma, s),
            _ => self.run_on_pixels(canvas, s),
        }
    }
}
