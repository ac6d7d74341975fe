//! `gabor filter`: a classic filter on a picture.

use crate::arguments::{Compute, Format, look};
use crate::failure::{Failure, Result};
use crate::looking::no_part;
use crate::output;
use crate::progress::Progress;
use crate::written::{self, Arrays};
use clap::Args;
use gabor::data::{Limits, decode_file};
use gabor::picture::Look;
use gabor::tensor::Tensor;
use gabor::{Border, Classic, ClassicFilter, ClassicNumbers, Drawn, Filtered, FilteringOptions, classic, filtered};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Apply a classic filter to a picture
///
/// Through the convolution that networks compute with, at the picture's full size. A result that is neither light nor dark of
/// itself is drawn about middle grey (a Laplacian, a Gabor filter) or by its size (the gradient).
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor filter photo.jpg --kernel sobel
  gabor filter photo.jpg --kernel gabor --theta 45 --wavelength 12 --sigma 6 -o stripes.png --show sheet.svg
  gabor filter photo.jpg --kernel gaussian --sigma 3 -o soft.png
  gabor filter photo.jpg --kernel '[[-1,0,1],[-2,0,2],[-1,0,1]]' --draw signed
  gabor filter --kernel list

The filters, with the numbers that they take:
  gabor            --size --sigma (3) --theta (0) --wavelength (8) --phase (0) --aspect (0.5); as OpenCV's getGaborKernel,
                   whose weights do not add up to 0, so that plain parts are light or dark too; they do with --zero-mean
  gaussian         --size --sigma (2)
  box              --size (5)
  motion           --size (15) --theta (0)
  sobel            --size (3); the gradient's size, with --theta the gradient that way
  scharr, prewitt  as sobel, 3 × 3
  laplacian        fixed
  log              --size --sigma (2); the Laplacian of a Gaussian
  edge             fixed; a pixel against its eight neighbours
  sharpen          --amount (1)
  unsharp          --size --sigma (2) --amount (1)
  emboss           --amount (1)
  identity         fixed
A size that is not given is six deviations of the Gaussian, where it is longest.

