//! The configuration of a training: every key with its default, its bounds and its page.
//!
//! Three layers, the later over the earlier: a TOML file, the environment (`GABOR_EPOCHS=3`), and `key=value` words of
//! the command. Unknown keys and values out of bounds are errors that name the layer.

mod augment;
mod setting;

pub(crate) use augment::resolve_augmentation;
pub use augment::{Pipeline, parse_augmentation};
use setting::plain;
pub use setting::{Amount, Auto, Bytes, InputSize, Setting, Span};

use crate::error::suggest;
use crate::optimiser::{self, Optimiser};
use crate::schedule::{Kind, Schedule};
use crate::step::{FreezeNorm, StepOptions};
use crate::{Error, Loss, Result};
use gabor_compile::Recompute;
use gabor_tensor::Rule;
use std::collections::BTreeMap;
use std::path::Path;

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// What its value may be.
    pub values: &'static str,
}

macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $name:ident: $ty:ty = $default:expr, $values:literal, $check:expr;)+) => {
        /// Settings of a training. [`Config::KEYS`] lists them with their pages.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {$(
            $(#[doc = $doc])+
            #[doc = concat!("\n\nValues: ", $values, ".")]
            pub $name: $ty,
        )+}
        impl Default for Config {
            fn default() -> Self {
                Config { $($name: $default),+ }
            }
        }
        impl Config {
            /// Every key, in the order of the file.
            pub const KEYS: &[Key] = &[$(
                Key { name: stringify!($name), doc: concat!($($doc),+), values: $values }
            ),+];
            /// Sets a key from text.
            ///
            /// # Errors
            /// An unknown key, text that is no such value, or a value out of bounds.
            pub fn set(&mut self, key: &str, text: &str) -> Result<(), Rule> {
                match key {
                    $(stringify!($name) => {
                        let value = <$ty as Setting>::read(text.trim(), $values)?;
                        let check: fn(&$ty) -> bool = $check;
                        if !check(&value) {
                            return Err(Rule::new(format!("`{text}` is out of bounds")).right($values));
                        }
                        self.$name = value;
                    })+
                    _ => {
                        let right = match OTHER_NAMES.iter().find(|(other, _)| *other == key) {
                            Some((_, ours)) => format!("`{ours}`"),
                            None => suggest(key, Self::KEYS.iter().map(|k| k.name)),
                        };
                        return Err(Rule::new(format!("there is no key `{key}`")).right(right));
                    }
                }
                Ok(())
            }
            /// Every key with its value as text, in the order of the file.
            pub fn entries(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($name), self.$name.text())),+]
            }
        }
    };
}

fn any<T>(_: &T) -> bool {
    true
}
fn within(v: f64, low: f64, high: f64) -> bool {
    (low..=high).contains(&v)
}

