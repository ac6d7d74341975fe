//! A network of the zoo with initialised weights, as an ONNX file that other runtimes open:
//! `cargo run --release -p gabor --example export -- resnet18 resnet18.onnx`.

#![allow(clippy::print_stdout)]

use gabor::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, file] = arguments.as_slice() else {
        return Err("right would be: a network's name and the file to write".into());
    };
    let net = network(name, &Default::default())?;
    let model = Model::new(net.graph(Mode::Infer)?, net.initialize(0)?)?;
    model.save(file)?;
    println!("{file}: {} with {} weights", model.graph().name, model.weights().elements());
    Ok(())
}
