//! Files by path: listings, whole contents and ranges, with sizes known before anything is read.

#[cfg(feature = "object-store")]
mod remote;
#[cfg(feature = "object-store")]
mod signing;
#[cfg(feature = "object-store")]
mod web;

use super::read::Entry;
use super::twins;
use crate::{Error, Limits};
use gabor_tensor::Rule;
use std::borrow::Cow;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Files that a [`Pool`] keeps open.
const OPEN_FILES: usize = 32;

/// Whether a path is a URL, such as `s3://bucket/photos`.
pub(super) fn is_url(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    })
}

/// The path that a URL of the kind `file://` means; others, and paths, as they are. So that it means the same in every build,
/// no library is asked: after the host, which is empty or `localhost`, follows an absolute path with escapes (RFC 8089).
///
/// # Errors
/// A file of another host, a query or fragment, escapes that are no UTF-8.
pub(super) fn local(path: &Path) -> Result<Cow<'_, Path>, Error> {
    let text = path.to_string_lossy();
    let Some(rest) = text.get(..7).filter(|s| s.eq_ignore_ascii_case("file://")).map(|_| &text[7..]) else {
        return Ok(path.into());
    };
    let refused = || {
        let rule = Rule::new("no address of a file on this machine");
        Error::at(path, rule.right("file:/// and an absolute path, with %3F for ? and %23 for #; or the path alone"))
    };
    let inner = rest.strip_prefix("localhost").unwrap_or(rest);
    if !inner.starts_with('/') || inner.contains(['?', '#']) {
        return Err(refused());
    }
    // In front of a drive's letter the slash is the address's own.
    let drive = cfg!(windows) && inner.as_bytes().get(2) == Some(&b':');
    let plain = unescaped(if drive { &inner[1..] } else { inner }).ok_or_else(refused)?;
    Ok(PathBuf::from(plain).into())
}

/// A part of a URL as text; `None` where it is no UTF-8.
fn unescaped(text: &str) -> Option<String> {
    let (bytes, mut out) = (text.as_bytes(), Vec::with_capacity(text.len()));
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let hex = |i: usize| bytes.get(at + i).and_then(|&d| (d as char).to_digit(16));
        match (b, hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(b);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

/// A build that reads no URLs says which one would.
#[cfg(not(feature = "object-store"))]
mod remote {
    use super::{Entry, Error, Limits, Path, Rule};

    pub(super) struct Object {
        pub size: u64,
    }

    fn refused<T>(path: &Path) -> Result<T, Error> {
        let rule = Rule::new("this build reads no object stores and web addresses");
        let right = "a build with the feature object-store (cargo build --release --features object-store), or a copy of the data on this machine";
        Err(Error::at(path, rule.right(right)))
    }
    pub(super) fn list(path: &Path) -> Result<Vec<Entry>, Error> {
        refused(path)
    }
    pub(super) fn read_all(path: &Path, _: &Limits) -> Result<Vec<u8>, Error> {
        refused(path)
    }
    pub(super) fn read_if_there(path: &Path, _: &Limits) -> Result<Option<Vec<u8>>, Error> {
        refused(path)
    }
    impl Object {
        pub fn open(path: &Path) -> Result<Object, Error> {
            refused(path)
        }
        pub fn fill(&self, path: &Path, _: u64, _: &mut [u8]) -> Result<(), Error> {
            refused(path)
        }
    }
}

/// The entries of a directory, in any order.
pub(super) fn list(path: &Path) -> Result<Vec<Entry>, Error> {
    if is_url(path) {
        return remote::list(path);
    }
    let meta = std::fs::metadata(path).map_err(|e| Error::io(path, &e))?;
    if !meta.is_dir() {
        return Err(Error::at(path, Rule::new("a file where a directory is wanted").right("a directory")));
    }
    let mut out = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|e| Error::io(path, &e))? {
        let entry = entry.map_err(|e| Error::io(path, &e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        // The listing says what an entry is, but not what a link leads to. A link to nothing is a file here, and an error when
        // it is read.
        let is_dir = match entry.file_type() {
            Ok(kind) if !kind.is_symlink() => kind.is_dir(),
            _ => std::fs::metadata(&path).is_ok_and(|m| m.is_dir()),
        };
        out.push(Entry { name, path, is_dir });
    }
    Ok(out)
}

/// A name as part of a URL: what would end the path or be taken for an escape is escaped.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '%' | '#' | '?' => out += &format!("%{:02X}", c as u32),
            c => out.push(c),
        }
    }
    out
}

/// A name that a table gives, beside the table. Of a table elsewhere it must lie there, too, and the signs that mean something
/// in a URL are those of the name.
///
/// # Errors
/// A name in a table at a URL that leads out of its folder.
pub(super) fn beside(dir: &Path, name: &str) -> Result<PathBuf, Rule> {
    let address = Path::new(name);
    if is_url(address) {
        let here = local(address).map_err(|e| e.rule().clone().given(name))?;
        if is_url(dir) && !is_url(&here) {
            let rule = Rule::new("a table elsewhere that names a file of this machine").given(name);
            return Err(rule.right("a path below the table's folder, or a URL of the web or a store"));
        }
        return Ok(here.into_owned());
    }
    if !is_url(dir) {
        return Ok(dir.join(name));
    }
    if Path::new(name).is_absolute() || name.split('/').any(|part| part == "..") {
        return Err(Rule::new("a path out of the table's folder").given(name).right("a path below it, or a URL"));
    }
    Ok(dir.join(escaped(name)))
}

