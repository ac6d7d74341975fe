//! Landscapes and ways: slopes against differences, rules against the lectures by hand.

use gabor::cpu::CpuBackend;
use gabor::prelude::*;
use gabor::surface::{
    EXAMPLES, Function, LECTURE, Landscape, Perceptron, RateSchedule, Slice, SliceOptions, Surface, Training, Way,
    walk, walker,
};

fn way(start: [f64; 2], rate: f64, steps: usize) -> Way {
    Way { start, rate, schedule: RateSchedule::Constant, steps }
}

/// Slopes against central differences.
fn agrees(land: &mut dyn Landscape, places: &[[f64; 2]], by: f64, within: f64, what: &str) {
    for &p in places {
        let (height, slope) = land.slope(p).unwrap();
        let same = land.heights(&[p]).unwrap()[0];
        assert!((height - same).abs() <= 1e-5 * height.abs().max(1.0), "{what}: {height}, {same}");
        for c in 0..2 {
            let moved = |d: f64| if c == 0 { [p[0] + d, p[1]] } else { [p[0], p[1] + d] };
            let ends = land.heights(&[moved(by), moved(-by)]).unwrap();
            let difference = (ends[0] - ends[1]) / (2.0 * by);
            let size = slope[0].hypot(slope[1]).max(1.0);
            assert!(
                (slope[c] - difference).abs() <= within * size,
                "{what} at {p:?}: {slope:?}, differences {difference}"
            );
        }
    }
}

#[test]
fn functions_have_their_slopes_and_minima() {
    let backend = CpuBackend::default();
    for (name, _) in EXAMPLES {
        let mut f = Function::new(&backend, name).unwrap();
        agrees(&mut f, &[[0.3, -0.4], [-0.7, 0.9], [1.1, 0.2]], 1e-2, 2e-2, name);
        for m in f.minima.clone() {
            let (height, slope) = f.slope(m).unwrap();
            assert!(slope[0].hypot(slope[1]) < 1e-2, "{name}: {slope:?} at {m:?}");
            for d in [[0.05, 0.0], [-0.05, 0.0], [0.0, 0.05], [0.0, -0.05]] {
                assert!(f.heights(&[[m[0] + d[0], m[1] + d[1]]]).unwrap()[0] > height - 1e-6, "{name}");
            }
        }
        let [x, y] = f.bounds;
        assert!((x[0]..x[1]).contains(&f.start[0]) && (y[0]..y[1]).contains(&f.start[1]), "{name}");
    }
    // (1 − 0)² + 100·(1 − 0)² and (1.5)² + (2.25)² + (2.625)².
    assert_eq!(Function::new(&backend, "rosenbrock").unwrap().heights(&[[0.0, 1.0]]).unwrap(), [101.0]);
    assert_eq!(Function::new(&backend, "beale").unwrap().heights(&[[0.0, 5.0]]).unwrap(), [14.203125]);
    let e = Function::new(&backend, "bowl").err().unwrap().to_string();
    assert!(e.contains("there is no example `bowl`; right would be: perceptron, quadratic"), "{e}");
}

#[test]
fn ways_follow_the_lectures_rules() {
    let backend = CpuBackend::default();
    let mut f = Function::new(&backend, "quadratic").unwrap();
    let mut go = |name: &str, schedule| {
        let w = walker(name, 0.5).unwrap();
        walk(&backend, &mut f, &w, &Way { schedule, ..way([2.0, 0.1], 0.05, 40) }, &mut || {}).unwrap()
    };
    let constant = RateSchedule::Constant;
    // The slope of ½(x² + 20y²) is (x, 20y): by hand, at η = 0.05.
    let sgd = go("sgd", constant);
    let near = |a: [f64; 2], b: [f64; 2]| assert!((a[0] - b[0]).hypot(a[1] - b[1]) < 1e-6, "{a:?}, {b:?}");
    near(sgd.places[1], [1.9, 0.0]);
    near(sgd.places[2], [1.805, 0.0]);
    // v₁ = (2, 2), w₁ = (1.9, 0); v₂ = ½v₁ + (1.9, 0) = (2.9, 1), w₂ = (1.755, −0.05).
    let momentum = go("momentum", constant);
    near(momentum.places[2], [1.755, -0.05]);
    // Nesterov's first step takes η(g + μg).
    near(go("nesterov", constant).places[1], [1.85, -0.05]);
    // The average of gradients: the first step takes all, the second half of each.
    near(go("averaged", constant).places[2], [1.9 - 0.05 * (0.5 * 1.9 + 0.5 * 2.0), -0.05]);
    near(go("adam", constant).places[1], [1.95, 0.05]);
    assert_eq!(sgd.heights.len(), 41);
    assert!((sgd.heights[0] - 2.1).abs() < 1e-6 && sgd.heights[40] < 0.05);
    // Both forms of momentum are one way while the rate is constant, and two when it falls.
    let inside = go("momentum-inside", constant);
    for (a, b) in momentum.places.iter().zip(&inside.places) {
        near(*a, *b);
    }
    let [out, inner] = ["momentum", "momentum-inside"].map(|n| go(n, RateSchedule::InverseRoot));
    near(out.places[1], inner.places[1]);
    assert!((out.places[5][0] - inner.places[5][0]).abs() > 1e-3);
    assert!(walker("sdg", 0.9).unwrap_err().to_string().contains("right would be: sgd, momentum"));
    assert!(walker("momentum", 1.0).is_err());
    // One that runs away is given up.
    let wild = walk(&backend, &mut f, &walker("sgd", 0.9).unwrap(), &way([2.0, 0.1], 9.0, 500), &mut || {}).unwrap();
    assert!(wild.places.len() < 30 && wild.places.len() == wild.heights.len());
}

