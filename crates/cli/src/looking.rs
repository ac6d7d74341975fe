//! What the commands that look inside a model have in common: the model, and the picture or data beside it.

use crate::arguments::{Compute, Given};
use crate::commands::predict::preprocessing;
use crate::failure::{Failure, Result};
use clap::Args;
use gabor::Model;
use gabor::data::{Image, Limits, Preprocessing, decode_file};
use std::path::Path;

/// The model of a command that looks inside it.
#[derive(Args)]
pub struct Looking {
    /// Preprocessing instead of the model's: `imagenet` or a JSON file
    #[arg(long, value_name = "HOW")]
    preprocessing: Option<String>,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    pub compute: Compute,
}

impl Looking {
    /// The model, its name, and what stands beside it: MODEL and THINGs, or THINGs alone with --weights.
    pub fn open<'a>(&self, files: &'a [String], command: &str, thing: &str) -> Result<(Model, String, &'a [String])> {
        let (model, beside) = match (files, &self.given.weights) {
            (beside, Some(_)) => (None, beside),
            ([model, beside @ ..], None) if !beside.is_empty() => (Some(model.as_str()), beside),
            _ => {
                let what = if thing == "IMAGE" { "picture" } else { "data" };
                return Err(Failure::Usage(format!("no {what}; right would be: gabor {command} MODEL {thing}")));
            }
        };
        let (model, name) = self.open_alone(model)?;
        Ok((model, name, beside))
    }
    /// The model where nothing stands beside it; none with --weights.
    pub fn open_alone(&self, model: Option<&str>) -> Result<(Model, String)> {
        let (model, name) = self.given.open(model)?;
        let mut model = model.on(self.compute.backend()?);
        if let Some(how) = &self.preprocessing {
            model = model.with_preprocessing(preprocessing(how)?);
        }
        Ok((model, name))
    }
    /// The same where one thing is wanted.
    pub fn open_one<'a>(&self, files: &'a [String], command: &str, thing: &str) -> Result<(Model, String, &'a str)> {
        if files.len() > 1 && self.given.weights.is_some() {
            return Err(Failure::Usage("a model beside --weights; right would be: one of them".into()));
        }
        let (model, name, beside) = self.open(files, command, thing)?;
        Ok((model, name, &beside[0]))
    }
}

/// A picture for a model. As in training and validation, a large photograph is decoded at the size that the model needs.
pub fn picture(preprocessing: Option<&Preprocessing>, path: &Path) -> Result<Image<'static>> {
    let picture = match preprocessing {
        Some(p) => p.decode_file(path, &Limits::default()),
        None => decode_file(path, &Limits::default()),
    };
    Ok(picture.map_err(gabor::Error::from)?)
}

/// A layer's name as that of a file.
pub fn file_name(layer: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    layer.chars().map(plain).collect::<String>().trim_start_matches(['.', '_']).to_string()
}
