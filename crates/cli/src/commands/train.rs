//! `gabor train`: from pictures to a model.

use crate::arguments::{Format, Network, backend, holds_no_weights, misnamed};
use crate::commands::eval;
use crate::commands::summary::moment;
use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Progress;
use clap::Args;
use gabor::cpu::{CpuBackend, Isa, Peak};
use gabor::nets::summary;
use gabor::report::{bytes, count, duration, percent};
use gabor::tensor::Weights;
use gabor::train::{Config, Event, FnSink, Pace, RunOptions, Setup, Stop};
use gabor::{Finished, train_run};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Train a network
///
/// Without arguments: LeNet-5 on the handwritten digits embedded in this program. A run leaves a directory with its
/// settings, its numbers, checkpoints, model.onnx and report.html. The first Ctrl-C saves and stops, a second one aborts.
#[derive(Args)]
#[command(after_help = after_help())]
pub struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Go on with the run in this directory
    #[arg(long, value_name = "RUN", conflicts_with_all = ["data", "net", "out", "weights"])]
    resume: Option<PathBuf>,
    /// The run directory (default: runs/DATA-NET-NUMBER)
    #[arg(long, value_name = "DIR")]
    out: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// What a training is made of; other commands that train read it too.
#[derive(Args)]
pub struct Settings {
    /// Settings, and at most one configuration file
    #[arg(value_name = "CONFIG.toml | KEY=VALUE")]
    words: Vec<String>,
    /// The data: `digits`, a directory (a folder per class, MNIST, CIFAR, tar shards, Parquet), a table of paths and labels (.csv); URLs with the feature object-store
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// The network: a name of the zoo, a description, or a .toml file that describes it
    #[arg(long, value_name = "NET")]
    net: Option<String>,
    /// Weights to begin with (fine-tuning): .safetensors, .pth, .onnx, …, or a name of the hub, which says the network too
    #[arg(long, value_name = "FILE | NAME")]
    weights: Option<String>,
    /// Threads that compute (default: all cores); results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    threads: Option<u16>,
    #[command(flatten)]
    network: Network,
}

fn after_help() -> String {
    let mut out = "\
Examples:
  gabor train
  gabor train --data mnist epochs=10
  gabor train --data photos --net resnet18 lr=0.002 augment=photos
  gabor train --net net.toml --data photos
  gabor train --data photos --net resnet18 --weights resnet18.pth freeze=conv1*,layer1* lr_factors=layer*:0.1
  gabor train --data photos --weights timm/resnet18.a1_in1k
  gabor train --data photos --net resnet18 ema=true label_smoothing=0.1 schedule=one-cycle grad_accum=4 clip=1.0 max_time=8h
  gabor train mine.toml batch=128
  gabor train --resume runs/digits-lenet5-1 epochs=100

Settings come from a TOML file, then from the environment (GABOR_EPOCHS=3), then from the command line:
"
    .to_string();
    let defaults = Config::default().entries();
    for (key, (name, value)) in Config::KEYS.iter().zip(defaults) {
        out += &format!("  {name} = {value}\n      {} ({})\n", key.doc.trim(), key.values);
    }
    out + "\nJSON: one line per event (`event` names its kind); the last has `run`, `model`, `top1`, `seconds`."
}

/// Set by the first Ctrl-C.
pub static STOP: AtomicBool = AtomicBool::new(false);

