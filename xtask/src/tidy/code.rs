//! What Rust files may hold: length, `unsafe`, input and output, unfinished pieces.

use crate::house::{self, Act};
use crate::repository::Repository;
use crate::source::{self, Parts};
use std::collections::BTreeSet;

/// Lines that a file may have without its tests.
const LINES: usize = 500;
/// Lines that a file may have with a stated reason, and a file of tests without one.
const LONG_LINES: usize = 800;
/// The comment that states the reason.
const REASON: &str = "// long: ";

/// Files that break a rule.
pub fn check(repository: &Repository) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    for file in repository.files.iter().filter(|f| f.ends_with(".rs")) {
        let text = repository.read(file)?;
        let code = source::code_of(&text);
        let parts = source::without_tests(&code);
        files.push((file.as_str(), text, code, parts));
    }
    let tests: BTreeSet<String> = files.iter().flat_map(|(f, .., p)| test_files(f, p)).collect();
    let mut found = Vec::new();
    for (file, text, code, parts) in &files {
        let is_test = is_test(file, &tests);
        found.extend(length(file, text, parts, is_test));
        found.extend(unfinished(file, text, code));
        if let Some(row) = folder(file).and_then(house::row) {
            let judged = if is_test { "" } else { &parts.code };
            found.extend(acts(file, code, judged, row.may));
        }
    }
    Ok(found)
}

fn folder(file: &str) -> Option<&str> {
    file.strip_prefix("crates/")?.split('/').next()
}

/// Paths at which the test modules of a file lie: a file, or all under a folder that ends in `/`.
fn test_files(file: &str, parts: &Parts) -> Vec<String> {
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    let base = match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_string(),
        _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
    };
    parts.test_modules.iter().flat_map(|m| [format!("{base}/{m}.rs"), format!("{base}/{m}/")]).collect()
}

/// Whether a file is only built for tests, examples or benchmarks.
fn is_test(file: &str, tests: &BTreeSet<String>) -> bool {
    let outside = file.strip_prefix("crates/").and_then(|f| f.split('/').nth(1));
    matches!(outside, Some("tests" | "examples" | "benches"))
        || tests.iter().any(|t| file == t || (t.ends_with('/') && file.starts_with(t.as_str())))
}

fn length(file: &str, text: &str, parts: &Parts, is_test: bool) -> Option<String> {
    let reason = text.lines().any(|l| l.trim_start().strip_prefix(REASON).is_some_and(|r| r.len() > 10));
    let limit = if reason || is_test { LONG_LINES } else { LINES };
    let lines = parts.lines;
    (lines > limit).then(|| {
        format!(
            "{file}: {lines} lines without tests, at most {limit}; up to {LONG_LINES} with a comment `{REASON}reason`"
        )
    })
}

fn unfinished(file: &str, text: &str, code: &str) -> Vec<String> {
    // Written in two pieces, lest this file find itself.
    let switched_off = concat!("#[", "ignore");
    let notes = [concat!("FIX", "ME"), concat!("XX", "X")];
    let mut found = Vec::new();
    for name in ["todo", "unimplemented"] {
        found.extend(source::macros(code, name).map(|at| (code, at, format!("the macro {name} is left"))));
    }
    found.extend(code.match_indices(switched_off).map(|(at, _)| (code, at, "a test is switched off".to_string())));
    for note in notes {
        found.extend(source::words(text, note).map(|at| (text, at, format!("a note {note} is left"))));
    }
    found.into_iter().map(|(t, at, what)| format!("{file}:{}: {what}", source::line_of(t, at))).collect()
}

/// Acts that the crate may not do: `unsafe` anywhere in `code`, the others in `judged`, which has no tests.
fn acts(file: &str, code: &str, judged: &str, may: &[Act]) -> Vec<String> {
    let mut seen: Vec<(Act, usize, String)> =
        source::words(code, "unsafe").map(|at| (Act::Unsafe, source::line_of(code, at), "unsafe".into())).collect();
    for (at, module) in source::std_modules(judged) {
        let act = match module {
            "fs" => Act::Files,
            "net" => Act::Network,
            "thread" => Act::Threads,
            "env" => Act::Environment,
            "process" => Act::Processes,
            _ => continue,
        };
        seen.push((act, source::line_of(judged, at), format!("std::{module}")));
    }
    for name in ["print", "println", "eprint", "eprintln"] {
        let calls = source::macros(judged, name);
        seen.extend(calls.map(|at| (Act::Print, source::line_of(judged, at), format!("{name}!"))));
    }
    seen.into_iter()
        .filter(|(act, ..)| !may.contains(act))
        .map(|(act, line, what)| format!("{file}:{line}: {what}, but xtask/src/house.rs does not list {act:?} for it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_acts_are_found_with_their_line() {
        let code = "use std::fs;\nfn a() { println!(); }\nunsafe fn b() {}\n";
        let found = acts("x.rs", code, code, &[]);
        assert_eq!(found.len(), 3);
        assert!(found.iter().any(|f| f.starts_with("x.rs:2: println!")), "{found:?}");
        assert!(acts("x.rs", code, code, &[Act::Files, Act::Print, Act::Unsafe]).is_empty());
        assert_eq!(acts("x.rs", code, "", &[]).len(), 1, "tests may do all but unsafe");
    }

    #[test]
    fn a_long_file_needs_a_reason() {
        let text = "fn f() {}\n".repeat(LINES + 1);
        let judge = |t: &str, test| length("x.rs", t, &source::without_tests(&source::code_of(t)), test);
        assert!(judge(&text, false).is_some());
        assert!(judge(&text, true).is_none());
        assert!(judge(&format!("// long: one table, read from top to bottom\n{text}"), false).is_none());
        assert!(judge(&format!("// long: {}", "fn f() {}\n".repeat(LONG_LINES + 1)), false).is_some());
        let tests = format!("#[cfg(test)]\nmod tests {{\n{text}}}\n");
        assert!(judge(&tests, false).is_none());
    }

    #[test]
    fn files_of_test_modules_are_tests() {
        let parts = source::without_tests("#[cfg(test)]\nmod check;");
        let tests: BTreeSet<String> = test_files("crates/a/src/lib.rs", &parts).into_iter().collect();
        assert!(is_test("crates/a/src/check.rs", &tests) && is_test("crates/a/src/check/x.rs", &tests));
        assert!(is_test("crates/a/tests/x.rs", &tests) && !is_test("crates/a/src/x.rs", &tests));
        assert_eq!(test_files("crates/a/src/b.rs", &parts)[0], "crates/a/src/b/check.rs");
    }

    #[test]
    fn unfinished_pieces_are_found() {
        let text = ["fn f() { to", "do!() }\n", "#[ig", "nore]\n"].concat();
        assert_eq!(unfinished("x.rs", &text, &text).len(), 2);
    }
}
