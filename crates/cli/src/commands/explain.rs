//! `gabor explain`: which places of a picture speak for a class.

use crate::arguments::{Drawn, Format};
use crate::failure::{Failure, Result};
use crate::looking::{Looking, no_part, picture, short_name};
use crate::output;
use crate::progress::Progress;
use crate::written::{self, Arrays};
use clap::Args;
use gabor::explain::{Method, Options, nothing};
use gabor::report::class_name;
use gabor::tensor::Tensor;
use gabor::{ExplainOptions, Explanation};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Show which places of a picture speak for a class
///
/// Writes the picture and a map per method side by side, a row for each of several pictures. Everything speaks of the class's score before softmax.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor explain model.onnx cat.jpg
  gabor explain runs/digits-lenet5-1 seven.png --method all
  gabor explain model.onnx cat.jpg --method all -o cat.png --look dark
  gabor explain model.onnx cat.jpg --method gradcam,layercam --layer layer3.1.relu2 --class tabby
  gabor explain model.onnx *.jpg --method gradcam,guided -o rows.svg
  gabor explain model.onnx cat.jpg --method occlusion --window 24 --stride 8
  gabor explain timm/resnet18.a1_in1k cat.jpg --npy maps

Methods:
  saliency        size of the gradient by each pixel (Simonyan et al. 2014)
  smoothgrad      mean gradient of noisy copies (Smilkov et al. 2017)
  guided          guided backpropagation (Springenberg et al. 2015)
  deconv          the deconvnet's way back (Zeiler and Fergus 2014)
  integrated      integrated gradients (Sundararajan et al. 2017)
  gradcam         feature maps weighted by their mean gradient (Selvaraju et al. 2017)
  layercam        feature maps weighted place by place (Jiang et al. 2021)
  guided-gradcam  the guided gradient where Grad-CAM is warm
  occlusion       how much the score falls where the picture is covered

