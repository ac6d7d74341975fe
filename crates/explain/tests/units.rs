//! Layers by the names that people gave them, what their units see, and what excites them.

mod common;

use common::{image, subject};
use gabor_explain::features::features;
use gabor_explain::top::{Projector, Start, Strongest};
use gabor_explain::{Backpropagation, Part, Subject};
use gabor_graph::{Graph, Initializer, Parameter};
use gabor_nets::{Mode, Net, conv, pool};
use gabor_tensor::{DType, Shape, Tensor, Weights, WindowOptions};

fn names(s: &Subject) -> Vec<String> {
    s.layers().into_iter().map(|l| l.name).collect()
}

fn net(input: [usize; 3], build: impl FnOnce(&mut Net)) -> Subject {
    let mut net = Net::new("small", &input, Mode::Infer).unwrap();
    build(&mut net);
    net.global_avg_pool().unwrap().flatten().unwrap().linear("fc", 3).unwrap();
    subject(net.finish("logits"), None, "logits")
}

#[test]
fn layers_have_the_names_that_were_written() {
    let s = net([2, 9, 9], |net| {
        net.conv("conv1", conv(4, 3)).unwrap().batch_norm("bn1").unwrap().relu().unwrap();
        net.within("block", |n| n.conv("conv2", conv(4, 3).pad(1))?.relu()).unwrap();
    });
    assert_eq!(names(&s), ["conv1", "bn1", "relu1", "block.conv2", "block.relu1", "pool1", "flatten1", "fc"]);
    // The layer's value has its bias: nothing of the layer is missing.
    let x = image(&s, 3);
    let layer = s.layer("fc").unwrap();
    assert_eq!(s.values(&x, &[layer.value]).unwrap(), s.values(&x, &[s.scores()]).unwrap());
    let node = s.graph().producer(s.layer("conv1").unwrap().value).unwrap();
    assert_eq!(node.name, "conv1.binary");
    // Of a rectified layer only the rectified map tells something.
    let telling: Vec<String> = s.telling_layers(0).into_iter().map(|l| l.name).collect();
    assert_eq!(telling, ["relu1", "block.relu1", "pool1", "fc"]);
    let few: Vec<String> = s.telling_layers(3).into_iter().map(|l| l.name).collect();
    assert_eq!(few.first().map(String::as_str), Some("relu1"));
    assert_eq!((few.len(), few.last().map(String::as_str)), (3, Some("fc")));
}

/// The pixels by which a unit has a gradient, as the smallest rectangle around them.
fn support(s: &Subject, x: &Tensor, back: &mut Projector, start: Start) -> Option<Part> {
    let [c, h, w] = s.input();
    let found = back.project(x, &[start]).unwrap();
    let hit = |y: usize, x: usize| (0..c).any(|k| found[(k * h + y) * w + x] != 0.0);
    let rows: Vec<usize> = (0..h).filter(|&y| (0..w).any(|x| hit(y, x))).collect();
    let columns: Vec<usize> = (0..w).filter(|&x| (0..h).any(|y| hit(y, x))).collect();
    let (&top, &left) = (rows.first()?, columns.first()?);
    Some(Part { top, left, height: rows[rows.len() - 1] - top + 1, width: columns[columns.len() - 1] - left + 1 })
}

