//! `metadata_props`: what an ONNX file says beside its graph, under keys of our own.

use super::proto::StringStringEntryProto;
use crate::error::At;
use crate::{Error, Metadata, Result};
use gabor_tensor::Rule;

const PREPROCESSING: &str = "gabor.preprocessing";
const CLASSES: &str = "gabor.classes";
const PROVENANCE: &str = "gabor.provenance";
const METRICS: &str = "gabor.metrics";

fn json(key: &str, text: &str) -> Result<serde_json::Value> {
    serde_json::from_str(text).map_err(|e| Rule::new(format!("it is not JSON: {e}"))).at(key)
}

impl Metadata {
    /// The entries of the file, in a fixed order.
    pub(super) fn to_props(&self) -> Result<Vec<StringStringEntryProto<'static>>> {
        let mut props: Vec<(String, String)> = Vec::new();
        let mut text = |key: &str, value: &Option<String>| {
            if let Some(v) = value {
                json(key, v)?;
                props.push((key.into(), v.clone()));
            }
            Ok::<(), Error>(())
        };
        text(PREPROCESSING, &self.preprocessing)?;
        text(PROVENANCE, &self.provenance)?;
        text(METRICS, &self.metrics)?;
        if !self.classes.is_empty() {
            props.push((CLASSES.into(), serde_json::Value::from(self.classes.clone()).to_string()));
        }
        for (k, v) in &self.other {
            if [PREPROCESSING, CLASSES, PROVENANCE, METRICS].contains(&k.as_str()) {
                return Err(Error::new(k, Rule::new("this metadata entry has a field of its own")));
            }
            props.push((k.clone(), v.clone()));
        }
        Ok(props.into_iter().map(|(k, v)| StringStringEntryProto { key: k.into(), value: v.into() }).collect())
    }

    /// The metadata of a file's entries.
    pub(super) fn from_props(props: &[StringStringEntryProto<'_>]) -> Result<Self> {
        let mut m = Metadata::default();
        for p in props {
            let value = p.value.to_string();
            match &*p.key {
                key @ (PREPROCESSING | PROVENANCE | METRICS) => {
                    json(key, &value)?;
                    let field = match key {
                        PREPROCESSING => &mut m.preprocessing,
                        PROVENANCE => &mut m.provenance,
                        _ => &mut m.metrics,
                    };
                    *field = Some(value);
                }
                CLASSES => {
                    let wrong = |_| Rule::new("it is no list of names").right("[\"cat\", \"dog\"]");
                    m.classes = serde_json::from_str(&value).map_err(wrong).at(CLASSES)?;
                }
                key => drop(m.other.insert(key.to_string(), value)),
            }
        }
        Ok(m)
    }
}
