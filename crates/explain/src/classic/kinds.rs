//! The classic filters by name, with the numbers that each takes.

use crate::filters::gabor;
use gabor_tensor::Rule;
use libm::{ceil, cos, exp, floor, sin};
use std::f64::consts::PI;

/// How a result becomes a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// Values are grey levels.
    Natural,
    /// Values lie about 0, which is middle grey.
    Signed,
    /// The size of the values: 0 is black.
    Magnitude,
}

impl Drawn {
    /// Every way with its name.
    pub const ALL: [(&'static str, Drawn); 3] =
        [("natural", Drawn::Natural), ("signed", Drawn::Signed), ("magnitude", Drawn::Magnitude)];
    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|d| d.1 == self).map_or("", |d| d.0)
    }
}

/// A classic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classic {
    /// A wave under a Gaussian envelope.
    Gabor,
    /// Blurs by a Gaussian.
    Gaussian,
    /// The mean of a square.
    Box,
    /// Blurs along a line.
    Motion,
    /// The gradient's size, or the gradient in one direction.
    Sobel,
    /// As Sobel, rounder.
    Scharr,
    /// As Sobel, without weights.
    Prewitt,
    /// The second derivative.
    Laplacian,
    /// The Laplacian of a Gaussian.
    Log,
    /// The centre against its eight neighbours.
    Edge,
    /// The picture and its negative Laplacian.
    Sharpen,
    /// The picture and what a Gaussian takes away.
    Unsharp,
    /// Light from one side.
    Emboss,
    /// The picture itself.
    Identity,
}

/// Numbers of a filter; `None` is the filter's own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassicNumbers {
    /// Rows and columns, odd.
    pub size: Option<usize>,
    /// Deviation of a Gaussian in pixels.
    pub sigma: Option<f64>,
    /// Direction in degrees, clockwise from the x axis.
    pub theta: Option<f64>,
    /// Pixels from stripe to stripe.
    pub wavelength: Option<f64>,
    /// Phase in degrees.
    pub phase: Option<f64>,
    /// How much shorter the envelope is along the stripes.
    pub aspect: Option<f64>,
    /// How much of the effect.
    pub amount: Option<f64>,
    /// Whether a Gabor filter gives 0 on a plain picture.
    pub zero_mean: bool,
}

/// A filter's weights.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassicFilter {
    /// Rows and columns.
    pub size: [usize; 2],
    /// The weights, row by row.
    pub weights: Vec<f64>,
    /// A second filter at right angles; the result is the root of the sum of both squares.
    pub second: Option<Vec<f64>>,
    /// How the result is drawn.
    pub drawn: Drawn,
    /// Whether each colour is filtered, and not the grey picture.
    pub colours: bool,
}

/// Most rows and columns.
const MOST: usize = 255;

