//! From what a pickle holds to named tensors: which part of a checkpoint are the weights, and views of storages as tensors.

use super::Checkpoint;
use super::pickle::{Machine, View};
use super::value::{Id, Node, Value};
use crate::error::element_count;
use crate::{Error, Result};
use gabor_tensor::{Rule, Tensor, Weights};
use std::collections::HashMap;

/// Entries that hold the weights of a checkpoint, the first that is there.
const PARTS: &[&str] = &[
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "model_ema",
    "state_dict_ema",
    "ema_state_dict",
    "ema",
];
/// Deepest nesting of dictionaries.
const MAX_DEPTH: usize = 8;
/// How often each element of a file may stand in its tensors: tied weights do twice.
const MAX_SHARING: usize = 4;

/// The bytes of storages by their keys.
pub(super) struct Buffers<'a> {
    pub(super) data: HashMap<&'a [u8], &'a [u8]>,
    /// Whether the most significant byte of a number stands first.
    pub(super) big: bool,
}

impl Buffers<'_> {
    pub(super) fn checkpoint(&self, machine: &Machine<'_>, value: Value<'_>) -> Result<Checkpoint> {
        let Value::Map(id) = value else {
            let rule = Rule::new(format!("the file holds {}", value.kind()));
            return Err(Error::new("PyTorch file", rule.right("a dictionary of tensors: model.state_dict()")));
        };
        let (path, id) = choose(machine, id)?;
        let mut found = Vec::new();
        let mut budget = Budget { names: 1 << 16, tensors: machine.tensors.len().saturating_mul(2).saturating_add(16) };
        budget.names += machine.tensors.len().saturating_mul(512);
        flatten(machine, id, "", 0, &mut found, &mut budget)?;
        let kept: usize = self.data.values().map(|d| d.len()).sum();
        let mut left = kept.saturating_mul(MAX_SHARING).saturating_add(1 << 16);
        let mut weights = Weights::new();
        for (name, tensor) in found {
            let view = &machine.tensors[tensor];
            let made = self.tensor(machine, view, &mut left);
            weights.insert(name.clone(), made.map_err(|rule| Error::new(format!("tensor `{name}`"), rule))?);
        }
        let others = entries(machine, value).filter(|k| path.first() != Some(k)).take(64).collect();
        let others = if path.is_empty() { Vec::new() } else { others };
        Ok(Checkpoint { weights, part: (!path.is_empty()).then(|| path.join(".")), others })
    }

    /// The elements of a view, gathered where it is not contiguous.
    fn tensor(&self, machine: &Machine<'_>, view: &View, left: &mut usize) -> Result<Tensor, Rule> {
        let View { storage, element, offset, shape, strides } = view;
        let storage = &machine.storages[*storage];
        let bytes = *self.data.get(storage.key).ok_or_else(|| {
            Rule::new(format!("its storage `{}` is not in the file", String::from_utf8_lossy(storage.key)))
        })?;
        let size = element.size();
        let declared = storage.len.checked_mul(storage.element.map_or(1, |e| e.size()));
        let held = bytes.len() / size;
        let count = element_count(shape, size)?;
        let beyond = || {
            let rule = format!("shape {shape:?} with strides {strides:?} from {offset} on reaches beyond its storage");
            Rule::new(rule).right(format!("within {held} elements"))
        };
        if declared.is_none_or(|n| n > bytes.len()) {
            let rule = Rule::new(format!("its storage is said to hold {} elements", storage.len));
            return Err(rule.right(format!("{held}, which are there")));
        }
        let first = offset.checked_add(storage.shift).ok_or_else(beyond)?;
        let mut steps = shape.iter().zip(strides).map(|(&d, &s)| d.saturating_sub(1).checked_mul(s));
        let last = steps.try_fold(first, |a, b| a.checked_add(b?)).ok_or_else(beyond)?;
        if count == 0 {
            return element.tensor(shape, &[]);
        }
        if last >= held {
            return Err(beyond());
        }
        *left = left.checked_sub(count * size).ok_or_else(|| {
            Rule::new(format!("the tensors hold each number of the file more than {MAX_SHARING} times"))
        })?;
        if !self.big && is_contiguous(shape, strides) {
            return element.tensor(shape, &bytes[first * size..(first + count) * size]);
        }
        let mut gathered = Vec::with_capacity(count * size);
        let mut index = vec![0; shape.len()];
        let mut at = first;
        for _ in 0..count {
            let from = gathered.len();
            gathered.extend_from_slice(&bytes[at * size..(at + 1) * size]);
            if self.big {
                gathered[from..].reverse();
            }
            for axis in (0..shape.len()).rev().filter(|&axis| shape[axis] > 1) {
                index[axis] += 1;
                at += strides[axis];
                if index[axis] < shape[axis] {
                    break;
                }
                at -= strides[axis] * shape[axis];
                index[axis] = 0;
            }
        }
        element.tensor(shape, &gathered)
    }
}

