//! Documents that must exist and be true.

use crate::house;
use crate::repository::Repository;

const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "DESIGN.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "NOTICE",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "deny.toml",
    ".ci/run",
];

/// Missing documents, crates without an introduction or a place in the map, README commands that CI does not run.
pub fn check(repository: &Repository) -> Result<Vec<String>, String> {
    let missing = DOCUMENTS.iter().filter(|d| !repository.has(d)).map(|d| format!("{d}: missing"));
    let mut found: Vec<String> = missing.collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let map = repository.read("ARCHITECTURE.md")?;
    for krate in house::CRATES {
        let top = ["lib.rs", "main.rs"].map(|f| format!("crates/{}/src/{f}", krate.folder));
        let Some(top) = top.iter().find(|f| repository.has(f)) else { continue };
        if !repository.read(top)?.starts_with("//! ") {
            found.push(format!("{top}: a crate opens with what it is and where to begin reading (`//! …`)"));
        }
        if !map.contains(&format!("`{}`", krate.folder)) {
            found.push(format!("ARCHITECTURE.md: the map has no `{}`", krate.folder));
        }
    }
    let readme = repository.read("README.md")?;
    let ci = repository.read(".ci/run")?;
    for command in cargo_commands(&readme).into_iter().filter(|c| !ci.contains(c.as_str())) {
        found.push(format!("README.md: `{command}` is not run by .ci/run"));
    }
    found.extend(dead_links(repository, "README.md", &readme));
    Ok(found)
}

/// Commands that begin with `cargo`: in code spans and in lines of code blocks, without their comments.
fn cargo_commands(readme: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut in_block = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let pieces = if in_block { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
        for piece in pieces {
            let piece = piece.trim().trim_start_matches("$ ");
            let command = piece.split(" #").next().unwrap_or_default().trim();
            if command.starts_with("cargo ") {
                commands.push(command.to_string());
            }
        }
    }
    commands
}

/// Links and pictures of a document that name no file of the tree.
fn dead_links(repository: &Repository, document: &str, text: &str) -> Vec<String> {
    let marks = ["](", "src=\"", "href=\""];
    let targets = marks.iter().flat_map(|m| text.split(m).skip(1)).filter_map(|t| t.split([')', '"', '#']).next());
    targets
        .filter(|t| !t.is_empty() && !t.contains("://") && !repository.root.join(t).exists())
        .map(|t| format!("{document}: there is no {t}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_the_readme_are_read() {
        let text =
            "Use `cargo test` and `gabor train`.\n```sh\n$ cargo run -- a   # it runs\ngabor x\n```\n`cargo doc`\n";
        assert_eq!(cargo_commands(text), ["cargo test", "cargo run -- a", "cargo doc"]);
    }
}