type RowOf = (&'static str, Classic, &'static [&'static str], &'static str);

impl Classic {
    /// Every filter: its name, the numbers that it takes, and what it does.
    #[rustfmt::skip]
    pub const ALL: [RowOf; 14] = [
        ("gabor", Classic::Gabor, &["size", "sigma", "theta", "wavelength", "phase", "aspect", "zero-mean"], "stripes of one direction and width"),
        ("gaussian", Classic::Gaussian, &["size", "sigma"], "soft blur"),
        ("box", Classic::Box, &["size"], "mean of a square"),
        ("motion", Classic::Motion, &["size", "theta"], "blur along a line"),
        ("sobel", Classic::Sobel, &["size", "theta"], "size of the gradient; with theta, the gradient that way"),
        ("scharr", Classic::Scharr, &["theta"], "as sobel, the same in every direction"),
        ("prewitt", Classic::Prewitt, &["theta"], "as sobel, with equal weights"),
        ("laplacian", Classic::Laplacian, &[], "second derivative"),
        ("log", Classic::Log, &["size", "sigma"], "Laplacian of a Gaussian: spots of one size"),
        ("edge", Classic::Edge, &[], "a pixel against its eight neighbours"),
        ("sharpen", Classic::Sharpen, &["amount"], "crisper edges"),
        ("unsharp", Classic::Unsharp, &["size", "sigma", "amount"], "crisper edges of a width of one's own"),
        ("emboss", Classic::Emboss, &["amount"], "light from the top left"),
        ("identity", Classic::Identity, &[], "the picture itself"),
    ];
    /// The filter of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|k| k.0 == name).map(|k| k.1)
    }
    /// Its name.
    pub fn name(self) -> &'static str {
        self.row().0
    }
    /// The numbers that it takes.
    pub fn takes(self) -> &'static [&'static str] {
        self.row().2
    }
    fn row(self) -> &'static RowOf {
        Self::ALL.iter().find(|k| k.1 == self).unwrap_or(&Self::ALL[0])
    }

    /// The filter with these numbers.
    ///
    /// # Errors
    /// A number that it does not take, or one that makes no filter.
    pub fn filter(self, n: &ClassicNumbers) -> Result<ClassicFilter, Rule> {
        self.check(n)?;
        let size = n.size.unwrap_or(3);
        let square = |weights: Vec<f64>, size: usize, drawn: Drawn| ClassicFilter {
            size: [size, size],
            weights,
            second: None,
            drawn,
            colours: drawn == Drawn::Natural,
        };
        let amount = n.amount.unwrap_or(1.0);
        Ok(match self {
            Classic::Gabor => {
                let (sigma, aspect) = (n.sigma.unwrap_or(3.0), n.aspect.unwrap_or(0.5));
                // The envelope is longest along the stripes.
                let size = spanning(n.size, sigma, 1.0 / aspect.clamp(0.1, 1.0))?;
                let wave = n.wavelength.unwrap_or(8.0);
                let radians = |d: Option<f64>| d.unwrap_or(0.0) * PI / 180.0;
                let of = |wave, phase| gabor([size; 2], sigma, radians(n.theta), wave, aspect, phase);
                let mut w = of(wave, radians(n.phase));
                if n.zero_mean {
                    // The envelope's own part of the wave is taken away, and no more where the envelope ends: what is left
                    // is the wave less a constant under the same envelope (Lee 1996).
                    let envelope = of(f64::INFINITY, 0.0);
                    let part = w.iter().sum::<f64>() / envelope.iter().sum::<f64>();
                    w.iter_mut().zip(&envelope).for_each(|(w, e)| *w -= part * e);
                }
                square(w, size, Drawn::Signed)
            }
            Classic::Gaussian => {
                let (size, sigma) = gaussian_numbers(n)?;
                square(gaussian(size, sigma), size, Drawn::Natural)
            }
            Classic::Box => {
                let size = n.size.unwrap_or(5);
                square(vec![1.0 / (size * size) as f64; size * size], size, Drawn::Natural)
            }
            Classic::Motion => {
                let size = n.size.unwrap_or(15);
                square(line(size, n.theta.unwrap_or(0.0) * PI / 180.0), size, Drawn::Natural)
            }
            Classic::Sobel => {
                // Binomial numbers: of the gradient, and of the mean across it.
                let slope = convolved(&binomial(size - 2), &[-1.0, 0.0, 1.0]);
                gradient(&slope, &binomial(size), n.theta)
            }
            Classic::Scharr => gradient(&[-1.0, 0.0, 1.0], &[3.0, 10.0, 3.0], n.theta),
            Classic::Prewitt => gradient(&[-1.0, 0.0, 1.0], &[1.0, 1.0, 1.0], n.theta),
            Classic::Laplacian => square(vec![0., 1., 0., 1., -4., 1., 0., 1., 0.], 3, Drawn::Signed),
            Classic::Log => {
                let sigma = n.sigma.unwrap_or(2.0);
                let size = spanning(n.size, sigma, 1.35)?;
                square(log(size, sigma), size, Drawn::Signed)
            }
            Classic::Edge => square(vec![-1., -1., -1., -1., 8., -1., -1., -1., -1.], 3, Drawn::Magnitude),
            Classic::Sharpen => {
                let a = amount;
                square(vec![0., -a, 0., -a, 1.0 + 4.0 * a, -a, 0., -a, 0.], 3, Drawn::Natural)
            }
            Classic::Unsharp => {
                let (size, sigma) = gaussian_numbers(n)?;
                let mut w: Vec<f64> = gaussian(size, sigma).iter().map(|g| -amount * g).collect();
                w[size * size / 2] += 1.0 + amount;
                square(w, size, Drawn::Natural)
            }
            Classic::Emboss => {
                let a = amount;
                square(vec![-2. * a, -a, 0., -a, 1., a, 0., a, 2. * a], 3, Drawn::Natural)
            }
            Classic::Identity => square(vec![1.0], 1, Drawn::Natural),
        })
    }

    fn check(self, n: &ClassicNumbers) -> Result<(), Rule> {
        let given = [
            ("size", n.size.map(|s| s as f64)),
            ("sigma", n.sigma),
            ("theta", n.theta),
            ("wavelength", n.wavelength),
            ("phase", n.phase),
            ("aspect", n.aspect),
            ("amount", n.amount),
            ("zero-mean", n.zero_mean.then_some(1.0)),
        ];
        for (name, value) in given {
            let Some(v) = value else { continue };
            if !self.takes().contains(&name) {
                let right = match self.takes() {
                    [] => "none: its weights are fixed".to_string(),
                    all => all.join(", "),
                };
                return Err(Rule::new(format!("the filter {} takes no {name}", self.name())).right(right));
            }
            let bounds = match name {
                "sigma" => (0.1, 80.0),
                "wavelength" => (2.0, 1e4),
                "aspect" => (0.01, 100.0),
                "amount" => (0.0, 100.0),
                "size" => (
                    if self == Classic::Sobel { 3.0 } else { 1.0 },
                    if self == Classic::Sobel { 31.0 } else { MOST as f64 },
                ),
                _ => (-1e6, 1e6),
            };
            if !(bounds.0..=bounds.1).contains(&v) {
                return Err(Rule::new(format!("{name} {v}")).right(format!("from {} to {}", bounds.0, bounds.1)));
            }
        }
        if let Some(size) = n.size.filter(|s| s % 2 == 0) {
            let rule = Rule::new(format!("a filter of {size} rows has no middle"));
            return Err(rule.right(format!("an odd size such as {}", size + 1)));
        }
        Ok(())
    }
}

