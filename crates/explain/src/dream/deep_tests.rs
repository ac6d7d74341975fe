use super::super::tests::{golden, lens, of_text, small};
use super::*;
use gabor_tensor::Tensor;

fn photograph(c: usize, h: usize, w: usize) -> Vec<f32> {
    let at = |k: usize, y: usize, x: usize| {
        let v = (0.3 * y as f64 + k as f64).sin() * (0.2 * x as f64).cos() + 0.4 * ((x / 7 + y / 5) % 2) as f64;
        (0.45 + 0.25 * v) as f32
    };
    (0..c).flat_map(|k| (0..h).flat_map(move |y| (0..w).map(move |x| at(k, y, x)))).collect()
}

fn dream(s: &Subject, lens: &Lens, [h, w]: [usize; 2], o: &DeepOptions) -> Result<Deep> {
    deep_dream(s, lens, &photograph(s.input()[0], h, w), [h, w], o, &mut |_| Ok(()))
}

#[test]
fn octaves_dream_on_any_size() {
    let golden = golden();
    let s = small(&golden);
    let o = DeepOptions { layer: Some("conv2".into()), steps: 5, octaves: 3, ..Default::default() };
    let made = dream(&s, &lens(), [50, 71], &o).unwrap();
    assert_eq!(made.octaves, [[26, 36], [36, 51], [50, 71]]);
    assert!(made.curve.len() == 15 && made.curve[4] > made.curve[0] && made.curve[14] > made.curve[10]);
    assert!(made.picture.iter().all(|v| (0.0..=1.0).contains(v)));
    // More than before, and yet the picture.
    let before = photograph(3, 50, 71);
    let mean = made.picture.iter().zip(&before).map(|(a, b)| (a - b).abs()).sum::<f32>() / before.len() as f32;
    assert!((0.01..0.2).contains(&mean), "{mean}");
    assert_eq!(made, dream(&s, &lens(), [50, 71], &o).unwrap());
    assert_ne!(made.picture, dream(&s, &lens(), [50, 71], &DeepOptions { seed: 1, ..o.clone() }).unwrap().picture);
    // Where nothing is small enough to be left out, one size remains.
    assert_eq!(dream(&s, &lens(), [10, 9], &o).unwrap().octaves, [[10, 9]]);
    let some = DeepOptions { units: vec![2], ..o.clone() };
    assert_ne!(dream(&s, &lens(), [50, 71], &some).unwrap().picture, made.picture);
    let tiles = DeepOptions { tiles: true, octaves: 9, ..o };
    let made = dream(&s, &lens(), [30, 40], &tiles).unwrap();
    assert_eq!((made.octaves[0], made.octaves.len()), ([15, 20], 3));
    assert!(made.curve.last() > made.curve.first());
}

/// What the network says of a picture of another size is what a network of that size says.
#[test]
fn other_sizes_are_looked_at_by_the_same_weights() {
    for (text, other) in [
        (
            "INPUT 3x16x16 -> conv3-4 s2 relu maxpool conv3-4 d2 relu -> gap FC-3",
            "INPUT 3x27x34 -> conv3-4 s2 relu maxpool conv3-4 d2 relu -> gap FC-3",
        ),
        (
            "INPUT 1x12x12 -> res[conv3-4 bn relu conv3-4 bn] relu avgpool3 s1 -> gap FC-3",
            "INPUT 1x20x9 -> res[conv3-4 bn relu conv3-4 bn] relu avgpool3 s1 -> gap FC-3",
        ),
    ] {
        let (s, t) = (of_text(text, 2), of_text(other, 2));
        let [c, h, w] = t.input();
        let layer = s.last_map().unwrap();
        let mut engine = Engine::new(&s, &layer, [h, w], 1, Objective::Squared).unwrap();
        let image = photograph(c, h, w);
        numbers(&mut engine.images).copy_from_slice(&image);
        engine.run().unwrap();
        let want = t.values(&Tensor::f32(&[1, c, h, w], image).unwrap(), &[t.last_map().unwrap().value]).unwrap();
        assert_eq!(engine.layer().unwrap(), want[0].as_f32().unwrap(), "{text}");
    }
}

#[test]
fn what_cannot_be_dreamt_is_said() {
    let s = of_text("INPUT 1x16x16 -> conv3-4 relu -> FC-8 relu FC-3", 1);
    let e = |size, o: &DeepOptions| dream(&s, &Lens::plain(1), size, o).unwrap_err().to_string();
    let dense = s.layers().into_iter().find(|l| l.shape == [8]).unwrap().name;
    let o = DeepOptions { layer: Some(dense), octaves: 1, ..Default::default() };
    let text = e([30, 30], &o);
    assert!(text.contains("on a picture of 30 × 30") && text.contains("--tiles"), "{text}");
    assert!(dream(&s, &Lens::plain(1), [30, 30], &DeepOptions { tiles: true, ..o.clone() }).is_ok());
    assert!(e([15, 30], &DeepOptions { tiles: true, ..o.clone() }).contains("smaller than a tile of 16 × 16"));
    let with = |f: fn(&mut DeepOptions)| {
        let mut o = DeepOptions::default();
        f(&mut o);
        e([30, 30], &o)
    };
    assert!(with(|o| o.octaves = 0).contains("1 to 32"));
    assert!(with(|o| o.octave_scale = 1.0).contains("1.01 to 4"));
    assert!(with(|o| o.strength = -1.0).contains("0 to 1"));
    assert!(with(|o| o.units = vec![4]).contains("unit 4 of a layer of 4"));
    let mut dead = of_text("INPUT 1x16x16 -> conv3-4 relu -> FC-3", 1);
    dead = Subject::new(
        dead.graph().clone(),
        dead.weights().iter().map(|(n, t)| (n.to_string(), Tensor::zeros(t.shape(), t.dtype()))).collect(),
        dead.images(),
        dead.scores(),
        std::sync::Arc::new(gabor_cpu::CpuBackend::default()),
    )
    .unwrap();
    let text = dream(&dead, &Lens::plain(1), [30, 30], &DeepOptions::default()).unwrap_err().to_string();
    assert!(text.contains("dead: no gradient reaches the picture"), "{text}");
}
