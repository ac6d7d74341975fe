//! Data sets written in another format: a folder per class, IDX, CIFAR binary, tar shards, Parquet.
//!
//! What is written is read back by [`open`]: the same parts, classes, labels and pixels. Image files are copied as they
//! are where both sides hold files; pixels become PNG. All is written beside the target and renamed when it is whole.

mod cifar;
mod folder;
mod idx;
#[cfg(feature = "parquet")]
mod parquet;
mod tar;

use crate::decode::Format;
use crate::{Color, Dataset, Error, Image, OnBad, OpenOptions, Part, Preprocessing, Scratch, Splits, open};
use gabor_tensor::Rule;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// The formats that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `train/CLASS/000000.jpg`.
    Folder,
    /// `train-images-idx3-ubyte` and its kin: grey, one size, at most 256 classes.
    Idx,
    /// CIFAR-10's binary files: RGB, 32 × 32, at most 256 classes.
    Cifar,
    /// `train-000000.tar` with `000000.jpg` and `000000.cls`, as WebDataset reads them.
    Tar,
    /// `train-00000-of-00003.parquet` with `image` and `label`, as the `datasets` library reads them.
    Parquet,
}

impl Target {
    /// All, with the names by which they are asked for.
    pub const ALL: [(&'static str, Target); 5] = [
        ("folder", Target::Folder),
        ("idx", Target::Idx),
        ("cifar", Target::Cifar),
        ("tar", Target::Tar),
        ("parquet", Target::Parquet),
    ];
}

/// How [`convert`] writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvertOptions {
    /// The format.
    pub target: Target,
    /// `[height, width]` to which every image is resized (bilinear, antialiased); default: sizes stay.
    pub size: Option<[usize; 2]>,
    /// The colour mode that every image gets; default: modes stay, but CIFAR's is RGB.
    pub color: Option<Color>,
    /// Bytes of a shard, tar or Parquet (default 256 MiB); one that holds a single larger image has more.
    pub shard_bytes: u64,
    /// Whether a data set that is there is replaced.
    pub force: bool,
    /// What to do about images that cannot be read: fail, or leave them out.
    pub bad: OnBad,
}

impl ConvertOptions {
    /// The defaults for a format.
    pub fn new(target: Target) -> Self {
        ConvertOptions { target, size: None, color: None, shard_bytes: 256 << 20, force: false, bad: OnBad::Fail }
    }
}

/// What [`convert`] did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Converted {
    /// Samples of each part.
    pub parts: Vec<(Part, u64)>,
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Images whose bytes were copied.
    pub copied: u64,
    /// Images whose pixels were written.
    pub encoded: u64,
    /// Images that could not be read, with the reasons; none under [`OnBad::Fail`].
    pub bad: Vec<Error>,
    /// What the reader should know.
    pub notes: Vec<String>,
}

/// An image on its way.
enum Item<'a> {
    /// A file, and the ending that its contents ask for.
    File(Cow<'a, [u8]>, &'static str),
    /// Pixels.
    Pixels(Image<'a>),
}

impl Item<'_> {
    /// The image as a file: as it is, or as PNG.
    fn into_file(self) -> Result<(Vec<u8>, &'static str), Rule> {
        match self {
            Item::File(bytes, ending) => Ok((bytes.into_owned(), ending)),
            Item::Pixels(image) => Ok((png(&image)?, "png")),
        }
    }
}

