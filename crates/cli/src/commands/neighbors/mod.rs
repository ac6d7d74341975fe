//! `gabor neighbors`: an index of a data set's features, the nearest pictures of a query, retrieval, a map.

mod asked;
mod judged;
mod map;
mod told;

use crate::arguments::{Compute, Format, Given, Prepared, look};
use crate::commands::eval::{Split, part, splits};
use crate::failure::{Failure, Result};
use crate::looking::picture;
use crate::output;
use crate::progress::Progress;
use crate::written::{self, Arrays};
use clap::Args;
use gabor::Model;
use gabor::data::{Dataset, Preprocessing};
use gabor::neighbors::{
    Answer, Features, IndexOptions, Metric, NeighborExtractor, NeighborIndex, Retrieval, Search, Source, Vote,
    retrieval, sheet, thumbnail,
};
use gabor::picture::Look;
use gabor::report::{count, percent};
use gabor::tensor::Tensor;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Find the pictures that a network finds alike
///
/// Features of a data set become an index, a .safetensors file. With it: the nearest pictures of a query as a sheet, how
/// often neighbours share a class, a map of all pictures. Distances are exact; an index of another model is refused.
#[derive(Args)]
#[command(
    override_usage = "gabor neighbors MODEL DATA [-o INDEX] [OPTIONS]\n       gabor neighbors INDEX [OPTIONS]",
    after_help = "\
Examples:
  gabor neighbors model.onnx photos -o photos.safetensors     make an index; print how often neighbours share a class
  gabor neighbors photos.safetensors --query cat.jpg dog.jpg -o sheet.svg
  gabor neighbors photos.safetensors --query-index 3,17 --top 8
  gabor neighbors photos.safetensors --map map.html           a page to wander about in
  gabor neighbors photos.safetensors --test more-photos       name other pictures by their neighbours
  gabor neighbors --net resnet20 --weights resnet20.th cifar10 --query-index 0

The features are what the last linear layer reads; --layer takes any other, of which a feature map is averaged over its
places. Pictures are not kept in the index: they are read again where they lie.

A map keeps neighbours together: distances between groups and sizes of groups mean little. Trustworthiness (Venna and Kaski
2001) is 1 where all neighbours on the map are neighbours by features.

Retrieval: every picture asks for its neighbours among all others. P@1 and P@k are the parts of the 1 and k nearest that have
its class; mAP is the mean over queries of the average precision.

JSON: `index` (the file), `model`, `layer`, `width`, `count`, `dead` (features that are 0 on all pictures), `metric`; `queries`: a list of `id`, `index`, `class`, `neighbors` (`index`, `id`,
`class`, `distance`), and `picture` (the sheet); `retrieval`: `k`, `queries`, `alone` (pictures that are the only ones of their class and did not ask), `p1`, `pk`, `map`, `classes` (`class`, `queries`, `p1`,
`pk`, `map`); `test`: `count`, `k`, `accuracy` (by 1, 2, … k neighbours); `map`: `file`, `method`, `pictures` (of the index),
`places`, `k`, `trustworthiness`, `class_on_map`, `class_by_features` (parts whose k neighbours vote for their class). With --npy `files`."
)]
pub struct Arguments {
    /// A model and the data to make an index of (the data alone with --weights), or an index
    #[arg(required = true, value_name = "MODEL DATA | INDEX", num_args = 1..=2)]
    files: Vec<String>,
    /// The index to write (.safetensors; default neighbors.safetensors where nothing else is asked), or the sheet of the
    /// queries (.svg or .png; default neighbors.svg)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Pictures whose neighbours are wanted
    #[arg(long, value_name = "IMAGE", num_args = 1..)]
    query: Vec<PathBuf>,
    /// The same for pictures of the index, by number from 0: 3, 0-15 or 1,4,8-11
    #[arg(long, value_name = "LIST")]
    query_index: Option<String>,
    /// Neighbours of a query on the sheet (default: 6)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    top: Option<u16>,
    /// How far two features are from each other: cosine or euclidean
    #[arg(long, value_name = "METRIC", default_value = "cosine", value_parser = metric)]
    metric: Metric,
    /// Measure retrieval beside what else is asked (by itself where nothing is)
    #[arg(long)]
    score: bool,
    /// k of precision at k and of --test (default: 10)
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..=1000))]
    k: Option<u16>,
    /// Most pictures that ask when retrieval is measured, evenly spread (default: 10000)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    most: Option<u32>,
    /// Other data, whose pictures are named by the classes of their nearest neighbours
    #[arg(long, value_name = "DATA")]
    test: Option<String>,
    /// The layer whose features are taken
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Which part of the data is indexed (default: test, else validation)
    #[arg(long, value_name = "PART")]
    split: Option<Split>,
    /// Where the data of an index are now, if not where they were
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// The model of an index, if not where it was
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Pictures that are read at once (default: 64); the network always computes 8 together, so that no bit of a feature
    /// depends on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: Option<u32>,
    /// Also write the arrays as DIR/features.npy, DIR/labels.npy, with --map DIR/map.npy and DIR/map_pictures.npy
    #[arg(long, value_name = "DIR")]
    npy: Option<PathBuf>,
    #[command(flatten)]
    prepared: Prepared,
    /// The look of pictures: auto (the default: in an SVG as its viewer prefers, in a PNG light), light or dark
    #[arg(long, value_name = "LOOK", value_parser = look)]
    look: Option<Look>,
    #[command(flatten)]
    map: map::Map,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    pub compute: Compute,
    #[command(flatten)]
    format: Format,
}