pub fn run(a: &Arguments) -> Result<()> {
    let config = configuration(&a.settings, a.resume.as_deref(), a.out.as_ref())?;
    // Before the data are read, which may take a while.
    stop_on_signals("saving and stopping after this step; once more to abort")?;
    let Prepared { setup, weights } = prepare(&a.settings, config, a.resume.as_deref())?;
    let backend = backend(setup.config.threads.0)?;
    let directory = match &a.resume {
        Some(run) => run.clone(),
        None => gabor::resolve_directory(&setup, Path::new("runs"))?,
    };
    let mut printer =
        Printer { json: a.format.json, progress: None, epochs: 0, broken: false, passed_over: String::new() };
    let options = RunOptions {
        directory: Some(directory.clone()),
        resume: a.resume.is_some(),
        stop: Some(&STOP),
        weights,
        pace: pace(&setup, &backend)?,
        ..Default::default()
    };
    let result = train_run(&setup, backend, options, &mut FnSink(|e: &Event| printer.event(e)));
    printer.clear();
    let finished = result?;
    if !a.format.json {
        output::text(&farewell(&setup, &finished, &directory))?;
    }
    Ok(())
}

/// A number of things, one or several.
fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// Floating-point operations of a training below which nobody asks how long it will take.
const SHORT: f64 = 2e12;

/// The forecast of time of a training that takes a while, with the machine's peak measured now.
fn pace(setup: &Setup, backend: &CpuBackend) -> Result<Option<Pace>> {
    let graph = setup.network.graph(gabor::nets::Mode::Infer)?;
    let table = summary(&graph);
    let samples = setup.epoch_samples()? * setup.config.epochs.0.unwrap_or(1);
    if SHORT > 3.0 * table.flops as f64 * samples as f64 {
        return Ok(None);
    }
    let peak = Peak::measure(backend.threads(), Isa::best());
    let f = gabor::forecast(&graph, &table, setup.config.batch_size(), backend, peak)?;
    Ok(Some(Pace { training: f.training, inference: f.inference }))
}

/// What is trained, and the weights that it begins with.
pub struct Prepared {
    pub setup: Setup,
    pub weights: Option<Weights>,
}

/// Opens data, network and weights; notes on weights are printed.
pub fn prepare(a: &Settings, mut config: Config, resumed: Option<&Path>) -> Result<Prepared> {
    let pretrained = match &config.weights {
        Some(source) if resumed.is_none() => Some(a.network.load(source)?),
        _ => None,
    };
    if let Some(p) = &pretrained {
        if !named_network(a)? {
            // The file may say whose weights they are: the hub's, or a model of this program.
            let trained = || -> Option<String> {
                let notes: serde_json::Value = serde_json::from_str(p.metadata.provenance.as_deref()?).ok()?;
                notes["config"]["net"].as_str().map(String::from)
            };
            config.net = p.architecture.clone().or_else(trained).ok_or_else(|| {
                let source = config.weights.as_deref().unwrap_or_default();
                Failure::Usage(format!("{source}: which network are these weights for? right would be: --net NET"))
            })?;
        }
        p.prepare(&mut config)?;
        p.notes.iter().for_each(|n| output::note(n));
    }
    let net = Path::new(&config.net);
    if net.is_dir() || gabor::format_of(net).is_ok() && !config.net.contains(char::is_whitespace) {
        if net.is_file() {
            let text = format!("{}: a model file cannot be trained from", config.net);
            return Err(Failure::Usage(
                text + "; right would be: --net with the network's name, and the file as --weights",
            ));
        }
        return Err(Failure::Usage(misnamed(&config.net).unwrap_or_default()));
    }
    let mut line: Option<Progress> = None;
    let looked = Setup::prepare(&config, resumed, &mut |done, total| {
        line.get_or_insert_with(|| Progress::late(total)).draw_images(done, "looking at the data");
    });
    if let Some(p) = &mut line {
        p.clear();
    }
    let mut setup = looked?;
    let Some(pretrained) = pretrained else { return Ok(Prepared { setup, weights: None }) };
    let matched = pretrained.begin(&setup.network)?;
    matched.notes.iter().for_each(|n| output::note(n));
    if matched.head.is_none() {
        setup.keep_head(&config);
    }
    Ok(Prepared { setup, weights: Some(matched.weights) })
}

