//! A model on labelled data.

use crate::model::no_preprocessing;
use crate::{Error, Model, Result};
use gabor_data::{Dataset, Loader};
use gabor_tensor::Rule;
use gabor_train::step::Forward;
use gabor_train::{Evaluation, evaluate};
use std::sync::Arc;

/// How a model is evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluateOptions {
    /// Samples that are run at once (default 64).
    pub batch: usize,
    /// Threads that prepare batches (default 1). No influence on results.
    pub workers: usize,
    /// How many of the worst mistakes are kept (default 24).
    pub mistakes: usize,
    /// What the data is called in the result (default `test`).
    pub split: String,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        EvaluateOptions { batch: 64, workers: 1, mistakes: 24, split: "test".into() }
    }
}

impl Model {
    /// Loss, accuracies, confusion matrix, per-class numbers and the worst mistakes on a data set.
    ///
    /// # Errors
    /// A model without preprocessing, classes that differ from the data's, a sample that cannot be read.
    pub fn eval(&self, dataset: Arc<dyn Dataset>, options: &EvaluateOptions) -> Result<Evaluation> {
        let preprocessing = self.preprocessing().ok_or_else(no_preprocessing)?;
        self.image_input()?;
        self.check_classes(dataset.classes())?;
        let loader = Loader::evaluation(dataset, preprocessing.clone(), options.batch, options.workers)?;
        let forward = Forward { graph: self.graph.clone(), logits: self.scores()?, auxiliary: Vec::new() };
        Ok(evaluate(&*self.backend, forward, &self.weights, &loader, &options.split, options.mistakes)?)
    }

    /// The data's classes must be the model's, by number and, where the model has names, by name and order.
    fn check_classes(&self, data: &[String]) -> Result<()> {
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
