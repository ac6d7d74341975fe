//! Pickle, read as data: a stack, a memo and a closed list of instructions. Nothing is called; [`global`] says what a name may
//! mean. Source: CPython's `pickletools`, protocols 0 to 5.
//!
//! A value costs at least a byte of the file, and what is copied is counted, so memory and time follow the file's size.

use super::value::{Global, Id, Node, Value, global};
use crate::elements::Element;
use gabor_tensor::Rule;
use std::collections::HashMap;

/// Most axes of a tensor.
const MAX_RANK: usize = 16;

/// Numbers that a tensor is a view of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage<'a> {
    /// Its name in the file.
    pub(super) key: &'a [u8],
    /// The type of its elements; none for bytes.
    pub(super) element: Option<Element>,
    /// Elements, or bytes where it has no type.
    pub(super) len: usize,
    /// Where the view of it begins that the tensor is a view of.
    pub(super) shift: usize,
}

/// A view of a storage.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) storage: Id,
    pub(super) element: Element,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// A machine that reads pickles, one after the other.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    stack: Vec<Value<'a>>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value<'a>>,
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) storages: Vec<Storage<'a>>,
    pub(super) tensors: Vec<View>,
    /// Values that may still be copied.
    budget: usize,
}

type Step<T = ()> = Result<T, Rule>;

fn cut() -> Rule {
    Rule::new("the pickle ends early: the file is cut off or damaged").right("the whole file")
}

