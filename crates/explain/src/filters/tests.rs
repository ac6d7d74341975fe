use super::shape::{GAMMA, LAMBDA, Numbers, PSI, SIGMA, THETA, X, Y, free, value};
use super::*;
use gabor_tensor::Stream;

const KINDS: [FilterKind; 5] =
    [FilterKind::Gabor, FilterKind::Step, FilterKind::Ridge, FilterKind::CentreSurround, FilterKind::Gaussian];

/// A shape in several channels with noise of that part of its deviation.
fn made(kind: FilterKind, n: &Numbers, channels: &[f64], size: usize, noise: f64, seed: u64) -> Vec<f32> {
    let mut random = Stream::new(seed, 0, 0, 7);
    let mut d = [0.0; 7];
    let middle = (size as f64 - 1.0) / 2.0;
    let at = |i: usize, d: &mut Numbers| value(kind, n, (i % size) as f64 - middle, (i / size) as f64 - middle, d);
    let plane: Vec<f64> = (0..size * size).map(|i| at(i, &mut d)).collect();
    let energy: f64 = plane.iter().map(|v| v * v).sum::<f64>() * channels.iter().map(|c| c * c).sum::<f64>();
    let deviation = noise * (energy / (plane.len() * channels.len()) as f64).sqrt();
    channels
        .iter()
        .flat_map(|c| plane.iter().map(move |v| c * v))
        .map(|v| (v + deviation * random.normal()) as f32)
        .collect()
}

fn numbers(x: f64, y: f64, sigma: f64, theta: f64, gamma: f64, lambda: f64, psi: f64) -> Numbers {
    let mut n = [0.0; 7];
    (n[X], n[Y], n[SIGMA], n[THETA]) = (x, y, sigma.ln(), theta.to_radians());
    (n[GAMMA], n[LAMBDA], n[PSI]) = (gamma.ln(), lambda.ln(), psi.to_radians());
    n
}

fn apart(a: f64, b: f64, turn: f64) -> f64 {
    let d = (a - b).rem_euclid(turn);
    d.min(turn - d)
}

#[test]
fn slopes_are_those_of_differences() {
    let n = numbers(0.3, -0.4, 2.1, 33.0, 0.7, 5.0, 40.0);
    for kind in KINDS {
        for (x, y) in [(1.0, -2.0), (-2.5, 0.5), (0.0, 0.0)] {
            let (mut d, mut unused) = ([0.0; 7], [0.0; 7]);
            value(kind, &n, x, y, &mut d);
            for k in free(kind, [9, 9]) {
                let moved = |by: f64, d: &mut Numbers| {
                    let mut m = n;
                    m[k] += by;
                    value(kind, &m, x, y, d)
                };
                let slope = (moved(1e-5, &mut unused) - moved(-1e-5, &mut unused)) / 2e-5;
                assert!((slope - d[k]).abs() < 1e-8, "{kind:?} by {k}: {slope} {}", d[k]);
            }
        }
    }
}

/// Of filters along a line, too: a wave with its length and phase, a step, a ridge, a soft spot.
#[test]
fn filters_along_a_line() {
    let along = |kind: FilterKind, n: &Numbers, width: usize| -> Vec<f32> {
        let mut d = [0.0; 7];
        let middle = (width as f64 - 1.0) / 2.0;
        let mut random = Stream::new(5, 0, 0, 7);
        (0..width).map(|i| (value(kind, n, i as f64 - middle, 0.0, &mut d) + 0.01 * random.normal()) as f32).collect()
    };
    for (lambda, sigma, psi, x) in [(6.0, 4.0, 30.0, 1.0), (11.0, 5.0, -80.0, -2.0), (3.5, 3.0, 160.0, 0.5)] {
        let v = along(FilterKind::Gabor, &numbers(x, 0.0, sigma, 0.0, 1.0, lambda, psi), 31);
        let fit = nearest(&v, 1, [1, 31], 1.0).unwrap();
        assert!(fit.kind == FilterKind::Gabor && fit.r2 > 0.97, "{fit:?}");
        assert!(
            (fit.wavelength.unwrap() / lambda - 1.0).abs() < 0.05 && (fit.sigma.unwrap() / sigma - 1.0).abs() < 0.1
        );
        // Phase and place go together: where the wave's crest lies is what counts.
        let crest = |x: f64, psi: f64, lambda: f64| x + psi / 360.0 * lambda;
        let [cx, cy] = fit.centre.unwrap();
        let off = apart(crest(cx, fit.phase.unwrap(), fit.wavelength.unwrap()), crest(x, psi, lambda), lambda);
        assert!(off < 0.2 && cy == 0.0, "{fit:?}");
        assert_eq!((fit.orientation, fit.aspect, fit.values.len()), (None, None, 31));
    }
    for kind in [FilterKind::Step, FilterKind::Ridge, FilterKind::Gaussian] {
        let fit = nearest(&along(kind, &numbers(0.7, 0.0, 2.5, 0.0, 1.0, 5.0, 0.0), 15), 1, [1, 15], 1.0).unwrap();
        assert!(fit.kind == kind && fit.r2 > 0.97, "{kind:?}: {fit:?}");
        assert!((fit.sigma.unwrap() / 2.5 - 1.0).abs() < 0.1 && (fit.centre.unwrap()[0] - 0.7).abs() < 0.2, "{fit:?}");
    }
    // Three channels along a line are no colours.
    let soft = along(FilterKind::Gaussian, &numbers(0.0, 0.0, 2.0, 0.0, 1.0, 5.0, 0.0), 9);
    let three: Vec<f32> = [1.0, -1.0, 0.2].iter().flat_map(|c| soft.iter().map(move |v| c * v)).collect();
    assert_eq!(nearest(&three, 3, [1, 9], 1.0).unwrap().kind, FilterKind::Gaussian);
    let noise: Vec<f32> = {
        let mut r = Stream::new(9, 0, 0, 7);
        (0..80).map(|_| r.normal() as f32).collect()
    };
    let fit = nearest(&noise, 1, [1, 80], 1.0).unwrap();
    assert!(fit.is_weak() && fit.values.len() == 80, "{fit:?}");
    assert!(nearest(&[1.0, 2.0, 1.0, 0.0], 1, [1, 4], 1.0).is_none() && nearest(&[1.0; 6], 1, [2, 3], 1.0).is_none());
}

