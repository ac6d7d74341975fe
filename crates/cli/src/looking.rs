//! What the commands that look inside a model have in common: the model, and the picture or data beside it.

use crate::arguments::{Compute, Given, Prepared};
use crate::failure::{Failure, Result};
use crate::written;
use clap::Args;
use gabor::Model;
use gabor::data::{Image, Limits, Preprocessing, decode_file};
use std::path::{Path, PathBuf};

/// The model of a command that looks inside it.
#[derive(Args)]
pub struct Looking {
    #[command(flatten)]
    prepared: Prepared,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    pub compute: Compute,
}

impl Looking {
    /// The files that are read, over which nothing may be written: those of the model, and `others`.
    pub fn read<'a>(&'a self, others: impl IntoIterator<Item = &'a Path>) -> Vec<PathBuf> {
        written::read(&self.given, Some(&self.prepared), others)
    }
    /// The model, its name, and what stands beside it: MODEL and THINGs, or THINGs alone with --weights.
    pub fn open<'a>(&self, files: &'a [String], command: &str, thing: &str) -> Result<(Model, String, &'a [String])> {
        let (model, beside) = match (files, &self.given.weights) {
            (beside, Some(_)) => (None, beside),
            ([model, beside @ ..], None) if !beside.is_empty() => (Some(model.as_str()), beside),
            _ => {
                if let Some(net) = &self.given.net {
                    let text = format!("--net {net} alone holds no weights; right would be: --weights FILE with it");
                    return Err(Failure::Usage(text));
                }
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
        if let Some(how) = self.prepared.read()? {
            model = model.with_preprocessing(how);
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

/// The last part of a path, with its directory where the file of a run is called as in every other.
pub fn short_name(path: &str) -> String {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let last = if path.ends_with("/model.onnx") { 2 } else { 1 };
    parts[parts.len().saturating_sub(last)..].join("/")
}

/// Numbers from 0 on, in their order and each once: `3`, `0-15`, `1,4,8-11`.
///
/// # Errors
/// Other words, a range that ends before it begins, more than `most` numbers; the option is named.
pub fn numbers(option: &str, text: &str, most: usize) -> Result<Vec<usize>> {
    let mut all: Vec<usize> = Vec::new();
    for word in text.split(',').map(str::trim) {
        let ends = word.split_once('-').unwrap_or((word, word));
        match (ends.0.trim().parse::<usize>(), ends.1.trim().parse::<usize>()) {
            (Ok(a), Ok(b)) if a <= b && b - a < most - all.len() => all.extend(a..=b),
            _ => {
                let right = format!("numbers from 0 on, such as 3, 0-15 or 1,4,8-11, at most {most} of them");
                return Err(Failure::Usage(format!("{option} {text}; right would be: {right}")));
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    all.retain(|&n| seen.insert(n));
    Ok(all)
}

/// Fails with the first of these options that was given and has no part in what is asked.
///
/// # Errors
/// The option, why it has no part, and what would be right.
pub fn no_part(options: &[(&str, bool)], why: &str, right: &str) -> Result<()> {
    match options.iter().find(|o| o.1) {
        Some((option, _)) => Err(Failure::Usage(format!("{option} has no part in {why}; right would be: {right}"))),
        None => Ok(()),
    }
}

/// A layer's name as that of a file.
pub fn file_name(layer: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    layer.chars().map(plain).collect::<String>().trim_start_matches(['.', '_']).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_each_once() {
        let read = |text: &str| numbers("--units", text, 1024).ok();
        assert_eq!(read("3"), Some(vec![3]));
        assert_eq!(read("9, 4,8-10,4"), Some(vec![9, 4, 8, 10]));
        assert_eq!(read("0-1022,7").map(|u| u.len()), Some(1023));
        for wrong in ["", "5-2", "a", "1-", "0-9999", "-1", "1,,2", "0-1023,7", "0-1024", "7,0-1023"] {
            let e = numbers("--units", wrong, 1024).map_err(|e| e.to_string()).unwrap_err();
            assert!(e.starts_with(&format!("--units {wrong}; right would be: numbers from 0 on")), "{e}");
        }
    }
}
