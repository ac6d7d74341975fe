//! What may stand after a convolution or pooling.

use super::words::{ConvKind, Layer, MOST_FILTERS, number, shown};
use gabor_tensor::{PadMode, Rule};

/// Largest stride, padding, dilation.
pub(super) const MOST_OPTION: usize = 1 << 10;

/// Padding as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pad {
    /// Elements on both sides, one number for all dimensions or one for each.
    Numbers(Vec<usize>),
    Same,
}

/// Options as written; what is empty or `None` was not said. Lists hold one number for all dimensions or one for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub stride: Vec<usize>,
    pub pad: Option<Pad>,
    pub dilation: Vec<usize>,
    pub groups: Option<usize>,
    pub no_bias: bool,
    pub ceil: bool,
    /// Said in tables alone, as the three that follow.
    pub output_padding: Vec<usize>,
    pub pad_mode: Option<PadMode>,
    pub count_exclude_pad: bool,
}

impl Options {
    /// Reads `s2p1`, `s2x1`, `same`, `nobias` and the like; `None` if the word is no option.
    pub fn read(word: &str) -> Option<Result<Options, Rule>> {
        let mut o = Options::default();
        match word {
            "same" => o.pad = Some(Pad::Same),
            "valid" => o.pad = Some(Pad::Numbers(vec![0])),
            "nobias" => o.no_bias = true,
            "ceil" => o.ceil = true,
            _ => {
                let mut rest = word;
                let mut parts = Vec::new();
                while !rest.is_empty() {
                    let letter = rest.chars().next().filter(|c| "spgd".contains(*c))?;
                    let digits: String = rest[1..].chars().take_while(|&c| c.is_ascii_digit() || c == 'x').collect();
                    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
                        return None;
                    }
                    rest = &rest[1 + digits.len()..];
                    parts.push((letter, digits));
                }
                for (letter, digits) in &parts {
                    if let Err(rule) = o.put(*letter, digits) {
                        return Some(Err(rule));
                    }
                }
            }
        }
        Some(Ok(o))
    }
    fn put(&mut self, letter: char, digits: &str) -> Result<(), Rule> {
        let most = if letter == 'g' { MOST_FILTERS } else { MOST_OPTION };
        let least = usize::from(letter != 'p');
        let all = digits.split('x').map(|t| number(t, most)).collect::<Result<Vec<usize>, Rule>>()?;
        if all.iter().any(|&v| v < least) {
            return Err(Rule::new(format!("`{letter}{}`", shown(digits))).right("at least 1"));
        }
        if all.len() > 3 || (letter == 'g' && all.len() > 1) {
            let rule = Rule::new(format!("`{letter}{}`", shown(digits)));
            return Err(rule.right(if letter == 'g' {
                "one number"
            } else {
                "one number for each dimension, at most 3"
            }));
        }
        match letter {
            's' => self.stride = all,
            'p' => self.pad = Some(Pad::Numbers(all)),
            'g' => self.groups = Some(all[0]),
            _ => self.dilation = all,
        }
        Ok(())
    }
    /// The first thing said, by name.
    fn said(&self) -> &'static str {
        match self {
            o if !o.stride.is_empty() => "a stride",
            o if o.pad.is_some() => "a padding",
            o if o.groups.is_some() => "groups",
            o if !o.dilation.is_empty() => "a dilation",
            o if o.no_bias => "a bias",
            _ => "ceil mode",
        }
    }
}

impl Layer {
    /// Adds options that stand after the layer.
    pub fn take(&mut self, more: &Options) -> Result<(), Rule> {
        let name = self.name();
        let refuse = |what: &str| Err(Rule::new(format!("{name} has no {}", what.trim_start_matches("a "))));
        let mine = match self {
            Layer::Conv { options, kind, .. } => {
                if more.ceil {
                    return refuse("ceil mode");
                }
                if *kind == ConvKind::Depthwise && more.groups.is_some() {
                    return refuse("other groups than its channels");
                }
                options
            }
            Layer::Pool { options, .. } => {
                if more.groups.is_some() {
                    return refuse("groups");
                }
                if more.no_bias {
                    return refuse("bias");
                }
                options
            }
            Layer::Dense { bias, .. } if *more == (Options { no_bias: true, ..Options::default() }) => {
                *bias = false;
                return Ok(());
            }
            _ => {
                return refuse(more.said()).map_err(|r: Rule| {
                    r.right("s, p, g, d, same, valid, nobias and ceil after a convolution or pooling")
                });
            }
        };
        let twice = (!mine.stride.is_empty() && !more.stride.is_empty())
            || (mine.pad.is_some() && more.pad.is_some())
            || (mine.groups.is_some() && more.groups.is_some())
            || (!mine.dilation.is_empty() && !more.dilation.is_empty());
        if twice {
            return Err(Rule::new(format!("{name} has {} twice", more.said())).right("each option once"));
        }
        let either = |mine: &mut Vec<usize>, more: &Vec<usize>| {
            if mine.is_empty() {
                mine.clone_from(more);
            }
        };
        either(&mut mine.stride, &more.stride);
        either(&mut mine.dilation, &more.dilation);
        mine.pad = mine.pad.take().or(more.pad.clone());
        mine.groups = mine.groups.or(more.groups);
        mine.no_bias |= more.no_bias;
        mine.ceil |= more.ceil;
        Ok(())
    }
}
