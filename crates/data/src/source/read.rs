//! Files and directories: sorted listings, and contents that may be gzip-compressed, read by known amounts.

use crate::{Error, Limits};
use flate2::bufread::MultiGzDecoder;
use gabor_tensor::Rule;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// An entry of a directory.
pub(super) struct Entry {
    /// File name.
    pub name: String,
    /// Whole path.
    pub path: PathBuf,
    /// Whether it is a directory (links are followed).
    pub is_dir: bool,
}

/// The entries of a directory in name order, hidden ones left out.
pub(super) fn list(path: &Path) -> Result<Vec<Entry>, Error> {
    let meta = std::fs::metadata(path).map_err(|e| Error::io(path, &e))?;
    if !meta.is_dir() {
        return Err(Error::at(
            path,
            Rule::new("a data set is a directory").given("a file").right("the directory that holds it"),
        ));
    }
    let mut out = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|e| Error::io(path, &e))? {
        let entry = entry.map_err(|e| Error::io(path, &e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        let is_dir = std::fs::metadata(&path).map_err(|e| Error::io(&path, &e))?.is_dir();
        out.push(Entry { name, path, is_dir });
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

/// The one file whose name satisfies `wanted`; an unpacked file is preferred to its compressed twin.
pub(super) fn find_one<'e>(
    entries: &'e [Entry],
    what: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Option<&'e Entry>, Error> {
    let found = find_all(entries, wanted);
    if found.len() > 1 {
        let names: Vec<&str> = found.iter().map(|e| e.name.as_str()).collect();
        return Err(Error::at(
            found[0].path.parent().unwrap_or(&found[0].path),
            Rule::new(format!("{} files of {what}", found.len())).given(names.join(", ")).right("one"),
        ));
    }
    Ok(found.first().copied())
}

/// The files whose name satisfies `wanted`, without the compressed twins of unpacked files.
pub(super) fn find_all(entries: &[Entry], wanted: impl Fn(&str) -> bool) -> Vec<&Entry> {
    let has = |name: &str| entries.iter().any(|e| !e.is_dir && e.name == name);
    entries.iter().filter(|e| !e.is_dir && wanted(&e.name) && !e.name.strip_suffix(".gz").is_some_and(has)).collect()
}

/// The unpacked contents of a file, read from front to back; knows the offset for error messages.
pub(super) struct Contents<'a> {
    path: &'a Path,
    reader: Box<dyn BufRead + 'a>,
    offset: u64,
}

impl<'a> Contents<'a> {
    /// Opens a file after checking its size on disk.
    pub fn open(path: &'a Path, limits: &Limits) -> Result<Self, Error> {
        let file = File::open(path).map_err(|e| Error::io(path, &e))?;
        let meta = file.metadata().map_err(|e| Error::io(path, &e))?;
        if meta.is_dir() {
            return Err(Error::at(path, Rule::new("a directory where a file is wanted").right("a file")));
        }
        limits.check_file(meta.len()).map_err(|r| Error::at(path, r))?;
        Contents::new(path, BufReader::with_capacity(1 << 16, file))
    }
    /// Contents that are already in memory, or any other stream; gzip is recognised by its first two bytes.
    pub fn new(path: &'a Path, mut reader: impl BufRead + 'a) -> Result<Self, Error> {
        let packed = reader.fill_buf().map_err(|e| Error::io(path, &e))?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn BufRead + 'a> = if packed {
            Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader)))
        } else {
            Box::new(reader)
        };
        Ok(Contents { path, reader, offset: 0 })
    }
    /// The file's name for error messages.
    pub fn file(&self) -> String {
        self.path.display().to_string()
    }
    /// A byte offset of the file for error messages.
    pub fn place(&self, offset: u64) -> String {
        format!("{} at byte {offset}", self.path.display())
    }
    /// An error at the present offset plus `ahead`.
    pub fn error(&self, ahead: u64, rule: Rule) -> Error {
        Error::at_byte(self.path, self.offset + ahead, rule)
    }
    /// Up to `n` bytes. Memory grows with what is there, not with what was asked for.
    pub fn up_to(&mut self, n: u64) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(n.min(1 << 20) as usize);
        let result = (&mut self.reader).take(n).read_to_end(&mut out);
        self.offset += out.len() as u64;
        result.map_err(|e| {
            self.error(0, Rule::new("damaged or truncated contents").given(e.to_string()).right("an intact file"))
        })?;
        Ok(out)
    }
    /// Exactly `n` bytes of `what`; an error if the file ends before.
    pub fn exact(&mut self, n: u64, what: &str) -> Result<Vec<u8>, Error> {
        let out = self.up_to(n)?;
        if (out.len() as u64) < n {
            return Err(self.error(
                0,
                Rule::new(format!("the file ends within {what}"))
                    .given(format!("{} bytes", out.len()))
                    .right(format!("{n} bytes")),
            ));
        }
        Ok(out)
    }
    /// A big-endian 32-bit number.
    pub fn be_u32(&mut self, what: &str) -> Result<u32, Error> {
        let b = self.exact(4, what)?;
        Ok(b.iter().fold(0, |v, &b| v << 8 | u32::from(b)))
    }
    /// Checks that nothing follows.
    pub fn end(&mut self) -> Result<(), Error> {
        let at = self.offset;
        if !self.up_to(1)?.is_empty() {
            return Err(Error::at_byte(
                self.path,
                at,
                Rule::new("bytes follow after the last sample").right("the end of the file"),
            ));
        }
        Ok(())
    }
}
