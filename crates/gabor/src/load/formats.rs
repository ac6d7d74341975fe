//! The formats of networks and weights: a row for each, with what recognises, reads and writes it.

use crate::{Error, Model, Result, files};
use gabor_formats::{Imported, caffe, convnetjs, darknet, onnx, pytorch, safetensors};
use gabor_tensor::{Rule, Weights};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// What a file holds.
pub enum Content {
    /// A network with its weights.
    Network(Box<Imported>),
    /// Weights alone.
    Weights {
        /// Tensors by the file's names.
        weights: Weights,
        /// What was read otherwise than a user might expect, a sentence each.
        notes: Vec<String>,
    },
}

/// The bytes of a file, or of two that belong together.
pub struct Parts {
    /// The file; of two, the one with the network.
    pub first: Vec<u8>,
    /// The one with the weights.
    pub second: Option<Vec<u8>>,
    /// The path of a file that is read, for what its format keeps beside it; empty for bytes to be written.
    pub path: PathBuf,
    /// The path of the other file, where one is read.
    pub beside: Option<PathBuf>,
}

/// What makes the bytes of a file, or of two.
#[derive(Clone, Copy)]
pub enum Write {
    /// From a network with its weights.
    Network(fn(&Model) -> Result<Parts>),
    /// From weights alone.
    Weights(fn(&Weights) -> Result<Parts>),
}

/// A format.
pub struct Format {
    /// Its name, as messages say it.
    pub name: &'static str,
    /// Endings of its files, the usual one first.
    pub extensions: &'static [&'static str],
    /// The ending of the file with the weights, where that is one of its own; `extensions` then names the network's first.
    pub second: Option<&'static str>,
    /// Whether bytes can be of no other format.
    pub recognises: fn(&[u8]) -> bool,
    /// Reads.
    pub read: fn(&Parts) -> Result<Content>,
    /// Writes, if it is written.
    pub write: Option<Write>,
}

/// All formats that are known.
pub const FORMATS: &[Format] = &[
    Format {
        name: "ONNX",
        extensions: &["onnx"],
        second: None,
        recognises: |_| false,
        read: |p| {
            let beside = files::Beside::new(&p.path);
            Ok(Content::Network(Box::new(onnx::import_with(&p.first, Some(&beside))?)))
        },
        write: Some(Write::Network(|m| one(m.to_onnx()?))),
    },
    Format {
        name: "safetensors",
        extensions: &["safetensors"],
        second: None,
        recognises: is_safetensors,
        read: |p| Ok(Content::Weights { weights: safetensors::read(&p.first)?.0, notes: Vec::new() }),
        write: Some(Write::Weights(|w| {
            // Other libraries ask for this entry.
            let metadata = [("format".to_string(), "pt".to_string())].into();
            one(safetensors::write(w, &metadata))
        })),
    },
    Format {
        name: "PyTorch",
        extensions: &["pth", "pt", "th", "bin", "ckpt", "tar"],
        second: None,
        recognises: pytorch::is_pytorch,
        read: |p| {
            let c = pytorch::read(&p.first)?;
            let taken = c
                .part
                .as_ref()
                .filter(|_| !c.others.is_empty())
                .map(|part| format!("taken from `{part}`; the file also holds {}", c.others.join(", ")));
            Ok(Content::Weights { weights: c.weights, notes: taken.into_iter().collect() })
        },
        write: Some(Write::Weights(|w| one(pytorch::write(w)))),
    },
    Format {
        name: "Darknet",
        extensions: &["cfg"],
        second: Some("weights"),
        recognises: |_| false,
        read: |p| Ok(Content::Network(Box::new(darknet::import(&p.first, p.second.as_deref())?))),
        write: Some(Write::Network(|m| {
            let both = darknet::export(m.graph(), m.weights())?;
            Ok(Parts { first: both.cfg.into(), second: Some(both.weights), path: PathBuf::new(), beside: None })
        })),
    },
    Format {
        name: "Caffe",
        extensions: &["prototxt"],
        second: Some("caffemodel"),
        recognises: |_| false,
        read: |p| Ok(Content::Network(Box::new(caffe::import(&p.first, p.second.as_deref())?))),
        write: Some(Write::Network(|m| {
            let both = caffe::export(m.graph(), m.weights(), &m.metadata())?;
            Ok(Parts { first: both.prototxt.into(), second: Some(both.caffemodel), path: PathBuf::new(), beside: None })
        })),
    },
    Format {
        name: "ConvNetJS",
        extensions: &["json"],
        second: None,
        recognises: |_| false,
        read: |p| Ok(Content::Network(Box::new(convnetjs::import(&p.first)?))),
        write: None,
    },
];

fn one(first: Vec<u8>) -> Result<Parts> {
    Ok(Parts { first, second: None, path: PathBuf::new(), beside: None })
}

