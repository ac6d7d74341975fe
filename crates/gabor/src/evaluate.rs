//! Models on labelled data: one alone, or several whose probabilities are averaged.

use crate::{Error, Model, Result};
use gabor_data::{Dataset, Epoch, Loader, LoaderOptions, OnBad, ViewDataset, Views};
use gabor_tensor::{Rule, Tensor};
use gabor_train::calibration::{log_softmax, tempered};
use gabor_train::{Evaluation, Evaluator, SampleScore, Scores};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// How models are evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluateOptions {
    /// Pictures that are run at once (default 64); views of a sample count one by one.
    pub batch: usize,
    /// Threads that prepare batches (default 1). No influence on results.
    pub workers: usize,
    /// How many of the worst mistakes are kept, and as many of the right predictions that were nearly mistakes
    /// (default 24).
    pub mistakes: usize,
    /// What the data is called in the result (default `test`).
    pub split: String,
    /// Views of a picture over which probabilities are averaged (default the one that the preprocessing gives).
    pub views: Views,
    /// What scores are divided by before their probabilities are measured (default nothing).
    pub temperature: Option<f64>,
    /// What becomes of samples that cannot be read (default an error).
    pub bad: OnBad,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        EvaluateOptions {
            batch: 64,
            workers: 1,
            mistakes: 24,
            split: "test".into(),
            views: Views::One,
            temperature: None,
            bad: OnBad::Fail,
        }
    }
}

/// What an evaluation tells of a model, or of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// All models and views together, at the temperature of the options.
    pub evaluation: Evaluation,
    /// The same without the temperature; none where the options have none.
    pub before: Option<Evaluation>,
    /// Each model alone, with all views and without the temperature; empty where there is only one.
    pub members: Vec<Evaluation>,
    /// Samples that could not be read and were left out ([`EvaluateOptions::bad`]): index and reason, in order.
    pub bad: Vec<(usize, gabor_data::Error)>,
}

/// What a temperature is fitted on, and what is missing from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The logarithms of the probabilities of all samples that have any.
    pub scores: Scores,
    /// Samples that could not be read and were left out ([`EvaluateOptions::bad`]): index and reason, in order.
    pub bad: Vec<(usize, gabor_data::Error)>,
    /// Samples whose probabilities are no numbers, or whose own class has the probability 0; left out as well.
    pub unfit: usize,
}

impl Model {
    /// Loss, accuracies, calibration, confusion matrix, per-class numbers and the worst mistakes on a data set.
    ///
    /// # Errors
    /// A model without preprocessing, classes that differ from the data's, a sample that cannot be read.
    pub fn eval(&mut self, dataset: Arc<dyn Dataset>, options: &EvaluateOptions) -> Result<Evaluation> {
        let mut members = Members::new(vec![self])?;
        Ok(members.evaluate(dataset, options, &mut |_| {})?.evaluation)
    }
    /// The data's classes must be the model's, by number and, where the model has names, by name and order.
    pub(crate) fn check_classes(&self, data: &[String]) -> Result<()> {
        let count = self.class_count()?;
        let place = || self.graph.name.clone();
        if data.len() != count {
            let rule = Rule::new(format!("a model of {count} classes on data of {}", data.len()));
            return Err(Error::new(place(), rule.right("data with the classes that the model was trained on")));
        }
        let differ = self.classes().iter().zip(data).position(|(a, b)| a != b);
        if let Some(i) = differ {
            let rule =
                Rule::new(format!("class {i} is `{}` in the model and `{}` in the data", self.class(i), data[i]));
            return Err(Error::new(place(), rule.right("the same classes in the same order")));
        }
        Ok(())
    }
}

/// Models that speak together, of the same classes.
pub(crate) struct Members<'a> {
    models: Vec<&'a mut Model>,
    /// `orders[m][k]`: where model m has the class k of the first model.
    orders: Vec<Vec<usize>>,
}

/// A sample, and the logarithms of the probabilities that it got.
struct Visit<'a> {
    index: usize,
    label: usize,
    together: &'a [f64],
    members: &'a [Vec<f64>],
}

