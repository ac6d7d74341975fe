//! Rust source read just well enough for the checks: comments and texts blanked, tests told from code.

/// The source with comments, string and character literals replaced by spaces. Lines stay where they are.
pub fn code_of(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    while i < chars.len() {
        let rest = &chars[i..];
        let end = match rest {
            ['/', '/', ..] => line_comment(rest),
            ['/', '*', ..] => block_comment(rest),
            ['"', ..] => quoted(rest),
            ['\'', ..] => character(rest),
            ['r', ..] if !after_word(&chars, i) => raw(rest, 1),
            ['b', 'r', ..] if !after_word(&chars, i) => raw(rest, 2),
            _ => 0,
        };
        if end == 0 {
            out.push(rest[0]);
            i += 1;
            continue;
        }
        out.extend(rest[..end].iter().map(|&c| if c == '\n' { c } else { ' ' }));
        i += end;
    }
    out
}

fn after_word(chars: &[char], i: usize) -> bool {
    i > 0 && is_word(chars[i - 1])
}

/// Whether the character may stand in a name.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_comment(s: &[char]) -> usize {
    s.iter().position(|&c| c == '\n').unwrap_or(s.len())
}

fn block_comment(s: &[char]) -> usize {
    let (mut depth, mut i) = (0, 0);
    while i < s.len() {
        match s[i..] {
            ['/', '*', ..] => (depth, i) = (depth + 1, i + 2),
            ['*', '/', ..] => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

fn quoted(s: &[char]) -> usize {
    let mut i = 1;
    while i < s.len() && s[i] != '"' {
        i += if s[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(s.len())
}

/// Length of a character literal; 0 for the mark of a lifetime.
fn character(s: &[char]) -> usize {
    match s {
        [_, '\\', ..] => s.iter().skip(3).position(|&c| c == '\'').map_or(0, |p| p + 4),
        [_, _, '\'', ..] => 3,
        _ => 0,
    }
}

/// Length of a raw string whose letters end at `at`; 0 if there is none.
fn raw(s: &[char], at: usize) -> usize {
    let hashes = s[at..].iter().take_while(|&&c| c == '#').count();
    let open = at + hashes;
    if s.get(open) != Some(&'"') {
        return 0;
    }
    let closes = |i: usize| s[i] == '"' && s[i + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
    (open + 1..s.len()).find(|&i| closes(i)).map_or(s.len(), |i| i + 1 + hashes)
}

/// Code, and what of it are tests.
pub struct Parts {
    /// The code with its tests blanked; lines stay where they are.
    pub code: String,
    /// Lines of the file that belong to no test.
    pub lines: usize,
    /// Modules that are tests and lie in files of their own: `#[cfg(test)] mod tests;`.
    pub test_modules: Vec<String>,
}

/// Takes the items marked `#[cfg(test)]` out of code that [`code_of`] has made.
pub fn without_tests(code: &str) -> Parts {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let (mut rest, mut test_lines, mut test_modules) = (code, 0, Vec::new());
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = item_end(item);
        let head: Vec<&str> = item[MARK.len()..end].split_whitespace().collect();
        if let Some(m) = head.iter().position(|w| *w == "mod")
            && let Some(name) = head.get(m + 1).and_then(|n| n.strip_suffix(';'))
        {
            test_modules.push(name.to_string());
        }
        let breaks = item[..end].matches('\n').count();
        test_lines += breaks + 1;
        out.extend(std::iter::repeat_n('\n', breaks));
        rest = &item[end..];
    }
    out.push_str(rest);
    Parts { code: out, lines: code.lines().count().saturating_sub(test_lines), test_modules }
}

/// Where an item ends: at its `;`, or at the brace that closes its first one.
fn item_end(item: &str) -> usize {
    let mut depth = 0usize;
    for (i, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            ';' if depth == 0 => return i + 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i + 1;
                }
            }
            _ => {}
        }
    }
    item.len()
}

/// Number of the line, from 1, that holds the byte.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Where a word stands by itself, as byte offsets.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(i, _)| i).filter(move |&i| {
        !code[..i].chars().next_back().is_some_and(is_word)
            && !code[i + word.len()..].chars().next().is_some_and(is_word)
    })
}

/// Where a macro is called, as byte offsets.
pub fn macros<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    words(code, name).filter(move |&i| code[i + name.len()..].trim_start().starts_with('!'))
}

/// Modules of the standard library that code names, as byte offsets and names: `std::fs`, `use std::{env, fs}`.
pub fn std_modules(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for at in words(code, "std") {
        let Some(rest) = code[at..].strip_prefix("std::") else { continue };
        let group = rest.strip_prefix('{').map(|g| &g[..group_end(g)]);
        let parts = group.map_or_else(|| vec![rest], top_level_parts);
        found.extend(parts.into_iter().map(|p| (at, first_name(p))));
    }
    found
}

fn first_name(s: &str) -> &str {
    let s = s.trim_start();
    s.find(|c| !is_word(c)).map_or(s, |e| &s[..e])
}

fn group_end(group: &str) -> usize {
    let mut depth = 1;
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    group.len()
}

fn top_level_parts(group: &str) -> Vec<&str> {
    let mut depth = 0;
    group
        .split(|c| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            c == ',' && depth == 0
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_are_no_code() {
        let source = "a // unsafe\n/* unsafe /* b */ c */ d \"unsafe \\\" e\" f r#\"unsafe \"x\"# 'u' '\\'' &'static g";
        let code = code_of(source);
        assert_eq!(code.lines().count(), source.lines().count());
        assert_eq!(words(&code, "unsafe").count(), 0);
        let left: Vec<&str> = code.split_whitespace().filter(|w| w.chars().all(is_word)).collect();
        assert_eq!(left, ["a", "d", "f", "g"]);
        assert!(code.contains("&'static"));
    }

    #[test]
    fn a_word_is_found_only_by_itself() {
        assert_eq!(words("unsafe_code unsafe { } not_unsafe", "unsafe").collect::<Vec<_>>(), [12]);
        assert_eq!(macros("print!() eprint!() print", "print").collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn tests_are_cut_out() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod far;\n";
        let parts = without_tests(code);
        assert!(parts.code.contains("fn a") && parts.code.contains("fn c") && !parts.code.contains("fn b"));
        assert_eq!((parts.lines, parts.test_modules), (2, vec!["far".to_string()]));
        assert_eq!(parts.code.lines().count(), code.lines().count());
    }

    #[test]
    fn grouped_imports_are_read() {
        let names = |code| std_modules(code).into_iter().map(|(_, n)| n).collect::<Vec<_>>();
        assert_eq!(names("use std::{env, io::{self, Read}, fs::File}; std::net::x()"), ["env", "io", "fs", "net"]);
    }
}