keys! {
    /// The data set: `digits` (embedded in the binary) or a directory.
    data: String = "digits".into(), "`digits` or a directory", |v| !v.is_empty();
    /// The network: a name of the zoo, a description in the lectures' notation, or a .toml file that describes it.
    net: String = "lenet5".into(), "a network's name, description or .toml file", |v| !v.is_empty();
    /// The run directory.
    run: Auto<String> = Auto(None), "auto (runs/DATA-NET-NUMBER) or a directory", any;
    /// Extents of the model's input.
    input: Auto<InputSize> = Auto(None), "auto or CHANNELSxHEIGHTxWIDTH, such as 3x224x224", any;
    /// Times the training set is gone through.
    epochs: Auto<usize> = Auto(None), "auto or a whole number from 1 to 100000", |v| v.0.is_none_or(|e| (1..=100_000).contains(&e));
    /// Samples of a step.
    batch: Auto<usize> = Auto(None), "auto (64, fewer for less than 512 images) or a whole number from 1 to 65536", |v| v.0.is_none_or(|b| (1..=65_536).contains(&b));
    /// Parts in which a batch is computed, their gradients added up: less memory, the same step.
    grad_accum: usize = 1, "a whole number from 1 to 1024", |v| (1..=1024).contains(v);
    /// The optimiser: sgd, momentum, nesterov, adagrad, rmsprop, adadelta, adam, adamw, or lbfgs (one step an epoch, on the whole set).
    optimiser: String = "adamw".into(), "an optimiser's name", any;
    /// The learning rate before its schedule.
    lr: Auto<f64> = Auto(None), "auto (the optimiser's default, without weights three times that at the peak of one-cycle) or a positive number", |v| v.0.is_none_or(|v| v > 0.0 && v <= 1e6);
    /// Momentum of sgd, momentum, nesterov and rmsprop.
    momentum: Auto<f64> = Auto(None), "auto or a number in [0, 1)", |v| v.0.is_none_or(|v| (0.0..1.0).contains(&v));
    /// Weight decay: L2, or decoupled with adamw.
    weight_decay: Auto<f64> = Auto(None), "auto (0.01 with adamw, else 0) or a number from 0 to 10", |v| v.0.is_none_or(|v| within(v, 0.0, 10.0));
    /// Whether biases and normalisation decay too, as PyTorch does by default.
    decay_all: bool = false, "true or false", any;
    /// Schedule of the learning rate.
    schedule: Schedule = Schedule::new(Kind::OneCycle { rise: 0.3 }), "constant, step:EPOCHS, milestones:E,E, exponential:FACTOR, inverse-sqrt, cosine, cosine-restarts:EPOCHS, cosine-restarts:EPOCHS:FACTOR, one-cycle, plateau", any;
    /// Epochs of linear warm-up before the schedule.
    warmup: f64 = 0.0, "a number of epochs from 0", |v| within(*v, 0.0, 1e5);
    /// The loss: cross_entropy, hinge, binary_hinge, logistic, l1, l2.
    loss: String = "cross_entropy".into(), "a loss's name", any;
    /// Label smoothing of cross_entropy.
    label_smoothing: f64 = 0.0, "a number in [0, 1)", |v| (0.0..1.0).contains(v);
    /// Largest joint norm of the gradients.
    clip: Option<f64> = None, "none or a positive number", |v| v.is_none_or(|v| v > 0.0);
    /// Largest magnitude of any element of a gradient.
    clip_value: Option<f64> = None, "none or a positive number", |v| v.is_none_or(|v| v > 0.0);
    /// Initialisation of the weights.
    init: String = "auto".into(), "auto (the network's own), default, he, xavier, orthogonal, dirac, normal, uniform, zeros", |v| !v.is_empty();
    /// Whether the first convolution's filters begin as the principal components of the pictures' patches (`freeze` keeps them so).
    whiten: bool = false, "true or false", any;
    /// Weights to begin with (fine-tuning). A head for another number of classes is made anew.
    weights: Option<String> = None, "none, a file (.safetensors, .pth, .onnx, …) or a name of the Hugging Face hub, such as timm/resnet18.a1_in1k", any;
    /// SHA-256 of those weights, which a run writes down; given, it must be theirs.
    weights_sha256: Option<String> = None, "none or 64 hexadecimal digits", |v| v.as_ref().is_none_or(|t| t.len() == 64 && t.bytes().all(|b| b.is_ascii_hexdigit()));
    /// Mean and standard deviation by which inputs are normalised.
    normalize: Auto<String> = Auto(None), "auto (as the weights expect it, without weights by the data), data, imagenet, or MEAN,MEAN,MEAN/STD,STD,STD of values in [0, 1]", |v| v.0.as_deref().is_none_or(|t| normalization(t).is_some());
    /// First epochs in which the head alone is trained, at the constant rate `lr`; then all layers are, with the schedule.
    unfreeze: Auto<usize> = Auto(None), "auto (with weights a fifth of the epochs, else 0) or a whole number of epochs", |v| v.0.is_none_or(|v| v <= 100_000);
    /// Learning rates by depth: the head has `lr`, the upper half of the layers this part of it, the lower half its square.
    discriminative: Auto<Amount> = Auto(None), "auto (true with weights, else false), true (0.1), false, or a factor in (0, 1]", |v| v.0.is_none_or(|a| a.or(0.1).is_none_or(|f| f > 0.0 && f <= 1.0));
    /// Parameters that stay as they are, by patterns of their names.
    freeze: Vec<String> = Vec::new(), "patterns such as conv*,bn1.*", any;
    /// Batch normalisations that use their running statistics in training and leave them as they are.
    freeze_norm: String = "auto".into(), "auto (those whose scale and shift are frozen; with weights and fewer than 32 samples at a time all), true (all), false (none), or patterns such as bn1.*,layer1.*", |v| !v.trim_matches([',', ' ']).is_empty();
    /// Factors of the learning rate by patterns of parameter names; the last that fits counts.
    lr_factors: Vec<String> = Vec::new(), "PATTERN:FACTOR, such as conv*:0.01,fc1.*:0.1", |v| v.iter().all(|f| factor(f).is_some());
    /// Random variation of training images.
    augment: Auto<Pipeline> = Auto(None), "auto (by data and weights), none, handwriting, small_photos, photos, alexnet, inception, timm-ra, a list such as shift:2,rotate:10,mirror@0.5, or a .toml file", any;
    /// RandAugment in the pipeline, before anything is cut out: operations an image and their magnitude.
    randaugment: Option<String> = None, "none or OPS,MAGNITUDE with magnitudes of 0 to 30, such as 2,9", |v| v.as_ref().is_none_or(|t| augment::rand_augment(t).is_some());
    /// Mixup: alpha of the Beta distribution by which pairs of training images and their labels are mixed. With cutmix, each batch is mixed by one of them.
    mixup: f64 = 0.0, "a number from 0 (off) to 100; 0.2 is usual", |v| within(*v, 0.0, 100.0);
    /// CutMix: the same for boxes that are cut out of one image into another.
    cutmix: f64 = 0.0, "a number from 0 (off) to 100; 1 is usual", |v| within(*v, 0.0, 100.0);
    /// What to do about images that cannot be read: fail, or skip (leave them out, tell of each once and count them).
    bad: String = "fail".into(), "fail or skip", |v| v == "fail" || v == "skip";
    /// Part of the training set that is held out to choose by, where the data has no validation part.
    val: f64 = 0.1, "a number from 0 to 0.9", |v| within(*v, 0.0, 0.9);
    /// Which sample is in which part, as another run wrote it down; samples that it does not name are trained on.
    split: Option<String> = None, "none (drawn by class and seed), a run directory, or its split.tsv", |v| v.as_ref().is_none_or(|t| !t.is_empty());
    /// Whether the data are looked at before training: bad files end it, warnings are told, near duplicates stay on one side of the split.
    check: String = "auto".into(), "auto (all pictures of up to 2000 files, else headers), full, headers or none", |v| matches!(v.as_str(), "auto" | "full" | "headers" | "none");
    /// Averages of the weights over the steps, which are evaluated, kept and exported in place of the weights themselves.
    ema: Amount = Amount::Off, "true (0.9998), false, or a decay in (0, 1); in the beginning it is at most (1 + step) / (10 + step)", |v| v.or(0.5).is_none_or(|d| d > 0.0 && d < 1.0);
    /// Epochs without progress on the validation part after which training stops.
    patience: Auto<Option<usize>> = Auto(None), "auto (with weights 30 % of the epochs, else none), none or a whole number from 1", |v| v.0 != Some(Some(0));
    /// Validation accuracy at which training stops.
    target: Option<f64> = None, "none or a number in (0, 1]", |v| v.is_none_or(|v| v > 0.0 && v <= 1.0);
    /// Steps after which training stops.
    max_steps: Option<u64> = None, "none or a whole number from 1", |v| *v != Some(0);
    /// Time of training after which it stops, all calls of a resumed run together.
    max_time: Option<Span> = None, "none or a time such as 30m, 2h or 1h30m", any;
    /// Steps between checkpoints, besides those after every epoch.
    save_every: Option<u64> = None, "none or a whole number from 1", |v| *v != Some(0);
    /// Seed of initialisation, order, augmentation and dropout.
    seed: u64 = 0, "a whole number", any;
    /// Whether fast convolution algorithms (Winograd) may be used: `fast`, or `strict` for direct sums only.
    numerics: String = "fast".into(), "fast or strict", |v| v == "fast" || v == "strict";
    /// Precision of the numbers. No backend computes in halves yet.
    precision: String = "f32".into(), "f32, the only one that the CPU computes in", |v| v == "f32";
    /// What is computed again for the backward pass instead of kept, to save memory. No influence on results.
    recompute: Recompute = Recompute::None, "none, cheap or segments", any;
    /// Memory that the run may take; one that would take more is refused before its first step. No influence on results.
    memory: Auto<Option<Bytes>> = Auto(None), "auto (what the machine or the control group has left), none (no refusal), or bytes such as 4GiB or 512MiB", any;
    /// Threads that compute. No influence on results.
    threads: Auto<usize> = Auto(None), "auto (all cores) or a whole number from 1 to 4096", |v| v.0.is_none_or(|t| (1..=4096).contains(&t));
    /// Threads that prepare batches. No influence on results.
    workers: Auto<usize> = Auto(None), "auto or a whole number from 0 to 1024", |v| v.0.is_none_or(|t| t <= 1024);
}

