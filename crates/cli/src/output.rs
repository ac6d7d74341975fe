//! The only place that prints: text and JSON to standard output, errors and notes to standard error.

use crate::failure::Result;
use crate::progress::put_away;
use std::io::{IsTerminal, Write, stderr, stdout};

/// Writes text to standard output.
pub fn text(text: &str) -> Result<()> {
    put_away();
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Writes a JSON document as one line to standard output.
pub fn json(value: &serde_json::Value) -> Result<()> {
    text(&format!("{value}\n"))
}

/// Writes `error: …` to standard error.
pub fn error(text: &str) {
    message("error", "31", text);
}

/// Writes `warning: …` to standard error.
pub fn warning(text: &str) {
    message("warning", "33", text);
}

/// Writes `note: …` to standard error.
pub fn note(text: &str) {
    message("note", "36", text);
}

fn message(kind: &str, colour: &str, text: &str) {
    let head =
        if colours(stderr().is_terminal()) { format!("\x1b[1;{colour}m{kind}:\x1b[0m") } else { format!("{kind}:") };
    put_away();
    // There is nobody left to tell if standard error itself is gone.
    let _ = writeln!(stderr(), "{head} {text}");
}

/// Whether to colour what goes to a stream: only on a terminal, and not where NO_COLOR says so.
pub fn colours(is_terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    is_terminal && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Text in bold on a terminal.
pub fn bold(text: &str) -> String {
    if colours(stdout().is_terminal()) { format!("\x1b[1m{text}\x1b[0m") } else { text.to_string() }
}

/// Columns to print in: as COLUMNS says, else those of the terminal that standard output is; any number elsewhere.
pub fn width() -> Option<usize> {
    let said = std::env::var("COLUMNS").ok().and_then(|c| c.trim().parse().ok());
    let columns = said.or_else(|| terminal_size::terminal_size_of(stdout()).map(|(w, _)| usize::from(w.0)))?;
    (columns >= 20).then_some(columns)
}
