//! Parquet files with images, as the Hugging Face hub has them: a column of structs `{bytes, path}` or of plain bytes, and
//! a column of labels, numbers or names. Class names come from the hub's metadata in the file.
//!
//! The columns of labels are read first. Images are read by row groups, which are the blocks of the data set: a bounded
//! number of them is kept.

mod columns;

use self::columns::{ClassNames, Columns};
use super::labels::{Labels, Meaning};
use super::read::{Entry, class_names, list};
use super::split::{Part, Parts};
use super::store::{File, is_url};
use super::{Blocks, Dataset, OpenOptions, Splits, out_of_range, shards, together, twins};
use crate::decode::decode_at_least;
use crate::{Error, Image, Limits};
use ::parquet::basic::Compression;
use ::parquet::column::reader::{ColumnReader, get_column_reader};
use ::parquet::data_type::ByteArray;
use ::parquet::errors::{ParquetError, Result as ParquetResult};
use ::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use ::parquet::file::reader::{ChunkReader, Length};
use ::parquet::file::serialized_reader::SerializedPageReader;
use gabor_tensor::Rule;
use std::borrow::Cow;
use std::io::{BufReader, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of images that are kept, beside the two row groups that always are.
const KEPT: u64 = 512 << 20;
/// Values that are read at a time.
const BATCH: usize = 1024;

/// Opens the Parquet files of a directory.
pub(super) fn open(dir: &Path, entries: &[Entry], options: &OpenOptions) -> Result<Splits, Error> {
    read(shards::find(dir, entries, super::PARQUET)?, entries, options)
}

/// Opens the files that a path names: one, or a pattern such as `train-{0..9}.parquet`.
pub(super) fn open_files(path: &Path, options: &OpenOptions) -> Result<Splits, Error> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = list(dir).unwrap_or_default();
    read(shards::pattern(path)?.into_iter().map(|p| (p, Part::Train)).collect(), &entries, options)
}

/// The bytes of a file, for the library.
struct Bytes(Arc<File>);

impl Length for Bytes {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for Bytes {
    type T = BufReader<super::store::Cursor>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let mut cursor = super::store::Cursor::new(self.0.clone());
        cursor.seek(SeekFrom::Start(start))?;
        Ok(BufReader::new(cursor))
    }
    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<bytes::Bytes> {
        let bytes = self.0.read(start, length as u64).map_err(|e| ParquetError::General(e.rule().to_string()))?;
        Ok(bytes.into())
    }
}

/// What the library says; a check of its own that fails on a damaged file must not end a training run.
fn guarded<T>(path: &Path, run: impl FnOnce() -> ParquetResult<T>) -> Result<T, Error> {
    let result = catch_unwind(AssertUnwindSafe(run));
    let what = match result {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(e)) => e.to_string(),
        Err(_) => "the reader stopped at an internal check".into(),
    };
    Err(Error::at(path, Rule::new("damaged, truncated or unsupported Parquet").given(what).right("an intact file")))
}

/// One file, its metadata read.
struct Source {
    file: Arc<File>,
    metadata: ParquetMetaData,
    columns: Columns,
    /// The number of the first row of each row group in the data set, and the end.
    starts: Vec<usize>,
}

