//! Whole files: read with a bound, written so that a reader sees the old or the new one and nothing between.

use crate::{Error, Result};
use gabor_tensor::Rule;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

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
