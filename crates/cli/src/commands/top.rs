//! `gabor top`: what excites the units of a layer most.

use crate::arguments::{Drawn, Format};
use crate::commands::eval::{Split, part};
use crate::failure::Result;
use crate::looking::{Looking, numbers, short_name};
use crate::output;
use crate::progress::Progress;
use crate::written::{self, Arrays};
use clap::Args;
use gabor::explain::Backpropagation;
use gabor::report::{class_name, count, table};
use gabor::top::{FoundUnit, TopOptions, TopPatches, Units};
use gabor::train::open_data;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Show what excites the units of a layer most in a data set
///
/// For each unit the patches of pictures where its value is largest, one per picture, and beside each the way back from that
/// one activation to the pixels (Zeiler and Fergus 2014, figure 2). A patch is what the unit sees, cut at the picture's border.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor top model.onnx photos --layer layer2.1.relu2
  gabor top model.onnx cifar10 --layer conv1 --strongest 32 --count 16 -o conv1.png
  gabor top model.onnx digits --layer relu2 --units 0,5-7 --projection guided
  gabor top model.onnx photos --layer fc --json | jq '.units[] | {unit, dead, best: .patches[0].id}'

Projections:
  deconv    the deconvnet: from the activation back through the switches of max pooling and transposed filters; what comes
            back at a rectifier is rectified
  guided    guided backpropagation (Springenberg et al. 2015)
  gradient  the gradient of the activation

Of equal values the first samples stay, so the result does not depend on threads. A unit that no picture brings above 0 is dead,
and says so.

JSON: `data`, `split`, `layer`, `shape`, `field` (`size`, `step` and `start` by row and column), `samples`, `dead` (how many units
of the layer), `projection`, `picture` (the file written), `units`: a list of `unit`, `name`, `dead`, `npy` (the projections as a file,
with --npy), `patches`: a list of `sample` (its number), `id`, `class`, `value`, `place` (row and column of the map), `top`, `left`,
`height`, `width` (the patch in the prepared picture).")]
pub struct Arguments {
    /// The model (.onnx, a run's directory, weights with --net, or a name of the hub), then the data: `digits`, a directory (a folder per class,
    /// MNIST, CIFAR, tar shards, Parquet), a table of paths and labels (.csv); the data alone with --weights
    #[arg(required = true, value_name = "MODEL | DATA", num_args = 1..=2)]
    files: Vec<String>,
    /// The layer
    #[arg(long, value_name = "NAME")]
    layer: String,
    /// These units: 3, 0-15 or 1,4,8-11
    #[arg(long, value_name = "LIST", conflicts_with = "strongest")]
    units: Option<String>,
    /// The units with the largest values, so many
    #[arg(long, value_name = "N", default_value_t = 16)]
    strongest: usize,
    /// Patches of a unit
    #[arg(long, value_name = "N", default_value_t = 9)]
    count: usize,
    /// The way back to the pixels
    #[arg(long, value_name = "HOW", default_value = "deconv", value_parser = ["deconv", "guided", "gradient"])]
    projection: String,
    /// Which part of the data (default: test, else validation, else train)
    #[arg(long, value_name = "PART")]
    split: Option<Split>,
    /// Pictures that are read at once; the network always computes 8 together, so that no bit depends on it
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,
    /// Also write the projections of each unit as DIR/UNIT.npy, [patches, channels, rows, columns]
    #[arg(long, value_name = "DIR")]
    npy: Option<PathBuf>,
    #[command(flatten)]
    drawn: Drawn,
    #[command(flatten)]
    pub looking: Looking,
    #[command(flatten)]
    format: Format,
}

/// Most units at once.
const MOST: usize = 4096;

pub fn run(a: &Arguments) -> Result<()> {
    let path = a.drawn.path("top.svg")?;
    let read = a.looking.read(a.files.iter().map(Path::new));
    written::check(&[("--output", &path)], a.npy.as_deref(), &read)?;
    let (model, name, data) = a.looking.open_one(&a.files, "top", "DATA")?;
    let splits = open_data(data)?;
    let unlabelled = splits.test.is_none() && splits.validation.is_none();
    let (split, dataset) = part(data, &splits, a.split.or(unlabelled.then_some(Split::Train)))?;
    let asked = TopOptions {
        units: a
            .units
            .as_deref()
            .map_or(Ok(Units::Strongest(a.strongest)), |u| numbers("--units", u, MOST).map(Units::These))?,
        count: a.count,
        projection: way_back(&a.projection),
        batch: a.batch as usize,
        ..TopOptions::new(&a.layer)
    };
    let mut line = Progress::late(dataset.len() as u64);
    let found = model.patches(dataset, &asked, &mut |done| line.draw_images(done as u64, &a.layer));
    line.clear();
    let found = found.map_err(|e| e.inside(&name))?;
    let title = format!("{} on {}", short_name(&name), short_name(data));
    let mut files = Vec::new();
    if let Some(to) = &a.npy {
        let arrays = Arrays::new(to)?;
        for u in &found.units {
            files.push(arrays.write(&u.unit.to_string(), Ok(found.projections(u)?))?);
        }
    }
    a.drawn.write(&path, &found.sheet(&title).to_svg())?;
    if a.format.json {
        return output::json(&to_json(a, &found, data, &split, &path, &files));
    }
    output::text(&describe(&found, &path))
}

fn way_back(name: &str) -> Backpropagation {
    match name {
        "guided" => Backpropagation::Guided,
        "gradient" => Backpropagation::Plain,
        _ => Backpropagation::Deconvnet,
    }
}

fn describe(found: &TopPatches, path: &Path) -> String {
    let name = |u: &FoundUnit| found.caption(u.unit).trim_start_matches("unit ").to_string();
    let row = |u: &FoundUnit| match u.patches.first() {
        Some(p) => {
            vec![name(u), format!("{:.4}", p.at.value), class_name(&p.class).to_string(), p.id.clone()]
        }
        None => vec![name(u), "dead".into(), String::new(), String::new()],
    };
    let rows: Vec<Vec<String>> = found.units.iter().map(row).collect();
    let dead = match found.dead {
        0 => String::new(),
        n => format!("{} of {} units {}\n", count(n as u64), count(found.layer.units() as u64), found.dead_words()),
    };
    format!(
        "{} {} on {} images\n{dead}\n{}\n{}\n",
        output::bold(&found.layer.name),
        found.layer.extents(),
        count(found.seen as u64),
        table(&["unit", "value", "class", "sample"], &[false, true, false, false], &rows),
        path.display()
    )
}

fn to_json(a: &Arguments, found: &TopPatches, data: &str, split: &str, picture: &Path, files: &[String]) -> Value {
    let unit = |(i, u): (usize, &FoundUnit)| {
        let patch = |p: &gabor::top::FoundPatch| {
            json!({
                "sample": p.at.sample, "id": p.id, "class": p.class, "value": p.at.value, "place": p.at.place,
                "top": p.part.top, "left": p.part.left, "height": p.part.height, "width": p.part.width,
            })
        };
        let patches: Vec<Value> = u.patches.iter().map(patch).collect();
        json!({ "unit": u.unit, "name": found.caption(u.unit), "dead": u.dead, "npy": files.get(i), "patches": patches })
    };
    let field = json!({ "size": found.field.size(), "step": found.field.step(), "start": found.field.start() });
    json!({
        "data": data, "split": split, "layer": found.layer.name, "shape": found.layer.shape, "field": field,
        "samples": found.seen, "dead": found.dead, "projection": a.projection, "picture": picture.display().to_string(),
        "units": found.units.iter().enumerate().map(unit).collect::<Vec<_>>(),
    })
}
