//! The index: features of a data set as one file.

use crate::{Error, Model, Result, read_limited, write_aside};
use gabor_compile::Backend;
use gabor_data::{Dataset, Image, Loader, Preprocessing};
use gabor_explain::neighbors::{Extractor, Features, Metric, Search};
use gabor_formats::safetensors::{self, Metadata};
use gabor_tensor::{Data, Rule, Tensor, Weights};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// How an index is made.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexOptions {
    /// The layer; `None` is what the last linear map reads.
    pub layer: Option<String>,
    /// Pictures that are read at once (default 64); no feature depends on it.
    pub batch: usize,
    /// Threads that prepare batches (default 1).
    pub workers: usize,
}

impl Default for IndexOptions {
    fn default() -> Self {
        IndexOptions { layer: None, batch: 64, workers: 1 }
    }
}

/// Where model and pictures of an index came from, so that they can be found again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The model's file, or its name at the hub.
    pub model: String,
    /// The network that the model's weights were put into, where it was named.
    pub net: Option<String>,
    /// The data.
    pub data: String,
    /// Which part of them.
    pub part: String,
}

/// Features of all pictures of a data set by one layer of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct NeighborIndex {
    /// Where model and pictures came from.
    pub source: Source,
    /// The model's name.
    pub model: String,
    /// Its checksum, [`Model::checksum`].
    pub checksum: String,
    /// The layer.
    pub layer: String,
    /// How a picture became the model's input.
    pub preprocessing: Preprocessing,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// What each picture is called.
    pub ids: Vec<String>,
    /// The class of each picture.
    pub labels: Vec<u32>,
    values: Vec<f32>,
    width: usize,
}

/// The metadata entry that tells of everything but the tensors.
const ENTRY: &str = "gabor.neighbors";
const VERSION: u64 = 1;
const LARGEST_FILE: u64 = 64 << 30;

/// Features of pictures by one layer of one model, which is compiled once for all of them.
pub struct NeighborExtractor {
    extractor: Extractor,
    preprocessing: Preprocessing,
    model: String,
    checksum: String,
}

