//! Dependencies between crates against the table of the house.

use crate::house::{self, Crate};
use crate::repository::Repository;
use serde_json::Value;

/// Edges that the table does not list, and crates that it does not know.
pub fn check(repository: &Repository) -> Result<Vec<String>, String> {
    let metadata = repository.metadata(&["--no-deps"])?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let design = repository.read("DESIGN.md").unwrap_or_default();
    let mut found = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let folder = house::folder_of(name);
        let row = house::row(folder);
        if row.is_none() && name != "xtask" {
            found.push(format!("crates/{folder}: no row in xtask/src/house.rs"));
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            found.extend(judge(folder, row, dependency, &design));
        }
    }
    Ok(found)
}

fn judge(folder: &str, row: Option<&Crate>, dependency: &Value, design: &str) -> Option<String> {
    let name = dependency["name"].as_str().unwrap_or_default();
    if dependency["path"].is_null() {
        let listed = design.lines().any(|l| l.starts_with('|') && l.contains(&format!("`{name}`")));
        let text = format!("{folder} → {name}: DESIGN.md gives no licence and reason for `{name}` in a table");
        return (!listed).then_some(text);
    }
    let to = house::folder_of(name);
    let tests_only = dependency["kind"].as_str() == Some("dev");
    let Some(row) = row else {
        return Some(format!("{folder} → {to}: chores depend on no crate of the house"));
    };
    let allowed = row.may_use.contains(&to) || (tests_only && row.tests_may_use.contains(&to)) || to == row.folder;
    let kind = if tests_only { " in tests" } else { "" };
    (!allowed).then(|| format!("{folder} → {to}{kind}: not in xtask/src/house.rs, which lists {:?}", row.may_use))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_edge_against_the_arrows_is_found() {
        let verdict = |folder, dependency: Value| judge(folder, house::row(folder), &dependency, "| `libm` | MIT |");
        let inside = |name: &str, kind: Value| json!({"name": name, "path": "somewhere", "kind": kind});
        assert_eq!(verdict("graph", inside("gabor-tensor", Value::Null)), None);
        assert!(verdict("graph", inside("gabor-cpu", Value::Null)).is_some());
        assert!(verdict("train", inside("gabor-cpu", Value::Null)).is_some());
        assert_eq!(verdict("train", inside("gabor-cpu", json!("dev"))), None);
        assert_eq!(verdict("tensor", json!({"name": "libm", "path": null})), None);
        assert!(verdict("tensor", json!({"name": "rand", "path": null})).is_some());
    }
}
