//! The files that a command writes: looked at before it works, so that a name which cannot be written costs nothing.

use crate::arguments::{Given, Prepared};
use crate::failure::{Failure, Result};
use gabor::formats::npy;
use gabor::tensor::{Rule, Tensor};
use std::fs::{File, Metadata};
use std::path::{Component, Path, PathBuf};

/// The files that a command reads, for [`check`]: those that the flags of a model name, and `others`. The directory of a run
/// stands for its model too, `A+B` for both.
pub fn read<'a>(
    given: &'a Given,
    prepared: Option<&'a Prepared>,
    others: impl IntoIterator<Item = &'a Path>,
) -> Vec<PathBuf> {
    let flags = [given.weights.as_deref(), given.net.as_deref(), prepared.and_then(|p| p.preprocessing.as_deref())];
    let mut all = Vec::new();
    for path in flags.into_iter().flatten().map(Path::new).chain(others) {
        all.push(path.to_path_buf());
        if let Some(text) = path.to_str() {
            for part in text.split('+').filter(|p| !p.is_empty()) {
                all.push(PathBuf::from(part));
                all.push(PathBuf::from(&*gabor::model_file(part)));
            }
        }
    }
    all
}

/// That all files can be written, each under its flag, and arrays into a directory that is made if it is not there; that none
/// is written over another or over a file that is read. Nothing is left behind.
pub fn check(files: &[(&str, &Path)], arrays: Option<&Path>, read: &[PathBuf]) -> Result<()> {
    for (i, &(flag, path)) in files.iter().enumerate() {
        let over = |what: &str| {
            let right = "right would be: a file of its own";
            Failure::Usage(format!("{flag} {}: it would be written over {what}; {right}", path.display()))
        };
        if let Some((other, _)) = files[..i].iter().find(|f| same(f.1, path)) {
            return Err(over(&format!("what {other} writes")));
        }
        if read.iter().any(|r| same(r, path)) {
            return Err(over("a file that is read"));
        }
        let wrong = |what: String| Failure::Failed(format!("{flag} {}: {what}", path.display()));
        if path.is_dir() || path.file_name().is_none() {
            return Err(wrong("it is a directory; right would be: the name of a file".into()));
        }
        // The arrays come first and make their directory, with those above it.
        let parent = parent(path);
        let made = !parent.exists() && arrays.is_some_and(|d| d.ancestors().any(|a| plain(a).eq(plain(parent))));
        if !made {
            writable(parent).map_err(wrong)?;
        }
    }
    let Some(directory) = arrays else { return Ok(()) };
    if let Some((flag, _)) = files.iter().find(|f| same(f.1, directory)) {
        let given = directory.display();
        return Err(Failure::Usage(format!("--npy {given}: {flag} writes it; right would be: a directory of its own")));
    }
    folder("--npy", directory)
}

/// That files can be written into a directory that is made if it is not there.
pub fn folder(flag: &str, directory: &Path) -> Result<()> {
    let wrong = |what: String| Failure::Failed(format!("{flag} {}: {what}", directory.display()));
    if directory.as_os_str().is_empty() {
        return Err(Failure::Usage(format!("{flag}: an empty name; right would be: the name of a directory")));
    }
    // What is not there yet will be made in the nearest directory above that is.
    let there = directory.ancestors().find(|a| a.symlink_metadata().is_ok()).unwrap_or(Path::new("."));
    writable(there).map_err(wrong)
}

/// The directory of a file.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The parts of a path without `.`.
fn plain(path: &Path) -> impl Iterator<Item = Component<'_>> {
    path.components().filter(|c| *c != Component::CurDir)
}

/// Whether two paths lead to one file, which may not be there yet.
fn same(a: &Path, b: &Path) -> bool {
    let real = |p: &Path| {
        let whole = p.canonicalize();
        whole.or_else(|_| Ok::<_, std::io::Error>(parent(p).canonicalize()?.join(p.file_name().unwrap_or_default())))
    };
    a == b || matches!((real(a), real(b)), (Ok(a), Ok(b)) if a == b)
}

/// That files can be made in a directory, by making one: only so do rights, disks and mounts all have their say.
fn writable(directory: &Path) -> Result<(), String> {
    let shown = directory.display();
    let mkdir = "right would be: the name of one that is there";
    match directory.metadata().as_ref().map(Metadata::is_dir) {
        Ok(true) => {}
        Ok(false) => return Err(format!("{shown} is no directory; {mkdir}")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(format!("there is no directory {shown}; {mkdir}"));
        }
        Err(e) => return Err(format!("the directory {shown} cannot be used: {e}")),
    }
    let probe = directory.join(format!(".gabor-{}.part", std::process::id()));
    let made = File::options().write(true).create_new(true).open(&probe);
    let failed = |e: std::io::Error| format!("no file can be made in the directory {shown}: {e}");
    match made {
        Ok(_) => std::fs::remove_file(&probe).map_err(failed),
        // One that another process of this number left behind: files could be made here.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(failed(e)),
    }
}

/// A directory of `.npy` files.
pub struct Arrays(PathBuf);

impl Arrays {
    /// Makes the directory if it is not there.
    pub fn new(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory).map_err(|e| gabor::Error::io(directory, "make the directory", &e))?;
        Ok(Arrays(directory.to_path_buf()))
    }
    /// Writes an array as `NAME.npy`; its path as it is told to the user.
    pub fn write(&self, name: &str, tensor: std::result::Result<Tensor, Rule>) -> Result<String> {
        let path = self.0.join(format!("{name}.npy"));
        gabor::write_aside(&path, &npy::write(&tensor.map_err(gabor::Error::from)?))?;
        Ok(path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_was_left_behind_says_that_files_can_be_made() {
        let directory = std::env::temp_dir().join(format!("gabor-probe-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!(".gabor-{}.part", std::process::id())), "").unwrap();
        let found = writable(&directory);
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(found, Ok(()));
    }
}
