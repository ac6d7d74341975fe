//! Files and directories: sorted listings, and contents that may be gzip-compressed, read by known amounts.

use super::store;
use crate::{Error, Limits};
use flate2::bufread::MultiGzDecoder;
use gabor_tensor::Rule;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes that a file of class names may have.
const NAMES_BYTES: u64 = 1 << 22;

/// An entry of a directory.
pub(super) struct Entry {
    /// File name.
    pub name: String,
    /// Whole path.
    pub path: PathBuf,
    /// Whether it is a directory (links are followed).
    pub is_dir: bool,
}

/// The entries of a directory in name order, hidden ones left out. Names that are no UTF-8 may look the same as text; those
/// are in the order of their bytes.
pub(super) fn list(path: &Path) -> Result<Vec<Entry>, Error> {
    let mut out = store::list(path)?;
    out.retain(|e| !e.name.starts_with('.'));
    out.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
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

/// The names of the classes that a file `classes.txt` in a directory holds, where there is one.
pub(super) fn class_names(entries: &[Entry], limits: &Limits) -> Result<Option<Vec<String>>, Error> {
    let file = entries.iter().find(|e| !e.is_dir && e.name == "classes.txt");
    file.map(|e| read_names(&e.path, limits)).transpose()
}

/// The same of a directory that may say nothing of what it holds: the file is asked for by its name.
pub(super) fn class_names_in(dir: &Path, limits: &Limits) -> Result<Option<Vec<String>>, Error> {
    let path = dir.join("classes.txt");
    let Some(bytes) = store::read_if_there(&path, limits)? else { return Ok(None) };
    names_of(&path, Contents::new(&path, bytes.as_slice())?).map(Some)
}

/// Names of classes, one a line.
pub(super) fn read_names(path: &Path, limits: &Limits) -> Result<Vec<String>, Error> {
    names_of(path, Contents::open(path, limits)?)
}

fn names_of(path: &Path, mut contents: Contents<'_>) -> Result<Vec<String>, Error> {
    let bytes = contents.up_to(NAMES_BYTES + 1)?;
    if bytes.len() as u64 > NAMES_BYTES {
        return Err(Error::at(
            path,
            Rule::new(format!("more than {NAMES_BYTES} bytes of class names")).right("one name a line"),
        ));
    }
    let text = String::from_utf8_lossy(&bytes);
    let names: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
    if names.is_empty() {
        return Err(Error::at(path, Rule::new("no class names").right("one name a line")));
    }
    Ok(names)
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
        let file = store::File::open(path)?;
        limits.check_file(file.size()).map_err(|r| Error::at(path, r))?;
        Contents::new(path, BufReader::with_capacity(1 << 16, store::Cursor::new(file.into())))
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
    /// What is left, as a stream of unpacked bytes.
    pub fn into_reader(self) -> Box<dyn BufRead + 'a> {
        self.reader
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
