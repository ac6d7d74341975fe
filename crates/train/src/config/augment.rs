//! Augmentation as a setting: a preset, a list of words, or a file.

use super::setting::Setting;
use super::{Auto, Config};
use crate::{Error, Result};
use gabor_data::{Augmentation, Dataset, Operation, Preprocessing, Step, Style, common_shape};
use gabor_tensor::Rule;
use std::path::Path;

/// A description is a page of text.
const LIMIT: u64 = 1 << 16;

/// The text of a pipeline, as a user writes it: a preset's name, words with commas between, or a `.toml` file's name. When
/// a run begins it is resolved to words that name every parameter, so that the run goes on without the file and under
/// other defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline(String);

impl Pipeline {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    fn is_file(&self) -> bool {
        self.0.ends_with(".toml")
    }
    /// The pipeline; a file is read.
    ///
    /// # Errors
    /// A file that cannot be read or holds no pipeline.
    pub fn resolve(&self) -> Result<Augmentation> {
        if !self.is_file() {
            return parse_augmentation(&self.0).map_err(|r| Error::new("key `augment`", r));
        }
        let path = Path::new(&self.0);
        let length = std::fs::metadata(path).map_err(|e| Error::io(path, "read", &e))?.len();
        if length > LIMIT {
            let rule = Rule::new(format!("a pipeline of {length} bytes")).right(format!("at most {LIMIT}"));
            return Err(Error::new(self.0.clone(), rule));
        }
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", &e))?;
        from_toml(&text, &self.0)
    }
}

impl Setting for Pipeline {
    fn read(text: &str, _what: &str) -> Result<Self, Rule> {
        let out = Pipeline(text.to_string());
        if !out.is_file() {
            parse_augmentation(text)?;
        }
        Ok(out)
    }
    fn text(&self) -> String {
        self.0.clone()
    }
}

/// A pipeline from text: `none`, a preset (`handwriting`, `small_photos`, `photos`, …), and operations with their
/// parameters and probability, with commas between; later words change earlier ones. See [`Augmentation`].
///
/// ```
/// let a = gabor_train::parse_augmentation("handwriting,rotate:15,mirror@0.25").unwrap();
/// assert_eq!(a.operations.len(), 6);
/// ```
///
/// # Errors
/// An unknown word, with the nearest known one; a parameter out of bounds.
pub fn parse_augmentation(text: &str) -> Result<Augmentation, Rule> {
    text.parse()
}

/// A pipeline from TOML: `fill`, and `[[operation]]` tables.
fn from_toml(text: &str, place: &str) -> Result<Augmentation> {
    let a: Augmentation = toml::from_str(text).map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |s| 1 + text.bytes().take(s.start).filter(|&b| b == b'\n').count());
        Error::new(format!("{place}, line {line}"), Rule::new(e.message().trim().to_string()))
    })?;
    a.validate().map_err(|e| Error::new(place, e.rule().clone()))?;
    Ok(a)
}

/// RandAugment from `OPS,MAGNITUDE`, as torchvision counts them.
pub(super) fn rand_augment(text: &str) -> Option<Operation> {
    let (ops, magnitude) = text.split_once(',')?;
    let (ops, magnitude) = (ops.trim().parse().ok()?, magnitude.trim().parse().ok()?);
    let fits = (1..=16).contains(&ops) && (0.0..=30.0).contains(&magnitude);
    fits.then_some(Operation::Randaugment { ops, magnitude, std: 0.0, style: Style::Torchvision })
}

/// Puts RandAugment where it belongs: in its old place, before what is cut out of the picture, else last.
fn with_rand_augment(augmentation: &mut Augmentation, operation: Operation) {
    let is = |s: &Step| matches!(s.operation, Operation::Randaugment { .. });
    let cuts = |s: &Step| matches!(s.operation, Operation::Cutout { .. } | Operation::Erase { .. });
    let operations = &mut augmentation.operations;
    let step = Step::new(operation);
    match operations.iter().position(is) {
        Some(i) => operations[i] = step,
        None => operations.insert(operations.iter().position(cuts).unwrap_or(operations.len()), step),
    }
}

/// What the settings say, with what `auto` means for the data and what is computed from these; `augment` becomes the
/// resolved text, in which `randaugment` has gone in.
pub(crate) fn resolve_augmentation(
    config: &mut Config,
    train: &dyn Dataset,
    preprocessing: &Preprocessing,
) -> Result<Augmentation> {
    let mut augmentation = match &config.augment.0 {
        Some(pipeline) => pipeline.resolve()?,
        None => {
            let text = if config.is_lbfgs() { "none" } else { usual(train, config.weights.is_some()) };
            parse_augmentation(text).map_err(|r| Error::new("key `augment`", r))?
        }
    };
    if let Some(operation) = config.randaugment.take().as_deref().and_then(rand_augment) {
        with_rand_augment(&mut augmentation, operation);
    }
    let augmentation = augmentation.with_components_of(train, preprocessing)?;
    config.augment = Auto(Some(Pipeline(augmentation.to_string())));
    Ok(augmentation)
}

