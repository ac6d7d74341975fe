//! Parquet files as the `datasets` library writes them: `image` of `bytes` and `path`, `label`, the names of the classes
//! in the metadata.

use super::{Item, Place, Writer, of_sample, unwritten};
use crate::{Error, Part};
use ::parquet::basic::Compression;
use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use ::parquet::errors::Result as ParquetResult;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use ::parquet::schema::types::{ColumnPath, TypePtr};
use gabor_tensor::Rule;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A row group is closed at so many bytes or rows: it is what a reader holds to mix samples.
const GROUP_BYTES: u64 = 16 << 20;
const GROUP_ROWS: usize = 1000;
const SCHEMA: &str = "message schema {
    optional group image { optional binary bytes; optional binary path (UTF8); }
    optional int64 label;
}";

pub(super) struct Parquet {
    place: Place,
    part: Part,
    samples: u64,
    shards: Vec<PathBuf>,
    file: Option<SerializedFileWriter<File>>,
    /// Bytes of the present file before the rows that wait.
    bytes: u64,
    rows: Rows,
}

/// Rows that wait for their row group.
#[derive(Default)]
struct Rows {
    images: Vec<ByteArray>,
    paths: Vec<ByteArray>,
    labels: Vec<i64>,
    bytes: u64,
}

/// What the part is called in the names of files, as on the hub.
fn stem(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Validation => "validation",
        Part::Test => "test",
    }
}

fn failed<T>(path: &Path, result: ParquetResult<T>) -> Result<T, Error> {
    result.map_err(|e| unwritten(path, &std::io::Error::other(e.to_string())))
}

impl Parquet {
    pub fn new(place: Place) -> Self {
        Parquet {
            place,
            part: Part::Train,
            samples: 0,
            shards: Vec::new(),
            file: None,
            bytes: 0,
            rows: Rows::default(),
        }
    }
    /// Opens the next file of the part. Its name comes when it is known how many there are.
    fn open(&mut self) -> Result<(), Error> {
        let path = self.place.directory.join(format!("{}-{:05}.parquet", stem(self.part), self.shards.len()));
        let features = serde_json::json!({ "info": { "features": {
            "image": { "_type": "Image" },
            "label": { "names": self.place.classes, "_type": "ClassLabel" },
        } } });
        // Images are compressed already, and the least and largest of them say nothing.
        let image = ColumnPath::from(vec!["image".to_string(), "bytes".to_string()]);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_column_compression(image.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(image.clone(), false)
            .set_column_statistics_enabled(image, EnabledStatistics::None)
            .set_key_value_metadata(Some(vec![KeyValue::new("huggingface".to_string(), features.to_string())]))
            .set_created_by("gabor".into())
            .build();
        let schema: TypePtr = Arc::new(failed(&path, parse_message_type(SCHEMA))?);
        let file = File::create(&path).map_err(|e| unwritten(&path, &e))?;
        self.file = Some(failed(&path, SerializedFileWriter::new(file, schema, Arc::new(properties)))?);
        self.shards.push(path);
        self.bytes = 0;
        Ok(())
    }
    /// Writes the rows that wait as a row group.
    fn flush(&mut self) -> Result<(), Error> {
        let (Some(file), Some(path)) = (&mut self.file, self.shards.last()) else { return Ok(()) };
        let rows = std::mem::take(&mut self.rows);
        if rows.labels.is_empty() {
            return Ok(());
        }
        // Every value is there: the highest level of each column.
        let (deep, flat) = (vec![2i16; rows.labels.len()], vec![1i16; rows.labels.len()]);
        let mut write = || {
            let mut group = file.next_row_group()?;
            let mut number = 0;
            while let Some(mut column) = group.next_column()? {
                match number {
                    0 => column.typed::<ByteArrayType>().write_batch(&rows.images, Some(&deep), None)?,
                    1 => column.typed::<ByteArrayType>().write_batch(&rows.paths, Some(&deep), None)?,
                    _ => column.typed::<Int64Type>().write_batch(&rows.labels, Some(&flat), None)?,
                };
                column.close()?;
                number += 1;
            }
            group.close().map(|_| ())
        };
        failed(path, write())?;
        self.bytes += rows.bytes;
        Ok(())
    }
    fn close(&mut self) -> Result<(), Error> {
        self.flush()?;
        match (self.file.take(), self.shards.last()) {
            (Some(file), Some(path)) => failed(path, file.close()).map(|_| ()),
            _ => Ok(()),
        }
    }
}

impl Writer for Parquet {
    fn takes_files(&self) -> bool {
        true
    }
    fn begin(&mut self, part: Part, _count: u64) -> Result<(), Error> {
        (self.part, self.samples) = (part, 0);
        self.shards.clear();
        Ok(())
    }
    fn add(&mut self, item: Item<'_>, label: u32) -> Result<(), Error> {
        let (bytes, ending) = item.into_file().map_err(of_sample)?;
        // Values have lengths of 31 bits.
        if bytes.len() > i32::MAX as usize {
            return Err(of_sample(Rule::new(format!("an image of {} bytes", bytes.len())).right("less than 2 GiB")));
        }
        let wanted = bytes.len() as u64;
        if self.file.is_some() && self.bytes + self.rows.bytes + wanted > self.place.shard_bytes {
            self.close()?;
        }
        if self.file.is_none() {
            self.open()?;
        }
        let rows = &mut self.rows;
        rows.paths.push(format!("{:08}.{ending}", self.samples).into_bytes().into());
        rows.images.push(bytes.into());
        rows.labels.push(label.into());
        rows.bytes += wanted;
        self.samples += 1;
        if rows.bytes >= GROUP_BYTES || rows.labels.len() >= GROUP_ROWS {
            self.flush()?;
        }
        Ok(())
    }
    fn end(&mut self) -> Result<(), Error> {
        self.close()?;
        let all = self.shards.len();
        for (i, path) in self.shards.drain(..).enumerate() {
            let name = format!("{}-{i:05}-of-{all:05}.parquet", stem(self.part));
            std::fs::rename(&path, self.place.directory.join(name)).map_err(|e| unwritten(&path, &e))?;
        }
        Ok(())
    }
    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
