//! From a configuration to data, network and preprocessing: everything `auto` is decided here.

use crate::config::{Amount, Auto, Config, InputSize, normalization, resolve_augmentation};
use crate::inspect::{Progress, divide};
use crate::schedule::{Kind, Schedule};
use crate::{Error, Result};
use gabor_data::{
    Augmentation, Changes, Dataset, Limits, Loader, LoaderOptions, Mixing, Newcomers, OnBad, OpenOptions,
    Preprocessing, Splits, WrittenSplit, common_shape,
};
use gabor_nets::{Network, Scheme, network, zoo};
use gabor_tensor::Rule;
use std::path::Path;
use std::sync::Arc;

/// What a training works on.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The configuration with everything that influences the numbers decided.
    pub config: Config,
    /// The network, for the data's classes.
    pub network: Network,
    /// The data, with a validation part where one is held out.
    pub splits: Splits,
    /// From image to input.
    pub preprocessing: Preprocessing,
    /// Variation of training images.
    pub augmentation: Augmentation,
}

/// The data that a configuration names: `digits` or a directory.
///
/// # Errors
/// A directory that holds no data set.
pub fn open_data(name: &str) -> Result<Splits> {
    if name == "digits" { Ok(gabor_data::digits()) } else { Ok(gabor_data::open(name, &OpenOptions::default())?) }
}

/// The same for a run that wrote down how they are divided: no part is drawn, which takes a look at every picture.
///
/// # Errors
/// A directory that holds no data set.
pub fn open_undivided(name: &str) -> Result<Splits> {
    let options = OpenOptions { test_fraction: 0.0, ..OpenOptions::default() };
    if name == "digits" { Ok(gabor_data::digits()) } else { Ok(gabor_data::open(name, &options)?) }
}

/// The same, divided as the file or the run at `split` says, with what changed since it was written.
///
/// # Errors
/// No split there; a directory that holds no data set, or none of the samples of a part.
pub fn open_divided(name: &str, split: &Path, newcomers: Newcomers) -> Result<(Splits, Changes)> {
    // Read first: data may take a while to open.
    let written = WrittenSplit::read(split, &Limits::default())?;
    Ok(written.apply(&open_undivided(name)?, name, newcomers)?)
}

