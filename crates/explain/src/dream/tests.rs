//! The way from waves to an objective against PyTorch and against differences, and what a climb must do on any network.

use super::adam::Adam;
use super::maximise::Scene;
use super::warp::View;
use super::*;
use gabor_cpu::{CpuBackend, CpuOptions};
use gabor_nets::{Activation, Mode, Net, conv, network, pool, zoo};
use gabor_tensor::{Stream, Tensor, Weights, rng::op};
use std::sync::Arc;

const UNITS: [usize; 2] = [1, 4];

pub(super) fn golden() -> Weights {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/dream.safetensors");
    gabor_formats::safetensors::read(&std::fs::read(path).unwrap()).unwrap().0
}

pub(super) fn floats<'a>(golden: &'a Weights, name: &str) -> &'a [f32] {
    golden.get(name).unwrap().as_f32().unwrap()
}

/// The network of `make_dream.py`.
pub(super) fn small(golden: &Weights) -> Subject {
    let mut net = Net::new("small", &[3, 12, 16], Mode::Infer).unwrap();
    net.conv("conv1", conv(6, 3).pad(1)).unwrap().batch_norm("bn1").unwrap().relu().unwrap();
    net.max_pool(pool(2).stride(2)).unwrap();
    net.conv("conv2", conv(8, 3).stride(2).pad(1)).unwrap().activation(Activation::Gelu).unwrap();
    net.global_avg_pool().unwrap().flatten().unwrap().linear("fc", 5).unwrap();
    let graph = net.finish("scores");
    let own = |(name, t): (&str, &Tensor)| Some((name.strip_prefix("net.")?.to_string(), t.clone()));
    subject(graph, golden.iter().filter_map(own).collect(), "scores", 2)
}

fn subject(graph: gabor_graph::Graph, weights: Weights, scores: &str, threads: usize) -> Subject {
    let (images, scores) = (graph.inputs().next().unwrap(), graph.output_value(scores).unwrap());
    let backend = CpuBackend::new(CpuOptions { threads: Some(threads), ..Default::default() }).unwrap();
    Subject::new(graph, weights, images, scores, Arc::new(backend)).unwrap()
}

pub(super) fn of_text(text: &str, threads: usize) -> Subject {
    let net = network(text, &zoo::Options::default()).unwrap();
    subject(net.graph(Mode::Infer).unwrap(), net.initialize(3).unwrap(), "logits", threads)
}

pub(super) fn lens() -> Lens {
    let (mean, std) = ([0.485f32, 0.456, 0.406], [0.229f32, 0.224, 0.225]);
    Lens { gain: std.map(|s| 1.0 / s).to_vec(), offset: [0, 1, 2].map(|i| -mean[i] / std[i]).to_vec(), bgr: false }
}

/// Fails unless all numbers agree to `part` of the largest.
pub(super) fn agree(what: &str, ours: &[f32], theirs: &[f32], part: f32) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let most = theirs.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = ours.iter().zip(theirs).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(most > 0.0 && worst <= part * most, "{what}: {worst} of {most}");
}

/// The scene of the goldens, the waves of its two pictures, and the views of its two steps.
fn scene(golden: &Weights) -> (Scene, Vec<Vec<f32>>, Vec<[View; 2]>) {
    let s = small(golden);
    let o = Options { jitter: Some(2.0), l2: 0.7, variation: 0.3, ..Default::default() };
    let mut scene = Scene::new(&s, &lens(), &s.answer(), 2, &o).unwrap();
    assert_eq!(scene.canvas.extents, [3, 16, 20]);
    UNITS.iter().enumerate().for_each(|(i, &u)| scene.engine.choose(i, u, None));
    let waves = floats(golden, "waves");
    let waves = waves.chunks(waves.len() / 2).map(<[f32]>::to_vec).collect();
    let view = |v: &[f32]| {
        let v: Vec<f64> = v.iter().map(|&x| f64::from(x)).collect();
        View { matrix: [[v[0], v[1]], [v[2], v[3]]], moved: [v[4], v[5]] }
    };
    let views = floats(golden, "views").chunks(12).map(|v| [view(&v[..6]), view(&v[6..])]).collect();
    (scene, waves, views)
}

/// What the network says less what the regularisers take, and its gradient, of both pictures.
fn whole(scene: &mut Scene, waves: &[Vec<f32>], views: &[View; 2]) -> ([f64; 2], Vec<Vec<f32>>) {
    (0..2).for_each(|i| scene.show(i, &waves[i], &views[i]));
    scene.engine.run().unwrap();
    let mut d = vec![vec![0.0; waves[0].len()]; 2];
    let value = [0, 1].map(|i| {
        let (reached, less) = scene.pull(i, &mut d[i]).unwrap();
        assert!(reached);
        f64::from(scene.engine.said(i, UNITS[i], None).unwrap().0) - less
    });
    (value, d)
}