fn metric(text: &str) -> Result<Metric, String> {
    let found = Metric::ALL.iter().find(|m| m.0 == text).map(|m| m.1);
    found.ok_or_else(|| "right would be: cosine or euclidean".into())
}

/// What there is to work with.
struct Work<'a> {
    a: &'a Arguments,
    index: NeighborIndex,
    /// The file that the index was read from.
    file: Option<PathBuf>,
    model: Option<Model>,
    extractor: Option<NeighborExtractor>,
    data: Option<Arc<dyn Dataset>>,
    /// The data of --test.
    test: Option<Arc<dyn Dataset>>,
}

/// The index where nothing else is asked, and the sheet of queries.
const INDEX: &str = "neighbors.safetensors";
const SHEET: &str = "neighbors.svg";

/// What -o names.
enum Output<'a> {
    None,
    Index(&'a Path),
    Sheet(&'a Path),
}

impl Arguments {
    fn output(&self) -> Result<Output<'_>> {
        let Some(path) = self.output.as_deref() else { return Ok(Output::None) };
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        match extension.as_str() {
            "safetensors" => Ok(Output::Index(path)),
            "svg" | "png" => Ok(Output::Sheet(path)),
            _ => {
                let text = format!(
                    "--output {}: right would be: a name in .safetensors for the index, or in .svg or .png for the sheet of queries",
                    path.display()
                );
                Err(Failure::Usage(text))
            }
        }
    }
    /// The files that are read, over which nothing may be written.
    fn read(&self) -> Vec<PathBuf> {
        let named = self.files.iter().chain(&self.test).chain(&self.data).chain(&self.model);
        let others = named.map(Path::new).chain(self.query.iter().map(PathBuf::as_path));
        written::read(&self.given, Some(&self.prepared), others)
    }
    fn batches(&self) -> IndexOptions {
        IndexOptions { batch: self.batch() as usize, ..Default::default() }
    }
    fn asks(&self) -> bool {
        !self.query.is_empty() || self.query_index.is_some()
    }
    fn wants(&self) -> bool {
        self.asks() || self.test.is_some() || self.map.map.is_some()
    }
    /// The index to work with where there is one already.
    fn index(&self) -> Option<&Path> {
        let ([only], None) = (self.files.as_slice(), &self.given.weights) else { return None };
        Some(Path::new(only)).filter(|p| NeighborIndex::is_index(p))
    }
    /// That the queries are pictures, and of the index those that there are.
    fn check(&self, preprocessing: Option<&Preprocessing>, count: usize) -> Result<()> {
        for path in &self.query {
            picture(preprocessing, path)?;
        }
        match self.numbers()?.iter().find(|&&i| i >= count) {
            None => Ok(()),
            Some(i) => {
                let right = format!("right would be: a number from 0 to {}", count.saturating_sub(1));
                Err(Failure::Failed(format!("--query-index {i}: the index has {count} pictures; {right}")))
            }
        }
    }
    /// The data of --test, which must have the classes of the index.
    fn tested(&self, classes: &[String]) -> Result<Option<Arc<dyn Dataset>>> {
        let Some(data) = &self.test else { return Ok(None) };
        let set = part(data, &gabor::train::open_data(data).map_err(gabor::Error::from)?, None)?.1;
        if set.classes() != classes {
            let right = format!("right would be: those of the index, {}", some(classes));
            return Err(Failure::Failed(format!("--test {data}: its classes are {}; {right}", some(set.classes()))));
        }
        Ok(Some(set))
    }
}