JSON: `file`, `kernel`, `size`, `weights` (row by row), `second` (of a gradient's size: the weights at right angles), `border`, `draw`, `gain`,
`channels`, `height`, `width`, `smallest`, `largest`, `picture`, `sheet`, `npy`.")]
pub struct Arguments {
    /// The picture
    #[arg(value_name = "IMAGE")]
    image: Option<PathBuf>,
    /// The filter: a name, weights such as '[[-1,0,1]]', or `list`
    #[arg(long, value_name = "NAME | WEIGHTS", allow_hyphen_values = true)]
    kernel: String,
    /// Rows and columns of the filter, odd
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// Deviation of a Gaussian
    #[arg(long, value_name = "PIXELS")]
    sigma: Option<f64>,
    /// Direction across the stripes, of the gradient or of the motion, clockwise from the x axis
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    theta: Option<f64>,
    /// Pixels from stripe to stripe
    #[arg(long, value_name = "PIXELS")]
    wavelength: Option<f64>,
    /// Phase of the stripes
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    phase: Option<f64>,
    /// How much shorter the envelope is along the stripes
    #[arg(long, value_name = "RATIO")]
    aspect: Option<f64>,
    /// Of a Gabor filter: weights that add up to 0, so that plain parts of the picture give nothing
    #[arg(long)]
    zero_mean: bool,
    /// How much of the effect
    #[arg(long, value_name = "AMOUNT")]
    amount: Option<f64>,
    /// What the picture is continued with: reflect, replicate, wrap or zero
    #[arg(long, value_name = "HOW", default_value = "reflect", value_parser = border)]
    border: Border,
    /// How the result is drawn: natural (values are greys), signed (0 is middle grey) or magnitude (default: as the filter asks for)
    #[arg(long, value_name = "HOW", value_parser = drawn)]
    draw: Option<Drawn>,
    /// What values are multiplied with before they are drawn (default: 1 of natural results, else what fills the greys)
    #[arg(long, value_name = "FACTOR")]
    gain: Option<f64>,
    /// Filter the grey picture
    #[arg(long, conflicts_with = "colour")]
    grey: bool,
    /// Filter each colour
    #[arg(long, visible_alias = "color")]
    colour: bool,
    /// Where the filtered picture goes, a PNG file of the picture's size
    #[arg(short, long, value_name = "FILE.png", default_value = "filtered.png")]
    output: PathBuf,
    /// Also draw picture, filter and result side by side
    #[arg(long, value_name = "FILE.svg | FILE.png")]
    show: Option<PathBuf>,
    /// The look of what --show draws: auto (in an SVG as its viewer prefers, in a PNG light), light or dark
    #[arg(long, value_name = "LOOK", default_value = "auto", value_parser = look, requires = "show")]
    look: Look,
    /// Also write the values before they became greys as DIR/filtered.npy, and the weights as DIR/kernel.npy
    #[arg(long, value_name = "DIR")]
    npy: Option<PathBuf>,
    #[command(flatten)]
    pub compute: Compute,
    #[command(flatten)]
    format: Format,
}

fn border(text: &str) -> Result<Border, String> {
    let found = Border::ALL.iter().find(|b| b.0 == text).map(|b| b.1);
    found.ok_or_else(|| format!("right would be: {}", Border::ALL.map(|b| b.0).join(", ")))
}

fn drawn(text: &str) -> Result<Drawn, String> {
    let found = Drawn::ALL.iter().find(|d| d.0 == text).map(|d| d.1);
    found.ok_or_else(|| format!("right would be: {}", Drawn::ALL.map(|d| d.0).join(", ")))
}

pub fn run(a: &Arguments) -> Result<()> {
    let numbers = ClassicNumbers {
        size: a.size,
        sigma: a.sigma,
        theta: a.theta,
        wavelength: a.wavelength,
        phase: a.phase,
        aspect: a.aspect,
        amount: a.amount,
        zero_mean: a.zero_mean,
    };
    if a.kernel == "list" {
        let options = [
            ("a picture", a.image.is_some()),
            ("a filter's number", numbers != ClassicNumbers::default()),
            ("--show", a.show.is_some()),
            ("--npy", a.npy.is_some()),
        ];
        no_part(&options, "--kernel list", "--kernel list alone, or the name of a filter")?;
        return list(a.format.json);
    }
    let image = a
        .image
        .as_ref()
        .ok_or_else(|| Failure::Usage("no picture; right would be: gabor filter IMAGE --kernel NAME".into()))?;
    if a.output.extension().is_none_or(|e| !e.eq_ignore_ascii_case("png")) {
        let given = a.output.display();
        return Err(Failure::Usage(format!(
            "--output {given}: the picture is a PNG file; right would be: a name in .png"
        )));
    }
    if let Some(sheet) = &a.show {
        gabor::picture::kind(sheet).map_err(|e| Failure::Usage(format!("--show {e}")))?;
    }
    let mut files = vec![("--output", a.output.as_path())];
    files.extend(a.show.as_deref().map(|s| ("--show", s)));
    written::check(&files, a.npy.as_deref(), std::slice::from_ref(image))?;
    if let Some(gain) = a.gain.filter(|g| !g.is_finite() || *g <= 0.0) {
        return Err(Failure::Usage(format!("--gain {gain}: right would be: a positive number")));
    }
    let filter = classic(&a.kernel, &numbers).map_err(|r| Failure::Usage(format!("--kernel {}: {r}", a.kernel)))?;
    let picture = decode_file(image, &Limits::default()).map_err(gabor::Error::from)?;
    let grey = if a.grey { Some(true) } else { a.colour.then_some(false) };
    let options = FilteringOptions { border: a.border, drawn: a.draw, grey, gain: a.gain };
    let backend = a.compute.backend()?;
    let mut line = Progress::late(picture.height() as u64);
    let found = filtered(&picture, &filter, &options, &*backend, &mut |done, all| {
        let rows = (done * picture.height() / all.max(1)) as u64;
        line.draw_text(rows, &format!("{rows} of {} rows", picture.height()));
    });
    line.clear();
    let found = found?;
    let npy = match &a.npy {
        Some(directory) => Some(arrays(&found, &filter, directory)?),
        None => None,
    };
    gabor::write_aside(&a.output, &found.picture.to_png())?;
    let name = if Classic::by_name(&a.kernel).is_some() { a.kernel.as_str() } else { "own weights" };
    if let Some(path) = &a.show {
        let title = image.file_name().map_or_else(String::new, |f| f.to_string_lossy().into_owned());
        let sheet = found.sheet(&picture, name, &filter, &title, a.border);
        let sheet = sheet.ok_or_else(|| Failure::Failed(format!("{}: the picture cannot be drawn", path.display())))?;
        gabor::picture::write(path, &sheet.to_svg(), a.look)?;
    }
    if a.format.json {
        let border = Border::ALL.iter().find(|b| b.1 == a.border).map(|b| b.0);
        return output::json(&json!({
            "file": image.display().to_string(), "kernel": a.kernel, "size": filter.size, "weights": filter.weights,
            "second": filter.second, "border": border, "draw": found.drawn.name(), "gain": found.gain,
            "channels": found.picture.channels, "height": found.picture.height, "width": found.picture.width,
            "smallest": found.range[0], "largest": found.range[1], "picture": a.output.display().to_string(),
            "sheet": a.show.as_ref().map(|s| s.display().to_string()), "npy": npy,
        }));
    }
    let sheet = a.show.as_ref().map_or(String::new(), |s| format!("{}\n", s.display()));
    output::text(&format!("{}\n{sheet}", a.output.display()))
}

fn arrays(found: &Filtered, filter: &ClassicFilter, directory: &Path) -> Result<Value> {
    let (arrays, p) = (Arrays::new(directory)?, &found.picture);
    let values = arrays.write("filtered", Tensor::f32(&[p.channels, p.height, p.width], found.values.clone()))?;
    let weights = filter.weights.iter().map(|&w| w as f32).collect();
    let weights = arrays.write("kernel", Tensor::f32(&filter.size, weights))?;
    Ok(json!({ "values": values, "kernel": weights }))
}

fn list(as_json: bool) -> Result<()> {
    if as_json {
        let all: Vec<Value> =
            Classic::ALL.iter().map(|k| json!({ "kernel": k.0, "takes": k.2, "about": k.3 })).collect();
        return output::json(&all.into());
    }
    let mut text = String::new();
    for (name, _, takes, about) in Classic::ALL {
        let takes: Vec<String> = takes.iter().map(|t| format!("--{t}")).collect();
        text += &format!(
            "{:<11} {about}{}{}\n",
            output::bold(name),
            if takes.is_empty() { "" } else { ": " },
            takes.join(" ")
        );
    }
    output::text(&text)
}
