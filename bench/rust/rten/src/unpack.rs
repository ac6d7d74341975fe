//! Our ONNX files hold repeated integers packed, as proto3 writes them. Whoever reads protocol buffers has to take them
//! packed and one by one, but rten 0.27 takes the attributes' integers and the extents of tensors one by one only.

/// Fields of a message that matter here.
pub struct Kind {
    /// Those that are messages.
    messages: &'static [(u64, &'static Kind)],
    /// Those that are repeated integers.
    integers: &'static [u64],
}

const TENSOR: Kind = Kind { messages: &[], integers: &[1] };
const ATTRIBUTE: Kind = Kind { messages: &[(5, &TENSOR)], integers: &[8] };
const NODE: Kind = Kind { messages: &[(5, &ATTRIBUTE)], integers: &[] };
const GRAPH: Kind = Kind { messages: &[(1, &NODE), (5, &TENSOR)], integers: &[] };
/// A file.
pub const MODEL: Kind = Kind { messages: &[(7, &GRAPH)], integers: &[] };

/// The message with its integers one by one, or `None` if it is damaged.
pub fn unpack(mut bytes: &[u8], kind: &Kind) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let (number, wire) = (key >> 3, key & 7);
        let size = match wire {
            0 => {
                put(key, &mut out);
                put(varint(&mut bytes)?, &mut out);
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (mut value, rest) = bytes.split_at_checked(size)?;
        bytes = rest;
        if wire != 2 {
            put(key, &mut out);
            out.extend(value);
        } else if kind.integers.contains(&number) {
            while !value.is_empty() {
                put(number << 3, &mut out);
                put(varint(&mut value)?, &mut out);
            }
        } else {
            let inner: &[u8] = match kind.messages.iter().find(|m| m.0 == number) {
                Some((_, kind)) => &unpack(value, kind)?,
                None => value,
            };
            put(key, &mut out);
            put(inner.len() as u64, &mut out);
            out.extend(inner);
        }
    }
    Some(out)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut v = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        v |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(v);
        }
    }
    None
}

fn put(mut v: u64, out: &mut Vec<u8>) {
    while v > 127 {
        out.push(v as u8 | 128);
        v >>= 7;
    }
    out.push(v as u8);
}