/// The field of every unit of every layer holds the support of its gradient; where the layer before picks by its values
/// (a maximum, a rectifier) some pixels may have none, so there the smallest field around many pictures' supports counts.
fn check(s: &Subject, exact: &[&str]) {
    let pictures: Vec<Tensor> = (0..12).map(|seed| image(s, seed)).collect();
    for layer in s.layers() {
        let (field, mut back) = (s.field(&layer).unwrap(), Projector::new(s, &layer, Backpropagation::Plain).unwrap());
        let [h, w] = layer.places();
        for place in (0..h).flat_map(|y| (0..w).map(move |x| [y, x])) {
            let seen = field.at(place);
            let mut around: Option<Part> = None;
            for x in &pictures {
                for unit in 0..layer.units() {
                    let Some(p) = support(s, x, &mut back, Start { unit, place, value: 1.0 }) else { continue };
                    let inside = p.top >= seen.top
                        && p.left >= seen.left
                        && p.top + p.height <= seen.top + seen.height
                        && p.left + p.width <= seen.left + seen.width;
                    assert!(inside, "{} at {place:?}: {p:?} is not in {seen:?}", layer.name);
                    around = Some(around.map_or(p, |a| union(a, p)));
                }
                if around == Some(seen) {
                    break;
                }
            }
            if exact.contains(&layer.name.as_str()) {
                assert_eq!(around, Some(seen), "{} at {place:?}", layer.name);
            }
        }
    }
    let known = names(s);
    assert!(exact.iter().all(|e| known.iter().any(|k| k == e)), "{known:?}");
}

fn union(a: Part, b: Part) -> Part {
    let (top, left) = (a.top.min(b.top), a.left.min(b.left));
    let (bottom, right) = ((a.top + a.height).max(b.top + b.height), (a.left + a.width).max(b.left + b.width));
    Part { top, left, height: bottom - top, width: right - left }
}

#[test]
fn fields_are_the_support_of_gradients() {
    let strided = net([1, 13, 11], |net| {
        net.conv("a", conv(3, 3).stride(2).pad(1)).unwrap().relu().unwrap();
        net.conv("b", conv(3, 3).dilation(2).pad(2)).unwrap();
    });
    check(&strided, &["a", "relu1", "b", "fc"]);
    let pooled = net([2, 12, 9], |net| {
        net.conv("a", conv(3, 3)).unwrap().relu().unwrap();
        net.max_pool(pool(2)).unwrap();
        net.conv("b", conv(4, 2)).unwrap();
        net.avg_pool(pool(2).stride(1)).unwrap();
    });
    check(&pooled, &["a", "pool1", "b", "pool2", "fc"]);
    let residual = net([1, 10, 10], |net| {
        net.conv("a", conv(3, 3).pad(1)).unwrap();
        let x = net.value();
        net.conv("b", conv(3, 3).pad(1)).unwrap().relu().unwrap().conv("c", conv(3, 3).pad(1)).unwrap();
        net.add(x).unwrap();
    });
    check(&residual, &["a", "b", "c", "add1"]);
    let inception = net([1, 9, 12], |net| {
        let wide = net.branch(|n| n.conv("wide", conv(2, 5).pad(2))).unwrap();
        let narrow = net.branch(|n| n.conv("narrow", conv(2, 1))).unwrap();
        net.concat(&[wide, narrow]).unwrap();
        net.conv("mix", conv(2, 2).stride(2)).unwrap();
    });
    check(&inception, &["wide", "narrow", "concat1", "mix"]);
    // The numbers of one: 13 × 11, a stride of 2 with one row of padding, then 3 × 3 at a dilation of 2.
    let b = strided.field(&strided.layer("b").unwrap()).unwrap();
    assert_eq!((b.size(), b.step(), b.start()), ([11, 11], [2, 2], [-5, -5]));
    assert_eq!(b.at([0, 0]), Part { top: 0, left: 0, height: 6, width: 6 });
    assert_eq!(b.at([3, 2]), Part { top: 1, left: 0, height: 11, width: 10 });
    assert!(strided.field(&strided.layer("fc").unwrap()).unwrap().is_whole());
    assert_eq!(b.at([0, 0]).cut(&(0..143).collect::<Vec<_>>(), [13, 11])[..8], [0, 1, 2, 3, 4, 5, 11, 12]);
}

