//! Outputs and gradients of operations agree with PyTorch's, kinks included. The numbers are written by
//! `goldens/operations.py`, in 64 bits.

use gabor_compile::differentiate_with;
use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::{AttributeText, Graph, ValueId, registry};
use gabor_tensor::{DType, Shape, Tensor};
use std::collections::HashMap;

/// Constants of a graph are 32-bit numbers, so results differ by their rounding.
const TOLERANCE: f64 = 1e-6;

fn numbers(words: &[&str]) -> Vec<f64> {
    words.iter().map(|w| w.parse().expect("a number")).collect()
}

fn extents(word: &str) -> Vec<usize> {
    if word == "-" { Vec::new() } else { word.split(',').map(|w| w.parse().expect("an extent")).collect() }
}

fn compare(what: &str, got: &[f64], want: &[f64]) -> Result<(), String> {
    let largest = want.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= TOLERANCE * largest;
    if got.len() == want.len() && got.iter().zip(want).all(close) {
        return Ok(());
    }
    Err(format!("{what}: {got:?}, PyTorch {want:?}"))
}

/// One case: its lines after `op`.
fn check(head: &str, lines: &[Vec<&str>]) -> Result<(), String> {
    let mut words = head.split(' ').skip(1);
    let name = words.next().unwrap_or_default();
    let attributes = words.map(|w| w.split_once('=').map(|(k, v)| (k.to_string(), v.to_string())));
    let attributes = AttributeText::new(attributes.collect::<Option<_>>().ok_or("an attribute without `=`")?);
    let spec = registry().iter().find(|s| s.name == name).ok_or("no such operation")?;
    let operation = (spec.read)(attributes).map_err(|e| e.to_string())?;
    let mut g = Graph::new(name);
    let (mut bindings, mut inputs, mut floats) = (HashMap::new(), Vec::new(), Vec::<ValueId>::new());
    let of = |key: &str| lines.iter().filter(|l| l[0] == key).collect::<Vec<_>>();
    for line in of("in") {
        let shape = extents(line[2]);
        let t = Tensor::f64(&shape, numbers(&line[3..])).map_err(|e| e.to_string())?;
        let (dtype, t) = if line[1] == "i32" { (DType::I32, t.cast(DType::I32)) } else { (DType::F32, t) };
        let v = g.input(&format!("x{}", inputs.len()), Shape::fixed(&shape), dtype).map_err(|e| e.to_string())?;
        if dtype == DType::F32 {
            floats.push(v);
        }
        bindings.insert(v, t);
        inputs.push(v);
    }
    let y = g.add_shared(operation, &inputs).map_err(|e| e.to_string())?[0];
    let (out, dy) = (of("out")[0], of("dy")[0]);
    let shape = extents(out[1]);
    if g.shape(y) != &Shape::fixed(&shape) {
        return Err(format!("shape {}, PyTorch {shape:?}", g.shape(y)));
    }
    let seed = g.input("dy", Shape::fixed(&shape), DType::F32).map_err(|e| e.to_string())?;
    bindings.insert(seed, Tensor::f64(&shape, numbers(&dy[1..])).map_err(|e| e.to_string())?);
    let gradients = differentiate_with(&mut g, &[(y, seed)], &floats, &|_, _| Ok(None)).map_err(|e| e.to_string())?;
    let run = |v| evaluate(&g, 1, &bindings, Precision::F64, &[v]).map(|t| t[0].to_f64()).map_err(|e| e.to_string());
    compare("y", &run(y)?, &numbers(&out[2..]))?;
    for (i, (line, gradient)) in of("grad").into_iter().zip(gradients).enumerate() {
        if line[1] != "-" {
            compare(&format!("gradient {i}"), &run(gradient.ok_or("no gradient")?)?, &numbers(&line[1..]))?;
        }
    }
    Ok(())
}

#[test]
fn operations_agree_with_pytorch() {
    let text = include_str!("goldens/operations.txt");
    let cases: Vec<&str> = text.split("op ").filter(|c| !c.is_empty()).collect();
    assert!(cases.len() > 50, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let mut lines = case.lines();
        let head = format!("op {}", lines.next().unwrap_or_default());
        let lines: Vec<Vec<&str>> = lines.map(|l| l.split(' ').collect()).collect();
        if let Err(e) = check(&head, &lines) {
            wrong.push(format!("{head}: {e}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