#[test]
fn waves_views_and_gradients_agree_with_pytorch() {
    let golden = golden();
    let (mut scene, mut waves, views) = scene(&golden);
    let (_, d) = whole(&mut scene, &waves, &views[0]);
    agree("seen", scene.engine.images.as_f32().unwrap(), floats(&golden, "seen"), 1e-5);
    let said: Vec<f32> = (0..2).map(|i| scene.engine.said(i, UNITS[i], None).unwrap().0).collect();
    agree("said", &said, floats(&golden, "said"), 1e-5);
    agree("gradient", &d.concat(), floats(&golden, "gradient"), 2e-5);
    let mut adams = [0, 1].map(|_| Adam::new(0.05));
    for view in &views {
        let (_, d) = whole(&mut scene, &waves, view);
        (0..2).for_each(|i| adams[i].climb(&mut waves[i], &d[i]));
    }
    agree("after two steps", &waves.concat(), floats(&golden, "after"), 1e-3);
}

#[test]
fn the_gradient_is_that_of_differences() {
    let golden = golden();
    let (mut scene, waves, views) = scene(&golden);
    let (_, d) = whole(&mut scene, &waves, &views[0]);
    for direction in 0..6 {
        let mut s = Stream::new(1, 0, direction, op::TEST);
        let along: Vec<f32> = waves[0].iter().map(|_| s.normal() as f32).collect();
        let mut at = |by: f32| {
            let moved = |w: &Vec<f32>| w.iter().zip(&along).map(|(w, a)| w + by * a).collect();
            whole(&mut scene, &waves.iter().map(moved).collect::<Vec<_>>(), &views[0]).0
        };
        let (eps, d) = (2e-3, &d);
        let (up, down) = (at(eps), at(-eps));
        for i in 0..2 {
            let want = (up[i] - down[i]) / f64::from(2.0 * eps);
            let ours: f64 = d[i].iter().zip(&along).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let size: f64 = d[i].iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            assert!((ours - want).abs() < 5e-3 * size, "direction {direction}: {ours} and {want} of {size}");
        }
    }
}

fn quiet(_: Moment) -> Result<()> {
    Ok(())
}

fn climb(s: &Subject, targets: &Targets, o: &Options) -> Vec<Dreamt> {
    maximise(s, &Lens::plain(s.input()[0]), targets, o, &mut quiet).unwrap()
}

fn of_layer(layer: Option<&str>, units: &[usize], place: Place) -> Targets {
    Targets { layer: layer.map(String::from), units: units.to_vec(), place }
}

#[test]
fn objectives_rise_on_any_size() {
    for text in [
        "INPUT 3x24x24 -> conv3-8 relu maxpool conv3-8 relu -> FC-5",
        "INPUT 1x8x8 -> conv3-6 relu conv3-6 relu -> FC-4",
        "INPUT 1x9x20 -> conv3-6 relu maxpool -> gap FC-4",
        "INPUT 5x12x10 -> conv3-6 relu -> gap FC-4",
        "tiny_resnet",
    ] {
        let s = of_text(text, 2);
        let [c, h, w] = s.input();
        for basis in [Basis::Fourier, Basis::Pixels] {
            let o = Options { steps: 24, basis, ..Default::default() };
            for made in climb(&s, &of_layer(None, &[0, 2], Place::Everywhere), &o) {
                assert!(made.dead.is_none() && made.end > made.start, "{text} {basis:?}: {} {}", made.start, made.end);
                assert_eq!((made.curve.len(), made.input.len(), made.picture.len()), (24, c * h * w, c * h * w));
                assert!(made.picture.iter().all(|v| (0.0..=1.0).contains(v)));
                let back = Lens::plain(c).prepared(&made.picture);
                assert!(back.iter().zip(&made.input).all(|(a, b)| (a - b).abs() < 1e-6));
            }
        }
        let map = s.last_map().unwrap();
        let o = Options { steps: 40, ..Default::default() };
        for place in [Place::Everywhere, Place::Centre, Place::At(0, 1)] {
            let found = climb(&s, &of_layer(Some(&map.name), &[1, 0, 3], place), &o);
            assert_eq!(found.iter().map(|f| f.unit).collect::<Vec<_>>(), [1, 0, 3]);
            for f in found {
                assert!(f.dead.is_some() || f.end > f.start, "{text} {place:?} {}: {} {}", f.unit, f.start, f.end);
            }
        }
    }
}

