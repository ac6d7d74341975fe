//! Our SVG pictures as pixels: for PNG files, for the frames of an animation, for whoever cannot show SVG.
//!
//! Letters are those of a font inside (Inter, in `fonts/`), so a picture has the same pixels on every machine. Colours must
//! be plain by now: `gabor_report::dressed` puts them where variables stood.
#![forbid(unsafe_code)]

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{FontResolver, ImageHrefResolver, Options, Tree, fontdb};
use std::fmt;
use std::sync::{Arc, LazyLock};

/// Rows of pixels from the top, each red, green, blue and opacity, not multiplied by it.
#[derive(Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height · width · 4` bytes.
    pub rgba: Vec<u8>,
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pixels({} × {})", self.width, self.height)
    }
}

/// Why there are no pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Most pixels of a picture: 400 MB.
const MOST: f64 = 1e8;

/// The fonts, read once.
static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(include_bytes!("../fonts/Inter-Regular.ttf").to_vec());
    fonts.load_font_data(include_bytes!("../fonts/Inter-SemiBold.ttf").to_vec());
    Arc::new(fonts)
});

/// Draws a picture with `scale` pixels for each of its units. Files that it refers to are not opened; pictures inside it
/// (data URIs) are shown.
///
/// # Errors
/// What is no SVG; a picture of more than 100 million pixels.
///
/// ```
/// let svg = r##"<svg xmlns="http://www.w3.org/2000/svg" width="2" height="1"><rect width="1" height="1" fill="#f00"/></svg>"##;
/// let pixels = gabor_raster::pixels(svg, 1.0).unwrap();
/// assert_eq!(pixels.rgba, [255, 0, 0, 255, 0, 0, 0, 0]);
/// ```
pub fn pixels(svg: &str, scale: f64) -> Result<Pixels, Error> {
    let map = draw(svg, scale)?;
    let (width, height) = (map.width() as usize, map.height() as usize);
    Ok(Pixels { width, height, rgba: map.take_demultiplied() })
}

/// Draws a picture as [`pixels`] does: the bytes of a PNG file.
///
/// # Errors
/// Those of [`pixels`].
pub fn png(svg: &str, scale: f64) -> Result<Vec<u8>, Error> {
    pixels(svg, scale)?.to_png()
}

impl Pixels {
    /// The bytes of a PNG file; without opacity if nothing shines through.
    ///
    /// # Errors
    /// Fields that contradict each other.
    pub fn to_png(&self) -> Result<Vec<u8>, Error> {
        let failed = |what: String| Error(format!("a picture of {} × {}: {what}", self.width, self.height));
        let side = |v: usize| u32::try_from(v).map_err(|e| failed(e.to_string()));
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, side(self.width)?, side(self.height)?);
        let opaque = self.rgba.chunks_exact(4).all(|p| p[3] == 255);
        encoder.set_color(if opaque { png::ColorType::Rgb } else { png::ColorType::Rgba });
        encoder.set_depth(png::BitDepth::Eight);
        let plain: Vec<u8>;
        let data = if opaque {
            plain = self.rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
            &plain
        } else {
            &self.rgba
        };
        let mut writer = encoder.write_header().map_err(|e| failed(e.to_string()))?;
        writer.write_image_data(data).map_err(|e| failed(e.to_string()))?;
        writer.finish().map_err(|e| failed(e.to_string()))?;
        Ok(out)
    }
}

fn draw(svg: &str, scale: f64) -> Result<Pixmap, Error> {
    let tree = Tree::from_str(svg, &options()).map_err(|e| Error(format!("not an SVG picture: {e}")))?;
    let size = tree.size();
    let sides = [size.width(), size.height()].map(|v| (f64::from(v) * scale).ceil());
    let large = || {
        Error(format!(
            "a picture of {} × {} pixels, where {} million and 65535 a side are the most",
            sides[0],
            sides[1],
            MOST / 1e6
        ))
    };
    // Written so that what is not a number is refused, too.
    if !(sides.iter().all(|s| (1.0..=65535.0).contains(s)) && sides[0] * sides[1] <= MOST) {
        return Err(large());
    }
    let mut map = Pixmap::new(sides[0] as u32, sides[1] as u32).ok_or_else(large)?;
    resvg::render(&tree, Transform::from_scale(scale as f32, scale as f32), &mut map.as_mut());
    Ok(map)
}

/// Whatever family a text asks for, it gets our font, in the weight that is nearer.
fn options() -> Options<'static> {
    let select = |font: &resvg::usvg::Font, fonts: &mut Arc<fontdb::Database>| {
        let weight = fontdb::Weight(if font.weight() > 500 { 600 } else { 400 });
        fonts.faces().find(|f| f.weight == weight).map(|f| f.id)
    };
    Options {
        fontdb: FONTS.clone(),
        font_resolver: FontResolver { select_font: Box::new(select), ..Default::default() },
        image_href_resolver: ImageHrefResolver { resolve_string: Box::new(|_, _| None), ..Default::default() },
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(inside: &str) -> String {
        format!("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" height=\"20\">{inside}</svg>")
    }
    fn ink(inside: &str) -> usize {
        pixels(&svg(inside), 2.0).unwrap().rgba.chunks_exact(4).map(|p| usize::from(p[3])).sum()
    }

    #[test]
    fn letters_are_drawn_in_two_weights() {
        let text = |style: &str| ink(&format!("<style>text {{ {style} }}</style><text x=\"2\" y=\"15\">×→Ωж</text>"));
        let light = text("font-family: 'No Such Font', serif; font-weight: 400");
        let bold = text("font-weight: 600");
        assert!(light > 2000 && bold > light * 11 / 10, "{light} {bold}");
    }

    #[test]
    fn enlarged_pixels_stay_squares() {
        // Two pixels, black and white, over the whole picture.
        let uri = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAAAAADRSSBWAAAAC0lEQVR4nGNg+A8AAQIBAEK+vGgAAAAASUVORK5CYII=";
        let image = format!(
            "<style>.p {{ image-rendering: pixelated; }}</style><image class=\"p\" width=\"40\" height=\"20\" \
             preserveAspectRatio=\"none\" href=\"{uri}\"/>"
        );
        let drawn = pixels(&svg(&image), 1.0).unwrap();
        let row: Vec<u8> = drawn.rgba.chunks_exact(4).skip(400).take(40).map(|p| p[0]).collect();
        assert_eq!(row, [[0; 20], [255; 20]].concat());
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        assert!(pixels("<svg", 1.0).unwrap_err().to_string().contains("not an SVG picture"));
        for scale in [1e6, 0.0, -1.0, f64::NAN] {
            assert!(pixels(&svg(""), scale).unwrap_err().to_string().contains("are the most"), "{scale}");
        }
        // Files are not opened.
        assert_eq!(ink("<image width=\"40\" height=\"20\" href=\"/etc/hostname.png\"/>"), 0);
        assert_eq!(&png(&svg(""), 1.0).unwrap()[1..4], b"PNG");
    }
}
