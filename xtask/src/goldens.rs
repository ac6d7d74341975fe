//! Golden files: made by Python scripts that lie beside them, with the library that is the judge.

use crate::repository::Repository;
use std::process::Command;

/// The variable that names the interpreter.
const PYTHON: &str = "GABOR_PYTHON";
/// A script with this in its first comment writes to standard output, into the file named after it.
const STDOUT: &str = " > ";

/// Scripts that make goldens: Python files in the tests of a crate.
fn scripts(repository: &Repository) -> impl Iterator<Item = &String> {
    repository.files.iter().filter(|f| f.starts_with("crates/") && f.contains("/tests/") && f.ends_with(".py"))
}

/// The chore: runs each script whose path holds `word`, in its own folder.
///
/// # Errors
/// If there is no interpreter, no such script, or one fails.
pub fn chore(repository: &Repository, word: &str) -> Result<String, String> {
    let python = std::env::var_os(PYTHON)
        .ok_or(format!("{PYTHON} is not set: name a Python that has numpy, onnx, Pillow and torch"))?;
    let mut done = Vec::new();
    for script in scripts(repository).filter(|s| s.contains(word)) {
        let (folder, name) = script.rsplit_once('/').ok_or("a script without a folder")?;
        let folder = repository.root.join(folder);
        let out =
            Command::new(&python).arg(name).current_dir(&folder).output().map_err(|e| format!("{script}: {e}"))?;
        if !out.status.success() {
            return Err(format!("{script}: {}", String::from_utf8_lossy(&out.stderr).trim()));
        }
        if let Some(target) = target_of(&repository.read(script)?) {
            std::fs::write(folder.join(&target), &out.stdout).map_err(|e| format!("{target}: {e}"))?;
        }
        done.push(format!("made by {script}"));
    }
    if done.is_empty() {
        return Err(format!("no script in a crate's tests has `{word}` in its path"));
    }
    Ok(done.join("\n"))
}

/// The file that standard output goes to, by the usage line of the script's first text.
fn target_of(script: &str) -> Option<String> {
    let usage = script.split("\"\"\"").nth(1)?.lines().find(|l| l.contains("python") && l.contains(STDOUT))?;
    usage.split(STDOUT).nth(1)?.split_whitespace().next().map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_line_names_the_target() {
        assert_eq!(target_of("\"\"\"Makes it.\n\n  python a.py > a.txt\n\"\"\"\n").as_deref(), Some("a.txt"));
        assert_eq!(target_of("\"\"\"Makes it.\n\n  python a.py\n\"\"\"\nprint(1 > 2)\n"), None);
    }
}