impl Setup {
    /// Opens the data, holds out a validation part, builds the network and decides what is `auto`.
    ///
    /// # Errors
    /// Settings, data or network that do not fit.
    pub fn new(config: &Config) -> Result<Self> {
        Self::prepare(config, None, &mut |_, _| {})
    }
    /// The same for a run that goes on in a directory: with the split that it wrote down. `progress` hears of (samples
    /// looked at, samples in all).
    ///
    /// # Errors
    /// Settings, data or network that do not fit; samples that cannot be used; data that have lost samples of the run.
    pub fn prepare(config: &Config, resumed: Option<&Path>, progress: Progress<'_>) -> Result<Self> {
        config.validate()?;
        // Before the data are read, which may take a while.
        let (config, file) = with_description(config)?;
        let divided = resumed.is_some_and(|run| run.join(WrittenSplit::FILE).is_file()) || config.split.is_some();
        let open = if divided { open_undivided } else { open_data };
        let splits = divide(&config, open(&config.data)?, resumed, progress)?;
        Self::on(&config, splits, file.as_deref())
    }
    /// The same on data that is open already.
    ///
    /// # Errors
    /// Settings, data or network that do not fit.
    pub fn with_data(config: &Config, splits: Splits) -> Result<Self> {
        config.validate()?;
        let (config, file) = with_description(config)?;
        let splits = divide(&config, splits, None, &mut |_, _| {})?;
        Self::on(&config, splits, file.as_deref())
    }
    /// With the network's description in the configuration; `file` is where it came from.
    fn on(config: &Config, splits: Splits, file: Option<&str>) -> Result<Self> {
        let network = make_network(config, &splits).map_err(|e| match file {
            Some(file) => Error::new(e.place().replacen("key `net`: description", file, 1), e.rule().clone()),
            None => e,
        })?;
        Self::with_network(config, splits, network)
    }
    /// The same with a network of your own.
    ///
    /// # Errors
    /// Settings, data or network that do not fit.
    pub fn with_network(config: &Config, splits: Splits, network: Network) -> Result<Self> {
        config.validate()?;
        let mut config = config.clone();
        let train = splits.train()?.clone();
        let classes = splits.classes().len();
        if network.classes() != classes {
            let rule = Rule::new(format!("a network of {} classes for data of {classes}", network.classes()));
            return Err(Error::new("key `net`", rule.right(format!("{classes} logits"))));
        }
        let [c, h, w] = pictures_to_classes(&network)?;
        let mut preprocessing = Preprocessing::for_dataset_with(&*train, [c, h, w], on_bad(&config))?;
        let how = config.normalize.0.get_or_insert_with(|| "data".into());
        if let Some((mean, std)) = normalization(how).flatten() {
            if mean.len() != c {
                let rule = Rule::new(format!("{} means for {c} channels", mean.len()));
                return Err(Error::new("key `normalize`", rule.right("one per channel, or `data`")));
            }
            (preprocessing.mean, preprocessing.std) = (mean, std);
        }
        let augmentation = resolve_augmentation(&mut config, &*train, &preprocessing)?;
        config.input = Auto(Some(InputSize([c, h, w])));
        let epochs = config.epochs.0.unwrap_or_else(|| default_epochs(train.len()));
        config.epochs = Auto(Some(epochs));
        let tunes = config.weights.is_some() && !config.is_lbfgs();
        config.unfreeze = Auto(Some(config.unfreeze.0.unwrap_or(if tunes { warm_up(epochs) } else { 0 })));
        config.discriminative.0.get_or_insert(if tunes { Amount::On } else { Amount::Off });
        let judged = splits.validation.is_some();
        config.patience.0.get_or_insert((tunes && judged).then(|| patience(epochs)));
        if config.is_lbfgs() {
            config.schedule = Schedule::new(Kind::Constant);
        }
        config.lr = Auto(Some(config.base_lr()?));
        config.weight_decay = Auto(Some(config.step_options()?.weight_decay));
        let mut batch = config.batch.0.unwrap_or_else(|| default_batch(train.len()));
        let mut splits = splits;
        // A plan for more pictures than there are would take memory for nothing.
        let most = train.len().next_multiple_of(config.grad_accum);
        if batch > most {
            let text =
                format!("batch={batch} is more than the {} training images: a step takes all of them", train.len());
            splits.notes.push(text);
            batch = most;
        }
        config.batch = Auto(Some(batch));
        if !batch.is_multiple_of(config.grad_accum) {
            let rule = Rule::new(format!("a batch of {batch} in {} parts", config.grad_accum));
            return Err(Error::new("key `grad_accum`", rule.right("a divisor of the batch")));
        }
        if tunes && config.freeze_norm == "auto" && batch / config.grad_accum < FEW {
            config.freeze_norm = "true".into();
        }
        let mut setup = Setup { config, network, splits, preprocessing, augmentation };
        if setup.drops_last_sample()? {
            let text =
                "batch normalisation needs two samples: the last one of an epoch would stand alone and is left out";
            setup.splits.notes.push(text.into());
        }
        Ok(setup)
    }
    /// Leaves out what `auto` does for a head that is made anew: it is the weights' own here, so there is no phase of the head
    /// alone.
    pub fn keep_head(&mut self, asked: &Config) {
        if asked.unfreeze.0.is_none() {
            self.config.unfreeze = Auto(Some(0));
        }
    }
    /// Samples of one run of the graph: a batch, or a part of it.
    pub fn part(&self) -> usize {
        self.config.batch_size() / self.config.grad_accum
    }
    /// Training samples in random order with variation.
    ///
    /// # Errors
    /// Data without a training part.
    pub fn training_loader(&self) -> Result<Loader> {
        let options = LoaderOptions {
            batch_size: self.part(),
            seed: self.config.seed,
            workers: self.workers(),
            augmentation: self.augmentation.clone(),
            mixing: Mixing { mixup: self.config.mixup, cutmix: self.config.cutmix },
            drop_last: self.drops_last_sample()?,
            bad: on_bad(&self.config),
            ..Default::default()
        };
        Ok(Loader::new(self.splits.train()?.clone(), self.preprocessing.clone(), options)?)
    }
    /// Training samples of an epoch: all, or all but a last one alone.
    ///
    /// # Errors
    /// Data without a training part.
    pub fn epoch_samples(&self) -> Result<usize> {
        let len = self.splits.train()?.len();
        Ok(if self.drops_last_sample()? { len - 1 } else { len })
    }
    /// A last batch of one sample has no variance, which batch normalisation divides by; that sample is left out, in
    /// every epoch another one.
    fn drops_last_sample(&self) -> Result<bool> {
        let len = self.splits.train()?.len();
        let alone = len > self.part() && self.part() > 1 && len % self.part() == 1;
        let graph = self.network.graph(gabor_nets::Mode::Train)?;
        Ok(alone && graph.nodes().iter().any(|n| n.operation.name() == "batch_norm"))
    }
    /// Samples of another part of the data in their order, as they are.
    ///
    /// # Errors
    /// An empty part.
    pub fn evaluation_loader(&self, dataset: Arc<dyn Dataset>) -> Result<Loader> {
        let options = LoaderOptions {
            batch_size: self.part(),
            workers: self.workers(),
            shuffle: false,
            bad: on_bad(&self.config),
            ..Default::default()
        };
        Ok(Loader::new(dataset, self.preprocessing.clone(), options)?)
    }
    fn workers(&self) -> usize {
        self.config.workers.0.unwrap_or(1)
    }
}