pub fn run(a: &Arguments) -> Result<()> {
    let target = a.output()?;
    a.fits()?;
    a.map.check()?;
    if matches!(target, Output::Sheet(_)) && !a.asks() {
        let text =
            "--output names a picture, and there are no queries; right would be: --query IMAGE or --query-index N";
        return Err(Failure::Usage(text.into()));
    }
    let kept = match target {
        Output::Index(path) => Some(path),
        Output::None if !a.wants() && a.index().is_none() => Some(Path::new(INDEX)),
        _ => None,
    };
    let unnamed = matches!(target, Output::None);
    let sheet = if let Output::Sheet(path) = target { path } else { Path::new(SHEET) };
    let sheet = a.asks().then_some(sheet);
    let files = [("--output", kept), ("--output", sheet), ("--map", a.map.map.as_deref())];
    let files: Vec<(&str, &Path)> = files.into_iter().filter_map(|(flag, path)| Some((flag, path?))).collect();
    written::check(&files, a.npy.as_deref(), &a.read())?;
    let mut work = Work::open(a)?;
    if let Some(text) = work.index.dead_words() {
        output::note(&text);
    }
    a.beyond(work.index.len()).iter().for_each(|text| output::note(text));
    // The index may go into the arrays' directory.
    if let Some(directory) = &a.npy {
        Arrays::new(directory)?;
    }
    // What took long is on the disk before anything else can fail.
    if let Some(path) = kept {
        if unnamed && path.exists() {
            output::note(&format!("{INDEX} was there and is replaced; --output names another file"));
        }
        work.save(path)?;
    }
    work.tell(sheet).inspect_err(|_| work.rescue())
}

