//! The files that a command writes: looked at before it works, so that a name which cannot be written costs nothing.

use crate::failure::{Failure, Result};
use gabor::formats::npy;
use gabor::tensor::{Rule, Tensor};
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};

/// That all files can be written, each under its flag, and arrays into a directory that is made if it is not there; that none
/// is written over another or over a file that is read. Nothing is left behind.
pub fn check(files: &[(&str, &Path)], arrays: Option<&Path>, read: &[&Path]) -> Result<()> {
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
        writable(parent(path)).map_err(wrong)?;
    }
    let Some(directory) = arrays else { return Ok(()) };
    if let Some((flag, _)) = files.iter().find(|f| same(f.1, directory)) {
        let given = directory.display();
        return Err(Failure::Usage(format!("--npy {given}: {flag} writes it; right would be: a directory of its own")));
    }
    let wrong = |what: String| Failure::Failed(format!("--npy {}: {what}", directory.display()));
    if directory.as_os_str().is_empty() {
        return Err(Failure::Usage("--npy: an empty name; right would be: the name of a directory".into()));
    }
    // What is not there yet will be made in the nearest directory above that is.
    let there = directory.ancestors().find(|a| a.symlink_metadata().is_ok()).unwrap_or(Path::new("."));
    writable(there).map_err(wrong)
}

/// The directory of a file.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
    made.map_err(failed)?;
    std::fs::remove_file(&probe).map_err(failed)
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