fn broken(what: &str) -> Rule {
    Rule::new(format!("the pickle is damaged: {what}"))
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Machine {
            bytes,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            nodes: Vec::new(),
            storages: Vec::new(),
            tensors: Vec::new(),
            budget: bytes.len(),
        }
    }
    /// The next pickle's value.
    pub(super) fn load(&mut self) -> Step<Value<'a>> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        loop {
            let op = self.byte()?;
            if op == b'.' {
                return self.pop();
            }
            self.step(op)?;
        }
    }
    /// The next `n` bytes.
    pub(super) fn take(&mut self, n: usize) -> Step<&'a [u8]> {
        let end = self.at.checked_add(n).ok_or_else(cut)?;
        let part = self.bytes.get(self.at..end).ok_or_else(cut)?;
        self.at = end;
        Ok(part)
    }

    fn step(&mut self, op: u8) -> Step {
        let value = match op {
            // Protocol and frames: no values.
            0x80 => return self.take(1).map(|_| ()),
            0x95 => return self.take(8).map(|_| ()),
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(());
            }
            b'0' => {
                // A mark is popped like a value.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                    return Ok(());
                }
                return self.pop().map(|_| ());
            }
            b'1' => return self.above_mark().map(|_| ()),
            b'2' => self.top()?,
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(self.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            b'I' | b'L' => whole(self.line()?)?,
            0x8a => {
                let n = self.byte()?.into();
                wide(self.take(n)?)
            }
            0x8b => {
                let n = self.length4()?;
                wide(self.take(n)?)
            }
            b'F' => {
                self.line()?;
                Value::Other
            }
            b'G' => {
                self.take(8)?;
                Value::Other
            }
            b'U' | 0x8c | b'C' => {
                let n = self.byte()?.into();
                Value::Text(self.take(n)?)
            }
            b'T' | b'X' | b'B' => {
                let n = self.length4()?;
                Value::Text(self.take(n)?)
            }
            0x8d | 0x8e => {
                let n = usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| cut())?;
                Value::Text(self.take(n)?)
            }
            b'V' => Value::Text(plain(self.line()?)?),
            b'S' => {
                let line = self.line()?;
                let inner = line.split_first().and_then(|(quote, rest)| rest.strip_suffix(&[*quote]));
                Value::Text(plain(inner.ok_or_else(|| broken("a text without quotes"))?)?)
            }
            b')' => self.items(Vec::new()),
            0x85..=0x87 => {
                let n = usize::from(op - 0x84);
                let from = self.stack.len().checked_sub(n).filter(|&f| self.marks.last().is_none_or(|&m| m <= f));
                let items = self.stack.split_off(from.ok_or_else(|| broken("a tuple of too few values"))?);
                self.items(items)
            }
            b't' | b'l' => {
                let items = self.above_mark()?;
                self.items(items)
            }
            b']' => self.items(Vec::new()),
            b'}' => self.map(Vec::new()),
            b'd' => {
                let items = self.above_mark()?;
                let pairs = pairs(items)?;
                self.map(pairs)
            }
            0x8f => Value::Other,
            0x91 => {
                self.above_mark()?;
                Value::Other
            }
            // Items of a set, which nobody asks for.
            0x90 => return self.above_mark().map(|_| ()),
            b'a' => {
                let item = self.pop()?;
                return self.append(vec![item]);
            }
            b'e' => {
                let items = self.above_mark()?;
                return self.append(items);
            }
            b's' => {
                let (v, k) = (self.pop()?, self.pop()?);
                return self.set(vec![(k, v)]);
            }
            b'u' => {
                let items = self.above_mark()?;
                return self.set(pairs(items)?);
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                Value::Global(global(module, name)?)
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => Value::Global(global(module, name)?),
                _ => return Err(broken("a name that is no text")),
            },
            b'R' | 0x81 => {
                let (args, f) = (self.pop()?, self.pop()?);
                self.reduce(f, args)?
            }
            // State of what was made: of dictionaries and parameters, no part of the numbers.
            b'b' => {
                self.pop()?;
                return match self.top()? {
                    Value::Map(_) | Value::Tensor(_) | Value::Other => Ok(()),
                    other => Err(broken(&format!("state of {}", other.kind()))),
                };
            }
            b'Q' => {
                let id = self.pop()?;
                self.persistent(id)?
            }
            b'q' => {
                let n = self.byte()?.into();
                return self.put(n);
            }
            b'r' => {
                let n = self.length4()?;
                return self.put(n);
            }
            b'p' => {
                let n = self.number()?;
                return self.put(n);
            }
            0x94 => return self.put(self.memo.len()),
            b'h' => {
                let n = self.byte()?.into();
                self.get(n)?
            }
            b'j' => {
                let n = self.length4()?;
                self.get(n)?
            }
            b'g' => {
                let n = self.number()?;
                self.get(n)?
            }
            _ => {
                let place = self.at - 1;
                let rule = format!("the instruction {op:#04x} at byte {place} of the pickle has no place in weights");
                return Err(Rule::new(rule).right("weights alone, as torch.save(model.state_dict(), FILE) writes them"));
            }
        };
        self.stack.push(value);
        Ok(())
    }

    fn byte(&mut self) -> Step<u8> {
        Ok(self.array::<1>()?[0])
    }
    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| cut())
    }
    fn length4(&mut self) -> Step<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| cut())
    }
    fn line(&mut self) -> Step<&'a [u8]> {
        let n = self.bytes[self.at..].iter().position(|&b| b == b'\n').ok_or_else(cut)?;
        let line = self.take(n + 1)?;
        Ok(&line[..n])
    }
    fn number(&mut self) -> Step<usize> {
        let line = self.line()?;
        std::str::from_utf8(line).ok().and_then(|t| t.parse().ok()).ok_or_else(|| broken("a place that is no number"))
    }
    fn pop(&mut self) -> Step<Value<'a>> {
        if self.marks.last() == Some(&self.stack.len()) {
            return Err(broken("a value is missing"));
        }
        self.stack.pop().ok_or_else(|| broken("a value is missing"))
    }
    fn top(&self) -> Step<Value<'a>> {
        self.stack.last().copied().ok_or_else(|| broken("a value is missing"))
    }
    fn above_mark(&mut self) -> Step<Vec<Value<'a>>> {
        let mark = self.marks.pop().ok_or_else(|| broken("a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }
    fn items(&mut self, items: Vec<Value<'a>>) -> Value<'a> {
        self.nodes.push(Node::Items(items));
        Value::Items(self.nodes.len() - 1)
    }
    fn map(&mut self, pairs: Vec<(Value<'a>, Value<'a>)>) -> Value<'a> {
        self.nodes.push(Node::Map(pairs));
        Value::Map(self.nodes.len() - 1)
    }
    fn append(&mut self, more: Vec<Value<'a>>) -> Step {
        match self.top()? {
            Value::Items(id) => {
                if let Node::Items(items) = &mut self.nodes[id] {
                    items.extend(more);
                }
                Ok(())
            }
            Value::Other => Ok(()),
            other => Err(broken(&format!("items for {}", other.kind()))),
        }
    }
    fn set(&mut self, more: Vec<(Value<'a>, Value<'a>)>) -> Step {
        match self.top()? {
            Value::Map(id) => {
                if let Node::Map(pairs) = &mut self.nodes[id] {
                    pairs.extend(more);
                }
                Ok(())
            }
            Value::Other => Ok(()),
            other => Err(broken(&format!("entries for {}", other.kind()))),
        }
    }
    fn put(&mut self, n: usize) -> Step {
        let top = self.top()?;
        self.memo.insert(n, top);
        Ok(())
    }
    fn get(&self, n: usize) -> Step<Value<'a>> {
        self.memo.get(&n).copied().ok_or_else(|| broken("a value is asked for that was never kept"))
    }
    /// The values of a tuple or list, copied: so many in all as the file has bytes.
    pub(super) fn list(&mut self, v: Value<'a>) -> Step<Vec<Value<'a>>> {
        let Value::Items(id) = v else { return Err(broken(&format!("{} where a list is wanted", v.kind()))) };
        let Node::Items(items) = &self.nodes[id] else { return Err(broken("a dictionary where a list is wanted")) };
        self.budget = (self.budget.checked_sub(items.len()))
            .ok_or_else(|| Rule::new("the pickle copies more values than the file has bytes"))?;
        Ok(items.clone())
    }
    fn extents(&mut self, v: Value<'a>) -> Step<Vec<usize>> {
        let items = self.list(v)?;
        if items.len() > MAX_RANK {
            return Err(Rule::new(format!("a tensor of {} axes", items.len())).right(format!("at most {MAX_RANK}")));
        }
        items.into_iter().map(size).collect()
    }
    fn reduce(&mut self, f: Value<'a>, args: Value<'a>) -> Step<Value<'a>> {
        let Value::Global(g) = f else { return Err(broken(&format!("{} is called", f.kind()))) };
        let args = self.list(args)?;
        let few = || broken("too few arguments");
        match (g, args.as_slice()) {
            (Global::Tensor, &[storage, offset, shape, strides, ..]) => {
                self.tensor(storage, None, offset, shape, strides)
            }
            (Global::TypedTensor, &[storage, offset, shape, strides, _, _, dtype, ..]) => {
                self.tensor(storage, Some(dtype), offset, shape, strides)
            }
            (Global::First | Global::Size, &[first, ..]) => Ok(first),
            (Global::Size, []) => Ok(self.items(Vec::new())),
            (Global::FromType, &[f @ Value::Global(Global::Tensor | Global::TypedTensor), _, args, ..]) => {
                self.reduce(f, args)
            }
            (Global::Map, args) => {
                // Python 2 gives the entries as a list of pairs.
                let mut pairs = Vec::new();
                if let Some(&list @ Value::Items(_)) = args.first() {
                    for pair in self.list(list)? {
                        match self.list(pair)?.as_slice() {
                            &[k, v] => pairs.push((k, v)),
                            _ => return Err(broken("an entry of a dictionary that is no pair")),
                        }
                    }
                }
                if let Some(&map @ Value::Map(_)) = args.first() {
                    return Ok(map);
                }
                Ok(self.map(pairs))
            }
            (Global::Strange(dtype), _) => Err(strange(dtype)),
            (Global::Other | Global::Storage(_), _) => Ok(Value::Other),
            _ => Err(few()),
        }
    }
    fn tensor(
        &mut self,
        storage: Value<'a>,
        dtype: Option<Value<'a>>,
        offset: Value<'a>,
        shape: Value<'a>,
        strides: Value<'a>,
    ) -> Step<Value<'a>> {
        let Value::Storage(id) = storage else {
            return Err(broken(&format!("a tensor of {}", storage.kind())));
        };
        let element = match (dtype, self.storages[id].element) {
            (None, Some(element)) => element,
            (Some(Value::Global(Global::Type(element))), _) => element,
            (Some(Value::Global(Global::Strange(dtype))), _) => return Err(strange(dtype)),
            _ => return Err(broken("a tensor without an element type")),
        };
        let (offset, shape, strides) = (size(offset)?, self.extents(shape)?, self.extents(strides)?);
        if shape.len() != strides.len() {
            return Err(broken(&format!("a tensor of shape {shape:?} with strides {strides:?}")));
        }
        self.tensors.push(View { storage: id, element, offset, shape, strides });
        Ok(Value::Tensor(self.tensors.len() - 1))
    }
    /// `('storage', class, key, location, length)`, in files of the old kind with a view of another storage.
    fn persistent(&mut self, id: Value<'a>) -> Step<Value<'a>> {
        let parts = self.list(id)?;
        let (class, key, len, view) = match *parts.as_slice() {
            [Value::Text(b"storage"), Value::Global(class), Value::Text(key), _, len] => (class, key, len, Value::None),
            [Value::Text(b"storage"), Value::Global(class), Value::Text(key), _, len, view] => (class, key, len, view),
            _ => return Err(broken("a reference to something that is no storage")),
        };
        let element = match class {
            Global::Storage(element) => element,
            Global::Strange(dtype) => return Err(strange(dtype)),
            _ => return Err(broken("a storage of an unknown class")),
        };
        let shift = match view {
            Value::None => 0,
            view => match self.list(view)?.as_slice() {
                &[_, offset, _] => size(offset)?,
                _ => return Err(broken("a view that is no triple")),
            },
        };
        self.storages.push(Storage { key, element, len: size(len)?, shift });
        Ok(Value::Storage(self.storages.len() - 1))
    }
}

