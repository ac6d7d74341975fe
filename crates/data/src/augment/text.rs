//! Pipelines as text: presets by name, and words with commas between.

use super::{Augmentation, Operation, OperationPage, Step};
use gabor_tensor::Rule;
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

/// Named pipelines: name, text, and what it is for.
pub(crate) const PRESETS: &[(&str, &str, &str)] = &[
    ("none", "", "nothing varies"),
    ("handwriting", "scale:0.1,stretch:0.05,shear:5,rotate:10,shift:1", "mild: digits and letters stay what they are"),
    ("small_photos", "shift:4,mirror", "32 × 32 photographs: pad 4, crop, mirror (He et al. 2015, section 4.2)"),
    ("photos", "random_crop,mirror", "photographs: a random crop of the resized image, mirror"),
    (
        "alexnet",
        "random_crop,mirror,pca_noise:0.1",
        "a random crop of the resized image, mirror, colour noise (Krizhevsky, Sutskever and Hinton 2012)",
    ),
    (
        "inception",
        "random_resized_crop,mirror,color_jitter:0.125:0.5:0.5:0.2",
        "boxes of many sizes, mirror, colour jitter (Szegedy et al. 2015)",
    ),
    (
        "timm-ra",
        "random_resized_crop,mirror,randaugment:2:9:0.5:timm,erase:0.02..0.3333333333333333:noise=true@0.25,fill:124/116/104",
        "boxes of many sizes, mirror, RandAugment rand-m9-mstd0.5-inc1, random erasing (timm)",
    ),
];

impl Augmentation {
    /// The presets: name and what it is for.
    pub fn presets() -> impl Iterator<Item = (&'static str, &'static str)> {
        PRESETS.iter().map(|p| (p.0, p.2))
    }
    /// Mild variation for handwriting: zoom 10 %, stretch 5 %, shear 5°, rotation 10°, shift 1.
    pub fn handwriting() -> Self {
        preset("handwriting")
    }
    /// The usual one for 32 × 32 photographs: pad 4 and crop, mirror (He et al. 2015, section 4.2).
    pub fn small_photos() -> Self {
        preset("small_photos")
    }
    /// For photographs: a random crop of the resized image, mirror.
    pub fn photos() -> Self {
        preset("photos")
    }
}

/// A preset's pipeline. Tests hold that each is valid.
fn preset(name: &str) -> Augmentation {
    name.parse().unwrap_or_default()
}

/// The error of a name that no operation has.
pub(super) fn unknown(name: &str) -> Rule {
    let operations = Operation::PAGES.iter().map(|p| p.name);
    let known: Vec<&str> = PRESETS.iter().map(|p| p.0).chain(operations).chain(["fill"]).collect();
    let near = (known.iter().map(|k| (strsim::jaro_winkler(name, k), *k)))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let all = known.join(", ");
    let right = near.map_or_else(|| format!("one of {all}"), |(_, k)| format!("`{k}`; all: {all}"));
    Rule::new(format!("no augmentation is called `{name}`")).right(right)
}

/// `none`, a preset, or words with commas between; a later word changes what an earlier one said.
///
/// | word | meaning |
/// |---|---|
/// | `mirror` | an operation as it usually is |
/// | `rotate:10`, `elastic:34:4` | with parameters in their order |
/// | `elastic:sigma=4` | with parameters by name |
/// | `random_resized_crop:0.25..1` | a range; lists have `/` between |
/// | `rotate:10@0.5` | with a probability |
/// | `+rotate:5` | once more, where the operation is there already |
/// | `-rotate` | not this operation |
/// | `fill:128`, `fill:124/116/104` | the colour beyond the edges |
impl FromStr for Augmentation {
    type Err = Rule;

    fn from_str(text: &str) -> Result<Self, Rule> {
        let mut out = Augmentation::default();
        for word in text.split(',').map(str::trim).filter(|w| !w.is_empty()) {
            out.add(word)?;
        }
        out.validate().map_err(|e| e.rule().clone())?;
        Ok(out)
    }
}

