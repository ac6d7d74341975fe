//! The builder: a network as a chain of layers on a current value.

mod norm;
mod options;
mod pool;
mod simple;
mod weighted;

pub use options::{ConvOptions, LrnOptions, NormOptions, PoolOptions, conv, pool};

use crate::Scheme;
use gabor_graph::{Error, Graph, Initializer, Parameter, Result, ValueId};
use gabor_tensor::{DType, Rule, Shape};
use std::collections::HashSet;

/// What a graph is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Training: batch normalisation with the statistics of the batch (and an update of the running ones), dropout active.
    Train,
    /// Inference: batch normalisation with the running statistics, no dropout.
    Infer,
}

/// A network under construction: a graph, and the current value that the next layer takes.
///
/// Layers are methods that return the net again, so a network reads like its picture. Sizes that follow from what is
/// there (input channels, the flattened size) are inferred. A branch starts with [`value`](Net::value) or
/// [`branch`](Net::branch) and ends with [`add`](Net::add) or [`concat`](Net::concat). Parameters are named as
/// torchvision does: layer `conv1` inside [`within`](Net::within) `layer1.0` has `layer1.0.conv1.weight`.
///
/// ```
/// use gabor_nets::{Mode, Net, conv};
/// let mut net = Net::new("block", &[16, 8, 8], Mode::Infer).unwrap();
/// let x = net.value();
/// net.conv("conv1", conv(16, 3).pad(1).no_bias()).unwrap().batch_norm("bn1").unwrap();
/// net.add(x).unwrap().relu().unwrap();
/// assert_eq!(net.shape().to_string(), "[n, 16, 8, 8]");
/// ```
#[derive(Debug)]
pub struct Net {
    graph: Graph,
    mode: Mode,
    input: ValueId,
    current: ValueId,
    key: Option<ValueId>,
    prefix: String,
    layers: HashSet<String>,
    scheme: Scheme,
    scheme_is_fixed: bool,
    dropouts: u32,
}

impl Net {
    /// A net whose input, `images` (f32), has the shape `[n, input…]`: `[n, c, h, w]` for pictures.
    ///
    /// # Errors
    /// No extents, or one of 0.
    pub fn new(name: impl Into<String>, input: &[usize], mode: Mode) -> Result<Self> {
        // More elements than this in one sample is a mistake, and products of sizes must not overflow.
        let elements = input.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        if input.is_empty() || input.contains(&0) || elements.is_none_or(|e| e > 1 << 32) {
            return Err(Error::new("images", Rule::new(format!("an input of extents {input:?}")).right("[c, h, w]")));
        }
        let mut graph = Graph::new(name);
        let images = graph.input("images", Shape::batch(input), DType::F32)?;
        Ok(Net {
            graph,
            mode,
            input: images,
            current: images,
            key: None,
            prefix: String::new(),
            layers: HashSet::new(),
            scheme: Scheme::default(),
            scheme_is_fixed: false,
            dropouts: 0,
        })
    }

    // --- the current value --------------------------------------------------------------------------------------------

    /// The current value, which the next layer takes.
    pub fn value(&self) -> ValueId {
        self.current
    }
    /// Continues from another value of this net.
    pub fn at(&mut self, value: ValueId) -> &mut Self {
        self.current = value;
        self
    }
    /// Continues from the network's input.
    pub fn at_input(&mut self) -> &mut Self {
        self.current = self.input;
        self
    }
    /// The current value's shape, `[n, c, spatial…]` or `[n, features]`.
    pub fn shape(&self) -> &Shape {
        self.graph.shape(self.current)
    }
    /// The current value's extents without the batch.
    pub fn extents(&self) -> Vec<usize> {
        self.shape().0.iter().skip(1).map(|d| d.at(1)).collect()
    }
    /// The current number of channels (or features).
    pub fn channels(&self) -> usize {
        self.extents().first().copied().unwrap_or(1)
    }
    /// What the graph is built for.
    pub fn mode(&self) -> Mode {
        self.mode
    }
    /// The graph so far.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
    /// The graph, with the current value as its output of that name (`logits` for a classifier).
    pub fn finish(mut self, output: &str) -> Graph {
        self.graph.scope("");
        self.graph.output(output, self.current);
        self.graph
    }