fn strange(dtype: &str) -> Rule {
    Rule::new(format!("a tensor of {dtype}")).right("floats of 16 to 64 bits, whole numbers or booleans")
}

/// A number of elements.
fn size(v: Value<'_>) -> Step<usize> {
    match v {
        Value::Int(n) => {
            usize::try_from(n).map_err(|_| Rule::new(format!("a size, stride or offset of {n}")).right("none below 0"))
        }
        other => Err(broken(&format!("{} where a number is wanted", other.kind()))),
    }
}

fn pairs<'a>(items: Vec<Value<'a>>) -> Step<Vec<(Value<'a>, Value<'a>)>> {
    let (pairs, []) = items.as_chunks::<2>() else { return Err(broken("a key without a value")) };
    Ok(pairs.iter().map(|&[k, v]| (k, v)).collect())
}

/// A little-endian number in two's complement.
fn wide(b: &[u8]) -> Value<'_> {
    if b.len() > 8 {
        return Value::Wide(b);
    }
    let sign = if b.last().is_some_and(|&b| b >= 0x80) { 0xFF } else { 0 };
    let mut all = [sign; 8];
    all[..b.len()].copy_from_slice(b);
    Value::Int(i64::from_le_bytes(all))
}

/// A number as text; `00` and `01` are booleans.
fn whole(line: &[u8]) -> Step<Value<'_>> {
    let text = std::str::from_utf8(line).unwrap_or("").trim_end_matches('L');
    match text {
        "00" => Ok(Value::Bool(false)),
        "01" => Ok(Value::Bool(true)),
        _ => text.parse().map(Value::Int).or_else(|_| {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            if number { Ok(Value::Other) } else { Err(broken("a whole number that is none")) }
        }),
    }
}

fn plain(text: &[u8]) -> Step<&[u8]> {
    if text.contains(&b'\\') { Err(broken("a text with escapes, which weights do not need")) } else { Ok(text) }
}