/// conv 2 × 2 (one filter) → ReLU → max pooling 2 × 2 → conv 1 × 1 of weight `second` → ReLU, on 1 × 5 × 5.
fn worked(second: f32, bias: f32) -> Subject {
    let mut g = Graph::new("worked");
    let x = g.input("x", Shape::batch(&[1, 5, 5]), DType::F32).unwrap();
    let weight = || Parameter::weight(Initializer::Zeros);
    let a = g.parameter("a.weight", &[1, 1, 2, 2], weight()).unwrap();
    g.scope("a");
    let y = g.conv(x, a, 1, &WindowOptions::default()).unwrap();
    g.scope("a.relu");
    let y = g.relu(y).unwrap();
    g.scope("pool");
    let y = g.max_pool(y, &WindowOptions::new(&[2, 2]).stride(&[2, 2])).unwrap();
    let b = g.parameter("b.weight", &[2, 1, 1, 1], weight()).unwrap();
    let c = g.parameter("b.bias", &[2, 1, 1], weight()).unwrap();
    g.scope("b");
    let y = g.conv(y, b, 1, &WindowOptions::default()).unwrap();
    let y = g.add(y, c).unwrap();
    g.scope("b.relu");
    let y = g.relu(y).unwrap();
    g.scope("head");
    let y = g.reshape(y, &Shape::batch(&[8])).unwrap();
    g.output("logits", y);
    let mut weights = Weights::default();
    for (name, shape, values) in [
        ("a.weight", vec![1, 1, 2, 2], vec![1.0, -2.0, 3.0, 0.5]),
        ("b.weight", vec![2, 1, 1, 1], vec![second, -1.0]),
        ("b.bias", vec![2, 1, 1], vec![bias, 0.0]),
    ] {
        weights.insert(name, Tensor::f32(&shape, values).unwrap());
    }
    subject(g, Some(weights), "logits")
}

/// The deconvnet by hand.
///
/// ```text
/// picture              after the filter [1 −2; 3 0.5]       rectified, and the switches of 2 × 2 pooling
/// 1 0 2 0 1            y(i,j) = x(i,j) − 2·x(i,j+1)
/// 0 1 0 1 0                    + 3·x(i+1,j) + 0.5·x(i+1,j+1)
/// 2 0 1 0 2            row 0:  1.5 −1   2.5 1
/// 0 0 0 3 0                       (1−0+0+0.5; 0−4+3+0; 2−0+0+0.5; 0−2+3+0 = 1)
/// 1 1 0 0 1            row 1:  4   1.5  1  2     (0−2+6+0; 1−0+0+0.5; 0−2+3+0; 1−0+0+1)
///                      row 2:  2  −2   2.5 5     (2−0+0+0; 0−2+0+0; 1−0+0+1.5; 0−4+9+0)
///                      row 3:  3.5 3  −6   3.5   (0−0+3+0.5; 0−0+3+0; 0−6+0+0; 3−0+0+0.5)
/// pooled: max(1.5, −1→0, 4, 1.5) = 4 at (1,0);  max(2.5, 1, 1, 2) = 2.5 at (0,2)
///         max(2, 0, 3.5, 3) = 3.5 at (3,0);     max(2.5, 5, 0, 3.5) = 5 at (2,3)
/// ```
///
/// The first unit of `b` has weight 2 and bias −1: its values are 7, 4, 6, 9, the largest at (1,1). Back from 9: rectified
/// 9, times 2 is 18, through the switch to (2,3) of `a`, rectified 18, and the filter turned back: 18·[1 −2; 3 0.5] on the
/// pixels (2,3), (2,4), (3,3), (3,4). From (0,0): 7 → 14 at (1,0).
#[test]
fn the_deconvnet_by_hand() {
    let s = worked(2.0, -1.0);
    let picture = [
        1.0, 0.0, 2.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 2.0, 0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 3.0, 0.0, 1.0, 1.0,
        0.0, 0.0, 1.0,
    ];
    let x = Tensor::f32(&[1, 1, 5, 5], picture.to_vec()).unwrap();
    assert_eq!(names(&s), ["a", "a.relu", "pool", "b", "b.relu", "head"]);
    let layer = s.layer("b.relu").unwrap();
    let mut best = Strongest::new(&s, &layer, 3).unwrap();
    best.push(&x, &[7]).unwrap();
    let top = best.of(0)[0];
    assert_eq!((top.value, top.sample, top.place, best.of(0).len()), (9.0, 7, [1, 1], 1));
    // The second filter is negative, so that unit never is above 0.
    assert!(best.is_dead(1) && !best.is_dead(0) && best.dead() == 1);
    assert_eq!(best.strongest(1), [0]);
    let mut want = vec![0.0; 25];
    (want[13], want[14], want[18], want[19]) = (18.0, -36.0, 54.0, 9.0);
    let mut back = Projector::new(&s, &layer, Backpropagation::Deconvnet).unwrap();
    assert_eq!(back.project(&x, &[Start { unit: 0, place: [1, 1], value: 9.0 }]).unwrap(), want);
    // Two pictures at once, from two places.
    let two = Tensor::f32(&[2, 1, 5, 5], [picture, picture].concat()).unwrap();
    let start = |place, value| Start { unit: 0, place, value };
    let mut other = vec![0.0; 25];
    (other[5], other[6], other[10], other[11]) = (14.0, -28.0, 42.0, 7.0);
    assert_eq!(back.project(&two, &[start([1, 1], 9.0), start([0, 0], 7.0)]).unwrap(), [want.clone(), other].concat());
    // What comes back negative is dropped at the rectifier of `a`: nothing is left.
    let negative = worked(-2.0, 12.0);
    let layer = negative.layer("b.relu").unwrap();
    let mut dropped = Projector::new(&negative, &layer, Backpropagation::Deconvnet).unwrap();
    assert_eq!(dropped.project(&x, &[start([1, 1], 2.0)]).unwrap(), [0.0; 25]);
    // The gradient keeps it: −2 times the filter.
    let mut plain = Projector::new(&negative, &layer, Backpropagation::Plain).unwrap();
    let found = plain.project(&x, &[start([1, 1], 1.0)]).unwrap();
    assert_eq!((found[13], found[14], found[18], found[19]), (-2.0, 4.0, -6.0, -1.0));
    // A dead unit has no gradient; the deconvnet does not ask whether a rectifier was open.
    let mut guided = Projector::new(&s, &layer, Backpropagation::Guided).unwrap();
    assert_eq!(guided.project(&x, &[Start { unit: 1, place: [0, 0], value: 1.0 }]).unwrap(), [0.0; 25]);
    let e = back.project(&x, &[Start { unit: 2, place: [0, 0], value: 1.0 }]).unwrap_err().to_string();
    assert!(e.contains("one a picture, within 2 × 2 × 2"), "{e}");
}