/// Whether a `.toml` file is a network and no configuration: it has layers, or classes beside its notation.
fn describes_layers(text: &str) -> bool {
    let classes = |l: &str| l.strip_prefix("classes").is_some_and(|rest| rest.trim_start().starts_with('='));
    text.lines().map(str::trim).any(|l| l.starts_with("[[layer") || classes(l))
}

/// Variables that the project's own tests read, under the prefix of settings.
const NOT_SETTINGS: &[&str] = &["GABOR_PYTHON", "GABOR_ZOO", "GABOR_FUZZ_CASES", "GABOR_FUZZ_SECONDS"];

/// The configuration of these words, of the run that is resumed, and of the environment.
pub fn configuration(a: &Settings, resume: Option<&Path>, out: Option<&String>) -> Result<Config> {
    let (files, mut words): (Vec<&String>, Vec<String>) = (
        a.words.iter().filter(|w| !w.contains('=') && w.ends_with(".toml")).collect(),
        a.words.iter().filter(|w| w.contains('=') || !w.ends_with(".toml")).cloned().collect(),
    );
    let file = match (files.as_slice(), resume) {
        ([], None) => None,
        ([file], None) => Some(PathBuf::from(file)),
        ([], Some(run)) => Some(run.join("config.toml")),
        (_, None) => {
            return Err(Failure::Usage(format!("{}: a second configuration file; right would be: one", files[1])));
        }
        (_, Some(_)) => {
            return Err(Failure::Usage(format!(
                "{}: a resumed run has its own configuration; right would be: KEY=VALUE",
                files[0]
            )));
        }
    };
    if let Some(run) = resume.filter(|r| !r.join("config.toml").is_file()) {
        return Err(Failure::Failed(format!(
            "{}: there is no run in this directory; right would be: the directory of a run that was begun",
            run.display()
        )));
    }
    let flags = [
        ("data", a.data.clone()),
        ("net", a.net.clone()),
        ("weights", a.weights.clone()),
        ("run", out.cloned()),
        ("threads", a.threads.map(|t| t.to_string())),
    ];
    for (key, value) in flags.iter().filter_map(|(k, v)| Some((k, v.as_ref()?))) {
        if let Some(word) = words.iter().find(|w| w.split_once('=').is_some_and(|(k, _)| k.trim() == *key)) {
            let text =
                format!("{word}: {key} is given twice, also by its option as {value}; right would be: one of them");
            return Err(Failure::Usage(text));
        }
    }
    words.extend(flags.into_iter().filter_map(|(k, v)| v.map(|v| format!("{k}={v}"))));
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .filter(|(k, _)| !NOT_SETTINGS.contains(&k.as_str()))
        .collect();
    if let Some(word) = a.words.iter().find(|w| holds_no_weights(w).is_some()) {
        return Err(Failure::Usage(format!("{word}: a network's name; right would be: --net {word}")));
    }
    if let Some(file) = &file
        && resume.is_none()
        && gabor::read_limited(file, 1 << 20).is_ok_and(|b| describes_layers(&String::from_utf8_lossy(&b)))
    {
        let file = file.display();
        return Err(Failure::Usage(format!("{file}: the file describes a network; right would be: --net {file}")));
    }
    let of_words = |e: &gabor::train::Error| e.place().starts_with("argument");
    let config = Config::load(file.as_deref(), environment, &words);
    let config = config.map_err(|e| if of_words(&e) { Failure::Usage(e.to_string()) } else { e.into() })?;
    config.validate()?;
    Ok(config)
}

/// Whether the user says what network to train.
fn named_network(a: &Settings) -> Result<bool> {
    let says =
        |text: &str| text.trim_start().strip_prefix("net").is_some_and(|rest| rest.trim_start().starts_with('='));
    if a.net.is_some() || a.words.iter().any(|w| says(w)) || std::env::var_os("GABOR_NET").is_some() {
        return Ok(true);
    }
    let Some(file) = a.words.iter().find(|w| !w.contains('=') && w.ends_with(".toml")) else { return Ok(false) };
    let bytes = gabor::read_limited(Path::new(file), 1 << 20)?;
    Ok(String::from_utf8_lossy(&bytes).lines().any(says))
}

