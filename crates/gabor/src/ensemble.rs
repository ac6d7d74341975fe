//! Several models as one: the mean of their probabilities.

use crate::evaluate::Members;
use crate::{EvaluateOptions, Evaluated, Model, Prediction, Result, Scored};
use gabor_data::{Dataset, Image, Views};
use gabor_train::SampleScore;
use std::sync::Arc;

/// Models whose probabilities are averaged, each with its own preprocessing; over views of a picture as well. One model
/// is an ensemble too.
///
/// ```no_run
/// use gabor::{Ensemble, Model, data::Views};
/// let models = ["a.onnx", "b.onnx"].map(|f| Model::open(f).unwrap()).into();
/// let mut ensemble = Ensemble::new(models).unwrap();
/// let image = gabor::data::decode_file("cat.jpg".as_ref(), &Default::default()).unwrap();
/// for p in ensemble.top(&image, Views::Flip, 5).unwrap() {
///     println!("{:5.1} % {}", p.probability * 100.0, p.class);
/// }
/// ```
#[derive(Debug)]
pub struct Ensemble {
    models: Vec<Model>,
}

impl Ensemble {
    /// An ensemble. Classes are matched by name, in any order; by number where no model has names.
    ///
    /// # Errors
    /// No models, or models of other classes than the first one's.
    pub fn new(mut models: Vec<Model>) -> Result<Self> {
        Members::new(models.iter_mut().collect())?;
        Ok(Ensemble { models })
    }
    /// Its models.
    pub fn models(&self) -> &[Model] {
        &self.models
    }
    /// Its models by value.
    pub fn into_models(self) -> Vec<Model> {
        self.models
    }
    /// All classes of the first model, the most probable first.
    ///
    /// # Errors
    /// A model without preprocessing, that takes no pictures or gives no scores; views that its preprocessing cannot make.
    pub fn predict(&mut self, image: &Image<'_>, views: Views) -> Result<Vec<Prediction>> {
        // One view by one model is the model's own answer, to the last bit.
        if let ([model], Views::One) = (self.models.as_mut_slice(), views) {
            return model.predict(image);
        }
        let logs = Members::new(self.models.iter_mut().collect())?.log_probabilities(image, views)?;
        Ok(self.models[0].predictions(logs.into_iter().map(|l| l.exp() as f32)))
    }
    /// The `k` most probable classes, the most probable first.
    ///
    /// # Errors
    /// As [`predict`](Ensemble::predict).
    pub fn top(&mut self, image: &Image<'_>, views: Views, k: usize) -> Result<Vec<Prediction>> {
        let mut all = self.predict(image, views)?;
        all.truncate(k);
        Ok(all)
    }
    /// Measures the ensemble on a data set, and each of its models.
    ///
    /// # Errors
    /// As [`Model::eval`]; views that a preprocessing cannot make.
    pub fn eval(&mut self, dataset: Arc<dyn Dataset>, options: &EvaluateOptions) -> Result<Evaluated> {
        self.eval_with(dataset, options, &mut |_| {})
    }
    /// The same; `hear` is told of every sample in the data set's order.
    ///
    /// # Errors
    /// As [`eval`](Ensemble::eval).
    pub fn eval_with(
        &mut self,
        dataset: Arc<dyn Dataset>,
        options: &EvaluateOptions,
        hear: &mut dyn FnMut(&SampleScore),
    ) -> Result<Evaluated> {
        Members::new(self.models.iter_mut().collect())?.evaluate(dataset, options, hear)
    }
    /// The logarithms of the probabilities of all samples, to fit a temperature on
    /// ([`Scores::temperature`](gabor_train::Scores::temperature)), with what is missing from them; `hear` is
    /// told how many are done.
    ///
    /// # Errors
    /// As [`eval`](Ensemble::eval).
    pub fn scores(
        &mut self,
        dataset: Arc<dyn Dataset>,
        options: &EvaluateOptions,
        hear: &mut dyn FnMut(usize),
    ) -> Result<Scored> {
        Members::new(self.models.iter_mut().collect())?.scores(dataset, options, hear)
    }
}
