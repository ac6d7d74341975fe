//! A model: a network with weights, preprocessing and class names, as one `.onnx` file holds them.

use crate::{Error, Result, files, load};
use gabor_compile::{Backend, CompileOptions, Executable, Program};
use gabor_cpu::CpuBackend;
use gabor_data::{Image, Preprocessing};
use gabor_formats::{Metadata, onnx};
use gabor_graph::ops::Softmax;
use gabor_graph::{Graph, ValueId};
use gabor_nets::{Mode, Network};
use gabor_tensor::{DType, Dim, Rule, Tensor, Weights};
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// One class with its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The class's name; its index where the model has no names.
    pub class: String,
    /// The class's index, from 0.
    pub index: usize,
    /// Between 0 and 1; all classes together give 1.
    pub probability: f32,
}

/// A network for inference with all that a prediction needs.
///
/// ```no_run
/// let mut model = gabor::Model::open("runs/digits-lenet5-1/model.onnx").unwrap();
/// let image = gabor::data::decode_file("seven.png".as_ref(), &Default::default()).unwrap();
/// for p in model.top(&image, 5).unwrap() {
///     println!("{:5.1} % {}", p.probability * 100.0, p.class);
/// }
/// ```
pub struct Model {
    pub(crate) graph: Graph,
    pub(crate) weights: Weights,
    preprocessing: Option<Preprocessing>,
    classes: Vec<String>,
    provenance: Option<String>,
    metrics: Option<String>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) compiled: Option<Box<dyn Executable>>,
    /// The checksum once it was asked for; graph and weights stay as they are.
    pub(crate) sum: OnceLock<String>,
}