/// Writes one format into a directory.
trait Writer {
    /// Whether samples are written as files, so that stored files are copied.
    fn takes_files(&self) -> bool;
    /// A part begins, of `count` samples at most.
    fn begin(&mut self, part: Part, count: u64) -> Result<(), Error>;
    /// The next sample of the part; the error's place is the sample's own if it is left empty.
    fn add(&mut self, item: Item<'_>, label: u32) -> Result<(), Error>;
    /// The part is complete.
    fn end(&mut self) -> Result<(), Error>;
    /// All parts are complete.
    fn finish(&mut self) -> Result<(), Error>;
}

/// What every writer knows.
#[derive(Clone)]
struct Place {
    directory: PathBuf,
    classes: Vec<String>,
    shard_bytes: u64,
}

/// Writes a data set to the directory `to` in another format. `progress` hears of samples done and of all.
///
/// # Errors
/// A target that is there (unless forced, and then one that is no data set), images or classes that the format cannot
/// hold, images that cannot be read, a disk that is full. What was there before is then still there.
pub fn convert(
    splits: &Splits,
    to: &Path,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Converted, Error> {
    check_target(to, options.force)?;
    let parts: Vec<(Part, &dyn Dataset)> = [&splits.train, &splits.validation, &splits.test]
        .into_iter()
        .zip(Part::ALL)
        .filter_map(|(set, part)| Some((part, &**set.as_ref()?)))
        .filter(|(_, set)| !set.is_empty())
        .collect();
    let classes = splits.classes().to_vec();
    if parts.is_empty() || classes.is_empty() {
        return Err(Error::new("data set", Rule::new("no samples to convert").right("at least one")));
    }
    let aside = Aside::new(to)?;
    let place = Place { directory: aside.path.clone(), classes, shard_bytes: options.shard_bytes.max(1) };
    let mut out = Converted::default();
    let mut writer: Box<dyn Writer> = match options.target {
        Target::Folder => Box::new(folder::Folder::new(place, &parts, &mut out.notes)?),
        Target::Idx => Box::new(idx::Idx::new(place)?),
        Target::Cifar => Box::new(cifar::Cifar::new(place)?),
        Target::Tar => Box::new(tar::Tar::new(place)),
        #[cfg(feature = "parquet")]
        Target::Parquet => Box::new(parquet::Parquet::new(place)),
        #[cfg(not(feature = "parquet"))]
        Target::Parquet => {
            let rule = Rule::new("this build writes no Parquet files");
            return Err(Error::at(
                to,
                rule.right("a build with the feature parquet, which is on unless it was taken out"),
            ));
        }
    };
    let total: u64 = parts.iter().map(|(_, set)| set.len() as u64).sum();
    let mut done = 0;
    let mut scratch = Scratch::default();
    for (part, set) in &parts {
        writer.begin(*part, set.len() as u64)?;
        let mut count = 0;
        for i in 0..set.len() {
            let item = read(*set, i, writer.takes_files(), options, &mut scratch);
            let file = matches!(item, Ok(Item::File(..)));
            match item {
                Ok(item) => {
                    writer.add(item, set.labels()[i]).map_err(|e| match e.place().is_empty() {
                        true => Error::new(set.id(i), e.rule().clone()),
                        false => e,
                    })?;
                    *(if file { &mut out.copied } else { &mut out.encoded }) += 1;
                    count += 1;
                }
                Err(e) if options.bad == OnBad::Skip => out.bad.push(e),
                Err(e) => return Err(e),
            }
            done += 1;
            progress(done, total);
        }
        writer.end()?;
        if count == 0 {
            let rule = Rule::new(format!("no sample of the part {} can be read", part.name()));
            return Err(Error::new("data set", rule.right("data that can be read")));
        }
        out.parts.push((*part, count));
    }
    writer.finish()?;
    drop(writer);
    (out.files, out.bytes) = aside.measure()?;
    aside.rename()?;
    Ok(out)
}

/// Sample `i` as its file where that may be copied, else its pixels in the wanted size and mode.
fn read<'a>(
    set: &'a dyn Dataset,
    i: usize,
    files: bool,
    options: &ConvertOptions,
    scratch: &mut Scratch,
) -> Result<Item<'a>, Error> {
    if files
        && options.size.is_none()
        && options.color.is_none()
        && let Some(bytes) = set.encoded(i)?
    {
        let Some(format) = Format::of(&bytes) else {
            // The decoder says what is wrong.
            return set.image(i).map(Item::Pixels);
        };
        // A copy takes any bytes; who wants bad images left out wants them looked at.
        if options.bad == OnBad::Skip {
            set.image(i)?;
        }
        return Ok(Item::File(bytes, ending(format)));
    }
    let mut image = set.image(i)?;
    if let Some(color) = options.color.filter(|&c| c != image.color()) {
        image = image.to_color(color).into_owned();
    }
    if let Some([height, width]) = options.size.filter(|s| *s != [image.height(), image.width()]) {
        let resize = Preprocessing::exact([image.channels(), height, width])?;
        image = resize.prepare(&image, scratch).map_err(|e| Error::new(set.id(i), e.rule().clone()))?.into_owned();
    }
    Ok(Item::Pixels(image))
}

fn ending(format: Format) -> &'static str {
    match format {
        Format::Png => "png",
        Format::Jpeg => "jpg",
        Format::Bmp => "bmp",
        Format::Gif => "gif",
        Format::Webp => "webp",
        Format::Tiff => "tif",
    }
}

