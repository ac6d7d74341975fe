//! Losses and their gradients against PyTorch's (values printed by torch.nn in double precision).
#![allow(clippy::excessive_precision)]

use gabor_compile::{Backend, CompileOptions, Program, differentiate};
use gabor_graph::Graph;
use gabor_tensor::{DType, Dim, Shape, Tensor};
use gabor_train::Loss;

#[test]
fn losses_and_gradients_equal_pytorchs() {
    let cases: [(&str, f64, [f32; 2], [f32; 6]); 7] = [
        (
            "cross_entropy",
            0.0,
            [0.351951864, 2.356283544],
            [-0.148343012, 0.047591598, 0.100751414, 0.003029279, -0.452614108, 0.449584829],
        ),
        (
            "cross_entropy",
            0.1,
            [0.460285197, 2.372950211],
            [-0.115009679, 0.030924931, 0.084084747, -0.013637388, -0.419280774, 0.432918162],
        ),
        ("hinge", 0.0, [0.0, 1.083333333], [0.0, 0.0, 0.0, 0.0, -0.166666667, 0.166666667]),
        (
            "binary_hinge",
            0.0,
            [0.583333333, 1.416666667],
            [0.0, 0.166666667, 0.166666667, 0.0, -0.166666667, 0.166666667],
        ),
        (
            "logistic",
            0.0,
            [0.500476561, 1.187462123],
            [-0.030404254, 0.062923445, 0.093696083, 0.019867154, -0.053470217, 0.158762354],
        ),
        (
            "l1",
            0.0,
            [0.416666667, 1.75],
            [0.166666667, -0.166666667, 0.166666667, -0.166666667, -0.166666667, 0.166666667],
        ),
        ("l2", 0.0, [0.1875, 4.354166667], [0.166666667, -0.166666667, 0.083333333, -0.666666667, -0.083333333, 1.0]),
    ];
    let scores = Tensor::f32(&[2, 3], vec![1.5, -0.5, 0.25, -2.0, 0.75, 3.0]).unwrap();
    let labels = Tensor::i32(&[2], vec![0, 1]).unwrap();
    for (name, smoothing, values, gradients) in cases {
        let mut g = Graph::new("loss");
        let x = g.input("x", Shape::batch(&[3]), DType::F32).unwrap();
        let y = g.input("y", Shape(vec![Dim::Batch(1)]), DType::I32).unwrap();
        let per_sample = Loss::by_name(name, smoothing).unwrap().per_sample(&mut g, x, y).unwrap();
        let mean = g.mean_all(per_sample).unwrap();
        let dx = differentiate(&mut g, mean, &[x]).unwrap()[0].unwrap();
        g.output("loss", per_sample);
        g.output("dx", dx);
        let program = Program::single("loss", g.validate().unwrap());
        let mut exe = gabor_cpu::CpuBackend::default().compile(&program, &CompileOptions::default()).unwrap();
        exe.run(0, 2, &[("x", &scores), ("y", &labels)]).unwrap();
        for (what, want) in [("loss", &values[..]), ("dx", &gradients[..])] {
            let got = exe.output(what).unwrap().as_f32().unwrap();
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{name} {smoothing} {what}: {got:?}");
        }
    }
}

#[test]
fn large_scores_do_not_overflow() {
    for name in Loss::NAMES {
        let mut g = Graph::new("loss");
        let x = g.input("x", Shape::batch(&[3]), DType::F32).unwrap();
        let y = g.input("y", Shape(vec![Dim::Batch(1)]), DType::I32).unwrap();
        let loss = Loss::by_name(name, 0.0).unwrap().per_sample(&mut g, x, y).unwrap();
        g.output("loss", loss);
        let program = Program::single("loss", g.validate().unwrap());
        let mut exe = gabor_cpu::CpuBackend::default().compile(&program, &CompileOptions::default()).unwrap();
        let scores = Tensor::f32(&[1, 3], vec![1e4, -1e4, 0.0]).unwrap();
        exe.run(0, 1, &[("x", &scores), ("y", &Tensor::i32(&[1], vec![1]).unwrap())]).unwrap();
        let loss = exe.output("loss").unwrap().as_f32().unwrap()[0];
        assert!(loss.is_finite() && loss > 1000.0, "{name}: {loss}");
    }
    assert!(Loss::by_name("hinges", 0.0).unwrap_err().to_string().contains("`hinge`"));
}