impl Augmentation {
    /// Adds a word of a text.
    fn add(&mut self, word: &str) -> Result<(), Rule> {
        let (again, rest) = word.strip_prefix('+').map_or((false, word), |w| (true, w));
        if let Some(name) = rest.strip_prefix('-') {
            let before = self.operations.len();
            self.operations.retain(|s| s.operation.page().name != name.trim());
            let gone = self.operations.len() < before;
            let rule = || Rule::new(format!("`{word}`: there is no such operation to leave out"));
            return if gone { Ok(()) } else { Err(rule().right("a name that an earlier word gives")) };
        }
        if let Some((_, text, _)) = PRESETS.iter().find(|p| p.0 == rest) {
            self.operations.clear();
            return text.split(',').filter(|w| !w.is_empty()).try_for_each(|w| self.add(w));
        }
        if let Some(color) = rest.strip_prefix("fill:") {
            let bytes: Option<Vec<u8>> = color.split('/').map(|v| v.trim().parse().ok()).collect();
            self.fill = match bytes.as_deref() {
                Some(&[v]) => [v; 3],
                Some(&[r, g, b]) => [r, g, b],
                _ => return Err(Rule::new(format!("`{word}`")).right("fill:GREY or fill:R/G/B, each 0 to 255")),
            };
            return Ok(());
        }
        let step = step(rest)?;
        let same = |s: &&mut Step| s.operation.page().name == step.operation.page().name;
        match self.operations.iter_mut().find(same) {
            Some(old) if !again => *old = step,
            // A crop comes first wherever it is said, in the place of another one.
            _ if step.operation.is_view() => {
                self.operations.retain(|s| !s.operation.is_view());
                self.operations.insert(0, step);
            }
            _ => self.operations.push(step),
        }
        Ok(())
    }
}

/// `NAME:VALUE:KEY=VALUE@P`.
fn step(word: &str) -> Result<Step, Rule> {
    let (body, p) = match word.rsplit_once('@') {
        Some((body, p)) => (body, Some(p.trim())),
        None => (word, None),
    };
    let mut parts = body.split(':').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let page = Operation::PAGES.iter().find(|o| o.name == name).ok_or_else(|| unknown(name))?;
    let mut table = Map::new();
    table.insert("name".into(), name.into());
    for (i, part) in parts.enumerate() {
        let (key, text) = match part.split_once('=') {
            Some((key, text)) => (key.trim(), text.trim()),
            None => (page.parameters.get(i).ok_or_else(|| too_many(page, part))?.0, part),
        };
        table.insert(key.into(), value(text));
    }
    if let Some(p) = p {
        table.insert("p".into(), value(p));
    }
    Step::try_from(table)
}

fn too_many(page: &OperationPage, part: &str) -> Rule {
    let known: Vec<&str> = page.parameters.iter().map(|p| p.0).collect();
    let right = if known.is_empty() { page.name.to_string() } else { format!("{}:{}", page.name, known.join(":")) };
    Rule::new(format!("`{}` has {} parameters, given one more: `{part}`", page.name, known.len())).right(right)
}

/// A number, a truth value, a range, a list, or a word.
fn value(text: &str) -> Value {
    let list = |separator: &str| Value::Array(text.split(separator).map(|t| value(t.trim())).collect());
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if text.contains("..") => list(".."),
        _ if text.contains('/') => list("/"),
        _ => text.parse::<f64>().ok().filter(|v| v.is_finite()).map_or_else(|| text.into(), Value::from),
    }
}

/// The text of a value that [`value`] reads back.
fn written(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Array(list) => {
            let separator = if list.len() == 2 { ".." } else { "/" };
            list.iter().map(written).collect::<Vec<_>>().join(separator)
        }
        other => other.to_string(),
    }
}

/// Every parameter by name; reads back to the same pipeline, which later versions' defaults do not change.
impl fmt::Display for Augmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        for (i, step) in self.operations.iter().enumerate() {
            let again = if self.repeat(i) > 0 { "+" } else { "" };
            let mut word = format!("{again}{}", step.operation.page().name);
            let values = step.operation.values();
            // An empty list is what a list is without a word.
            for (key, value) in values.iter().filter(|(_, v)| v.as_array().is_none_or(|l| !l.is_empty())) {
                let name = if values.len() > 1 { format!("{key}=") } else { String::new() };
                word += &format!(":{name}{}", written(value));
            }
            if step.probability != 1.0 || step.operation.page().probability != 1.0 {
                word += &format!("@{}", step.probability);
            }
            words.push(word);
        }
        match self.fill {
            [0, 0, 0] => {}
            [r, g, b] if r == g && g == b => words.push(format!("fill:{r}")),
            [r, g, b] => words.push(format!("fill:{r}/{g}/{b}")),
        }
        f.write_str(if words.is_empty() { "none".into() } else { words.join(",") }.as_str())
    }
}
