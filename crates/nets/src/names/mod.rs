//! Published weights into a network: by name, through known prefixes and other libraries' names.
//!
//! The networks carry torchvision's names. A file may say `module.` before each (`DataParallel`), use timm's names, or carry
//! counters that prediction does not need. [`match_weights`] tries every known way of reading its names and takes the one
//! that fits most parameters; what then still differs is a [`Mismatch`], side by side. Begin reading at `match_weights`.

mod mismatch;
mod rename;

pub use mismatch::{Head, Mismatch, Pair};

use gabor_graph::ops::BatchNormInference;
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{DType, Data, Tensor, Weights};
use rename::Rule;
use std::collections::{BTreeMap, HashMap};

/// What wrappers put before all names of a network.
const PREFIXES: &[&str] = &[
    "module.",
    "_orig_mod.",
    "model.",
    "net.",
    "network.",
    "state_dict.",
    "backbone.",
    "encoder.",
    "ema.",
    "student.",
];
/// Entries that no parameter corresponds to: counters of batches and of operations.
const COUNTERS: &[&str] = &["num_batches_tracked", "total_ops", "total_params"];
/// Layers of torchvision's that are used in training alone.
const TRAINING: &[&str] = &["aux1.", "aux2.", "AuxLogits.", "aux_classifier.", "aux."];

/// How weights are matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchOptions {
    /// Leave out the tensors of a head for another number of classes, instead of an error that says so.
    pub replace_head: bool,
}

/// Weights under the network's names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matched {
    /// A tensor of its shape and type for every parameter, less those of a replaced head.
    pub weights: Weights,
    /// Heads of training that the file holds and the graph does not, under their names.
    pub auxiliary: Weights,
    /// The head that was left out.
    pub head: Option<Head>,
    /// What was done to the names, a sentence each.
    pub notes: Vec<String>,
}

/// The file's tensors by the network's names.
///
/// ```
/// use gabor_nets::{Mode, match_weights, zoo};
/// let net = zoo::by_name("resnet20", &Default::default()).unwrap();
/// let graph = net.graph(Mode::Infer).unwrap();
/// let wrapped = net.initialize(1).unwrap().0.into_iter().map(|(name, t)| (format!("module.{name}"), t)).collect();
/// let matched = match_weights(&graph, wrapped, Default::default()).unwrap();
/// assert_eq!(matched.weights, net.initialize(1).unwrap());
/// assert_eq!(matched.notes, ["`module.` is taken off the file's names"]);
/// ```
///
/// # Errors
/// A parameter without a tensor, a tensor without a parameter, or one of another shape: all of them at once.
pub fn match_weights(graph: &Graph, weights: Weights, options: MatchOptions) -> Result<Matched, Box<Mismatch>> {
    let wanted: BTreeMap<&str, ValueId> = graph.parameters().map(|(v, _)| (graph.value(v).name.as_str(), v)).collect();
    let shape = |v: ValueId| graph.shape(v).at(1);
    let mut notes = Vec::new();
    let mut file: BTreeMap<String, Tensor> = (weights.0.into_iter())
        .filter(|(name, _)| {
            !COUNTERS.contains(&name.rsplit('.').next().unwrap_or(name)) || wanted.contains_key(&**name)
        })
        .collect();
    take_off_prefixes(&mut file, &wanted, &mut notes);

    // Every way of reading the names, with the number of parameters that it finds; the plain one where none is better.
    let names: Vec<&str> = file.keys().map(String::as_str).collect();
    let score = |to: &HashMap<&str, String>| {
        let fits =
            |from: &str, to: &str| wanted.get(to).is_some_and(|&v| shape(v).first() == file[from].shape().first());
        names.iter().filter(|&&n| to.get(n).map_or(fits(n, n), |t| fits(n, t))).count()
    };
    let mut best: (usize, Option<&Rule>, HashMap<&str, String>) = (score(&HashMap::new()), None, HashMap::new());
    for rule in rename::RULES {
        let to = (rule.rename)(&names);
        let found = if to.is_empty() { 0 } else { score(&to) };
        if found > best.0 {
            best = (found, Some(rule), to);
        }
    }
    let (_, rule, to) = best;
    let to: HashMap<String, String> = to.into_iter().map(|(from, to)| (from.to_string(), to)).collect();
    if let Some(rule) = rule {
        notes.push(format!("the names are {}", rule.origin));
    }

    let mut out = Matched::default();
    let mut found: HashMap<String, (String, Tensor)> = HashMap::new();
    let mut unexpected = Vec::new();
    for (from, tensor) in file {
        let name = to.get(&from).cloned().unwrap_or_else(|| from.clone());
        if wanted.contains_key(&*name) && !found.contains_key(&name) {
            found.insert(name, (from, tensor));
        } else if TRAINING.iter().any(|p| name.starts_with(p)) {
            out.auxiliary.insert(name, tensor);
        } else {
            unexpected.push((from, tensor.shape().to_vec()));
        }
    }
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    for (&name, &v) in &wanted {
        let want = shape(v);
        match found.remove(name) {
            None => missing.push((name.to_string(), want)),
            Some((from, tensor)) => match fitted(tensor, &want, rule.is_some()) {
                Ok(tensor) => drop(out.weights.insert(name, tensor)),
                Err(given) => wrong.push(Pair { name: name.into(), want, from, given }),
            },
        }
    }
    if !out.auxiliary.is_empty() {
        notes.push(format!("{} tensors of heads for training are left aside", out.auxiliary.len()));
    }
    if let Some(head) = head(graph, &missing, &unexpected, &wrong) {
        if options.replace_head {
            out.head = Some(head);
            wrong.clear();
        } else {
            let matched = out.weights.len();
            let network = graph.name.clone();
            return Err(Box::new(Mismatch { network, matched, missing, unexpected, wrong, head: Some(head) }));
        }
    }
    if !(missing.is_empty() && unexpected.is_empty() && wrong.is_empty()) {
        let (network, matched) = (graph.name.clone(), out.weights.len());
        return Err(Box::new(Mismatch { network, matched, missing, unexpected, wrong, head: None }));
    }
    if let Some(eps) = rule.and_then(|r| r.eps) {
        shift_variances(graph, &mut out.weights, eps);
    }
    out.notes = notes;
    Ok(out)
}