/// The first signal asks the loop to stop, with these words; the second ends the process at once.
pub fn stop_on_signals(words: &'static str) -> Result<()> {
    let handler = move || {
        if STOP.swap(true, Ordering::SeqCst) {
            // 128 + SIGINT, as shells report it.
            std::process::exit(130);
        }
        output::note(words);
    };
    ctrlc::set_handler(handler).map_err(|e| Failure::Failed(format!("signals: cannot be handled: {e}")))
}

/// Prints events: JSON lines, or a line now and then with a bar between.
struct Printer {
    json: bool,
    progress: Option<Progress>,
    epochs: u64,
    /// Whether nobody reads any more; training goes on.
    broken: bool,
    /// The row of the last epoch, where it is not shown because there are many.
    passed_over: String,
}

impl Printer {
    fn print(&mut self, text: &str) {
        self.clear();
        self.broken = self.broken || output::text(text).is_err();
    }
    fn clear(&mut self) {
        if let Some(p) = &mut self.progress {
            p.clear();
        }
    }
    fn event(&mut self, event: &Event) {
        if let Event::Warning { text } = event {
            self.clear();
            output::warning(text);
        }
        if self.json {
            let line = serde_json::to_string(event).unwrap_or_default();
            self.print(&(line + "\n"));
            return;
        }
        match event {
            Event::RunStarted {
                net,
                parameters,
                input,
                classes,
                train,
                validation,
                test,
                epochs,
                steps_per_epoch,
                batch,
                resumed_from,
                config,
                run,
            } => {
                // One step takes all there are, as every one of L-BFGS does.
                let samples = if *steps_per_epoch == 1 { *train } else { *batch };
                let input: Vec<String> = input.iter().map(usize::to_string).collect();
                let data = config.get("data").map_or("", String::as_str);
                let mut text = format!(
                    "{} on {data}: {} training, {} validation and {} test images, {} classes\n\
                     input {}, {} parameters, {} of {} of {samples}\nrun directory {run}\n",
                    output::bold(net),
                    count(*train),
                    count(*validation),
                    count(*test),
                    classes.len(),
                    input.join("×"),
                    count(*parameters),
                    counted(*epochs, "epoch"),
                    counted(*steps_per_epoch, "step"),
                );
                if *resumed_from > 0 {
                    text += &format!("going on after step {}\n", count(*resumed_from));
                }
                self.epochs = *epochs;
                self.progress = Some(Progress::new(*resumed_from, epochs * steps_per_epoch).with_lines());
                self.print(&text);
            }
            Event::Forecast { memory, free, step_seconds, seconds } => {
                let left = free.map_or(String::new(), |f| format!(" ({} left)", bytes(f)));
                let time = match (step_seconds, seconds) {
                    (Some(step), Some(all)) => format!(
                        "; time about {}, {} a step: a forecast that may be off by a factor of two",
                        duration(*all),
                        moment(*step)
                    ),
                    _ => String::new(),
                };
                let table = "epoch   training loss  accuracy   validation loss  accuracy        lr     time";
                self.print(&format!("memory about {}{left}{time}\n\n{table}\n", bytes(*memory)));
            }
            Event::Step { epoch, step, loss, top1, lr, images_per_second, .. } => {
                let text = format!(
                    "epoch {}/{}  loss {loss:.3}  accuracy {:.1} %  lr {lr:.1e}",
                    epoch + 1,
                    self.epochs,
                    top1 * 100.0
                );
                if let Some(p) = &mut self.progress {
                    p.draw(*step, *images_per_second, &text);
                }
            }
            Event::Epoch { epoch, train_loss, train_top1, validation_loss, validation_top1, lr, seconds, .. } => {
                let number = epoch + 1;
                // About twenty lines, the last among them.
                let every = self.epochs.div_ceil(20).max(1);
                let shown = |v: &Option<f64>, f: fn(f64) -> String| v.map_or("–".into(), f);
                let text = format!(
                    "{number:5} {train_loss:15.4}  {:>8} {:>17}  {:>8}  {lr:8.2e}  {:>7}\n",
                    percent(*train_top1),
                    shown(validation_loss, |v| format!("{v:.4}")),
                    shown(validation_top1, percent),
                    duration(*seconds)
                );
                if number % every != 0 && number != self.epochs {
                    self.passed_over = text;
                    return;
                }
                self.passed_over.clear();
                self.print(&text);
            }
            Event::Note { text } => {
                self.clear();
                output::note(text);
            }
            Event::Stopped { reason, step, .. } => {
                // With the last epoch that was gone through, whatever its number.
                let row = std::mem::take(&mut self.passed_over);
                self.print(&format!("{row}stopped at step {} ({})\n", count(*step), reason.replace('_', " ")));
            }
            Event::Evaluated { evaluation } => {
                self.print(&format!("\n{}", eval::describe(evaluation)));
                // A guess at random has the accuracy of one class among all; twice that is next to nothing learned.
                let guess = 1.0 / evaluation.confusion.len().max(1) as f64;
                if evaluation.confusion.len() > 4 && evaluation.top1 < 2.0 * guess {
                    output::note(&format!(
                        "little better than guessing ({}): more epochs, or a lower lr if the loss went up",
                        percent(guess)
                    ));
                }
            }
            Event::Warning { .. } | Event::Gradients { .. } | Event::Checkpoint { .. } | Event::Finished { .. } => {}
        }
    }
}

