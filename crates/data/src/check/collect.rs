//! Looks at every sample once, by several threads.

use super::header::{Header, Stored};
use super::likeness::{Likeness, Maker};
use super::{CheckOptions, Depth};
use crate::{Color, Dataset, Error, Image, decode};
use gabor_tensor::Rule;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

/// The parts of a data set, by name.
pub(super) type Parts = [(&'static str, Arc<dyn Dataset>)];

/// Channels that differ by no more than this over the whole picture are of a single colour.
const FLAT: u8 = 4;

/// What was seen of a sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// Why it cannot be used.
    pub failure: Option<String>,
    /// The header of its file.
    pub header: Option<Header>,
    /// Bytes of its file.
    pub bytes: u64,
    /// Columns and rows, upright.
    pub size: Option<(u32, u32)>,
    /// Whether it shows no colours; known of decoded pictures.
    pub grey: Option<bool>,
    /// Whether it is of a single colour.
    pub constant: bool,
    /// What the file's ending says, where that is another format.
    pub wrong_ending: Option<String>,
    /// Whether it is compared with others, beyond its pixels.
    pub compared: bool,
    /// Its fingerprints.
    pub likeness: Option<Likeness>,
}

/// The facts of all samples, part after part.
pub(super) fn collect(
    parts: &Parts,
    options: &CheckOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Facts>, Error> {
    let total: usize = parts.iter().map(|p| p.1.len()).sum();
    if parts.is_empty() || total > u32::MAX as usize {
        let rule = Rule::new(format!("{total} samples in {} parts", parts.len()));
        return Err(Error::new("data check", rule.right("at least one part, and at most 2³² samples")));
    }
    let mut out = vec![Facts::default(); total];
    if options.depth == Depth::Labels {
        return Ok(out);
    }
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if options.threads == 0 { cores() } else { options.threads }.clamp(1, total.max(1)).min(1024);
    let opened = options.samples.map_or(total, |most| most.min(total));
    let next = AtomicUsize::new(0);
    // Few facts wait for the thread that gathers them, whatever it is doing.
    let (send, receive) = sync_channel::<(usize, Facts)>(4 * threads);
    let makers = (0..threads).map(|_| Maker::new()).collect::<Result<Vec<_>, _>>()?;
    std::thread::scope(|scope| {
        for mut maker in makers {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                loop {
                    let k = next.fetch_add(1, Ordering::Relaxed);
                    // Evenly spaced: all of them where all are opened.
                    let i = (k as u128 * total as u128 / opened.max(1) as u128) as usize;
                    let Some((set, inner)) = at(parts, i).filter(|_| k < opened) else { return };
                    let seen = catch_unwind(AssertUnwindSafe(|| look(&**set, inner, options, &mut maker)));
                    let facts = seen.unwrap_or_else(|_| Facts {
                        failure: Some("the data set panicked while it read this sample".into()),
                        ..Facts::default()
                    });
                    if send.send((i, facts)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        for (done, (i, facts)) in receive.iter().enumerate() {
            out[i] = facts;
            progress(done as u64 + 1, opened as u64);
        }
    });
    Ok(out)
}

/// The part and the index in it of sample `i` of all parts.
fn at(parts: &Parts, mut i: usize) -> Option<(&Arc<dyn Dataset>, usize)> {
    for (_, set) in parts {
        if i < set.len() {
            return Some((set, i));
        }
        i -= set.len();
    }
    None
}

/// Everything about one sample.
fn look(set: &dyn Dataset, i: usize, options: &CheckOptions, maker: &mut Maker) -> Facts {
    let mut facts = Facts::default();
    let file = match set.encoded(i) {
        Ok(file) => file,
        Err(e) => return Facts { failure: Some(reason(&e)), ..facts },
    };
    if let Some(bytes) = &file {
        facts.bytes = bytes.len() as u64;
        facts.header = match Header::read(bytes) {
            Ok(h) => Some(h),
            Err(rule) if options.depth == Depth::Headers => {
                return Facts { failure: Some(rule.to_string()), ..facts };
            }
            // The decoder says it better.
            Err(_) => None,
        };
        if let Some(h) = facts.header {
            let turned = h.orientation >= 5;
            facts.size = Some(if turned { (h.height, h.width) } else { (h.width, h.height) });
            facts.wrong_ending = wrong_ending(&set.id(i), h.format);
        }
    }
    if options.depth == Depth::Headers {
        if let (Some(bytes), Some(h)) = (&file, facts.header) {
            facts.failure = refusal(bytes, &h, options);
        } else if let Some([_, h, w]) = set.shape() {
            facts.size = Some((w as u32, h as u32));
        }
        return facts;
    }
    let decoded = match &file {
        Some(bytes) => decode(bytes, &options.limits).map_err(|r| r.to_string()),
        None => set.image(i).map_err(|e| reason(&e)),
    };
    match decoded {
        Ok(image) => {
            facts.size = Some((image.width() as u32, image.height() as u32));
            facts.grey = Some(is_grey(&image));
            facts.constant = is_flat(&image);
            match maker.make(&image) {
                Ok(l) => {
                    facts.compared = options.near.compares(&image);
                    facts.likeness = Some(if facts.compared { l } else { l.without_shapes() });
                }
                Err(e) => facts.failure = Some(reason(&e)),
            }
        }
        Err(text) => facts.failure = Some(text),
    }
    facts
}

/// The rule of an error; its place is said by the sample.
fn reason(e: &Error) -> String {
    e.rule().to_string()
}

/// What can be refused without decoding.
fn refusal(bytes: &[u8], h: &Header, options: &CheckOptions) -> Option<String> {
    if h.format == "JPEG" && !bytes.windows(2).rev().any(|w| w == [0xff, 0xd9]) {
        let rule = Rule::new("the JPEG ends before its end-of-image marker");
        return Some(rule.given(format!("{} bytes", bytes.len())).right("a whole file").to_string());
    }
    let channels = if h.stored == Stored::Grey { 1 } else { 4 };
    options.limits.check_image(h.height.into(), h.width.into(), channels).err().map(|r| r.to_string())
}

/// The ending of a name, where it stands for another format than the contents are.
fn wrong_ending(id: &str, format: &str) -> Option<String> {
    let ending = Path::new(id).extension()?.to_str()?.to_ascii_lowercase();
    let says = match ending.as_str() {
        "png" => "PNG",
        "jpg" | "jpeg" | "jpe" | "jfif" => "JPEG",
        "gif" => "GIF",
        "bmp" => "BMP",
        "webp" => "WebP",
        "tif" | "tiff" => "TIFF",
        _ => return None,
    };
    (says != format).then_some(ending)
}

fn is_grey(image: &Image<'_>) -> bool {
    image.color() == Color::Grey || image.data().as_chunks::<3>().0.iter().all(|p| p[0] == p[1] && p[1] == p[2])
}

/// Whether every channel stays within a few levels.
fn is_flat(image: &Image<'_>) -> bool {
    let c = image.channels();
    let Some(first) = image.data().get(..c) else { return true };
    let (mut low, mut high) = (first.to_vec(), first.to_vec());
    image.data().chunks_exact(c).all(|pixel| {
        pixel.iter().enumerate().all(|(k, &v)| {
            (low[k], high[k]) = (low[k].min(v), high[k].max(v));
            high[k] - low[k] <= FLAT
        })
    })
}