JSON: `picture` (the file written) and `images`: for each `file`, `class`, `index`, `probability`, `score` and `methods`: a list of
`method`, `layer`, `height`, `width`, `smallest`, `largest`, `dead` (nothing was found), `gap` (integrated gradients: what the parts are
off the whole), `seconds` (the first picture's include compiling), `npy` (the map as a file, with --npy).")]
pub struct Arguments {
    /// The model (.onnx, a run's directory, weights with --net, or a name of the hub), then pictures; pictures alone with --weights
    #[arg(required = true, value_name = "MODEL | IMAGE")]
    files: Vec<String>,
    /// Methods with commas between, or `all`
    #[arg(long, value_name = "NAMES", default_value = "gradcam")]
    method: String,
    /// The class to explain, by name, by a part that only its name has, or by number (default: the most probable one)
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// The layer of gradcam, layercam and guided-gradcam (default: the last feature map)
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Noisy copies of smoothgrad (default: 32)
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Deviation of smoothgrad's noise, as a part of the picture's range (default: 0.15)
    #[arg(long, value_name = "PART")]
    noise: Option<f64>,
    /// Points on the way of integrated gradients (default: 50)
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Side of occlusion's window in pixels (default: an eighth of the picture)
    #[arg(long, value_name = "PIXELS")]
    window: Option<usize>,
    /// Step of occlusion's window, at most the window (default: half the window)
    #[arg(long, value_name = "PIXELS")]
    stride: Option<usize>,
    /// Seed of smoothgrad's noise (default: 0)
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Also write every map (and the values per channel) as DIR/METHOD.npy; DIR/0/METHOD.npy and so on for several pictures
    #[arg(long, value_name = "DIR")]
    npy: Option<PathBuf>,
    #[command(flatten)]
    drawn: Drawn,
    #[command(flatten)]
    pub looking: Looking,
    #[command(flatten)]
    format: Format,
}

pub fn run(a: &Arguments) -> Result<()> {
    let path = a.drawn.path("explain.svg")?;
    let read = a.looking.read(a.files.iter().map(Path::new));
    written::check(&[("--output", &path)], a.npy.as_deref(), &read)?;
    let methods = methods(&a.method)?;
    options_have_a_part(a, &methods)?;
    let d = Options::default();
    let square = |side: Option<usize>| side.map(|s| [s, s]);
    let options = Options {
        layer: a.layer.clone(),
        samples: a.samples.unwrap_or(d.samples),
        noise: a.noise.unwrap_or(d.noise),
        steps: a.steps.unwrap_or(d.steps),
        window: square(a.window),
        stride: square(a.stride),
        seed: a.seed.unwrap_or(d.seed),
        ..d
    };
    let (mut model, name, images) = a.looking.open(&a.files, "explain", "IMAGE")?;
    let decoder = model.preprocessing().cloned();
    let asked = ExplainOptions { methods, class: a.class.clone(), options };
    let mut explainer = model.explainer(&asked).map_err(|e| e.inside(&name))?;
    let mut progress = Progress::new(0, images.len() as u64);
    let (mut all, mut documents) = (Vec::new(), Vec::new());
    for (i, image) in images.iter().map(Path::new).enumerate() {
        progress.draw_text(i as u64, &image.display().to_string());
        let seen = picture(decoder.as_ref(), image)?;
        let found = explainer.explain(&seen).map_err(|e| e.inside(&name))?;
        let files = match &a.npy {
            // Several pictures have a folder each.
            Some(directory) if images.len() > 1 => write_maps(&found, &directory.join(i.to_string()))?,
            Some(directory) => write_maps(&found, directory)?,
            None => Vec::new(),
        };
        documents.push(to_json(&found, image, &files));
        all.push((image.file_name().map_or_else(|| name.clone(), |f| f.to_string_lossy().into_owned()), found));
    }
    progress.clear();
    let sheet = match all.as_slice() {
        [(title, one)] => one.sheet(title, &short_name(&name)),
        _ => Explanation::rows(&short_name(&name), &all),
    };
    a.drawn.write(&path, &sheet.to_svg())?;
    if a.format.json {
        return output::json(&json!({ "picture": path.display().to_string(), "images": documents }));
    }
    let mut text = String::new();
    for (title, found) in &all {
        let mut empty: Vec<(String, Vec<&str>)> = Vec::new();
        for f in &found.found {
            let Some(why) = nothing(f) else { continue };
            match empty.iter_mut().find(|e| e.0 == why) {
                Some(e) => e.1.push(f.method.name()),
                None => empty.push((why, vec![f.method.name()])),
            }
        }
        for (why, methods) in empty {
            output::note(&format!("{title}: {}: {why}", methods.join(", ")));
        }
        let name = if all.len() > 1 { format!("{title}: ") } else { String::new() };
        text += &format!("{name}{} with {:.2} %\n", output::bold(class_name(&found.class)), found.probability * 100.0);
    }
    output::text(&format!("{text}{}\n", path.display()))
}

/// That every option that was given has a part in one of the methods.
fn options_have_a_part(a: &Arguments, methods: &[Method]) -> Result<()> {
    let why = format!("--method {}", a.method);
    let any = |f: &dyn Fn(Method) -> bool| methods.is_empty() || methods.iter().any(|&m| f(m));
    if !any(&Method::of_layer) {
        no_part(&[("--layer", a.layer.is_some())], &why, "gradcam, layercam or guided-gradcam, or without it")?;
    }
    if !any(&|m| m == Method::SmoothGrad) {
        let options =
            [("--samples", a.samples.is_some()), ("--noise", a.noise.is_some()), ("--seed", a.seed.is_some())];
        no_part(&options, &why, "smoothgrad, or without it")?;
    }
    if !any(&|m| m == Method::Integrated) {
        no_part(&[("--steps", a.steps.is_some())], &why, "integrated, or without it")?;
    }
    if !any(&|m| m == Method::Occlusion) {
        let options = [("--window", a.window.is_some()), ("--stride", a.stride.is_some())];
        no_part(&options, &why, "occlusion, or without it")?;
    }
    Ok(())
}

fn methods(text: &str) -> Result<Vec<Method>> {
    if text == "all" {
        return Ok(Vec::new());
    }
    let names = || Method::ALL.iter().map(|m| m.0).collect::<Vec<_>>().join(", ");
    let one = |word: &str| {
        let found = Method::ALL.iter().find(|m| m.0 == word.trim()).map(|m| m.1);
        found.ok_or_else(|| {
            Failure::Usage(format!("--method {word}: there is no such method; right would be: {}, or all", names()))
        })
    };
    text.split(',').map(one).collect()
}

/// The maps as `.npy` files; their names in the order of the methods.
fn write_maps(found: &Explanation, to: &Path) -> Result<Vec<String>> {
    let arrays = Arrays::new(to)?;
    let mut names = Vec::new();
    for a in &found.found {
        names.push(arrays.write(a.method.name(), Tensor::f32(&[a.height, a.width], a.map.clone()))?);
        if let Some(v) = &a.values {
            let shape = [v.len() / a.map.len().max(1), a.height, a.width];
            arrays.write(&format!("{}.channels", a.method.name()), Tensor::f32(&shape, v.clone()))?;
        }
    }
    Ok(names)
}

fn to_json(found: &Explanation, image: &Path, files: &[String]) -> Value {
    let methods: Vec<Value> = (found.found.iter().enumerate())
        .map(|(i, a)| {
            let ends = a.map.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
            json!({
                "method": a.method.name(), "layer": a.layer, "height": a.height, "width": a.width, "smallest": ends.0,
                "largest": ends.1, "dead": a.is_empty(), "gap": a.gap, "seconds": found.seconds[i], "npy": files.get(i),
            })
        })
        .collect();
    let first = found.found.first();
    json!({
        "file": image.display().to_string(), "class": found.class, "index": first.map(|a| a.class),
        "probability": found.probability, "score": first.map(|a| a.score), "methods": methods,
    })
}
