//! `gabor neighbors`: an index of a data set's features, the nearest pictures of a query, retrieval, a map.

mod judged;
mod map;

use crate::arguments::{Compute, Format, Given, look};
use crate::commands::eval::{Split, part, splits};
use crate::commands::predict::preprocessing;
use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Progress;
use clap::Args;
use gabor::Model;
use gabor::data::{Dataset, Limits};
use gabor::formats::npy;
use gabor::neighbors::{
    Answer, Features, IndexOptions, Metric, NeighborIndex, Retrieval, Search, Source, Vote, retrieval, sheet, thumbnail,
};
use gabor::picture::Look;
use gabor::report::{count, percent, table};
use gabor::tensor::Tensor;
use serde_json::{Value, json};
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

JSON: `index` (the file), `model`, `layer`, `width`, `count`, `metric`; `queries`: a list of `id`, `index`, `class`, `neighbors` (`index`, `id`,
`class`, `distance`), and `picture` (the sheet); `retrieval`: `k`, `queries`, `p1`, `pk`, `map`, `classes` (`class`, `queries`, `p1`,
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
    /// The same for pictures of the index, by number from 0, with commas between
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    query_index: Vec<usize>,
    /// Neighbours of a query on the sheet
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=100))]
    top: u16,
    /// How far two features are from each other: cosine or euclidean
    #[arg(long, value_name = "METRIC", default_value = "cosine", value_parser = metric)]
    metric: Metric,
    /// Measure retrieval beside what else is asked (by itself where nothing is)
    #[arg(long)]
    score: bool,
    /// k of precision at k and of --test
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    k: u16,
    /// Most pictures that ask when retrieval is measured, evenly spread
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    most: u32,
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
    /// Pictures that are run at once
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    /// Also write the arrays as DIR/features.npy, DIR/labels.npy, with --map DIR/map.npy and DIR/map_pictures.npy
    #[arg(long, value_name = "DIR")]
    npy: Option<PathBuf>,
    /// Preprocessing instead of the model's: `imagenet` or a JSON file
    #[arg(long, value_name = "HOW")]
    preprocessing: Option<String>,
    /// The look of pictures: auto (in an SVG as its viewer prefers, in a PNG light), light or dark
    #[arg(long, value_name = "LOOK", default_value = "auto", value_parser = look)]
    look: Look,
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
    data: Option<Arc<dyn Dataset>>,
}

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
    fn asks(&self) -> bool {
        !self.query.is_empty() || !self.query_index.is_empty()
    }
}

pub fn run(a: &Arguments) -> Result<()> {
    let target = a.output()?;
    a.map.check()?;
    if matches!(target, Output::Sheet(_)) && !a.asks() {
        let text =
            "--output names a picture, and there are no queries; right would be: --query IMAGE or --query-index N";
        return Err(Failure::Usage(text.into()));
    }
    let mut work = Work::open(a)?;
    let wanted = a.asks() || a.test.is_some() || a.map.map.is_some();
    match target {
        Output::Index(path) => work.save(path)?,
        Output::None if !wanted && work.file.is_none() => work.save(Path::new("neighbors.safetensors"))?,
        _ => {}
    }
    let mut out = work.about();
    let mut text = work.head();
    if a.asks() {
        let path = if let Output::Sheet(path) = target { path } else { Path::new("neighbors.svg") };
        let answers = work.answers()?;
        work.draw(&answers, path)?;
        out["queries"] = answers.iter().map(|q| work.answer_json(q)).collect();
        out["picture"] = path.display().to_string().into();
        text += &format!("\n{}\n{}\n", work.answer_table(&answers), path.display());
    }
    if let Some(data) = &a.test {
        let vote = work.test(data)?;
        out["test"] = json!({ "count": vote.count, "k": a.k, "accuracy": vote.accuracy });
        let best = |k: usize| vote.accuracy.get(k - 1).map(|v| format!("{} by {k}", percent(*v)));
        let some: Vec<String> = [1, 5, usize::from(a.k)].into_iter().filter_map(best).collect();
        text += &format!(
            "\n{} pictures of {data} named by their neighbours: {}\n",
            count(vote.count as u64),
            some.join("   ")
        );
    }
    if let Some(path) = &a.map.map {
        let (told, lines) = work.map(path)?;
        out["map"] = told;
        text += &lines;
    }
    if a.score || !wanted {
        match work.retrieval() {
            Ok(r) => {
                text += &format!("\n{}", judged::text(&r, &work.index));
                out["retrieval"] = judged::json(&r, &work.index);
            }
            // Where nobody asked for it, an index that cannot be judged is an index nevertheless.
            Err(e) if !a.score => output::note(&e.to_string()),
            Err(e) => return Err(e),
        }
    }
    if let Some(directory) = &a.npy {
        out["files"] = json!(work.write_arrays(directory)?);
    }
    if a.format.json {
        return output::json(&out);
    }
    output::text(&text)
}

