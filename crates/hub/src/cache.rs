//! The cache on disk, laid out as Python's `huggingface_hub` does:
//!
//! ```text
//! models--OWNER--NAME/blobs/CHECKSUM                 the files' bytes
//! models--OWNER--NAME/refs/REVISION                  the commit of a branch or tag
//! models--OWNER--NAME/snapshots/COMMIT/FILE          → ../../blobs/CHECKSUM
//! .locks/models--OWNER--NAME/CHECKSUM.lock           held while a file is downloaded
//! ```

use crate::{Error, Name, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The part of the cache that belongs to a repository.
pub(crate) struct Repository {
    root: PathBuf,
    locks: PathBuf,
}

/// Whether a text is a commit: 40 hexadecimal digits.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl Repository {
    pub(crate) fn new(cache: &Path, name: &Name) -> Self {
        let folder = format!("models--{}", name.repository().replace('/', "--"));
        Repository { root: cache.join(&folder), locks: cache.join(".locks").join(folder) }
    }
    /// The commit that a revision stood for when it was last asked for.
    pub(crate) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.into());
        }
        let text = fs::read_to_string(self.root.join("refs").join(revision)).ok()?;
        Some(text.trim().to_string()).filter(|c| is_commit(c))
    }
    /// A file of a commit, if it is there.
    pub(crate) fn file(&self, commit: &str, file: &str) -> Option<PathBuf> {
        Some(self.snapshot(commit, file)).filter(|p| p.is_file())
    }
    pub(crate) fn snapshot(&self, commit: &str, file: &str) -> PathBuf {
        file.split('/').fold(self.root.join("snapshots").join(commit), |p, part| p.join(part))
    }
    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(etag)
    }
    /// A lock that is held until it is dropped; others, Python among them, wait.
    pub(crate) fn lock(&self, etag: &str) -> Result<File> {
        let path = self.locks.join(format!("{etag}.lock"));
        make_parent(&path)?;
        let file = File::create(&path).map_err(|e| Error::io(&path, "create", &e))?;
        file.lock().map_err(|e| Error::io(&path, "lock", &e))?;
        Ok(file)
    }
    /// Writes down what a revision stands for.
    pub(crate) fn remember(&self, revision: &str, commit: &str) -> Result<()> {
        if is_commit(revision) || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = revision.split('/').fold(self.root.join("refs"), |p, part| p.join(part));
        make_parent(&path)?;
        let aside = path.with_file_name(format!(".{}.part", unique()));
        let write = || fs::write(&aside, commit).and_then(|()| fs::rename(&aside, &path));
        write().map_err(|e| Error::io(&path, "write", &e))
    }
    /// Makes the snapshot's link to a blob; a copy where the system has no links.
    pub(crate) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<PathBuf> {
        let path = self.snapshot(commit, file);
        make_parent(&path)?;
        let up = "../".repeat(file.split('/').count() + 1);
        let target = format!("{up}blobs/{etag}");
        if path.is_file() && fs::read_link(&path).is_ok_and(|t| t == Path::new(&target)) {
            return Ok(path);
        }
        let aside = path.with_file_name(format!(".{}.{etag}.part", unique()));
        let _ = fs::remove_file(&aside);
        let link = symlink(&target, &aside).or_else(|_| fs::copy(self.blob(etag), &aside).map(|_| ()));
        link.and_then(|()| fs::rename(&aside, &path)).map_err(|e| Error::io(&path, "make", &e))?;
        Ok(path)
    }
}

/// A part of a file's name that no other thread or process uses now.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(unix)]
fn symlink(target: &str, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn symlink(_: &str, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

pub(crate) fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|e| Error::io(parent, "make the directory", &e))
}
