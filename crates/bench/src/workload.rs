//! What is timed.

use crate::case::VGG_CONVOLUTIONS;

/// A layer by its numbers: square images, square windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The name that tables print.
    pub name: &'static str,
    /// What it computes.
    pub kind: Kind,
    /// Input channels.
    pub ci: usize,
    /// Output channels.
    pub co: usize,
    /// Height and width of the input.
    pub hw: usize,
    /// Extent of the window.
    pub kernel: usize,
    /// Step of the window.
    pub stride: usize,
    /// Padding on each side.
    pub pad: usize,
    /// Groups of channels.
    pub groups: usize,
    /// Batch sizes.
    pub batches: &'static [usize],
}

/// The kinds of layers that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Convolution without bias.
    Conv,
    /// Max pooling.
    MaxPool,
    /// Global average pooling.
    AvgPool,
    /// Batch normalisation and rectifier.
    BatchNormRelu,
}

const fn conv(name: &'static str, ci: usize, co: usize, hw: usize, kernel: usize) -> Layer {
    Layer { name, kind: Kind::Conv, ci, co, hw, kernel, stride: 1, pad: 0, groups: 1, batches: &[1, 16] }
}

impl Layer {
    const fn stride(self, stride: usize) -> Self {
        Layer { stride, ..self }
    }
    const fn pad(self, pad: usize) -> Self {
        Layer { pad, ..self }
    }
    /// Height and width of the output.
    pub fn output(&self) -> usize {
        match self.kind {
            Kind::AvgPool => 1,
            _ => (self.hw + 2 * self.pad - self.kernel) / self.stride + 1,
        }
    }
    /// Floating-point operations (a multiply-add counts as two), or `None` where none multiply, and the least number
    /// of bytes that must move, at batch `n`.
    pub fn cost(&self, n: usize, backward: bool) -> (Option<u64>, u64) {
        let o = self.output();
        let x = (n * self.ci * self.hw * self.hw) as u64;
        let y = (n * self.co * o * o) as u64;
        match (self.kind, backward) {
            (Kind::Conv, _) => {
                let w = (self.co * self.ci / self.groups * self.kernel * self.kernel) as u64;
                let flops = 2 * (n * o * o) as u64 * w;
                if backward { (Some(3 * flops), 12 * (x + y + w)) } else { (Some(flops), 4 * (x + y + w)) }
            }
            // x → y with a second read of x for the statistics, then dy, x → dx.
            (Kind::BatchNormRelu, true) => (None, 4 * (5 * x + y)),
            (_, back) => (None, 4 * (x + y) * if back { 2 } else { 1 }),
        }
    }
}

const LAYERS: &[Layer] = &[
    conv("alexnet.conv1", 3, 96, 227, 11).stride(4),
    conv("alexnet.conv2", 96, 256, 27, 5).pad(2),
    conv("vgg.conv1_2", 64, 64, 224, 3).pad(1),
    conv("vgg.conv2_2", 128, 128, 112, 3).pad(1),
    conv("vgg.conv3_2", 256, 256, 56, 3).pad(1),
    conv("vgg.conv4_2", 512, 512, 28, 3).pad(1),
    conv("vgg.conv5_2", 512, 512, 14, 3).pad(1),
    conv("resnet.conv1", 3, 64, 224, 7).stride(2).pad(3),
    conv("resnet.reduce1x1", 256, 64, 56, 1),
    conv("resnet.expand1x1", 64, 256, 56, 1),
    conv("resnet.3x3s2", 128, 128, 56, 3).stride(2).pad(1),
    conv("googlenet.5x5", 32, 96, 14, 5).pad(2),
    conv("alphago.hidden", 192, 192, 19, 3).pad(1),
    Layer { batches: &[64], ..conv("lenet.conv1", 1, 6, 28, 5).pad(2) },
    Layer { groups: 384, ..conv("depthwise", 384, 384, 14, 3).pad(1) },
    Layer { kind: Kind::MaxPool, ..conv("maxpool", 64, 64, 112, 3).stride(2).pad(1) },
    Layer { kind: Kind::AvgPool, ..conv("avgpool", 2048, 2048, 7, 7) },
    Layer { kind: Kind::BatchNormRelu, ..conv("batchnorm_relu", 64, 64, 112, 1) },
];

const CHAINS: &[&str] =
    &["vgg.conv1_2", "vgg.conv2_2", "vgg.conv3_2", "vgg.conv4_2", "vgg.conv5_2", "alphago.hidden", "depthwise"];
const CHAIN_LENGTH: usize = 8;