impl<'a> Work<'a> {
    fn open(a: &'a Arguments) -> Result<Self> {
        if let ([only], None) = (a.files.as_slice(), &a.given.weights) {
            let path = Path::new(only);
            if NeighborIndex::is_index(path) {
                return Self::of_index(a, path);
            }
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
        if let Some(how) = &a.preprocessing {
            opened = opened.with_preprocessing(preprocessing(how)?);
        }
        let (split, set) = part(data, &splits(data, &opened, model)?, a.split)?;
        let options = IndexOptions { layer: a.layer.clone(), batch: a.batch as usize, ..Default::default() };
        let mut line = Progress::late(set.len() as u64);
        let made = opened.neighbor_index(set.clone(), &options, &mut |done| line.draw_images(done as u64, "features"));
        line.clear();
        let mut index = made.map_err(|e| e.inside(&name))?;
        let known = |s: &str| std::fs::canonicalize(s).map_or_else(|_| s.to_string(), |p| p.display().to_string());
        index.source = Source { model: known(&name), net: a.given.net.clone(), data: known(data), part: split };
        Ok(Work { a, index, file: None, model: Some(opened), data: Some(set) })
    }
    fn of_index(a: &'a Arguments, path: &Path) -> Result<Self> {
        let fixed = [
            ("--layer", a.layer.is_some()),
            ("--preprocessing", a.preprocessing.is_some()),
            ("--split", a.split.is_some()),
        ];
        if let Some((flag, _)) = fixed.iter().find(|f| f.1) {
            let text = format!(
                "{flag}: the index {} has its own; right would be: gabor neighbors MODEL DATA {flag} …",
                path.display()
            );
            return Err(Failure::Usage(text));
        }
        Ok(Work { a, index: NeighborIndex::open(path)?, file: Some(path.to_path_buf()), model: None, data: None })
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
        if !self.a.query.is_empty() {
            self.model()?;
        }
        for path in &self.a.query {
            let decoded = self.index.preprocessing.decode_file(path, &Limits::default()).map_err(gabor::Error::from)?;
            let Some(model) = &self.model else { continue };
            rows.extend(self.index.features_of(model, &[decoded.view()])?);
            let picture = thumbnail(&decoded, gabor::neighbors::SIDE)?;
            answers.push(Answer { picture, name: name(path), own: None, near: Vec::new() });
        }
        for &i in &self.a.query_index {
            if i >= self.index.len() {
                let text = format!(
                    "--query-index {i}: the index has {} pictures; right would be: a number from 0 to {}",
                    self.index.len(),
                    self.index.len().saturating_sub(1)
                );
                return Err(Failure::Failed(text));
            }
            rows.extend_from_slice(self.index.features().row(i));
            let picture = thumbnail(&data.image(i).map_err(gabor::Error::from)?, gabor::neighbors::SIDE)?;
            answers.push(Answer { picture, name: self.index.ids[i].clone(), own: Some(i), near: Vec::new() });
        }
        let queries = Features::new(&rows, self.index.features().width()).map_err(gabor::Error::from)?;
        let near = self
            .search()?
            .nearest(queries, usize::from(self.a.top), &|q| answers[q].own)
            .map_err(gabor::Error::from)?;
        answers.iter_mut().zip(near).for_each(|(a, n)| a.near = n);
        Ok(answers)
    }
    fn draw(&mut self, answers: &[Answer], path: &Path) -> Result<()> {
        let data = self.data()?;
        let drawn = sheet(&self.index, &*data, answers, self.a.metric)?;
        Ok(gabor::picture::write(path, &drawn.to_svg(), self.a.look)?)
    }
    fn retrieval(&self) -> Result<Retrieval> {
        let (k, most) = (usize::from(self.a.k), self.a.most as usize);
        let mut line = Progress::late(self.index.len().min(most) as u64);
        let mut search = self.search()?;
        let found = retrieval(&mut search, &self.index.labels, k, most, &mut |done, _| {
            line.draw_images(done as u64, "retrieval")
        });
        line.clear();
        Ok(found.map_err(gabor::Error::from)?)
    }
    fn test(&mut self, data: &str) -> Result<Vote> {
        let (batch, backend) = (self.a.batch as usize, self.a.compute.backend()?);
        let layer = Some(self.index.layer.clone());
        let model = self.model()?;
        let set = part(data, &gabor::train::open_data(data).map_err(gabor::Error::from)?, None)?.1;
        let mut line = Progress::late(set.len() as u64);
        let options = IndexOptions { layer, batch, ..Default::default() };
        let other = model.neighbor_index(set, &options, &mut |done| line.draw_images(done as u64, "features"));
        line.clear();
        let other = other?;
        if other.classes != self.index.classes {
            let text = format!(
                "--test {data}: its classes are {}; right would be: those of the index, {}",
                some(&other.classes),
                some(&self.index.classes)
            );
            return Err(Failure::Failed(text));
        }
        let k = usize::from(self.a.k);
        let mut search = self.index.search(&*backend, self.a.metric)?;
        let near = search.nearest(other.features(), k, &|_| None).map_err(gabor::Error::from)?;
        Ok(Vote::judge(&near, &self.index.labels, &other.labels, k))
    }
    fn write_arrays(&self, directory: &Path) -> Result<Vec<String>> {
        std::fs::create_dir_all(directory).map_err(|e| gabor::Error::io(directory, "make the directory", &e))?;
        let features = self.index.features();
        let labels = self.index.labels.iter().map(|&l| l as i32).collect();
        let arrays = [
            ("features.npy", Tensor::f32(&[features.count(), features.width()], features.values().to_vec())),
            ("labels.npy", Tensor::i32(&[self.index.len()], labels)),
        ];
        let mut written = Vec::new();
        for (name, tensor) in arrays {
            let path = directory.join(name);
            gabor::write_aside(&path, &npy::write(&tensor.map_err(gabor::Error::from)?))?;
            written.push(path.display().to_string());
        }
        Ok(written)
    }
    fn about(&self) -> Value {
        let i = &self.index;
        json!({
            "index": self.file.as_ref().map(|f| f.display().to_string()),
            "model": i.model,
            "layer": i.layer,
            "width": i.features().width(),
            "count": i.len(),
            "metric": self.a.metric.name(),
        })
    }
    fn head(&self) -> String {
        let i = &self.index;
        let file =
            self.file.as_ref().map_or(String::new(), |f| format!("{}  ", output::bold(&f.display().to_string())));
        format!(
            "{file}{} pictures, {} features of {} in {}\n",
            count(i.len() as u64),
            i.features().width(),
            i.layer,
            i.model
        )
    }
    fn answer_json(&self, a: &Answer) -> Value {
        let i = &self.index;
        let near = a.near.iter().map(
            |n| json!({ "index": n.index, "id": i.ids[n.index], "class": i.class(n.index), "distance": n.distance }),
        );
        let class = a.own.map(|own| i.class(own));
        json!({ "id": a.name, "index": a.own, "class": class, "neighbors": near.collect::<Vec<_>>() })
    }
    fn answer_table(&self, answers: &[Answer]) -> String {
        let mut rows = Vec::new();
        for a in answers {
            for (r, n) in a.near.iter().enumerate() {
                let name = if r == 0 { a.name.clone() } else { String::new() };
                let i = &self.index;
                rows.push(vec![
                    name,
                    n.index.to_string(),
                    i.class(n.index).into(),
                    format!("{:.4}", n.distance),
                    i.ids[n.index].clone(),
                ]);
            }
        }
        table(&["query", "picture", "class", "distance", "name"], &[false, true, false, true, false], &rows)
    }
}

/// A few of the names.
fn some(names: &[String]) -> String {
    let more = if names.len() > 5 { ", …" } else { "" };
    names.iter().take(5).cloned().collect::<Vec<_>>().join(", ") + more
}
