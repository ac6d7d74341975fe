//! What the house rules forbid, as checks. Each returns its findings as lines: `file:line: what, and what is right`.

mod code;
mod documents;
mod edges;
mod files;
mod operations;

pub use operations::FOLDER as OPERATIONS;

use crate::repository::Repository;

type Check = fn(&Repository) -> Result<Vec<String>, String>;

const CHECKS: &[Check] = &[edges::check, code::check, files::check, documents::check, operations::check];

/// Everything that is not tidy.
///
/// # Errors
/// If a file cannot be read or cargo fails.
pub fn findings(repository: &Repository) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for check in CHECKS {
        all.extend(check(repository)?);
    }
    Ok(all)
}

/// The chore.
///
/// # Errors
/// The findings, if there are any.
pub fn chore(repository: &Repository) -> Result<String, String> {
    let found = findings(repository)?;
    if found.is_empty() {
        return Ok(format!("tidy: {} files", repository.files.len()));
    }
    Err(format!("{}\ntidy: {} findings", found.join("\n"), found.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let found = findings(&Repository::find().unwrap()).unwrap();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