/// What the key `bad` says.
fn on_bad(config: &Config) -> OnBad {
    if config.bad == "skip" { OnBad::Skip } else { OnBad::Fail }
}

/// The extents `[c, h, w]` of a network that takes pictures and gives a score for each class.
fn pictures_to_classes(network: &Network) -> Result<[usize; 3]> {
    let fail = |what: String| {
        let rule = Rule::new(format!("{what}, and training works on pictures with one class each"));
        Error::new("key `net`", rule.right("a network from [n, c, h, w] to [n, classes]"))
    };
    let (name, input) = (network.name(), network.input());
    if let Some(words) = network.vocabulary() {
        return Err(fail(format!("`{name}` reads texts of {} words out of {words}", input[0])));
    }
    let &[c, h, w] = input else { return Err(fail(format!("`{name}` has an input of extents {input:?}"))) };
    let place = |e: gabor_graph::Error| Error::new(format!("key `net`: {}", e.place()), e.rule().clone());
    let graph = network.graph(gabor_nets::Mode::Infer).map_err(place)?;
    match graph.output_value("logits").map(|v| graph.shape(v)) {
        Some(shape) if shape.rank() != 2 => Err(fail(format!("`{name}` gives scores {shape} for every place"))),
        _ => Ok([c, h, w]),
    }
}

/// Few images are gone through often, many less often: 31 · (1000 / images)^0.15, between 3 and 100.
fn default_epochs(images: usize) -> usize {
    let epochs = 31.0 * libm::pow(1000.0 / images.max(1) as f64, 0.15);
    (epochs.round() as usize).clamp(3, 100)
}

/// Fine-tuning in parts of fewer samples keeps the statistics of normalisation that the weights bring: those of so few
/// samples are too uncertain to be better.
const FEW: usize = 32;

/// 64; of few images less, so that an epoch has several steps: the power of two below an eighth, but 16 at least, which
/// batch normalisation needs.
fn default_batch(images: usize) -> usize {
    let eighth = (images / 8).clamp(16, 64);
    1 << eighth.ilog2()
}

/// Epochs in which the head alone is trained: a fifth, so that the gradients that reach the other layers are of a head that
/// has learned something.
fn warm_up(epochs: usize) -> usize {
    (epochs / 5).max(1).min(epochs - 1)
}

/// Epochs without progress after which fine-tuning stops: 30 %, as long as one-cycle needs to its peak, but five at least.
fn patience(epochs: usize) -> usize {
    (3 * epochs).div_ceil(10).max(5)
}

