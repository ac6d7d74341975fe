//! The members of a tar file: headers of 512 bytes (POSIX ustar, GNU long names, pax), contents passed over.

use crate::Error;
use crate::source::store::File;
use gabor_tensor::Rule;

const RECORD: u64 = 512;
/// Bytes that a long name or a pax header may have.
const NAME_BYTES: u64 = 1 << 20;
/// Bytes that are read at a time.
const CHUNK: u64 = 1 << 18;

/// A file inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its path inside.
    pub name: String,
    /// Where its contents begin.
    pub offset: u64,
    /// Bytes of its contents.
    pub size: u64,
}

/// Reads the members of a file in their order, and what is asked for of their contents.
pub struct Members<'a> {
    file: &'a File,
    at: u64,
    /// A stretch of the file, and where it begins.
    buffer: (u64, Vec<u8>),
    done: bool,
}

impl<'a> Members<'a> {
    pub fn new(file: &'a File) -> Self {
        Members { file, at: 0, buffer: (0, Vec::new()), done: false }
    }
    fn error(&self, at: u64, rule: Rule) -> Error {
        Error::at_byte(self.file.path(), at, rule)
    }
    /// `length` bytes at `offset`; small neighbours come from one read.
    pub fn read(&mut self, offset: u64, length: u64) -> Result<&[u8], Error> {
        let (start, bytes) = &self.buffer;
        let inside = offset >= *start && offset + length <= start + bytes.len() as u64;
        if !inside {
            let n = length.max(CHUNK.min(self.file.size().saturating_sub(offset)));
            self.buffer = (offset, self.file.read(offset, n)?);
        }
        let from = (offset - self.buffer.0) as usize;
        Ok(&self.buffer.1[from..from + length as usize])
    }
    /// The next regular file; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Member>, Error> {
        let (mut long, mut pax_path, mut pax_size) = (None, None, None);
        while !self.done {
            let at = self.at;
            let left = self.file.size() - at;
            if left < RECORD {
                // Without the two empty records that end it, a file that ends with a member is still whole.
                if left > 0 {
                    let rule = Rule::new("the file ends within a header").given(format!("{left} bytes"));
                    return Err(self.error(at, rule.right("512 bytes: an intact file")));
                }
                self.done = true;
                break;
            }
            let header: [u8; RECORD as usize] = self.read(at, RECORD)?.try_into().unwrap_or([0; RECORD as usize]);
            if header.iter().all(|&b| b == 0) {
                self.done = true;
                break;
            }
            check(&header).map_err(|r| self.error(at, r))?;
            let size = number(&header[124..136])
                .ok_or_else(|| self.error(at, Rule::new("a member's size is no number").right("octal digits")))?;
            let size = pax_size.take().unwrap_or(size);
            let kind = header[156];
            // Links and the like have no contents, whatever their size says.
            let stored = if matches!(kind, b'1'..=b'6') { 0 } else { size };
            let offset = at + RECORD;
            let room = self.file.size() - offset;
            if stored > room {
                let name = text(&header[..100]);
                return Err(self.error(
                    at,
                    Rule::new(format!("member {name} of {stored} bytes reaches beyond the end"))
                        .given(format!("{room} bytes are left"))
                        .right("an intact file; it may be truncated"),
                ));
            }
            self.at = (offset + stored.div_ceil(RECORD) * RECORD).min(self.file.size());
            match kind {
                b'L' | b'K' | b'x' | b'g' => {
                    if stored > NAME_BYTES {
                        let rule = Rule::new(format!("an extended header of {stored} bytes"));
                        return Err(self.error(at, rule.right(format!("at most {NAME_BYTES} bytes"))));
                    }
                    let bytes = self.read(offset, stored)?.to_vec();
                    match kind {
                        b'L' => long = Some(text(&bytes)),
                        b'x' => {
                            for (key, value) in pax(&bytes).ok_or_else(|| {
                                self.error(
                                    at,
                                    Rule::new("damaged records of a pax header").right("LENGTH KEY=VALUE lines"),
                                )
                            })? {
                                match key {
                                    "path" => pax_path = Some(value.to_string()),
                                    "size" => pax_size = value.parse().ok(),
                                    _ => {}
                                }
                            }
                        }
                        _ => {}
                    }
                }
                b'0' | 0 | b'7' => {
                    let prefix = if &header[257..263] == b"ustar\0" { text(&header[345..500]) } else { String::new() };
                    let name = text(&header[..100]);
                    let joined = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
                    let name = pax_path.take().or(long.take()).unwrap_or(joined);
                    return Ok(Some(Member { name, offset, size }));
                }
                b'S' => {
                    let rule = Rule::new(format!("member {} is a sparse file", text(&header[..100])));
                    return Err(self.error(at, rule.right("ordinary files")));
                }
                _ => (long, pax_path, pax_size) = (None, None, None),
            }
        }
        Ok(None)
    }
}

/// Text up to its first zero byte.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Octal digits between blanks, or a big-endian number after a byte 0x80 (GNU).
fn number(field: &[u8]) -> Option<u64> {
    if field[0] == 0x80 {
        let (high, low) = field[1..].split_at(field.len() - 9);
        return high.iter().all(|&b| b == 0).then(|| low.iter().fold(0, |v, &b| v << 8 | u64::from(b)));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// The sum of a header's bytes, its own field taken as blanks.
fn check(header: &[u8; RECORD as usize]) -> Result<(), Rule> {
    let sum: u64 =
        header.iter().enumerate().map(|(i, &b)| if (148..156).contains(&i) { 32 } else { u64::from(b) }).sum();
    let want = number(&header[148..156]);
    if want == Some(sum) {
        return Ok(());
    }
    let packed = match header {
        [0x1f, 0x8b, ..] => "a gzip-compressed tar file",
        [b'B', b'Z', b'h', ..] => "a bzip2-compressed tar file",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "a Zstandard-compressed tar file",
        _ => {
            return Err(
                Rule::new("no header of a tar member: its checksum is wrong").right("an intact, uncompressed tar file")
            );
        }
    };
    Err(Rule::new("a compressed file has no places to read from")
        .given(packed)
        .right("a tar file that is not compressed"))
}

/// The records of a pax header: `LENGTH KEY=VALUE\n`.
fn pax(mut bytes: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut out = Vec::new();
    while !bytes.is_empty() && bytes[0] != 0 {
        let blank = bytes.iter().take(20).position(|&b| b == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
        let record = bytes.get(blank + 1..length)?;
        let record = record.strip_suffix(b"\n")?;
        // Values of other keys may be any bytes.
        if let Some((key, value)) = std::str::from_utf8(record).ok().and_then(|r| r.split_once('=')) {
            out.push((key, value));
        }
        bytes = &bytes[length..];
    }
    Some(out)
}
