//! Names that stand for a number or for a part of a network.

use super::error::Fault;
use super::lex::{Sign, Token};
use super::tree::{Definition, Definitions, MOST_REPEATS};
use super::words;
use gabor_tensor::Rule;

/// Most names of one description.
const MOST_NAMES: usize = 1000;

/// Reads `where N=2, block=[…]`, the tokens from `where` on.
pub(super) fn read(tokens: &[Token], definitions: &mut Definitions) -> Result<(), Fault> {
    let begins = |i: usize| {
        matches!(tokens.get(i), Some(Token { sign: Sign::Word(_), .. }))
            && matches!(tokens.get(i + 1), Some(Token { sign: Sign::Equals, .. }))
    };
    let mut at = 1;
    if tokens.len() == 1 {
        let rule = Rule::new("nothing follows `where`").right("where N=2, M=3");
        return Err(Fault::at(tokens[0].span, rule));
    }
    while let Some(token) = tokens.get(at) {
        if token.sign == Sign::Comma {
            at += 1;
            continue;
        }
        let (Sign::Word(name), true) = (&token.sign, begins(at)) else {
            return Err(Fault::at(token.span, Rule::new("after `where` stand names").right("where N=2, M=3")));
        };
        let end = (at + 2..tokens.len()).find(|&i| begins(i)).unwrap_or(tokens.len());
        let body = &tokens[at + 2..end];
        let last = body.iter().rposition(|t| t.sign != Sign::Comma).map_or(0, |i| i + 1);
        add(name, token, &body[..last], definitions)?;
        at = end;
    }
    Ok(())
}

/// Adds a name; `token` is its place.
pub(super) fn add(name: &str, token: &Token, body: &[Token], definitions: &mut Definitions) -> Result<(), Fault> {
    let fault = |rule: Rule| Fault::at(token.span, rule);
    check_name(name).map_err(fault)?;
    if definitions.len() >= MOST_NAMES {
        return Err(fault(Rule::new(format!("more than {MOST_NAMES} names"))));
    }
    let definition = match body {
        [] => return Err(fault(Rule::new(format!("`{name}` is given no meaning")).right(format!("{name}=2")))),
        [Token { sign: Sign::Word(w), span }] if w.bytes().all(|b| b.is_ascii_digit()) => {
            let times = w.parse().ok().filter(|&n| n <= MOST_REPEATS).ok_or_else(|| {
                Fault::at(
                    *span,
                    Rule::new(format!("{} repeats", words::shown(w))).right(format!("at most {MOST_REPEATS}")),
                )
            })?;
            Definition::Number(times)
        }
        tokens => Definition::Block(super::phrase::join(tokens.to_vec())),
    };
    match definitions.insert(name.to_string(), definition) {
        Some(_) => Err(fault(Rule::new(format!("`{name}` has a meaning already")).right("each name once"))),
        None => Ok(()),
    }
}

/// Whether a name can be told from the words of the notation.
fn check_name(name: &str) -> Result<(), Rule> {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 40
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !plain {
        let rule = Rule::new(format!("`{}` cannot be a name", words::shown(name)));
        return Err(rule.right("at most 40 letters, digits and `_`, a letter first"));
    }
    const SIGNS: &[&str] =
        &["where", "res", "residual", "add", "sum", "mul", "scale", "concat", "same", "valid", "ceil"];
    if words::layer(name).is_ok() || SIGNS.contains(&name) {
        return Err(Rule::new(format!("`{name}` is a word of the notation already")).right("another name"));
    }
    Ok(())
}
