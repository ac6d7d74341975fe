//! `gabor summary`: the table of a network's layers.

use crate::arguments::{Compute, Extents, Format, Network, extents, is_file, network, network_of};
use crate::failure::{Failure, Result};
use crate::output;
use crate::written;
use clap::Args;
use gabor::cpu::{Isa, Peak};
use gabor::graph::Graph;
use gabor::nets::zoo::{self, Card};
use gabor::nets::{Mode, Summary, TableOptions, summary};
use gabor::report::{bytes, count, duration, table};
use gabor::{Forecast, published_preprocessing};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Print the table of a network's layers
///
/// Layer, output, values held, parameters, floating-point operations, receptive field, and forecasts of memory and time.
/// NET is a name of the zoo, a description in the lectures' notation, a .toml file that describes it, or a model file.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor summary vgg16
  gabor summary resnet18 --input 3x64x64 --classes 10
  gabor summary c3d --input 3x16x64x64
  gabor summary 'INPUT 3x32x32 conv3-16*2 maxpool FC-10'     no activation written: ReLUs, as in the VGG table
  gabor summary 'INPUT 3x32x32 -> [[CONV3-16 -> RELU]*2 -> POOL]*2 -> FC-10'
  gabor summary '[(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K,SOFTMAX where N=2 M=3 K=1' --input 3x32x32 --classes 10
  gabor summary net.toml                   the notation with named blocks, or [[layer]] tables: docs/layers.toml
  gabor summary runs/digits-lenet5-1/model.onnx
  gabor summary resnet50 --svg resnet50.svg
  gabor summary googlenet --dot - | dot -Tpdf -o googlenet.pdf
  gabor summary weights.pth
  gabor summary --list

JSON: `name`, `parameters`, `weights`, `state`, `values`, `flops`, `memory` (`batch`, `inference`, `training`, bytes),
`time` (`batch`, `threads`, `peak_gflops`, `peak_gb_s`, `inference`, `training`, seconds, `inference_bytes`: of the plan; null
with --no-time), `layers` (`name`, `kind`, `output`, `values`, `parameters`, `flops`, `receptive_field`, `seconds`), `notes`, `card` (`name`,
`aliases`, `title`, `paper`, `year`, `parameters`, `input`, `classes`, `preprocessing` in the form that model files carry,
`licence`; null for a network that is not of the zoo). With --list: an array of cards.")]
pub struct Arguments {
    /// A network's name or description, a .toml file that describes it, an .onnx file or a run's directory (./NAME where a
    /// network of the zoo has that name)
    #[arg(required_unless_present = "list")]
    net: Option<String>,
    /// Extents of the input, channels first: 3x64x96; 64: height and width alike; 1x64: one channel, 64 high and wide
    #[arg(long, value_name = "CxHxW", value_parser = extents)]
    input: Option<Extents>,
    /// Number of classes
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// Batch size of the forecasts
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    batch: u64,
    /// Draw the network: an SVG file, or - for standard output in place of the table
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
    /// The same as text for Graphviz
    #[arg(long, value_name = "FILE.dot")]
    dot: Option<PathBuf>,
    /// In pictures: draw parts that repeat as often as they do, not once with their number
    #[arg(long)]
    unfold: bool,
    /// No forecast of time, which takes a moment to measure what this machine can do
    #[arg(long)]
    no_time: bool,
    #[command(flatten)]
    compute: Compute,
    /// List the networks of the zoo
    #[arg(long, conflicts_with_all = ["net", "input", "classes", "svg", "dot"])]
    list: bool,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    format: Format,
}