/// Known numbers are found again under noise, and kinds told apart.
#[test]
fn known_filters_are_found_again() {
    let mut random = Stream::new(3, 0, 0, 1);
    let mut right = 0;
    let mut all = 0;
    for trial in 0..60 {
        let kind = KINDS[trial % 5];
        let size = [7, 9, 11][trial / 5 % 3];
        let gabor = kind == FilterKind::Gabor;
        let sigma = size as f64 * random.range(0.17, 0.24);
        let lambda = if gabor { sigma * random.range(1.6, 2.4) } else { 5.0 };
        let gamma = if kind == FilterKind::CentreSurround { 1.0 } else { random.range(0.55, 0.8) };
        let (x, y) = (random.range(-0.8, 0.8), random.range(-0.8, 0.8));
        let psi = if gabor { random.range(-180.0, 180.0) } else { 0.0 };
        let n = numbers(x, y, sigma, random.range(0.0, 180.0), gamma, lambda, psi);
        let grey = trial % 2 == 0;
        let channels: &[f64] = if grey { &[0.7] } else { &[0.5, 0.4, 0.3] };
        let fit =
            nearest(&made(kind, &n, channels, size, 0.15, trial as u64), channels.len(), [size, size], 1.0).unwrap();
        all += 1;
        assert!(fit.r2 > 0.9, "{trial} {kind:?} {fit:?}");
        if fit.kind != kind {
            continue;
        }
        right += 1;
        let what = format!("{trial} {kind:?} σ {sigma} λ {lambda} {n:?}: {fit:?}");
        let centre = fit.centre.unwrap_or([f64::NAN; 2]);
        assert!((centre[0] - x).hypot(centre[1] - y) < 0.5, "{what}");
        assert!((fit.sigma.unwrap() / sigma).ln().abs() < 0.2, "{what}");
        if kind != FilterKind::CentreSurround {
            assert!(fit.orientation.is_none_or(|o| apart(o, n[THETA].to_degrees(), 180.0) < 8.0), "{what}");
            assert!(fit.aspect.is_none_or(|a| (a / gamma).ln().abs() < 0.3), "{what}");
        }
        if gabor {
            assert!((fit.wavelength.unwrap() / lambda).ln().abs() < 0.1, "{what}");
            // The phase is one at the middle that was found, and turns with the direction of the wave.
            assert!(fit.phase.is_some() && fit.orientation.is_some(), "{what}");
        }
        assert_eq!(fit.values.len(), channels.len() * size * size);
    }
    assert!(right * 10 >= all * 9, "{right} of {all}");
}

#[test]
fn phases_are_found_again_in_the_middle() {
    for (theta, psi) in [(0.0, 0.0), (30.0, 60.0), (90.0, -90.0), (150.0, 120.0), (75.0, 170.0)] {
        let n = numbers(0.0, 0.0, 2.2, theta, 0.7, 4.6, psi);
        let fit = nearest(&made(FilterKind::Gabor, &n, &[1.0], 11, 0.02, 5), 1, [11, 11], 1.0).unwrap();
        assert_eq!(fit.kind, FilterKind::Gabor);
        assert!(apart(fit.orientation.unwrap(), theta, 180.0) < 1.5, "{fit:?}");
        // Turned by half a circle the phase is its negative; and a middle off by a little moves it.
        let turned = apart(fit.orientation.unwrap(), theta, 360.0) > 90.0;
        let at = fit.phase.unwrap();
        assert!(apart(at, if turned { -psi } else { psi }, 360.0) < 12.0, "{theta} {psi} {fit:?}");
        // The public shape with these numbers is the filter again.
        let again = gabor([11, 11], 2.2, f64::to_radians(theta), 4.6, 0.7, f64::to_radians(psi));
        let dot: f64 = again.iter().zip(&fit.values).map(|(a, &b)| a * f64::from(b)).sum();
        let size: f64 = again.iter().map(|a| a * a).sum::<f64>().sqrt()
            * fit.values.iter().map(|&b| f64::from(b * b)).sum::<f64>().sqrt();
        assert!(dot / size > 0.995, "{}", dot / size);
    }
}

