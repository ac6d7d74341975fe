//! `gabor compile`: what becomes of a network.

use crate::arguments::{Compute, Extents, Format, Network, extents, is_file, network, network_of, recompute};
use crate::failure::{Failure, Result};
use crate::output;
use clap::Args;
use gabor::compile::{Backend, CompileOptions, Holder, Program, Recompute, Report};
use gabor::nets::Mode;
use gabor::report::{bytes, count, table};
use gabor::train::Config;
use gabor::train::step::{Forward, step};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Show what compilation makes of a network
///
/// The numbers of the plan; with --explain also the rewritten graph, the rules that were applied, for each node the kernel
/// that was chosen, those that refused with their reasons, and where its results lie, and who takes the memory.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor compile resnet18 --explain
  gabor compile lenet5 --train --batch 64 --explain
  gabor compile vgg16 --train --batch 16 --recompute segments
  gabor compile runs/digits-lenet5-1/model.onnx --json

JSON: `batch`, `nodes` (`node`, `kernel`, `refused`, `places`, `tasks`, `flops`, `prepared`), `applied` (`rule`, `node`),
`arena_bytes`, `value_bytes`, `parameter_bytes`, `scratch_bytes`, `kept`, `holders` (`name`, `bytes`, `until`), `peak`,
`graph`.")]
pub struct Arguments {
    /// A network's name or description, a .toml file that describes it, or an .onnx file
    net: String,
    /// Print the whole plan
    #[arg(long)]
    explain: bool,
    /// Batch size
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    /// The whole training step: forward, loss, backward, update
    #[arg(long)]
    train: bool,
    /// What the training step computes again instead of keeping it: none, cheap or segments
    #[arg(long, value_name = "WHAT", default_value_t = Recompute::None, value_parser = recompute, requires = "train")]
    recompute: Recompute,
    /// Extents of the input
    #[arg(long, value_name = "CxHxW", value_parser = extents)]
    input: Option<Extents>,
    /// Number of classes
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// Compile without fusing operations
    #[arg(long)]
    no_fuse: bool,
    #[command(flatten)]
    pub compute: Compute,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    format: Format,
}

pub fn run(a: &Arguments) -> Result<()> {
    let graph = if is_file(&a.net) {
        if a.train || a.input.is_some() || a.classes.is_some() {
            return Err(Failure::Usage(format!(
                "{}: a model file is compiled as it is; right would be: no --train, --input or --classes",
                a.net
            )));
        }
        let loaded = a.network.load(&a.net)?;
        let rule = "weights alone are no network; right would be: the network's name";
        match (network_of(&loaded, None, None, None)?, loaded.graph) {
            (_, Some(graph)) => graph,
            (Some(network), None) => network.graph(Mode::Infer)?,
            (None, None) => return Err(Failure::Usage(format!("{}: {rule}", a.net))),
        }
    } else {
        let net = network(&a.net, a.input.as_ref(), a.classes)?;
        if a.train {
            step(Forward::of(&net, Mode::Train)?, &Config::default().step_options()?)?
        } else {
            net.graph(Mode::Infer)?
        }
    };
    let (before, name) = (graph.nodes().len(), graph.name.clone());
    let options = CompileOptions { fuse: !a.no_fuse, recompute: a.recompute, ..Default::default() };
    let program = Program::single("graph", graph.validate()?);
    let report = a.compute.backend()?.compile(&program, &options)?.report(0, a.batch as usize)?;
    if a.format.json {
        return output::json(&to_json(&report));
    }
    let mut text = format!(
        "{}: {before} nodes become {} kernels at batch {}\n\
         arena {} (side by side the values would take {}), parameters {}, scratch {}\n",
        name,
        report.nodes.len(),
        report.n,
        bytes(report.arena_bytes as u64),
        bytes(report.value_bytes as u64),
        bytes(report.parameter_bytes as u64),
        bytes(report.scratch_bytes as u64),
    );
    let mut rules: BTreeMap<&str, u64> = BTreeMap::new();
    for applied in &report.applied {
        *rules.entry(applied.rule).or_default() += 1;
    }
    let rules: Vec<String> = rules.iter().map(|(rule, n)| format!("{rule} {n}×")).collect();
    text += &format!("rules: {}\n", if rules.is_empty() { "none".into() } else { rules.join(", ") });
    if a.explain {
        text += &explain(&report);
    }
    output::text(&text)
}

