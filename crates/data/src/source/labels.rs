//! Labels as they are written: names or numbers, of which classes are made when all have been seen.

use super::folder::shortened;
use crate::Error;
use gabor_tensor::Rule;
use std::collections::HashMap;

/// The different texts of labels, each with the place where it was first seen.
#[derive(Default)]
pub(super) struct Labels {
    texts: Vec<(String, String)>,
    index: HashMap<String, u32>,
}

/// What a text that is a number means beside a list of class names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A name if there is such a name, else the number of one.
    Name,
    /// The number of a name, else a name.
    Number,
}

/// Class names, and the class of every text.
pub(super) type Classes = (Vec<String>, Vec<u32>);

impl Labels {
    /// The number of a text; `place` says where it stands.
    pub fn add(&mut self, text: &str, place: impl FnOnce() -> String) -> u32 {
        if let Some(&i) = self.index.get(text) {
            return i;
        }
        let i = self.texts.len() as u32;
        self.texts.push((text.into(), place()));
        self.index.insert(text.into(), i);
        i
    }
    /// Where a text was first seen.
    pub fn place_of(&self, text: &str) -> Option<String> {
        self.index.get(text).map(|&i| self.texts[i as usize].1.clone())
    }
    /// The classes: with names, texts are names or numbers of them as `meaning` says; without, numbers alone are classes 0 up to the
    /// largest, and other texts are names, which are sorted.
    pub fn classes(&self, names: Option<Vec<String>>, meaning: Meaning) -> Result<Classes, Error> {
        // A number with a leading zero is a name.
        let number = |t: &str| t.parse::<u32>().ok().filter(|n| n.to_string() == t);
        if let Some(names) = names {
            let index: HashMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
            let mut of_text = Vec::new();
            for (text, place) in &self.texts {
                let named = index.get(text.as_str()).copied();
                let numbered = number(text).filter(|&n| (n as usize) < names.len());
                let found = match meaning {
                    Meaning::Name => named.or(numbered),
                    Meaning::Number => numbered.or(named),
                };
                of_text.push(found.ok_or_else(|| {
                    Error::new(
                        place.clone(),
                        Rule::new(format!("label {text} is not among the {} classes of classes.txt", names.len()))
                            .right(format!("one of {}, or a number below {}", shortened(&names), names.len())),
                    )
                })?);
            }
            return Ok((names, of_text));
        }
        if let Some(numbers) = self.texts.iter().map(|t| number(&t.0)).collect::<Option<Vec<u32>>>() {
            // As for IDX: one label far beyond the others is a mistake and not hundreds of empty classes.
            let bound = 2 * numbers.len() as u64;
            if let Some(i) = numbers.iter().position(|&n| u64::from(n) >= bound) {
                return Err(Error::new(
                    self.texts[i].1.clone(),
                    Rule::new(format!("label {} is out of range", numbers[i]))
                        .given(format!("{} different labels", numbers.len()))
                        .right(format!("labels below {bound}, twice the number of different ones; or a classes.txt")),
                ));
            }
            let largest = numbers.iter().max().copied().unwrap_or(0);
            return Ok(((0..=largest).map(|n| n.to_string()).collect(), numbers));
        }
        let mut names: Vec<String> = self.texts.iter().map(|t| t.0.clone()).collect();
        names.sort();
        let index: HashMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
        let of_text = self.texts.iter().map(|t| index[t.0.as_str()]).collect();
        Ok((names, of_text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_numbers() {
        let mut labels = Labels::default();
        for t in ["1", "0", "2"] {
            labels.add(t, || "here".into());
        }
        let names = || Some(["1", "2", "0"].map(String::from).to_vec());
        assert_eq!(labels.classes(names(), Meaning::Name).unwrap().1, [0, 2, 1]);
        assert_eq!(labels.classes(names(), Meaning::Number).unwrap().1, [1, 0, 2]);
    }
}
