//! The builder: a network as a chain of layers on a current value.

mod branching;
mod gating;
mod norm;
mod options;
mod pool;
mod simple;
mod weighted;

pub use branching::Branch;
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
    /// Inference: batch normalisation with the running statistics, no dropout, no auxiliary heads.
    Infer,
}

/// An auxiliary head of a network: further logits for training alone, whose loss is added with a weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Auxiliary {
    /// Name of the head, of its output, and the prefix of its parameters.
    pub name: String,
    /// Factor of its loss.
    pub weight: f64,
}

/// A network under construction: a graph, and the current value that the next layer takes.
///
/// Layers are methods that return the net again, so a network reads like its picture. Sizes that follow from what is
/// there (input channels, the flattened size) are inferred. Blocks are [`residual`](Net::residual),
/// [`branches`](Net::branches) and [`gate`](Net::gate); what fits none of them starts with [`value`](Net::value) or
/// [`branch`](Net::branch) and ends with [`add`](Net::add) or [`concat`](Net::concat). Parameters are named as torchvision
/// does: layer `conv1` inside [`within`](Net::within) `layer1.0` has `layer1.0.conv1.weight`.
///
/// ```
/// use gabor_nets::{Mode, Net, conv};
/// let mut net = Net::new("block", &[16, 8, 8], Mode::Infer).unwrap();
/// net.residual(|b| b.conv("conv1", conv(16, 3).pad(1).no_bias())?.batch_norm("bn1")).unwrap().relu().unwrap();
/// assert_eq!(net.shape().to_string(), "[n, 16, 8, 8]");
/// ```
#[derive(Debug)]
pub struct Net {
    graph: Graph,
    mode: Mode,
    input: ValueId,
    vocabulary: Option<usize>,
    current: ValueId,
    key: Option<ValueId>,
    prefix: String,
    layers: HashSet<String>,
    scheme: Scheme,
    scheme_is_fixed: bool,
    dropouts: u32,
    heads: Vec<(Auxiliary, ValueId)>,
    with_heads: bool,
    /// The name of the next layer that would be named after its kind.
    next_name: Option<String>,
}