impl Model {
    /// Reads a file that holds a network: `.onnx`, or one of the other formats of [`FORMATS`](crate::FORMATS). Weights of
    /// an `.onnx` file that lie in another file are read from the model's directory.
    ///
    /// # Errors
    /// A path that cannot be read; a file that is damaged, no model, or holds operators that are not known (all of them
    /// are named).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        load::open(path.as_ref())?.model(None)
    }
    pub(crate) fn set_preprocessing(&mut self, preprocessing: Option<Preprocessing>) {
        self.preprocessing = preprocessing;
    }
    /// Takes over class names and notes of a file.
    pub(crate) fn set_metadata(&mut self, metadata: &Metadata) {
        self.classes = metadata.classes.clone();
        self.provenance = metadata.provenance.clone();
        self.metrics = metadata.metrics.clone();
    }
    /// Reads the bytes of a `.onnx` file.
    ///
    /// # Errors
    /// As [`open`](Model::open).
    pub fn from_onnx(bytes: &[u8]) -> Result<Self> {
        Self::of_imported(onnx::import(bytes)?)
    }
    pub(crate) fn of_imported(read: onnx::Imported) -> Result<Self> {
        let onnx::Imported { graph, weights, metadata, .. } = read;
        let preprocessing = match &metadata.preprocessing {
            Some(text) => Some(Preprocessing::from_json(text)?),
            None => None,
        };
        let mut model = Model::new(graph, weights)?;
        model.preprocessing = preprocessing;
        model.classes = metadata.classes;
        model.provenance = metadata.provenance;
        model.metrics = metadata.metrics;
        Ok(model)
    }
    /// A graph with its weights, without preprocessing and names. Weights that the graph has no parameter for, such as
    /// those of heads for training alone, are left out.
    ///
    /// # Errors
    /// A parameter without a weight of its shape.
    pub fn new(graph: Graph, mut weights: Weights) -> Result<Self> {
        check_parameters(&graph, |name| weights.get(name).map(Tensor::shape))?;
        let known: HashSet<&str> = graph.parameters().map(|(v, _)| graph.value(v).name.as_str()).collect();
        weights.0.retain(|name, _| known.contains(name.as_str()));
        Ok(Model {
            graph,
            weights,
            preprocessing: None,
            classes: Vec::new(),
            provenance: None,
            metrics: None,
            backend: Arc::new(CpuBackend::default()),
            compiled: None,
            sum: OnceLock::new(),
        })
    }
    /// A network with its weights, its preprocessing and the names of its classes.
    ///
    /// # Errors
    /// Weights of another network, or another number of names than classes.
    pub fn of_network(
        network: &Network,
        weights: Weights,
        preprocessing: Preprocessing,
        classes: Vec<String>,
    ) -> Result<Self> {
        if classes.len() != network.classes() {
            let rule = Rule::new(format!("{} names for {} classes", classes.len(), network.classes()));
            return Err(Error::new(network.name(), rule.right("one name per class")));
        }
        let mut model = Model::new(network.graph(Mode::Infer)?, weights)?;
        model.preprocessing = Some(preprocessing);
        model.classes = classes;
        Ok(model)
    }
    /// The model on another backend, for example one with fewer threads.
    #[must_use]
    pub fn on(mut self, backend: Arc<dyn Backend>) -> Self {
        self.backend = backend;
        self.compiled = None;
        self
    }
    /// The model with other preprocessing.
    #[must_use]
    pub fn with_preprocessing(mut self, preprocessing: Preprocessing) -> Self {
        self.preprocessing = Some(preprocessing);
        self
    }
    /// The model with other names for its classes.
    #[must_use]
    pub fn with_classes(mut self, classes: Vec<String>) -> Self {
        self.classes = classes;
        self
    }
    /// The model with notes on its training and on what it reached, both JSON.
    #[must_use]
    pub fn with_notes(mut self, provenance: String, metrics: Option<String>) -> Self {
        self.provenance = Some(provenance);
        self.metrics = metrics;
        self
    }
    /// The model with its scores divided by a temperature, as [`Scores::temperature`](gabor_train::Scores::temperature)
    /// fits it. The division is a node of the graph, so every runtime that opens the file gives the same probabilities; the
    /// order of classes does not change. Its notes name the temperature, the product of all if there are several.
    ///
    /// # Errors
    /// A temperature that is not positive, a model that gives no scores.
    pub fn calibrated(mut self, temperature: f64) -> Result<Self> {
        if !(temperature.is_finite() && temperature > 0.0) {
            let rule = Rule::new(format!("a temperature of {temperature}")).right("a positive number");
            return Err(Error::new(&self.graph.name, rule));
        }
        let scores = self.scores()?;
        let outputs = self.graph.outputs().to_vec();
        let scaled = self.graph.scale(scores, 1.0 / temperature)?;
        self.graph.clear_outputs();
        for (name, v) in outputs {
            let softmax = self.graph.producer(v).is_some_and(|n| n.op::<Softmax>().is_some() && n.inputs[0] == scores);
            let v = match v {
                v if v == scores => scaled,
                _ if softmax => self.graph.softmax(scaled, 1)?,
                v => v,
            };
            self.graph.output(name, v);
        }
        let mut notes = self.metrics.as_deref().and_then(|m| serde_json::from_str(m).ok());
        let notes: &mut serde_json::Value = notes.get_or_insert_with(|| serde_json::json!({}));
        if let Some(map) = notes.as_object_mut() {
            let earlier = map.get("temperature").and_then(serde_json::Value::as_f64).unwrap_or(1.0);
            map.insert("temperature".into(), (earlier * temperature).into());
        }
        self.metrics = Some(notes.to_string());
        self.compiled = None;
        Ok(self)
    }
    /// The graph; its parameters carry the names of the weights.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
    /// Parameters and running statistics.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
    /// How an image becomes the input, if the model says.
    pub fn preprocessing(&self) -> Option<&Preprocessing> {
        self.preprocessing.as_ref()
    }
    /// Names of the classes; empty if unknown.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }
    /// How it was trained, as JSON.
    pub fn provenance(&self) -> Option<&str> {
        self.provenance.as_deref()
    }
    /// What it reached, as JSON.
    pub fn metrics(&self) -> Option<&str> {
        self.metrics.as_deref()
    }
    /// What a file says beside graph and weights.
    pub(crate) fn metadata(&self) -> Metadata {
        Metadata {
            preprocessing: self.preprocessing.as_ref().map(Preprocessing::to_json),
            classes: self.classes.clone(),
            provenance: self.provenance.clone(),
            metrics: self.metrics.clone(),
            ..Default::default()
        }
    }
    /// The model as the bytes of a `.onnx` file.
    ///
    /// # Errors
    /// Operations that ONNX cannot say, all of them named.
    pub fn to_onnx(&self) -> Result<Vec<u8>> {
        Ok(onnx::export(&self.graph, &self.weights, &self.metadata())?)
    }
    /// Writes the model as a `.onnx` file.
    ///
    /// # Errors
    /// As [`to_onnx`](Model::to_onnx), or a path that cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        files::write_aside(path.as_ref(), &self.to_onnx()?)
    }
    /// All classes, the most probable first.
    ///
    /// # Errors
    /// A model without preprocessing, that takes no pictures or gives no scores.
    pub fn predict(&mut self, image: &Image<'_>) -> Result<Vec<Prediction>> {
        let preprocessing = self.preprocessing.as_ref().ok_or_else(|| self.no_preprocessing())?;
        let input = preprocessing.apply(image)?;
        let [c, h, w] = preprocessing.input();
        let logits = self.logits(&Tensor::f32(&[1, c, h, w], input)?)?;
        Ok(self.predictions(softmax(logits.as_f32()?)))
    }
    /// Classes with these probabilities, the most probable first.
    pub(crate) fn predictions(&self, probabilities: impl IntoIterator<Item = f32>) -> Vec<Prediction> {
        let mut all: Vec<Prediction> = (probabilities.into_iter().enumerate())
            .map(|(index, probability)| Prediction { class: self.class(index), index, probability })
            .collect();
        all.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.index.cmp(&b.index)));
        all
    }
    /// The `k` most probable classes, the most probable first.
    ///
    /// # Errors
    /// As [`predict`](Model::predict).
    pub fn top(&mut self, image: &Image<'_>, k: usize) -> Result<Vec<Prediction>> {
        let mut all = self.predict(image)?;
        all.truncate(k);
        Ok(all)
    }
    /// Scores `[n, classes]` (before softmax) of prepared images `[n, c, h, w]`.
    ///
    /// # Errors
    /// A model that takes no pictures or gives no scores, or images of another shape.
    pub fn logits(&mut self, images: &Tensor) -> Result<Tensor> {
        let input = self.image_input()?;
        let name = self.graph.value(input).name.clone();
        let n = images.shape().first().copied().unwrap_or(0);
        if self.compiled.is_none() {
            let mut graph = self.graph.clone();
            graph.clear_outputs();
            graph.output(LOGITS, self.scores()?);
            let program = Program::single("predict", graph.validate()?);
            let mut run = self.backend.compile(&program, &CompileOptions::default())?;
            for (name, tensor) in self.weights.iter().filter(|(name, _)| self.graph.find(name).is_some()) {
                run.write(name, tensor)?;
            }
            self.compiled = Some(run);
        }
        match &mut self.compiled {
            Some(run) => {
                run.run(0, n, &[(&name, images)])?;
                Ok(run.output(LOGITS)?.to_tensor())
            }
            None => Err(Error::new(&self.graph.name, Rule::new("the model is not compiled"))),
        }
    }
    /// The name of a class.
    pub(crate) fn class(&self, index: usize) -> String {
        self.classes.get(index).cloned().unwrap_or_else(|| index.to_string())
    }
    /// The only input, which takes pictures.
    pub(crate) fn image_input(&self) -> Result<ValueId> {
        let all: Vec<ValueId> = self.graph.inputs().collect();
        match all[..] {
            [x] if self.graph.ty(x).dtype == DType::F32 && self.graph.shape(x).rank() == 4 => Ok(x),
            _ => {
                let list: Vec<String> = all.iter().map(|&v| self.describe(v)).collect();
                let rule = Rule::new("the model does not take pictures").given(format!("inputs {}", list.join(", ")));
                Err(Error::new(&self.graph.name, rule.right("one input of shape [n, c, h, w]")))
            }
        }
    }
    /// Scores of the classes before softmax: the output `logits`, or the only one of shape `[n, classes]`; where a softmax
    /// makes it, what goes into that.
    pub(crate) fn scores(&self) -> Result<ValueId> {
        let outputs = self.graph.outputs();
        let named = outputs.iter().find(|o| o.0 == LOGITS).or(if outputs.len() == 1 { outputs.first() } else { None });
        let fits = |v: ValueId| self.graph.shape(v).rank() == 2 && self.graph.ty(v).dtype == DType::F32;
        let Some(&(_, v)) = named.filter(|o| fits(o.1)) else {
            let list: Vec<String> = outputs.iter().map(|o| format!("{} {}", o.0, self.graph.ty(o.1))).collect();
            let rule = Rule::new("the model gives no scores of classes").given(format!("outputs {}", list.join(", ")));
            return Err(Error::new(&self.graph.name, rule.right("one output of shape [n, classes]")));
        };
        let before = self.graph.producer(v).filter(|node| node.op::<Softmax>().is_some());
        Ok(before.map_or(v, |node| node.inputs[0]))
    }
    /// Number of classes.
    ///
    /// # Errors
    /// A model that gives no scores.
    pub fn class_count(&self) -> Result<usize> {
        match self.graph.shape(self.scores()?).0[1] {
            Dim::Fixed(c) => Ok(c),
            Dim::Batch(_) => Err(Error::new(&self.graph.name, Rule::new("the number of classes depends on the batch"))),
        }
    }
    /// What to give where the model does not say how a picture becomes its input: a file that fits it.
    pub(crate) fn no_preprocessing(&self) -> Error {
        let rule = Rule::new("the model does not say how a picture becomes its input");
        let dims = |v| self.graph.shape(v).0.iter().skip(1).map(|d| d.fixed()).collect::<Option<Vec<usize>>>();
        // What no preprocessing would help is told instead.
        let input = match self.image_input() {
            Err(e) => return e,
            Ok(v) => dims(v).and_then(|d| <[usize; 3]>::try_from(d).ok()),
        };
        if let Some([c, ..]) = input.filter(|i| i[0] != 1 && i[0] != 3) {
            let rule = Rule::new(format!("the model takes pictures of {c} channels, and picture files have 1 or 3"));
            return Error::new(
                &self.graph.name,
                rule.right("a model of 1 or 3 channels; gabor filters and gabor dream draw without a picture"),
            );
        }
        let sample = input.and_then(|i| Preprocessing::exact(i).ok()).map_or_else(String::new, |p| {
            format!(", for this model such as {} with the divisor, mean and std that it was trained with", p.to_json())
        });
        Error::new(
            &self.graph.name,
            rule.right(format!(
                "preprocessing of your own: --preprocessing imagenet, or --preprocessing FILE.json{sample}; gabor convert \
                 MODEL model.onnx --preprocessing … writes it into the model"
            )),
        )
    }
    pub(crate) fn describe(&self, v: ValueId) -> String {
        format!("{} {}", self.graph.value(v).name, self.graph.ty(v))
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Model {{ name: {:?}, parameters: {}, classes: {} }}",
            self.graph.name,
            self.weights.elements(),
            self.classes.len()
        )
    }
}

/// Name of the output that scores are read from.
const LOGITS: &str = "logits";

/// An error for a parameter of the graph that has no weight of its shape.
pub(crate) fn check_parameters<'w>(graph: &Graph, shape_of: impl Fn(&str) -> Option<&'w [usize]>) -> Result<()> {
    for (v, _) in graph.parameters() {
        let (name, want) = (&graph.value(v).name, graph.shape(v).known().unwrap_or_default());
        let rule = match shape_of(name) {
            Some(shape) if shape == want => continue,
            Some(shape) => Rule::new(format!("a weight of shape {shape:?}")).right(format!("{want:?}")),
            None => Rule::new("the weights do not hold this parameter").right(format!("one of shape {want:?}")),
        };
        return Err(Error::new(name, rule));
    }
    Ok(())
}

/// Probabilities of scores, computed in f64.
fn softmax(scores: &[f32]) -> Vec<f32> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let e: Vec<f64> = scores.iter().map(|&s| f64::from(s - most).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|v| (v / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one() {
        let p = softmax(&[1000.0, 1000.0, -1000.0]);
        assert_eq!(p, [0.5, 0.5, 0.0]);
    }
}
