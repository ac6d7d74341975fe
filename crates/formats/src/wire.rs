//! Protocol buffers, as much of them as ONNX and Caffe need: fields read from bytes and written to them.
//!
//! Messages borrow from the file, so weights are copied once, into their tensor. No message contains itself (subgraphs
//! stay bytes), so there is no recursion to bound; the number of messages and texts is bounded by [`MAX_PARTS`].
//! Source: the protocol buffers' encoding specification.

use gabor_tensor::Rule;
use std::borrow::Cow;

/// Text of a file or of a graph.
pub(crate) type Text<'a> = Cow<'a, str>;
/// Bytes of a file or of a tensor.
pub(crate) type Bytes<'a> = Cow<'a, [u8]>;

/// Most messages and texts in a file. A hundred bytes of memory can stand behind two bytes of file; this bounds them.
const MAX_PARTS: usize = 2_000_000;

/// How many messages and texts a file may still have.
pub(crate) struct Budget(usize);

impl Budget {
    pub(crate) fn new() -> Self {
        Budget(MAX_PARTS)
    }
    fn spend(&mut self) -> Result<(), Rule> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| Rule::new(format!("more than {MAX_PARTS} messages and texts")))?;
        Ok(())
    }
}

/// A field's value on the wire.
#[derive(Clone, Copy)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Rule> {
    let mut v = 0u64;
    for i in 0..10 {
        let (&b, rest) = bytes.split_first().ok_or_else(|| Rule::new("the file ends inside a number"))?;
        *bytes = rest;
        v |= u64::from(b & 0x7F) << (7 * i);
        if b < 0x80 {
            return Ok(v);
        }
    }
    Err(Rule::new("a number of more than 10 bytes"))
}

/// The next field: its number and value.
fn field<'a>(bytes: &mut &'a [u8]) -> Result<Option<(u32, Wire<'a>)>, Rule> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let ends = || Rule::new("the file ends inside a field");
    let key = varint(bytes)?;
    let number = u32::try_from(key >> 3).ok().filter(|&n| n > 0);
    let number = number.ok_or_else(|| Rule::new(format!("field number {}", key >> 3)))?;
    let wire = match key & 7 {
        0 => Wire::Varint(varint(bytes)?),
        1 => {
            let (v, rest) = bytes.split_first_chunk().ok_or_else(ends)?;
            *bytes = rest;
            Wire::Fixed64(*v)
        }
        2 => {
            let length = varint(bytes)?;
            let at = usize::try_from(length).ok().and_then(|n| bytes.split_at_checked(n));
            let (v, rest) =
                at.ok_or_else(|| Rule::new(format!("field {number} has {length} bytes and {} are left", bytes.len())))?;
            *bytes = rest;
            Wire::Bytes(v)
        }
        5 => {
            let (v, rest) = bytes.split_first_chunk().ok_or_else(ends)?;
            *bytes = rest;
            Wire::Fixed32(*v)
        }
        kind => return Err(Rule::new(format!("field {number} has wire type {kind}")).right("0, 1, 2 or 5")),
    };
    Ok(Some((number, wire)))
}

/// The head of a field whose body is not at hand.
pub(crate) struct Head {
    /// The field's number.
    pub number: u32,
    /// Whether it is a message, a text or bytes.
    pub is_bytes: bool,
    /// Bytes of the head.
    pub len: usize,
    /// Bytes after it.
    pub body: u64,
}

impl Head {
    /// The head that these bytes begin with; None where they do not begin with one.
    pub(crate) fn of(bytes: &[u8]) -> Option<Head> {
        let mut rest = bytes;
        let key = varint(&mut rest).ok()?;
        let body = match key & 7 {
            0 => varint(&mut rest).map(|_| 0).ok()?,
            1 => 8,
            2 => varint(&mut rest).ok()?,
            5 => 4,
            _ => return None,
        };
        let number = u32::try_from(key >> 3).ok()?;
        Some(Head { number, is_bytes: key & 7 == 2, len: bytes.len() - rest.len(), body })
    }
}

/// A message: known fields are kept, unknown ones skipped, as protocol buffers want it.
pub(crate) trait Message<'a>: Default {
    /// Takes a field, if it is one of the message's.
    fn take(&mut self, number: u32, wire: Wire<'a>, budget: &mut Budget) -> Result<(), Rule>;
    /// Writes all fields that are not at their default.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads the message.
    fn read(mut bytes: &'a [u8], budget: &mut Budget) -> Result<Self, Rule> {
        let mut message = Self::default();
        while let Some((number, wire)) = field(&mut bytes)? {
            message.take(number, wire, budget)?;
        }
        Ok(message)
    }
}

