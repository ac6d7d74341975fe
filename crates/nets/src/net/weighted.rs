//! Layers with weights: convolutions and fully connected layers.

use super::{ConvOptions, Net, conv};
use gabor_graph::ops::Slice;
use gabor_graph::{Initializer, Result, ValueId};
use gabor_tensor::{ConvGeometry, PadMode, Rule, Shape, WindowOptions};

/// One number for every dimension, or the numbers as they are.
fn spread(v: &[usize], d: usize) -> Vec<usize> {
    if v.len() == 1 { vec![v[0]; d] } else { v.to_vec() }
}

impl Net {
    /// Convolution in as many dimensions as the current value `[n, ci, spatial…]` has. Parameters: `NAME.weight`
    /// `[co, ci/groups, kernel…]`, `NAME.bias` `[co]`.
    ///
    /// # Errors
    /// Channels, groups or extents that do not fit.
    pub fn conv(&mut self, name: &str, options: ConvOptions) -> Result<&mut Self> {
        let full = self.begin(name)?;
        let spatial = self.spatial()?;
        let ci = self.channels();
        let ConvOptions { filters, window, groups, bias, pad_mode } = options;
        let kernel = spread(&window.kernel_size, spatial.len());
        if kernel.len() != spatial.len() || groups == 0 || !ci.is_multiple_of(groups) || !filters.is_multiple_of(groups)
        {
            // The shared rule finds the same and says it in full.
            let weight = [&[filters, ci / groups.max(1)], &kernel[..]].concat();
            return match ConvGeometry::new(ci, &spatial, &weight, groups, &window) {
                Err(rule) => Err(self.broken(rule)),
                Ok(_) => Err(self.broken(Rule::new(format!("a kernel {kernel:?} over {spatial:?}")))),
            };
        }
        // Where the window does not fit, no parameter should be left behind.
        let options = WindowOptions { kernel_size: kernel.clone(), ..window };
        options.resolve(&spatial).map_err(|r| self.broken(r))?;
        let shape = [&[filters, ci / groups], &kernel[..]].concat();
        let (weight, fan_in) = self.conv_weight(&full, &shape)?;
        self.current = self.graph.conv_padded(self.current, weight, groups, &options, pad_mode)?;
        if bias { self.channel_bias(&full, filters, fan_in) } else { Ok(self) }
    }
    /// 1D convolution: stride 1, no padding.
    ///
    /// # Errors
    /// A value that is not `[n, ci, l]`, or shorter than the kernel.
    pub fn conv1d(&mut self, name: &str, filters: usize, kernel: usize) -> Result<&mut Self> {
        self.conv(name, conv(filters, kernel).rank(1, self)?)
    }
    /// 2D convolution: stride 1, no padding.
    ///
    /// # Errors
    /// A value that is not `[n, ci, h, w]`, or smaller than the kernel.
    pub fn conv2d(&mut self, name: &str, filters: usize, kernel: usize) -> Result<&mut Self> {
        self.conv(name, conv(filters, kernel).rank(2, self)?)
    }
    /// 3D convolution: stride 1, no padding.
    ///
    /// # Errors
    /// A value that is not `[n, ci, d, h, w]`, or smaller than the kernel.
    pub fn conv3d(&mut self, name: &str, filters: usize, kernel: usize) -> Result<&mut Self> {
        self.conv(name, conv(filters, kernel).rank(3, self)?)
    }
    /// Depthwise convolution: every channel has a filter of its own. `options.filters` counts the filters of one channel.
    ///
    /// # Errors
    /// As [`conv`](Net::conv).
    pub fn depthwise(&mut self, name: &str, options: ConvOptions) -> Result<&mut Self> {
        let c = self.channels();
        let filters = options.filters.saturating_mul(c);
        self.conv(name, ConvOptions { filters, groups: c, ..options })
    }
    /// Transposed convolution: `o = (n - 1)·s - 2p + d·(k - 1) + 1 + output_padding`. Parameters: `NAME.weight`
    /// `[ci, co/groups, kernel…]` (PyTorch's layout), `NAME.bias` `[co]`.
    ///
    /// # Errors
    /// Channels, groups or extents that do not fit; another padding mode than zeros.
    pub fn conv_transpose(&mut self, name: &str, options: ConvOptions, output_padding: &[usize]) -> Result<&mut Self> {
        let full = self.begin(name)?;
        let spatial = self.spatial()?;
        let ci = self.channels();
        let ConvOptions { filters, window, groups, bias, pad_mode } = options;
        if groups == 0 || !filters.is_multiple_of(groups) {
            return Err(self.broken(Rule::new(format!("groups {groups} must divide {filters} filters"))));
        }
        if pad_mode != PadMode::Constant {
            return Err(self.broken(
                Rule::new(format!("padding mode {pad_mode} of a transposed convolution")).right("constant (zeros)"),
            ));
        }
        let kernel = spread(&window.kernel_size, spatial.len());
        let shape = [&[ci, filters / groups], &kernel[..]].concat();
        // Where the geometry does not fit, no parameter should be left behind.
        ConvGeometry::transposed(ci, &spatial, &shape, groups, &window, output_padding).map_err(|r| self.broken(r))?;
        let (weight, fan_in) = self.conv_weight(&full, &shape)?;
        self.current = self.graph.conv_transpose(self.current, weight, groups, &window, output_padding)?;
        if bias { self.channel_bias(&full, filters, fan_in) } else { Ok(self) }
    }
    /// A convolution whose filters differ from place to place: no weight sharing. Parameters: `NAME.weight`
    /// `[places, co, ci·kernel]`, `NAME.bias` `[co, spatial…]`.
    ///
    /// # Errors
    /// Extents that do not fit; groups or a padding mode other than zeros.
    pub fn locally_connected(&mut self, name: &str, options: ConvOptions) -> Result<&mut Self> {
        let full = self.begin(name)?;
        let spatial = self.spatial()?;
        let ConvOptions { filters, window, groups, bias, pad_mode } = options;
        if groups != 1 || pad_mode != PadMode::Constant {
            return Err(self.broken(
                Rule::new(format!("a locally connected layer with {groups} groups and padding mode {pad_mode}"))
                    .right("1 group, mode constant (zeros)"),
            ));
        }
        let window = WindowOptions { kernel_size: spread(&window.kernel_size, spatial.len()), ..window };
        let resolved = window.resolve(&spatial).map_err(|r| self.broken(r))?;
        let (places, row) = (resolved.output_len(), self.channels() * resolved.kernel_len());
        let init = match &self.scheme.conv {
            // Fans count one place alone; PyTorch's default bound follows from the fan.
            Initializer::KaimingUniform { .. } => Initializer::FanIn { fan: row },
            other => other.clone(),
        };
        let weight = self.trainable(&full, "weight", &[places, filters, row], init, true)?;
        self.current = self.graph.locally_connected(self.current, weight, &window)?;
        let extents = self.extents();
        if bias {
            let init = self.bias_init(true, row);
            let bias = self.trainable(&full, "bias", &extents, init, false)?;
            self.current = self.graph.add(self.current, bias)?;
        }
        Ok(self)
    }
    /// Fully connected layer `y = x·Wᵀ + b`; a value with spatial axes is flattened first. Parameters: `NAME.weight`
    /// `[out, in]`, `NAME.bias` `[out]`.
    ///
    /// # Errors
    /// No outputs.
    pub fn linear(&mut self, name: &str, outputs: usize) -> Result<&mut Self> {
        self.linear_with(name, outputs, true)
    }
    /// Fully connected layer with or without bias.
    ///
    /// # Errors
    /// No outputs.
    pub fn linear_with(&mut self, name: &str, outputs: usize, bias: bool) -> Result<&mut Self> {
        if self.shape().rank() > 2 {
            self.flatten()?;
        }
        let full = self.begin(name)?;
        let inputs = self.channels();
        let init = self.scheme.linear.clone();
        let weight = self.trainable(&full, "weight", &[outputs, inputs], init, true)?;
        let bias = if bias {
            let init = self.bias_init(false, inputs);
            Some(self.trainable(&full, "bias", &[outputs], init, false)?)
        } else {
            None
        };
        self.current = self.graph.linear(self.current, weight, bias)?;
        Ok(self)
    }
    /// A vector for each word of a net for [text](Net::text): `[n, length]` (i32) becomes `[n, features, length]`, channels
    /// first, so that 1D convolutions follow. Parameter: `NAME.weight` `[vocabulary, features]`, drawn by `initializer`
    /// (PyTorch draws from the standard normal distribution).
    ///
    /// # Errors
    /// A value that is no text.
    pub fn embedding(&mut self, name: &str, features: usize, initializer: Initializer) -> Result<&mut Self> {
        let full = self.begin(name)?;
        let Some(vocabulary) = self.vocabulary.filter(|_| self.current == self.input) else {
            let rule = Rule::new(format!("an embedding of a value {}", self.shape()));
            return Err(self.broken(rule.right("the tokens [n, length] of a net for text")));
        };
        let init = if self.scheme_is_fixed { self.scheme.linear.clone() } else { initializer };
        let table = self.trainable(&full, "weight", &[vocabulary, features], init, true)?;
        let rows = self.graph.gather(table, 0, self.current)?;
        self.current = self.graph.transpose(rows, &[0, 2, 1])?;
        Ok(self)
    }
    /// A fully connected layer over the channels of every place: a 1×1 convolution whose weight has the shape that
    /// PyTorch's `Linear` on values with channels last has. Parameters: `NAME.weight` `[out, in]`, `NAME.bias` `[out]`.
    ///
    /// # Errors
    /// A value without spatial axes.
    pub fn place_linear(&mut self, name: &str, outputs: usize) -> Result<&mut Self> {
        let full = self.begin(name)?;
        let (rank, inputs) = (self.spatial()?.len(), self.channels());
        let init = self.scheme.linear.clone();
        let weight = self.trainable(&full, "weight", &[outputs, inputs], init, true)?;
        let window = WindowOptions::new(&vec![1; rank]);
        let shape = Shape::fixed(&[&[outputs, inputs][..], &window.kernel_size].concat());
        let filters = self.graph.reshape(weight, &shape)?;
        self.current = self.graph.conv(self.current, filters, 1, &window)?;
        let init = self.bias_init(false, inputs);
        let bias = self.trainable(&full, "bias", &[outputs], init, false)?;
        let shape = self.shape().clone();
        let bias = self.graph.per_channel(bias, &shape)?;
        self.current = self.graph.add(self.current, bias)?;
        Ok(self)
    }
    /// A trainable number per place and channel is added: a bias that is not shared between places. Parameter:
    /// `NAME.bias`, with the current value's extents, zero at first.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn place_bias(&mut self, name: &str) -> Result<&mut Self> {
        let full = self.begin(name)?;
        let extents = self.extents();
        let bias = self.trainable(&full, "bias", &extents, Initializer::Zeros, false)?;
        self.current = self.graph.add(self.current, bias)?;
        Ok(self)
    }
    /// The channels `channels` alone.
    ///
    /// # Errors
    /// Channels that do not exist.
    pub fn slice_channels(&mut self, channels: std::ops::Range<usize>) -> Result<&mut Self> {
        self.begin_counted("slice")?;
        let op = Slice { axis: 1, start: channels.start, end: channels.end, step: 1 };
        self.current = self.graph.add_one(op, &[self.current])?;
        Ok(self)
    }

    /// The weight of a convolution, and its fan-in `[.., in, window…]`.
    fn conv_weight(&mut self, layer: &str, shape: &[usize]) -> Result<(ValueId, usize)> {
        let init = self.scheme.conv.clone();
        let weight = self.trainable(layer, "weight", shape, init, true)?;
        Ok((weight, shape[1..].iter().product()))
    }
    fn bias_init(&self, conv: bool, fan: usize) -> Initializer {
        let chosen = if conv { &self.scheme.conv_bias } else { &self.scheme.linear_bias };
        chosen.clone().unwrap_or(Initializer::FanIn { fan })
    }
    /// Adds one trainable number per channel.
    fn channel_bias(&mut self, layer: &str, channels: usize, fan_in: usize) -> Result<&mut Self> {
        let init = self.bias_init(true, fan_in);
        let bias = self.trainable(layer, "bias", &[channels], init, false)?;
        let shape = self.shape().clone();
        let bias = self.graph.per_channel(bias, &shape)?;
        self.current = self.graph.add(self.current, bias)?;
        Ok(self)
    }
}

impl ConvOptions {
    /// These options, if the net's current value has that many spatial dimensions.
    fn rank(self, rank: usize, net: &Net) -> Result<Self> {
        let shape = net.shape();
        if shape.rank() == rank + 2 {
            return Ok(self);
        }
        let rule = Rule::new(format!("a {rank}D convolution of a value {shape}"));
        Err(net.broken(rule.right(format!("[n, c, spatial…] with {rank} spatial dimensions"))))
    }
}