impl<'a> Work<'a> {
    /// Keeps an index that was made where what was asked of it failed: it may have taken long.
    fn rescue(&mut self) {
        let path = Path::new(INDEX);
        if self.file.is_none() && !path.exists() && self.save(path).is_ok() {
            output::note(&format!("the index that was made is kept: {INDEX}"));
        }
    }
    /// Does what is asked of the index.
    fn tell(&mut self, sheet: Option<&Path>) -> Result<()> {
        let a = self.a;
        let mut out = self.about();
        let mut text = self.head();
        if let Some(directory) = &a.npy {
            out["files"] = json!(self.write_arrays(directory)?);
        }
        if let Some(path) = sheet {
            let answers = self.answers()?;
            self.draw(&answers, path)?;
            out["queries"] = answers.iter().map(|q| self.answer_json(q)).collect();
            out["picture"] = path.display().to_string().into();
            text += &format!("\n{}\n{}\n", self.answer_table(&answers), path.display());
        }
        if let (Some(data), Some(set)) = (&a.test, self.test.clone()) {
            let vote = self.test(set)?;
            out["test"] = json!({ "count": vote.count, "k": a.k(), "accuracy": vote.accuracy });
            let best = |k: usize| vote.accuracy.get(k - 1).map(|v| format!("{} by {k}", percent(*v)));
            let mut counts = vec![1, 5, usize::from(a.k())];
            counts.sort_unstable();
            counts.dedup();
            let some: Vec<String> = counts.into_iter().filter_map(best).collect();
            text += &format!(
                "\n{} pictures of {data} named by their neighbours: {}\n",
                count(vote.count as u64),
                some.join("   ")
            );
        }
        if let Some(path) = &a.map.map {
            let (told, lines) = self.map(path)?;
            out["map"] = told;
            text += &lines;
        }
        if a.score || !a.wants() {
            match self.retrieval() {
                Ok(r) => {
                    text += &format!("\n{}", judged::text(&r, &self.index));
                    out["retrieval"] = judged::json(&r, &self.index);
                }
                // Where nobody asked for it, an index that cannot be judged is an index nevertheless.
                Err(e) if !a.score => output::note(&e.to_string()),
                Err(e) => return Err(e),
            }
        }
        if a.format.json {
            return output::json(&out);
        }
        output::text(&text)
    }
    fn open(a: &'a Arguments) -> Result<Self> {
        if let Some(path) = a.index() {
            return Self::of_index(a, path);
        }
        if let ([only], None) = (a.files.as_slice(), &a.given.weights) {
            let text = format!(
                "{only}: no index of neighbours, and no data beside a model; right would be: gabor neighbors MODEL DATA, or gabor neighbors INDEX"
            );
            return Err(Failure::Usage(text));
        }
        let (model, data) = match (a.files.as_slice(), &a.given.weights) {
            ([model, data], None) => (Some(model.as_str()), data),
            ([data], Some(_)) => (None, data),
            _ => return Err(Failure::Usage("a model beside --weights; right would be: one of them".into())),
        };
        for (flag, given) in [("--data", &a.data), ("--model", &a.model)] {
            if let Some(text) = given {
                let right = "gabor neighbors MODEL DATA, or an index with it";
                return Err(Failure::Usage(format!("{flag} {text}: it is for an index; right would be: {right}")));
            }
        }
        let (opened, name) = a.given.open(model)?;
        let mut opened = opened.on(a.compute.backend()?);
        if let Some(how) = a.prepared.read()? {
            opened = opened.with_preprocessing(how);
        }
        let (split, set) = part(data, &splits(data, &opened, model)?, a.split)?;
        a.check(opened.preprocessing(), set.len())?;
        let test = a.tested(set.classes())?;
        let mut extractor = opened.neighbor_extractor(a.layer.as_deref()).map_err(|e| e.inside(&name))?;
        let mut line = Progress::late(set.len() as u64);
        let made = extractor.index(set.clone(), &a.batches(), &mut |done| line.draw_images(done as u64, "features"));
        line.clear();
        let mut index = made.map_err(|e| e.inside(&name))?;
        let known = |s: &str| std::fs::canonicalize(s).map_or_else(|_| s.to_string(), |p| p.display().to_string());
        index.source = Source { model: known(&name), net: a.given.net.clone(), data: known(data), part: split };
        Ok(Work { a, index, file: None, model: Some(opened), extractor: Some(extractor), data: Some(set), test })
    }
    fn of_index(a: &'a Arguments, path: &Path) -> Result<Self> {
        a.fits_an_index()?;
        let fixed = [
            ("--layer", a.layer.is_some()),
            ("--preprocessing", a.prepared.preprocessing.is_some()),
            ("--split", a.split.is_some()),
        ];
        if let Some((flag, _)) = fixed.iter().find(|f| f.1) {
            let text = format!(
                "{flag}: the index {} has its own; right would be: gabor neighbors MODEL DATA {flag} …",
                path.display()
            );
            return Err(Failure::Usage(text));
        }
        let index = NeighborIndex::open(path)?;
        a.check(Some(&index.preprocessing), index.len())?;
        let test = a.tested(&index.classes)?;
        Ok(Work { a, index, file: Some(path.to_path_buf()), model: None, extractor: None, data: None, test })
    }
    fn save(&mut self, path: &Path) -> Result<()> {
        self.index.save(path)?;
        self.file = Some(path.to_path_buf());
        Ok(())
    }
    /// The model that the index was made with.
    fn model(&mut self) -> Result<&Model> {
        if self.model.is_none() {
            let source = &self.index.source;
            let name = self.a.model.as_ref().unwrap_or(&source.model);
            let net = self.a.given.net.clone().or_else(|| source.net.clone());
            let network = crate::arguments::Network { offline: self.a.given.network.offline };
            let (model, _) = Given { net, weights: None, network }.open(Some(name))?;
            let model = model.on(self.a.compute.backend()?).with_preprocessing(self.index.preprocessing.clone());
            self.index.check_model(&model).map_err(|e| e.inside(name))?;
            self.model = Some(model);
        }
        self.model.as_ref().ok_or_else(|| Failure::Failed("the index has no model".into()))
    }
    /// What makes features as those of the index.
    fn extractor(&mut self) -> Result<&mut NeighborExtractor> {
        let made = match self.extractor.take() {
            Some(e) => e,
            None => {
                self.model()?;
                let none = || Failure::Failed("the index has no model".into());
                self.index.extractor(self.model.as_ref().ok_or_else(none)?)?
            }
        };
        Ok(self.extractor.insert(made))
    }
    /// The pictures of the index.
    fn data(&mut self) -> Result<Arc<dyn Dataset>> {
        if let Some(data) = &self.data {
            return Ok(data.clone());
        }
        let name = self.a.data.clone().unwrap_or_else(|| self.index.source.data.clone());
        let opened = gabor::train::open_data(&name).map_err(gabor::Error::from)?;
        // The part as it was: where a validation part was drawn, it is the one that its model's training drew.
        let named = Split::named(&self.index.source.part);
        let plain = part(&name, &opened, named).ok().filter(|p| self.index.check_data(&*p.1).is_ok());
        let set = match plain {
            Some((_, set)) => set,
            None => {
                let source = self.a.model.clone().unwrap_or_else(|| self.index.source.model.clone());
                let all = splits(&name, self.model()?, Some(&source))?;
                let set = part(&name, &all, named)?.1;
                self.index.check_data(&*set)?;
                set
            }
        };
        self.data = Some(set.clone());
        Ok(set)
    }
    fn search(&self) -> Result<Search<'_>> {
        Ok(self.index.search(&*self.a.compute.backend()?, self.a.metric)?)
    }
    fn answers(&mut self) -> Result<Vec<Answer>> {
        let data = self.data()?;
        let mut answers = Vec::new();
        let mut rows: Vec<f32> = Vec::new();
        let name =
            |p: &Path| p.file_name().map_or_else(|| p.display().to_string(), |f| f.to_string_lossy().into_owned());
        let preprocessing = Some(&self.index.preprocessing);
        let decoded = self.a.query.iter().map(|p| picture(preprocessing, p)).collect::<Result<Vec<_>>>()?;
        if !decoded.is_empty() {
            rows = self.extractor()?.features(&decoded)?;
        }
        for (path, decoded) in self.a.query.iter().zip(&decoded) {
            let picture = thumbnail(decoded, gabor::neighbors::SIDE)?;
            answers.push(Answer { picture, name: name(path), own: None, near: Vec::new() });
        }
        for i in self.a.numbers()? {
            rows.extend_from_slice(self.index.features().row(i));
            let picture = thumbnail(&data.image(i).map_err(gabor::Error::from)?, gabor::neighbors::SIDE)?;
            answers.push(Answer { picture, name: self.index.ids[i].clone(), own: Some(i), near: Vec::new() });
        }
        let queries = Features::new(&rows, self.index.features().width()).map_err(gabor::Error::from)?;
        let near = self
            .search()?
            .nearest(queries, usize::from(self.a.top.unwrap_or(6)), &|q| answers[q].own)
            .map_err(gabor::Error::from)?;
        answers.iter_mut().zip(near).for_each(|(a, n)| a.near = n);
        Ok(answers)
    }
    fn draw(&mut self, answers: &[Answer], path: &Path) -> Result<()> {
        let data = self.data()?;
        let drawn = sheet(&self.index, &*data, answers, self.a.metric)?;
        Ok(gabor::picture::write(path, &drawn.to_svg(), self.a.look.unwrap_or_default())?)
    }
    fn retrieval(&self) -> Result<Retrieval> {
        let (k, most) = (usize::from(self.a.k()), self.a.most.unwrap_or(10_000) as usize);
        let mut line = Progress::late(self.index.len().min(most) as u64);
        let mut search = self.search()?;
        let found = retrieval(&mut search, &self.index.labels, k, most, &mut |done, _| {
            line.draw_images(done as u64, "retrieval")
        });
        line.clear();
        Ok(found.map_err(gabor::Error::from)?)
    }
    fn test(&mut self, set: Arc<dyn Dataset>) -> Result<Vote> {
        let batches = self.a.batches();
        let mut line = Progress::late(set.len() as u64);
        let mut hear = |done: usize| line.draw_images(done as u64, "features");
        let values = self.extractor()?.features_of(set.clone(), &batches, &mut hear)?;
        line.clear();
        let features = Features::new(&values, self.index.features().width()).map_err(gabor::Error::from)?;
        let k = usize::from(self.a.k());
        let near = self.search()?.nearest(features, k, &|_| None).map_err(gabor::Error::from)?;
        Ok(Vote::judge(&near, &self.index.labels, set.labels(), k))
    }
    fn write_arrays(&self, directory: &Path) -> Result<Vec<String>> {
        let (arrays, features) = (Arrays::new(directory)?, self.index.features());
        let values = Tensor::f32(&[features.count(), features.width()], features.values().to_vec());
        let labels = self.index.labels.iter().map(|&l| l as i32).collect();
        Ok(vec![arrays.write("features", values)?, arrays.write("labels", Tensor::i32(&[self.index.len()], labels))?])
    }
}

/// A few of the names.
fn some(names: &[String]) -> String {
    let more = if names.len() > 5 { ", …" } else { "" };
    names.iter().take(5).cloned().collect::<Vec<_>>().join(", ") + more
}
