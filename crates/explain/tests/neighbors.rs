//! Neighbours, retrieval and maps against scikit-learn's (make_neighbors.py), and features against the network's own.

use gabor_compile::Backend;
use gabor_cpu::{CpuBackend, CpuOptions};
use gabor_explain::Subject;
use gabor_explain::neighbors::{
    Extractor, Features, MapMethod, MapOptions, Metric, Search, Vote, agreement, map, principal, retrieval,
    trustworthiness,
};
use gabor_nets::{Mode, Net, conv, zoo};
use gabor_tensor::{Stream, Tensor, rng::op};
use serde_json::Value;
use std::sync::Arc;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/neighbors.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

struct Set {
    golden: Value,
    values: Vec<f32>,
    labels: Vec<u32>,
    width: usize,
}

impl Set {
    fn new() -> Self {
        let golden = golden();
        let values = numbers(&golden["features"]).into_iter().map(|v| v as f32).collect();
        let labels = numbers(&golden["labels"]).into_iter().map(|v| v as u32).collect();
        let width = golden["width"].as_u64().unwrap() as usize;
        Set { golden, values, labels, width }
    }
    fn features(&self) -> Features<'_> {
        Features::new(&self.values, self.width).unwrap()
    }
}

fn close(what: &str, a: f64, b: &Value) {
    let b = b.as_f64().unwrap();
    assert!((a - b).abs() < 1e-6, "{what}: {a}, scikit-learn {b}");
}

#[test]
fn search_and_retrieval_agree_with_scikit_learn() {
    let set = Set::new();
    let backend = CpuBackend::default();
    for (name, metric) in Metric::ALL {
        let want = &set.golden[name];
        let mut search = Search::new(&backend, set.features(), metric).unwrap();
        let near = search.nearest(set.features(), 4, &|q| Some(q)).unwrap();
        for (i, row) in near.iter().enumerate() {
            let [index, distance] = ["nearest", "distances"].map(|k| numbers(&want[k][i]));
            for (n, (j, d)) in row.iter().zip(index.iter().zip(&distance)) {
                assert_eq!(n.index, *j as usize, "{name}, picture {i}");
                assert!((n.distance - d).abs() < 1e-9, "{name}, picture {i}: {}, scikit-learn {d}", n.distance);
            }
        }
        let all = retrieval(&mut search, &set.labels, 5, 1000, &mut |_, _| {}).unwrap();
        assert_eq!((all.k, all.queries, all.alone, all.classes.len()), (5, 90, 0, 3));
        close("P@1", all.p1, &want["p1"]);
        close("P@5", all.pk, &want["p5"]);
        close("mAP", all.map, &want["map"]);
        for (c, class) in all.classes.iter().enumerate() {
            close("mAP of a class", class.map, &want["map_by_class"][c]);
            close("P@1 of a class", class.p1, &want["p1_by_class"][c]);
            assert_eq!(class.queries, 30);
        }
        let plan: Vec<[f64; 2]> = (0..90).map(|i| numbers(&set.golden["plan"][i])).map(|p| [p[0], p[1]]).collect();
        for k in [1, 5, 20] {
            let trust = trustworthiness(&mut search, &plan, k).unwrap();
            close("trustworthiness", trust, &want["trust"][k.to_string()]);
        }
        let [known, asked] = [0, 45].map(|a| Features::new(&set.values[a * 12..(a + 45) * 12], 12).unwrap());
        let mut search = Search::new(&backend, known, metric).unwrap();
        let near = search.nearest(asked, 3, &|_| None).unwrap();
        let vote = Vote::judge(&near, &set.labels[..45], &set.labels[45..], 3);
        close("one neighbour", vote.accuracy[0], &want["vote1"]);
        close("three neighbours", vote.accuracy[2], &want["vote3"]);
    }
}

