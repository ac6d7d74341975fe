//! A model's file without its large weights: they are read where they lie when their turn comes, straight into their
//! tensors, so that a model takes the memory of its weights once.

use super::proto::StringStringEntryProto;
use crate::wire::{Field, Head, put_bytes, put_message};

/// As the file of a [`Location`](super::Location): the model's own.
pub const OWN: &str = "\0";

/// Raw data of at least so many bytes stay in the file.
const LARGE: u64 = 1 << 16;
/// Bytes that are read at a time to look for the heads of fields.
const WINDOW: u64 = 1 << 16;
/// The longest head of a field: two numbers of 10 bytes.
const LONGEST_HEAD: u64 = 20;

/// Fields from a file to its large parts: graph, initialiser, raw data.
const PATH: [u32; 3] = [7, 5, 9];
const EXTERNAL_DATA: u32 = 13;
const DATA_LOCATION: u32 = 14;

/// Reads bytes of a file from a place on; whether it had them.
pub type ReadAt<'r> = &'r dyn Fn(u64, &mut [u8]) -> bool;

/// The file of `len` bytes in which large raw data have become external data of the file [`OWN`], for
/// [`import_with`](super::import_with).
///
/// None where anything is not as expected: reading the whole file will then tell what it is.
pub fn outline(len: u64, read: ReadAt<'_>) -> Option<Vec<u8>> {
    outline_without(LARGE, len, read)
}

fn outline_without(large: u64, len: u64, read: ReadAt<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    Reader { read, large, start: 0, window: Vec::new() }.message(0..len, &PATH, &mut out)?;
    Some(out)
}

struct Reader<'r> {
    read: ReadAt<'r>,
    /// The size from which on data are large.
    large: u64,
    /// Where the window begins in the file.
    start: u64,
    window: Vec<u8>,
}