impl Model {
    /// SHA-256 of graph and weights, 64 hexadecimal digits: what makes two models give the same features.
    pub fn checksum(&self) -> String {
        self.sum.get_or_init(|| self.checked()).clone()
    }
    fn checked(&self) -> String {
        let mut sum = Sha256::new();
        sum.update(self.graph().to_text());
        for (name, tensor) in self.weights().iter() {
            sum.update(format!("\0{name} {:?}\0", tensor.shape()));
            match tensor.data() {
                Data::F32(v) => v.iter().for_each(|x| sum.update(x.to_le_bytes())),
                Data::F64(v) => v.iter().for_each(|x| sum.update(x.to_le_bytes())),
                Data::I32(v) => v.iter().for_each(|x| sum.update(x.to_le_bytes())),
                Data::U8(v) => sum.update(v),
            }
        }
        sum.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
    /// The features of a layer; of `None` what the last linear map reads.
    ///
    /// # Errors
    /// A model without preprocessing, a layer that does not exist.
    pub fn neighbor_extractor(&self, layer: Option<&str>) -> Result<NeighborExtractor> {
        let preprocessing = self.preprocessing().ok_or_else(|| self.no_preprocessing())?.clone();
        let extractor = Extractor::new(&self.subject()?, layer)?;
        let (model, checksum) = (self.graph().name.clone(), self.checksum());
        Ok(NeighborExtractor { extractor, preprocessing, model, checksum })
    }
    /// The index of a data set. `hear` gets the number of pictures done.
    ///
    /// # Errors
    /// Those of [`neighbor_extractor`](Model::neighbor_extractor) and of [`index`](NeighborExtractor::index).
    pub fn neighbor_index(
        &self,
        dataset: Arc<dyn Dataset>,
        options: &IndexOptions,
        hear: &mut dyn FnMut(usize),
    ) -> Result<NeighborIndex> {
        self.neighbor_extractor(options.layer.as_deref())?.index(dataset, options, hear)
    }
}

impl NeighborExtractor {
    /// The features of some pictures, row by row.
    ///
    /// # Errors
    /// A picture that cannot be prepared, features that are not finite.
    pub fn features(&mut self, images: &[Image<'_>]) -> Result<Vec<f32>> {
        let mut out = Vec::with_capacity(images.len() * self.extractor.width());
        let [c, h, w] = self.preprocessing.input();
        for some in images.chunks(64) {
            let prepared = some.iter().map(|i| self.preprocessing.apply(i)).collect::<Result<Vec<_>, _>>()?;
            self.extractor.add(&Tensor::f32(&[some.len(), c, h, w], prepared.concat())?, &mut out)?;
        }
        Features::new(&out, self.extractor.width())?;
        Ok(out)
    }
    /// The features of all pictures of a data set, row by row; the layer of `options` is not looked at. Every bit is the same
    /// however pictures fall into batches. `hear` gets the number of pictures done.
    ///
    /// # Errors
    /// A picture that cannot be read, features that are not finite.
    pub fn features_of(
        &mut self,
        dataset: Arc<dyn Dataset>,
        options: &IndexOptions,
        hear: &mut dyn FnMut(usize),
    ) -> Result<Vec<f32>> {
        let width = self.extractor.width();
        let mut values = Vec::with_capacity(dataset.len() * width);
        let loader = Loader::evaluation(dataset, self.preprocessing.clone(), options.batch.max(1), options.workers)?;
        let mut epoch = loader.epoch(0, 0);
        while let Some(batch) = epoch.next() {
            let batch = batch?;
            self.extractor.add(&batch.images, &mut values)?;
            hear(values.len() / width.max(1));
            epoch.recycle(batch);
        }
        Features::new(&values, width)?;
        Ok(values)
    }
    /// The index of a data set, batch by batch.
    ///
    /// # Errors
    /// Those of [`features_of`](NeighborExtractor::features_of).
    pub fn index(
        &mut self,
        dataset: Arc<dyn Dataset>,
        options: &IndexOptions,
        hear: &mut dyn FnMut(usize),
    ) -> Result<NeighborIndex> {
        let values = self.features_of(dataset.clone(), options, hear)?;
        Ok(NeighborIndex {
            source: Source::default(),
            model: self.model.clone(),
            checksum: self.checksum.clone(),
            layer: self.extractor.layer().name.clone(),
            preprocessing: self.preprocessing.clone(),
            classes: dataset.classes().to_vec(),
            ids: (0..dataset.len()).map(|i| dataset.id(i)).collect(),
            labels: dataset.labels().to_vec(),
            width: self.extractor.width(),
            values,
        })
    }
}

impl NeighborIndex {
    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
    /// The features.
    pub fn features(&self) -> Features<'_> {
        // They were looked at when the index was made or read; a second look at each of them costs little.
        Features::new(&self.values, self.width).unwrap_or_else(|_| unreachable!("features are checked as they come in"))
    }
    /// The features, ready to be searched.
    ///
    /// # Errors
    /// An index of no pictures.
    pub fn search(&self, backend: &dyn Backend, metric: Metric) -> Result<Search<'_>> {
        Ok(Search::new(backend, self.features(), metric)?)
    }
    /// Some of the pictures, in this order.
    pub(crate) fn part(&self, pictures: &[usize]) -> NeighborIndex {
        let features = self.features();
        NeighborIndex {
            ids: pictures.iter().map(|&i| self.ids[i].clone()).collect(),
            labels: pictures.iter().map(|&i| self.labels[i]).collect(),
            values: pictures.iter().flat_map(|&i| features.row(i).iter().copied()).collect(),
            source: self.source.clone(),
            model: self.model.clone(),
            checksum: self.checksum.clone(),
            layer: self.layer.clone(),
            preprocessing: self.preprocessing.clone(),
            classes: self.classes.clone(),
            width: self.width,
        }
    }
    /// The name of a picture's class.
    pub fn class(&self, i: usize) -> &str {
        self.labels.get(i).and_then(|&l| self.classes.get(l as usize)).map_or("", String::as_str)
    }
    /// What makes features of other pictures, by the same layer and preprocessing.
    ///
    /// # Errors
    /// Another model than the index was made with.
    pub fn extractor(&self, model: &Model) -> Result<NeighborExtractor> {
        self.check_model(model)?;
        let extractor = model.neighbor_extractor(Some(&self.layer))?;
        Ok(NeighborExtractor { preprocessing: self.preprocessing.clone(), ..extractor })
    }
    /// That this is the model which the index was made with.
    ///
    /// # Errors
    /// Another one: its features cannot be compared with those of the index.
    pub fn check_model(&self, model: &Model) -> Result<()> {
        let sum = model.checksum();
        if sum == self.checksum {
            return Ok(());
        }
        let rule = Rule::new("the index is of another model: its features cannot be compared with this one's");
        let given = format!("checksum {} in the index, {} of the model", short(&self.checksum), short(&sum));
        let right = format!("the model {} as it was, or a new index: gabor neighbors MODEL DATA", self.model);
        Err(Error::new(&model.graph().name, rule.given(given).right(right)))
    }
    /// That these are the data that the index was made of.
    ///
    /// # Errors
    /// Another number of pictures, or others in their places.
    pub fn check_data(&self, data: &dyn Dataset) -> Result<()> {
        let place = || self.source.data.clone();
        if data.len() != self.len() {
            let rule = Rule::new(format!("{} pictures, and {} in the index", data.len(), self.len()));
            return Err(Error::new(place(), rule.right("the data as they were, or a new index")));
        }
        for i in 0..data.len() {
            let id = data.id(i);
            if id != self.ids[i] || data.labels()[i] != self.labels[i] {
                let rule = Rule::new(format!("picture {i} is {id}, and {} in the index", self.ids[i]));
                return Err(Error::new(place(), rule.right("the data as they were, or a new index")));
            }
        }
        Ok(())
    }
    /// The index as the bytes of a `.safetensors` file: `features` `[n, width]` in f32, `labels` `[n]`, and the rest as
    /// JSON in the metadata entry `gabor.neighbors`.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut tensors = Weights::new();
        tensors.insert("features", Tensor::f32(&[self.len(), self.width], self.values.clone())?);
        tensors.insert("labels", Tensor::i32(&[self.len()], self.labels.iter().map(|&l| l as i32).collect())?);
        let preprocessing: Value = serde_json::from_str(&self.preprocessing.to_json()).unwrap_or_default();
        let about = json!({
            "version": VERSION,
            "model": { "source": self.source.model, "net": self.source.net, "name": self.model, "checksum": self.checksum },
            "layer": self.layer,
            "preprocessing": preprocessing,
            "data": { "source": self.source.data, "part": self.source.part },
            "classes": self.classes,
            "ids": self.ids,
        });
        let metadata = Metadata::from([(ENTRY.to_string(), about.to_string())]);
        Ok(safetensors::write_with_checksum(&tensors, &metadata))
    }
    /// Whether a file begins as an index does; it may still be damaged.
    pub fn is_index(path: &Path) -> bool {
        use std::io::Read;
        let mut head = Vec::new();
        let read = std::fs::File::open(path).and_then(|f| f.take(4096).read_to_end(&mut head));
        read.is_ok() && String::from_utf8_lossy(&head).contains(&format!("\"{ENTRY}\""))
    }
    /// Writes the index aside and puts it into place.
    ///
    /// # Errors
    /// A path that cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_aside(path, &self.to_bytes()?)
    }
    /// Reads an index.
    ///
    /// # Errors
    /// A path that cannot be read, a file that is damaged or no index.
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_bytes(&read_limited(path, LARGEST_FILE)?).map_err(|e| e.inside(path.display()))
    }
    /// Reads the bytes of an index.
    ///
    /// # Errors
    /// Bytes that are damaged or no index: every number is held against the others.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (tensors, metadata) = safetensors::read(bytes)?;
        let none =
            || Error::from(Rule::new("no index of neighbours").right("a file that gabor neighbors MODEL DATA wrote"));
        let about: Value = serde_json::from_str(metadata.get(ENTRY).ok_or_else(none)?)
            .map_err(|e| Error::new(ENTRY, Rule::new(e.to_string())))?;
        let wrong = |what: &str, right: &str| Error::new(ENTRY, Rule::new(what.to_string()).right(right));
        if about["version"] != VERSION {
            return Err(wrong(&format!("an index of version {}", about["version"]), &format!("version {VERSION}")));
        }
        let text = |v: &Value, name: &str| -> Result<String> {
            let text = v.as_str().map(String::from);
            text.ok_or_else(|| wrong(&format!("`{name}` is {v}"), "a text"))
        };
        let texts = |name: &str| -> Result<Vec<String>> {
            let list = about[name]
                .as_array()
                .ok_or_else(|| wrong(&format!("there is no list `{name}`"), "a list of texts"))?;
            list.iter().map(|v| text(v, name)).collect()
        };
        let tensor = |name: &str| {
            tensors.get(name).ok_or_else(|| wrong(&format!("there is no tensor `{name}`"), "`features` and `labels`"))
        };
        let (features, labels) = (tensor("features")?, tensor("labels")?);
        let [n, width] = *features.shape() else {
            let rule = Rule::new(format!("features of shape {:?}", features.shape())).right("[pictures, numbers]");
            return Err(Error::from(rule));
        };
        let (classes, ids) = (texts("classes")?, texts("ids")?);
        if labels.shape() != [n] || ids.len() != n {
            let given = format!("{n} features, labels of shape {:?}, {} names", labels.shape(), ids.len());
            return Err(Error::from(Rule::new(given).right("one label and one name per feature")));
        }
        let known = |&l: &i32| u32::try_from(l).ok().filter(|&l| (l as usize) < classes.len());
        let labels = labels.as_i32()?.iter().map(|l| {
            known(l).ok_or_else(|| Error::from(Rule::new(format!("a label of {l} among {} classes", classes.len()))))
        });
        let labels: Vec<u32> = labels.collect::<Result<_>>()?;
        let values = features.as_f32()?.to_vec();
        Features::new(&values, width)?;
        let source = Source {
            model: text(&about["model"]["source"], "model.source")?,
            net: about["model"]["net"].as_str().map(String::from),
            data: text(&about["data"]["source"], "data.source")?,
            part: text(&about["data"]["part"], "data.part")?,
        };
        Ok(NeighborIndex {
            source,
            model: text(&about["model"]["name"], "model.name")?,
            checksum: text(&about["model"]["checksum"], "model.checksum")?,
            layer: text(&about["layer"], "layer")?,
            preprocessing: Preprocessing::from_json(&about["preprocessing"].to_string())?,
            classes,
            ids,
            labels,
            values,
            width,
        })
    }
}

fn short(sum: &str) -> &str {
    sum.get(..12).unwrap_or(sum)
}