#[test]
fn a_part_of_the_set_may_ask_and_strays_do_not() {
    let set = Set::new();
    let mut labels = set.labels.clone();
    labels[7] = 9;
    let mut search = Search::new(&CpuBackend::default(), set.features(), Metric::Cosine).unwrap();
    let all = retrieval(&mut search, &labels, 200, 1000, &mut |_, _| {}).unwrap();
    assert_eq!((all.k, all.queries, all.alone, all.classes.len()), (89, 89, 1, 3));
    let some = retrieval(&mut search, &labels, 5, 30, &mut |_, _| {}).unwrap();
    assert_eq!(some.queries, 30);
    assert!((some.map - all.map).abs() < 0.1);
    let none = retrieval(&mut search, &(0..90).collect::<Vec<u32>>(), 5, 30, &mut |_, _| {}).unwrap_err();
    assert!(none.to_string().contains("no two pictures share a class"), "{none}");
    assert!(retrieval(&mut search, &labels[1..], 5, 30, &mut |_, _| {}).is_err());
    assert!(trustworthiness(&mut search, &[[0.0; 2]; 90], 45).is_err());
}

#[test]
fn rounding_does_not_order_what_is_almost_as_near() {
    // Differences far below the rounding of 32 bits in a product of large numbers.
    let mut stream = Stream::new(2, 0, 0, op::TEST);
    let values: Vec<f32> = (0..300 * 8).map(|_| 1000.0 + (stream.uniform() * 0.01) as f32).collect();
    let features = Features::new(&values, 8).unwrap();
    for (_, metric) in Metric::ALL {
        let mut search = Search::new(&CpuBackend::default(), features, metric).unwrap();
        let near = search.nearest(features, 3, &|q| Some(q)).unwrap();
        for (q, row) in near.iter().enumerate() {
            let mut all: Vec<(f64, usize)> =
                (0..300).filter(|&i| i != q).map(|i| (metric.distance(features.row(q), features.row(i)), i)).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            assert_eq!(row.iter().map(|n| n.index).collect::<Vec<_>>(), [all[0].1, all[1].1, all[2].1]);
        }
    }
}

#[test]
fn maps_agree_with_scikit_learn() {
    let set = Set::new();
    let want = &set.golden["pca"];
    let found = principal(set.features(), 2).unwrap();
    for (i, p) in found.places.iter().enumerate() {
        for (a, b) in p.iter().zip(numbers(&want["places"][i])) {
            assert!((a - b).abs() < 1e-6, "picture {i}: {a}, scikit-learn {b}");
        }
    }
    close("first component", found.explained[0], &want["explained"][0]);
    close("second component", found.explained[1], &want["explained"][1]);
    let one = CpuBackend::new(CpuOptions { threads: Some(1), ..Default::default() }).unwrap();
    let options = MapOptions { perplexity: Some(15.0), ..Default::default() };
    let draw = |backend: &dyn Backend, options: &MapOptions| {
        let mut search = Search::new(backend, set.features(), Metric::Euclidean).unwrap();
        let mut steps = 0;
        let points = map(&mut search, options, &mut |s| steps = s).unwrap();
        let trust = trustworthiness(&mut search, &points, 10).unwrap();
        (points, trust, steps, agreement(&mut search, &[[0.0; 2]; 90], &set.labels, 5).unwrap()[1])
    };
    let (points, trust, steps, kept) = draw(&CpuBackend::default(), &options);
    assert_eq!(steps, 1000);
    let theirs = set.golden["tsne"]["trust"].as_f64().unwrap();
    assert!(trust > theirs - 0.02, "trustworthiness {trust}, scikit-learn {theirs}");
    assert!(kept > 0.6);
    assert_eq!(draw(&one, &options).0, points, "the same bits for any number of threads");
    assert_ne!(draw(&one, &MapOptions { seed: 1, ..options }).0, points);
    let (_, straight, ..) = draw(&one, &MapOptions { method: MapMethod::Pca, ..Default::default() });
    assert!(straight < trust);
    let mut search = Search::new(&one, set.features(), Metric::Cosine).unwrap();
    let e = map(&mut search, &MapOptions { perplexity: Some(40.0), ..options }, &mut |_| {}).unwrap_err();
    assert!(e.to_string().contains("a perplexity of 40 for 90 pictures; right would be: a number from 1 to 29"), "{e}");
    // Few pictures, and pictures that are all alike.
    for (values, width) in [(vec![1.0; 12], 1), (vec![1.0; 4], 2), (vec![0.0; 40], 4), (vec![3.0], 1)] {
        let features = Features::new(&values, width).unwrap();
        let mut search = Search::new(&one, features, Metric::Cosine).unwrap();
        let points = map(&mut search, &MapOptions { iterations: 300, ..Default::default() }, &mut |_| {}).unwrap();
        assert!(points.len() == features.count() && points.iter().flatten().all(|v| v.is_finite()), "{points:?}");
    }
}

