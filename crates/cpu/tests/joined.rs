//! Concatenations whose inputs are written where they belong.

mod common;

use common::Case;
use gabor_compile::CompileOptions;
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, Padding, Shape, WindowOptions};

fn conv(g: &mut Graph, x: ValueId, name: &str, channels: [usize; 2], kernel: usize, stride: usize) -> ValueId {
    let [co, ci] = channels;
    let w = g.parameter(name, &[co, ci, kernel, kernel], Parameter::weight(Initializer::Zeros)).unwrap();
    let b = g.parameter(&format!("{name}.bias"), &[co], Parameter::bias(Initializer::Zeros)).unwrap();
    let options = WindowOptions { padding: Padding::all(kernel / 2), stride: vec![stride; 2], ..Default::default() };
    let y = g.conv_bias(x, w, b, 1, &options).unwrap();
    g.relu(y).unwrap()
}

/// Branches of these many channels, by windows of 1, 3 and 5 pixels, and what follows; `again`: a branch is read twice.
fn inception(channels: [usize; 3], stride: usize, again: bool) -> Graph {
    let mut g = Graph::new("inception");
    let x = g.input("x", Shape::batch(&[32, 11, 9]), DType::F32).unwrap();
    let branches: Vec<ValueId> =
        (0..3).map(|i| conv(&mut g, x, &format!("w{i}"), [channels[i], 32], 2 * i + 1, stride)).collect();
    let joined = g.concat(&branches, 1).unwrap();
    let mut y = conv(&mut g, joined, "after", [channels[1], channels.iter().sum()], 3, 1);
    if again {
        y = g.add(y, branches[1]).unwrap();
    }
    g.output("y", y);
    g
}

fn joins(case: &Case) -> usize {
    let mut run = case.run(2, &CompileOptions::default());
    case.check(&*run, 1e-5);
    case.check_threads();
    case.kernels(&mut *run).iter().filter(|k| *k == "concat.joined").count()
}

#[test]
fn branches_are_written_where_they_belong() {
    for (n, stride) in [(1, 1), (2, 1), (7, 1), (3, 2)] {
        for last in [16, 48, 20] {
            let case = Case::new(inception([32, 16, last], stride, false), n, 0.1);
            assert_eq!(joins(&case), 1, "{n} images, stride {stride}, {last} channels");
        }
    }
}

#[test]
fn what_cannot_be_joined_is_copied() {
    // Half a block in the middle; a branch that something else reads.
    for g in [inception([32, 24, 16], 1, false), inception([16, 32, 16], 1, true)] {
        assert_eq!(joins(&Case::new(g, 2, 0.1)), 0);
    }
    // A branch that is the graph's output, one that is an input, one that is concatenated with itself.
    for i in 0..3 {
        let mut g = Graph::new("ends");
        let x = g.input("x", Shape::batch(&[32, 8, 8]), DType::F32).unwrap();
        let a = conv(&mut g, x, "a", [32, 32], 3, 1);
        let b = conv(&mut g, x, "b", [32, 32], 1, 1);
        let pair = [[a, b], [x, b], [b, b]][i];
        let joined = g.concat(&pair, 1).unwrap();
        let y = conv(&mut g, joined, "c", [16, 64], 1, 1);
        g.output("y", y);
        g.output("a", a);
        assert_eq!(joins(&Case::new(g, 2, 0.1)), 0, "{i}");
    }
}

#[test]
fn a_join_of_joins_is_copied_once() {
    let mut g = Graph::new("joins");
    let x = g.input("x", Shape::batch(&[32, 8, 8]), DType::F32).unwrap();
    let branches: Vec<ValueId> = (0..4).map(|i| conv(&mut g, x, &format!("w{i}"), [16, 32], 3, 1)).collect();
    let inner = g.concat(&branches[..2], 1).unwrap();
    let outer = g.concat(&[inner, branches[2], branches[3]], 1).unwrap();
    let y = conv(&mut g, outer, "c", [16, 64], 1, 1);
    g.output("y", y);
    assert_eq!(joins(&Case::new(g, 3, 0.1)), 1);
}

#[test]
fn parts_lie_in_the_whole() {
    let case = Case::new(inception([64, 64, 64], 1, false), 4, 0.1);
    let mut run = case.run(1, &CompileOptions::default());
    let report = run.report(0, 4).unwrap();
    let concat = report.nodes.iter().position(|n| n.kernel == "concat.joined").unwrap();
    assert_eq!((report.nodes[concat].bytes, report.nodes[concat].tasks), (0, 0));
    let begin =
        |place: &str| -> usize { place.strip_prefix("arena ").unwrap().split('+').next().unwrap().parse().unwrap() };
    let whole = begin(&report.nodes[concat].places[0]);
    let maps = report.nodes[..concat].iter().filter(|n| n.flops > 0).map(|n| begin(&n.places[0]) - whole);
    let image = 64 * 11 * 9 * 4;
    assert_eq!(maps.collect::<Vec<_>>(), [0, image, 2 * image]);
}