/// Takes known prefixes off: those that all names have, or that many have where nothing fits as it is.
fn take_off_prefixes(file: &mut BTreeMap<String, Tensor>, wanted: &BTreeMap<&str, ValueId>, notes: &mut Vec<String>) {
    // A name may be nothing but prefixes.
    for _ in 0..8 {
        let fits = file.keys().filter(|n| wanted.contains_key(&***n)).count();
        let gains = |p: &str| file.keys().filter_map(|n| n.strip_prefix(p)).filter(|n| wanted.contains_key(n)).count();
        let all = |p: &str| !file.is_empty() && file.keys().all(|n| n.starts_with(p));
        // A network may have a layer of such a name; then its own names fit better as they are.
        let Some(prefix) = PREFIXES.iter().find(|p| if all(p) { fits <= gains(p) } else { gains(p) > fits }) else {
            return;
        };
        let old = std::mem::take(file);
        for (name, tensor) in old {
            let short = name.strip_prefix(prefix).filter(|n| !n.is_empty() && !file.contains_key(*n));
            let short = short.map(String::from).unwrap_or(name);
            file.insert(short, tensor);
        }
        notes.push(format!("`{prefix}` is taken off the file's names"));
    }
}

/// The tensor as a parameter of that shape, in 32 bits; its own shape if it is none. Trailing extents of one do not matter
/// (a 1×1 convolution is a linear layer); under another library's names a convolution over a whole picture is one too.
fn fitted(tensor: Tensor, want: &[usize], renamed: bool) -> Result<Tensor, Vec<usize>> {
    let trim = |s: &[usize]| s[..s.iter().rposition(|&d| d != 1).map_or(0, |i| i + 1)].to_vec();
    let given = tensor.shape().to_vec();
    let flattens = renamed && want.len() == 2 && given.first() == want.first() && tensor.len() == want[0] * want[1];
    if !(given == want || trim(&given) == trim(want) || flattens) {
        return Err(given);
    }
    let tensor = if tensor.dtype() == DType::F32 { tensor } else { tensor.cast(DType::F32) };
    tensor.reshape(want).map_err(|_| given)
}

/// Whether the file fits but for a head of another number of classes.
fn head(
    graph: &Graph,
    missing: &[(String, Vec<usize>)],
    unexpected: &[(String, Vec<usize>)],
    wrong: &[Pair],
) -> Option<Head> {
    let logits = graph.output_value("logits")?;
    let classes = graph.shape(logits).at(1).get(1).copied()?;
    let of_file = wrong.first()?.given.first().copied()?;
    let differs = |p: &Pair| {
        p.want.first() == Some(&classes) && p.given.first() == Some(&of_file) && {
            let rest = |s: &[usize]| s[1..].iter().product::<usize>();
            rest(&p.want) == rest(&p.given)
        }
    };
    let only = missing.is_empty() && unexpected.is_empty() && wrong.iter().all(differs);
    only.then(|| Head { parameters: wrong.iter().map(|p| p.name.clone()).collect(), file: of_file, network: classes })
}

/// A batch normalisation divides by `√(var + eps)`. Where the file's library adds another `eps` than the network does, the
/// difference goes into the variances, which makes the outputs the same.
fn shift_variances(graph: &Graph, weights: &mut Weights, eps: f64) {
    for node in graph.nodes() {
        let Some(op) = node.op::<BatchNormInference>() else { continue };
        let name = &graph.value(node.inputs[4]).name;
        if let Some(Data::F32(v)) = weights.0.get_mut(name).map(Tensor::data_mut)
            && op.eps != eps
        {
            v.iter_mut().for_each(|v| *v = (f64::from(*v) + eps - op.eps) as f32);
        }
    }
}