impl Net {
    /// A net whose input, `images` (f32), has the shape `[n, input…]`: `[n, c, h, w]` for pictures.
    ///
    /// # Errors
    /// No extents, or one of 0.
    pub fn new(name: impl Into<String>, input: &[usize], mode: Mode) -> Result<Self> {
        // More elements than this in one sample is a mistake, and products of sizes must not overflow.
        let elements = input.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        if input.is_empty() || input.contains(&0) || elements.is_none_or(|e| e as u64 > 1 << 32) {
            return Err(Error::new("images", Rule::new(format!("an input of extents {input:?}")).right("[c, h, w]")));
        }
        let mut graph = Graph::new(name);
        let images = graph.input("images", Shape::batch(input), DType::F32)?;
        Ok(Self::on(graph, images, None, mode))
    }
    /// A net whose input, `tokens` (i32), has the shape `[n, length]`: numbers of words below `vocabulary`. An
    /// [`embedding`](Net::embedding) comes first.
    ///
    /// # Errors
    /// A length or vocabulary of 0 or beyond measure.
    pub fn text(name: impl Into<String>, length: usize, vocabulary: usize, mode: Mode) -> Result<Self> {
        const MOST: usize = 1 << 24;
        if length == 0 || length > MOST || vocabulary == 0 || vocabulary > MOST {
            let rule = Rule::new(format!("texts of {length} words out of {vocabulary}"));
            return Err(Error::new("tokens", rule.right(format!("numbers from 1 to {MOST}"))));
        }
        let mut graph = Graph::new(name);
        let tokens = graph.input("tokens", Shape::batch(&[length]), DType::I32)?;
        Ok(Self::on(graph, tokens, Some(vocabulary), mode))
    }
    fn on(graph: Graph, input: ValueId, vocabulary: Option<usize>, mode: Mode) -> Self {
        Net {
            graph,
            mode,
            input,
            vocabulary,
            current: input,
            key: None,
            prefix: String::new(),
            layers: HashSet::new(),
            scheme: Scheme::default(),
            scheme_is_fixed: false,
            dropouts: 0,
            heads: Vec::new(),
            with_heads: true,
            next_name: None,
        }
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
    /// The auxiliary heads so far.
    pub fn auxiliaries(&self) -> Vec<Auxiliary> {
        self.heads.iter().map(|(head, _)| head.clone()).collect()
    }
    /// The graph, with the current value as its output of that name (`logits` for a classifier), followed by those of
    /// the auxiliary heads.
    pub fn finish(mut self, output: &str) -> Graph {
        self.graph.scope("");
        self.graph.output(output, self.current);
        for (head, value) in self.heads {
            self.graph.output(head.name, value);
        }
        self.graph
    }
    /// Number of words of a net for text.
    pub fn vocabulary(&self) -> Option<usize> {
        self.vocabulary
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
    /// Builds an auxiliary head (Szegedy et al. 2015): layers from the current value aside that end in logits
    /// `[n, classes]`, whose loss training adds with the factor `weight`. Names get the prefix `name.`. The head is there
    /// in [`Mode::Train`] alone; the current value stays.
    ///
    /// ```
    /// use gabor_nets::{Mode, Network};
    /// let net = Network::new("two heads", &[8], 3, |net| {
    ///     net.linear("fc1", 16)?.relu()?;
    ///     net.auxiliary("aux", 0.3, |head| head.linear("fc", 3))?;
    ///     net.linear("fc2", 3).map(|_| ())
    /// });
    /// let outputs = |mode| net.graph(mode).unwrap().outputs().iter().map(|o| o.0.clone()).collect::<Vec<_>>();
    /// assert_eq!(outputs(Mode::Train), ["logits", "aux"]);
    /// assert_eq!(outputs(Mode::Infer), ["logits"]);
    /// assert!(net.initialize(0).unwrap().get("aux.fc.weight").is_some());
    /// ```
    ///
    /// # Errors
    /// Those of the layers, a weight below 0 or not finite, or a second head of that name.
    pub fn auxiliary(
        &mut self,
        name: &str,
        weight: f64,
        layers: impl FnOnce(&mut Net) -> Result<&mut Net>,
    ) -> Result<&mut Self> {
        if self.mode == Mode::Infer || !self.with_heads {
            return Ok(self);
        }
        let full = format!("{}{name}", self.prefix);
        if !(weight.is_finite() && weight >= 0.0) {
            let rule =
                Rule::new(format!("an auxiliary loss of weight {weight}")).right("a finite weight of at least 0");
            return Err(Error::new(&full, rule));
        }
        if full == "logits" || self.heads.iter().any(|(head, _)| head.name == full) {
            return Err(Error::new(&full, Rule::new("two heads of this name").right("another name")));
        }
        let value = self.branch(|b| b.within(name, layers))?;
        self.heads.push((Auxiliary { name: full, weight }, value));
        Ok(self)
    }
    /// Leaves all auxiliary heads out.
    pub(crate) fn leave_out_heads(&mut self) {
        self.with_heads = false;
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
        if let Some(name) = self.next_name.take() {
            return self.begin(&name);
        }
        let name = (1..).map(|i| format!("{kind}{i}")).find(|n| self.is_free(n)).unwrap_or_default();
        self.begin(&name)
    }
    /// Whether no layer has that name here.
    pub(crate) fn is_free(&self, name: &str) -> bool {
        let full = format!("{}{name}", self.prefix);
        !self.layers.contains(&full) && self.graph.find(&full).is_none()
    }
    /// Begins the prefix `name.`, as [`within`](Net::within) does; [`leave`](Net::leave) ends it.
    pub(crate) fn enter(&mut self, name: &str) {
        self.prefix += name;
        self.prefix.push('.');
    }
    pub(crate) fn leave(&mut self, name: &str) {
        self.prefix.truncate(self.prefix.len().saturating_sub(name.len() + 1));
    }
    /// Gives the next layer a name, if it is one that is named after its kind otherwise.
    pub(crate) fn named(&mut self, name: Option<&str>) -> &mut Self {
        self.next_name = name.map(String::from);
        self
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
