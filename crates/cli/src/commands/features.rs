//! `gabor features`: what every layer makes of a picture.

use crate::arguments::{Drawn, Format};
use crate::failure::Result;
use crate::looking::{Looking, file_name, picture, short_name};
use crate::output;
use crate::written::{self, Arrays};
use clap::Args;
use gabor::features::{FeatureMaps, Layers, dead_layer};
use gabor::report::{class_name, count, table};
use gabor::tensor::Tensor;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Show what every layer makes of a picture
///
/// Writes a poster with a row per layer: its shape, what its units see, the strongest maps, and the field of the strongest
/// unit outlined on the picture. The strongest units are those with the largest values.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor features model.onnx cat.jpg
  gabor features model.onnx cat.jpg --layers conv1,layer2*,fc --top 12 -o cat.png
  gabor features timm/resnet18.a1_in1k cat.jpg --layers all --npy maps
  gabor features model.onnx cat.jpg --json | jq '.layers[] | {name, zero}'

Which layers: without --layers those that tell something new, up to 16: a layer that is only normalised or rectified by the
next one is left to that one. Of more than 16 these stay: the first, the last, the last ones before the maps change their
size, and of the others as many as there is room for at even steps. The poster says so.

A unit that is 0 everywhere on the picture is dead there; of a layer whose units all are, no maps are drawn.

JSON: `file`, `class`, `probability`, `picture` (the file written), `layers`: a list of `name`, `shape`, `field` (`size`, `step`
and `start` by row and column; `whole`: every unit sees the whole picture), `units`, `zero` (units that are zero everywhere),
`strongest`: a list of `unit`, `value`, `place` (row and column), `sees` (`top`, `left`, `height`, `width` in pixels of the
prepared picture), and `npy` (all maps of the layer as a file, with --npy).")]
pub struct Arguments {
    /// The model (.onnx, a run's directory, weights with --net, or a name of the hub), then the picture; the picture alone with --weights
    #[arg(required = true, value_name = "MODEL | IMAGE", num_args = 1..=2)]
    files: Vec<String>,
    /// Layers with commas between, `NAME*` for all that begin so, or `all` (default: up to 16 that tell something new)
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    layers: Vec<String>,
    /// How many units of a layer are shown
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    top: u32,
    /// Also write all maps of each layer shown as DIR/LAYER.npy
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
    let path = a.drawn.path("features.svg")?;
    let read = a.looking.read(a.files.iter().map(Path::new));
    written::check(&[("--output", &path)], a.npy.as_deref(), &read)?;
    let (mut model, name, image) = a.looking.open_one(&a.files, "features", "IMAGE")?;
    let layers = match a.layers.as_slice() {
        [] => Layers::default(),
        [all] if all == "all" => Layers::All,
        names => Layers::Named(names.iter().map(|n| n.trim().to_string()).collect()),
    };
    let image = Path::new(image);
    let seen = picture(model.preprocessing(), image)?;
    let found = model.features(&seen, &layers).map_err(|e| e.inside(&name))?;
    let title = image.file_name().map_or_else(|| name.clone(), |f| f.to_string_lossy().into_owned());
    let files = match &a.npy {
        Some(directory) => write_maps(&found, directory)?,
        None => Vec::new(),
    };
    a.drawn.write(&path, &found.poster(&title, &short_name(&name), a.top as usize).to_svg())?;
    if a.format.json {
        return output::json(&to_json(&found, a.top as usize, image, &path, &files));
    }
    for f in &found.found {
        if let Some(text) = dead_layer(f) {
            output::note(&format!("{}: {text}", f.layer.name));
        }
    }
    output::text(&describe(&found, &path))
}

fn write_maps(found: &FeatureMaps, to: &Path) -> Result<Vec<String>> {
    let arrays = Arrays::new(to)?;
    let (mut taken, mut paths): (Vec<String>, Vec<String>) = Default::default();
    for f in &found.found {
        // Two layers may differ in letters alone that file names do not have.
        let plain = file_name(&f.layer.name);
        let mut own = (1..).map(|i| if i == 1 { plain.clone() } else { format!("{plain}-{i}") });
        if let Some(name) = own.find(|n| !taken.contains(n)) {
            paths.push(arrays.write(&name, Tensor::f32(&f.layer.shape, f.values.clone()))?);
            taken.push(name);
        }
    }
    Ok(paths)
}

fn describe(found: &FeatureMaps, path: &Path) -> String {
    let row = |f: &gabor::features::Features| {
        let living = f.strongest().into_iter().next().filter(|u| f.zero.binary_search(u).is_err());
        let best = living.map_or_else(|| "none: all dead".into(), |u| format!("{u} ({:.3})", f.peaks[u].value));
        let [h, w] = f.field.size();
        let sees = if f.field.is_whole() { "all".into() } else { format!("{h} × {w}") };
        vec![f.layer.name.clone(), f.layer.extents(), sees, count(f.zero.len() as u64), best]
    };
    let rows: Vec<Vec<String>> = found.found.iter().map(row).collect();
    let head = ["layer", "shape", "sees", "dead", "strongest unit"];
    format!(
        "{} with {:.2} %\n\n{}\n{}\n",
        output::bold(class_name(&found.class)),
        found.probability * 100.0,
        table(&head, &[false, false, true, true, false], &rows),
        path.display()
    )
}

fn to_json(found: &FeatureMaps, top: usize, image: &Path, picture: &Path, files: &[String]) -> Value {
    let layer = |(i, f): (usize, &gabor::features::Features)| {
        let unit = |&u: &usize| {
            let (peak, part) = (f.peaks[u], f.field.at(f.peaks[u].place));
            let sees = json!({ "top": part.top, "left": part.left, "height": part.height, "width": part.width });
            json!({ "unit": u, "value": peak.value, "place": peak.place, "sees": sees })
        };
        let strongest: Vec<Value> = f.strongest().iter().take(top).map(unit).collect();
        let field = json!({
            "size": f.field.size(), "step": f.field.step(), "start": f.field.start(), "whole": f.field.is_whole(),
        });
        json!({
            "name": f.layer.name, "shape": f.layer.shape, "field": field, "units": f.layer.units(), "zero": f.zero,
            "strongest": strongest, "npy": files.get(i),
        })
    };
    json!({
        "file": image.display().to_string(), "class": found.class, "probability": found.probability,
        "picture": picture.display().to_string(), "layers": found.found.iter().enumerate().map(layer).collect::<Vec<_>>(),
    })
}
