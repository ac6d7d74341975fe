//! Several models and several views: options that `eval` and `predict` share.

use crate::arguments::{Compute, Given, Prepared, model_of};
use crate::failure::{Failure, Result};
use clap::Args;
use gabor::data::Views;
use gabor::{Ensemble, Model};

/// What is averaged.
#[derive(Args)]
pub struct Averaged {
    /// Average over views of each picture: `flip` (and mirrored) or `tencrop` (corners and centre, and mirrored)
    #[arg(long, value_name = "VIEWS", default_value = "none", value_parser = views)]
    pub tta: Views,
    /// More models, whose probabilities are averaged with the first one's; each has its own preprocessing
    #[arg(long, value_name = "MODEL", num_args = 1..)]
    pub ensemble: Vec<String>,
}

fn views(name: &str) -> Result<Views, String> {
    let names = || Views::ALL.map(Views::name).join(", ");
    Views::by_name(name).ok_or_else(|| format!("right would be: {}", names()))
}

/// Models with the names that messages call them by.
pub struct Opened {
    pub ensemble: Ensemble,
    pub names: Vec<String>,
}

impl Averaged {
    /// The model of the command line and those of --ensemble, which alone suffice.
    pub fn open(&self, given: &Given, model: Option<&str>, compute: &Compute, prepared: &Prepared) -> Result<Opened> {
        if let (Some(how), false) = (&prepared.preprocessing, self.ensemble.is_empty()) {
            let text = format!("--preprocessing {how} with --ensemble; right would be: each model with its own");
            return Err(Failure::Usage(text));
        }
        let backend = compute.backend()?;
        let mut models: Vec<(Model, String)> = Vec::new();
        if model.is_some() || given.weights.is_some() || self.ensemble.is_empty() {
            models.push(given.open(model)?);
        }
        for source in &self.ensemble {
            models.push((model_of(given.network.load(source)?, None)?, source.clone()));
        }
        let (models, names): (Vec<Model>, Vec<String>) = models.into_iter().unzip();
        let mut models: Vec<Model> = models.into_iter().map(|m| m.on(backend.clone())).collect();
        if let Some(how) = prepared.read()? {
            models = models.into_iter().map(|m| m.with_preprocessing(how.clone())).collect();
        }
        Ok(Opened { ensemble: Ensemble::new(models)?, names })
    }
}

impl Opened {
    /// What messages call all of it.
    pub fn name(&self) -> String {
        self.names.join(" + ")
    }
}
