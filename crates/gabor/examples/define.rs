//! A network of one's own: a small residual network as a chain of layers, and the same idea in the lectures' notation.

#![allow(clippy::print_stdout)]

use gabor::nets::{summary, zoo::Options};
use gabor::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let net = Network::new("residual", &[3, 32, 32], 10, |net| {
        net.conv("stem", conv(16, 3).pad(1).no_bias())?.batch_norm("stem_bn")?.relu()?;
        for block in ["block1", "block2"] {
            net.within(block, |net| {
                net.residual(|b| {
                    b.conv("conv1", conv(16, 3).pad(1).no_bias())?.batch_norm("bn1")?.relu()?;
                    b.conv("conv2", conv(16, 3).pad(1).no_bias())?.batch_norm("bn2")
                })?
                .relu()
            })?;
        }
        // A small inception module: branches from here, joined along the channels.
        net.branches(&[
            &|b| b.conv("one", conv(8, 1))?.relu(),
            &|b| b.conv("reduce", conv(8, 1))?.relu()?.conv("three", conv(16, 3).pad(1))?.relu(),
            &|b| b.max_pool(pool(3).stride(1).pad(1))?.conv("project", conv(8, 1))?.relu(),
        ])?;
        net.global_avg_pool()?.flatten()?.linear("fc", 10)?;
        Ok(())
    });
    println!("{}", summary(&net.graph(Mode::Infer)?));

    let lectures =
        network("INPUT 3x32x32 -> [[CONV3-16 -> RELU]*2 -> POOL]*2 -> FC-64 -> RELU -> FC-10", &Options::default())?;
    println!("{}", summary(&lectures.graph(Mode::Infer)?));

    // Shapes are checked as a layer is added, so a mistake is told at its line.
    let wrong = Network::new("wrong", &[3, 8, 8], 10, |net| {
        net.conv2d("conv1", 4, 11)?.flatten()?.linear("fc", 10).map(|_| ())
    });
    println!("{}", wrong.graph(Mode::Infer).unwrap_err());
    Ok(())
}