impl Source {
    fn path(&self) -> &Path {
        self.file.path()
    }
    fn open(path: &Path, limits: &Limits) -> Result<Source, Error> {
        let file = Arc::new(File::open(path)?);
        let bytes = Bytes(file.clone());
        let metadata = guarded(path, || ParquetMetaDataReader::new().parse_and_finish(&bytes))?;
        let columns = Columns::find(path, &metadata)?;
        for (g, group) in metadata.row_groups().iter().enumerate() {
            let at = |rule: Rule| Error::new(format!("{}: row group {g}", path.display()), rule);
            for column in columns.used() {
                let c = group.column(column);
                if matches!(c.compression(), Compression::ZSTD(_)) {
                    zstd().map_err(at)?;
                }
                // The library would panic at a negative one, and say so on the terminal, before it is caught.
                let start = c.dictionary_page_offset().unwrap_or_else(|| c.data_page_offset());
                let (Ok(start), Ok(length)) = (u64::try_from(start), u64::try_from(c.compressed_size())) else {
                    let rule = Rule::new(format!("{} bytes at byte {start}", c.compressed_size()));
                    return Err(at(rule.right("an intact file")));
                };
                if start.checked_add(length).is_none_or(|end| end > file.size()) {
                    let rule = Rule::new(format!("{length} bytes at byte {start} reach beyond the end"));
                    return Err(at(rule.given(format!("a file of {} bytes", file.size())).right("an intact file")));
                }
                limits.check_memory(c.uncompressed_size().max(0) as u64).map_err(at)?;
                // A column of constants may be packed without bound; no image takes less than a bit.
                if c.num_values() < 0 || c.num_values() as u64 > 8 * file.size() {
                    let rule = Rule::new(format!("{} values in a file of {} bytes", c.num_values(), file.size()));
                    return Err(at(rule.right("an intact file")));
                }
            }
        }
        Ok(Source { file, metadata, columns, starts: vec![] })
    }
    fn reader(&self, group: usize, column: usize) -> ParquetResult<ColumnReader> {
        let g = self.metadata.row_group(group);
        let rows = g.num_rows().max(0) as usize;
        let pages = SerializedPageReader::new(Arc::new(Bytes(self.file.clone())), g.column(column), rows, None)?;
        Ok(get_column_reader(g.column(column).column_descr_ptr(), Box::new(pages)))
    }
    fn rows(&self, group: usize) -> usize {
        self.metadata.row_group(group).num_rows().max(0) as usize
    }
    /// The texts of the labels of a row group; `None` where one is missing.
    fn labels(&self, group: usize) -> Result<Vec<Option<String>>, Error> {
        let out = guarded(self.path(), || match self.reader(group, self.columns.label)? {
            ColumnReader::Int32ColumnReader(r) => values(r, |v| v.to_string()),
            ColumnReader::Int64ColumnReader(r) => values(r, |v| v.to_string()),
            ColumnReader::BoolColumnReader(r) => values(r, |v| u8::from(*v).to_string()),
            ColumnReader::ByteArrayColumnReader(r) => values(r, |v| String::from_utf8_lossy(v.data()).into_owned()),
            _ => Err(ParquetError::General("labels of another type than numbers and text".into())),
        })?;
        self.complete(group, out)
    }
    /// The images of a row group, as they are stored.
    fn images(&self, group: usize) -> Result<Vec<Option<ByteArray>>, Error> {
        let out = guarded(self.path(), || match self.reader(group, self.columns.image)? {
            ColumnReader::ByteArrayColumnReader(r) => values(r, ByteArray::clone),
            _ => Err(ParquetError::General("images that are no bytes".into())),
        })?;
        self.complete(group, out)
    }
    /// Checks that there is a value for every row.
    fn complete<T>(&self, group: usize, values: Vec<Option<T>>) -> Result<Vec<Option<T>>, Error> {
        let rows = self.rows(group);
        if values.len() != rows {
            let place = format!("{}: row group {group}", self.path().display());
            let rule = Rule::new(format!("{} values in {rows} rows", values.len()));
            return Err(Error::new(place, rule.right("one a row: an intact file without lists")));
        }
        Ok(values)
    }
}

#[cfg(feature = "parquet-zstd")]
fn zstd() -> Result<(), Rule> {
    Ok(())
}
#[cfg(not(feature = "parquet-zstd"))]
fn zstd() -> Result<(), Rule> {
    Err(Rule::new("columns compressed with Zstandard are not read by this build").right(
        "a build with the feature parquet-zstd (it compiles C), or a file written with snappy, lz4, gzip or brotli",
    ))
}

/// All values of a column, in the order of the rows.
fn values<T: ::parquet::data_type::DataType, V>(
    mut reader: ::parquet::column::reader::ColumnReaderImpl<T>,
    make: impl Fn(&T::T) -> V,
) -> ParquetResult<Vec<Option<V>>> {
    let mut out = Vec::new();
    let (mut buffer, mut levels, mut repeats) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        buffer.clear();
        levels.clear();
        repeats.clear();
        let (records, present, read) =
            reader.read_records(BATCH, Some(&mut levels), Some(&mut repeats), &mut buffer)?;
        if records == 0 && read == 0 {
            return Ok(out);
        }
        if levels.is_empty() {
            out.extend(buffer.iter().take(present).map(|v| Some(make(v))));
        } else {
            // A value is there where the level is the highest one, which has as many as there are values.
            let highest = levels.iter().max().copied().unwrap_or(0);
            let full = levels.iter().filter(|&&l| l == highest).count() == present;
            let mut value = buffer.iter();
            out.extend(levels.iter().map(|&l| if full && l == highest { value.next().map(&make) } else { None }));
        }
    }
}