/// A field of a message.
pub(crate) trait Field<'a> {
    fn take(&mut self, wire: Wire<'a>, budget: &mut Budget) -> Result<(), Rule>;
    fn put(&self, number: u32, out: &mut Vec<u8>);
}

fn wrong(want: &str) -> Rule {
    Rule::new(format!("a field has another wire type than {want}"))
}

fn put_varint(mut v: u64, out: &mut Vec<u8>) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}
fn put_key(number: u32, kind: u32, out: &mut Vec<u8>) {
    put_varint(u64::from(number << 3 | kind), out);
}
pub(crate) fn put_bytes(number: u32, v: &[u8], out: &mut Vec<u8>) {
    put_key(number, 2, out);
    put_varint(v.len() as u64, out);
    out.extend_from_slice(v);
}

/// The length stands before a message and is known after it: the message moves up, so that weights need no second copy.
pub(crate) fn put_message<'a>(number: u32, m: &impl Message<'a>, out: &mut Vec<u8>) {
    let start = out.len();
    m.put(out);
    let mut head = Vec::new();
    put_key(number, 2, &mut head);
    put_varint((out.len() - start) as u64, &mut head);
    out.splice(start..start, head);
}

impl<'a> Field<'a> for i64 {
    fn take(&mut self, wire: Wire<'a>, _: &mut Budget) -> Result<(), Rule> {
        let Wire::Varint(v) = wire else { return Err(wrong("a whole number")) };
        *self = v as i64;
        Ok(())
    }
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if *self != 0 {
            put_key(number, 0, out);
            put_varint(*self as u64, out);
        }
    }
}

impl<'a> Field<'a> for Option<i64> {
    fn take(&mut self, wire: Wire<'a>, budget: &mut Budget) -> Result<(), Rule> {
        self.insert(0).take(wire, budget)
    }
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if let Some(v) = self {
            put_key(number, 0, out);
            put_varint(*v as u64, out);
        }
    }
}

impl<'a> Field<'a> for Option<f32> {
    fn take(&mut self, wire: Wire<'a>, _: &mut Budget) -> Result<(), Rule> {
        let Wire::Fixed32(v) = wire else { return Err(wrong("a float")) };
        *self = Some(f32::from_le_bytes(v));
        Ok(())
    }
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if let Some(v) = self {
            put_key(number, 5, out);
            out.extend_from_slice(&v.to_le_bytes());
        }
    }
}

impl<'a> Field<'a> for Text<'a> {
    fn take(&mut self, wire: Wire<'a>, _: &mut Budget) -> Result<(), Rule> {
        let Wire::Bytes(v) = wire else { return Err(wrong("a text")) };
        *self = Cow::Borrowed(std::str::from_utf8(v).map_err(|_| Rule::new("a text that is not UTF-8"))?);
        Ok(())
    }
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if !self.is_empty() {
            put_bytes(number, self.as_bytes(), out);
        }
    }
}

impl<'a> Field<'a> for Option<Bytes<'a>> {
    fn take(&mut self, wire: Wire<'a>, _: &mut Budget) -> Result<(), Rule> {
        let Wire::Bytes(v) = wire else { return Err(wrong("bytes")) };
        *self = Some(Cow::Borrowed(v));
        Ok(())
    }
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if let Some(v) = self {
            put_bytes(number, v, out);
        }
    }
}

impl<'a> Field<'a> for Vec<Text<'a>> {
    fn take(&mut self, wire: Wire<'a>, budget: &mut Budget) -> Result<(), Rule> {
        budget.spend()?;
        let mut text = Text::default();
        text.take(wire, budget)?;
        self.push(text);
        Ok(())
    }
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        // An empty text in a list counts: it stands for an input that is left out.
        self.iter().for_each(|t| put_bytes(number, t.as_bytes(), out));
    }
}

impl<'a> Field<'a> for Vec<Bytes<'a>> {
    fn take(&mut self, wire: Wire<'a>, budget: &mut Budget) -> Result<(), Rule> {
        budget.spend()?;
        let Wire::Bytes(v) = wire else { return Err(wrong("bytes")) };
        self.push(Cow::Borrowed(v));
        Ok(())
    }
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        self.iter().for_each(|v| put_bytes(number, v, out));
    }
}

impl<'a> Field<'a> for Vec<i64> {
    fn take(&mut self, wire: Wire<'a>, _: &mut Budget) -> Result<(), Rule> {
        match wire {
            Wire::Varint(v) => self.push(v as i64),
            Wire::Bytes(mut packed) => {
                while !packed.is_empty() {
                    self.push(varint(&mut packed)? as i64);
                }
            }
            _ => return Err(wrong("whole numbers")),
        }
        Ok(())
    }
    /// One by one, as `onnx.proto` declares extents and attributes: every reader takes them so, few take them packed.
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        for &v in self {
            put_key(number, 0, out);
            put_varint(v as u64, out);
        }
    }
}

