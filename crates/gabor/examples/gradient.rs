//! The gradient of anything by anything: f(x) = Σ x³ has f′ = 3x², and the gradient's own gradient gives 6x, since
//! differentiation takes a graph and adds nodes to it.

#![allow(clippy::print_stdout)]

use gabor::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut g = Graph::new("cubes");
    let x = g.input("x", Shape::batch(&[]), DType::F32)?;
    let square = g.mul(x, x)?;
    let cube = g.mul(square, x)?;
    let f = g.sum_all(cube)?;
    let first = differentiate(&mut g, f, &[x])?[0].ok_or("f depends on x")?;
    let sum = g.sum_all(first)?;
    let second = differentiate(&mut g, sum, &[x])?[0].ok_or("f' depends on x")?;
    for (name, value) in [("f", f), ("f'", first), ("f''", second)] {
        g.output(name, value);
    }
    println!("{}", g.to_text());

    let program = Program::single("cubes", g.validate()?);
    let mut run = CpuBackend::default().compile(&program, &CompileOptions::default())?;
    run.run(0, 3, &[("x", &Tensor::f32(&[3], vec![1.0, 2.0, -3.0])?)])?;
    for name in ["f", "f'", "f''"] {
        println!("{name:3} = {:?}", run.output(name)?.as_f32()?);
    }
    assert_eq!(run.output("f''")?.as_f32()?, [6.0, 12.0, -18.0]);
    Ok(())
}