#[test]
fn spots_have_colours() {
    let n = numbers(0.0, 0.0, 1.8, 0.0, 1.0, 5.0, 0.0);
    let of = |channels: &[f64]| nearest(&made(FilterKind::Gaussian, &n, channels, 7, 0.1, 2), 3, [7, 7], 1.0).unwrap();
    let (grey, red) = (of(&[0.5, 0.55, 0.5]), of(&[0.8, -0.4, -0.3]));
    assert_eq!((grey.kind, red.kind), (FilterKind::Gaussian, FilterKind::ColourBlob));
    assert!(red.channels[0] > 0.0 && red.channels[1] < 0.0 && red.orientation.is_none());
    assert!((red.sigma.unwrap() - 1.8).abs() < 0.15);
}

#[test]
fn nothing_is_claimed_of_what_is_not_there() {
    let dead = nearest(&[0.0; 75], 3, [5, 5], 1.0).unwrap();
    assert_eq!((dead.kind, dead.r2, dead.values.len()), (FilterKind::Dead, 0.0, 0));
    assert_eq!(nearest(&[1e-8; 75], 3, [5, 5], 1.0).unwrap().kind, FilterKind::Dead);
    assert_eq!(nearest(&[f32::NAN; 25], 1, [5, 5], 1.0).unwrap().kind, FilterKind::NotFinite);
    // Of noise, too, there is a nearest shape, which explains little and says so.
    let mut random = Stream::new(1, 0, 0, 0);
    let noise = |n: usize, r: &mut Stream| -> Vec<f32> { (0..n).map(|_| r.normal() as f32).collect() };
    for _ in 0..20 {
        let fit = nearest(&noise(363, &mut random), 3, [11, 11], 1.0).unwrap();
        assert!(fit.is_weak() && fit.r2 > 0.0 && fit.values.len() == 363, "{fit:?}");
        // The shape's own numbers are there, whether noise determines them or not.
        assert!(fit.shape.sigma.is_some() && fit.shape.centre.is_some(), "{fit:?}");
        assert!(!matches!(fit.kind, FilterKind::Dead | FilterKind::NotFinite) && fit.channels.len() == 3, "{fit:?}");
    }
    let word = |r2: f64| FilterFit { kind: FilterKind::Step, r2, ..dead.clone() }.word();
    assert_eq!(([0.1, 0.5, 0.9].map(word), dead.word()), (["weak", "fair", "good"], ""));
    assert!(nearest(&[1.0; 4], 1, [1, 1], 1.0).is_none() && nearest(&[1.0; 4], 4, [1, 1], 1.0).is_none());
    assert!(nearest(&[1.0; 8], 1, [3, 3], 1.0).is_none());
}

#[test]
fn small_filters_claim_little() {
    let step = nearest(&[-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0], 1, [3, 3], 1.0).unwrap();
    assert_eq!(step.kind, FilterKind::Step);
    assert!(apart(step.orientation.unwrap(), 0.0, 180.0) < 1.0 && step.r2 > 0.98, "{step:?}");
    assert_eq!((step.wavelength, step.phase, step.aspect, step.centre), (None, None, None, None));
    let spot = nearest(&[0.0, -1.0, 0.0, -1.0, 4.0, -1.0, 0.0, -1.0, 0.0], 1, [3, 3], 1.0).unwrap();
    assert_eq!(spot.kind, FilterKind::CentreSurround, "{spot:?}");
    let soft = nearest(&[1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0], 1, [3, 3], 1.0).unwrap();
    assert_eq!((soft.kind, soft.orientation), (FilterKind::Gaussian, None));
    assert!((soft.sigma.unwrap() - 0.85).abs() < 0.05, "{soft:?}");
    let line = nearest(&[-1.0, -1.0, -1.0, 2.0, 2.0, 2.0, -1.0, -1.0, -1.0], 1, [3, 3], 1.0).unwrap();
    assert_eq!(line.kind, FilterKind::Ridge);
    assert!(apart(line.orientation.unwrap(), 90.0, 180.0) < 1.0);
    // A constant is a spot without a size.
    let flat = nearest(&[1.0; 25], 1, [5, 5], 1.0).unwrap();
    assert_eq!((flat.kind, flat.sigma), (FilterKind::Gaussian, None));
    assert!(flat.shape.sigma.unwrap() > 5.0 && flat.shape.wavelength.is_none(), "{flat:?}");
}