#[test]
fn the_strongest_stay_whatever_the_order_of_pictures() {
    let s = net([1, 8, 8], |net| {
        net.conv("a", conv(4, 3)).unwrap().relu().unwrap();
    });
    let pictures: Vec<Tensor> = (0..9).map(|i| image(&s, i / 2)).collect();
    let layer = s.layer("relu1").unwrap();
    let of = |order: &[usize], batch: usize| {
        let mut best = Strongest::new(&s, &layer, 4).unwrap();
        for samples in order.chunks(batch) {
            let all: Vec<f32> = samples.iter().flat_map(|&i| pictures[i].as_f32().unwrap().to_vec()).collect();
            best.push(&Tensor::f32(&[samples.len(), 1, 8, 8], all).unwrap(), samples).unwrap();
        }
        assert_eq!(best.seen(), 9);
        (0..4).map(|u| best.of(u).to_vec()).collect::<Vec<_>>()
    };
    let all: Vec<usize> = (0..9).collect();
    let reversed: Vec<usize> = (0..9).rev().collect();
    let first = of(&all, 9);
    assert_eq!(first, of(&reversed, 1));
    assert_eq!(first, of(&all, 2));
    for unit in &first {
        // Pictures 2k and 2k + 1 are the same: the earlier one comes first.
        assert!(unit.windows(2).all(|p| p[0].value > p[1].value || p[0].sample < p[1].sample), "{unit:?}");
    }
    assert!(Strongest::new(&s, &layer, 0).is_err());
}