/// What keys are called elsewhere.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("accumulate", "grad_accum"),
    ("accumulation_steps", "grad_accum"),
    ("gradient_accumulation", "grad_accum"),
    ("gradient_accumulation_steps", "grad_accum"),
    ("batch_size", "batch"),
    ("bs", "batch"),
    ("learning_rate", "lr"),
    ("opt", "optimiser"),
    ("optim", "optimiser"),
    ("optimizer", "optimiser"),
    ("wd", "weight_decay"),
    ("scheduler", "schedule"),
    ("lr_schedule", "schedule"),
    ("lr_scheduler", "schedule"),
    ("sched", "schedule"),
    ("clip_grad", "clip"),
    ("clip_grad_norm", "clip"),
    ("clip_norm", "clip"),
    ("max_grad_norm", "clip"),
    ("smoothing", "label_smoothing"),
    ("model", "net"),
    ("network", "net"),
    ("model_ema", "ema"),
    ("model_ema_decay", "ema"),
    ("ema_decay", "ema"),
    ("pretrained", "weights"),
    ("checkpoint", "weights"),
    ("freeze_bn", "freeze_norm"),
    ("freeze_epochs", "unfreeze"),
    ("early_stopping", "patience"),
    ("amp", "precision"),
    ("dtype", "precision"),
    ("fp16", "precision"),
    ("num_workers", "workers"),
    ("normalise", "normalize"),
];