const INFER: &[&str] = &[
    "lenet5",
    "alexnet",
    "vgg16",
    "googlenet",
    "resnet18",
    "resnet50",
    "resnet152",
    "squeezenet1_1",
    "mobilenet_v2",
    "alphago_policy",
];
const TRAIN: &[(&str, usize)] = &[
    ("lenet5", 64),
    ("resnet20_cifar", 128),
    ("alexnet", 32),
    ("resnet18", 16),
    ("resnet50", 8),
    ("vgg16", 4),
    ("googlenet", 16),
];

/// One thing to time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workload {
    /// A layer, or a chain of copies of it.
    Layer {
        /// The layer.
        layer: Layer,
        /// Batch size.
        n: usize,
        /// With the gradients of input and weights.
        backward: bool,
        /// Number of copies in a row, by which the time is divided.
        copies: usize,
    },
    /// A network, forward.
    Infer {
        /// Its name in the zoo.
        model: &'static str,
        /// Batch size.
        n: usize,
    },
    /// A network, forward, on square pictures that are not as large as those it was published for.
    Sized {
        /// Its name in the zoo, or `vgg16_convolutions`: VGG-16 without its classifier.
        model: &'static str,
        /// Batch size.
        n: usize,
        /// Height and width.
        size: usize,
    },
    /// A training step of a network.
    Train {
        /// Its name in the zoo.
        model: &'static str,
        /// Batch size.
        n: usize,
    },
}

impl Workload {
    /// The name, equal to the peers'.
    pub fn name(&self) -> String {
        match self {
            Workload::Layer { layer, n, copies: 1, backward } => {
                format!("layer/{}/{}/n{n}", layer.name, if *backward { "fwdbwd" } else { "fwd" })
            }
            Workload::Layer { layer, n, .. } => format!("chain/{}/fwd/n{n}", layer.name),
            Workload::Infer { model, n } => format!("infer/{model}/n{n}"),
            Workload::Sized { model, n, size } => format!("infer/{model}@{size}/n{n}"),
            Workload::Train { model, n } => format!("train/{model}/n{n}"),
        }
    }
    /// The batch size.
    pub fn batch(&self) -> usize {
        match self {
            Workload::Layer { n, .. }
            | Workload::Infer { n, .. }
            | Workload::Sized { n, .. }
            | Workload::Train { n, .. } => *n,
        }
    }
}

/// All workloads, in the order of the peers' list.
pub fn workloads() -> Vec<Workload> {
    let mut all = Vec::new();
    for &layer in LAYERS {
        for backward in [false, true] {
            all.extend(layer.batches.iter().map(|&n| Workload::Layer { layer, n, backward, copies: 1 }));
        }
    }
    for layer in LAYERS.iter().filter(|l| CHAINS.contains(&l.name)) {
        let chain = |&n: &usize| Workload::Layer { layer: *layer, n, backward: false, copies: CHAIN_LENGTH };
        all.extend(layer.batches.iter().map(chain));
    }
    for model in INFER {
        all.extend([1, 16].map(|n| Workload::Infer { model, n }));
    }
    all.extend(TRAIN.iter().map(|&(model, n)| Workload::Train { model, n }));
    all
}

/// Batch sizes over which the cost of a picture is looked at.
const BATCHES: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Extents of pictures over which the cost of a pixel is looked at.
const SIZES: [usize; 8] = [64, 96, 128, 192, 256, 320, 384, 512];

/// What shows how the time grows with the batch, and then with the picture; with the threads, where each is timed with
/// several numbers of them.
pub fn scaling() -> Vec<Workload> {
    let mut all = Vec::new();
    all.extend(BATCHES.map(|n| Workload::Infer { model: "vgg16", n }));
    all.extend(BATCHES.map(|n| Workload::Infer { model: "resnet18", n }));
    all.extend(BATCHES.map(|n| Workload::Train { model: "resnet18", n }));
    for model in [VGG_CONVOLUTIONS, "resnet18"] {
        all.extend(SIZES.map(|size| Workload::Sized { model, n: 1, size }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_costs_are_known() {
        let all = workloads();
        let mut names: Vec<_> = all.iter().map(Workload::name).collect();
        assert_eq!(names.len(), 35 * 2 + 14 + 20 + 7);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all.len());
        let vgg = LAYERS.iter().find(|l| l.name == "vgg.conv3_2").unwrap();
        assert_eq!(vgg.cost(1, false).0, Some(3_699_376_128));
        assert_eq!(LAYERS[0].output(), 55);
    }
}
