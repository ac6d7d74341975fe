//! Where the real data is.
#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

use std::path::{Path, PathBuf};

/// A file or folder of the real data, if it is at hand.
pub fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("not run: ../shared/data/{name} is not at hand");
    None
}