/// The size given, or an odd one of six deviations (as OpenCV takes it for pictures of bytes) of a filter that is `longer`
/// than its Gaussian.
fn spanning(size: Option<usize>, sigma: f64, longer: f64) -> Result<usize, Rule> {
    let wanted = size.unwrap_or((floor(sigma * longer * 6.0 + 1.5) as usize) | 1);
    if wanted > MOST {
        let with = if longer == 1.0 { String::new() } else { format!(" of a filter {longer:.3} times as long") };
        // In tenths, downwards: what is named must fit.
        let fits = floor((MOST as f64 - 0.5) / (6.0 * longer) * 10.0) / 10.0;
        return Err(Rule::new(format!("sigma {sigma}{with} wants {wanted} rows"))
            .right(format!("at most {MOST} rows: a sigma up to {fits}, or a size")));
    }
    Ok(wanted)
}

/// Size and deviation of a Gaussian, one from the other as OpenCV has it.
fn gaussian_numbers(n: &ClassicNumbers) -> Result<(usize, f64), Rule> {
    let of_size = |s: usize| 0.3 * ((s as f64 - 1.0) * 0.5 - 1.0) + 0.8;
    let sigma = n.sigma.or(n.size.map(of_size)).unwrap_or(2.0);
    Ok((spanning(n.size, sigma, 1.0)?, sigma))
}

fn gaussian(size: usize, sigma: f64) -> Vec<f64> {
    let middle = (size as f64 - 1.0) / 2.0;
    let one: Vec<f64> = (0..size).map(|i| exp(-(i as f64 - middle).powi(2) / (2.0 * sigma * sigma))).collect();
    let sum: f64 = one.iter().sum();
    one.iter().flat_map(|a| one.iter().map(move |b| a * b / (sum * sum))).collect()
}

/// The Laplacian of a Gaussian, times σ² so that its size does not depend on it; its weights give 0 on a plain picture.
fn log(size: usize, sigma: f64) -> Vec<f64> {
    let middle = (size as f64 - 1.0) / 2.0;
    let at = |i: usize| {
        let q = (((i % size) as f64 - middle).powi(2) + ((i / size) as f64 - middle).powi(2)) / (2.0 * sigma * sigma);
        (q - 1.0) * exp(-q) / (PI * sigma * sigma)
    };
    let all: Vec<f64> = (0..size * size).map(at).collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    all.iter().map(|v| v - mean).collect()
}