pub fn run(a: &Arguments) -> Result<()> {
    let Some(net) = &a.net else { return list(a.format.json) };
    let files = [("--svg", &a.svg), ("--dot", &a.dot)];
    let files = files.into_iter().filter_map(|(flag, path)| Some((flag, path.as_deref()?)));
    // `-` is standard output; nothing is made beside what is open already.
    let open = |path: &Path| path == Path::new("-") || path.starts_with("/dev");
    let files: Vec<(&str, &Path)> = files.filter(|f| !open(f.1)).collect();
    written::check(&files, None, &[PathBuf::from(net), PathBuf::from(&*gabor::model_file(net))])?;
    let mut notes = Vec::new();
    let (card, graph) = if is_file(net) {
        if a.input.is_some() || a.classes.is_some() {
            return Err(Failure::Usage(format!(
                "{net}: a model file has its own input and classes; right would be: no --input and no --classes"
            )));
        }
        let loaded = a.network.load_network(net)?;
        match (&loaded.graph, network_of(&loaded, None, None, None)?) {
            (Some(graph), _) => (None, graph.clone()),
            (None, Some(network)) => (network.card().cloned(), network.graph(Mode::Infer)?),
            (None, None) => return tensors(&loaded, a.format.json),
        }
    } else {
        let network = network(net, a.input.as_ref(), a.classes)?;
        notes.extend(network.notes().iter().cloned());
        notes.extend(other_channels(&network));
        (network.card().cloned(), network.graph(Mode::Infer)?)
    };
    if draw(a, &graph)? {
        return Ok(());
    }
    let mut s = summary(&graph);
    s.notes.splice(0..0, notes);
    let time = if a.no_time { None } else { Some(foresee(a, &graph, &s)?) };
    if a.format.json {
        let mut json = to_json(&s, a.batch, time.as_ref());
        json["card"] = card.as_ref().map_or(Value::Null, card_json);
        output::json(&json)
    } else {
        let options = TableOptions {
            batch: a.batch,
            width: output::width(),
            seconds: time.as_ref().map(|t| t.layers.as_slice()),
        };
        let mut text = card.as_ref().map_or_else(String::new, card_text) + &s.to_table_with(&options);
        if let Some(t) = &time {
            text += &time_text(t);
        }
        output::text(&text)
    }
}

/// What to say of an input whose channels are not the published ones: `64x96` may have been meant as height and width.
fn other_channels(network: &gabor::nets::Network) -> Option<String> {
    let (card, input) = (network.card()?, network.input());
    let (said, published) = (input.first()?, card.input.first()?);
    let list = |v: &[usize]| v.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    (card.vocabulary.is_none() && said != published).then(|| {
        let (all, was) = (list(input), list(card.input));
        format!("the input is {all}: {said} channels, where {} is published with {published} ({was})", card.name)
    })
}

/// The forecast of time, with the machine's peak measured now.
fn foresee(a: &Arguments, graph: &Graph, s: &Summary) -> Result<Forecast> {
    let backend = a.compute.backend()?;
    let isa = a.compute.isa.unwrap_or_else(Isa::best);
    let peak = Peak::measure(backend.threads(), isa);
    Ok(gabor::forecast(graph, s, usize::try_from(a.batch).unwrap_or(usize::MAX), &backend, peak)?)
}

/// What is foreseen, what from, and how good that is.
fn time_text(f: &Forecast) -> String {
    let threads = if f.threads == 1 { "1 thread".to_string() } else { format!("{} threads", f.threads) };
    format!(
        "time at batch {}: about {} for inference, {} for a training step\n\
         a forecast for {threads} that do {:.0} GFLOP/s and read {:.1} GB/s, measured now; nothing was run. Even on an idle\n\
         machine it may be wrong by a factor of two, on a busy one by more; training is a rougher guess\n\
         inference as planned here takes {} of memory, working memory of kernels and packed parameters counted too\n",
        f.batch,
        moment(f.inference),
        moment(f.training),
        f.peak.gflops,
        f.peak.gb_s,
        bytes(f.inference_bytes)
    )
}

/// Seconds in at most three digits.
pub fn moment(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 0.01 => format!("{:.1} ms", s * 1e3),
        s => duration(s),
    }
}

/// Draws the pictures that are asked for; whether one went to standard output.
fn draw(a: &Arguments, graph: &Graph) -> Result<bool> {
    if a.svg.is_none() && a.dot.is_none() {
        if a.unfold {
            return Err(Failure::Usage("--unfold: for pictures alone; right would be: --svg FILE.svg --unfold".into()));
        }
        return Ok(false);
    }
    let stdout = |p: &Option<PathBuf>| p.as_deref().is_some_and(|p| p == Path::new("-"));
    if (stdout(&a.svg) || stdout(&a.dot)) && (a.format.json || stdout(&a.svg) == stdout(&a.dot)) {
        let text = "-: standard output holds one document; right would be: files for the others";
        return Err(Failure::Usage(text.into()));
    }
    let diagram = gabor::diagram(graph);
    for (path, text) in [(&a.svg, diagram.to_svg(!a.unfold)), (&a.dot, diagram.to_dot(!a.unfold))] {
        match path {
            Some(path) if path == Path::new("-") => output::text(&text)?,
            Some(path) => {
                std::fs::write(path, text).map_err(|e| Failure::Failed(format!("{}: {e}", path.display())))?;
            }
            None => {}
        }
    }
    Ok(stdout(&a.svg) || stdout(&a.dot))
}