impl Reader<'_> {
    /// A message that lies there, without what the path leads to.
    fn message(&mut self, place: std::ops::Range<u64>, path: &[u32], out: &mut Vec<u8>) -> Option<()> {
        let (mut at, mut left_out, mut elsewhere) = (place.start, 0, false);
        while at < place.end {
            let head = Head::of(self.peek(at, place.end)?)?;
            let body = at + head.len as u64;
            let next = body.checked_add(head.body).filter(|&next| next <= place.end)?;
            let on_the_way = head.is_bytes && head.number == path[0];
            match path {
                [_] if on_the_way && head.body >= self.large => {
                    left_out += 1;
                    for (key, value) in
                        [("location", OWN.into()), ("offset", body.to_string()), ("length", head.body.to_string())]
                    {
                        let entry = StringStringEntryProto { key: key.into(), value: value.into() };
                        put_message(EXTERNAL_DATA, &entry, out);
                    }
                    1i64.put(DATA_LOCATION, out);
                }
                [_, rest @ ..] if on_the_way && !rest.is_empty() => {
                    let mut inner = Vec::new();
                    self.message(body..next, rest, &mut inner)?;
                    put_bytes(head.number, &inner, out);
                }
                [_] => {
                    elsewhere |= [EXTERNAL_DATA, DATA_LOCATION].contains(&head.number);
                    self.copy(at..next, out)?;
                }
                _ => self.copy(at..next, out)?,
            }
            at = next;
        }
        // Two places for the elements of one tensor: which of them counts is not decided here.
        (left_out == 0 || left_out == 1 && !elsewhere).then_some(())
    }
    /// The next bytes, as many as a head may have.
    fn peek(&mut self, at: u64, end: u64) -> Option<&[u8]> {
        let wanted = LONGEST_HEAD.min(end - at);
        let known = self.start + self.window.len() as u64;
        if at < self.start || at + wanted > known {
            self.window.resize(usize::try_from(WINDOW.min(end - at)).ok()?, 0);
            self.start = at;
            if !(self.read)(at, &mut self.window) {
                return None;
            }
        }
        let from = usize::try_from(at - self.start).ok()?;
        self.window.get(from..from + wanted as usize)
    }
    /// Appends bytes of the file.
    fn copy(&mut self, place: std::ops::Range<u64>, out: &mut Vec<u8>) -> Option<()> {
        let (len, inside) = (usize::try_from(place.end - place.start).ok()?, place.start.checked_sub(self.start));
        let known = inside.and_then(|at| self.window.get(usize::try_from(at).ok()?..)?.get(..len));
        match known {
            Some(bytes) => out.extend_from_slice(bytes),
            None => {
                let before = out.len();
                out.try_reserve(len).ok()?;
                out.resize(before + len, 0);
                if !(self.read)(place.start, &mut out[before..]) {
                    return None;
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{Location, import, import_with};
    use gabor_tensor::{Rule, Stream, rng::op::TEST};

    fn place(bytes: &[u8], at: u64, len: usize) -> Option<&[u8]> {
        let at = usize::try_from(at).ok()?;
        bytes.get(at..at.checked_add(len)?)
    }

    /// Compares a file with its outline; whether it has one.
    fn compare(bytes: &[u8], large: u64) -> Option<Vec<u8>> {
        let read = |at: u64, to: &mut [u8]| place(bytes, at, to.len()).map(|from| to.copy_from_slice(from)).is_some();
        let found = outline_without(large, bytes.len() as u64, &read)?;
        let external = |at: &Location<'_>| -> Result<Vec<u8>, Rule> {
            // Damaged files may name others.
            let from = place(bytes, at.offset, at.length).filter(|_| at.file == OWN);
            from.map(<[u8]>::to_vec).ok_or_else(|| Rule::new("no such place"))
        };
        match (import(bytes), import_with(&found, Some(&external))) {
            (Ok(a), Ok(b)) => {
                assert_eq!(a.graph.to_text(), b.graph.to_text());
                let bits = |w: &gabor_tensor::Weights| {
                    let of = |t: &gabor_tensor::Tensor| t.to_f64().into_iter().map(f64::to_bits).collect::<Vec<_>>();
                    w.iter().map(|(name, t)| (name.to_string(), t.shape().to_vec(), of(t))).collect::<Vec<_>>()
                };
                assert!(bits(&a.weights) == bits(&b.weights));
            }
            (a, b) => assert!(a.is_err() && b.is_err(), "{:?}\n{:?}", a.err(), b.err()),
        }
        Some(found)
    }

    #[test]
    fn a_model_is_the_same_with_weights_left_where_they_are() {
        let goldens = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
        let mut smaller = 0;
        for path in std::fs::read_dir(goldens).unwrap().map(|e| e.unwrap().path()) {
            if path.extension().is_none_or(|e| e != "onnx") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(compare(&bytes, LARGE).map(|o| o.len()), Some(bytes.len()), "{}", path.display());
            smaller += usize::from(compare(&bytes, 200).is_some_and(|o| o.len() < bytes.len()));
            for i in 0..200 {
                let mut damaged = bytes.clone();
                let mut random = Stream::new(i, 0, bytes.len() as u32, TEST);
                match i % 4 {
                    0 => damaged.truncate(random.below(bytes.len())),
                    // Where heads are: at the begin of the file.
                    1 => damaged[random.below(200.min(bytes.len()))] = random.next_u64() as u8,
                    _ => damaged[random.below(bytes.len())] ^= 1 << random.below(8),
                }
                compare(&damaged, 16);
            }
        }
        assert!(smaller > 3, "{smaller}");
    }

    #[test]
    fn two_places_for_one_tensor_are_left_alone() {
        let raw = |out: &mut Vec<u8>| put_bytes(PATH[2], &[0; 8], out);
        let wrapped = |tensor: Vec<u8>| {
            let (mut graph, mut model) = (Vec::new(), Vec::new());
            put_bytes(PATH[1], &tensor, &mut graph);
            put_bytes(PATH[0], &graph, &mut model);
            let read = |at: u64, to: &mut [u8]| place(&model, at, to.len()).map(|f| to.copy_from_slice(f)).is_some();
            outline_without(8, model.len() as u64, &read)
        };
        let mut tensor = Vec::new();
        raw(&mut tensor);
        assert!(wrapped(tensor.clone()).is_some());
        let mut twice = tensor.clone();
        raw(&mut twice);
        assert!(wrapped(twice).is_none());
        1i64.put(DATA_LOCATION, &mut tensor);
        assert!(wrapped(tensor).is_none());
    }
}