    // --- structure ----------------------------------------------------------------------------------------------------

    /// Builds layers whose names get the prefix `name.`.
    ///
    /// # Errors
    /// Those of the layers.
    pub fn within(&mut self, name: &str, layers: impl FnOnce(&mut Net) -> Result<&mut Net>) -> Result<&mut Self> {
        let outer = self.prefix.clone();
        self.prefix = format!("{outer}{name}.");
        let done = layers(self).map(|_| ());
        self.prefix = outer;
        done.map(|()| self)
    }
    /// Builds layers from the current value aside and returns their result; the current value stays.
    ///
    /// # Errors
    /// Those of the layers.
    pub fn branch(&mut self, layers: impl FnOnce(&mut Net) -> Result<&mut Net>) -> Result<ValueId> {
        let from = self.current;
        let made = layers(self).map(|net| net.current);
        self.current = from;
        made
    }
    /// Says how the weights of the layers that follow are initialised, unless the network's user has chosen already.
    pub fn init(&mut self, scheme: Scheme) -> &mut Self {
        if !self.scheme_is_fixed {
            self.scheme = scheme;
        }
        self
    }
    /// The user's choice of initialisation, which no later [`init`](Net::init) changes.
    pub(crate) fn fix_init(&mut self, scheme: Scheme) {
        self.scheme = scheme;
        self.scheme_is_fixed = true;
    }
    /// A layer of your own: a function of the graph and the current value. Its nodes are named after the layer.
    ///
    /// # Errors
    /// A name that is taken, and those of the function.
    pub fn layer(
        &mut self,
        name: &str,
        function: impl FnOnce(&mut Graph, ValueId) -> Result<ValueId>,
    ) -> Result<&mut Self> {
        self.begin(name)?;
        self.current = function(&mut self.graph, self.current)?;
        Ok(self)
    }

    // --- inner --------------------------------------------------------------------------------------------------------

    /// Starts a layer: its full name becomes the scope of the nodes that follow.
    fn begin(&mut self, name: &str) -> Result<String> {
        let full = format!("{}{name}", self.prefix);
        if name.is_empty() || self.graph.find(&full).is_some() || !self.layers.insert(full.clone()) {
            return Err(Error::new(&full, Rule::new("two layers of this name").right("another name")));
        }
        self.graph.scope(&full);
        Ok(full)
    }
    /// Starts a layer without parameters, which is named after its kind and counted: `relu1`, `relu2`.
    fn begin_counted(&mut self, kind: &str) -> Result<String> {
        let name = (1..)
            .map(|i| format!("{kind}{i}"))
            .find(|n| {
                let full = format!("{}{n}", self.prefix);
                !self.layers.contains(&full) && self.graph.find(&full).is_none()
            })
            .unwrap_or_default();
        self.begin(&name)
    }
    /// An error of the layer that is being built.
    fn broken(&self, rule: Rule) -> Error {
        self.graph.error_here("layer", rule, &[self.current])
    }
    /// Extents of the spatial axes of the current value, which must be `[n, c, spatial…]`.
    fn spatial(&self) -> Result<Vec<usize>> {
        match self.shape().rank() {
            0..=2 => Err(self.broken(
                Rule::new(format!("the layer slides over spatial axes, and the value {} has none", self.shape()))
                    .right("[n, c, spatial…], so before any flatten or linear layer"),
            )),
            _ => Ok(self.extents()[1..].to_vec()),
        }
    }
    fn trainable(
        &mut self,
        layer: &str,
        kind: &str,
        shape: &[usize],
        initializer: Initializer,
        decay: bool,
    ) -> Result<ValueId> {
        // A weight beyond this many numbers is a mistake, and products of sizes must not overflow.
        if shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).is_none_or(|e| e > 1 << 31) {
            return Err(self.broken(Rule::new(format!("a {kind} of shape {shape:?} has more than 2³¹ elements"))));
        }
        let parameter = if decay { Parameter::weight(initializer) } else { Parameter::bias(initializer) };
        self.graph.parameter(&format!("{layer}.{kind}"), shape, parameter)
    }
}
