//! What is optimised: numbers that say what a picture is, and the way from them to a picture and back.

use super::fourier::Fourier;
use gabor_tensor::Stream;
use gabor_tensor::rng::op;

/// In what a picture is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Waves, scaled as in natural pictures.
    Fourier,
    /// Pixels, each for itself.
    Pixels,
}

impl Basis {
    /// All of them with their names.
    pub const ALL: &[(&str, Basis)] = &[("fourier", Basis::Fourier), ("pixels", Basis::Pixels)];
}

/// How the three colours of ImageNet's pictures go together: a square root of their covariance, rows red, green, blue.
/// The numbers of Lucid (Olah et al. 2017, `lucid/optvis/param/color.py`).
const IMAGENET: [[f32; 3]; 3] = [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]];

/// The matrix with its largest column brought to length 1, rows in the network's order of channels.
fn colours(bgr: bool) -> [[f32; 3]; 3] {
    let column = |j: usize| IMAGENET.iter().map(|r| r[j] * r[j]).sum::<f32>().sqrt();
    let most = (0..3).map(column).fold(0.0, f32::max);
    let mut m = IMAGENET.map(|row| row.map(|v| v / most));
    if bgr {
        m.reverse();
    }
    m
}

/// What a picture is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    pub(crate) basis: Basis,
    pub(crate) decay: f64,
    pub(crate) decorrelate: bool,
    pub(crate) bgr: bool,
}

/// Pictures `[n, c, h, w]` of values in 0..1.
pub(crate) struct Canvas {
    /// `[c, h, w]`.
    pub(crate) extents: [usize; 3],
    fourier: Option<Fourier>,
    colours: Option<[[f32; 3]; 3]>,
    /// Numbers of one channel of one picture.
    per_plane: usize,
}

impl Canvas {
    pub(crate) fn new(extents: [usize; 3], paint: Paint) -> Self {
        let [c, h, w] = extents;
        let fourier = (paint.basis == Basis::Fourier).then(|| Fourier::new(h, w, paint.decay));
        let per_plane = fourier.as_ref().map_or(h * w, Fourier::len);
        let colours = (paint.decorrelate && c == 3).then(|| colours(paint.bgr));
        Canvas { extents, fourier, colours, per_plane }
    }
    /// Numbers that say what one picture is.
    pub(crate) fn parameters(&self) -> usize {
        self.extents[0] * self.per_plane
    }
    /// Pixels of one picture, channels included.
    pub(crate) fn pixels(&self) -> usize {
        self.extents.iter().product()
    }
    /// A faint random beginning.
    pub(crate) fn begin(&self, seed: u64, key: u32) -> Vec<f32> {
        let mut stream = Stream::new(seed, 0, key, op::USER);
        (0..self.parameters()).map(|_| (0.01 * stream.normal()) as f32).collect()
    }
    /// The picture of these numbers, in 0..1.
    pub(crate) fn paint(&mut self, parameters: &[f32], out: &mut [f32]) {
        let plane = self.extents[1] * self.extents[2];
        match &mut self.fourier {
            Some(f) => {
                for (p, o) in parameters.chunks_exact(self.per_plane).zip(out.chunks_exact_mut(plane)) {
                    f.plane(p, o);
                }
            }
            None => out.copy_from_slice(parameters),
        }
        if let Some(m) = &self.colours {
            mix(out, |[a, b, c]| m.map(|r| r[0] * a + r[1] * b + r[2] * c));
        }
        out.iter_mut().for_each(|v| *v = sigmoid(*v));
    }
    /// The gradient by the numbers from that by the picture `pixels`; `d` is written over.
    pub(crate) fn pull(&mut self, pixels: &[f32], d: &mut [f32], out: &mut [f32]) {
        let plane = self.extents[1] * self.extents[2];
        d.iter_mut().zip(pixels).for_each(|(d, p)| *d *= p * (1.0 - p));
        if let Some(m) = &self.colours {
            mix(d, |[a, b, c]| [0, 1, 2].map(|j| m[0][j] * a + m[1][j] * b + m[2][j] * c));
        }
        match &mut self.fourier {
            Some(f) => {
                for (d, o) in d.chunks_exact(plane).zip(out.chunks_exact_mut(self.per_plane)) {
                    f.pull(d, o);
                }
            }
            None => out.copy_from_slice(d),
        }
    }
}

/// 1/(1 + e⁻ˣ), the same bits on every machine.
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

/// Changes the three colours of every place.
fn mix(planes: &mut [f32], f: impl Fn([f32; 3]) -> [f32; 3]) {
    let plane = planes.len() / 3;
    let (r, rest) = planes.split_at_mut(plane);
    let (g, b) = rest.split_at_mut(plane);
    for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
        [*r, *g, *b] = f([*r, *g, *b]);
    }
}
