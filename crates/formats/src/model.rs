//! What every reader of whole networks returns, whatever the format.

use gabor_graph::Graph;
use gabor_tensor::Weights;
use std::collections::BTreeMap;

/// What the file, or the pair of files, of a network holds.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network: inputs, parameters and outputs under the file's names, nodes under theirs.
    pub graph: Graph,
    /// The numbers of every parameter of the graph.
    pub weights: Weights,
    /// Preprocessing, class names, provenance and all other entries.
    pub metadata: Metadata,
    /// The format and its version: `ONNX opset 17`.
    pub format: String,
    /// The program that wrote the file and its version, as the file says it; empty if it does not.
    pub producer: String,
    /// What was read otherwise than a user might expect, a sentence each.
    pub notes: Vec<String>,
}

/// What a model file says beside its graph: what turns a picture into the network's input, what its outputs are called,
/// and where it comes from. Texts in JSON are the caller's; a reader or writer only checks that they are JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// How an image becomes the input, as JSON.
    pub preprocessing: Option<String>,
    /// The classes' names in the order of the outputs; empty if unknown.
    pub classes: Vec<String>,
    /// How the network was trained, as JSON.
    pub provenance: Option<String>,
    /// What it reached, as JSON.
    pub metrics: Option<String>,
    /// All other entries.
    pub other: BTreeMap<String, String>,
}
