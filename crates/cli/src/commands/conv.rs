//! `gabor conv`: the arithmetic of a convolution, as an animation with every number.

use crate::arguments::{Format, look};
use crate::failure::{Failure, Result};
use crate::looking::no_part;
use crate::output;
use crate::progress::Progress;
use crate::written;
use clap::Args;
use gabor::picture::Look;
use gabor::report::ConvAnimation;
use gabor::tensor::{Padding, WindowOptions};
use gabor::{Arithmetic, ArithmeticOptions, Matrix, arithmetic};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Draw the arithmetic of a convolution as an animation
///
/// A window slides over the input; every output stands with the sum that gives it. Geometry and numbers are those that
/// networks compute with. The SVG file plays in every browser.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor conv --input 7 --kernel 3 --stride 2 --pad 1
  gabor conv --input 7 --kernel 3 --dilation 2 -o dilated.gif --look dark
  gabor conv --input 5x7 --kernel 3x2 --pad 1:0x1 -o conv.svg
  gabor conv --input 4 --kernel 3 --stride 2 --pad 1 --transposed --output-padding 1
  gabor conv --values 1,0,2,2,3,1 --filter 3,2,2 --pad same
  gabor conv --values '3,3,2; 0,0,1; 3,1,2' --filter '0,1; 2,2' -o mine.svg
  gabor conv --dims 1 --input 13 --kernel 6 --stride 5 --json

Padding: a number; BEGIN:END; one of them per dimension with `x` between (1:0x2); `same`; `valid`.

JSON: `title`, `input`, `kernel`, `stride`, `padding` (pairs), `dilation`, `transposed`, `output` (extents), `formulas`, `notes`, `values`,
`filter`, `result` (numbers row by row), `steps`: a list of `position`, `corner` (the window's first cell on the padded input), `sum`,
`text`, `terms` (`tap`, `at` or null in the padding, `x`, `w`), `picture` (the file written), `seconds_per_step` and `seconds` (of a round of the
animation: up to 1.4 s for a step, and half a minute for a round of up to 250).")]
pub struct Arguments {
    /// Extents of the input: 7, or 7x9 for rows and columns
    #[arg(long, value_name = "EXTENTS", value_parser = extents)]
    input: Option<List>,
    /// Extents of the filter (default: 3)
    #[arg(long, value_name = "EXTENTS", value_parser = extents)]
    kernel: Option<List>,
    /// Steps between windows
    #[arg(long, value_name = "STEPS", value_parser = extents, default_value = "1")]
    stride: List,
    /// Zeros around the input: 1, 1:2 (before:after), 1x0:2 (rows, columns), `same` or `valid`
    #[arg(long, value_name = "ZEROS", value_parser = padding, default_value = "valid")]
    pad: Padding,
    /// Distance between the window's elements
    #[arg(long, value_name = "STEPS", value_parser = extents, default_value = "1")]
    dilation: List,
    /// Transposed convolution
    #[arg(long)]
    transposed: bool,
    /// Elements more at the end of a transposed convolution's output
    #[arg(long, value_name = "EXTENTS", value_parser = counts, requires = "transposed")]
    output_padding: Option<List>,
    /// Dimensions (default: as many as the extents have, else 2; 1 for numbers in one row)
    #[arg(long, value_name = "1 | 2", value_parser = clap::value_parser!(u8).range(1..=2))]
    dims: Option<u8>,
    /// Numbers of the input: 1,0,2 or rows such as '[[1,0],[2,3]]' or '1,0; 2,3' (default: small ones by --seed)
    #[arg(long, value_name = "NUMBERS", allow_hyphen_values = true)]
    values: Option<Matrix>,
    /// Numbers of the filter, written like --values
    #[arg(long, value_name = "NUMBERS", allow_hyphen_values = true)]
    filter: Option<Matrix>,
    /// Seed of numbers that are not given (default: 0)
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Where the animation goes: .svg plays in browsers, .gif everywhere; .png shows the last step
    #[arg(short, long, value_name = "FILE.svg | FILE.gif | FILE.png", default_value = "conv.svg")]
    output: PathBuf,
    /// Its look: auto (in an SVG as its viewer prefers, else light), light or dark
    #[arg(long, value_name = "LOOK", default_value = "auto", value_parser = look)]
    look: Look,
    #[command(flatten)]
    format: Format,
}

/// Numbers per dimension; clap takes a `Vec` for an option that may stand several times.
#[derive(Clone, Debug, PartialEq)]
struct List(Vec<usize>);

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(['x', '×', ',']).map(str::trim)
}

fn counts(text: &str) -> Result<List, String> {
    let all: Option<Vec<usize>> = parts(text).map(|p| p.parse().ok()).collect();
    let right = "right would be a number, or ROWSxCOLUMNS such as 7x9";
    all.filter(|v| v.len() <= 2).map(List).ok_or_else(|| right.into())
}

fn extents(text: &str) -> Result<List, String> {
    counts(text)?
        .0
        .into_iter()
        .map(|n| if n > 0 { Ok(n) } else { Err("right would be at least 1".into()) })
        .collect::<Result<_, String>>()
        .map(List)
}

fn padding(text: &str) -> Result<Padding, String> {
    match text {
        "same" => return Ok(Padding::Same),
        "valid" => return Ok(Padding::Valid),
        _ => {}
    }
    let pair = |p: &str| match p.split_once(':') {
        Some((b, e)) => Some((b.trim().parse().ok()?, e.trim().parse().ok()?)),
        None => p.parse().ok().map(|n: usize| (n, n)),
    };
    let all: Option<Vec<(usize, usize)>> = parts(text).map(pair).collect();
    let right = "right would be a number, BEGIN:END, one of them per dimension such as 1x0:2, `same` or `valid`";
    all.filter(|v| v.len() <= 2).map(Padding::Explicit).ok_or_else(|| right.into())
}