/// Pixels as a PNG file.
fn png(image: &Image<'_>) -> Result<Vec<u8>, Rule> {
    let image = if image.channels() == 3 { image.to_color(Color::Rgb) } else { image.view() };
    let failed = |e: png::EncodingError| Rule::new("cannot be written as PNG").given(e.to_string());
    let side = |v: usize| u32::try_from(v).map_err(|_| Rule::new("an image too large for PNG"));
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, side(image.width())?, side(image.height())?);
    encoder.set_color(if image.channels() == 3 { png::ColorType::Rgb } else { png::ColorType::Grayscale });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().and_then(|mut w| w.write_image_data(image.data())).map_err(failed)?;
    Ok(out)
}

/// The error of a write.
fn unwritten(path: &Path, e: &std::io::Error) -> Error {
    Error::at(path, Rule::new("cannot be written").given(e.to_string()).right("a place with room that may be written"))
}

/// A rule that a sample breaks, whose place is the sample's.
fn of_sample(rule: Rule) -> Error {
    Error::new("", rule)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(path, bytes).map_err(|e| unwritten(path, &e))
}

/// `classes.txt`, one name a line.
fn write_names(place: &Place, name: &str) -> Result<(), Error> {
    if let Some(bad) = place.classes.iter().find(|c| c.contains(['\n', '\r']) || c.trim() != c.as_str() || c.is_empty())
    {
        let rule = Rule::new(format!("the class name {bad:?}")).right("a line of text without blanks at its ends");
        return Err(Error::new("data set", rule));
    }
    write_file(&place.directory.join(name), format!("{}\n", place.classes.join("\n")).as_bytes())
}

/// Checks that the target is not there, is empty, or is a data set that may be replaced.
fn check_target(to: &Path, force: bool) -> Result<(), Error> {
    if std::fs::symlink_metadata(to).is_err() {
        return Ok(());
    }
    let empty = std::fs::read_dir(to).is_ok_and(|mut d| d.next().is_none());
    if empty {
        return Ok(());
    }
    if !force {
        let rule = Rule::new("the target is there already");
        return Err(Error::at(to, rule.right("a new directory, or --force to replace the data set")));
    }
    // A slip of the pen must not cost a home directory.
    if !to.is_dir() || open(to, &OpenOptions { test_fraction: 0.0, ..Default::default() }).is_err() {
        let rule = Rule::new("the target is there and is no data set, so it is not replaced");
        return Err(Error::at(to, rule.right("a new directory, or one that holds a data set")));
    }
    Ok(())
}

/// A directory beside the target, taken away if it is not renamed.
struct Aside {
    path: PathBuf,
    to: PathBuf,
}

impl Aside {
    fn new(to: &Path) -> Result<Self, Error> {
        let name = to.file_name().ok_or_else(|| {
            Error::at(
                to,
                Rule::new("no name of a directory").right("a path that ends with the name of the new data set"),
            )
        })?;
        let parent = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(|e| unwritten(parent, &e))?;
        let path = parent.join(format!(".{}.part-{}", name.to_string_lossy(), std::process::id()));
        // Left over from a process of the same number that was killed.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).map_err(|e| unwritten(&path, &e))?;
        Ok(Aside { path, to: to.into() })
    }
    /// Files and bytes.
    fn measure(&self) -> Result<(u64, u64), Error> {
        let (mut files, mut bytes, mut open) = (0, 0, vec![self.path.clone()]);
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(&directory).map_err(|e| unwritten(&directory, &e))? {
                let entry = entry.map_err(|e| unwritten(&directory, &e))?;
                let meta = entry.metadata().map_err(|e| unwritten(&entry.path(), &e))?;
                if meta.is_dir() {
                    open.push(entry.path());
                } else {
                    (files, bytes) = (files + 1, bytes + meta.len());
                }
            }
        }
        Ok((files, bytes))
    }
    /// Puts it in the target's place. What was there is moved away first and taken away last.
    fn rename(&self) -> Result<(), Error> {
        let old = self.path.with_extension("old");
        let there = std::fs::symlink_metadata(&self.to).is_ok();
        if there {
            std::fs::rename(&self.to, &old).map_err(|e| unwritten(&self.to, &e))?;
        }
        if let Err(e) = std::fs::rename(&self.path, &self.to) {
            if there {
                let _ = std::fs::rename(&old, &self.to);
            }
            return Err(unwritten(&self.to, &e));
        }
        if there {
            std::fs::remove_dir_all(&old).map_err(|e| unwritten(&old, &e))?;
        }
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
