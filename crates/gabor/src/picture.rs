//! Pictures as files: what [`report`](crate::report) draws, as SVG or as PNG, by the name.

use crate::{Error, Result, write_aside};
pub use gabor_raster::{Pixels, pixels};
pub use gabor_report::{Look, dressed};
use gabor_tensor::Rule;
use std::path::Path;

/// Pixels of a PNG for each unit of a picture, so that it is sharp on fine screens.
pub const SCALE: f64 = 2.0;

/// The two kinds of file that a picture can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sharp at any size, and light or dark as its viewer is.
    Svg,
    /// Pixels, for whoever cannot show SVG.
    Png,
}

/// What a picture of that name will be.
///
/// # Errors
/// A name that ends in neither `.svg` nor `.png`.
///
/// ```
/// use gabor::picture::{Kind, kind};
/// assert_eq!(kind("maps.PNG".as_ref()), Ok(Kind::Png));
/// assert!(kind("maps.jpg".as_ref()).unwrap_err().to_string().contains("right would be: a name in .svg or .png"));
/// ```
pub fn kind(path: &Path) -> Result<Kind> {
    match path.extension().and_then(|e| e.to_str()).map(str::to_lowercase).as_deref() {
        Some("svg") => Ok(Kind::Svg),
        Some("png") => Ok(Kind::Png),
        _ => {
            let rule = Rule::new("the picture cannot be of this kind").right("a name in .svg or .png");
            Err(Error::new(path.display().to_string(), rule))
        }
    }
}

/// Writes a picture that we drew, as its name says.
///
/// # Errors
/// Those of [`kind`]; a picture too large to be pixels; what the operating system says, with the path.
pub fn write(path: &Path, svg: &str, look: Look) -> Result<()> {
    match kind(path)? {
        Kind::Svg => write_aside(path, dressed(svg, look).as_bytes()),
        Kind::Png => {
            let look = if look == Look::Auto { Look::Light } else { look };
            let failed = |e: gabor_raster::Error| {
                Error::new(path.display().to_string(), Rule::new(e.to_string()).right("a name in .svg"))
            };
            let bytes = gabor_raster::png(&dressed(svg, look), SCALE).map_err(failed)?;
            write_aside(path, &bytes)
        }
    }
}
