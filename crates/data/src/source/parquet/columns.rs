//! Which columns of a Parquet file hold the images and the labels, and the names of the classes.

use crate::Error;
use ::parquet::basic::{ConvertedType, Type};
use ::parquet::file::metadata::ParquetMetaData;
use gabor_tensor::Rule;
use std::path::Path;

/// Names of columns of images and of labels, the first that is there counts.
const IMAGE: [&str; 9] = ["image", "img", "image_bytes", "picture", "photo", "bytes", "data", "jpg", "png"];
const LABEL: [&str; 9] =
    ["label", "labels", "cls", "class", "fine_label", "target", "category", "class_name", "label_name"];
/// The key under which the `datasets` library keeps its description.
const HUB: &str = "huggingface";

/// Names of classes by number.
pub(super) type ClassNames = Vec<String>;

/// The columns that count, as leaves of the schema.
pub(super) struct Columns {
    pub image: usize,
    pub label: usize,
    /// The names that the file itself says.
    pub names: Option<ClassNames>,
}

/// What the hub's description says: the column of class labels and their names.
fn described(metadata: &ParquetMetaData) -> Option<(String, ClassNames)> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    let text = pairs.iter().find(|p| p.key == HUB)?.value.as_ref()?;
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let features = value.get("info")?.get("features")?.as_object()?;
    let label = |f: &serde_json::Value| f.get("_type").and_then(|t| t.as_str()) == Some("ClassLabel");
    // CIFAR-100 has two: the fine one is meant.
    let mut found: Vec<_> = features.iter().filter(|(_, f)| label(f)).collect();
    found.sort_by_key(|(name, _)| LABEL.iter().position(|l| l == name).unwrap_or(LABEL.len()));
    let (name, feature) = found.first()?;
    let names =
        feature.get("names")?.as_array()?.iter().map(|n| n.as_str().map(String::from)).collect::<Option<_>>()?;
    Some((name.to_string(), names))
}

impl Columns {
    /// Finds them by type and name.
    pub fn find(path: &Path, metadata: &ParquetMetaData) -> Result<Columns, Error> {
        let schema = metadata.file_metadata().schema_descr();
        let leaves: Vec<(usize, String, Type, bool)> = (schema.columns().iter().enumerate())
            .filter(|(_, c)| c.max_rep_level() == 0)
            .map(|(i, c)| (i, c.path().string(), c.physical_type(), c.converted_type() == ConvertedType::UTF8))
            .collect();
        let bytes = |l: &&(usize, String, Type, bool)| l.2 == Type::BYTE_ARRAY && !l.3;
        let named = |name: &str| leaves.iter().filter(bytes).find(|l| l.1 == name);
        let structs = || leaves.iter().filter(bytes).find(|l| l.1.ends_with(".bytes"));
        let first = IMAGE.iter().find_map(|n| named(&format!("{n}.bytes")).or_else(|| named(n)));
        let only = || Some(leaves.iter().filter(bytes)).filter(|l| l.clone().count() == 1).and_then(|mut l| l.next());
        let given = || leaves.iter().map(|l| format!("{} ({:?})", l.1, l.2)).collect::<Vec<_>>().join(", ");
        let image = first.or_else(structs).or_else(only).ok_or_else(|| {
            let rule = Rule::new("no column of images").given(given());
            Error::at(path, rule.right("a column `image` of bytes, or of structs with `bytes`"))
        })?;
        let hub = described(metadata);
        let plain = |name: &str| leaves.iter().find(|l| l.1 == name && l.0 != image.0);
        let by_hub = hub.as_ref().and_then(|(name, _)| plain(name));
        let label = by_hub.or_else(|| LABEL.iter().find_map(|n| plain(n))).ok_or_else(|| {
            let rule = Rule::new("no column of labels").given(given());
            Error::at(path, rule.right(format!("a column called {}", LABEL.join(", "))))
        })?;
        if !matches!(label.2, Type::INT32 | Type::INT64 | Type::BOOLEAN | Type::BYTE_ARRAY) {
            let rule = Rule::new(format!("labels of type {:?} in column {}", label.2, label.1));
            return Err(Error::at(path, rule.right("whole numbers or text")));
        }
        let names = hub.filter(|_| by_hub.is_some()).map(|h| h.1);
        Ok(Columns { image: image.0, label: label.0, names })
    }
    /// Both columns.
    pub fn used(&self) -> [usize; 2] {
        [self.image, self.label]
    }
}