/// A file of weights alone: its tensors.
fn tensors(loaded: &gabor::Loaded, as_json: bool) -> Result<()> {
    let (format, all) = (loaded.origin.format, &loaded.weights);
    if as_json {
        let list: Vec<Value> = (all.iter())
            .map(|(name, t)| json!({ "name": name, "shape": t.shape(), "dtype": t.dtype().name() }))
            .collect();
        return output::json(&json!({
            "format": format, "sha256": loaded.origin.sha256, "tensors": list, "elements": all.elements(),
            "notes": loaded.notes,
        }));
    }
    let rows: Vec<Vec<String>> = (all.iter())
        .map(|(name, t)| vec![name.into(), format!("{:?}", t.shape()), t.dtype().name().into(), count(t.len() as u64)])
        .collect();
    let mut text = table(&["tensor", "shape", "type", "numbers"], &[false, false, false, true], &rows);
    text += &format!("\n{format}: {} tensors, {} numbers\n", all.len(), count(all.elements() as u64));
    text += &loaded.notes.iter().map(|n| format!("{n}\n")).collect::<String>();
    output::text(&text)
}

/// The lines above the table: what the network is and what its published weights expect.
fn card_text(c: &Card) -> String {
    let paper = if c.paper.is_empty() { "none".into() } else { format!("{} ({})", c.paper, c.year) };
    let prepared = c.preprocessing.map_or_else(|| "none: the input is no picture".into(), |p| p.to_string());
    let licence = c.licence;
    let title = sentence(c.title);
    format!("{title}\npaper: {paper}\npreprocessing: {prepared}\nweights: {licence}\n\n")
}

/// A text of several source lines on one line.
fn sentence(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn card_json(c: &Card) -> Value {
    json!({
        "name": c.name, "aliases": c.aliases, "title": sentence(c.title), "paper": c.paper, "year": c.year,
        "parameters": c.parameters, "input": c.input, "classes": c.classes,
        "preprocessing": published_preprocessing(c), "licence": c.licence,
    })
}

fn to_json(s: &Summary, batch: u64, time: Option<&Forecast>) -> Value {
    let memory = s.memory(batch);
    let layers: Vec<Value> = (s.layers.iter().enumerate())
        .map(|(i, l)| {
            json!({
                "name": l.name,
                "kind": l.kind,
                "output": l.output.0.iter().skip(1).map(|d| d.at(1)).collect::<Vec<_>>(),
                "values": l.values,
                "parameters": l.parameters,
                "flops": l.flops,
                "receptive_field": l.receptive_field,
                "seconds": time.and_then(|t| t.layers.get(i)),
            })
        })
        .collect();
    json!({
        "name": s.name,
        "parameters": s.parameters,
        "weights": s.weights,
        "state": s.state,
        "values": s.values,
        "flops": s.flops,
        "memory": { "batch": batch, "inference": memory.inference, "training": memory.training },
        "time": time.map(|t| json!({
            "batch": t.batch, "threads": t.threads, "peak_gflops": t.peak.gflops, "peak_gb_s": t.peak.gb_s,
            "inference": t.inference, "training": t.training, "inference_bytes": t.inference_bytes,
        })),
        "layers": layers,
        "notes": s.notes,
    })
}

fn list(as_json: bool) -> Result<()> {
    if as_json {
        let all: Vec<Value> = zoo::cards().map(card_json).collect();
        return output::json(&Value::from(all));
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    let start = |c: &Card| {
        let input: Vec<String> = c.input.iter().map(usize::to_string).collect();
        vec![c.name.to_string(), c.year.to_string(), count(c.parameters), input.join("×")]
    };
    let widest = |i: usize| zoo::cards().map(|c| start(c)[i].chars().count()).max().unwrap_or_default();
    let head = ["network", "year", "parameters", "input", "what it is"];
    let before: usize = (0..4).map(|i| widest(i).max(head[i].len()) + 2).sum();
    let room = output::width().map_or(usize::MAX, |w| w.saturating_sub(before).max(LEAST_ROOM));
    for c in zoo::cards() {
        let also = if c.aliases.is_empty() { String::new() } else { format!("; also {}", c.aliases.join(", ")) };
        let mut cells = start(c);
        for line in wrapped(&(sentence(c.title) + &also), room) {
            cells.resize(4, String::new());
            cells.push(line);
            rows.push(std::mem::take(&mut cells));
        }
    }
    output::text(&table(&head, &[false, true, true, false, false], &rows))
}

/// Narrowest that the last column of the list is made.
const LEAST_ROOM: usize = 16;

/// A text in lines of at most so many characters, cut between words.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(l) if l.is_empty() => l.push_str(word),
            Some(l) if l.chars().count().saturating_add(1 + word.chars().count()) <= most => {
                l.push(' ');
                l.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}