/// Keys that have no influence on the numbers of a training up to its end.
const WITHOUT_INFLUENCE: &[&str] =
    &["run", "threads", "workers", "recompute", "save_every", "max_steps", "max_time", "memory"];
/// Prefix of environment variables.
const ENVIRONMENT: &str = "GABOR_";

/// Means and standard deviations, one of each per channel.
type Statistics = (Vec<f32>, Vec<f32>);

/// The statistics that a text names; inside, none for the data's own.
pub(crate) fn normalization(text: &str) -> Option<Option<Statistics>> {
    match text {
        "data" => return Some(None),
        "imagenet" => return Some(Some((vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]))),
        _ => {}
    }
    let numbers = |t: &str| t.split(',').map(|v| v.trim().parse().ok().filter(|v: &f32| v.is_finite())).collect();
    let (mean, std) = text.split_once('/')?;
    let (mean, std): (Option<Vec<f32>>, Option<Vec<f32>>) = (numbers(mean), numbers(std));
    let (mean, std) = (mean?, std?);
    let fits = mean.len() == std.len() && matches!(mean.len(), 1 | 3) && std.iter().all(|&s| s > 0.0);
    fits.then_some(Some((mean, std)))
}

/// The decay of `ema=true`: timm's default.
const EMA_DECAY: f64 = 0.9998;

fn freeze_norm(text: &str) -> FreezeNorm {
    match text {
        "auto" => FreezeNorm::Frozen,
        "true" => FreezeNorm::All,
        "false" => FreezeNorm::Never,
        patterns => FreezeNorm::Patterns(
            patterns.split(',').map(str::trim).filter(|p| !p.is_empty()).map(String::from).collect(),
        ),
    }
}

/// `PATTERN:FACTOR`.
fn factor(text: &str) -> Option<(String, f64)> {
    let (pattern, factor) = text.rsplit_once(':')?;
    let factor: f64 = factor.trim().parse().ok()?;
    (within(factor, 0.0, 1e3) && !pattern.is_empty()).then(|| (pattern.trim().to_string(), factor))
}