#[test]
fn features_are_what_the_last_linear_map_reads() {
    let mut net = Net::new("small", &[3, 9, 11], Mode::Infer).unwrap();
    net.conv("conv1", conv(6, 3)).unwrap().relu().unwrap();
    net.global_avg_pool().unwrap().flatten().unwrap().linear("fc", 5).unwrap();
    let graph = net.finish("scores");
    let weights = zoo_weights(&graph);
    let (images, scores) = (graph.inputs().next().unwrap(), graph.output_value("scores").unwrap());
    let s = Subject::new(graph, weights, images, scores, Arc::new(CpuBackend::default())).unwrap();
    let layer = s.penultimate().unwrap();
    assert_eq!((layer.name.as_str(), layer.shape.clone()), ("flatten1", vec![6]));
    let x = Tensor::f32(&[2, 3, 9, 11], (0..594).map(|i| ((i * 7 % 31) as f32 - 15.0) / 9.0).collect()).unwrap();
    let mut got = vec![7.0];
    let mut extractor = Extractor::new(&s, None).unwrap();
    extractor.add(&x, &mut got).unwrap();
    let want = s.values(&x, &[layer.value]).unwrap();
    assert_eq!((extractor.width(), &got[1..]), (6, want[0].as_f32().unwrap()));
    // A feature map is averaged over its places: here what the pooling does.
    let mut mean = Vec::new();
    Extractor::new(&s, Some("relu1")).unwrap().add(&x, &mut mean).unwrap();
    for (a, b) in mean.iter().zip(&got[1..]) {
        assert!((a - b).abs() < 1e-6);
    }
    let e = Extractor::new(&s, Some("rellu1")).err().unwrap().to_string();
    assert!(e.contains("there is no layer `rellu1`; right would be: relu1"), "{e}");
}

fn zoo_weights(graph: &gabor_graph::Graph) -> gabor_tensor::Weights {
    let fill = |(v, _): (gabor_graph::ValueId, &gabor_graph::Parameter)| {
        let (name, shape) = (&graph.value(v).name, graph.shape(v).known().unwrap());
        let mut s = Stream::new(1, 0, gabor_tensor::rng::name_key(name), op::TEST);
        let data = (0..shape.iter().product()).map(|_| s.normal() as f32 * 0.3).collect();
        (name.clone(), Tensor::f32(&shape, data).unwrap())
    };
    graph.parameters().map(fill).collect()
}

