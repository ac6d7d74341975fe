//! Zip archives as PyTorch writes them: entries stored as they are, in memory, with sizes of 32 or 64 bits.
//!
//! An archive is read from its end: the end record says where the directory lies, the directory where each entry lies.
//! Every number is compared with the bytes that are there, and entries must not overlap, so a small file cannot stand for a
//! large one. Source: PKWARE's APPNOTE, version 6.3.10.

use gabor_tensor::Rule;
use std::collections::BTreeMap;

/// Multiple of which entries of our own begin, so that other readers can map them.
const ALIGNMENT: usize = 64;
/// MS-DOS date of written entries: 1 January 1980, so that the same tensors give the same bytes.
const DATE: u16 = 0x21;
/// A 32-bit field whose value stands in the 64-bit extra field.
const IN_EXTRA: u32 = u32::MAX;
/// Number of the extra field that holds 64-bit sizes.
const ZIP64: u16 = 1;
/// Number of the extra field that PyTorch fills up with, "FB".
const PADDING: u16 = 0x4246;

/// The entries of an archive by name.
pub(super) struct Archive<'a> {
    entries: BTreeMap<String, Entry<'a>>,
}

/// An entry's bytes in the archive.
#[derive(Clone, Copy)]
struct Entry<'a> {
    /// 0 for bytes as they are.
    method: u16,
    bytes: &'a [u8],
}

fn u16_at(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*b.get(at..)?.first_chunk()?))
}
fn u32_at(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*b.get(at..)?.first_chunk()?))
}
fn u64_at(b: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*b.get(at..)?.first_chunk()?))
}

fn cut() -> Rule {
    Rule::new("the archive ends early: it is cut off or damaged").right("the whole file")
}

impl<'a> Archive<'a> {
    /// The entries, all of them checked.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Rule> {
        let (count, size, start) = directory(bytes)?;
        let directory = usize::try_from(start).ok().zip(usize::try_from(size).ok());
        let directory = directory.and_then(|(at, n)| bytes.get(at..at.checked_add(n)?)).ok_or_else(cut)?;
        let mut entries = BTreeMap::new();
        let mut spans = Vec::new();
        let mut at = 0;
        while at < directory.len() {
            let (name, method, span, next) = entry(bytes, directory, at)?;
            spans.push((span.0, span.2, name.clone()));
            if entries.insert(name.clone(), Entry { method, bytes: &bytes[span.1..span.2] }).is_some() {
                return Err(Rule::new(format!("the entry `{name}` stands twice in the archive")));
            }
            at = next;
        }
        if entries.len() as u64 != count {
            return Err(Rule::new(format!("the archive says {count} entries and lists {}", entries.len())));
        }
        spans.sort();
        for pair in spans.windows(2) {
            if pair[1].0 < pair[0].1 {
                return Err(Rule::new(format!("the entries `{}` and `{}` overlap", pair[0].2, pair[1].2)));
            }
        }
        Ok(Archive { entries })
    }
    /// An entry's bytes; a compressed one is refused, so that nothing grows while it is read.
    pub(super) fn get(&self, name: &str) -> Result<Option<&'a [u8]>, Rule> {
        match self.entries.get(name) {
            None => Ok(None),
            Some(Entry { method: 0, bytes }) => Ok(Some(bytes)),
            Some(Entry { method, .. }) => {
                let rule = Rule::new(format!("entry `{name}`: it is compressed (method {method})"));
                Err(rule.right("entries stored as they are, as torch.save writes them"))
            }
        }
    }
    /// Whether there is such an entry.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }
    /// Names in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
}

