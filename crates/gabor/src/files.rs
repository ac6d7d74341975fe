//! Whole files: read with a bound, written so that a reader sees the old or the new one and nothing between.

use crate::{Error, Result};
use gabor_formats::onnx::{self, External, Location};
use gabor_tensor::{Floats, Rule};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    // What the system says the file holds is room to begin with, no promise.
    let len = usize::try_from(meta.len().min(limit)).unwrap_or(0);
    if meta.len() <= limit
        && let Some(bytes) = read_parts(&file, len)
    {
        return Ok(bytes);
    }
    let mut bytes = Vec::new();
    let _ = bytes.try_reserve_exact(len + 1);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| Error::io(path, "read", &e))?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(
            place,
            Rule::new("the file is larger than the limit").right(format!("at most {limit} bytes")),
        ));
    }
    Ok(bytes)
}

/// Bytes of a large file that one thread reads at a time.
const PART: usize = 2 << 20;

/// A large file of exactly `len` bytes, read by all cores. None for small files, and where anything is not as expected:
/// then reading it from its begin to its end will tell.
fn read_parts(file: &File, len: usize) -> Option<Vec<u8>> {
    if len < 4 * PART {
        return None;
    }
    let (mut bytes, whole) = (gabor_cpu::zeros(len)?, AtomicBool::new(true));
    gabor_formats::together(bytes.chunks_mut(PART).enumerate(), |(i, part)| {
        if read_at(file, part, (i * PART) as u64).is_err() {
            whole.store(false, Ordering::Relaxed);
        }
    });
    let ends = read_at(file, &mut [0], len as u64).is_err();
    (ends && whole.into_inner()).then_some(bytes)
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

/// Weights that lie in other files beside a model, or in its own. Nothing outside the model's directory is read.
pub(crate) struct Beside {
    directory: PathBuf,
    /// The model's own file, where its weights are still in it.
    own: Option<File>,
    /// Bytes read so far, by file.
    read: Mutex<HashMap<PathBuf, u64>>,
}

impl Beside {
    /// Files beside this one.
    pub(crate) fn new(model: &Path) -> Self {
        let directory = model.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Beside { directory: directory.to_path_buf(), own: None, read: Mutex::default() }
    }
    /// A model's bytes, and where its weights lie: the large ones stay in the file where that can be, to be read once.
    ///
    /// # Errors
    /// As [`read_limited`].
    pub(crate) fn open(model: &Path, limit: u64) -> Result<(Vec<u8>, Self)> {
        let beside = Self::new(model);
        let outlined = || {
            let file = File::open(model).ok()?;
            let len = file.metadata().ok().filter(|m| m.is_file() && m.len() <= limit)?.len();
            let bytes = onnx::outline(len, &|at, bytes| read_at(&file, bytes, at).is_ok())?;
            Some((bytes, file))
        };
        match outlined() {
            Some((bytes, own)) => Ok((bytes, Beside { own: Some(own), ..beside })),
            None => Ok((read_limited(model, limit)?, beside)),
        }
    }
    /// The file of a place, after all checks.
    fn file(&self, at: &Location<'_>) -> Result<File, Rule> {
        let is_own = at.file == onnx::OWN;
        let name =
            if is_own { "the model's own file".into() } else { self.directory.join(at.file).display().to_string() };
        let failed = |e: std::io::Error| Rule::new(format!("external data in {name}: {e}"));
        let (file, key) = match &self.own {
            Some(own) if is_own => (own.try_clone().map_err(failed)?, PathBuf::from(at.file)),
            _ => {
                let path = self.directory.join(at.file);
                let (root, real) =
                    (self.directory.canonicalize().map_err(failed)?, path.canonicalize().map_err(failed)?);
                if !real.starts_with(&root) {
                    return Err(Rule::new(format!("external data in {name}, a link out of the model's directory"))
                        .right("a file in that directory"));
                }
                (File::open(&real).map_err(failed)?, real)
            }
        };
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(Rule::new(format!("external data in {name}, which is no file")));
        }
        let end = at.offset.checked_add(at.length as u64);
        if end.is_none_or(|end| end > meta.len()) {
            let rule = format!("{} bytes from byte {} on of {name}", at.length, at.offset);
            return Err(Rule::new(rule).right(format!("a place within its {} bytes", meta.len())));
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let total = read.entry(key).or_default();
        *total = total.saturating_add(at.length as u64);
        if *total > meta.len().saturating_mul(MOST_SHARED) {
            let rule =
                format!("tensors that read the {} bytes of {name} more than {MOST_SHARED} times over", meta.len());
            return Err(Rule::new(rule));
        }
        Ok(file)
    }
}

impl External for Beside {
    /// The bytes of a place.
    ///
    /// # Errors
    /// A file that is missing, no regular file or, behind its links, outside the model's directory; a place beyond its
    /// end.
    fn bytes(&self, at: &Location<'_>) -> Result<Vec<u8>, Rule> {
        let file = self.file(at)?;
        let mut bytes = vec![0; at.length];
        read_at(&file, &mut bytes, at.offset).map_err(|e| unreadable(at.length, at.offset, &e))?;
        Ok(bytes)
    }
    fn floats(&self, at: &Location<'_>) -> Result<Arc<dyn Floats>, Rule> {
        Ok(Arc::new(InFile { file: self.file(at)?, offset: at.offset }))
    }
}

/// Little-endian floats of a file.
struct InFile {
    file: File,
    /// Where they begin.
    offset: u64,
}

/// Floats that one thread reads at least.
const PORTION: usize = 1 << 22;
/// Floats that are read at a time: the cache holds them, and nobody who wants memory, too, waits for long.
const PIECE: usize = 1 << 16;

impl Floats for InFile {
    fn read(&self, from: usize, to: &mut [f32]) -> Result<(), Rule> {
        let (place, length) = (self.offset + 4 * from as u64, size_of_val(to));
        read_at(&self.file, gabor_cpu::bytes_mut(to), place).map_err(|e| unreadable(length, place, &e))?;
        // The file's order is that of nearly every machine.
        to.iter_mut().for_each(|v| *v = f32::from_bits(u32::from_le(v.to_bits())));
        Ok(())
    }
    fn all(&self, len: usize) -> Result<Vec<f32>, Rule> {
        if len == 0 {
            return Ok(Vec::new());
        }
        let memory = || Rule::new(format!("{} MiB of memory for a tensor are not to be had", len >> 18));
        let mut floats = gabor_cpu::zeros_f32(len).ok_or_else(memory)?;
        let failed = Mutex::new(None);
        gabor_formats::together(floats.chunks_mut(PORTION).enumerate(), |(i, portion)| {
            for (j, piece) in portion.chunks_mut(PIECE).enumerate() {
                gabor_cpu::take_memory(piece);
                if let Err(rule) = self.read(i * PORTION + j * PIECE, piece) {
                    return *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(rule);
                }
            }
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(floats), Err)
    }
}

fn unreadable(length: usize, offset: u64, e: &std::io::Error) -> Rule {
    Rule::new(format!("{length} bytes from byte {offset} on cannot be read: {e}"))
}

/// Reads exactly these bytes of a file.
#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}
/// Elsewhere there are no threads that would share the file's position, or none that this crate starts.
#[cfg(not(any(unix, windows)))]
fn read_at(mut file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at))?;
    file.read_exact(bytes)
}
#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, bytes, at)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        (bytes, at) = (&mut bytes[n..], at + n as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_read_whole() {
        let path = std::env::temp_dir().join(format!("gabor-large-{}", std::process::id()));
        let bytes: Vec<u8> = (0..4 * PART + 12_345).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let limit = bytes.len() as u64;
        assert!(read_parts(&File::open(&path).unwrap(), bytes.len()).is_none_or(|b| b == bytes));
        assert!(read_limited(&path, limit).unwrap() == bytes);
        let e = read_limited(&path, limit - 1).unwrap_err().to_string();
        assert!(e.contains("larger than the limit"), "{e}");
        // A file that is shorter or longer than the system said.
        let file = File::open(&path).unwrap();
        assert!(read_parts(&file, bytes.len() - 1).is_none() && read_parts(&file, bytes.len() + 1).is_none());
        std::fs::remove_file(path).unwrap();
    }

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
        let floats = beside.floats(&at("w.bin", 0, 8)).unwrap();
        let [first, second] = [[1, 2, 3, 4], [5, 6, 7, 8]].map(f32::from_le_bytes);
        assert_eq!(floats.all(2).unwrap(), [first, second]);
        let mut part = [0.0];
        floats.read(1, &mut part).unwrap();
        assert_eq!(part, [second]);
        assert!(floats.read(2, &mut part).unwrap_err().to_string().contains("4 bytes from byte 8 on"));
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
