//! A node's attributes, read one by one; what is left over is an error.

use crate::onnx::proto::{AttributeProto, attr};
use crate::onnx::tensor::{self, Known};
use gabor_tensor::Rule;

/// Attributes and which of them were read.
pub(super) struct Attributes<'m> {
    list: &'m [AttributeProto<'m>],
    taken: Vec<bool>,
}

impl<'m> Attributes<'m> {
    pub(super) fn new(list: &'m [AttributeProto<'m>]) -> Self {
        Attributes { list, taken: vec![false; list.len()] }
    }
    fn take(&mut self, name: &str) -> Result<Option<&'m AttributeProto<'m>>, Rule> {
        let Some(i) = self.list.iter().position(|a| a.name == name) else { return Ok(None) };
        self.taken[i] = true;
        if !self.list[i].ref_attr_name.is_empty() {
            return Err(Rule::new(format!("attribute `{name}` refers to a function's")));
        }
        Ok(Some(&self.list[i]))
    }
    /// A whole number, if given.
    pub(super) fn maybe_int(&mut self, name: &str) -> Result<Option<i64>, Rule> {
        match self.take(name)? {
            None => Ok(None),
            // A zero may be left out where the type says that there is a number.
            Some(a) if a.i.is_some() || a.kind == attr::INT => Ok(Some(a.i.unwrap_or(0))),
            Some(a) => Err(wrong(a, "a whole number")),
        }
    }
    /// A whole number, or its default.
    pub(super) fn int(&mut self, name: &str, default: i64) -> Result<i64, Rule> {
        Ok(self.maybe_int(name)?.unwrap_or(default))
    }
    /// A switch, or its default.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> Result<bool, Rule> {
        match self.int(name, i64::from(default))? {
            0 => Ok(false),
            1 => Ok(true),
            v => Err(Rule::new(format!("attribute `{name}` is {v}")).right("0 or 1")),
        }
    }
    /// A number, if given.
    pub(super) fn maybe_float(&mut self, name: &str) -> Result<Option<f64>, Rule> {
        match self.take(name)? {
            None => Ok(None),
            Some(a) if a.f.is_some() || a.kind == attr::FLOAT => Ok(Some(f64::from(a.f.unwrap_or(0.0)))),
            Some(a) => Err(wrong(a, "a number")),
        }
    }
    /// A number, or its default.
    pub(super) fn float(&mut self, name: &str, default: f64) -> Result<f64, Rule> {
        Ok(self.maybe_float(name)?.unwrap_or(default))
    }
    /// Whole numbers, if given.
    pub(super) fn ints(&mut self, name: &str) -> Result<Option<Vec<i64>>, Rule> {
        match self.take(name)? {
            None => Ok(None),
            Some(a) if !a.ints.is_empty() || a.kind == attr::INTS => Ok(Some(a.ints.clone())),
            Some(a) => Err(wrong(a, "a list of whole numbers")),
        }
    }
    /// Whole numbers of at least 0, if given.
    pub(super) fn sizes(&mut self, name: &str) -> Result<Option<Vec<usize>>, Rule> {
        let Some(v) = self.ints(name)? else { return Ok(None) };
        let size = |&x: &i64| {
            usize::try_from(x).map_err(|_| Rule::new(format!("attribute `{name}` is {v:?}")).right("no number below 0"))
        };
        v.iter().map(size).collect::<Result<_, _>>().map(Some)
    }
    /// Numbers, if given.
    pub(super) fn floats(&mut self, name: &str) -> Result<Option<Vec<f32>>, Rule> {
        Ok(self.take(name)?.map(|a| a.floats.clone()))
    }
    /// A text, if given.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<&'m str>, Rule> {
        match self.take(name)? {
            None => Ok(None),
            Some(a) => match &a.s {
                Some(s) => std::str::from_utf8(s).map(Some).map_err(|_| wrong(a, "a text")),
                None if a.kind == attr::STRING => Ok(Some("")),
                None => Err(wrong(a, "a text")),
            },
        }
    }
    /// A tensor, if given.
    pub(super) fn tensor(&mut self, name: &str) -> Result<Option<Known>, Rule> {
        match self.take(name)? {
            None => Ok(None),
            Some(a) => tensor::read(a.t.as_ref().ok_or_else(|| wrong(a, "a tensor"))?, None).map(Some),
        }
    }
    /// Reads an attribute that has no meaning at inference.
    pub(super) fn ignore(&mut self, name: &str) -> Result<(), Rule> {
        self.take(name).map(drop)
    }
    /// An error if an attribute was not read.
    pub(super) fn finish(self, opset: i64) -> Result<(), Rule> {
        match self.list.iter().zip(&self.taken).find(|(_, taken)| !**taken) {
            None => Ok(()),
            Some((a, _)) => {
                Err(Rule::new(format!("attribute `{}` = {} has no meaning at opset {opset}", a.name, value_text(a))))
            }
        }
    }
}

fn wrong(a: &AttributeProto<'_>, right: &str) -> Rule {
    Rule::new(format!("attribute `{}` is {}", a.name, value_text(a))).right(right)
}

/// An attribute's value, for messages.
fn value_text(a: &AttributeProto<'_>) -> String {
    if let Some(v) = a.i {
        v.to_string()
    } else if let Some(v) = a.f {
        v.to_string()
    } else if let Some(s) = &a.s {
        format!("{:?}", String::from_utf8_lossy(&s[..s.len().min(64)]))
    } else if !a.ints.is_empty() {
        format!("{:?}", &a.ints[..a.ints.len().min(16)])
    } else if !a.floats.is_empty() {
        format!("{:?}", &a.floats[..a.floats.len().min(16)])
    } else if a.t.is_some() {
        "a tensor".into()
    } else if a.g.is_some() || !a.graphs.is_empty() {
        "a graph".into()
    } else {
        "empty".into()
    }
}
