//! Checksums as the hub states them: SHA-256 of large files, git's blob number (SHA-1) of small ones.

use crate::{Error, Result};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Whether an `etag` is one of the two.
pub(crate) fn is_checksum(etag: &str) -> bool {
    matches!(etag.len(), 40 | 64) && etag.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The checksum of a file, of the kind that `etag` is.
pub(crate) fn of_file(path: &Path, etag: &str) -> Result<String> {
    let failed = |e: std::io::Error| Error::io(path, "read", &e);
    let mut file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if etag.len() == 64 {
        return hash::<Sha256>(&mut file, Sha256::new()).map_err(failed);
    }
    let mut sha1 = Sha1::new();
    sha1.update(format!("blob {size}\0"));
    hash::<Sha1>(&mut file, sha1).map_err(failed)
}

fn hash<D: Digest>(file: &mut File, mut digest: D) -> std::io::Result<String> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => digest.update(&buffer[..n]),
        }
    }
    Ok(digest.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// Git's blob number of some bytes, which is the hub's checksum of small files.
///
/// ```
/// assert_eq!(gabor_hub::git_checksum(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
/// ```
pub fn git_checksum(bytes: &[u8]) -> String {
    let mut sha1 = Sha1::new();
    sha1.update(format!("blob {}\0", bytes.len()));
    sha1.update(bytes);
    sha1.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