fn read(files: Vec<(PathBuf, Part)>, entries: &[Entry], options: &OpenOptions) -> Result<Splits, Error> {
    let mut labels = Labels::default();
    let mut names: Option<(PathBuf, ClassNames)> = None;
    let mut sets: [Collected; 3] = Default::default();
    for (path, part) in &files {
        let mut source = Source::open(path, &options.limits)?;
        let declared = source.columns.names.take();
        if let (Some((first, known)), Some(declared)) = (&names, &declared)
            && known != declared
        {
            let rule = Rule::new("other class names than those of another file").given(first.display().to_string());
            return Err(Error::at(path, rule.right("files of one data set")));
        }
        if let (None, Some(declared)) = (&names, declared) {
            names = Some((path.clone(), declared));
        }
        let set = &mut sets[*part as usize];
        source.starts.push(set.labels.len());
        for group in 0..source.metadata.num_row_groups() {
            let first = set.labels.len();
            for (row, text) in source.labels(group)?.into_iter().enumerate() {
                let place = || format!("{} row {}", path.display(), first - source.starts[0] + row);
                // HF writes −1 for a label that is not known.
                let text = text.filter(|t| t != "-1").ok_or_else(|| {
                    Error::new(place(), Rule::new("a row without a label").right("a label for every row"))
                })?;
                set.labels.push(labels.add(&text, place));
            }
            if set.labels.len() > u32::MAX as usize {
                return Err(Error::at(path, Rule::new(format!("more than {} rows", u32::MAX)).right("fewer")));
            }
            source.starts.push(set.labels.len());
        }
        set.files.push(source);
    }
    let names = class_names(entries, &options.limits)?.or(names.map(|n| n.1));
    let (classes, of_text) = labels.classes(names, Meaning::Number)?;
    let mut parts = Parts::new("Parquet");
    for (part, set) in Part::ALL.into_iter().zip(sets) {
        if set.files.is_empty() {
            continue;
        }
        if set.labels.is_empty() {
            return Err(Error::at(set.files[0].path(), Rule::new("no rows").right("a row for every image")));
        }
        let labels = set.labels.into_iter().map(|l| of_text[l as usize]).collect();
        parts.put(part, ParquetDataset::new(set.files, labels, classes.clone(), options.limits));
    }
    parts.finish(options)
}

#[derive(Default)]
struct Collected {
    files: Vec<Source>,
    labels: Vec<u32>,
}

/// The images of a row group.
type Images = Arc<Vec<Option<ByteArray>>>;
/// A row group's number, its bytes, and its images once they are read.
type Slot = (u32, u64, Arc<Mutex<Option<Images>>>);

/// Rows of Parquet files.
struct ParquetDataset {
    files: Vec<Source>,
    labels: Vec<u32>,
    classes: Vec<String>,
    limits: Limits,
    /// File and number in it of every row group, and where the row groups begin.
    groups: Vec<(u32, u32)>,
    starts: Vec<usize>,
    /// Row groups that are kept, the last used last.
    kept: Mutex<Vec<Slot>>,
}