#[test]
fn the_seed_decides_and_threads_do_not() {
    let text = "INPUT 3x24x20 -> conv3-8 relu maxpool conv3-8 relu -> FC-5";
    let bits = |threads, seed, batch, steps| {
        let o = Options { steps, seed, batch, l2: 0.1, variation: 0.1, ..Default::default() };
        let all = climb(&of_text(text, threads), &of_layer(None, &[0, 1, 2], Place::Everywhere), &o);
        all.iter().flat_map(|d| d.input.iter().map(|v| v.to_bits())).collect::<Vec<_>>()
    };
    assert_eq!(bits(1, 4, 8, 9), bits(2, 4, 8, 9));
    assert_eq!(bits(2, 4, 8, 9), bits(2, 4, 8, 9));
    assert_ne!(bits(2, 4, 8, 9), bits(2, 5, 8, 9));
    // What is made beside a picture does not matter but for rounding.
    let (alone, beside) = (bits(2, 4, 1, 3), bits(2, 4, 2, 3));
    assert!(alone.iter().zip(&beside).all(|(a, b)| (f32::from_bits(*a) - f32::from_bits(*b)).abs() < 2e-2));
}

#[test]
fn regularisers_do_what_they_say() {
    let s = of_text("INPUT 3x20x20 -> conv3-8 relu conv3-8 relu -> FC-5", 2);
    let of = |l2, variation| {
        let o = Options { steps: 60, l2, variation, ..Default::default() };
        climb(&s, &of_layer(None, &[1], Place::Everywhere), &o).remove(0).picture
    };
    let grey = |p: &[f32]| p.iter().map(|v| (v - 0.5).powi(2)).sum::<f32>();
    let rough = |p: &[f32]| p.chunks(20).flat_map(|r| r.windows(2)).map(|w| (w[0] - w[1]).abs()).sum::<f32>();
    let free = of(0.0, 0.0);
    assert!(grey(&of(50.0, 0.0)) < 0.5 * grey(&free));
    assert!(rough(&of(0.0, 50.0)) < 0.5 * rough(&free));
}

/// A unit whose weights are zero, one whose bias nothing outweighs, one that only begins in silence, and a live one.
#[test]
fn dead_units_say_so() {
    let net = network("INPUT 3x12x12 -> conv3-4 relu -> gap FC-3", &zoo::Options::default()).unwrap();
    let mut weights = net.initialize(3).unwrap();
    let names: Vec<String> = weights.iter().map(|(n, _)| n.to_string()).collect();
    let of = |end: &str| names.iter().find(|n| n.starts_with("conv") && n.ends_with(end)).unwrap().clone();
    let mut w = weights.get(&of("weight")).unwrap().as_f32().unwrap().to_vec();
    w[..27].fill(0.0);
    w[54..81].iter_mut().for_each(|v| *v = v.abs());
    let sum: f32 = w[54..81].iter().sum();
    weights.0.insert(of("weight"), Tensor::f32(&[4, 3, 3, 3], w).unwrap());
    // Unit 2 is silent at grey (sum/2) and speaks where the picture is nearly white.
    weights.0.insert(of("bias"), Tensor::f32(&[4], vec![-1.0, -1000.0, -0.8 * sum, 0.5]).unwrap());
    let s = subject(net.graph(Mode::Infer).unwrap(), weights, "logits", 2);
    let relu = s.layers().into_iter().find(|l| l.name.contains("relu")).unwrap().name;
    let o = Options { steps: 80, ..Default::default() };
    let found = climb(&s, &of_layer(Some(&relu), &[0, 1, 2, 3], Place::Everywhere), &o);
    let dead: Vec<_> = found.iter().map(|f| f.dead).collect();
    assert_eq!(dead, [Some(Dead::Unreached), Some(Dead::Silent), None, None]);
    assert!(found[2].start == 0.0 && found[2].end > 0.0 && found[0].curve.iter().all(|&v| v == 0.0));
    // A picture that nothing reaches is given up soon.
    let alone = climb(&s, &of_layer(Some(&relu), &[0], Place::Centre), &o);
    assert!(alone[0].curve.len() == 16 && alone[0].dead == Some(Dead::Unreached));
}

