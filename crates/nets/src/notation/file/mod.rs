//! A network in a `.toml` file: the notation with named blocks, or a list of layers with PyTorch's words.
//!
//! ```toml
//! name = "mine"
//! input = [3, 32, 32]            # channels first; the data's where it is left out
//! classes = 10                   # likewise
//! # vocabulary = 20000          # for texts, whose input is [length]
//! net = "stem: conv3-16 bn relu -> [unit*N -> POOL]*2 -> gap -> FC"
//!
//! [blocks]                       # names that may stand in the notation: parts of a network, and numbers
//! unit = "res[conv3-16 bn relu conv3-16 bn] relu"
//! N = 2
//! ```
//!
//! ```toml
//! name = "mine"
//! input = [3, 32, 32]
//! classes = 10
//!
//! [[layer]]
//! kind = "conv"
//! name = "stem"
//! out_channels = 16
//! kernel_size = 3
//! padding = 1
//!
//! [[layer]]
//! net = "bn relu"                # the notation may stand in the list
//!
//! [[layer]]
//! kind = "concat"                # also "add", "multiply"; "residual" and "group" take `layer` or `net` of their own
//! branch = ["conv1-8", "conv1-8 relu conv3-16", ""]
//!
//! [[layer]]
//! kind = "linear"                # out_features: the classes where it is left out
//! ```

mod layers;
mod table;

use super::error::{Fault, NotationError};
use super::lex::{Sign, Span, Token, lex};
use super::tree::{self, Definitions, Item};
use super::{MOST_TEXT, Reading, define};
use crate::zoo::Options;
use crate::{Network, Scheme};
use gabor_tensor::Rule;
use table::{Place, Table, Text};
use toml::de::DeTable;

/// The name of a network that gives itself none.
const UNNAMED: &str = "description";

/// Whether a text is such a file, and not a line of the notation: some line of it sets `net` or begins `[[layer]]`.
pub fn is_toml(text: &str) -> bool {
    text.lines().map(str::trim_start).any(|line| {
        let sets = |key: &str| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
        sets("net") || sets("layer") || line.starts_with("[[layer]]")
    })
}

/// Reads the text of a `.toml` file. `options` take the place of what the file says of input, classes and
/// initialisation.
///
/// ```
/// use gabor_nets::{notation, zoo::Options};
/// let text = "
///     name = 'mine'
///     input = [3, 32, 32]
///     net = 'unit unit gap FC-10'
///     [blocks]
///     unit = '[conv3-16 bn relu]*2 POOL'";
/// let net = notation::parse_toml(text, &Options::default()).unwrap();
/// assert_eq!((net.name(), net.input(), net.classes()), ("mine", &[3, 32, 32][..], 10));
/// ```
///
/// # Errors
/// The first mistake, with its line and place in the file and what would fit.
pub fn parse_toml(text: &str, options: &Options) -> Result<Network, NotationError> {
    read(text, options).map_err(|fault| NotationError::new(text, fault))
}

fn read(text: &str, options: &Options) -> Result<Network, Fault> {
    if text.len() > MOST_TEXT {
        let rule = Rule::new(format!("a description of {} bytes", text.len()));
        return Err(Fault::at(Span::default(), rule.right(format!("at most {MOST_TEXT}"))));
    }
    let text = Text::new(text);
    let document = DeTable::parse(text.text).map_err(|e| {
        let place = e.span().map_or(Span::default(), |s| text.span(s));
        Fault::at(place, Rule::new(e.message().trim().replace('\n', ", ")).right("key = value, as TOML has it"))
    })?;
    let mut top = Table::new(&text, document.get_ref(), Span::default());
    let name = match top.text("name")? {
        Some((name, at)) if name.trim().is_empty() || name.chars().any(char::is_control) => {
            return Err(Fault::at(at, Rule::new("no name of a network").right("letters, digits, spaces and signs")));
        }
        Some((name, _)) => name,
        None => UNNAMED.to_string(),
    };
    let mut options = options.clone();
    let input = take_input(&mut top)?;
    let vocabulary = top.whole("vocabulary", 1, 1 << 24)?.map(|v| v.0);
    if let Some((classes, _)) = top.whole("classes", 1, crate::zoo::MOST_CLASSES)? {
        options.classes.get_or_insert(classes);
    }
    if let Some((init, at)) = top.text("init")? {
        let scheme = Scheme::by_name(&init).map_err(|r| Fault::at(at, r))?;
        options.scheme.get_or_insert(scheme);
    }
    let definitions = blocks(&mut top)?;
    let described = (top.has("net"), top.has("layer"));
    let (items, plain) = match described {
        (true, false) => (chain(&mut top, "net", &definitions)?, true),
        (false, true) => (layers::list(&mut top, &definitions, 0)?, false),
        (true, true) => {
            return Err(Fault::at(top.key("net"), Rule::new("`net` and `layer` together").right("one of them")));
        }
        (false, false) if top.has("layers") => {
            let rule = Rule::new("there is no key `layers` here");
            return Err(Fault::at(top.key("layers"), rule.right("a [[layer]] table for each layer")));
        }
        (false, false) => {
            let rule = Rule::new("the file describes no network");
            return Err(Fault::at(Span::default(), rule.right("net = \"…\" in the notation, or [[layer]] tables")));
        }
    };
    top.finish(&["name", "input", "vocabulary", "classes", "init", "net", "layer", "blocks"])?;
    super::network(&name, &items, &options, &Reading { implicit: plain, listed: !plain, input, vocabulary })
}

