//! Bounds that are checked before anything is unpacked.

use gabor_tensor::Rule;

/// Bounds on what a file may ask for; each is checked against the header before decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file on disk (default 1 GiB).
    pub file_bytes: u64,
    /// Pixels of one image (default 64 Mi, such as 8192 × 8192).
    pub pixels: u64,
    /// Bytes that one image or one data set held in memory may take when unpacked (default 4 GiB).
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { file_bytes: 1 << 30, pixels: 1 << 26, memory: 4 << 30 }
    }
}

impl Limits {
    /// Checks the bytes of a file on disk.
    pub(crate) fn check_file(&self, bytes: u64) -> Result<(), Rule> {
        if bytes > self.file_bytes {
            return Err(Rule::new(format!("a file of {bytes} bytes is larger than the limit"))
                .right(format!("at most {} bytes", self.file_bytes)));
        }
        Ok(())
    }
    /// Checks the extents that a header declares, for a decoder that holds `bytes` bytes per pixel.
    pub(crate) fn check_image(&self, height: u64, width: u64, bytes: u64) -> Result<(), Rule> {
        let given = format!("{width} × {height} pixels (width × height) in the header");
        let pixels = height.saturating_mul(width);
        if pixels == 0 {
            return Err(Rule::new("an image without pixels").given(given).right("at least 1 × 1"));
        }
        if pixels > self.pixels {
            return Err(Rule::new("more pixels than the limit")
                .given(given)
                .right(format!("at most {} pixels", self.pixels)));
        }
        self.check_memory(pixels.saturating_mul(bytes)).map_err(|r| r.given(given))
    }
    /// Checks the bytes that the unpacked contents take.
    pub(crate) fn check_memory(&self, bytes: u64) -> Result<(), Rule> {
        if bytes > self.memory || usize::try_from(bytes).is_err() {
            return Err(Rule::new(format!("{bytes} bytes when unpacked are more than the limit"))
                .right(format!("at most {} bytes", self.memory)));
        }
        Ok(())
    }
}
