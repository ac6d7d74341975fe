//! Licences, versions and number of the crates that a default build takes in, by the rules of deny.toml.

use crate::repository::Repository;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use toml::Table;

/// Crates that the command may need, the house's own included.
const CRATES: usize = 180;
/// The package of the command.
const ROOT: &str = "gabor-cli";

/// The chore.
///
/// # Errors
/// What is not allowed.
pub fn chore(repository: &Repository) -> Result<String, String> {
    let deny: Table = repository.read("deny.toml")?.parse().map_err(|e| format!("deny.toml: {e}"))?;
    let metadata = repository.metadata(&["--locked", "--filter-platform", &host()?])?;
    // The lock file also lists what a feature that nobody asks for would need; cargo's tree is what is built.
    let tree = repository.cargo(&["tree", "--locked", "-p", ROOT, "-e", "normal,build", "--prefix", "none"])?;
    let built: BTreeSet<&str> = tree.lines().map(name_and_version).collect();
    let of_tree = |p: &&Value| {
        let text = |k: &str| p[k].as_str().unwrap_or_default();
        built.contains(format!("{} v{}", text("name"), text("version")).as_str())
    };
    let packages: Vec<&Value> = default_build(&metadata)?.into_iter().filter(of_tree).collect();
    let mut found = licences(&packages, &names(&deny, "licenses", "allow"));
    found.extend(duplicates(&packages, &names(&deny, "bans", "skip")));
    if packages.len() >= CRATES {
        found.push(format!("{} crates in the default build, fewer than {CRATES} are wanted", packages.len()));
    }
    if !found.is_empty() {
        return Err(found.join("\n"));
    }
    let own = packages.iter().filter(|p| p["source"].is_null()).count();
    Ok(format!("licences: {} crates in the default build, {own} of them ours", packages.len()))
}

/// The list of a section of deny.toml; entries may be texts or tables with a `crate`.
fn names(deny: &Table, section: &str, key: &str) -> BTreeSet<String> {
    let list = deny.get(section).and_then(|s| s.get(key)).and_then(|l| l.as_array());
    let text = |v: &toml::Value| v.as_str().or(v.get("crate").and_then(|c| c.as_str())).map(String::from);
    list.into_iter().flatten().filter_map(text).collect()
}

/// `name v1.2.3` of a line of cargo's tree.
fn name_and_version(line: &str) -> &str {
    line.match_indices(' ').nth(1).map_or(line, |(i, _)| &line[..i])
}

/// The platform that this compiler builds for.
fn host() -> Result<String, String> {
    let out = std::process::Command::new("rustc").arg("-vV").output().map_err(|e| format!("rustc: {e}"))?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.lines().find_map(|l| l.strip_prefix("host: ")).map(String::from).ok_or("rustc names no host".into())
}

/// Packages that the command's build needs: dependencies and build dependencies, no development ones.
fn default_build(metadata: &Value) -> Result<Vec<&Value>, String> {
    let array = |v: &'_ Value| -> Vec<Value> { v.as_array().cloned().unwrap_or_default() };
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let nodes: BTreeMap<String, Value> = array(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|n| (n["id"].as_str().unwrap_or_default().to_string(), n))
        .collect();
    let root = packages.iter().find(|p| p["name"] == ROOT).ok_or(format!("there is no package {ROOT}"))?;
    let mut seen = BTreeSet::new();
    let mut next = vec![root["id"].as_str().unwrap_or_default().to_string()];
    while let Some(id) = next.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        for d in nodes.get(&id).map(|n| array(&n["deps"])).unwrap_or_default() {
            let built = array(&d["dep_kinds"]).iter().any(|k| k["kind"] != "dev");
            if built && let Some(to) = d["pkg"].as_str() {
                next.push(to.to_string());
            }
        }
    }
    Ok(packages.iter().filter(|p| p["id"].as_str().is_some_and(|id| seen.contains(id))).collect())
}

fn licences(packages: &[&Value], allowed: &BTreeSet<String>) -> Vec<String> {
    let bad = |p: &&&Value| !p["license"].as_str().is_some_and(|l| allows(l, allowed));
    packages
        .iter()
        .filter(bad)
        .map(|p| format!("{}: licence {} is not in deny.toml", p["name"], p["license"]))
        .collect()
}

/// Whether an SPDX expression can be met by the allowed licences. Parentheses are read as they stand in practice:
/// `A OR B`, `A AND B`, `(A OR B) AND C`.
fn allows(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let any = |part: &str| {
        part.split(" OR ").flat_map(|p| p.split('/')).any(|l| allowed.contains(l.trim().trim_matches(['(', ')'])))
    };
    if expression.contains('(') {
        return expression.split(" AND ").all(any);
    }
    // Without parentheses AND binds more tightly.
    expression.split(" OR ").any(|part| part.split(" AND ").all(any))
}

fn duplicates(packages: &[&Value], skip: &BTreeSet<String>) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for p in packages {
        let text = |k: &str| p[k].as_str().unwrap_or_default();
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    let twice = versions.into_iter().filter(|(name, v)| v.len() > 1 && !skip.contains(*name));
    twice.map(|(name, v)| format!("{name}: versions {v:?}; deny.toml may skip it with a reason")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expressions_are_read() {
        let allowed: BTreeSet<String> = ["MIT", "Apache-2.0", "Unicode-3.0"].map(String::from).into();
        for ok in ["MIT", "MIT OR Apache-2.0", "Zlib OR MIT", "MIT/Apache-2.0", "(MIT OR Zlib) AND Unicode-3.0"] {
            assert!(allows(ok, &allowed), "{ok}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND Zlib", ""] {
            assert!(!allows(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn lines_of_the_tree() {
        assert_eq!(name_and_version("gabor v0.1.0 (/x y)"), "gabor v0.1.0");
        assert_eq!(name_and_version("serde v1.0.1"), "serde v1.0.1");
        assert_eq!(name_and_version("log v0.4.35 (*)"), "log v0.4.35");
    }

    #[test]
    fn two_versions_are_found() {
        let (a, b) = (json!({"name": "x", "version": "1.0.0"}), json!({"name": "x", "version": "2.0.0"}));
        assert_eq!(duplicates(&[&a, &b], &BTreeSet::new()).len(), 1);
        assert!(duplicates(&[&a, &b], &["x".to_string()].into()).is_empty());
        assert!(duplicates(&[&a, &a], &BTreeSet::new()).is_empty());
    }

    #[test]
    fn tests_of_dependencies_are_not_built() {
        let node = |id: &str, deps: Value| json!({"id": id, "deps": deps});
        let dep = |to: &str, kind: Value| json!({"pkg": to, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [{"name": ROOT, "id": "r"}, {"name": "a", "id": "a"}, {"name": "b", "id": "b"}],
            "resolve": {"nodes": [node("r", json!([dep("a", Value::Null), dep("b", json!("dev"))]))]},
        });
        let built: Vec<&Value> = default_build(&metadata).unwrap();
        assert_eq!(built.iter().map(|p| p["name"].as_str().unwrap()).collect::<Vec<_>>(), [ROOT, "a"]);
    }
}
