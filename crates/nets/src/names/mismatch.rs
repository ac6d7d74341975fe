//! Weights that are not a network's, side by side.

use crate::nearest::nearest;
use std::fmt;

/// How many lines of each kind are printed.
const SHOWN: usize = 12;
/// How many names are searched for a near one.
const SEARCHED: usize = 4096;

/// A parameter and the file's tensor of its name, of another shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The parameter.
    pub name: String,
    /// Its shape.
    pub want: Vec<usize>,
    /// The file's name of the tensor.
    pub from: String,
    /// The tensor's shape.
    pub given: Vec<usize>,
}

/// A last layer for another number of classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its parameters.
    pub parameters: Vec<String>,
    /// Classes of the file.
    pub file: usize,
    /// Classes of the network.
    pub network: usize,
}

/// What of a file does not fit a network.
///
/// Its text has two columns, the network's and the file's:
///
/// ```text
/// resnet18: 100 of 102 tensors fit; 2 missing, 1 unexpected, 0 of another shape
///   the network wants           the file has
///   conv1.weight [64, 3, 7, 7]  conv_1.weight [64, 3, 7, 7]
///   bn1.bias [64]               –
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The network's name.
    pub network: String,
    /// Parameters that fit.
    pub matched: usize,
    /// Parameters that the file lacks, with their shapes.
    pub missing: Vec<(String, Vec<usize>)>,
    /// Tensors that the network lacks, with their shapes.
    pub unexpected: Vec<(String, Vec<usize>)>,
    /// Parameters whose tensor has another shape.
    pub wrong: Vec<Pair>,
    /// The head, if nothing but that differs.
    pub head: Option<Head>,
}

impl Mismatch {
    /// The first line: counts, or the head.
    pub fn summary(&self) -> String {
        let Mismatch { matched, missing, unexpected, wrong, .. } = self;
        if let Some(h) = &self.head {
            let names = h.parameters.join(", ");
            return format!(
                "all tensors fit but the head's ({names}): the file has {} classes, the network {}",
                h.file, h.network
            );
        }
        let all = matched + missing.len() + wrong.len();
        format!(
            "{matched} of {all} tensors fit; {} missing, {} unexpected, {} of another shape",
            missing.len(),
            unexpected.len(),
            wrong.len()
        )
    }
    /// The differences in two columns, a line each, with a heading; at most a few dozen.
    pub fn lines(&self) -> Vec<String> {
        let text = |name: &str, shape: &[usize]| format!("{name} {shape:?}");
        let mut rows: Vec<[String; 2]> = Vec::new();
        for p in self.wrong.iter().take(SHOWN) {
            rows.push([text(&p.name, &p.want), text(&p.from, &p.given)]);
        }
        // A missing parameter stands beside the unexpected tensor that it may be meant by.
        let mut used = vec![false; self.unexpected.len()];
        for (name, shape) in self.missing.iter().take(SHOWN) {
            let near = self.near(name, shape, &used);
            let other = near.map_or("–".into(), |i| {
                used[i] = true;
                let (n, s) = &self.unexpected[i];
                text(n, s)
            });
            rows.push([text(name, shape), other]);
        }
        let alone: Vec<_> = self.unexpected.iter().zip(&used).filter(|u| !u.1).map(|u| u.0).collect();
        for (name, shape) in alone.iter().take(SHOWN) {
            rows.push(["–".into(), text(name, shape)]);
        }
        let width = rows.iter().map(|r| r[0].chars().count()).max().unwrap_or(0).max(17);
        let mut out = vec![format!("{:width$}  the file has", "the network wants")];
        out.extend(rows.iter().map(|[a, b]| format!("{a:width$}  {b}")));
        let more =
            [(self.wrong.len(), "of another shape"), (self.missing.len(), "missing"), (alone.len(), "unexpected")];
        let more: Vec<String> =
            more.iter().filter(|m| m.0 > SHOWN).map(|m| format!("{} more {}", m.0 - SHOWN, m.1)).collect();
        if !more.is_empty() {
            out.push(format!("… and {}", more.join(", ")));
        }
        out
    }
    /// The unexpected tensor whose name is nearest, of the same shape where there is one.
    fn near(&self, name: &str, shape: &[usize], used: &[bool]) -> Option<usize> {
        let free = || self.unexpected.iter().enumerate().take(SEARCHED).filter(|(i, _)| !used[*i]);
        let best = |same: bool| {
            let names = free().filter(|(_, u)| !same || u.1 == shape).map(|(_, u)| u.0.as_str());
            // The last word says what it is: a weight is never meant by a bias.
            let kind = name.rsplit('.').next();
            let found = nearest(name, names.filter(|n| n.rsplit('.').next() == kind), 1);
            found.first().and_then(|n| self.unexpected.iter().position(|u| u.0 == *n))
        };
        best(true).or_else(|| best(false))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.network, self.summary())?;
        if self.head.is_none() {
            self.lines().iter().try_for_each(|l| write!(f, "\n  {l}"))?;
        }
        Ok(())
    }
}

impl std::error::Error for Mismatch {}