/// The configuration with the text of the `.toml` file that its key `net` names, and that file: so a run keeps the
/// description itself, and goes on when the file is gone.
fn with_description(config: &Config) -> Result<(Config, Option<String>)> {
    // A description is a page of text.
    const LIMIT: u64 = 1 << 16;
    if !config.net.ends_with(".toml") || config.net.contains('\n') {
        return Ok((config.clone(), None));
    }
    let path = Path::new(&config.net);
    let length = std::fs::metadata(path).map_err(|e| Error::io(path, "read", &e))?.len();
    if length > LIMIT {
        let rule = Rule::new(format!("a description of {length} bytes")).right(format!("at most {LIMIT}"));
        return Err(Error::new(config.net.clone(), rule));
    }
    let net = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", &e))?;
    if !gabor_nets::notation::is_toml(&net) {
        let rule = Rule::new("the file describes no network");
        return Err(Error::new(config.net.clone(), rule.right("net = \"…\" in the notation, or [[layer]] tables")));
    }
    // As a run's own configuration gives it back.
    let net = net.trim().to_string();
    Ok((Config { net, ..config.clone() }, Some(config.net.clone())))
}

/// The network that a configuration names, for the classes and colours of the data.
fn make_network(config: &Config, splits: &Splits) -> Result<Network> {
    let place = |e: gabor_graph::Error| Error::new(format!("key `net`: {}", e.place()), e.rule().clone());
    let mut options = zoo::Options { classes: Some(splits.classes().len()), ..Default::default() };
    if config.init != "auto" {
        options.scheme = Some(Scheme::by_name(&config.init).map_err(|r| Error::new("key `init`", r))?);
    }
    if let Some(InputSize([c, h, w])) = config.input.0 {
        (options.channels, options.input) = (Some(c), Some(vec![h, w]));
        return network(&config.net, &options).map_err(place);
    }
    let shape = common_shape(&**splits.train()?);
    let net = match network(&config.net, &options) {
        Ok(net) => net,
        // A description may leave the extents to the data.
        Err(e) => {
            let [c, h, w] = natural(shape);
            let given = zoo::Options { channels: Some(c), input: Some(vec![h, w]), ..options.clone() };
            return network(&config.net, &given)
                .map_err(|second| place(if e.rule().rule.contains("extents are not known") { second } else { e }));
        }
    };
    let colour = net.input().first() == Some(&1) && shape.is_some_and(|s| s[0] == 3);
    // A network for grey pictures sees the colours of coloured ones.
    options.channels = colour.then_some(3);
    if let (&[c, h, w], Some([_, own_h, own_w])) = (net.input(), shape)
        && h * w > MOST_ENLARGED * own_h * own_w
        && own_h.min(own_w) >= SMALL
    {
        // Pictures much smaller than the published input stay as they are, where the network can be built for them.
        let own = zoo::Options {
            channels: Some(options.channels.unwrap_or(c)),
            input: Some(vec![own_h, own_w]),
            ..options.clone()
        };
        if let Ok(net) = network(&config.net, &own)
            && net.graph(gabor_nets::Mode::Infer).is_ok()
        {
            return Ok(net);
        }
    }
    if colour { network(&config.net, &options).map_err(place) } else { Ok(net) }
}

/// Pictures are enlarged to a network's published input up to this many times their area.
const MOST_ENLARGED: usize = 4;
/// Pictures with fewer rows or columns than this are always enlarged.
const SMALL: usize = 16;