/// A line through the middle, divided among the pixels that it passes between.
fn line(size: usize, theta: f64) -> Vec<f64> {
    let mut out = vec![0.0; size * size];
    let middle = (size as f64 - 1.0) / 2.0;
    let points = 8 * (size - 1) + 1;
    for i in 0..points {
        let t = if points > 1 { (i as f64 / (points - 1) as f64 - 0.5) * (size as f64 - 1.0) } else { 0.0 };
        let (x, y) = (middle + t * cos(theta), middle + t * sin(theta));
        // Directions along an axis are exact, but for the last bit.
        let whole = |v: f64| if (v - v.round()).abs() < 1e-9 { v.round() } else { v };
        let (x, y) = (whole(x), whole(y));
        for (px, py) in [(floor(x), floor(y)), (ceil(x), floor(y)), (floor(x), ceil(y)), (ceil(x), ceil(y))] {
            let part = (1.0 - (x - px).abs()) * (1.0 - (y - py).abs());
            // Where both ends are one pixel it must not count twice.
            let doubled = if floor(x) == ceil(x) { 2.0 } else { 1.0 } * if floor(y) == ceil(y) { 2.0 } else { 1.0 };
            let (c, r) = (px as usize, py as usize);
            if px >= 0.0 && py >= 0.0 && c < size && r < size {
                out[r * size + c] += part / doubled;
            }
        }
    }
    let sum: f64 = out.iter().sum();
    out.iter().map(|v| v / sum).collect()
}

fn binomial(size: usize) -> Vec<f64> {
    (1..size).fold(vec![1.0], |row, _| convolved(&row, &[1.0, 1.0]))
}

fn convolved(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; a.len() + b.len() - 1];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            out[i + j] += x * y;
        }
    }
    out
}

/// A gradient from its slope and its mean across: in one direction, or both for its size.
fn gradient(slope: &[f64], mean: &[f64], theta: Option<f64>) -> ClassicFilter {
    let n = slope.len();
    let across: Vec<f64> = mean.iter().flat_map(|m| slope.iter().map(move |s| m * s)).collect();
    let down: Vec<f64> = slope.iter().flat_map(|s| mean.iter().map(move |m| m * s)).collect();
    let size = [n, n];
    match theta {
        None => ClassicFilter { size, weights: across, second: Some(down), drawn: Drawn::Magnitude, colours: false },
        Some(degrees) => {
            let (s, c) = (sin(degrees * PI / 180.0), cos(degrees * PI / 180.0));
            // A quarter turn is one, but for the last bit.
            let whole = |v: f64| if v.abs() < 1e-12 { 0.0 } else { v };
            let weights = across.iter().zip(&down).map(|(a, d)| whole(c) * a + whole(s) * d).collect();
            ClassicFilter { size, weights, second: None, drawn: Drawn::Signed, colours: false }
        }
    }
}

impl ClassicFilter {
    /// A filter of one's own: drawn about middle grey if its weights give 0 on a plain picture, else as it is.
    ///
    /// # Errors
    /// No weights, more than 255 rows or columns, or another number of weights than that.
    pub fn custom(size: [usize; 2], weights: Vec<f64>) -> Result<Self, Rule> {
        if weights.is_empty() || size[0] * size[1] != weights.len() || size[0].max(size[1]) > MOST {
            let rule = Rule::new(format!("a filter of {} × {} with {} weights", size[0], size[1], weights.len()));
            return Err(rule.right(format!("1 to {MOST} rows and columns, all of one length")));
        }
        if let Some(w) = weights.iter().find(|w| !(**w as f32).is_finite()) {
            return Err(Rule::new(format!("a weight of {w}")).right("numbers of single precision, up to 3.4e38"));
        }
        let (sum, sizes) = weights.iter().fold((0.0, 0.0), |(s, a), w| (s + w, a + w.abs()));
        let drawn = if sum.abs() <= 1e-6 * sizes { Drawn::Signed } else { Drawn::Natural };
        Ok(ClassicFilter { size, weights, second: None, drawn, colours: drawn == Drawn::Natural })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Classic, n: ClassicNumbers) -> ClassicFilter {
        kind.filter(&n).unwrap()
    }

    #[test]
    fn weights_that_textbooks_print() {
        let n = ClassicNumbers::default();
        assert_eq!(of(Classic::Sobel, n).weights, [-1., 0., 1., -2., 0., 2., -1., 0., 1.]);
        assert_eq!(of(Classic::Sobel, n).second.unwrap(), [-1., -2., -1., 0., 0., 0., 1., 2., 1.]);
        let five = of(Classic::Sobel, ClassicNumbers { size: Some(5), theta: Some(0.0), ..n });
        assert_eq!(five.weights[..5], [-1., -2., 0., 2., 1.]);
        assert_eq!(five.weights[10..15], [-6., -12., 0., 12., 6.]);
        assert_eq!(of(Classic::Sharpen, n).weights, [0., -1., 0., -1., 5., -1., 0., -1., 0.]);
        assert_eq!(of(Classic::Emboss, n).weights, [-2., -1., 0., -1., 1., 1., 0., 1., 2.]);
        let motion = of(Classic::Motion, ClassicNumbers { size: Some(5), ..n });
        assert!(motion.weights[10..15].iter().all(|w| *w > 0.1) && motion.weights[..10].iter().all(|w| *w == 0.0));
    }