#[test]
fn what_does_not_fit_is_said() {
    let s = of_text("INPUT 3x12x12 -> conv3-4 relu -> gap FC-3", 1);
    let e = |t: &Targets, o: &Options| maximise(&s, &Lens::plain(3), t, o, &mut quiet).unwrap_err().to_string();
    let map = s.last_map().unwrap().name;
    let o = Options::default();
    let text = e(&of_layer(None, &[3], Place::Everywhere), &o);
    assert!(text.contains("unit 3 of a layer of 3; right would be: 0 to 2"), "{text}");
    assert!(e(&of_layer(Some("conv9"), &[0], Place::Everywhere), &o).contains("there is no layer `conv9`"));
    assert!(e(&of_layer(Some(&map), &[0], Place::At(12, 0)), &o).contains("0,0 to 11,11"));
    assert!(e(&of_layer(None, &[0], Place::At(0, 0)), &o).contains("a place of a layer that has none"));
    let with = |f: fn(&mut Options)| {
        let mut o = Options::default();
        f(&mut o);
        e(&of_layer(None, &[0], Place::Everywhere), &o)
    };
    assert!(with(|o| o.steps = 0).contains("1 to 100000"));
    assert!(with(|o| o.rate = f64::NAN).contains("rate"));
    assert!(with(|o| o.batch = 0).contains("1 to 1024"));
    let lens = Lens { gain: vec![0.0; 3], ..Lens::plain(3) };
    let t = of_layer(None, &[0], Place::Everywhere);
    assert!(maximise(&s, &lens, &t, &o, &mut quiet).unwrap_err().to_string().contains("no gain of 0"));
    // Who listens can end it.
    let mut steps = 0;
    let mut stop = |m: Moment| {
        assert_eq!((m.done, m.objective.is_some(), m.part), (steps, steps > 0, steps as f64 / m.total as f64));
        steps += 1;
        if steps < 3 { Ok(()) } else { Err(Error::new("stop", Rule::new("enough"))) }
    };
    assert!(maximise(&s, &Lens::plain(3), &t, &o, &mut stop).is_err());
    assert_eq!(steps, 3);
}

/// Every small sibling of the zoo's classifiers: classes, a photograph of another size, the style of another.
#[test]
fn every_network_dreams() {
    let (mut seen, mut whole) = (0, 0);
    for card in zoo::cards().filter(|c| c.name.starts_with("tiny_") && c.input.len() == 3) {
        let net = zoo::by_name(card.name, &Default::default()).unwrap();
        let graph = net.graph(Mode::Infer).unwrap();
        if graph.output_value("logits").is_none_or(|v| graph.shape(v).rank() != 2) {
            continue;
        }
        let s = subject(graph, net.initialize(1).unwrap(), "logits", 2);
        let ([c, h, w], lens) = (s.input(), Lens::plain(s.input()[0]));
        let o = Options { steps: 20, ..Default::default() };
        let made = climb(&s, &of_layer(None, &[1], Place::Everywhere), &o).remove(0);
        assert!(
            made.dead.is_none() && made.curve.iter().all(|v| v.is_finite()),
            "{}: {:?} {:?}",
            card.name,
            made.dead,
            made.curve
        );
        let mut stream = Stream::new(5, 0, 0, op::TEST);
        let (h, w) = (h + 13, w + 8);
        let picture: Vec<f32> = (0..c * h * w).map(|_| stream.uniform() as f32).collect();
        let d = DeepOptions { steps: 1, octaves: 1, ..Default::default() };
        let deep = |tiles| deep_dream(&s, &lens, &picture, [h, w], &DeepOptions { tiles, ..d.clone() }, &mut quiet);
        let tiled = deep(true).unwrap_or_else(|e| panic!("{}: {e}", card.name));
        assert!(tiled.picture.iter().all(|v| v.is_finite()));
        match deep(false) {
            Ok(made) => assert!(made.curve[0].is_finite(), "{}", card.name),
            Err(e) => panic!("{}: {e}", card.name),
        }
        whole += 1;
        let size = [h, w];
        let (content, style) = (Pixels { values: picture.clone(), size }, Pixels { values: picture, size });
        let made = transfer(
            &s,
            &lens,
            [&content, &style],
            &StyleOptions { steps: 1, ..Default::default() },
            &mut Adam::new(0.02),
            &mut quiet,
        );
        let first = made.unwrap_or_else(|e| panic!("{}: {e}", card.name)).curve[0];
        assert!(first[0] < 1e-8 && first[1] < 1e-8, "{}: {first:?}", card.name);
        seen += 1;
    }
    assert!(seen > 12 && whole == seen, "{whole} of {seen}");
}