pub fn run(a: &Arguments) -> Result<()> {
    let ending = a.output.extension().map(|e| e.to_string_lossy().to_lowercase());
    let ending = ending.filter(|e| ["svg", "gif", "png"].contains(&e.as_str())).ok_or_else(|| {
        let given = a.output.display();
        Failure::Usage(format!(
            "--output {given}: it cannot be of this kind; right would be: a name in .svg, .gif or .png"
        ))
    })?;
    written::check(&[("--output", &a.output)], None, &[])?;
    if a.values.is_some() && a.filter.is_some() {
        no_part(&[("--seed", a.seed.is_some())], "numbers that are all given", "without it")?;
    }
    let list = |l: &Option<List>| l.as_ref().map_or(Vec::new(), |l| l.0.clone());
    let window =
        WindowOptions::new(&list(&a.kernel)).stride(&a.stride.0).dilation(&a.dilation.0).padding(a.pad.clone());
    let asked = ArithmeticOptions {
        dims: a.dims.map_or(0, usize::from),
        input: list(&a.input),
        window,
        transposed: a.transposed,
        output_padding: list(&a.output_padding),
        values: a.values.clone(),
        filter: a.filter.clone(),
        seed: a.seed.unwrap_or(0),
    };
    let found = arithmetic(&asked).map_err(|e| Failure::Failed(in_options(&e.to_string())))?;
    let animation = found.animation();
    match ending.as_str() {
        "gif" => {
            let mut line = Progress::late(animation.steps.len() as u64);
            let bytes = gabor::animated_gif(&animation, a.look, &mut |done| {
                line.draw_text(done as u64, &format!("step {done} of {}", animation.steps.len()));
            });
            line.clear();
            if gabor::gif_scale(&animation) < 2.0 {
                output::note("so many large steps have one pixel for each unit of the drawing; an SVG file is sharp");
            }
            gabor::write_aside(&a.output, &bytes.map_err(|e| e.inside(a.output.display()))?)?;
        }
        "png" => gabor::picture::write(&a.output, &animation.frame(usize::MAX), a.look)?,
        _ => gabor::picture::write(&a.output, &animation.to_svg(), a.look)?,
    }
    let picture = a.output.display().to_string();
    if a.format.json {
        return output::json(&to_json(&found, &animation, &picture));
    }
    found.notes().iter().for_each(|n| output::note(n));
    let mut text = format!("{}\n", output::bold(&found.heading()));
    for line in found.formulas() {
        text += &format!("{line}\n");
    }
    let columns = found.output.shape.last().copied().unwrap_or(1);
    let numbers: Vec<String> = (0..found.steps.len()).map(|i| found.output_text(i)).collect();
    let width = numbers.iter().map(|n| n.chars().count()).max().unwrap_or(1);
    for row in numbers.chunks(columns) {
        let row: Vec<String> = row.iter().map(|n| format!("{n:>width$}")).collect();
        text += &format!("  {}\n", row.join(" "));
    }
    let steps = animation.steps.len();
    let moving = if ending == "png" || steps < 2 {
        String::new()
    } else {
        format!(": {steps} steps of {} s, {:.1} s a round", animation.pace(), animation.seconds())
    };
    output::text(&format!("{text}{picture}{moving}\n"))
}

/// What is wrong with a geometry, in the names of the options and of the picture's sides.
fn in_options(text: &str) -> String {
    let names = [
        ("kernel_size", "--kernel"),
        ("output_padding", "--output-padding"),
        (" in spatial dimension 0", " (the first of its dimensions)"),
        (" in spatial dimension 1", " (of columns)"),
        ("values: ", "--values: "),
        ("filter: ", "--filter: "),
        ("input: ", "--input: "),
        ("window numbers", "extents and steps"),
    ];
    names.iter().fold(text.to_string(), |t, (from, to)| t.replace(from, to))
}

fn to_json(a: &Arithmetic, animation: &ConvAnimation, picture: &str) -> Value {
    let steps: Vec<Value> = (a.steps.iter().enumerate())
        .map(|(i, s)| {
            let terms: Vec<Value> =
                s.terms.iter().map(|t| json!({ "tap": t.tap, "at": t.at, "x": t.x, "w": t.w })).collect();
            json!({ "position": s.position, "corner": s.corner, "sum": s.sum, "text": a.sum_text(i), "terms": terms })
        })
        .collect();
    let axes = a.geometry().window.axes();
    let each = |f: &dyn Fn(&gabor::tensor::Axis) -> usize| axes.iter().map(f).collect::<Vec<_>>();
    json!({
        "title": a.heading(), "input": a.input.shape, "kernel": a.filter.shape, "stride": each(&|x| x.stride),
        "padding": axes.iter().map(|x| [x.pad_begin, x.pad_end]).collect::<Vec<_>>(), "dilation": each(&|x| x.dilation),
        "transposed": a.is_transposed(), "output": a.output.shape, "formulas": a.formulas(), "notes": a.notes(),
        "values": a.input.values, "filter": a.filter.values, "result": a.output.values, "steps": steps, "picture": picture,
        "seconds_per_step": animation.pace(), "seconds": animation.seconds(),
    })
}