fn explain(report: &Report) -> String {
    let mut out = format!("\n{}\n{}", output::bold("rewritten graph"), report.graph.to_text());
    out += &format!("\n{}\n", output::bold("applied rules"));
    for applied in &report.applied {
        out += &format!("  {} at {}\n", applied.rule, applied.node);
    }
    out += &format!("\n{}\n", output::bold("plan"));
    let rows: Vec<Vec<String>> = (report.nodes.iter())
        .map(|n| {
            let when = if n.prepared { "once" } else { "" };
            vec![
                n.node.clone(),
                n.kernel.clone(),
                n.tasks.to_string(),
                count(n.flops),
                when.into(),
                n.places.join(", "),
            ]
        })
        .collect();
    out += &table(
        &["node", "kernel", "tasks", "FLOPs", "when", "results lie at"],
        &[false, false, true, true, false, false],
        &rows,
    );
    let refusals: Vec<String> = (report.nodes.iter())
        .flat_map(|n| n.refused.iter().map(move |(kernel, reason)| format!("  {}: {kernel}: {reason}\n", n.node)))
        .collect();
    if !refusals.is_empty() {
        out += &format!("\n{}\n{}", output::bold("refusals"), refusals.concat());
    }
    let total = |h: &[Holder]| bytes(h.iter().map(|h| h.bytes as u64).sum());
    let title = format!("memory: most is taken at {}, {}", report.peak, total(&report.holders));
    out += &format!("\n{}\n{}", output::bold(&title), holders(&report.holders));
    if !report.kept.is_empty() {
        let title = format!("memory: kept between runs, {}", total(&report.kept));
        out += &format!("\n{}\n{}", output::bold(&title), holders(&report.kept));
    }
    out
}

/// The largest of those who take memory, and the rest as one line.
fn holders(all: &[Holder]) -> String {
    const MOST: usize = 20;
    let (shown, rest) = all.split_at(all.len().min(MOST));
    let row = |h: &Holder| vec![h.name.clone(), bytes(h.bytes as u64), h.until.clone()];
    let mut rows: Vec<Vec<String>> = shown.iter().map(row).collect();
    if !rest.is_empty() {
        let sum = rest.iter().map(|h| h.bytes as u64).sum();
        rows.push(vec![format!("{} more", rest.len()), bytes(sum), String::new()]);
    }
    table(&["what", "bytes", "needed until"], &[false, true, false], &rows)
}

fn to_json(r: &Report) -> Value {
    let holders = |all: &[Holder]| -> Vec<Value> {
        all.iter().map(|h| json!({ "name": h.name, "bytes": h.bytes, "until": h.until })).collect()
    };
    let nodes: Vec<Value> = (r.nodes.iter())
        .map(|n| {
            let refused: Vec<Value> = n.refused.iter().map(|(k, why)| json!({ "kernel": k, "reason": why })).collect();
            json!({
                "node": n.node, "kernel": n.kernel, "refused": refused, "places": n.places, "tasks": n.tasks,
                "flops": n.flops, "bytes": n.bytes, "prepared": n.prepared,
            })
        })
        .collect();
    let applied: Vec<Value> = r.applied.iter().map(|a| json!({ "rule": a.rule, "node": a.node })).collect();
    json!({
        "batch": r.n, "nodes": nodes, "applied": applied, "arena_bytes": r.arena_bytes, "value_bytes": r.value_bytes,
        "parameter_bytes": r.parameter_bytes, "scratch_bytes": r.scratch_bytes,
        "kept": holders(&r.kept), "holders": holders(&r.holders), "peak": r.peak, "graph": r.graph.to_text(),
    })
}