impl<'a> Members<'a> {
    pub(crate) fn new(models: Vec<&'a mut Model>) -> Result<Self> {
        let orders = orders(&models)?;
        Ok(Members { models, orders })
    }
    /// The logarithms of the probabilities of an image, over all models and views, in the order of the first model.
    pub(crate) fn log_probabilities(&mut self, image: &gabor_data::Image<'_>, views: Views) -> Result<Vec<f64>> {
        let mut all = Vec::new();
        for (model, order) in self.models.iter_mut().zip(&self.orders) {
            let p = model.preprocessing().ok_or_else(|| model.no_preprocessing())?;
            let [c, h, w] = p.input();
            let images = Tensor::f32(&[views.count(), c, h, w], p.apply_views(image, views)?)?;
            let scores = model.logits(&images)?;
            all.push(one(scores.as_f32()?, views.count(), order));
        }
        Ok(mean(all))
    }
    pub(crate) fn evaluate(
        &mut self,
        dataset: Arc<dyn Dataset>,
        options: &EvaluateOptions,
        hear: &mut dyn FnMut(&SampleScore),
    ) -> Result<Evaluated> {
        let names = dataset.classes().to_vec();
        let several = if self.models.len() > 1 { self.models.len() } else { 0 };
        let mut together = Evaluator::new(&names, options.mistakes);
        let mut before = options.temperature.map(|_| Evaluator::new(&names, options.mistakes));
        let mut members = vec![Evaluator::new(&names, 0); several];
        let mut scores: Vec<f32> = Vec::new();
        let mut add = |e: &mut Evaluator, v: &Visit<'_>, logs: &[f64], id: &dyn Fn() -> String| {
            scores.clear();
            scores.extend(logs.iter().map(|&l| l as f32));
            e.add(v.index, id, &scores, v.label, -logs[v.label])
        };
        let data = dataset.clone();
        let bad = self.visit(dataset, options, &mut |v| {
            let id = || data.id(v.index);
            let verdict = match options.temperature {
                Some(t) => add(&mut together, v, &tempered(v.together, t), &id),
                None => add(&mut together, v, v.together, &id),
            };
            hear(&SampleScore { index: v.index, id: id(), label: v.label, verdict });
            if let Some(e) = &mut before {
                add(e, v, v.together, &id);
            }
            for (e, logs) in members.iter_mut().zip(v.members) {
                add(e, v, logs, &id);
            }
        })?;
        Ok(Evaluated {
            evaluation: together.finish(&options.split),
            before: before.map(|e| e.finish(&options.split)),
            members: members.into_iter().map(|e| e.finish(&options.split)).collect(),
            bad,
        })
    }
    pub(crate) fn scores(
        &mut self,
        dataset: Arc<dyn Dataset>,
        options: &EvaluateOptions,
        hear: &mut dyn FnMut(usize),
    ) -> Result<Scored> {
        let mut scores = Scores::new(dataset.classes().len());
        let (mut done, mut unfit) = (0, 0);
        let bad = self.visit(dataset, options, &mut |v| {
            let logs: Vec<f32> = v.together.iter().map(|&l| l as f32).collect();
            unfit += usize::from(!scores.push(&logs, v.label as u32));
            done += 1;
            hear(done);
        })?;
        Ok(Scored { scores, bad, unfit })
    }

    /// Runs all models over all samples, batch by batch, so that no more than a batch is held. Gives the samples that were
    /// left out; more than half of all are the loader's error.
    fn visit(
        &mut self,
        dataset: Arc<dyn Dataset>,
        options: &EvaluateOptions,
        hear: &mut dyn FnMut(&Visit<'_>),
    ) -> Result<Vec<(usize, gabor_data::Error)>> {
        let views = options.views.count();
        // The views of a sample stay together.
        let batch = (options.batch / views).max(1) * views;
        let mut feeds: Vec<Epoch> = Vec::new();
        if let Some(first) = self.models.first() {
            first.check_classes(dataset.classes())?;
        }
        for model in &self.models {
            let preprocessing = model.preprocessing().ok_or_else(|| model.no_preprocessing())?;
            model.image_input()?;
            let (seen, own): (Arc<dyn Dataset>, _) = if options.views == Views::One {
                (dataset.clone(), preprocessing.clone())
            } else {
                let (seen, own) = ViewDataset::new(dataset.clone(), preprocessing, options.views)?;
                (Arc::new(seen), own)
            };
            let how = LoaderOptions {
                batch_size: batch,
                workers: options.workers,
                shuffle: false,
                bad: options.bad,
                ..Default::default()
            };
            feeds.push(Loader::new(seen, own, how)?.epoch(0, 0));
        }
        // Once for a sample, whatever the number of models and views.
        let mut bad = BTreeMap::new();
        loop {
            // For each sample of the batch what each model makes of it.
            let mut found: Vec<(usize, usize, Vec<Vec<f64>>)> = Vec::new();
            let mut ended = true;
            for (m, (model, feed)) in self.models.iter_mut().zip(&mut feeds).enumerate() {
                let Some(batch) = feed.next() else { continue };
                let batch = batch?;
                ended = false;
                bad.extend(batch.bad.iter().map(|(i, e)| (*i as usize / views, e.clone())));
                if batch.indices.is_empty() {
                    continue;
                }
                let scores = model.logits(&batch.images)?;
                let labels = batch.labels.as_i32()?;
                let classes = scores.shape().get(1).copied().unwrap_or(0);
                for (i, rows) in scores.as_f32()?.chunks_exact((classes * views).max(1)).enumerate() {
                    let index = batch.indices[i * views] as usize / views;
                    let logs = one(rows, views, &self.orders[m]);
                    match found.get_mut(i) {
                        None => found.push((index, labels[i * views] as usize, vec![logs])),
                        Some(known) if known.0 == index => known.2.push(logs),
                        Some(known) => {
                            let rule = Rule::new(format!("models are at samples {} and {index} at once", known.0));
                            return Err(Error::new(&model.graph.name, rule));
                        }
                    }
                }
                feed.recycle(batch);
            }
            if ended {
                return Ok(bad.into_iter().collect());
            }
            for (index, label, members) in found {
                let together = mean(members.clone());
                hear(&Visit { index, label, together: &together, members: &members });
            }
        }
    }
}