/// Number of entries, and size and place of the directory, from the end record.
fn directory(bytes: &[u8]) -> Result<(u64, u64, u64), Rule> {
    // 22 bytes and a comment of at most 65,535.
    let from = bytes.len().saturating_sub(22 + 0xFFFF);
    let ends_here = |&at: &usize| {
        bytes[at..].starts_with(b"PK\x05\x06")
            && u16_at(bytes, at + 20).is_some_and(|n| at + 22 + usize::from(n) == bytes.len())
    };
    let end = (from..bytes.len().saturating_sub(21)).rev().find(ends_here).ok_or_else(cut)?;
    let short = || Some((u16_at(bytes, end + 10)?, u32_at(bytes, end + 12)?, u32_at(bytes, end + 16)?));
    let (count, size, start) = short().ok_or_else(cut)?;
    if count != u16::MAX && size != IN_EXTRA && start != IN_EXTRA {
        return Ok((count.into(), size.into(), start.into()));
    }
    let long = || {
        let locator = end.checked_sub(20).filter(|&at| bytes[at..].starts_with(b"PK\x06\x07"))?;
        let record = usize::try_from(u64_at(bytes, locator + 8)?).ok()?;
        let record = bytes.get(record..).filter(|r| r.starts_with(b"PK\x06\x06"))?;
        Some((u64_at(record, 32)?, u64_at(record, 40)?, u64_at(record, 48)?))
    };
    long().ok_or_else(|| Rule::new("the archive has no 64-bit end record where it says it has"))
}

/// Where an entry's header begins, its bytes begin and end.
type Span = (usize, usize, usize);

/// The entry at `at` of the directory: its name, method and place, and the next one's place in the directory.
fn entry(bytes: &[u8], directory: &[u8], at: usize) -> Result<(String, u16, Span, usize), Rule> {
    let d = directory.get(at..).filter(|d| d.starts_with(b"PK\x01\x02") && d.len() >= 46).ok_or_else(cut)?;
    let half = |i| u16_at(d, i).unwrap_or(0);
    let word = |i| u32_at(d, i).unwrap_or(0);
    let (flags, method, crc) = (half(8), half(10), word(16));
    let (name_len, extra_len, comment_len) = (half(28) as usize, half(30) as usize, half(32) as usize);
    let name = d.get(46..46 + name_len).ok_or_else(cut)?;
    let name = std::str::from_utf8(name).map_err(|_| Rule::new("an entry's name is not UTF-8"))?.to_string();
    let extra = d.get(46 + name_len..46 + name_len + extra_len).ok_or_else(cut)?;
    let wrong = |what: String| Rule::new(format!("entry `{name}`: {what}"));
    if flags & 1 != 0 {
        return Err(wrong("it is encrypted".into()).right("an archive without a password"));
    }
    let mut wide = zip64(extra);
    let mut full = |short: u32| if short == IN_EXTRA { wide.next() } else { Some(u64::from(short)) };
    // In the extra field they stand in this order, each only if it is needed.
    let sizes = (full(word(24)), full(word(20)), full(word(42)));
    let (Some(size), Some(packed), Some(header)) = sizes else {
        return Err(wrong("its 64-bit sizes are missing".into()));
    };
    if method == 0 && size != packed {
        return Err(wrong(format!("{size} bytes are said to take {packed}")).right("the same number"));
    }
    let place = || {
        let header = usize::try_from(header).ok()?;
        let local = bytes.get(header..).filter(|l| l.starts_with(b"PK\x03\x04"))?;
        let begin = header + 30 + usize::from(u16_at(local, 26)?) + usize::from(u16_at(local, 28)?);
        let end = begin.checked_add(usize::try_from(packed).ok()?)?;
        bytes.get(begin..end).map(|data| (header, begin, end, data))
    };
    let (header, begin, end, data) =
        place().ok_or_else(|| wrong(format!("{packed} bytes from {header} on do not lie in the file")))?;
    // PyTorch writes 0 where it was told to compute none.
    if method == 0 && crc != 0 && crc != crc32fast::hash(data) {
        return Err(wrong("its checksum is wrong: the file is damaged".into()));
    }
    Ok((name, method, (header, begin, end), at + 46 + name_len + extra_len + comment_len))
}

