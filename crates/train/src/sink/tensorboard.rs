//! Event files of TensorBoard, written by hand: records of TFRecord with masked CRC-32C around messages `Event` of
//! tensorflow/core/util/event.proto, of which five fields are needed.
//!
//! A run that goes on writes a file of its own, which begins with the mark of a new session: TensorBoard then drops what the
//! files before hold of steps that are done again. A run that was killed leaves at most part of a record at a file's end,
//! which readers pass over.

use crate::checksum::crc32c;
use crate::{Error, Event, Result, Sink};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// An event file that TensorBoard reads: losses, accuracies, learning rate and gradient norm over steps.
///
/// | tag | what | at |
/// |---|---|---|
/// | `step/loss`, `step/top1`, `step/lr`, `step/gradient_norm`, `step/images_per_second` | as [`Event::Step`] | some steps |
/// | `loss/train`, `top1/train`, `loss/validation`, `top1/validation` | as [`Event::Epoch`] | the end of every epoch |
/// | `gradient_norm/PARAMETER` | as [`Event::Gradients`] | the end of epochs, where the run watches them |
/// | `loss/test`, `top1/test` (or what the part is called) | as [`Event::Evaluated`] | the end of the run |
pub struct TensorBoard {
    path: PathBuf,
    /// The last step that was heard of.
    step: u64,
    file: BufWriter<File>,
}

impl TensorBoard {
    /// Creates `events.out.tfevents.SECONDS.NANOSECONDS.gabor` in a directory, for a run of which `done` steps are done.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn create(directory: &Path, done: u64) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let path = directory.join(format!("events.out.tfevents.{}.{:09}.gabor", now.as_secs(), now.subsec_nanos()));
        let file = File::create(&path).map_err(|e| Error::io(&path, "write", &e))?;
        let mut out = TensorBoard { path, step: done, file: BufWriter::new(file) };
        let mut message = Vec::new();
        double(&mut message, 1, seconds());
        bytes(&mut message, 3, b"brain.Event:2");
        out.record(&message)?;
        out.record(&session(seconds(), done + 1))?;
        Ok(out)
    }
    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
    fn record(&mut self, message: &[u8]) -> Result<()> {
        let out = record(message);
        let done = self.file.write_all(&out).and_then(|()| self.file.flush());
        done.map_err(|e| Error::io(&self.path, "write", &e))
    }
    fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        self.record(&scalars(seconds(), step, values))
    }
}

impl Sink for TensorBoard {
    fn event(&mut self, event: &Event) -> Result<()> {
        self.step = event.step().unwrap_or(self.step);
        match event {
            Event::Step { step, loss, top1, lr, gradient_norm, images_per_second, .. } => self.scalars(
                *step,
                &[
                    ("step/loss", *loss),
                    ("step/top1", *top1),
                    ("step/lr", *lr),
                    ("step/gradient_norm", *gradient_norm),
                    ("step/images_per_second", *images_per_second),
                ],
            ),
            Event::Epoch { step, train_loss, train_top1, validation_loss, validation_top1, .. } => {
                let mut values = vec![("loss/train", *train_loss), ("top1/train", *train_top1)];
                values.extend(validation_loss.map(|v| ("loss/validation", v)));
                values.extend(validation_top1.map(|v| ("top1/validation", v)));
                self.scalars(*step, &values)
            }
            Event::Gradients { step, norms } => {
                let values: Vec<(String, f64)> =
                    norms.iter().map(|(name, v)| (format!("gradient_norm/{name}"), *v)).collect();
                let values: Vec<(&str, f64)> = values.iter().map(|(name, v)| (name.as_str(), *v)).collect();
                self.scalars(*step, &values)
            }
            Event::Evaluated { evaluation: e } => {
                let (loss, top1) = (format!("loss/{}", e.split), format!("top1/{}", e.split));
                self.scalars(self.step, &[(&loss, e.loss), (&top1, e.top1)])
            }
            _ => Ok(()),
        }
    }
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A TFRecord: length, its checksum, data, its checksum; little-endian.
fn record(data: &[u8]) -> Vec<u8> {
    let masked = |b: &[u8]| crc32c(b).rotate_right(15).wrapping_add(0xA282_EAD8).to_le_bytes();
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}

/// `Event { wall_time: 1, step: 2, summary: 5 }` with `Summary { value: 1 { tag: 1, simple_value: 2 } }`.
fn scalars(wall_time: f64, step: u64, values: &[(&str, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, v) in values {
        let mut value = Vec::new();
        bytes(&mut value, 1, tag.as_bytes());
        value.push(2 << 3 | 5);
        value.extend((*v as f32).to_le_bytes());
        bytes(&mut summary, 1, &value);
    }
    let mut message = Vec::new();
    double(&mut message, 1, wall_time);
    message.push(2 << 3);
    varint(&mut message, step);
    bytes(&mut message, 5, &summary);
    message
}

/// `Event { wall_time: 1, step: 2, session_log: 7 }` with `SessionLog { status: 1 }`, START: what is known of this step and of
/// those after it does not count any more.
fn session(wall_time: f64, step: u64) -> Vec<u8> {
    let mut message = Vec::new();
    double(&mut message, 1, wall_time);
    message.push(2 << 3);
    varint(&mut message, step);
    bytes(&mut message, 7, &[1 << 3, 1]);
    message
}

fn varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

fn bytes(out: &mut Vec<u8>, field: u8, data: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, data.len() as u64);
    out.extend_from_slice(data);
}

fn double(out: &mut Vec<u8>, field: u8, v: f64) {
    out.push(field << 3 | 1);
    out.extend(v.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The record that tensorboard 2.x (`SummaryWriter.add_scalar`) writes for the same numbers.
    #[test]
    fn bytes_are_tensorboards() {
        let message = scalars(1.5, 300, &[("loss", 0.25)]);
        assert_eq!(
            message,
            b"\x09\x00\x00\x00\x00\x00\x00\xf8\x3f\x10\xac\x02\x2a\x0d\x0a\x0b\x0a\x04loss\x15\x00\x00\x80\x3e"
        );
        assert_eq!(session(1.5, 300), b"\x09\x00\x00\x00\x00\x00\x00\xf8\x3f\x10\xac\x02\x3a\x02\x08\x01");
        let r = record(b"\x09");
        assert_eq!(r.len(), 8 + 4 + 1 + 4);
        assert_eq!(r[..8], 1u64.to_le_bytes());
    }
}