    #[test]
    fn sums_are_what_the_drawing_expects() {
        for (name, kind, ..) in Classic::ALL {
            let f = of(kind, ClassicNumbers::default());
            let sum: f64 = f.weights.iter().sum();
            match f.drawn {
                Drawn::Natural => assert!((sum - 1.0).abs() < 1e-9, "{name}: {sum}"),
                _ if kind == Classic::Gabor => {}
                _ => assert!(sum.abs() < 1e-9, "{name}: {sum}"),
            }
            assert_eq!(f.weights.len(), f.size[0] * f.size[1]);
            assert_eq!((Classic::by_name(name), kind.name()), (Some(kind), name));
        }
        // Of a line in any direction all parts are there.
        for theta in 0..36 {
            let f = of(Classic::Motion, ClassicNumbers { theta: Some(f64::from(theta) * 10.0), ..Default::default() });
            assert!((f.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    /// As OpenCV makes it a Gabor filter answers to light alone; less its envelope's part it does not, at its edges least of all.
    #[test]
    fn a_gabor_filter_may_be_blind_to_light() {
        let n = ClassicNumbers { theta: Some(30.0), phase: Some(20.0), ..Default::default() };
        let (usual, blind) = (of(Classic::Gabor, n), of(Classic::Gabor, ClassicNumbers { zero_mean: true, ..n }));
        let sum = |f: &ClassicFilter| f.weights.iter().sum::<f64>();
        assert!(sum(&usual).abs() > 0.1 && sum(&blind).abs() < 1e-12, "{} {}", sum(&usual), sum(&blind));
        let middle = usual.weights.len() / 2;
        let moved: Vec<f64> = usual.weights.iter().zip(&blind.weights).map(|(a, b)| (a - b).abs()).collect();
        assert!(moved[0] < 1e-3 * moved[middle] && moved[middle] > 0.0);
    }

    #[test]
    fn numbers_that_a_filter_does_not_take_are_refused() {
        let says = |kind: Classic, n: ClassicNumbers| kind.filter(&n).unwrap_err().to_string();
        let n = ClassicNumbers::default();
        assert_eq!(
            says(Classic::Sobel, ClassicNumbers { sigma: Some(2.0), ..n }),
            "the filter sobel takes no sigma; right would be: size, theta"
        );
        assert!(says(Classic::Edge, ClassicNumbers { size: Some(3), ..n }).contains("none: its weights are fixed"));
        assert!(says(Classic::Box, ClassicNumbers { size: Some(4), ..n }).contains("an odd size such as 5"));
        assert!(
            says(Classic::Gaussian, ClassicNumbers { sigma: Some(0.0), ..n })
                .contains("sigma 0; right would be: from 0.1")
        );
        assert!(says(Classic::Gaussian, ClassicNumbers { sigma: Some(f64::NAN), ..n }).contains("NaN"));
        let wide = |kind, sigma| says(kind, ClassicNumbers { sigma: Some(sigma), ..n });
        assert_eq!(
            wide(Classic::Gaussian, 70.0),
            "sigma 70 wants 421 rows; right would be: at most 255 rows: a sigma up to 42.4, or a size"
        );
        // The sigma that was given, not that of the longer filter; and what is named as right is right.
        assert!(wide(Classic::Gabor, 30.0).starts_with("sigma 30 of a filter 2.000 times as long wants 361 rows"));
        for (kind, fits) in [(Classic::Gaussian, 42.4), (Classic::Gabor, 21.2), (Classic::Log, 31.4)] {
            assert!(wide(kind, 50.0).contains(&format!("a sigma up to {fits}, ")), "{kind:?}");
            kind.filter(&ClassicNumbers { sigma: Some(fits), ..n }).unwrap();
        }
        assert!(ClassicFilter::custom([2, 2], vec![1.0]).is_err());
        assert_eq!(ClassicFilter::custom([1, 3], vec![-1.0, 0.0, 1.0]).unwrap().drawn, Drawn::Signed);
        assert_eq!(ClassicFilter::custom([1, 2], vec![0.5, 0.5]).unwrap().drawn, Drawn::Natural);
    }
}
