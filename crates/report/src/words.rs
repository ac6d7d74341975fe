//! Words in pictures: how wide they are, how they are broken into lines, and names of classes as people say them.

use crate::chart::escape;
use std::collections::{HashMap, VecDeque};
use std::fmt::Write;

/// A class's name without the number of its ImageNet synset, which says nothing to people and fills the room that the name
/// needs.
///
/// ```
/// assert_eq!(gabor_report::class_name("n02106030 collie"), "collie");
/// assert_eq!(gabor_report::class_name("n02106030"), "n02106030");
/// ```
pub fn class_name(name: &str) -> &str {
    let Some((id, rest)) = name.split_once(' ') else { return name };
    let synset = id.strip_prefix('n').is_some_and(|d| d.len() == 8 && d.bytes().all(|b| b.is_ascii_digit()));
    let rest = rest.trim_start();
    if synset && !rest.is_empty() { rest } else { name }
}

/// The same where several classes stand beside each other: the whole name where another class has the same short one.
///
/// ```
/// let all = ["n02012849 crane", "n03126707 crane", "n02106030 collie"];
/// assert_eq!(gabor_report::class_name_among(all[0], &all), "n02012849 crane");
/// assert_eq!(gabor_report::class_name_among(all[2], &all), "collie");
/// ```
pub fn class_name_among<'a, S: AsRef<str>>(name: &'a str, all: &[S]) -> &'a str {
    let short = class_name(name);
    let alike = all.iter().map(S::as_ref).any(|other| other != name && class_name(other) == short);
    if alike { name } else { short }
}

/// The same of all classes.
///
/// ```
/// let all = ["n02012849 crane", "n03126707 crane", "n02106030 collie"];
/// assert_eq!(gabor_report::class_names(&all), ["n02012849 crane", "n03126707 crane", "collie"]);
/// ```
pub fn class_names<S: AsRef<str>>(all: &[S]) -> Vec<String> {
    // One look at each, since there may be very many.
    let mut uses: HashMap<&str, usize> = HashMap::new();
    all.iter().for_each(|name| *uses.entry(class_name(name.as_ref())).or_default() += 1);
    let short = |name: &S| {
        let short = class_name(name.as_ref());
        if uses[short] > 1 { name.as_ref() } else { short }.to_string()
    };
    all.iter().map(short).collect()
}

/// Average width of a letter of 1 px, where the number of letters says enough.
pub(crate) const LETTER: f64 = 0.54;

/// Width of words in a letter size, about: narrow and wide letters as in Inter, a little too much rather than too little.
pub(crate) fn width(words: &str, size: f64) -> f64 {
    let letter = |c: char| match c {
        'i' | 'l' | 'j' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' => 0.31,
        'f' | 't' | 'r' | 'I' | '(' | ')' | '[' | ']' | '/' | '-' | '·' => 0.41,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' | '→' | '—' => 0.92,
        c if c.is_ascii_uppercase() => 0.73,
        // Letters of scripts that are as wide as high.
        c if (c as u32) >= 0x1100 && c.is_alphabetic() => 1.05,
        _ => 0.63,
    };
    words.chars().map(letter).sum::<f64>() * size
}

/// Words in at most `lines` lines of a width, broken between words, or within one that is too long alone; what does not fit
/// is left out in the middle of the last line.
pub(crate) fn wrap(words: &str, room: f64, size: f64, lines: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut rest: VecDeque<String> = words.split_whitespace().map(String::from).collect();
    while let Some(mut line) = rest.pop_front() {
        if out.len() + 1 == lines.max(1) {
            let last: Vec<String> = [line].into_iter().chain(rest.drain(..)).collect();
            out.push(shorten(&last.join(" "), room, size));
            break;
        }
        if width(&line, size) > room {
            // One word that is too long: as much of it as fits, the rest in the next line.
            let ends = line.char_indices().map(|c| c.0).skip(1);
            let at = ends.take_while(|&i| width(&line[..i], size) <= room).last();
            let at = at.or_else(|| line.char_indices().nth(1).map(|c| c.0));
            if let Some(at) = at {
                rest.push_front(line.split_off(at));
            }
        } else {
            while let Some(next) = rest.front().map(|w| format!("{line} {w}")).filter(|l| width(l, size) <= room) {
                line = next;
                rest.pop_front();
            }
        }
        out.push(line);
    }
    out
}

