//! Tar shards: each sample an image and its label, `000000.jpg` and `000000.cls`; the index of all beside them.

use super::{Item, Place, Writer, of_sample, unwritten, write_file, write_names};
use crate::source::{IndexBuilder, IndexedSample};
use crate::{Error, Part};
use gabor_tensor::Rule;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

const RECORD: usize = 512;
/// Records of zeros at the end.
const END: u64 = 2 * RECORD as u64;

pub(super) struct Tar {
    place: Place,
    part: Part,
    /// Samples and shards of the part.
    samples: u64,
    shards: u64,
    shard: Option<Shard>,
    index: IndexBuilder,
}

struct Shard {
    name: String,
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    samples: Vec<IndexedSample>,
}

/// Bytes of a member with its header.
fn padded(bytes: usize) -> u64 {
    (RECORD + bytes.next_multiple_of(RECORD)) as u64
}

impl Shard {
    fn add(&mut self, name: &str, contents: &[u8]) -> Result<(), Error> {
        let padding = contents.len().next_multiple_of(RECORD) - contents.len();
        let mut write = || {
            self.file.write_all(&header(name, contents.len()))?;
            self.file.write_all(contents)?;
            self.file.write_all(&[0; RECORD][..padding])
        };
        write().map_err(|e| unwritten(&self.path, &e))?;
        self.bytes += padded(contents.len());
        Ok(())
    }
}

/// A ustar header without owner and time, so that the same samples make the same bytes.
fn header(name: &str, size: usize) -> [u8; RECORD] {
    let mut h = [0; RECORD];
    h[..name.len()].copy_from_slice(name.as_bytes());
    h[100..108].copy_from_slice(b"0000644\0");
    h[108..116].copy_from_slice(b"0000000\0");
    h[116..124].copy_from_slice(b"0000000\0");
    h[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    h[136..148].copy_from_slice(b"00000000000\0");
    h[148..156].fill(b' ');
    h[156] = b'0';
    h[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = h.iter().map(|&b| u32::from(b)).sum();
    h[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    h
}

impl Tar {
    pub fn new(place: Place) -> Self {
        Tar { place, part: Part::Train, samples: 0, shards: 0, shard: None, index: IndexBuilder::new() }
    }
    fn close(&mut self) -> Result<(), Error> {
        let Some(mut s) = self.shard.take() else { return Ok(()) };
        s.file.write_all(&[0; END as usize]).and_then(|()| s.file.flush()).map_err(|e| unwritten(&s.path, &e))?;
        self.index.shard(&s.name, s.bytes + END, &s.samples);
        Ok(())
    }
}

impl Writer for Tar {
    fn takes_files(&self) -> bool {
        true
    }
    fn begin(&mut self, part: Part, _count: u64) -> Result<(), Error> {
        (self.part, self.samples, self.shards) = (part, 0, 0);
        Ok(())
    }
    fn add(&mut self, item: Item<'_>, label: u32) -> Result<(), Error> {
        let (bytes, ending) = item.into_file().map_err(of_sample)?;
        if bytes.len() > u32::MAX as usize {
            return Err(of_sample(Rule::new(format!("an image of {} bytes", bytes.len())).right("less than 4 GiB")));
        }
        let text = label.to_string();
        let wanted = padded(bytes.len()) + padded(text.len());
        if self.shard.as_ref().is_some_and(|s| s.bytes + wanted + END > self.place.shard_bytes) {
            self.close()?;
        }
        if self.shard.is_none() {
            let name = format!("{}-{:06}.tar", self.part.name(), self.shards);
            let path = self.place.directory.join(&name);
            let file = File::create(&path).map_err(|e| unwritten(&path, &e))?;
            let file = BufWriter::with_capacity(1 << 20, file);
            self.shard = Some(Shard { name, path, file, bytes: 0, samples: Vec::new() });
            self.shards += 1;
        }
        let Some(shard) = &mut self.shard else { return Ok(()) };
        let key = format!("{:08}", self.samples);
        let name = format!("{key}.{ending}");
        let offset = shard.bytes + RECORD as u64;
        shard.samples.push(IndexedSample::new(offset, bytes.len() as u32, &text, &name));
        shard.add(&name, &bytes)?;
        shard.add(&format!("{key}.cls"), text.as_bytes())?;
        self.samples += 1;
        Ok(())
    }
    fn end(&mut self) -> Result<(), Error> {
        self.close()
    }
    fn finish(&mut self) -> Result<(), Error> {
        write_names(&self.place, "classes.txt")?;
        let index = std::mem::replace(&mut self.index, IndexBuilder::new());
        write_file(&self.place.directory.join(IndexBuilder::NAME), index.finish().as_bytes())
    }
}
