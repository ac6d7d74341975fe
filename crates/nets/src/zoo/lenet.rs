//! LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998), in the modern form and as in the paper.

use super::{Card, Entry, Preprocessing};
use crate::{Net, conv};
use gabor_graph::{Graph, Initializer, Parameter, Result, ValueId};
use gabor_tensor::WindowOptions;

const PAPER: &str = "LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition";

/// "The background level corresponds to a value of −0.1 and the foreground to 1.175", that is v / 200 − 0.1.
const PAPER_GREY: Preprocessing = Preprocessing { divisor: 200.0, mean: &[0.1], ..Preprocessing::UNIT_GREY };

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card {
            name: "lenet5",
            aliases: &["lenet", "lenet-5"],
            title: "LeNet-5 in the modern form: ReLU, max pooling, all maps connected",
            paper: PAPER,
            year: 1998,
            parameters: 61_706,
            ..Card::MNIST
        },
        build: modern,
    },
    Entry {
        card: Card {
            name: "lenet5_1998",
            aliases: &["lenet-5-1998"],
            title: "LeNet-5 as in the paper: tanh, trainable subsampling, the connection table of C3 (a linear layer instead \
                    of the radial basis functions at the end)",
            paper: PAPER,
            year: 1998,
            parameters: 60_850,
            input: &[1, 32, 32],
            preprocessing: Some(PAPER_GREY),
            ..Card::MNIST
        },
        build: paper,
    },
];

fn modern(net: &mut Net, classes: usize) -> Result<()> {
    net.init(crate::Scheme {
        conv: Initializer::KaimingUniform { a: 0.0 },
        linear: Initializer::KaimingUniform { a: 0.0 },
        ..crate::Scheme::all(Initializer::Zeros)
    });
    // The paper's input is 32×32; digits of 28×28 get its border as padding.
    let pad = if net.extents()[1..].iter().all(|&e| e >= 32) { 0 } else { 2 };
    net.conv("conv1", conv(6, 5).pad(pad))?.relu()?.max_pool(2)?;
    net.conv2d("conv2", 16, 5)?.relu()?.max_pool(2)?;
    net.flatten()?;
    net.linear("fc1", 120)?.relu()?;
    net.linear("fc2", 84)?.relu()?;
    net.linear("fc3", classes)?;
    Ok(())
}

/// Which maps of S2 each map of C3 sees: table I of the paper.
const C3: [&[usize]; 16] = [
    &[0, 1, 2],
    &[1, 2, 3],
    &[2, 3, 4],
    &[3, 4, 5],
    &[0, 4, 5],
    &[0, 1, 5],
    &[0, 1, 2, 3],
    &[1, 2, 3, 4],
    &[2, 3, 4, 5],
    &[0, 3, 4, 5],
    &[0, 1, 4, 5],
    &[0, 1, 2, 5],
    &[0, 1, 3, 4],
    &[1, 2, 4, 5],
    &[0, 2, 3, 5],
    &[0, 1, 2, 3, 4, 5],
];

fn paper(net: &mut Net, classes: usize) -> Result<()> {
    net.conv2d("c1", 6, 5)?.layer("c1_tanh", squash)?;
    subsample(net, "s2")?;
    let maps: Vec<ValueId> = (0..6).map(|i| net.branch(|b| b.slice_channels(i..i + 1))).collect::<Result<_>>()?;
    let from = net.value();
    let mut made = Vec::new();
    for (i, seen) in C3.iter().enumerate() {
        net.at(from);
        let parts: Vec<ValueId> = seen.iter().map(|&s| maps[s]).collect();
        made.push(net.concat(&parts)?.conv2d(&format!("c3.{i}"), 1, 5)?.value());
    }
    net.concat(&made)?.layer("c3_tanh", squash)?;
    subsample(net, "s4")?;
    net.conv2d("c5", 120, 5)?.layer("c5_tanh", squash)?;
    net.flatten()?.linear("f6", 84)?.layer("f6_tanh", squash)?;
    net.linear("output", classes)?;
    Ok(())
}

/// `1.7159·tanh(2x/3)`.
fn squash(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    let x = g.scale(x, 2.0 / 3.0)?;
    let y = g.unary(gabor_tensor::Unary::Tanh, x)?;
    g.scale(y, 1.7159)
}

/// Averages 2×2 places, then multiplies by a trainable coefficient and adds a trainable bias per map.
fn subsample(net: &mut Net, name: &str) -> Result<()> {
    let c = net.channels();
    net.layer(name, |g, x| {
        let pooled = g.avg_pool(x, &WindowOptions::new(&[2, 2]).stride(&[2, 2]))?;
        let a = g.parameter(&format!("{name}.weight"), &[c], Parameter::weight(Initializer::Ones))?;
        let b = g.parameter(&format!("{name}.bias"), &[c], Parameter::bias(Initializer::Zeros))?;
        let shape = g.shape(pooled).clone();
        let (a, b) = (g.per_channel(a, &shape)?, g.per_channel(b, &shape)?);
        let scaled = g.mul(pooled, a)?;
        g.add(scaled, b)
    })?;
    net.layer(&format!("{name}_tanh"), squash)?;
    Ok(())
}
