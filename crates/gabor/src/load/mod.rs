//! One path from a name to weights, whatever the file: read, recognised, matched to a network.
//!
//! [`load`] reads a file (or a name of the hub) of any format of the table in `formats.rs`; [`Loaded::model`] makes a model of it, with a
//! network where the file holds weights alone. Every command goes this way.

mod formats;
mod hub;
mod pretrained;
mod variances;
mod verify;

pub use formats::{Content, FORMATS, Format, Parts, Write, format_of, writer};
pub use hub::{Hear, LoadOptions, hub_name};
pub use verify::{Difference, compare};

use crate::{Error, Model, Result, files, published_preprocessing};
use gabor_data::{Preprocessing, Resize};
use gabor_formats::Metadata;
use gabor_graph::Graph;
use gabor_nets::{MatchOptions, Matched, Mode, Network, match_weights};
use gabor_tensor::{Rule, Weights};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Largest file that is read: 64 GiB.
pub(crate) const LARGEST_FILE: u64 = 64 << 30;

/// Where weights come from, to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// As the user said it.
    pub name: String,
    /// The file, or the first of two.
    pub path: PathBuf,
    /// Its format.
    pub format: &'static str,
    /// The commit, for a name of the hub.
    pub revision: Option<String>,
    /// SHA-256 of its bytes (of both files, one after the other), in hexadecimal.
    pub sha256: String,
}

/// What a file holds.
#[derive(Debug)]
pub struct Loaded {
    /// The network, for a file that describes one.
    pub graph: Option<Graph>,
    /// Tensors by the file's names.
    pub weights: Weights,
    /// Preprocessing, class names and notes.
    pub metadata: Metadata,
    /// Name of the network in the zoo, where the source says it.
    pub architecture: Option<String>,
    /// How a picture becomes the input, where the source says it.
    pub preprocessing: Option<Preprocessing>,
    /// Where it comes from.
    pub origin: Origin,
    /// What a user may want to know, a sentence each.
    pub notes: Vec<String>,
}

/// Reads a file: ONNX, safetensors, PyTorch, …: [`FORMATS`] lists them. A network that lies in two files is named by either
/// of them, or by both as `A+B`. What is no path may be a name of the Hugging Face hub, such as `timm/resnet18.a1_in1k`; it is
/// found as the environment says (see [`gabor_hub::Options::from_environment`]).
///
/// # Errors
/// A path that cannot be read, an unknown format, a damaged file, a hub that does not have it.
pub fn load(source: &str) -> Result<Loaded> {
    load_with(source, &mut LoadOptions::default())
}

/// Reads a file at a path, which is never a name of the hub.
pub(crate) fn open(path: &Path) -> Result<Loaded> {
    read(&path.display().to_string(), path, None, false)
}

/// The file of a model that is named: of a run's directory the `model.onnx` in it, else what is named itself.
pub fn model_file(source: &str) -> Cow<'_, str> {
    let inside = Path::new(source).join("model.onnx");
    match inside.to_str().filter(|_| inside.is_file()) {
        Some(file) => Cow::Owned(file.to_string()),
        None => Cow::Borrowed(source),
    }
}

/// As [`load`], with options for the hub.
///
/// # Errors
/// As [`load`]; a directory without the model of a finished run.
pub fn load_with(source: &str, options: &mut LoadOptions<'_>) -> Result<Loaded> {
    let source = &*model_file(source);
    if Path::new(source).is_dir() {
        let rule = Rule::new("a directory without model.onnx, which a finished training leaves in its own");
        return Err(Error::new(source, rule.right("a model's file, or the directory of a finished run")));
    }
    if let Some(name) = hub_name(source) {
        return hub::load(source, &name, options);
    }
    let path = Path::new(source);
    let (first, second) = match source.split_once('+') {
        Some((a, b)) if !path.exists() => (Path::new(a), Some(PathBuf::from(b))),
        _ => (path, None),
    };
    read(source, first, second, options.network_only)
}

fn read(source: &str, path: &Path, second: Option<PathBuf>, network_only: bool) -> Result<Loaded> {
    let bytes = files::read_limited(path, LARGEST_FILE)?;
    let format = formats::of(path, &bytes)?;
    let (parts, checksum) = formats::parts(format, path, bytes, second, network_only)?;
    // Of two files either may be to blame.
    let blamed = parts.beside.iter().fold(path.display().to_string(), |a, b| format!("{a} with {}", b.display()));
    let place = |e: Error| e.inside(&blamed);
    let content = (format.read)(&parts).map_err(place)?;
    let origin =
        Origin { name: source.into(), path: path.into(), format: format.name, revision: None, sha256: checksum };
    Ok(match content {
        Content::Network(n) => {
            let preprocessing = n.metadata.preprocessing.as_deref().map(Preprocessing::from_json).transpose();
            Loaded {
                graph: Some(n.graph),
                weights: n.weights,
                preprocessing: preprocessing.map_err(|e| place(e.into()))?,
                metadata: n.metadata,
                architecture: None,
                origin,
                notes: n.notes,
            }
        }
        Content::Weights { weights, notes } => Loaded {
            graph: None,
            weights,
            metadata: Metadata::default(),
            architecture: None,
            preprocessing: None,
            origin,
            notes,
        },
    })
}