#[test]
fn features_are_the_layers_values() {
    // One channel, not square; the second unit's filter and bias are such that it is zero everywhere.
    let mut net = Net::new("small", &[1, 6, 9], Mode::Infer).unwrap();
    net.conv("a", conv(3, 3)).unwrap().relu().unwrap().flatten().unwrap().linear("fc", 3).unwrap();
    let mut s = subject(net.finish("logits"), None, "logits");
    let mut weights = s.weights().clone();
    weights.insert("a.bias", Tensor::f32(&[3], vec![0.0, -1e6, 0.5]).unwrap());
    s = subject(s.graph().clone(), Some(weights), "logits");
    let x = image(&s, 2);
    let found = features(&s, &x, &s.telling_layers(0)).unwrap();
    assert_eq!(found.iter().map(|f| f.layer.name.as_str()).collect::<Vec<_>>(), ["relu1", "fc"]);
    let relu = &found[0];
    assert_eq!((relu.layer.extents().as_str(), relu.zero.as_slice()), ("3 × 4 × 7", [1].as_slice()));
    assert_eq!(relu.strongest()[2], 1);
    for (unit, peak) in relu.peaks.iter().enumerate() {
        let map = relu.map(unit);
        assert_eq!(map[peak.place[0] * 7 + peak.place[1]], peak.value);
        assert!(map.iter().all(|&v| v <= peak.value));
    }
    assert_eq!(relu.values, s.values(&x, &[relu.layer.value]).unwrap()[0].as_f32().unwrap());
    assert_eq!((found[1].layer.places(), found[1].peaks.len()), ([1, 1], 3));
}

#[test]
fn units_that_stand_for_classes() {
    let mut net = Net::new("maps", &[1, 8, 8], Mode::Infer).unwrap();
    net.conv("a", conv(3, 3)).unwrap().relu().unwrap().conv("b", conv(3, 1)).unwrap();
    net.global_avg_pool().unwrap().flatten().unwrap();
    let s = subject(net.finish("logits"), None, "logits");
    let named: Vec<String> = s.layers().into_iter().filter(|l| s.is_of_classes(l)).map(|l| l.name).collect();
    assert_eq!(named, ["b", "pool1", "flatten1"]);
    // What is picked or moved is no news: the branch is left to the sum, and the sum to its rectifier.
    let mut net = Net::new("residual", &[2, 8, 8], Mode::Infer).unwrap();
    net.conv("a", conv(4, 3).pad(1)).unwrap().relu().unwrap().max_pool(2).unwrap();
    let x = net.value();
    net.conv("b", conv(4, 3).pad(1)).unwrap().add(x).unwrap().relu().unwrap();
    net.global_avg_pool().unwrap().flatten().unwrap().linear("fc", 3).unwrap();
    let s = subject(net.finish("logits"), None, "logits");
    let telling: Vec<String> = s.telling_layers(0).into_iter().map(|l| l.name).collect();
    assert_eq!(telling, ["relu1", "relu2", "pool2", "fc"]);
}

/// A lone picture may be summed in another order than one among others: what is found must not depend on it.
#[test]
fn the_size_of_batches_changes_no_bit() {
    let net = gabor_nets::zoo::by_name("resnet20", &Default::default()).unwrap();
    let s = subject(net.graph(Mode::Infer).unwrap(), Some(net.initialize(2).unwrap()), "logits");
    let layer = s.layer("layer3.1.relu2").unwrap();
    let pictures: Vec<f32> = (0..5).flat_map(|i| image(&s, i).as_f32().unwrap().to_vec()).collect();
    let of = |batch: usize| {
        let mut best = Strongest::new(&s, &layer, 2).unwrap();
        for (i, some) in pictures.chunks(batch * 3 * 32 * 32).enumerate() {
            let n = some.len() / (3 * 32 * 32);
            let samples: Vec<usize> = (i * batch..i * batch + n).collect();
            best.push(&Tensor::f32(&[n, 3, 32, 32], some.to_vec()).unwrap(), &samples).unwrap();
        }
        (0..layer.units()).map(|u| best.of(u).to_vec()).collect::<Vec<_>>()
    };
    let five = of(5);
    for batch in [1, 2, 4] {
        assert_eq!(of(batch), five, "{batch}");
    }
}
