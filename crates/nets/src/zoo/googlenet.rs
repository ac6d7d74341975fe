//! GoogLeNet (Szegedy et al. 2015) as torchvision has it: batch normalisation, 3×3 where the paper has 5×5. In
//! training two auxiliary heads stand behind modules 4a and 4d.

use super::{Card, Entry, Preprocessing};
use crate::{ConvOptions, Net, NormOptions, Scheme, conv, pool};
use gabor_graph::{Initializer, Result};

/// torchvision's weights are a conversion of TensorFlow's, which expect values in −1..1; its class turns ImageNet's usual
/// mean and deviation into these (`transform_input`).
pub(super) const HALF: Preprocessing =
    Preprocessing { mean: &[0.5, 0.5, 0.5], std: &[0.5, 0.5, 0.5], ..Preprocessing::IMAGENET };

pub(super) const ENTRIES: &[Entry] = &[Entry {
    card: Card {
        name: "googlenet",
        aliases: &["inception_v1"],
        title: "GoogLeNet of nine inception modules, as torchvision has it, in training with two auxiliary heads",
        paper: "Szegedy et al.: Going deeper with convolutions",
        year: 2015,
        parameters: 6_624_904,
        preprocessing: Some(HALF),
        ..Card::TORCHVISION
    },
    build: googlenet,
}];

/// Filters of a module: 1×1, 3×3 reduction and 3×3, 5×5 reduction and 5×5, pooling projection (table 1 of the paper).
const MODULES: &[(&str, [usize; 6])] = &[
    ("3a", [64, 96, 128, 16, 32, 32]),
    ("3b", [128, 128, 192, 32, 96, 64]),
    ("4a", [192, 96, 208, 16, 48, 64]),
    ("4b", [160, 112, 224, 24, 64, 64]),
    ("4c", [128, 128, 256, 24, 64, 64]),
    ("4d", [112, 144, 288, 32, 64, 64]),
    ("4e", [256, 160, 320, 32, 128, 128]),
    ("5a", [256, 160, 320, 32, 128, 128]),
    ("5b", [384, 192, 384, 48, 128, 128]),
];

fn googlenet(net: &mut Net, classes: usize) -> Result<()> {
    // torchvision truncates the normal distribution at 200 deviations, which changes nothing.
    let normal = Initializer::Normal { mean: 0.0, std: 0.01 };
    net.init(Scheme { conv: normal.clone(), linear: normal, ..Scheme::default() });
    net.within("conv1", |b| unit(b, conv(64, 7).stride(2).pad(3)))?.max_pool(pool(3).stride(2).ceil())?;
    net.within("conv2", |b| unit(b, conv(64, 1)))?;
    net.within("conv3", |b| unit(b, conv(192, 3).pad(1)))?.max_pool(pool(3).stride(2).ceil())?;
    for (name, filters) in MODULES {
        net.within(&format!("inception{name}"), |b| inception(b, *filters))?;
        // "The losses of the auxiliary classifiers were weighted by 0.3."
        match *name {
            "3b" => net.max_pool(pool(3).stride(2).ceil())?,
            "4a" => net.auxiliary("aux1", 0.3, |head| auxiliary(head, classes))?,
            "4d" => net.auxiliary("aux2", 0.3, |head| auxiliary(head, classes))?,
            "4e" => net.max_pool(pool(2).ceil())?,
            _ => net,
        };
    }
    net.global_avg_pool()?.flatten()?.dropout(0.2)?.linear("fc", classes)?;
    Ok(())
}

/// Convolution without bias, batch normalisation (eps 0.001), ReLU.
pub(super) fn unit(net: &mut Net, options: ConvOptions) -> Result<&mut Net> {
    net.conv("conv", options.no_bias())?
        .batch_norm_with("bn", NormOptions { eps: 1e-3, ..NormOptions::default() })?
        .relu()
}

/// Average pooling to 4×4 (the paper's 5×5 window at stride 3 on 14×14), 1×1 convolution, two fully connected layers.
fn auxiliary(net: &mut Net, classes: usize) -> Result<&mut Net> {
    net.adaptive_avg_pool(&[4, 4])?.within("conv", |b| unit(b, conv(128, 1)))?;
    net.linear("fc1", 1024)?.relu()?.dropout(0.7)?.linear("fc2", classes)
}

fn inception(net: &mut Net, [c1, r3, c3, r5, c5, p]: [usize; 6]) -> Result<&mut Net> {
    net.branches(&[
        &|b| b.within("branch1", |b| unit(b, conv(c1, 1))),
        &|b| b.within("branch2.0", |b| unit(b, conv(r3, 1)))?.within("branch2.1", |b| unit(b, conv(c3, 3).pad(1))),
        &|b| b.within("branch3.0", |b| unit(b, conv(r5, 1)))?.within("branch3.1", |b| unit(b, conv(c5, 3).pad(1))),
        &|b| b.max_pool(pool(3).stride(1).pad(1).ceil())?.within("branch4.1", |b| unit(b, conv(p, 1))),
    ])
}
