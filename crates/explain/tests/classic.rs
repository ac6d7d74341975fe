//! Classic filters against OpenCV's (`make_opencv.py`): the weights, and what they make of a picture.

use gabor_cpu::CpuBackend;
use gabor_explain::classic::{Border, Classic, ClassicNumbers, Filtering};

const H: usize = 11;
const W: usize = 14;

fn floats(text: &str) -> Vec<f64> {
    text.split_whitespace().map(|v| v.parse().unwrap()).collect()
}

#[test]
fn kernels_and_pictures_are_opencvs() {
    let picture: Vec<u8> = (0..H * W).map(|i| ((7 * i * i + 13 * i) % 251) as u8).collect();
    let backend = CpuBackend::default();
    let mut cases = 0;
    for line in include_str!("golden/opencv.txt").lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, numbers, border, rows, kernel, result] = fields[..] else { panic!("{line}") };
        let mut n = ClassicNumbers::default();
        for pair in numbers.split_whitespace() {
            let (key, value) = pair.split_once('=').unwrap();
            let float = || Some(value.parse::<f64>().unwrap());
            match key {
                "size" => n.size = Some(value.parse().unwrap()),
                "sigma" => n.sigma = float(),
                "theta" => n.theta = float(),
                "wavelength" => n.wavelength = float(),
                "phase" => n.phase = float(),
                "aspect" => n.aspect = float(),
                _ => panic!("{key}"),
            }
        }
        let filter = Classic::by_name(name).unwrap().filter(&n).unwrap();
        assert_eq!(filter.size[0], rows.parse::<usize>().unwrap(), "{name} {numbers}");
        for (a, b) in filter.weights.iter().zip(floats(kernel)) {
            assert!((a - b).abs() < 1e-6 * (1.0 + b.abs()), "{name} {numbers}: {a} {b}");
        }
        let border = Border::ALL.iter().find(|b| b.0 == border).unwrap().1;
        let apply = |weights: &[f64]| {
            Filtering::new(&backend, &filter, weights).apply(&picture, [H, W], border, &mut |_| {}).unwrap()
        };
        let mut found = apply(&filter.weights);
        if let Some(second) = &filter.second {
            found.iter_mut().zip(apply(second)).for_each(|(a, b)| *a = a.hypot(b));
        }
        let want = floats(result);
        let most = want.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
        assert_eq!(found.len(), want.len());
        for (i, (a, b)) in found.iter().zip(want).enumerate() {
            assert!((f64::from(*a) - b).abs() < 2e-6 * most, "{name} {numbers} at {i}: {a} {b}");
        }
        cases += 1;
    }
    assert_eq!(cases, 19);
}

/// A picture of several bands is the picture of one, and its last band may be of any height.
#[test]
fn large_pictures_go_through_in_bands() {
    let (h, w) = (2500, 1000);
    let picture: Vec<u8> = (0..h * w).map(|i| (i * 31 % 253) as u8).collect();
    let filter = Classic::Laplacian.filter(&ClassicNumbers::default()).unwrap();
    let backend = CpuBackend::default();
    let mut heard = Vec::new();
    let mut filtering = Filtering::new(&backend, &filter, &filter.weights);
    let found = filtering.apply(&picture, [h, w], Border::Reflect, &mut |rows| heard.push(rows)).unwrap();
    assert!(heard.len() == 2 && heard[1] == h, "{heard:?}");
    let at = |y: usize, x: usize| f32::from(picture[y * w + x]);
    // Around the seam of the bands, and in a corner.
    for y in heard[0] - 2..heard[0] + 2 {
        for x in [1, 500, 998] {
            let sum = at(y - 1, x) + at(y + 1, x) + at(y, x - 1) + at(y, x + 1) - 4.0 * at(y, x);
            assert!((found[y * w + x] - sum).abs() < 1e-3, "{y} {x}");
        }
    }
    assert!((found[0] - (2.0 * at(0, 1) + 2.0 * at(1, 0) - 4.0 * at(0, 0))).abs() < 1e-3);
}
