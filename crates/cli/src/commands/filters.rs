//! `gabor filters`: the filters of a layer as a grid, and what each is nearest to.

use crate::arguments::{Drawn, Format, Given};
use crate::failure::Result;
use crate::output;
use crate::written::{self, Arrays};
use clap::{Args, ValueEnum};
use gabor::report::table;
use gabor::tensor::Tensor;
use gabor::{FilterOrder, Filters, FiltersOptions, ShownFilter, fit_words};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Show the filters of a layer, and which Gabor filter, edge or spot each is nearest to
///
/// Filters of the first layer are in colour where the network reads colours; those of other layers are planes per input
/// channel, the largest first. Shapes are fitted to filters of the first layer and to those of one channel, of networks on
/// pictures and on signals along one axis.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor filters model.onnx
  gabor filters --net alexnet --weights alexnet.pth -o first.svg --sort kind
  gabor filters model.onnx --layer layer2.0.conv1 --top 24
  gabor filters timm/resnet18.a1_in1k --npy arrays --json

Shapes, with u across the stripes, v along them, and e = exp(−(u² + γ²v²) / 2σ²):
  gabor            e · cos(2πu/λ − ψ), laid out as OpenCV's getGaborKernel
  step             e · u, a step between two sides
  ridge            e · (1 − u²/σ²), a line between two sides
  centre-surround  e · (1 − r²/2σ²), a spot against its surround
  gaussian         e, a soft spot; colour-blob where the channels differ
  dead             all weights are zero, or next to nothing beside those of the layer
  not-finite       some weights are NaN or infinite
The shape with the best explained part is named, with a penalty for each of its numbers (BIC), and how well it fits: good from 80 % of the
squares on, weak below 50 %, else fair. θ is the direction across the stripes, clockwise from the x axis; a number that the filter does not
determine stands after ≈, and is null in JSON beside the value of the drawn shape.