fn is_safetensors(bytes: &[u8]) -> bool {
    let header = bytes.first_chunk::<8>().map(|n| u64::from_le_bytes(*n));
    header.is_some_and(|n| n < bytes.len() as u64) && bytes.get(8) == Some(&b'{')
}

fn ending(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).unwrap_or_default()
}

fn by_ending(path: &Path) -> Option<&'static Format> {
    let ending = ending(path);
    FORMATS.iter().find(|f| f.extensions.contains(&&*ending) || f.second == Some(&*ending))
}

/// Whether a path ends as a file of a known format.
pub(super) fn is_known(path: &Path) -> bool {
    by_ending(path).is_some()
}

fn unknown(path: &Path, what: &str, known: impl Iterator<Item = &'static Format>) -> Error {
    let endings: Vec<String> =
        known.flat_map(|f| f.extensions.iter().chain(&f.second)).map(|e| format!(".{e}")).collect();
    let rule = Rule::new(format!("no format {what} has this ending")).right(format!("one of {}", endings.join(" ")));
    Error::new(path.display().to_string(), rule)
}

/// The format of a file, by its bytes or else by its ending.
pub(super) fn of(path: &Path, bytes: &[u8]) -> Result<&'static Format> {
    let by_bytes = FORMATS.iter().find(|f| (f.recognises)(bytes));
    by_bytes.or_else(|| by_ending(path)).ok_or_else(|| unknown(path, "that is read", FORMATS.iter()))
}

/// The format that a path's ending says.
///
/// # Errors
/// An ending of which none is read.
pub fn format_of(path: &Path) -> Result<&'static Format> {
    by_ending(path).ok_or_else(|| unknown(path, "that is read", FORMATS.iter()))
}

/// What writes a file of that ending.
///
/// # Errors
/// An ending of which none is written.
pub fn writer(path: &Path) -> Result<(&'static Format, Write)> {
    let found = by_ending(path).and_then(|f| Some((f, f.write?)));
    found.ok_or_else(|| unknown(path, "that is written", FORMATS.iter().filter(|f| f.write.is_some())))
}

/// A file and the one that belongs to it, in the format's order, and the checksum of both.
pub(super) fn parts(
    format: &Format,
    path: &Path,
    bytes: Vec<u8>,
    second: Option<PathBuf>,
    network_only: bool,
) -> Result<(Parts, String)> {
    let mut hash = Sha256::new();
    hash.update(&bytes);
    let origin = path.to_path_buf();
    let parts = match (format.second, second) {
        (None, None) => Parts { first: bytes, second: None, path: origin, beside: None },
        (None, Some(other)) => {
            let rule = Rule::new(format!("a second file for {}, which is one file", format.name));
            return Err(Error::new(other.display().to_string(), rule));
        }
        (Some(weights), given) => {
            let is_weights = ending(path) == weights;
            let wanted = if is_weights { format.extensions[0] } else { weights };
            let beside = given.clone().unwrap_or_else(|| path.with_extension(wanted));
            if is_weights || given.is_some() || (beside.exists() && !network_only) {
                let other = files::read_limited(&beside, super::LARGEST_FILE)?;
                if let Some(f) = FORMATS.iter().find(|f| (f.recognises)(&other)) {
                    let rule = Rule::new(format!("a file of {} beside one of {}", f.name, format.name));
                    let right = format!(".{wanted}; weights of other formats with --net {}", path.display());
                    return Err(Error::new(beside.display().to_string(), rule.right(right)));
                }
                hash.update(&other);
                let (first, second) = if is_weights { (other, bytes) } else { (bytes, other) };
                Parts { first, second: Some(second), path: origin, beside: Some(beside) }
            } else {
                Parts { first: bytes, second: None, path: origin, beside: None }
            }
        }
    };
    let sum = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Ok((parts, sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_belongs_to_one_format() {
        let endings: Vec<&str> = FORMATS.iter().flat_map(|f| f.extensions.iter().chain(&f.second)).copied().collect();
        let mut once = endings.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), endings.len(), "{endings:?}");
    }

    #[test]
    fn bytes_count_more_than_endings() {
        let name = |path: &str, bytes: &[u8]| of(Path::new(path), bytes).map(|f| f.name);
        assert_eq!(name("a.safetensors", b"PK\x03\x04"), Ok("PyTorch"));
        assert_eq!(name("a.pth", b"\x02\0\0\0\0\0\0\0{}"), Ok("safetensors"));
        assert_eq!(name("A.ONNX", b"\x08\x09"), Ok("ONNX"));
        let e = name("a.gif", b"GIF").unwrap_err().to_string();
        assert!(
            e.starts_with("a.gif: no format that is read has this ending; right would be: one of .onnx .safetensors"),
            "{e}"
        );
    }
}