/// Whether there is a file (and no directory) at `path`. Nothing is asked of a store: a URL names a file by its ending.
pub(super) fn is_file(path: &Path) -> bool {
    !is_url(path) && path.is_file()
}

/// The whole contents of a file, which must lie within the limits.
pub(super) fn read_all(path: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    if is_url(path) {
        return remote::read_all(path, limits);
    }
    let file = File::open(path)?;
    limits.check_file(file.size()).map_err(|r| Error::at(path, r))?;
    file.read(0, file.size())
}

/// The same of a file that need not be there.
pub(super) fn read_if_there(path: &Path, limits: &Limits) -> Result<Option<Vec<u8>>, Error> {
    if is_url(path) {
        return remote::read_if_there(path, limits);
    }
    match path.try_exists() {
        Ok(false) => Ok(None),
        // Whatever else is the matter, reading says it.
        _ => read_all(path, limits).map(Some),
    }
}

/// An open file.
pub(super) struct File {
    path: PathBuf,
    size: u64,
    inner: Inner,
}

enum Inner {
    Local(std::fs::File),
    Remote(remote::Object),
}

impl File {
    /// Opens a file and asks for its size.
    pub fn open(path: &Path) -> Result<File, Error> {
        if is_url(path) {
            let object = remote::Object::open(path)?;
            return Ok(File { path: path.into(), size: object.size, inner: Inner::Remote(object) });
        }
        let inner = std::fs::File::open(path).map_err(|e| Error::io(path, &e))?;
        let meta = inner.metadata().map_err(|e| Error::io(path, &e))?;
        if meta.is_dir() {
            return Err(Error::at(path, Rule::new("a directory where a file is wanted").right("a file")));
        }
        Ok(File { path: path.into(), size: meta.len(), inner: Inner::Local(inner) })
    }
    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// Path or URL.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// `length` bytes from `offset` on, all of which must be there.
    pub fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(Error::at_byte(
                &self.path,
                offset,
                Rule::new(format!("{length} bytes reach beyond the end"))
                    .given(format!("a file of {} bytes", self.size))
                    .right("an intact file"),
            ));
        }
        let mut out = vec![0; length as usize];
        self.fill(offset, &mut out)?;
        Ok(out)
    }
    /// What `length` bytes from `offset` on share with others of the same ends. Few bytes are ends all of them
    /// ([`twins::is_ends`]).
    pub fn ends(&self, offset: u64, length: u64) -> Result<u64, Error> {
        if twins::is_ends(length) {
            return Ok(twins::digest(&[&self.read(offset, length)?]));
        }
        let n = twins::END;
        Ok(twins::digest(&[&self.read(offset, n)?, &self.read(offset + length - n, n)?]))
    }
    /// Fills `out`, which must lie within the size.
    fn fill(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        match &self.inner {
            Inner::Local(file) => {
                read_exact_at(file, out, offset).map_err(|e| Error::at_byte(&self.path, offset, unreadable(&e)))
            }
            Inner::Remote(object) => object.fill(&self.path, offset, out),
        }
    }
}

fn unreadable(e: &std::io::Error) -> Rule {
    Rule::new("cannot be read").given(e.to_string()).right("an intact file")
}

#[cfg(unix)]
fn read_exact_at(file: &std::fs::File, out: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

/// Without reads at a position each reader takes a handle, and so a position, of its own.
#[cfg(not(unix))]
fn read_exact_at(file: &std::fs::File, out: &mut [u8], offset: u64) -> std::io::Result<()> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let mut file = file;
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(out)
}

/// Reads a [`File`] from front to back, and seeks.
pub(super) struct Cursor {
    file: Arc<File>,
    at: u64,
}

impl Cursor {
    pub fn new(file: Arc<File>) -> Self {
        Cursor { file, at: 0 }
    }
}

impl Read for Cursor {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = (self.file.size.saturating_sub(self.at)).min(out.len() as u64) as usize;
        self.file.fill(self.at, &mut out[..n]).map_err(|e| std::io::Error::other(e.to_string()))?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let to = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(d) => self.file.size.checked_add_signed(d),
            SeekFrom::Current(d) => self.at.checked_add_signed(d),
        };
        self.at = to.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

/// Many files, of which a bounded number is open.
pub(super) struct Pool {
    paths: Vec<PathBuf>,
    /// The open ones, the last used last.
    open: Mutex<Vec<(u32, Arc<File>)>>,
}

impl Pool {
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Pool { paths, open: Mutex::default() }
    }
    pub fn path(&self, i: u32) -> &Path {
        &self.paths[i as usize]
    }
    /// `length` bytes of file `i` from `offset` on.
    pub fn read(&self, i: u32, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.get(i)?.read(offset, length)
    }
    /// [`File::ends`] of file `i`.
    pub fn ends(&self, i: u32, offset: u64, length: u64) -> Result<u64, Error> {
        self.get(i)?.ends(offset, length)
    }
    /// File `i`, open.
    fn get(&self, i: u32) -> Result<Arc<File>, Error> {
        let lock = || self.open.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut open = lock();
            if let Some(at) = open.iter().position(|(f, _)| *f == i) {
                let found = open.remove(at);
                open.push(found);
                return Ok(open[open.len() - 1].1.clone());
            }
        }
        // Opened without the lock: a slow disk must not stop those who read open files.
        let file = Arc::new(File::open(self.path(i))?);
        let mut open = lock();
        if open.len() >= OPEN_FILES {
            open.remove(0);
        }
        open.push((i, file.clone()));
        Ok(file)
    }
}
