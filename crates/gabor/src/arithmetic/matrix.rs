//! Numbers in a row or in rows, as they are typed.

use crate::{Error, Result};
use gabor_tensor::{Rule, Stream};
use std::str::FromStr;

/// Numbers in one or two dimensions, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// One or two extents.
    pub shape: Vec<usize>,
    /// The numbers.
    pub values: Vec<f64>,
}

/// Most numbers that are read.
const MOST: usize = 1 << 16;

impl FromStr for Matrix {
    type Err = Rule;
    /// `1,0,2` is a row, `1,0; 2,3` and `[[1,0],[2,3]]` are rows.
    fn from_str(text: &str) -> Result<Self, Rule> {
        let wrong =
            |what: String| Rule::new(what).right("numbers such as 1,0,2 or rows such as [[1,0],[2,3]] or 1,0; 2,3");
        let compact: String = text.trim().to_string();
        let rows: Vec<String> = if let Some(inner) = compact.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(|| wrong(format!("`{text}` has no closing bracket")))?;
            if inner.trim_start().starts_with('[') {
                let inner = inner.trim();
                let body = inner.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
                let body = body.ok_or_else(|| wrong(format!("`{text}` has no closing bracket")))?;
                // Between two rows stands `], [` with any space.
                let mut rows = Vec::new();
                for (i, part) in body.split(']').enumerate() {
                    let part = part.trim();
                    let row = if i == 0 {
                        Some(part)
                    } else {
                        part.strip_prefix(',').and_then(|p| p.trim_start().strip_prefix('['))
                    };
                    rows.push(row.ok_or_else(|| wrong(format!("`{text}` is no list of rows")))?.to_string());
                }
                rows
            } else {
                vec![inner.to_string()]
            }
        } else {
            compact.split(';').filter(|r| !r.trim().is_empty()).map(str::to_string).collect()
        };
        let number = |word: &str| {
            let value = word.replace('−', "-").parse::<f64>().ok().filter(|v| v.is_finite());
            value.ok_or_else(|| wrong(format!("`{word}` is no number")))
        };
        let mut values = Vec::new();
        let mut columns = None;
        for row in &rows {
            let words = row.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty());
            let before = values.len();
            for word in words {
                values.push(number(word)?);
            }
            let count = values.len() - before;
            if values.len() > MOST {
                return Err(wrong(format!("more than {MOST} numbers")));
            }
            if *columns.get_or_insert(count) != count {
                return Err(wrong(format!("a row of {count} numbers after one of {}", columns.unwrap_or(0))));
            }
        }
        let columns = columns.filter(|&c| c > 0).ok_or_else(|| wrong("there are no numbers".into()))?;
        // `[[1, 2]]` is one row of a matrix, `[1, 2]` a row alone.
        let flat = rows.len() == 1 && !compact.starts_with("[[") && !compact.replace(' ', "").starts_with("[[");
        Ok(Matrix { shape: if flat { vec![columns] } else { vec![rows.len(), columns] }, values })
    }
}

impl Matrix {
    /// Small whole numbers from 0, below `below`, not all of them 0.
    pub(crate) fn small(shape: &[usize], mut stream: Stream, below: usize) -> Self {
        let mut values: Vec<f64> = (0..shape.iter().product()).map(|_| stream.below(below) as f64).collect();
        if values.iter().all(|&v| v == 0.0) {
            values.iter_mut().take(1).for_each(|v| *v = 1.0);
        }
        Matrix { shape: shape.to_vec(), values }
    }
    /// The number at an index.
    ///
    /// # Panics
    /// An index beyond the extents.
    pub fn at(&self, index: &[usize]) -> f64 {
        self.values[index.iter().zip(&self.shape).fold(0, |at, (&i, &n)| at * n + i)]
    }
    /// The same numbers in other extents; a row alone fits any.
    pub(crate) fn reshaped(&self, shape: &[usize], name: &str) -> Result<Self> {
        if self.shape == shape || (self.shape.len() == 1 && self.values.len() == shape.iter().product::<usize>()) {
            return Ok(Matrix { shape: shape.to_vec(), values: self.values.clone() });
        }
        let sizes = |s: &[usize]| s.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
        let rule =
            Rule::new(format!("{} numbers ({}) for extents {}", self.values.len(), sizes(&self.shape), sizes(shape)));
        Err(Error::new(name, rule.right(format!("{} numbers", shape.iter().product::<usize>()))))
    }
}
