//! Operations against the registry.

use crate::repository::Repository;
use crate::source;

/// The folder of the operations.
pub const FOLDER: &str = "crates/graph/src/ops";

/// Operations without a row in the registry, and names that two operations bear.
pub fn check(repository: &Repository) -> Result<Vec<String>, String> {
    let registry = source::code_of(&repository.read(&format!("{FOLDER}/mod.rs"))?);
    let mut found = Vec::new();
    let mut names: Vec<(String, String)> = Vec::new();
    let within = |f: &&String| f.starts_with(FOLDER) && f.ends_with(".rs");
    for file in repository.files.iter().filter(within) {
        for (kind, name) in declared(&repository.read(file)?) {
            if !registry.contains(&format!("OperationSpec::of::<{kind}>()")) {
                found.push(format!("{file}: `{kind}` has no row in the registry of {FOLDER}/mod.rs"));
            }
            if let Some((_, other)) = names.iter().find(|(n, _)| *n == name) {
                found.push(format!("{file}: the name \"{name}\" is taken by {other}"));
            }
            names.push((name, file.clone()));
        }
    }
    Ok(found)
}

/// Types and registry names that the macro `operation!` declares in a file.
fn declared(text: &str) -> Vec<(String, String)> {
    let code = source::code_of(text);
    let mut all = Vec::new();
    for at in source::macros(&code, "operation") {
        // The text and its code have their characters at the same places, though not their bytes.
        let from = code[..at].chars().count();
        let call: String = text.chars().skip(from).collect();
        let head = call.lines().map(str::trim).find_map(|l| l.strip_prefix("pub struct "));
        let read = head.and_then(|h| h.split_once("(\"")).and_then(|(k, r)| Some((k, r.split_once('"')?.0)));
        all.extend(read.map(|(k, n)| (k.to_string(), n.to_string())));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_read() {
        let text = "//! operation! in words\noperation! {\n    /// y = αx.\n    pub struct Elu(\"elu\", [\"x\"]) {\n    }\n}\n\
                    operation! { /// z\n pub struct B(\"b\", []) {} }";
        let want = [("Elu", "elu"), ("B", "b")].map(|(a, b)| (a.to_string(), b.to_string()));
        assert_eq!(declared(text), want);
    }
}