/// Whether the elements stand in the order of a row-major tensor; strides of axes of one element do not matter.
fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut want = 1;
    shape.iter().zip(strides).rev().all(|(&d, &s)| {
        let fits = d == 1 || s == want;
        want *= d;
        fits
    })
}

fn pairs<'m, 'a>(machine: &'m Machine<'a>, id: Id) -> &'m [(Value<'a>, Value<'a>)] {
    match &machine.nodes[id] {
        Node::Map(pairs) => pairs,
        Node::Items(_) => &[],
    }
}

fn key(v: Value<'_>) -> Option<String> {
    match v {
        Value::Text(t) if t.len() <= 1024 => Some(String::from_utf8_lossy(t).into_owned()),
        Value::Int(n) => Some(n.to_string()),
        _ => None,
    }
}

fn entries(machine: &Machine<'_>, v: Value<'_>) -> impl Iterator<Item = String> {
    let all = if let Value::Map(id) = v { pairs(machine, id) } else { &[] };
    all.iter().filter_map(|p| key(p.0))
}

/// The dictionary that holds the weights, and the keys that lead to it.
fn choose(machine: &Machine<'_>, mut id: Id) -> Result<(Vec<String>, Id)> {
    let mut path = Vec::new();
    for _ in 0..MAX_DEPTH {
        let all = pairs(machine, id);
        // Tensors stand here already, or the names of their modules do.
        if all.iter().any(|p| matches!(p.1, Value::Tensor(_))) {
            return Ok((path, id));
        }
        let child = |name: &str| {
            all.iter().rev().find_map(|p| match p {
                (Value::Text(t), Value::Map(child)) if *t == name.as_bytes() => Some(*child),
                _ => None,
            })
        };
        let known = PARTS.iter().find_map(|&name| Some((name.to_string(), child(name)?)));
        // Without a known name: the only dictionary with tensors in it.
        let only = || {
            let holds = |id: Id| pairs(machine, id).iter().any(|p| matches!(p.1, Value::Tensor(_)));
            let mut maps = all.iter().filter_map(|p| match p {
                (k, Value::Map(child)) if holds(*child) => Some((key(*k)?, *child)),
                _ => None,
            });
            maps.next().filter(|_| maps.next().is_none())
        };
        match known.or_else(only) {
            Some((name, child)) => {
                path.push(name);
                id = child;
            }
            None => break,
        }
    }
    let names: Vec<String> = pairs(machine, id).iter().filter_map(|p| key(p.0)).take(12).collect();
    let names = if names.is_empty() { "nothing".into() } else { format!("{} …", names.join(", ")) };
    let rule = Rule::new(format!("the file holds no weights, but {names}"));
    Err(Error::new("PyTorch file", rule.right("tensors by name, at the top or under `state_dict` or `model`")))
}

/// What may still be collected; a pickle can name a dictionary within itself many times.
struct Budget {
    names: usize,
    tensors: usize,
}

fn flatten(
    machine: &Machine<'_>,
    id: Id,
    prefix: &str,
    depth: usize,
    found: &mut Vec<(String, Id)>,
    budget: &mut Budget,
) -> Result<()> {
    let much = || Error::new("PyTorch file", Rule::new("dictionaries that hold each other without end"));
    for &(k, v) in pairs(machine, id) {
        budget.names = budget.names.checked_sub(1 + prefix.len()).ok_or_else(much)?;
        let Some(k) = key(k) else { continue };
        let name = if prefix.is_empty() { k } else { format!("{prefix}.{k}") };
        match v {
            Value::Tensor(t) => {
                budget.tensors = budget.tensors.checked_sub(1).ok_or_else(much)?;
                found.push((name, t));
            }
            Value::Map(child) if depth < MAX_DEPTH => flatten(machine, child, &name, depth + 1, found, budget)?,
            Value::Map(_) => return Err(much()),
            _ => {}
        }
    }
    Ok(())
}