/// Grey pictures of one small size, in files or not, are taken for writing, coloured ones for photographs. Photographs under weights that
/// know their features already get the crop that fine-tuning usually gets: boxes of many sizes.
fn usual(data: &dyn Dataset, fine_tuning: bool) -> &'static str {
    match common_shape(data) {
        Some([1, h, w]) if h <= 64 && w <= 64 => "handwriting",
        Some([_, h, w]) if h <= 64 && w <= 64 => "small_photos",
        Some(_) => "mirror",
        None if fine_tuning => "random_resized_crop,mirror",
        None => "photos",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_pipelines() {
        let text = "fill = [124, 116, 104]\n[[operation]]\nname = \"random_resized_crop\"\narea = [0.25, 1]\n\n\
                    [[operation]]\nname = \"mirror\"\n\n[[operation]]\nname = \"rotate\"\ndegrees = 15\np = 0.5\n";
        let want = "random_resized_crop:0.25..1,mirror,rotate:15@0.5,fill:124/116/104";
        assert_eq!(from_toml(text, "p.toml").unwrap(), parse_augmentation(want).unwrap());
        let e = |text: &str| from_toml(text, "p.toml").unwrap_err().to_string();
        assert!(e("[[operation]]\nname = \"rotate\"\ndegree = 3").contains("`rotate` has no parameter `degree`"));
        assert!(e("[[operation]]\nname = \"mirrors\"").contains("`mirror`"));
        assert!(e("fill = 3").starts_with("p.toml, line 1"));
        assert!(e("rotate = 3").contains("unknown field `rotate`"));
        let twice = e("[[operation]]\nname = \"mirror\"\n[[operation]]\nname = \"random_crop\"");
        assert!(twice.starts_with("p.toml: `random_crop` is operation 2"), "{twice}");
    }

    #[test]
    fn a_file_is_resolved_once() {
        let directory = std::env::temp_dir().join(format!("gabor-augment-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("p.toml");
        std::fs::write(&path, "[[operation]]\nname = \"shift\"\npixels = 2\n").unwrap();
        let mut config = Config::default();
        config.set("augment", path.to_str().unwrap()).unwrap();
        let digits = gabor_data::digits();
        let train = &**digits.train().unwrap();
        let p = Preprocessing::exact([1, 8, 8]).unwrap();
        let a = resolve_augmentation(&mut config, train, &p).unwrap();
        assert_eq!(config.augment.0, Some(Pipeline("shift:2".into())));
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(resolve_augmentation(&mut config, train, &p).unwrap(), a);
        config.set("augment", path.to_str().unwrap()).unwrap();
        let gone = resolve_augmentation(&mut config, train, &p).unwrap_err().to_string();
        assert!(gone.contains("p.toml"), "{gone}");
    }

    #[test]
    fn what_is_computed_is_written_down() {
        let digits = gabor_data::digits();
        let train = &**digits.train().unwrap();
        let p = Preprocessing::exact([1, 8, 8]).unwrap();
        let resolved = |words: &[&str]| {
            let mut config = Config::load(None, [], words).unwrap();
            let a = resolve_augmentation(&mut config, train, &p).unwrap();
            // A resolved configuration resolves to itself.
            let again = config.clone();
            assert_eq!((resolve_augmentation(&mut config, train, &p).unwrap(), config.clone()), (a, again));
            (config.augment.0.unwrap().0, config.randaugment)
        };
        let (text, rand) = resolved(&["augment=mirror,cutout:3", "randaugment=2,9"]);
        assert_eq!(text, "mirror@0.5,randaugment:ops=2:magnitude=9:std=0:style=torchvision,cutout:3");
        assert_eq!(rand, None);
        let (text, _) = resolved(&["augment=timm-ra", "randaugment=1,5"]);
        assert!(text.contains("randaugment:ops=1:magnitude=5:std=0:style=torchvision,erase"), "{text}");
        let (text, _) = resolved(&["augment=pca_noise"]);
        assert!(text.starts_with("pca_noise:std=0.1:values=0.1") && text.ends_with(":vectors=1"), "{text}");
        let e = Config::load(None, [], &["randaugment=2"]).unwrap_err().to_string();
        assert!(e.contains("OPS,MAGNITUDE"), "{e}");
        let e = Config::load(None, [], &["optimiser=lbfgs", "mixup=0.2"]).unwrap().validate().unwrap_err().to_string();
        assert!(e.contains("lbfgs has no use for mixup"), "{e}");
    }
}
