//! Safetensors: named tensors and a map of texts in one file.
//!
//! A file is an 8-byte little-endian length, a JSON header, and the tensors' bytes without a gap. Read are F64, F32,
//! F16 and BF16 as `f32`, whole numbers from 8 to 64 bits as `i32` if each number fits, U8 and BOOL as `u8`. Written are `f32`,
//! `f64`, `i32` and `u8`, largest alignment first, then by name, so the same tensors give the same bytes.
//! Source: the format's specification by Hugging Face.

use crate::elements::{Element, write_bytes};
use crate::error::At;
use crate::{Error, Result};
use gabor_tensor::{Data, Rule, Tensor, Weights};
use serde::de::{self, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

/// Longest header that is read, as in the reference implementation.
const MAX_HEADER: usize = 100_000_000;
/// The metadata entry that holds a file's checksum.
const CHECKSUM: &str = "gabor.crc32";

/// Texts that a file carries beside its tensors.
pub type Metadata = BTreeMap<String, String>;

/// The bytes of a file.
///
/// ```
/// use gabor_formats::safetensors;
/// use gabor_tensor::{Tensor, Weights};
/// let mut w = Weights::new();
/// w.insert("conv1.bias", Tensor::f32(&[2], vec![0.5, -0.5]).unwrap());
/// let bytes = safetensors::write(&w, &Default::default());
/// assert_eq!(safetensors::read(&bytes).unwrap().0, w);
/// ```
pub fn write(weights: &Weights, metadata: &Metadata) -> Vec<u8> {
    Encoded::new(weights, metadata).to_bytes()
}

/// A file that can be written piece by piece: its header, and the tensors whose bytes follow it.
pub struct Encoded<'a> {
    header: Vec<u8>,
    tensors: Vec<&'a Tensor>,
    len: u64,
}

impl<'a> Encoded<'a> {
    /// The file of [`write()`].
    pub fn new(weights: &'a Weights, metadata: &Metadata) -> Self {
        // The specification asks for aligned tensors, so larger elements go first.
        let mut order: Vec<(&str, &Tensor)> = weights.iter().collect();
        order.sort_by_key(|(name, t)| (std::cmp::Reverse(t.dtype().size()), *name));
        let quoted = |s: &str| serde_json::Value::from(s).to_string();
        let mut header = String::from("{");
        if !metadata.is_empty() {
            let entries: Vec<String> = metadata.iter().map(|(k, v)| format!("{}:{}", quoted(k), quoted(v))).collect();
            header += &format!("\"__metadata__\":{{{}}},", entries.join(","));
        }
        let mut at = 0;
        for (name, t) in &order {
            let kind = match t.data() {
                Data::F32(_) => "F32",
                Data::F64(_) => "F64",
                Data::I32(_) => "I32",
                Data::U8(_) => "U8",
            };
            let end = at + t.len() * t.dtype().size();
            let shape: Vec<String> = t.shape().iter().map(usize::to_string).collect();
            header += &format!(
                "{}:{{\"dtype\":\"{kind}\",\"shape\":[{}],\"data_offsets\":[{at},{end}]}},",
                quoted(name),
                shape.join(",")
            );
            at = end;
        }
        if header.ends_with(',') {
            header.pop();
        }
        header.push('}');
        let pad = header.len().next_multiple_of(8) - header.len();
        header.extend(std::iter::repeat_n(' ', pad));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        let len = (bytes.len() + at) as u64;
        Encoded { header: bytes, tensors: order.into_iter().map(|(_, t)| t).collect(), len }
    }
    /// The file of [`write_with_checksum()`].
    pub fn with_checksum(weights: &'a Weights, metadata: &Metadata) -> Self {
        let mut metadata = metadata.clone();
        metadata.insert(CHECKSUM.into(), ZERO.into());
        let mut file = Self::new(weights, &metadata);
        let mut sum = Sum(crc32fast::Hasher::new());
        // A hash takes whatever it is given.
        let _ = file.write_to(&mut sum);
        let sum = format!("{:08x}", sum.0.finalize());
        if let Some(at) = find(&file.header, &entry(ZERO)) {
            let end = at + entry(ZERO).len() - 1;
            file.header[end - 8..end].copy_from_slice(sum.as_bytes());
        }
        file
    }
    /// How many bytes the file has.
    pub fn size(&self) -> u64 {
        self.len
    }
    /// Writes the file; no more of it than a few kilobytes is held as bytes at a time.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_to(&self, out: &mut dyn Write) -> std::io::Result<()> {
        out.write_all(&self.header)?;
        self.tensors.iter().try_for_each(|t| write_bytes(t, out))
    }
    /// The same as bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len as usize);
        // Memory takes whatever it is given.
        let _ = self.write_to(&mut bytes);
        bytes
    }
}