/// The extents that a description without its own gets: the data's, 28 × 28 for very small pictures, 224 × 224 for
/// photographs of any size.
fn natural(shape: Option<[usize; 3]>) -> [usize; 3] {
    match shape {
        Some([c, h, w]) if h.min(w) < SMALL => [c, 28, 28],
        Some(shape) => shape,
        None => [3, 224, 224],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_decided_by_data_and_network() {
        let s = Setup::new(&Config::default()).unwrap();
        assert_eq!(s.config.input.0, Some(InputSize([1, 28, 28])));
        assert_eq!((s.config.lr.0, s.config.weight_decay.0), (Some(s.config.base_lr().unwrap()), Some(0.01)));
        let handwriting = gabor_data::Augmentation::handwriting();
        assert_eq!(s.augmentation, handwriting);
        assert_eq!(s.config.augment.0.as_ref().map(|p| p.as_str()), Some(handwriting.to_string().as_str()));
        let count = |d: &Option<Arc<dyn Dataset>>| d.as_ref().map_or(0, |d| d.len());
        assert_eq!(count(&s.splits.train) + count(&s.splits.validation) + count(&s.splits.test), 1797);
        assert!((15..20).contains(&default_epochs(54_000)));
        assert_eq!([1, 70, 300, 511, 512, 60_000].map(default_batch), [16, 16, 32, 32, 64, 64]);
        // A resolved configuration resolves to itself.
        assert_eq!(Setup::new(&s.config).unwrap().config, s.config);
    }

    #[test]
    fn inputs_are_normalised_as_asked() {
        let of = |words: &[&str]| Setup::new(&Config::load(None, [], words).unwrap());
        let own = of(&[]).unwrap();
        assert_eq!(own.config.normalize.0.as_deref(), Some("data"));
        assert_ne!(own.preprocessing.mean, [0.5]);
        let given = of(&["normalize=0.5/0.25"]).unwrap();
        assert_eq!((&given.preprocessing.mean[..], &given.preprocessing.std[..]), (&[0.5][..], &[0.25][..]));
        assert!(
            of(&["normalize=imagenet"]).unwrap_err().to_string().starts_with("key `normalize`: 3 means for 1 channels")
        );
        assert!(Config::load(None, [], &["normalize=0.5/0"]).is_err());
    }

    #[test]
    fn extents_come_from_the_data() {
        let input = |words: &[&str]| {
            let c = Config::load(None, [], words).unwrap();
            Setup::new(&c).unwrap().config.input.0.unwrap().0
        };
        assert_eq!(input(&["net=INPUT -> [CONV3-4 -> RELU -> POOL]*2 -> FC"]), [1, 28, 28]);
        assert_eq!(input(&["net=INPUT 1x16x16 -> CONV3-4 -> RELU -> FC"]), [1, 16, 16]);
        assert_eq!(input(&["net=INPUT -> CONV3-4 -> FC", "input=1x12x12"]), [1, 12, 12]);
        assert_eq!(natural(Some([3, 32, 32])), [3, 32, 32]);
        assert_eq!(natural(None), [3, 224, 224]);
        let options =
            |own| Setup::with_data(&Config::load(None, [], &["net=resnet18", "val=0"]).unwrap(), own).unwrap();
        let pictures = |h: usize, w: usize| {
            let d = gabor_data::MemoryDataset::new(
                "test",
                h,
                w,
                gabor_data::Color::Rgb,
                vec![7; 6 * h * w],
                vec![0, 1],
                vec!["a".into(), "b".into()],
            );
            let d: Arc<dyn Dataset> = Arc::new(d.unwrap());
            Splits { train: Some(d.clone()), test: Some(d), ..gabor_data::digits() }
        };
        assert_eq!(options(pictures(32, 40)).config.input.0.unwrap().0, [3, 32, 40]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let e = |words: &[&str]| {
            let c = Config::load(None, [], words).unwrap();
            Setup::new(&c).map(|_| ()).unwrap_err().to_string()
        };
        assert!(e(&["grad_accum=3"]).contains("a batch of 64 in 3 parts; right would be: a divisor"));
        assert!(e(&["net=lenet55"]).contains("lenet5"));
        assert!(e(&["data=no/such/place"]).starts_with("no/such/place"));
        assert!(e(&["input=1x3x3"]).starts_with("key `net`"));
        let right = "training works on pictures with one class each; right would be: a network from [n, c, h, w] to [n, classes]";
        for (net, what) in [
            ("tiny_unet_padded", "`tiny_unet_padded` gives scores [n, 10, 32, 32] for every place"),
            ("tiny_c3d", "`tiny_c3d` has an input of extents [3, 16, 32, 32]"),
            ("tiny_text_cnn", "`tiny_text_cnn` reads texts of 12 words out of 50"),
        ] {
            assert_eq!(e(&[&format!("net={net}")]), format!("key `net`: {what}, and {right}"));
        }
    }
}