/// Words that fit a width: the middle is left out of what is too long, since its end tells it apart.
pub(crate) fn shorten(words: &str, room: f64, size: f64) -> String {
    if width(words, size) <= room {
        return words.to_string();
    }
    let all: Vec<char> = words.chars().collect();
    let of = |kept: usize| -> String {
        let begin = kept / 3;
        all[..begin].iter().chain(&['…']).chain(&all[all.len() - (kept - begin)..]).collect()
    };
    let kept = (4..all.len()).rev().find(|&kept| width(&of(kept), size) <= room).unwrap_or(4.min(all.len()));
    of(kept)
}

/// Lines under the title of a picture: each is broken where it is longer than the picture is wide.
pub(crate) fn paragraph(lines: &[String], room: f64) -> Vec<String> {
    lines.iter().flat_map(|l| wrap(l, room, SMALL, 6)).collect()
}

/// Sizes of a title's letters: as a rule, and where a long one has to fit.
const TITLE: f64 = 20.0;
const LEAST_TITLE: f64 = 13.0;
/// Size of the letters of the lines below it.
const SMALL: f64 = 13.0;

/// A title that stays within its room: in smaller letters where it is long, without its middle where that is not enough.
pub(crate) fn title(out: &mut String, [x, y]: [f64; 2], room: f64, words: &str) {
    let size = (TITLE * room / (width(words, TITLE) * 1.06).max(1.0)).clamp(LEAST_TITLE, TITLE);
    let shown = shorten(words, room / 1.06, size);
    let style = if size < TITLE { format!(" style=\"font-size: {size:.1}px\"") } else { String::new() };
    let _ = writeln!(out, "<text class=\"h\" x=\"{x:.1}\" y=\"{y:.1}\"{style}>{}</text>", escape(&shown));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_classes_lose_their_synset() {
        let cases = [
            ("n02106030 collie", "collie"),
            ("n01443537 goldfish, Carassius auratus", "goldfish, Carassius auratus"),
            ("n0210603 collie", "n0210603 collie"),
            ("n02106030", "n02106030"),
            ("n02106030 ", "n02106030 "),
            ("night 1", "night 1"),
            ("7", "7"),
        ];
        for (name, right) in cases {
            assert_eq!(class_name(name), right);
        }
    }

    #[test]
    fn lines_are_broken_between_words() {
        let fits = |lines: &[String], room: f64| lines.iter().all(|l| width(l, 10.0) <= room);
        let text = "great white shark, white shark, man-eater";
        let two = wrap(text, 150.0, 10.0, 3);
        assert!(two.len() > 1 && fits(&two, 150.0) && two.join(" ") == text, "{two:?}");
        // What does not fit in the last line loses its middle, and keeps its end.
        let one = wrap(text, 80.0, 10.0, 2);
        assert!(one.len() == 2 && fits(&one, 80.0) && one[1].contains('…') && one[1].ends_with("eater"), "{one:?}");
        let long = wrap("aa bbbbbbbbbbbbbbbbbbbbbbbbbbbb cc", 60.0, 10.0, 9);
        assert!(fits(&long, 60.0) && long.concat().replace(' ', "") == "aabbbbbbbbbbbbbbbbbbbbbbbbbbbbcc", "{long:?}");
        assert!(wrap("", 50.0, 10.0, 2).is_empty());
        assert_eq!(wrap("ÄÖÜ", 1.0, 10.0, 1).len(), 1);
    }

    #[test]
    fn titles_stay_within_their_room() {
        let drawn = |words: &str| {
            let mut out = String::new();
            title(&mut out, [0.0, 0.0], 300.0, words);
            out
        };
        assert!(drawn("short").contains(">short<") && !drawn("short").contains("font-size"));
        let middling = "a title of forty letters, which is long";
        assert!(drawn(middling).contains("font-size") && drawn(middling).contains(middling));
        assert!(drawn(&middling.repeat(4)).contains('…'));
    }
}
