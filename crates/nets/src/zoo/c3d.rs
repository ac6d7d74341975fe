//! C3D (Tran et al. 2015): 3×3×3 convolutions over space and time.

use super::{Card, Entry};
use crate::{Net, Scheme, conv};
use gabor_graph::{Initializer, Result};
use gabor_tensor::WindowOptions;

const PAPER: &str =
    "Tran, Bourdev, Fergus, Torresani, Paluri: Learning spatiotemporal features with 3D convolutional networks";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card {
            name: "c3d",
            title: "C3D: eight 3×3×3 convolutions on clips of 16 frames, for Sports-1M",
            paper: PAPER,
            year: 2015,
            parameters: 79_991_015,
            input: &[3, 16, 112, 112],
            classes: 487,
            ..Card::BASE
        },
        build: |net, classes| c3d(net, classes, [64, 128, 256, 512, 512], 4096),
    },
    Entry {
        card: Card {
            name: "tiny_c3d",
            title: "C3D with few filters, for clips of 16 frames of 32×32",
            paper: PAPER,
            year: 2015,
            parameters: 11_467,
            input: &[3, 16, 32, 32],
            classes: 5,
            ..Card::BASE
        },
        build: |net, classes| c3d(net, classes, [4, 6, 8, 8, 8], 16),
    },
];

fn c3d(net: &mut Net, classes: usize, filters: [usize; 5], hidden: usize) -> Result<()> {
    net.init(Scheme {
        linear: Initializer::Normal { mean: 0.0, std: 0.005 },
        ..Scheme::all(Initializer::KaimingNormal { a: 0.0, fan_out: false })
    });
    let [f1, f2, f3, f4, f5] = filters;
    net.conv("conv1", conv(f1, 3).pad(1))?.relu()?;
    // "The first pooling layer has kernel size 1×2×2 with the intention of not to merge the temporal signal too early."
    net.max_pool(WindowOptions::new(&[1, 2, 2]).stride(&[1, 2, 2]))?;
    net.conv("conv2", conv(f2, 3).pad(1))?.relu()?.max_pool(2)?;
    net.conv("conv3a", conv(f3, 3).pad(1))?.relu()?.conv("conv3b", conv(f3, 3).pad(1))?.relu()?.max_pool(2)?;
    net.conv("conv4a", conv(f4, 3).pad(1))?.relu()?.conv("conv4b", conv(f4, 3).pad(1))?.relu()?.max_pool(2)?;
    net.conv("conv5a", conv(f5, 3).pad(1))?.relu()?.conv("conv5b", conv(f5, 3).pad(1))?.relu()?;
    // As Caffe does it, a last window that sticks out counts: 2×7×7 becomes 1×4×4.
    net.max_pool(crate::pool(2).ceil())?;
    net.flatten()?;
    net.linear("fc6", hidden)?.relu()?.dropout(0.5)?;
    net.linear("fc7", hidden)?.relu()?.dropout(0.5)?;
    net.linear("fc8", classes)?;
    Ok(())
}