/// What one model makes of the views of a sample: scores `[views, classes]` to logarithms of mean probabilities, in the
/// order of the first model's classes.
fn one(scores: &[f32], views: usize, order: &[usize]) -> Vec<f64> {
    let classes = (scores.len() / views.max(1)).max(1);
    let logs = mean(scores.chunks_exact(classes).map(log_softmax).collect());
    order.iter().map(|&k| logs.get(k).copied().unwrap_or(f64::NAN)).collect()
}

/// The logarithms of the mean of probabilities whose logarithms are given, class by class.
fn mean(all: Vec<Vec<f64>>) -> Vec<f64> {
    let n = all.len() as f64;
    if all.len() == 1 {
        return all.into_iter().next().unwrap_or_default();
    }
    let classes = all.first().map_or(0, Vec::len);
    (0..classes)
        .map(|k| {
            let top = all.iter().map(|l| l[k]).fold(f64::NEG_INFINITY, f64::max);
            if top == f64::NEG_INFINITY {
                return top;
            }
            top + (all.iter().map(|l| (l[k] - top).exp()).sum::<f64>() / n).ln()
        })
        .collect()
}

/// Where each model has the classes of the first one, by name; by number where no model has names.
fn orders(models: &[&mut Model]) -> Result<Vec<Vec<usize>>> {
    let Some(first) = models.first() else {
        return Err(Error::from(Rule::new("an ensemble of no models").right("at least one")));
    };
    let count = first.class_count()?;
    let mut out = Vec::new();
    for (m, model) in models.iter().enumerate() {
        let place =
            |rule: Rule| Error::new(format!("model {} of {} ({})", m + 1, models.len(), model.graph.name), rule);
        let own = model.class_count()?;
        if own != count {
            let rule = Rule::new(format!("{own} classes beside {count} of the first model"));
            return Err(place(rule.right("models of the same classes")));
        }
        if model.classes().is_empty() != first.classes().is_empty() {
            let rule = Rule::new("of this model and the first one only one names its classes");
            return Err(place(rule.right("names in both; gabor convert --classes FILE gives them")));
        }
        if model.classes() == first.classes() {
            out.push((0..count).collect());
            continue;
        }
        // ImageNet has two classes of the name `crane`: the first goes with the first, the second with the second.
        let mut at: HashMap<&str, VecDeque<usize>> = HashMap::new();
        for (k, name) in model.classes().iter().enumerate() {
            at.entry(name).or_default().push_back(k);
        }
        let mut order = Vec::with_capacity(count);
        for name in first.classes() {
            let Some(k) = at.get_mut(name.as_str()).and_then(VecDeque::pop_front) else {
                let has = model.classes().iter().take(8).cloned().collect::<Vec<_>>().join(", ");
                let rule = Rule::new(format!("there is no class `{name}`")).given(has);
                return Err(place(rule.right("the classes of the first model, in any order")));
            };
            order.push(k);
        }
        out.push(order);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_averaged_and_not_scores() {
        // Two views of three classes: (8/10, 1/10, 1/10) and (2/10, 2/10, 6/10).
        let scores: Vec<f32> = [8.0f32, 1.0, 1.0, 2.0, 2.0, 6.0].iter().map(|v| v.ln()).collect();
        let p: Vec<f64> = one(&scores, 2, &[2, 0, 1]).iter().map(|l| l.exp()).collect();
        for (p, want) in p.iter().zip([0.35, 0.5, 0.15]) {
            assert!((p - want).abs() < 1e-7, "{p}");
        }
        // Where a probability is too small for a number its logarithm is not.
        let logs = mean(vec![vec![-1000.0, 0.0], vec![-1000.0, 0.0]]);
        assert!((logs[0] + 1000.0).abs() < 1e-9);
        let none = mean(vec![vec![f64::NEG_INFINITY], vec![f64::NEG_INFINITY]]);
        assert_eq!(none, [f64::NEG_INFINITY]);
    }
}
