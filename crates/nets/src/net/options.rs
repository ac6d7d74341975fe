//! What a user says about a layer.

use gabor_tensor::{PadMode, Padding, PoolDivisor, WindowOptions};

/// Options of a convolution; made by [`conv`].
#[derive(Clone, Debug, PartialEq)]
pub struct ConvOptions {
    /// Number of filters: output channels.
    pub filters: usize,
    /// The sliding window. Its lists may hold one number, which stands for every dimension.
    pub window: WindowOptions,
    /// Groups: a filter sees only the channels of its group.
    pub groups: usize,
    /// Whether a bias is added.
    pub bias: bool,
    /// What padding is filled with.
    pub pad_mode: PadMode,
}

/// A convolution of `filters` filters with a kernel of that extent in every dimension: stride 1, no padding, one group,
/// with bias (PyTorch's defaults).
pub fn conv(filters: usize, kernel: usize) -> ConvOptions {
    ConvOptions { filters, window: WindowOptions::new(&[kernel]), groups: 1, bias: true, pad_mode: PadMode::Constant }
}

impl ConvOptions {
    /// Extents of the kernel per dimension.
    pub fn kernel(mut self, extents: &[usize]) -> Self {
        self.window.kernel_size = extents.to_vec();
        self
    }
    /// Step between windows, in every dimension.
    pub fn stride(mut self, stride: usize) -> Self {
        self.window.stride = vec![stride];
        self
    }
    /// Elements added on every side.
    pub fn pad(mut self, elements: usize) -> Self {
        self.window.padding = Padding::all(elements);
        self
    }
    /// As much padding as keeps `ceil(input / stride)` outputs.
    pub fn same(mut self) -> Self {
        self.window.padding = Padding::Same;
        self
    }
    /// Distance between the elements of the window, in every dimension.
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.window.dilation = vec![dilation];
        self
    }
    /// Any window.
    pub fn window(mut self, window: WindowOptions) -> Self {
        self.window = window;
        self
    }
    /// Number of groups.
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }
    /// Without bias, as before a normalisation.
    pub fn no_bias(mut self) -> Self {
        self.bias = false;
        self
    }
    /// What padding is filled with.
    pub fn pad_mode(mut self, mode: PadMode) -> Self {
        self.pad_mode = mode;
        self
    }
}

/// Options of a pooling; made by [`pool`] or from a number, the kernel's extent.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolOptions {
    /// The sliding window.
    pub window: WindowOptions,
    /// What the sum of average pooling is divided by.
    pub divisor: PoolDivisor,
}

/// Pooling over a window of that extent in every dimension, the stride equal to it, no padding (PyTorch's defaults).
pub fn pool(kernel: usize) -> PoolOptions {
    PoolOptions { window: WindowOptions::new(&[kernel]).stride(&[kernel]), divisor: PoolDivisor::CountIncludePad }
}

impl From<usize> for PoolOptions {
    fn from(kernel: usize) -> Self {
        pool(kernel)
    }
}

impl From<WindowOptions> for PoolOptions {
    fn from(window: WindowOptions) -> Self {
        PoolOptions { window, divisor: PoolDivisor::CountIncludePad }
    }
}

impl PoolOptions {
    /// Step between windows, in every dimension.
    pub fn stride(mut self, stride: usize) -> Self {
        self.window.stride = vec![stride];
        self
    }
    /// Elements added on every side.
    pub fn pad(mut self, elements: usize) -> Self {
        self.window.padding = Padding::all(elements);
        self
    }
    /// A last window that sticks out counts.
    pub fn ceil(mut self) -> Self {
        self.window.ceil_mode = true;
        self
    }
    /// Average pooling divides by the number of elements that are no padding.
    pub fn count_exclude_pad(mut self) -> Self {
        self.divisor = PoolDivisor::CountExcludePad;
        self
    }
}

/// Numbers of a normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormOptions {
    /// Added to the variance.
    pub eps: f64,
    /// Weight of the batch in the running statistics.
    pub momentum: f64,
}

impl Default for NormOptions {
    /// PyTorch's: eps 1e-5, momentum 0.1.
    fn default() -> Self {
        NormOptions { eps: 1e-5, momentum: 0.1 }
    }
}

/// Numbers of local response normalisation, in PyTorch's meaning: `y = x / (k + α/size · Σ x²)^β` over `size`
/// neighbouring channels. (The AlexNet paper does not divide α by the size.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LrnOptions {
    /// Number of neighbouring channels, the channel itself included.
    pub size: usize,
    /// α
    pub alpha: f64,
    /// β
    pub beta: f64,
    /// k
    pub k: f64,
}

impl Default for LrnOptions {
    /// As in AlexNet's paper: 5 channels, α = 1e-4 for each of them, β = 0.75, k = 2.
    fn default() -> Self {
        LrnOptions { size: 5, alpha: 5e-4, beta: 0.75, k: 2.0 }
    }
}
