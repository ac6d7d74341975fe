//! The working tree: its files, and what cargo says of its packages.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the working tree and the files that git knows or would add.
pub struct Repository {
    /// Absolute path of the root.
    pub root: PathBuf,
    /// Paths of files relative to the root, with `/`, sorted. Ignored files are left out.
    pub files: Vec<String>,
}

impl Repository {
    /// The repository that this chore belongs to.
    ///
    /// # Errors
    /// If git cannot list the files.
    pub fn find() -> Result<Repository, String> {
        // Cargo sets the variable for what it runs too, which holds when clones share one target folder.
        let own = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_string());
        let root = Path::new(&own).parent().ok_or("xtask lies in no workspace")?.to_path_buf();
        let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let text = output(Command::new("git").args(list).current_dir(&root))?;
        // A file that was deleted but not yet committed is still listed.
        let mut files: Vec<String> =
            text.split('\0').filter(|f| !f.is_empty() && root.join(f).is_file()).map(String::from).collect();
        files.sort();
        files.dedup();
        Ok(Repository { root, files })
    }

    /// A text file of the tree.
    ///
    /// # Errors
    /// If it cannot be read as UTF-8.
    pub fn read(&self, file: &str) -> Result<String, String> {
        std::fs::read_to_string(self.root.join(file)).map_err(|e| format!("{file}: {e}"))
    }

    /// Whether git knows the file or would add it.
    pub fn has(&self, file: &str) -> bool {
        self.files.binary_search_by(|f| f.as_str().cmp(file)).is_ok()
    }

    /// The document that `cargo metadata` prints.
    ///
    /// # Errors
    /// If cargo fails, with its own words.
    pub fn metadata(&self, options: &[&str]) -> Result<Value, String> {
        let text = self.cargo(&[&["metadata", "--format-version=1"], options].concat())?;
        serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"))
    }
    /// What a command of cargo prints.
    pub fn cargo(&self, words: &[&str]) -> Result<String, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        output(Command::new(cargo).args(words).current_dir(&self.root))
    }
}

/// What a command prints.
fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command.output().map_err(|e| format!("{name}: {e}"))?;
    if !out.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&out.stderr).trim()));
    }
    String::from_utf8(out.stdout).map_err(|e| format!("{name}: {e}"))
}