JSON: `model`, `layer`, `weight`, `kind`, `shape`, `groups`, `first`, `scale`, `left_out`, `dead` (how many filters of the layer),
`kinds` (how many of each), `unfitted` (why no shapes were fitted, or null), `picture`, `npy`
(`filters` and, where shapes were fitted, `fits`), and `filters`: a list of `index`, `norm`, `planes` (pairs of channel and slice), `fit` with
`kind`, `r2` (the explained part), `word` (good, fair or weak), `centre` (column and row from the middle), `orientation` and `phase` (degrees), `wavelength` and `sigma` (pixels), `aspect`
and `channels` (the shape's share of each); null where not determined, but for `shape`, which has these numbers as they were drawn.")]
pub struct Arguments {
    /// The model: .onnx, a run's directory, weights with --net, or a name of the hub
    #[arg(value_name = "MODEL", required_unless_present = "weights")]
    model: Option<String>,
    /// The layer (default: the first one with filters)
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Show so many filters, the largest (default: 256, or 48 of many planes)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,
    /// The order of filters
    #[arg(long, value_name = "HOW", default_value = "index")]
    sort: Sort,
    /// What a filter's colours are scaled by
    #[arg(long, value_name = "WHAT", default_value = "filter")]
    scale: Scale,
    #[command(flatten)]
    drawn: Drawn,
    /// Also write the layer's filters and fitted shapes as DIR/filters.npy and DIR/fits.npy
    #[arg(long, value_name = "DIR")]
    npy: Option<PathBuf>,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// As in the layer
    Index,
    /// The largest first
    Norm,
    /// By kind, the best explained first
    Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scale {
    /// Its own largest weight
    Filter,
    /// The layer's largest weight
    Layer,
}

pub fn run(a: &Arguments) -> Result<()> {
    let path = a.drawn.path("filters.svg")?;
    let read = written::read(&a.given, None, a.model.iter().map(Path::new));
    written::check(&[("--output", &path)], a.npy.as_deref(), &read)?;
    let (model, name) = a.given.open(a.model.as_deref())?;
    let order = match a.sort {
        Sort::Index => FilterOrder::Index,
        Sort::Norm => FilterOrder::Norm,
        Sort::Kind => FilterOrder::Kind,
    };
    let shared = a.scale == Scale::Layer;
    let asked = FiltersOptions { layer: a.layer.clone(), top: a.top.map(|t| t as usize), order, shared };
    let found = model.filters(&asked).map_err(|e| e.inside(&name))?;
    let title = crate::looking::short_name(&name);
    let npy = match &a.npy {
        Some(directory) => Some(arrays(&found, directory)?),
        None => None,
    };
    a.drawn.write(&path, &found.grid(&title).to_svg())?;
    if a.format.json {
        return output::json(&to_json(&found, &name, &path, npy));
    }
    let shape = found.bank.shape().iter().map(usize::to_string).collect::<Vec<_>>().join("×");
    let mut text = format!("{} {shape}\n", output::bold(&found.bank.layer));
    if let Some(kinds) = found.kinds_words() {
        text += &format!("{kinds}\n\n{}\n", fits(&found));
    }
    text.extend(found.unfitted().map(|t| t + "\n"));
    text.extend(found.dead_words().map(|t| t + "\n"));
    if found.left_out() > 0 {
        output::note(&format!(
            "the {} largest filters are shown; {} are left out",
            found.shown.len(),
            found.left_out()
        ));
    }
    output::text(&format!("{text}{}\n", path.display()))
}

/// The nearest shape of each filter that is shown.
fn fits(found: &Filters) -> String {
    let row = |f: &ShownFilter| {
        let fit = f.fit.as_ref()?;
        let part = if fit.word().is_empty() { String::new() } else { format!("{:.0} %", (100.0 * fit.r2).floor()) };
        let cells = [f.index.to_string(), fit.kind.name().into(), part, fit.word().into(), fit_words(fit).join(" · ")];
        Some(cells.to_vec())
    };
    let rows: Vec<Vec<String>> = found.shown.iter().filter_map(row).collect();
    table(&["filter", "nearest", "explained", "fit", "numbers"], &[true, false, true, false, false], &rows)
}

fn arrays(found: &Filters, directory: &Path) -> Result<Value> {
    let (arrays, shape) = (Arrays::new(directory)?, found.bank.shape());
    let filters = arrays.write("filters", Tensor::f32(&shape, found.bank.values.clone()))?;
    let fits = match found.kinds().is_empty() {
        true => None,
        false => Some(arrays.write("fits", Tensor::f32(&shape, found.fits()))?),
    };
    Ok(json!({ "filters": filters, "fits": fits }))
}

fn to_json(found: &Filters, model: &str, picture: &Path, npy: Option<Value>) -> Value {
    let filters: Vec<Value> = (found.shown.iter())
        .map(|f| {
            let fit = f.fit.as_ref().map(|t| {
                let s = &t.shape;
                let shape = json!({
                    "centre": s.centre, "orientation": s.orientation, "wavelength": s.wavelength, "phase": s.phase,
                    "sigma": s.sigma, "aspect": s.aspect,
                });
                json!({
                    "kind": t.kind.name(), "r2": t.r2, "word": t.word(), "centre": t.centre, "orientation": t.orientation,
                    "wavelength": t.wavelength, "phase": t.phase, "sigma": t.sigma, "aspect": t.aspect, "shape": shape, "channels": t.channels,
                })
            });
            json!({ "index": f.index, "norm": f.norm, "planes": f.planes, "fit": fit })
        })
        .collect();
    let kinds: serde_json::Map<String, Value> =
        found.kinds().iter().map(|(k, n)| (k.name().to_string(), (*n).into())).collect();
    let b = &found.bank;
    json!({
        "model": model, "layer": b.layer, "weight": b.weight, "kind": b.kind.name(), "shape": b.shape(), "groups": b.groups,
        "first": b.first, "scale": if found.shared { "layer" } else { "filter" }, "left_out": found.left_out(), "dead": found.dead(),
        "kinds": kinds, "unfitted": found.unfitted(), "picture": picture.display().to_string(), "npy": npy, "filters": filters,
    })
}