macro_rules! fixed_list {
    ($t:ty, $n:literal, $wire:ident, $kind:literal, $what:literal) => {
        impl<'a> Field<'a> for Vec<$t> {
            fn take(&mut self, wire: Wire<'a>, _: &mut Budget) -> Result<(), Rule> {
                match wire {
                    Wire::$wire(v) => self.push(<$t>::from_le_bytes(v)),
                    Wire::Bytes(packed) if packed.len() % $n == 0 => {
                        self.extend(packed.as_chunks::<$n>().0.iter().map(|&c| <$t>::from_le_bytes(c)));
                    }
                    _ => return Err(wrong($what)),
                }
                Ok(())
            }
            fn put(&self, number: u32, out: &mut Vec<u8>) {
                for v in self {
                    put_key(number, $kind, out);
                    out.extend_from_slice(&v.to_le_bytes());
                }
            }
        }
    };
}
fixed_list!(f32, 4, Fixed32, 5, "floats");
fixed_list!(f64, 8, Fixed64, 1, "doubles");

/// Numbers in one run of bytes, as `caffe.proto` declares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed<T>(pub Vec<T>);

impl<'a> Field<'a> for Packed<f32> {
    fn take(&mut self, wire: Wire<'a>, budget: &mut Budget) -> Result<(), Rule> {
        self.0.take(wire, budget)
    }
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if !self.0.is_empty() {
            put_key(number, 2, out);
            put_varint(4 * self.0.len() as u64, out);
            self.0.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
        }
    }
}

impl<'a> Field<'a> for Packed<i64> {
    fn take(&mut self, wire: Wire<'a>, budget: &mut Budget) -> Result<(), Rule> {
        self.0.take(wire, budget)
    }
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        let mut run = Vec::new();
        self.0.iter().for_each(|&v| put_varint(v as u64, &mut run));
        if !run.is_empty() {
            put_bytes(number, &run, out);
        }
    }
}

impl<'a, M: Message<'a>> Field<'a> for Option<M> {
    fn take(&mut self, wire: Wire<'a>, budget: &mut Budget) -> Result<(), Rule> {
        let Wire::Bytes(mut v) = wire else { return Err(wrong("a message")) };
        budget.spend()?;
        // A message that comes in parts is merged.
        let message = self.get_or_insert_default();
        while let Some((number, wire)) = field(&mut v)? {
            message.take(number, wire, budget)?;
        }
        Ok(())
    }
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if let Some(m) = self {
            put_message(number, m, out);
        }
    }
}

impl<'a, M: Message<'a>> Field<'a> for Vec<M> {
    fn take(&mut self, wire: Wire<'a>, budget: &mut Budget) -> Result<(), Rule> {
        let Wire::Bytes(v) = wire else { return Err(wrong("a message")) };
        budget.spend()?;
        self.push(M::read(v, budget)?);
        Ok(())
    }
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        self.iter().for_each(|m| put_message(number, m, out));
    }
}

/// Declares a message: its fields with their numbers in the schema. `owned` before the name: it borrows nothing.
macro_rules! message {
    (@read ($ty:ty) $name:ident { $($number:literal $field:ident),* }) => {
        impl<'a> $crate::wire::Message<'a> for $ty {
            fn take(
                &mut self,
                number: u32,
                wire: $crate::wire::Wire<'a>,
                budget: &mut $crate::wire::Budget,
            ) -> Result<(), gabor_tensor::Rule> {
                match number {
                    $($number => $crate::wire::Field::take(&mut self.$field, wire, budget).map_err(|r| {
                        let place = concat!(stringify!($name), ".", stringify!($field));
                        gabor_tensor::Rule { rule: format!("{place}: {}", r.rule), ..r }
                    }),)*
                    _ => Ok(()),
                }
            }
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::wire::Field::put(&self.$field, $number, out);)*
            }
        }
    };
    ($(#[doc = $doc:literal])* owned $name:ident { $($number:literal $field:ident: $ty:ty),* $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name { $(pub $field: $ty),* }
        $crate::wire::message!(@read ($name) $name { $($number $field),* });
    };
    ($(#[doc = $doc:literal])* $name:ident { $($number:literal $field:ident: $ty:ty),* $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name<'a> { $(pub $field: $ty),* }
        $crate::wire::message!(@read ($name<'a>) $name { $($number $field),* });
    };
}
pub(crate) use message;