#[test]
fn the_perceptron_by_hand() {
    let backend = CpuBackend::default();
    let sgd = walker("sgd", 0.9).unwrap();
    let training = |rate, together, steps| Training {
        samples: &LECTURE,
        start: 0.0,
        walker: &sgd,
        rate: (rate, RateSchedule::Constant),
        steps,
        together,
    };
    let p = Perceptron::train(&backend, &training(0.01, false, 4)).unwrap();
    // Σxy = 101 + 3.8 + 11.9 + 1.1, Σx² = 100 + 4 + 12.25 + 1.
    assert!((p.least_squares - 117.8 / 117.25).abs() < 1e-12 && (p.limit - 2.0 / 117.25).abs() < 1e-12);
    let s = &p.steps;
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a}, by hand {b}");
    // ŷ = 0, L = ½·10.1², dL/dw = −10.1·10, w = 0 + 0.01·101.
    for (a, b) in [(s[0].predicted.unwrap(), 0.0), (s[0].loss, 51.005), (s[0].gradient, -101.0), (s[0].after, 1.01)] {
        close(a, b);
    }
    // ŷ = 2.02, L = ½·0.12², dL/dw = 0.12·2, w = 1.01 − 0.0024.
    for (a, b) in [(s[1].predicted.unwrap(), 2.02), (s[1].loss, 0.0072), (s[1].gradient, 0.24), (s[1].after, 1.0076)] {
        close(a, b);
    }
    close(s[3].total, p.loss(s[3].after));
    let all = Perceptron::train(&backend, &training(0.005, true, 60)).unwrap();
    close(all.steps[0].gradient, -117.8);
    close(all.steps[59].after, all.least_squares);
    // The lecture's rule without a rate runs away at once, and the sample (1, 1.1) brings w back to 1.1: 1 − x² is 0.
    let wild = Perceptron::train(&backend, &training(1.0, false, 30)).unwrap();
    assert!(wild.steps[2].total > 1e6);
    assert!((wild.steps[3].after - 1.1).abs() < 1e-3);
    assert!(Perceptron::train(&backend, &Training { samples: &[[0.0, 1.0]], ..training(0.1, true, 1) }).is_err());
    let svg = p.curve("a", "b").to_svg();
    assert!(svg.contains("1.01000") && svg.contains("least squares 1.0047"));
}

#[test]
fn a_slice_through_a_network() {
    let data = gabor::data::digits().evaluation().unwrap().1.clone();
    let net = network("INPUT 1x8x8 -> conv3-4 relu maxpool -> FC-16 relu -> FC-10", &Default::default()).unwrap();
    let preprocessing = Preprocessing::for_dataset(&*data, [1, 8, 8]).unwrap();
    let weights = net.initialize(3).unwrap();
    let mut model = Model::of_network(&net, weights, preprocessing, data.classes().to_vec()).unwrap();
    let options = SliceOptions { samples: data.len(), seed: 1 };
    let mut slice = Slice::new(&model, data.clone(), &options).unwrap();
    let own = slice.heights(&[[0.0, 0.0]]).unwrap()[0];
    let eval = model.eval(data.clone(), &Default::default()).unwrap();
    assert!((own - eval.loss).abs() < 1e-5, "{own}, evaluated {}", eval.loss);
    agrees(&mut slice, &[[0.4, -0.3], [-0.8, 0.6]], 3e-3, 2e-2, "slice");
    let grid = Surface::measure(&mut slice, [[-1.0, 1.0]; 2], 5, &mut |_| {}).unwrap();
    assert!((grid.heights[12] - own).abs() < 1e-6 && grid.heights.iter().all(|h| h.is_finite()));
    assert!(Surface::measure(&mut slice, [[-1.0, 1.0]; 2], 1, &mut |_| {}).is_err());
    let other = Slice::new(&model, data.clone(), &SliceOptions { seed: 2, ..options }).unwrap().heights(&[[0.5, 0.0]]);
    assert_ne!(other.unwrap()[0], slice.heights(&[[0.5, 0.0]]).unwrap()[0]);
    // More pictures than are run at once.
    assert!(data.len() > 100);
    let (height, slope) = slice.slope([0.3, -0.2]).unwrap();
    let alone = slice.heights(&[[0.3, -0.2]]).unwrap()[0];
    assert!((height - alone).abs() < 1e-6, "{height}, by itself {alone}");
    let one = CpuBackend::new(gabor::cpu::CpuOptions { threads: Some(1), ..Default::default() }).unwrap();
    let model = model.on(std::sync::Arc::new(one));
    let mut other = Slice::new(&model, data.clone(), &options).unwrap();
    assert_eq!(other.slope([0.3, -0.2]).unwrap(), (height, slope), "the same bits on one thread");
    // Downhill on the slice.
    let sgd = walker("sgd", 0.9).unwrap();
    let down = walk(&CpuBackend::default(), &mut slice, &sgd, &way([-0.8, 0.6], 0.02, 12), &mut || {}).unwrap();
    assert!(down.heights[12] < down.heights[0], "{:?}", down.heights);
    assert!(Slice::new(&model, data, &SliceOptions { samples: 0, ..Default::default() }).is_err());
}
