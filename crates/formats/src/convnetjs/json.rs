//! The JSON of a snapshot.

use crate::{Error, Result};
use gabor_tensor::Rule;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Every extent of a file is below this, so that sums and products of a few of them fit.
const MAX_NUMBER: usize = 1 << 20;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Snapshot {
    layers: Vec<Layer>,
}

/// One layer: the fields of all kinds together.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Layer {
    pub(super) layer_type: String,
    pub(super) out_depth: usize,
    pub(super) out_sx: usize,
    pub(super) out_sy: usize,
    pub(super) sx: Option<usize>,
    pub(super) sy: Option<usize>,
    pub(super) stride: Option<usize>,
    pub(super) pad: Option<usize>,
    #[serde(default)]
    pub(super) filters: Vec<Vol>,
    pub(super) biases: Option<Vol>,
    pub(super) group_size: Option<usize>,
    pub(super) k: Option<f64>,
    pub(super) n: Option<usize>,
    pub(super) alpha: Option<f64>,
    pub(super) beta: Option<f64>,
    pub(super) drop_prob: Option<f64>,
    // What follows from the rest, or is of training alone.
    #[serde(rename = "in_depth")]
    _in_depth: Option<de::IgnoredAny>,
    #[serde(rename = "num_inputs")]
    _num_inputs: Option<de::IgnoredAny>,
    #[serde(rename = "l1_decay_mul")]
    _l1: Option<de::IgnoredAny>,
    #[serde(rename = "l2_decay_mul")]
    _l2: Option<de::IgnoredAny>,
}

impl Layer {
    /// A number that the layer must have, and that is not 0.
    pub(super) fn want(&self, what: &str, v: Option<usize>) -> Result<usize, Rule> {
        match v {
            Some(v) if v > 0 => Ok(v),
            Some(_) => Err(Rule::new(format!("`{what}` is 0")).right("at least 1")),
            None => Err(Rule::new(format!("`{what}` is missing"))),
        }
    }
    fn check(&self) -> Result<(), Rule> {
        let all = [
            ("out_depth", Some(self.out_depth)),
            ("out_sx", Some(self.out_sx)),
            ("out_sy", Some(self.out_sy)),
            ("sx", self.sx),
            ("sy", self.sy),
            ("stride", self.stride),
            ("pad", self.pad),
            ("group_size", self.group_size),
            ("n", self.n),
        ];
        let large = all.iter().find(|(_, v)| v.is_some_and(|v| v > MAX_NUMBER));
        match large {
            Some((what, Some(v))) => Err(Rule::new(format!("`{what}` is {v}")).right(format!("at most {MAX_NUMBER}"))),
            _ if self.out_depth == 0 || self.out_sx == 0 || self.out_sy == 0 => Err(Rule::new("an extent of 0")),
            _ => Ok(()),
        }
    }
}

/// Numbers with three extents, the channels innermost.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vol {
    pub(super) sx: usize,
    pub(super) sy: usize,
    pub(super) depth: usize,
    #[serde(deserialize_with = "numbers")]
    pub(super) w: Vec<f32>,
}

/// Numbers as a list, or as browsers write typed arrays: `{"0": 0.5, "1": -0.25}`.
fn numbers<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<f32>, D::Error> {
    struct Numbers;
    impl<'de> Visitor<'de> for Numbers {
        type Value = Vec<f32>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("numbers, as a list or under the keys \"0\", \"1\", …")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut v = Vec::new();
            while let Some(x) = seq.next_element::<f64>()? {
                v.push(x as f32);
            }
            Ok(v)
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut v: Vec<(u32, f32)> = Vec::new();
            while let Some(key) = map.next_key::<Key>()? {
                v.push((key.0, map.next_value::<f64>()? as f32));
            }
            v.sort_by_key(|e| e.0);
            if v.iter().enumerate().any(|(i, e)| e.0 as usize != i) {
                return Err(de::Error::custom("the keys of the numbers are not 0, 1, 2, … without a gap"));
            }
            Ok(v.into_iter().map(|e| e.1).collect())
        }
    }
    d.deserialize_any(Numbers)
}

/// An index that is written as a text.
struct Key(u32);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an index")
            }
            fn visit_str<E: de::Error>(self, s: &str) -> Result<Key, E> {
                s.parse().map(Key).map_err(|_| E::invalid_value(de::Unexpected::Str(s), &self))
            }
        }
        d.deserialize_str(Text)
    }
}

/// The layers of a file, all extents bounded.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Layer>> {
    let snapshot: Snapshot = serde_json::from_slice(bytes).map_err(|e| {
        let rule = Rule::new(format!("{e}: it is damaged or no snapshot of ConvNetJS"));
        Error::new("json", rule.right("{\"layers\": [{\"layer_type\": \"input\", …}, …]}"))
    })?;
    for (i, layer) in snapshot.layers.iter().enumerate() {
        layer.check().map_err(|r| Error::new(format!("layer {i} ({})", layer.layer_type), r))?;
    }
    Ok(snapshot.layers)
}
