//! PyTorch's `.pt`, `.pth` and `.th`: what `torch.save` writes, parsed and never executed.
//!
//! Both forms are read: the zip archive (PyTorch 1.6 and later) and the row of pickles before it. A pickle is a program for
//! a small machine that can name any function of Python; ours knows a closed list of instructions and of names, all of which
//! stand for data, and refuses the rest by name. Begin reading at [`read()`].

mod part;
mod pickle;
mod value;
mod write;
mod zip;

use crate::error::At;
use crate::{Error, Result};
use gabor_tensor::{Rule, Weights};
use part::Buffers;
use pickle::{Machine, Storage};
use std::collections::HashMap;
use value::{Node, Value};

pub use write::write;

/// What a row of pickles begins with: protocol, and the number 0x1950a86a20f9469cfc6c.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// The same number as the pickle holds it.
const MAGIC: &[u8] = b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Tensors by name, as the file names them. A tensor that stands under two names is here twice.
    pub weights: Weights,
    /// The entry that the weights come from, such as `state_dict`; none where the file is nothing but weights.
    pub part: Option<String>,
    /// What else the file holds: `optimizer`, `epoch`.
    pub others: Vec<String>,
}

/// Whether bytes begin as a file that [`read()`] knows.
pub fn is_pytorch(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(LEGACY)
}

/// The weights in the bytes of a file.
///
/// Floats become `f32`, whole numbers `i32`, bytes and booleans `u8`. Where a file holds more than weights, those under
/// `state_dict`, `model` or the like are taken.
///
/// # Errors
/// Bytes that are no such file; a name, instruction or element type that has no place in weights; tensors that reach beyond
/// their storage; a file without weights.
pub fn read(bytes: &[u8]) -> Result<Checkpoint> {
    if bytes.starts_with(b"PK\x03\x04") {
        return archive(bytes);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        let rule = Rule::new("a file of PyTorch 0.1, whose tar archives are not read");
        return Err(Error::new("PyTorch file", rule.right("the same file, loaded and saved by PyTorch 1.0 or later")));
    }
    if !bytes.starts_with(LEGACY) {
        let rule = Rule::new("the file begins neither as a zip archive nor as a pickle of PyTorch");
        return Err(Error::new("PyTorch file", rule.right("a file that torch.save wrote")));
    }
    row(bytes)
}

/// A zip archive: `NAME/data.pkl`, and each storage as `NAME/data/KEY`.
fn archive(bytes: &[u8]) -> Result<Checkpoint> {
    let zip = zip::Archive::read(bytes).at("PyTorch archive")?;
    let place = "PyTorch archive";
    let mut roots = zip.names().filter_map(|n| n.strip_suffix("data.pkl")).filter(|r| r.is_empty() || r.ends_with('/'));
    let root = match (roots.next(), roots.next()) {
        (Some(root), None) => root.to_string(),
        (None, _) => {
            let rule = Rule::new("a zip archive without data.pkl").right("a file that torch.save wrote");
            return Err(Error::new(place, rule));
        }
        (Some(_), Some(_)) => return Err(Error::new(place, Rule::new("a zip archive with two data.pkl"))),
    };
    if zip.has(&format!("{root}constants.pkl")) {
        let rule = Rule::new("a TorchScript program, not weights");
        return Err(Error::new(place, rule.right("torch.save(torch.jit.load(FILE).state_dict(), OTHER)")));
    }
    let big = match zip.get(&format!("{root}byteorder")).at(place)? {
        None | Some(b"little") => false,
        Some(b"big") => true,
        Some(_) => return Err(Error::new(place, Rule::new("an unknown byte order").right("little or big"))),
    };
    let pickle = zip.get(&format!("{root}data.pkl")).at(place)?.unwrap_or_default();
    let mut machine = Machine::new(pickle);
    let value = machine.load().at("data.pkl")?;
    let mut data = HashMap::new();
    for s in &machine.storages {
        let key = String::from_utf8_lossy(s.key);
        if let Some(found) = zip.get(&format!("{root}data/{key}")).at(place)? {
            data.insert(s.key, found);
        }
    }
    Buffers { data, big }.checkpoint(&machine, value)
}

/// A row of pickles: a number, a version, the machine that wrote, the object, the keys of storages; then each storage's
/// length and bytes.
fn row(bytes: &[u8]) -> Result<Checkpoint> {
    let mut machine = Machine::new(bytes);
    let first = machine.load().at("PyTorch file")?;
    let version = machine.load().at("PyTorch file")?;
    if !matches!(first, Value::Wide(MAGIC)) || !matches!(version, Value::Int(1001)) {
        let rule = Rule::new("an unknown version of PyTorch's file format").right("version 1001, or a zip archive");
        return Err(Error::new("PyTorch file", rule));
    }
    let system = machine.load().at("PyTorch file: system")?;
    let big = is_big_endian(&machine, system);
    let value = machine.load().at("PyTorch file: object")?;
    let keys = machine.load().at("PyTorch file: keys")?;
    let keys = machine.list(keys).at("PyTorch file: keys")?;
    let types: HashMap<&[u8], Storage<'_>> = machine.storages.iter().map(|s| (s.key, *s)).collect();
    let mut data = HashMap::new();
    for key in keys {
        let found = if let Value::Text(key) = key { types.get(key) } else { None };
        let Some(storage) = found else {
            return Err(Error::new("PyTorch file: keys", Rule::new("a storage that no tensor names")));
        };
        let place = || format!("storage `{}`", String::from_utf8_lossy(storage.key));
        let len = machine.take(8).at(&place())?;
        let len: [u8; 8] = len.try_into().unwrap_or_default();
        let len = if big { u64::from_be_bytes(len) } else { u64::from_le_bytes(len) };
        let size = storage.element.map_or(1, |e| e.size());
        let count = usize::try_from(len).ok().and_then(|n| n.checked_mul(size)).unwrap_or(usize::MAX);
        data.insert(storage.key, machine.take(count).at(&place())?);
    }
    Buffers { data, big }.checkpoint(&machine, value)
}

/// Whether the dictionary of the machine that wrote says so.
fn is_big_endian(machine: &Machine<'_>, system: Value<'_>) -> bool {
    let Value::Map(id) = system else { return false };
    let Node::Map(pairs) = &machine.nodes[id] else { return false };
    pairs.iter().any(|p| matches!(p, (Value::Text(b"little_endian"), Value::Bool(false))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_either_byte_order() {
        let w: Weights =
            [("x".to_string(), gabor_tensor::Tensor::f32(&[2], vec![1.5, -3.0]).unwrap())].into_iter().collect();
        let written = write(&w);
        let zip = zip::Archive::read(&written).unwrap();
        let mut entries: Vec<(String, Vec<u8>)> =
            zip.names().map(|n| (n.to_string(), zip.get(n).unwrap().unwrap().to_vec())).collect();
        for (name, data) in &mut entries {
            match name.as_str() {
                "weights/byteorder" => *data = b"big".to_vec(),
                "weights/data/0" => data.chunks_mut(4).for_each(<[u8]>::reverse),
                _ => {}
            }
        }
        assert_eq!(read(&zip::write(&entries)).unwrap().weights, w);
        entries.push(("other/data.pkl".into(), vec![]));
        assert!(read(&zip::write(&entries)).unwrap_err().to_string().contains("two data.pkl"));
    }
}
