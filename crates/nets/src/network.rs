//! A network: one description, built as a graph for training or for inference.

use crate::zoo::{self, Card, Options};
use crate::{Auxiliary, Mode, Net, Scheme, initialize, notation};
use gabor_graph::{Error, Graph, Result};
use gabor_tensor::Weights;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

type Build = dyn Fn(&mut Net) -> Result<()> + Send + Sync;

/// A network's description: its name, the extents of its input, its number of classes, and the function that builds it.
///
/// ```
/// use gabor_nets::{Mode, Network};
/// let net = Network::new("softmax", &[1, 8, 8], 10, |net| net.flatten()?.linear("fc", 10).map(|_| ()));
/// let graph = net.graph(Mode::Infer).unwrap();
/// assert_eq!(graph.ty(graph.output_value("logits").unwrap()).to_string(), "f32[n, 10]");
/// ```
#[derive(Clone)]
pub struct Network {
    name: String,
    input: Vec<usize>,
    vocabulary: Option<usize>,
    classes: usize,
    card: Option<Card>,
    scheme: Option<Scheme>,
    without_heads: bool,
    notes: Vec<String>,
    build: Arc<Build>,
}

impl Network {
    /// A network that `build` describes. `input` are the extents of one sample, `[c, h, w]` for a picture; `classes` is
    /// the number of logits that training expects.
    pub fn new(
        name: impl Into<String>,
        input: &[usize],
        classes: usize,
        build: impl Fn(&mut Net) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Network {
            name: name.into(),
            input: input.to_vec(),
            vocabulary: None,
            classes,
            card: None,
            scheme: None,
            without_heads: false,
            notes: Vec::new(),
            build: Arc::new(build),
        }
    }
    /// A network for text: a sample is `length` numbers of words below `vocabulary`, the input `tokens` (i32)
    /// `[n, length]`.
    ///
    /// ```
    /// use gabor_graph::Initializer;
    /// use gabor_nets::{Mode, Network};
    /// let net = Network::text("bag", 20, 1000, 2, |net| {
    ///     net.embedding("embedding", 8, Initializer::Normal { mean: 0.0, std: 1.0 })?.global_avg_pool()?;
    ///     net.linear("fc", 2).map(|_| ())
    /// });
    /// assert_eq!(net.graph(Mode::Infer).unwrap().find("tokens").map(|_| net.vocabulary()), Some(Some(1000)));
    /// ```
    pub fn text(
        name: impl Into<String>,
        length: usize,
        vocabulary: usize,
        classes: usize,
        build: impl Fn(&mut Net) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Network { vocabulary: Some(vocabulary), ..Self::new(name, &[length], classes, build) }
    }
    /// The same network with all weights initialised by this scheme, whatever its description says.
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = Some(scheme);
        self
    }
    /// The same network without auxiliary heads in training.
    pub fn without_auxiliary(mut self) -> Self {
        self.without_heads = true;
        self
    }
    pub(crate) fn with_card(mut self, card: Card) -> Self {
        self.card = Some(card);
        self
    }
    pub(crate) fn with_note(mut self, note: &str) -> Self {
        self.notes.push(note.to_string());
        self
    }
    /// What its description leaves to a rule that one might not expect, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Extents of one sample: `[c, h, w]` for a picture, `[length]` for a text.
    pub fn input(&self) -> &[usize] {
        &self.input
    }
    /// Number of words, for a network whose input is text.
    pub fn vocabulary(&self) -> Option<usize> {
        self.vocabulary
    }
    /// Number of logits.
    pub fn classes(&self) -> usize {
        self.classes
    }
    /// Paper, year and the like, for a network of the zoo.
    pub fn card(&self) -> Option<&Card> {
        self.card.as_ref()
    }
    /// The graph: inputs `images` (f32) `[n, input…]` (`tokens` (i32) for text) and, where dropout is active, `key` (i32) `[4]`; output `logits`.
    /// In training the logits of [auxiliary heads](Net::auxiliary) are outputs too, under the heads' names.
    ///
    /// # Errors
    /// Layers that do not fit each other or the input.
    pub fn graph(&self, mode: Mode) -> Result<Graph> {
        Ok(self.graph_and_heads(mode)?.0)
    }
    /// The graph, and which of its outputs are auxiliary, with the weights of their losses.
    ///
    /// # Errors
    /// As [`graph`](Network::graph).
    pub fn graph_and_heads(&self, mode: Mode) -> Result<(Graph, Vec<Auxiliary>)> {
        let mut net = match self.vocabulary {
            Some(words) => Net::text(&self.name, self.input.first().copied().unwrap_or(0), words, mode)?,
            None => Net::new(&self.name, &self.input, mode)?,
        };
        if let Some(scheme) = &self.scheme {
            net.fix_init(scheme.clone());
        }
        if self.without_heads {
            net.leave_out_heads();
        }
        (self.build)(&mut net)?;
        let heads = net.auxiliaries();
        Ok((net.finish("logits"), heads))
    }
    /// All parameters and running statistics, drawn from the seed. Those of auxiliary heads are among them.
    ///
    /// # Errors
    /// As [`graph`](Network::graph).
    pub fn initialize(&self, seed: u64) -> Result<Weights> {
        Ok(initialize(&self.graph(Mode::Train)?, seed))
    }
    /// Names of the parameters and running statistics that training has and inference has not: those of auxiliary heads.
    /// Published weights may hold them.
    ///
    /// # Errors
    /// As [`graph`](Network::graph).
    pub fn training_only(&self) -> Result<Vec<String>> {
        let names = |mode| -> Result<Vec<String>> {
            let g = self.graph(mode)?;
            Ok(g.parameters().map(|(v, _)| g.value(v).name.clone()).collect())
        };
        let kept: HashSet<String> = names(Mode::Infer)?.into_iter().collect();
        Ok(names(Mode::Train)?.into_iter().filter(|n| !kept.contains(n)).collect())
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Network { name, input, classes, .. } = self;
        write!(f, "Network {{ name: {name:?}, input: {input:?}, classes: {classes} }}")
    }
}

/// A network by the name it has in the zoo, as a description in the lectures' notation (whatever holds a space, an
/// arrow or a bracket is one), or as the text of a [`.toml` file](notation::parse_toml).
///
/// ```
/// use gabor_nets::{network, zoo::Options};
/// assert_eq!(network("lenet5", &Options::default()).unwrap().classes(), 10);
/// assert_eq!(network("INPUT 3x32x32 -> [CONV3-16 -> RELU -> POOL]*2 -> FC-7", &Options::default()).unwrap().classes(), 7);
/// ```
///
/// # Errors
/// An unknown name, with the nearest known ones; a mistake in the description, with its place.
pub fn network(text: &str, options: &Options) -> Result<Network> {
    let text = text.trim();
    if notation::is_toml(text) {
        notation::parse_toml(text, options).map_err(Error::from)
    } else if text.contains(|c: char| c.is_whitespace() || "[]()|*,;→:=".contains(c)) || text.contains("->") {
        notation::parse(text, options).map_err(Error::from)
    } else {
        zoo::by_name(text, options)
    }
}