impl Loaded {
    /// The weights by a network's names.
    ///
    /// # Errors
    /// Weights of another network, with the differences side by side.
    pub fn weights_for(&self, network: &Network, options: MatchOptions) -> Result<Matched> {
        let graph = network.graph(Mode::Infer)?;
        let matched = match_weights(&graph, self.weights.clone(), options);
        let mut matched = matched.map_err(|e| Error::from(*e).inside(self.origin.path.display()))?;
        let file = self.graph.as_ref();
        matched.notes.extend(file.and_then(|file| variances::adapt(file, &graph, &mut matched.weights)));
        Ok(matched)
    }
    /// How a picture becomes a network's input: as the source says, else as the network's card does; for an input of another
    /// size than the card's in the same proportions. `None` where neither says, or the input has other channels.
    pub fn preprocessing_for(&self, network: &Network) -> Option<Preprocessing> {
        let published = || published_preprocessing(network.card()?);
        let mut p = self.preprocessing.clone().or_else(published)?;
        let &[c, h, w] = network.input() else { return None };
        if p.input()[0] != c {
            return None;
        }
        let [_, old_h, old_w] = p.input();
        if [old_h, old_w] != [h, w] {
            p.resize = match p.resize {
                Resize::Exact { .. } => Resize::Exact { height: h, width: w },
                Resize::ShortSide { to } => {
                    Resize::ShortSide { to: (to * h.max(w)).div_ceil(old_h.max(old_w)).max(h.max(w)) }
                }
            };
            p.crop = p.crop.map(|_| [h, w]);
        }
        Some(p)
    }
    /// The number of classes of the weights, where they fit the network but for a head of another number.
    pub fn other_classes(&self, network: &Network) -> Option<usize> {
        let graph = network.graph(Mode::Infer).ok()?;
        let matched = match_weights(&graph, self.weights.clone(), MatchOptions { replace_head: true }).ok()?;
        matched.head.map(|h| h.file)
    }
    /// A model: the weights in the network that another file describes, whose preprocessing and classes serve where the
    /// weights' file says none.
    ///
    /// # Errors
    /// A file that describes no network, or weights of another one.
    pub fn model_in(&mut self, description: &Loaded) -> Result<Model> {
        let Some(graph) = &description.graph else {
            let rule = Rule::new("the file holds weights and describes no network");
            let place = description.origin.path.display().to_string();
            return Err(Error::new(place, rule.right("a file that describes one, or a network's name")));
        };
        let matched = match_weights(graph, std::mem::take(&mut self.weights), MatchOptions::default());
        let mut matched = matched.map_err(|e| Error::from(*e).inside(self.origin.path.display()))?;
        self.notes.extend(matched.notes);
        let file = self.graph.as_ref();
        self.notes.extend(file.and_then(|file| variances::adapt(file, graph, &mut matched.weights)));
        let mut model = Model::new(graph.clone(), matched.weights)?;
        model.set_metadata(&self.metadata);
        if self.metadata.classes.is_empty() {
            model = model.with_classes(description.metadata.classes.clone());
        }
        model.set_preprocessing(self.preprocessing.clone().or_else(|| description.preprocessing.clone()));
        Ok(model)
    }
    /// A model: the weights in `network`, or in the file's own. The weights are moved; what was done to their names is added
    /// to the notes.
    ///
    /// # Errors
    /// Weights alone without a network, or weights of another network.
    pub fn model(&mut self, network: Option<&Network>) -> Result<Model> {
        let place = || self.origin.path.display().to_string();
        let weights = std::mem::take(&mut self.weights);
        let mut model = match (network, &self.graph) {
            (Some(network), _) => {
                let graph = network.graph(Mode::Infer)?;
                let matched = match_weights(&graph, weights, MatchOptions::default());
                let mut matched = matched.map_err(|e| Error::from(*e).inside(place()))?;
                self.notes.extend(matched.notes);
                let file = self.graph.as_ref();
                self.notes.extend(file.and_then(|file| variances::adapt(file, &graph, &mut matched.weights)));
                let mut model = Model::new(graph, matched.weights)?;
                model.set_preprocessing(self.preprocessing_for(network));
                model
            }
            (None, Some(graph)) if weights.is_empty() && graph.parameters().next().is_some() => {
                let rule = Rule::new("the file describes a network and holds no weights");
                return Err(Error::new(
                    place(),
                    rule.right("the file with the weights beside it, or both: NETWORK+WEIGHTS"),
                ));
            }
            (None, Some(graph)) => {
                let mut model = Model::new(graph.clone(), weights).map_err(|e| e.inside(place()))?;
                model.set_preprocessing(self.preprocessing.clone());
                model
            }
            (None, None) => {
                let rule = Rule::new("weights alone are no model");
                return Err(Error::new(
                    place(),
                    rule.right("the network's name too: --net NET, such as --net resnet18"),
                ));
            }
        };
        model.set_metadata(&self.metadata);
        Ok(model)
    }
}