impl Config {
    /// Defaults, then the file, then `environment` (pairs as of [`std::env::vars`]; only names with the prefix `GABOR_`
    /// are read), then `arguments` (`key=value`).
    ///
    /// ```
    /// use gabor_train::Config;
    /// let env = [("GABOR_EPOCHS".to_string(), "3".to_string())];
    /// let c = Config::load(None, env, &["batch=32"]).unwrap();
    /// assert_eq!((c.epochs.0, c.batch.0), (Some(3), Some(32)));
    /// let e = Config::load(None, [], &["epoch=3"]).unwrap_err();
    /// assert!(e.to_string().starts_with("argument `epoch=3`: there is no key `epoch`; right would be: `epochs`"));
    /// ```
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key or a value out of bounds, each with its layer.
    pub fn load<A: AsRef<str>>(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        arguments: &[A],
    ) -> Result<Self> {
        let mut config = Config::default();
        if let Some(path) = file {
            config.read_file(path)?;
        }
        for (name, value) in environment {
            if let Some(key) = name.strip_prefix(ENVIRONMENT) {
                let place = |rule| Error::new(format!("environment variable {name}"), rule);
                config.set(&key.to_ascii_lowercase(), &value).map_err(place)?;
            }
        }
        config.apply(arguments)?;
        Ok(config)
    }
    /// Sets keys from words `key=value`.
    ///
    /// # Errors
    /// A word without `=`, an unknown key or a value out of bounds.
    pub fn apply<A: AsRef<str>>(&mut self, arguments: &[A]) -> Result<()> {
        for word in arguments {
            let word = word.as_ref();
            let place = |rule| Error::new(format!("argument `{word}`"), rule);
            let (key, value) = (word.split_once('='))
                .ok_or_else(|| place(Rule::new("the word is no setting").right("key=value, such as epochs=10")))?;
            self.set(key.trim(), value).map_err(place)?;
        }
        Ok(())
    }
    fn read_file(&mut self, path: &Path) -> Result<()> {
        // A configuration is a page of text; anything larger is a mistake.
        const LIMIT: u64 = 1 << 20;
        let length = std::fs::metadata(path).map_err(|e| Error::io(path, "read", &e))?.len();
        if length > LIMIT {
            let rule = Rule::new(format!("a configuration of {length} bytes")).right(format!("at most {LIMIT}"));
            return Err(Error::new(path.display().to_string(), rule));
        }
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", &e))?;
        self.apply_toml(&text, &path.display().to_string())
    }
    /// Sets keys from TOML text.
    ///
    /// # Errors
    /// Text that is no TOML, an unknown key or a value out of bounds; `place` names the text.
    pub fn apply_toml(&mut self, text: &str, place: &str) -> Result<()> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            let line = e.span().map_or(1, |s| 1 + text.bytes().take(s.start).filter(|&b| b == b'\n').count());
            Error::new(format!("{place}, line {line}"), Rule::new(e.message().to_string()).right("key = value"))
        })?;
        for (key, value) in &table {
            let at = |rule| Error::new(format!("{place}, key `{key}`"), rule);
            self.set(key, &plain(value).map_err(at)?).map_err(at)?;
        }
        Ok(())
    }
    /// The configuration as a TOML file that reads back to the same.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        for ((name, text), key) in self.entries().into_iter().zip(Self::KEYS) {
            // Bare is what TOML reads back to the very same text.
            let bare = text.parse::<bool>().is_ok()
                || text.parse::<i64>().is_ok_and(|v| v.to_string() == text)
                || text.parse::<f64>().is_ok_and(|v| v.to_string() == text && text.contains('.'));
            let value = if bare { text } else { toml::Value::String(text).to_string() };
            out += &format!("#{} ({})\n{name} = {value}\n", key.doc, key.values);
        }
        out
    }
    /// Checks what several keys say together: names of optimiser, loss and initialisation, a batch that can be
    /// divided, a schedule that has what it needs.
    ///
    /// # Errors
    /// The first key that does not fit.
    pub fn validate(&self) -> Result<()> {
        self.step_options()?;
        let key = |name: &str, rule| Err(Error::new(format!("key `{name}`"), rule));
        if let Some(batch) = self.batch.0.filter(|b| self.grad_accum > *b) {
            let rule = Rule::new(format!("a batch of {batch} in {} parts", self.grad_accum));
            return key("grad_accum", rule.right("at most one part a sample"));
        }
        if self.whiten && self.weights.is_some() {
            let rule = Rule::new("the first convolution comes from the weights and cannot be made from the data, too");
            return key("whiten", rule.right("whiten=false, or no weights"));
        }
        if self.is_lbfgs() {
            // What L-BFGS has no use for is refused instead of passed over; auto and the default schedule give way.
            let ours = [Kind::Constant, Config::default().schedule.kind];
            let refused = [
                ("momentum", self.momentum.0.is_some()),
                ("clip", self.clip.is_some()),
                ("clip_value", self.clip_value.is_some()),
                ("lr_factors", !self.lr_factors.is_empty()),
                ("warmup", self.full_schedule().warmup > 0.0),
                ("schedule", !ours.contains(&self.schedule.kind)),
                ("grad_accum", self.grad_accum > 1),
                ("ema", self.ema != Amount::Off),
                ("unfreeze", self.unfreeze.0.is_some_and(|e| e > 0)),
                ("discriminative", self.discriminative.0.is_some_and(|d| d != Amount::Off)),
                ("augment", self.augment.0.as_ref().is_some_and(|a| a.as_str() != "none")),
                ("randaugment", self.randaugment.is_some()),
                ("mixup", self.mixup > 0.0),
                ("cutmix", self.cutmix > 0.0),
                ("save_every", self.save_every.is_some()),
            ];
            if let Some((name, _)) = refused.iter().find(|(_, given)| *given) {
                return key(
                    name,
                    Rule::new(format!("lbfgs has no use for {name}")).right("another optimiser, or no such key"),
                );
            }
        }
        if matches!(self.schedule.kind, Kind::Plateau { .. }) && self.val == 0.0 {
            return key("schedule", Rule::new("plateau needs a validation part, and val is 0").right("val=0.1"));
        }
        for (name, wants) in [("patience", self.patience.0.flatten().is_some()), ("target", self.target.is_some())] {
            if wants && self.val == 0.0 {
                return key(name, Rule::new(format!("{name} needs a validation part, and val is 0")).right("val=0.1"));
            }
        }
        if self.init != "auto" {
            gabor_nets::Scheme::by_name(&self.init).map_err(|rule| Error::new("key `init`", rule))?;
        }
        Ok(())
    }
    /// Whether each step is one of L-BFGS on the whole training set.
    pub fn is_lbfgs(&self) -> bool {
        self.optimiser == "lbfgs"
    }
    /// The optimiser; plain gradient descent stands in for L-BFGS, whose steps are taken on the host.
    ///
    /// # Errors
    /// An unknown name, or a momentum that it does not have.
    pub fn make_optimiser(&self) -> Result<Box<dyn Optimiser>> {
        if self.is_lbfgs() {
            return Ok(Box::new(optimiser::Sgd::default()));
        }
        optimiser::by_name(&self.optimiser, self.momentum.0).map_err(|r| Error::new("key `optimiser`", r))
    }
    /// Samples of a step; 64 while that is not decided.
    pub fn batch_size(&self) -> usize {
        self.batch.0.unwrap_or(64)
    }
    /// The learning rate before its schedule: as given, or the optimiser's default. One-cycle, which is at its peak only
    /// for moments, gets three times that (Smith and Topin 2018 found that it bears larger rates), but not where weights
    /// are given, which larger rates would undo.
    ///
    /// # Errors
    /// As [`make_optimiser`](Config::make_optimiser).
    pub fn base_lr(&self) -> Result<f64> {
        Ok(match self.lr.0 {
            Some(lr) => lr,
            None if self.is_lbfgs() => 1.0,
            None if matches!(self.schedule.kind, Kind::OneCycle { .. }) && self.weights.is_none() => {
                3.0 * self.make_optimiser()?.default_lr()
            }
            None => self.make_optimiser()?.default_lr(),
        })
    }
    /// The schedule with the warm-up of its own key.
    pub fn full_schedule(&self) -> Schedule {
        let warmup = if self.warmup > 0.0 { self.warmup } else { self.schedule.warmup };
        Schedule { warmup, kind: self.schedule.kind.clone() }
    }
    /// What a step is made of, before learning rates by depth and steps of the head alone, which depend on the network.
    ///
    /// # Errors
    /// An unknown optimiser or loss.
    pub fn step_options(&self) -> Result<StepOptions> {
        let optimiser = self.make_optimiser()?;
        let decay = self.weight_decay.0.unwrap_or(if optimiser.decoupled() { 0.01 } else { 0.0 });
        let loss = Loss::by_name(&self.loss, self.label_smoothing).map_err(|r| Error::new("key `loss`", r))?;
        Ok(StepOptions {
            loss,
            optimiser: optimiser.into(),
            weight_decay: decay,
            decay_all: self.decay_all,
            factors: self.lr_factors.iter().filter_map(|f| factor(f)).collect(),
            freeze: self.freeze.clone(),
            clip_norm: self.clip,
            clip_value: self.clip_value,
            accumulate: self.grad_accum > 1 || self.is_lbfgs(),
            mixed: self.mixup > 0.0 || self.cutmix > 0.0,
            ema: self.ema.or(EMA_DECAY),
            freeze_norm: freeze_norm(&self.freeze_norm),
            head: Vec::new(),
        })
    }
    /// Keys and values that have an influence on the numbers of a training.
    pub fn influential(&self) -> BTreeMap<String, String> {
        let keep = |k: &&str| !WITHOUT_INFLUENCE.contains(k);
        self.entries().into_iter().filter(|(k, _)| keep(k)).map(|(k, v)| (k.to_string(), v)).collect()
    }
}

#[cfg(test)]
mod tests;