/// The numbers of the 64-bit extra field.
fn zip64(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut found: &[u8] = &[];
    while let (Some(id), Some(n)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some(field) = extra.get(4..4 + usize::from(n)) else { break };
        if id == ZIP64 {
            found = field;
            break;
        }
        extra = &extra[4 + usize::from(n)..];
    }
    found.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b))
}

/// An archive of stored entries, each beginning at a multiple of 64 bytes.
pub(super) fn write(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.iter().map(|(n, d)| d.len() + 2 * n.len() + 256).sum());
    let mut directory = Vec::new();
    for (name, data) in entries {
        let (header, size, crc) = (out.len() as u64, data.len() as u64, crc32fast::hash(data));
        let (short, long) = narrow(size);
        let mut extra = Vec::new();
        if long {
            field(&mut extra, ZIP64, &[size.to_le_bytes(), size.to_le_bytes()].concat());
        }
        let begin = out.len() + 30 + name.len() + extra.len() + 4;
        field(&mut extra, PADDING, &vec![b'Z'; begin.next_multiple_of(ALIGNMENT) - begin]);
        out.extend_from_slice(b"PK\x03\x04");
        common(&mut out, crc, short, name.len(), extra.len());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&extra);
        out.extend_from_slice(data);
        let (at, far) = narrow(header);
        let mut extra = Vec::new();
        let numbers = [(long, size), (long, size), (far, header)];
        let wide: Vec<u8> = numbers.iter().filter(|n| n.0).flat_map(|n| n.1.to_le_bytes()).collect();
        if !wide.is_empty() {
            field(&mut extra, ZIP64, &wide);
        }
        directory.extend_from_slice(b"PK\x01\x02\x2d\x00");
        common(&mut directory, crc, short, name.len(), extra.len());
        // Comment, disk and attributes: none.
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&at.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
        directory.extend_from_slice(&extra);
    }
    let (start, size, count) = (out.len() as u64, directory.len() as u64, entries.len() as u64);
    out.extend_from_slice(&directory);
    let (short_start, far) = narrow(start);
    let (short_size, large) = narrow(size);
    let many = count >= u64::from(u16::MAX);
    if far || large || many {
        let record = out.len() as u64;
        out.extend_from_slice(b"PK\x06\x06");
        out.extend_from_slice(&44u64.to_le_bytes());
        out.extend_from_slice(&[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        [count, count, size, start].iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        out.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        out.extend_from_slice(&record.to_le_bytes());
        out.extend_from_slice(&1u32.to_le_bytes());
    }
    let count = if many { u16::MAX } else { count as u16 };
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&short_size.to_le_bytes());
    out.extend_from_slice(&short_start.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

/// A number in 32 bits, and whether it stands in the extra field instead.
fn narrow(n: u64) -> (u32, bool) {
    u32::try_from(n).ok().filter(|&n| n != IN_EXTRA).map_or((IN_EXTRA, true), |n| (n, false))
}

fn field(extra: &mut Vec<u8>, id: u16, data: &[u8]) {
    extra.extend_from_slice(&id.to_le_bytes());
    extra.extend_from_slice(&(data.len() as u16).to_le_bytes());
    extra.extend_from_slice(data);
}

/// What local header and directory share: version, flags (names are UTF-8), method, time, checksum, sizes and lengths.
fn common(out: &mut Vec<u8>, crc: u32, size: u32, name: usize, extra: usize) {
    [45, 0x800, 0, 0, DATE].iter().for_each(|n: &u16| out.extend_from_slice(&n.to_le_bytes()));
    [crc, size, size].iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
    [name as u16, extra as u16].iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Vec<u8> {
        write(&[("a/x".into(), vec![1, 2, 3]), ("../../y".into(), vec![4; 100])])
    }

    fn message(bytes: &[u8]) -> String {
        Archive::read(bytes).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = two();
        let a = Archive::read(&bytes).unwrap();
        assert_eq!(a.names().collect::<Vec<_>>(), ["../../y", "a/x"]);
        assert_eq!((a.get("a/x"), a.get("y")), (Ok(Some(&[1, 2, 3][..])), Ok(None)));
        let at = a.get("a/x").unwrap().unwrap().as_ptr() as usize - bytes.as_ptr() as usize;
        assert_eq!(at % ALIGNMENT, 0);
        assert!(Archive::read(&write(&[])).unwrap().entries.is_empty());
    }

    #[test]
    fn sizes_of_64_bits() {
        // An entry of three bytes whose sizes and place stand in the extra field, as a large file's do.
        let (name, data) = (b"big", b"xyz");
        let mut out = b"PK\x03\x04".to_vec();
        common(&mut out, crc32fast::hash(data), IN_EXTRA, 3, 20);
        out.extend(name);
        field(&mut out, ZIP64, &[3u64.to_le_bytes(), 3u64.to_le_bytes()].concat());
        out.extend(data);
        let start = out.len() as u64;
        out.extend(b"PK\x01\x02\x2d\x00");
        common(&mut out, crc32fast::hash(data), IN_EXTRA, 3, 28);
        out.extend([0; 10]);
        out.extend(IN_EXTRA.to_le_bytes());
        out.extend(name);
        field(&mut out, ZIP64, &[3u64.to_le_bytes(), 3u64.to_le_bytes(), 0u64.to_le_bytes()].concat());
        let (record, size) = (out.len() as u64, out.len() as u64 - start);
        out.extend(b"PK\x06\x06");
        out.extend([0; 20]);
        [1, 1, size, start].iter().for_each(|n: &u64| out.extend(n.to_le_bytes()));
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(record.to_le_bytes());
        out.extend([1, 0, 0, 0]);
        out.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff");
        out.extend([0xff; 8]);
        out.extend([0, 0]);
        assert_eq!(Archive::read(&out).unwrap().get("big"), Ok(Some(&data[..])));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let bytes = two();
        assert!(message(&bytes[..bytes.len() - 1]).starts_with("the archive ends early"));
        let find = |what: &[u8], from: usize| from + bytes[from..].windows(what.len()).position(|w| w == what).unwrap();
        let directory = find(b"PK\x01\x02", 0);
        let changed = |at: usize, to: &[u8]| {
            let mut b = bytes.clone();
            b[at..at + to.len()].copy_from_slice(to);
            message(&b)
        };
        let mut packed = bytes.clone();
        packed[directory + 10] = 8;
        assert_eq!(
            Archive::read(&packed).unwrap().get("a/x").unwrap_err().to_string(),
            "entry `a/x`: it is compressed (method 8); right would be: entries stored as they are, as torch.save writes them"
        );
        assert!(changed(directory + 8, &[1]).contains("encrypted"));
        assert!(changed(directory + 16, &[9]).contains("checksum is wrong"));
        assert!(changed(directory + 24, &[4]).contains("4 bytes are said to take 3"));
        assert!(changed(directory + 20, &[0, 0, 0, 9, 0, 0, 0, 9]).contains("do not lie in the file"));
        // The second entry's bytes are said to lie where the first one's do.
        let second = find(b"PK\x01\x02", directory + 4);
        let mut b = bytes.clone();
        b[second + 42..second + 46].fill(0);
        b[second + 16..second + 20].fill(0);
        assert!(message(&b).contains("overlap"), "{}", message(&b));
        let end = find(b"PK\x05\x06", 0);
        assert_eq!(changed(end + 10, &[3]), "the archive says 3 entries and lists 2");
        let twice = write(&[("a".into(), vec![]), ("a".into(), vec![])]);
        assert_eq!(message(&twice), "the entry `a` stands twice in the archive");
    }
}