/// Not a bit of a feature depends on the pictures beside it, on how many they are, or on the number of threads.
#[test]
fn batches_do_not_change_a_bit() {
    let mut nets: Vec<(String, gabor_graph::Graph)> = Vec::new();
    for card in zoo::cards().filter(|c| c.name.starts_with("tiny_") && c.input.len() == 3) {
        let graph = zoo::by_name(card.name, &Default::default()).unwrap().graph(Mode::Infer).unwrap();
        nets.push((card.name.into(), graph));
    }
    // Matrices that are long in every direction.
    let mut net = Net::new("wide", &[3, 16, 16], Mode::Infer).unwrap();
    net.conv("conv1", conv(40, 3)).unwrap().relu().unwrap().flatten().unwrap();
    net.linear("fc1", 600).unwrap().relu().unwrap().linear("fc2", 300).unwrap().relu().unwrap();
    net.linear("fc3", 10).unwrap();
    nets.push(("wide".into(), net.finish("logits")));
    let mut seen = 0;
    for (name, graph) in nets {
        let (images, scores) = (graph.inputs().next().unwrap(), graph.outputs()[0].1);
        let features = |threads: usize, sizes: &[usize]| -> Option<Vec<f32>> {
            let backend = CpuBackend::new(CpuOptions { threads: Some(threads), ..Default::default() }).unwrap();
            let weights = gabor_nets::initialize(&graph, 4);
            let s = Subject::new(graph.clone(), weights, images, scores, Arc::new(backend)).ok()?;
            let mut extractor = Extractor::new(&s, None).unwrap();
            let [c, h, w] = s.input();
            let (mut out, mut stream) = (Vec::new(), Stream::new(3, 0, 0, op::TEST));
            for &n in sizes {
                let x = (0..n * c * h * w).map(|_| stream.normal() as f32).collect();
                extractor.add(&Tensor::f32(&[n, c, h, w], x).unwrap(), &mut out).unwrap();
            }
            Some(out)
        };
        let Some(all) = features(2, &[33]) else { continue };
        seen += 1;
        for (threads, sizes) in
            [(2, &[1; 33][..]), (1, &[33]), (3, &[2, 1, 3, 4, 5, 6, 7, 5]), (1, &[32, 1]), (2, &[16, 8, 9])]
        {
            assert!(features(threads, sizes).unwrap() == all, "{name}: batches of {sizes:?}, {threads} threads");
        }
    }
    assert!(seen > 12, "{seen}");
}

/// A network for which the memory is not there is refused before it is computed.
#[test]
fn a_machine_without_room_says_so() {
    let graph = zoo::by_name("tiny_resnet", &Default::default()).unwrap().graph(Mode::Infer).unwrap();
    let (images, scores) = (graph.inputs().next().unwrap(), graph.outputs()[0].1);
    let weights = gabor_nets::initialize(&graph, 4);
    let s = Subject::new(graph, weights, images, scores, Arc::new(CpuBackend::default())).unwrap();
    let s = s.within(gabor_explain::Room::new(|| Some((1000, "the machine"))));
    let [c, h, w] = s.input();
    let add = |n: usize| {
        let x = Tensor::f32(&[n, c, h, w], vec![0.0; n * c * h * w]).unwrap();
        Extractor::new(&s, None).unwrap().add(&x, &mut Vec::new()).unwrap_err().to_string()
    };
    let e = add(8);
    assert!(
        e.contains("computing 8 pictures at once would take about ") && e.contains("the machine has 0.0 MB"),
        "{e}"
    );
    assert!(e.ends_with("right would be: fewer at once, or smaller ones"), "{e}");
    let o = gabor_explain::Options::default();
    let x = Tensor::f32(&[1, c, h, w], vec![0.5; c * h * w]).unwrap();
    let e = gabor_explain::attribute(&s, &x, 0, gabor_explain::Method::Saliency, &o).unwrap_err().to_string();
    assert!(e.contains("computing a picture would take about "), "{e}");
}

#[test]
fn every_network_of_the_zoo_has_features() {
    for name in zoo::names() {
        let Ok(net) = zoo::by_name(name, &Default::default()) else { continue };
        let graph = net.graph(Mode::Infer).unwrap();
        let images = graph.inputs().next().unwrap();
        if graph.shape(images).rank() != 4 || graph.outputs().len() != 1 {
            continue;
        }
        let scores = graph.outputs()[0].1;
        let Ok(s) = Subject::new(graph, Default::default(), images, scores, Arc::new(CpuBackend::default())) else {
            continue;
        };
        let layer = s.penultimate().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!layer.shape.is_empty() && layer.value != scores, "{name}: {layer:?}");
    }
}