/// `input = [3, 32, 32]` or `"3x32x32"`.
fn take_input(top: &mut Table<'_>) -> Result<Option<(Vec<usize>, Span)>, Fault> {
    let Some((value, at)) = top.take("input") else { return Ok(None) };
    let extents = match value.text() {
        Some(text) => super::words::extents(&text.to_lowercase().replace('×', "x")).map_err(|r| Fault::at(at, r))?,
        None => value.list(1, crate::zoo::MOST_EXTENT).map_err(|r| Fault::at(at, r))?,
    };
    if extents.is_empty() || extents.len() > 4 {
        return Err(Fault::at(at, Rule::new(format!("an input of {} extents", extents.len())).right("[3, 32, 32]")));
    }
    Ok(Some((extents, at)))
}

/// `[blocks]`: texts and whole numbers by name.
fn blocks(top: &mut Table<'_>) -> Result<Definitions, Fault> {
    let mut definitions = Definitions::new();
    let Some(mut table) = top.table("blocks")? else { return Ok(definitions) };
    for key in table.keys() {
        let Some((value, at)) = table.take(&key) else { continue };
        let place = table.key(&key);
        let tokens = match value.whole() {
            Some(n) => vec![Token { sign: Sign::Word(n.to_string()), span: at }],
            None => {
                let wrong = || Rule::new(format!("`{key}` is no text")).right("a part of a network, or a number");
                let text = value.text().ok_or_else(|| Fault::at(at, wrong()))?;
                notation(text, &value, at)?
            }
        };
        let name = key.to_lowercase();
        define::add(&name, &Token { sign: Sign::Word(name.clone()), span: place }, &tokens, &mut definitions)?;
    }
    Ok(definitions)
}

/// The notation that stands as the text of a key, its mistakes placed in the file.
fn chain(table: &mut Table<'_>, key: &str, definitions: &Definitions) -> Result<Vec<Item>, Fault> {
    let Some((value, at)) = table.take(key) else { return Ok(Vec::new()) };
    let wrong = || Fault::at(at, Rule::new(format!("`{key}` is no text")).right("\"conv3-16 relu\""));
    let text = value.text().ok_or_else(wrong)?;
    items(text, &value, at, definitions)
}

/// The items of a text in a file.
fn items(text: &str, value: &Place<'_>, at: Span, definitions: &Definitions) -> Result<Vec<Item>, Fault> {
    let tokens = notation(text, value, at)?;
    tree::parse(tokens, definitions.clone())
        .map_err(|f| if f.span == Span::default() { Fault { span: at, ..f } } else { f })
}

fn notation(text: &str, value: &Place<'_>, at: Span) -> Result<Vec<Token>, Fault> {
    match value.inside(text) {
        Some(base) => lex(text, base),
        // With escapes in it, places inside are not those of the file: the whole text is shown.
        None => {
            let mut tokens = lex(text, 0).map_err(|f| Fault { span: at, ..f })?;
            tokens.iter_mut().for_each(|t| t.span = at);
            Ok(tokens)
        }
    }
}

#[cfg(test)]
mod tests;