/// CRC-32 of what is written.
struct Sum(crc32fast::Hasher);

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The tensors and texts in the bytes of a file. A checksum left by [`write_with_checksum`] is verified and not returned.
///
/// # Errors
/// Bytes that are no such file: a header that is no such JSON, has a name twice, or whose offsets leave gaps, overlap,
/// or do not match shapes; an element type without counterpart; a whole number that does not fit; a wrong checksum.
pub fn read(bytes: &[u8]) -> Result<(Weights, Metadata)> {
    let (header, data) = split(bytes).at("safetensors header")?;
    let header: Header =
        serde_json::from_str(header).map_err(|e| Error::new("safetensors header", Rule::new(e.to_string())))?;
    let mut metadata = header.metadata;
    if let Some(sum) = metadata.remove(CHECKSUM) {
        let found = format!("{:08x}", checksum(bytes, &sum));
        if found != sum {
            return Err(Error::new(
                "safetensors",
                Rule::new(format!("the bytes' checksum is {found}, the file says {sum}: it is damaged")),
            ));
        }
    }
    let mut tensors = header.tensors;
    tensors.sort_by_key(|(_, e)| e.data_offsets);
    let mut at = 0;
    for (name, e) in &tensors {
        let (begin, end) = e.data_offsets;
        if begin != at || end < begin || end > data.len() {
            return Err(Error::new(
                format!("tensor `{name}`"),
                Rule::new(format!("data_offsets [{begin}, {end}] of {} bytes of data", data.len()))
                    .right(format!("an offset of {at}, where the tensor before ends, and an end inside the file")),
            ));
        }
        at = end;
    }
    if at != data.len() {
        return Err(Error::new(
            "safetensors",
            Rule::new(format!("{} bytes follow the last tensor", data.len() - at)).right("none"),
        ));
    }
    let mut weights = Weights::new();
    for (name, e) in tensors {
        let bytes = &data[e.data_offsets.0..e.data_offsets.1];
        let tensor = decode(&e.dtype, &e.shape, bytes).at(&format!("tensor `{name}`"))?;
        weights.insert(name, tensor);
    }
    Ok((weights, metadata))
}

/// As [`write()`], with a checksum over the whole file that [`read()`] verifies.
pub fn write_with_checksum(weights: &Weights, metadata: &Metadata) -> Vec<u8> {
    Encoded::with_checksum(weights, metadata).to_bytes()
}

/// The checksum while it is computed.
const ZERO: &str = "00000000";

fn entry(sum: &str) -> Vec<u8> {
    format!("\"{CHECKSUM}\":\"{sum}\"").into_bytes()
}

/// Where the header says `what`.
fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    let header = split(bytes).map_or(0, |(header, _)| 8 + header.len());
    bytes[..header].windows(what.len()).position(|w| w == what)
}

/// CRC-32 of the bytes with the checksum itself taken as zeros.
fn checksum(bytes: &[u8], sum: &str) -> u32 {
    let entry = entry(sum);
    let mut hash = crc32fast::Hasher::new();
    match find(bytes, &entry) {
        Some(at) if sum.len() == 8 => {
            let end = at + entry.len() - 1;
            hash.update(&bytes[..end - 8]);
            hash.update(ZERO.as_bytes());
            hash.update(&bytes[end..]);
        }
        _ => hash.update(bytes),
    }
    hash.finalize()
}

fn split(bytes: &[u8]) -> Result<(&str, &[u8]), Rule> {
    let (length, rest) = bytes
        .split_first_chunk::<8>()
        .ok_or_else(|| Rule::new(format!("a file of {} bytes", bytes.len())).right("at least 8"))?;
    let length = u64::from_le_bytes(*length);
    let length = usize::try_from(length).ok().filter(|&n| n <= MAX_HEADER && n <= rest.len()).ok_or_else(|| {
        Rule::new(format!("a header of {length} bytes in a file of {}", bytes.len()))
            .right(format!("at most {}", rest.len().min(MAX_HEADER)))
    })?;
    let (header, data) = rest.split_at(length);
    if header.first() != Some(&b'{') {
        return Err(Rule::new("the header does not begin with `{`"));
    }
    let header = std::str::from_utf8(header).map_err(|_| Rule::new("the header is not UTF-8"))?;
    Ok((header, data))
}

fn decode(dtype: &str, shape: &[usize], bytes: &[u8]) -> Result<Tensor, Rule> {
    let (_, element) = TYPES.iter().find(|t| t.0 == dtype).ok_or_else(|| {
        let names: Vec<&str> = TYPES.iter().map(|t| t.0).collect();
        Rule::new(format!("element type {dtype}")).right(format!("one of {}", names.join(" ")))
    })?;
    element.tensor(shape, bytes)
}

/// The element types that are read, by the format's names.
const TYPES: &[(&str, Element)] = &[
    ("F64", Element::F64),
    ("F32", Element::F32),
    ("F16", Element::F16),
    ("BF16", Element::BF16),
    ("I64", Element::I64),
    ("I32", Element::I32),
    ("I16", Element::I16),
    ("I8", Element::I8),
    ("U64", Element::U64),
    ("U32", Element::U32),
    ("U16", Element::U16),
    ("U8", Element::U8),
    ("BOOL", Element::Bool),
];

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// The header's entries in order; a name that stands twice is an error.
struct Header {
    metadata: Metadata,
    tensors: Vec<(String, Entry)>,
}

impl<'de> serde::Deserialize<'de> for Header {
    fn deserialize<D: de::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header { metadata: Metadata::new(), tensors: Vec::new() };
                let mut seen = std::collections::HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(de::Error::custom(format!("the name `{name}` stands twice")));
                    }
                    if name == "__metadata__" {
                        header.metadata = map.next_value()?;
                    } else {
                        header.tensors.push((name, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        d.deserialize_map(Entries)
    }
}