/// Where everything is, and what to type next.
fn farewell(setup: &Setup, finished: &Finished, directory: &Path) -> String {
    let run = directory.display();
    let (outcome, seconds) = (&finished.outcome, duration(finished.outcome.state.seconds));
    if outcome.stopped == Some(Stop::Interrupted) {
        return format!(
            "\nsaved after step {} in {seconds}; to go on:\n  {} train --resume {run}\n",
            count(outcome.state.step),
            own_name()
        );
    }
    // Said where it is worth a word: a network that waits could have learned meanwhile.
    let share = outcome.waiting / outcome.seconds.max(1e-9);
    let waited = match share {
        s if s < 0.01 => String::new(),
        s if s < 0.2 => format!(", {} of it waiting for pictures", percent(s)),
        s => format!(", {} of it waiting for pictures: `workers=` loads with more threads", percent(s)),
    };
    let mut out = format!("\n{} steps in {seconds}{waited}\n\n", count(outcome.state.step));
    let mut line = |what: &str, path: &Option<PathBuf>| {
        if let Some(path) = path {
            out += &format!("{what:8}{}\n", path.display());
        }
    };
    line("model", &finished.model_file);
    line("report", &finished.report_file);
    let data = if setup.config.data == "digits" { String::new() } else { format!(" --data {}", setup.config.data) };
    let settings = match outcome.stopped {
        Some(Stop::MaxSteps) => "max_steps=none".to_string(),
        Some(Stop::MaxTime) => "max_time=none".to_string(),
        _ => format!("epochs={}", 2 * setup.config.epochs.0.unwrap_or(1)),
    };
    let (gabor, methods) = (own_name(), gabor::explain_methods(&finished.model));
    out + &format!(
        "\nnext:\n  {gabor} predict {run}/model.onnx {run}/sample.png\n  {gabor} eval {run}/model.onnx{data}\n  \
         {gabor} filters {run}\n  {gabor} explain {run} {run}/sample.png --method {methods}\n  \
         {gabor} train --resume {run} {settings}\n"
    )
}

/// How this program was called, so that the next commands can be copied.
fn own_name() -> String {
    std::env::args().next().filter(|name| !name.is_empty()).unwrap_or("gabor".into())
}
