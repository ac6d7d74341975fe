//! Whole files: read with a bound, written so that a reader sees the old or the new one and nothing between.

use crate::{Error, Result};
use gabor_formats::onnx::Location;
use gabor_tensor::Rule;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// A path that cannot be read, is a directory, or holds more.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|e| Error::io(path, "read", &e))?;
    let meta = file.metadata().map_err(|e| Error::io(path, "read", &e))?;
    let place = path.display().to_string();
    if meta.is_dir() {
        return Err(Error::new(place, Rule::new("a directory where a file is wanted").right("a file")));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| Error::io(path, "read", &e))?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(
            place,
            Rule::new("the file is larger than the limit").right(format!("at most {limit} bytes")),
        ));
    }
    Ok(bytes)
}

/// Writes a file aside, flushes it to the disk and renames it into place.
///
/// # Errors
/// What the operating system says, with the path.
pub fn write_aside(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let aside = path.with_file_name(name);
    let write = || {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    };
    write().map_err(|e| {
        // What is left of a failed attempt is of no use to anybody; the first error is the one to tell.
        let _ = std::fs::remove_file(&aside);
        Error::io(path, "write", &e)
    })
}

/// How often over the tensors of a model may read the bytes of another file: few share their weights.
const MOST_SHARED: u64 = 4;

/// Weights that lie in other files beside a model. Nothing outside the model's directory is read.
pub(crate) struct Beside {
    directory: PathBuf,
    /// Bytes read so far, by file.
    read: RefCell<HashMap<PathBuf, u64>>,
}

impl Beside {
    /// Files beside this one.
    pub(crate) fn new(model: &Path) -> Self {
        let directory = model.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Beside { directory: directory.to_path_buf(), read: RefCell::default() }
    }
    /// The bytes of a place.
    ///
    /// # Errors
    /// A file that is missing, no regular file or, behind its links, outside the model's directory; a place beyond its
    /// end.
    pub(crate) fn bytes(&self, at: &Location<'_>) -> Result<Vec<u8>, Rule> {
        let path = self.directory.join(at.file);
        let failed = |e: std::io::Error| Rule::new(format!("external data in {}: {e}", path.display()));
        let (root, real) = (self.directory.canonicalize().map_err(failed)?, path.canonicalize().map_err(failed)?);
        if !real.starts_with(&root) {
            return Err(Rule::new(format!("external data in {}, a link out of the model's directory", path.display()))
                .right("a file in that directory"));
        }
        let mut file = File::open(&real).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(Rule::new(format!("external data in {}, which is no file", path.display())));
        }
        let end = at.offset.checked_add(at.length as u64);
        if end.is_none_or(|end| end > meta.len()) {
            let rule = format!("{} bytes from byte {} on of {}", at.length, at.offset, path.display());
            return Err(Rule::new(rule).right(format!("a place within its {} bytes", meta.len())));
        }
        let mut read = self.read.borrow_mut();
        let total = read.entry(real).or_default();
        *total = total.saturating_add(at.length as u64);
        if *total > meta.len().saturating_mul(MOST_SHARED) {
            let rule = format!(
                "tensors that read the {} bytes of {} more than {MOST_SHARED} times over",
                meta.len(),
                path.display()
            );
            return Err(Rule::new(rule));
        }
        file.seek(SeekFrom::Start(at.offset)).map_err(failed)?;
        let mut bytes = vec![0; at.length];
        file.read_exact(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_beside_a_model() {
        let dir = std::env::temp_dir().join(format!("gabor-beside-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("inner")).unwrap();
        std::fs::write(dir.join("w.bin"), [1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        std::fs::write(dir.join("inner/w.bin"), [9]).unwrap();
        let beside = Beside::new(&dir.join("inner/../model.onnx"));
        let at = |file, offset, length| Location { file, offset, length };
        assert_eq!(beside.bytes(&at("w.bin", 2, 3)).unwrap(), [3, 4, 5]);
        assert_eq!(beside.bytes(&at("inner/w.bin", 0, 1)).unwrap(), [9]);
        for (place, text) in [
            (at("w.bin", 6, 3), "3 bytes from byte 6 on"),
            (at("w.bin", u64::MAX, 2), "2 bytes from byte 18446744073709551615 on"),
            (at("w.bin", 0, usize::MAX), "a place within its 8 bytes"),
            (at("none.bin", 0, 1), "external data in"),
            (at("inner", 0, 1), "no file"),
        ] {
            let e = beside.bytes(&place).unwrap_err().to_string();
            assert!(e.contains(text), "{e}");
        }
        let inner = Beside::new(&dir.join("inner/model.onnx"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(dir.join("w.bin"), dir.join("inner/link.bin")).unwrap();
            let e = inner.bytes(&at("link.bin", 0, 1)).unwrap_err().to_string();
            assert!(e.contains("a link out of the model's directory"), "{e}");
            assert_eq!(beside.bytes(&at("inner/link.bin", 0, 1)).unwrap(), [1]);
        }
        let e = (0..9).find_map(|_| inner.bytes(&at("w.bin", 0, 1)).err()).unwrap().to_string();
        assert!(e.contains("more than 4 times over"), "{e}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
