//! Files of any kind: no paths of one machine, nothing heavy.

use crate::repository::Repository;

/// Bytes that a tracked file may have.
const BYTES: u64 = 1 << 20;
/// Folders of a machine, without the slashes around them.
const FOLDERS: &[&str] = &["work", "farm", "root", "home", "tmp", "Users"];

/// Paths of a machine, and files that are too heavy.
pub fn check(repository: &Repository) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for file in &repository.files {
        let path = repository.root.join(file);
        let bytes = std::fs::metadata(&path).map_err(|e| format!("{file}: {e}"))?.len();
        if bytes > BYTES {
            found.push(format!("{file}: {bytes} bytes, at most {BYTES}"));
        }
        // Pictures and models are no text and hold no paths that a reader would follow.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (i, line) in text.lines().enumerate() {
            if let Some(p) = machine_path(line) {
                found.push(format!("{file}:{}: `{p}` is a path of one machine", i + 1));
            }
        }
    }
    Ok(found)
}

/// The first path of a machine in a line.
fn machine_path(line: &str) -> Option<String> {
    FOLDERS.iter().find_map(|folder| {
        let start = format!("/{folder}/");
        line.match_indices(&start).find_map(|(at, _)| {
            // Inside an address or a longer path it is not the root's folder.
            let inside = line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || "._-/}".contains(c));
            let name: String = line[at + start.len()..].chars().take_while(|c| c.is_alphanumeric()).collect();
            (!inside && !name.is_empty()).then(|| format!("{start}{name}"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_machine_are_found() {
        let path = |folder: &str| format!("see /{folder}/someone for it");
        assert!(machine_path(&path("home")).is_some() && machine_path(&path("work")).is_some());
        assert_eq!(machine_path(&path("usr")), None);
        assert_eq!(machine_path("https://example.org/home/page ../work/x a/tmp/b"), None);
    }
}
