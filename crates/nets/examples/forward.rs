//! Runs a network once on drawn images and weights, and prints its outputs, one a line:
//!
//!   cargo run -p gabor-nets --example forward NETWORK [INSTRUCTIONS]
//!
//! All numbers are drawn by key, so they are the same on every machine; `cargo xtask isa` compares what machines answer.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use gabor_compile::{Backend, CompileOptions, Program};
use gabor_cpu::{CpuBackend, CpuOptions, Isa};
use gabor_nets::Mode;
use gabor_nets::zoo::{self, Options};
use gabor_tensor::{Stream, Tensor, rng::op};
use std::error::Error;

/// Numbers in [−1, 1), times `scale` and moved by `middle`.
fn drawn(shape: &[usize], key: u32, scale: f64, middle: f64) -> Result<Tensor, Box<dyn Error>> {
    let mut s = Stream::new(1, 0, key, op::TEST);
    let values = (0..shape.iter().product()).map(|_| (middle + scale * s.range(-1.0, 1.0)) as f32).collect();
    Ok(Tensor::f32(shape, values)?)
}

/// A parameter such that numbers neither vanish nor explode from layer to layer.
fn parameter(name: &str, shape: &[usize], key: u32) -> Result<Tensor, Box<dyn Error>> {
    let fan_in: usize = shape.iter().skip(1).product();
    match shape.len() {
        1 if name.ends_with("running_var") || name.ends_with("weight") => drawn(shape, key, 0.25, 1.0),
        1 => drawn(shape, key, 0.1, 0.0),
        _ => drawn(shape, key, (6.0 / fan_in as f64).sqrt(), 0.0),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let name = words.next().ok_or("which network?")?;
    let isa = match words.next() {
        Some(isa) => Some(Isa::from_name(&isa).ok_or("this machine has no such instructions")?),
        None => None,
    };
    let graph = zoo::by_name(&name, &Options::default())?.graph(Mode::Infer)?;
    let images = graph.find("images").ok_or("it takes no images")?;
    let program = Program::single(&name, graph.clone().validate()?);
    let backend = CpuBackend::new(CpuOptions { isa, ..Default::default() })?;
    let mut run = backend.compile(&program, &CompileOptions::default())?;
    for (v, _) in graph.parameters() {
        let name = &graph.value(v).name;
        run.write(name, &parameter(name, &graph.shape(v).at(1), v.0 + 1)?)?;
    }
    run.run(0, 1, &[("images", &drawn(&graph.shape(images).at(1), 0, 1.0, 0.0)?)])?;
    println!("{name} {}", isa.unwrap_or_else(Isa::best));
    for y in run.output("logits")?.as_f32()? {
        println!("{y}");
    }
    Ok(())
}