impl ParquetDataset {
    fn new(files: Vec<Source>, labels: Vec<u32>, classes: Vec<String>, limits: Limits) -> Self {
        let (mut groups, mut starts) = (Vec::new(), Vec::new());
        for (f, file) in files.iter().enumerate() {
            for g in 0..file.metadata.num_row_groups() {
                groups.push((f as u32, g as u32));
                starts.push(file.starts[g]);
            }
        }
        ParquetDataset { files, labels, classes, limits, groups, starts, kept: Mutex::default() }
    }
    /// The row group of sample `i`; an error beyond the end.
    fn group(&self, i: usize) -> Result<usize, Error> {
        if i >= self.labels.len() {
            return Err(out_of_range(i, self.labels.len()));
        }
        // Empty row groups begin where the next one does.
        Ok(self.starts.partition_point(|&s| s <= i) - 1)
    }
    fn bytes_of(&self, group: usize) -> u64 {
        let (f, g) = self.groups[group];
        let file = &self.files[f as usize];
        file.metadata.row_group(g as usize).column(file.columns.image).uncompressed_size().max(0) as u64
    }
    /// Bytes of all images, unpacked: about those of the files that they were.
    fn bytes(&self) -> u64 {
        (0..self.groups.len()).map(|g| self.bytes_of(g)).fold(0, u64::saturating_add)
    }
    /// The images of a row group, read once while it is kept; who comes second waits for the first.
    fn images(&self, group: usize) -> Result<Images, Error> {
        let slot = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = match kept.iter().position(|s| s.0 == group as u32) {
                Some(at) => kept.remove(at),
                None => (group as u32, self.bytes_of(group), Arc::default()),
            };
            kept.push(slot.clone());
            let mut bytes: u64 = kept.iter().map(|s| s.1).sum();
            while bytes > KEPT && kept.len() > 2 {
                bytes -= kept.remove(0).1;
            }
            slot.2
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(images) = &*slot {
            return Ok(images.clone());
        }
        let (f, g) = self.groups[group];
        let images = Arc::new(self.files[f as usize].images(g as usize)?);
        *slot = Some(images.clone());
        Ok(images)
    }
    fn read<T>(&self, i: usize, with: impl FnOnce(&[u8]) -> Result<T, Error>) -> Result<T, Error> {
        let group = self.group(i)?;
        let images = self.images(group).map_err(|e| Error::new(self.id(i), e.rule().clone()))?;
        match &images[i - self.starts[group]] {
            Some(bytes) => {
                self.limits.check_file(bytes.len() as u64).map_err(|r| Error::new(self.id(i), r))?;
                with(bytes.data())
            }
            None => Err(Error::new(
                self.id(i),
                Rule::new("a row without the bytes of an image").right("bytes, not a path alone"),
            )),
        }
    }
}

impl Dataset for ParquetDataset {
    fn labels(&self) -> &[u32] {
        &self.labels
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn id(&self, i: usize) -> String {
        let Ok(group) = self.group(i) else { return format!("[{i}]") };
        let file = &self.files[self.groups[group].0 as usize];
        format!("{} row {}", file.path().display(), i - file.starts[0])
    }
    fn image(&self, i: usize) -> Result<Image<'_>, Error> {
        self.image_at_least(i, &|whole| whole)
    }
    fn image_at_least(&self, i: usize, enough: &dyn Fn([usize; 2]) -> [usize; 2]) -> Result<Image<'_>, Error> {
        self.read(i, |bytes| decode_at_least(bytes, &self.limits, enough).map_err(|r| Error::new(self.id(i), r)))
    }
    fn encoded(&self, i: usize) -> Result<Option<Cow<'_, [u8]>>, Error> {
        self.read(i, |bytes| Ok(Some(bytes.to_vec().into())))
    }
    fn twins(&self) -> Option<Vec<Vec<usize>>> {
        // Pictures' sizes stand beside their bytes, so there is no telling them apart without reading all.
        let few = self.stored_bytes().is_some_and(|bytes| bytes <= together::BYTES);
        let whole = |i: usize| self.read(i, |bytes| Ok(twins::digest(&[bytes]))).ok();
        few.then(|| twins::groups(self.labels.len(), 1, &[&whole]))
    }
    fn is_remote(&self) -> bool {
        self.files.iter().any(|f| is_url(f.path()))
    }
    fn stored_bytes(&self) -> Option<u64> {
        (!self.is_remote()).then(|| self.bytes())
    }
    fn blocks(&self) -> Option<Blocks> {
        let mut of = Vec::with_capacity(self.labels.len());
        for g in 0..self.groups.len() {
            let end = self.starts.get(g + 1).copied().unwrap_or(self.labels.len());
            of.resize(end, g as u32);
        }
        Some(Blocks { of, count: self.groups.len() as u32, bytes: self.bytes() })
    }
}
