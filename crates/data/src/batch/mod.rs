//! Batches: order of an epoch, workers, buffers that are used again.

mod epoch;
mod mix;
mod order;

pub use epoch::Epoch;
pub use mix::{Mix, Mixing};

use crate::augment::{Augmentation, Buffers, Key, Needs};
use crate::{Color, Dataset, Error, Image, Preprocessing, Scratch};
use gabor_tensor::{Data, Rule, Tensor};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Images and labels of some samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[b, c, h, w]`, f32.
    pub images: Tensor,
    /// `[b]`, i32.
    pub labels: Tensor,
    /// The samples, as indices into the data set.
    pub indices: Vec<u32>,
    /// How the images were mixed with each other, where [`LoaderOptions::mixing`] is on; `labels` are the samples' own.
    pub mix: Option<Mix>,
    /// Samples that belong here and could not be read, with the reasons, in order; always none under [`OnBad::Fail`].
    pub bad: Vec<(u32, Error)>,
}

/// What a [`Loader`] does about a sample that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBad {
    /// The error ends the epoch.
    #[default]
    Fail,
    /// The batch goes without it and says so in [`Batch::bad`]; it may even be empty. An error all the same where none of
    /// the four or more samples of a full batch can be read, or more than half of the data set.
    Skip,
}

/// Samples of a full batch from which on none of them being readable is an error under [`OnBad::Skip`].
const HOPELESS: usize = 4;

/// How a [`Loader`] goes through a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct LoaderOptions {
    /// Samples a batch (default 64).
    pub batch_size: usize,
    /// Seed of order and augmentation (default 0).
    pub seed: u64,
    /// Threads that prepare batches ahead; 0 (the default) prepares in the calling thread. No influence on results.
    pub workers: usize,
    /// Leaves out a last batch that is not full (default no).
    pub drop_last: bool,
    /// A new random order in every epoch (default yes), else the order of the data set.
    pub shuffle: bool,
    /// Variation of the images (default none).
    pub augmentation: Augmentation,
    /// Where samples lie in blocks ([`Dataset::blocks`]): bytes of the blocks that a random order mixes at a time (default
    /// 256 MiB). A data set that is smaller is mixed as a whole.
    pub mix_bytes: u64,
    /// What to do about samples that cannot be read (default: fail).
    pub bad: OnBad,
    /// Mixing of the samples of a batch with each other, after normalisation (default none).
    pub mixing: Mixing,
    /// Bytes of decoded and resized images that are kept for later epochs (default 1 GiB). Images that a data set in
    /// memory already holds at the model's size are not kept twice.
    pub cache_bytes: u64,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        LoaderOptions {
            batch_size: 64,
            seed: 0,
            workers: 0,
            drop_last: false,
            shuffle: true,
            augmentation: Augmentation::default(),
            mixing: Mixing::default(),
            mix_bytes: 256 << 20,
            bad: OnBad::Fail,
            cache_bytes: 1 << 30,
        }
    }
}

/// Goes through a data set in batches. Cheap to clone; clones share cache and buffers.
///
/// The batches of an epoch are a function of (data set, preprocessing, options, epoch): any number of workers gives the
/// same bits, and an epoch may be entered at any batch.
#[derive(Clone)]
pub struct Loader {
    shared: Arc<Shared>,
}

/// A decoded and resized image.
struct Picture {
    height: usize,
    width: usize,
    pixels: Box<[u8]>,
}

type Buffer = (Vec<f32>, Vec<i32>, Vec<u32>);

/// Buffers that are kept beside those that are under way: as many as a consumer may hold and give back at once.
const SPARE: usize = 32;

struct Shared {
    dataset: Arc<dyn Dataset>,
    preprocessing: Preprocessing,
    options: LoaderOptions,
    /// Whether the data set's own bytes serve as they are.
    direct: bool,
    order: order::Order,
    /// The samples that could not be read so far.
    bad: Mutex<BTreeMap<u32, Error>>,
    cache: Vec<OnceLock<Picture>>,
    cache_left: AtomicU64,
    pool: Mutex<Vec<Buffer>>,
}

/// What a thread reuses from batch to batch.
#[derive(Default)]
struct Worker {
    scratch: Scratch,
    buffers: Buffers,
    table: Vec<f32>,
    mixing: mix::Buffers,
}

impl Loader {
    /// A loader. Errors: no samples, a batch size of zero or beyond the memory's addresses, `drop_last` that leaves no
    /// batch, an invalid preprocessing or augmentation, a pipeline that cannot cut the model's window.
    pub fn new(dataset: Arc<dyn Dataset>, preprocessing: Preprocessing, options: LoaderOptions) -> Result<Self, Error> {
        preprocessing.validate()?;
        options.augmentation.validate()?;
        options.mixing.validate()?;
        let fail = |rule: Rule| Err(Error::new("loader", rule));
        let (n, b) = (dataset.len(), options.batch_size);
        if n == 0 || n > u32::MAX as usize {
            return fail(Rule::new(format!("a data set of {n} samples")).right(format!("1 to {}", u32::MAX)));
        }
        let size = preprocessing.input().iter().product::<usize>();
        if b == 0 || b.checked_mul(size * 4).is_none_or(|v| v > isize::MAX as usize) {
            return fail(
                Rule::new(format!("a batch size of {b}")).right("at least 1, and a batch that fits into memory"),
            );
        }
        if options.drop_last && n < b {
            return fail(
                Rule::new(format!("{n} samples make no full batch of {b}"))
                    .right("a smaller batch size, or no drop_last"),
            );
        }
        let [c, h, w] = preprocessing.input();
        options.augmentation.check([h, w], c, preprocessing.crop.is_some())?;
        let direct = dataset.shape().is_some_and(|[c, h, w]| match options.augmentation.needs() {
            // A set of known extents holds grey or RGB images.
            Needs::Stored => c == preprocessing.color.channels() && preprocessing.color != Color::Bgr,
            needs => preprocessing.is_identity([c, h, w], needs == Needs::Window),
        });
        let cache = if direct { Vec::new() } else { (0..n).map(|_| OnceLock::new()).collect() };
        let cache_left = AtomicU64::new(options.cache_bytes);
        let blocks = if options.shuffle { dataset.blocks() } else { None };
        let order = order::Order::new(n, blocks, options.mix_bytes)?;
        let shared = Shared {
            dataset,
            preprocessing,
            options,
            direct,
            order,
            bad: Mutex::default(),
            cache,
            cache_left,
            pool: Mutex::default(),
        };
        Ok(Loader { shared: Arc::new(shared) })
    }
    /// A loader for evaluation: in the order of the data set, no augmentation, the last batch kept.
    pub fn evaluation(
        dataset: Arc<dyn Dataset>,
        preprocessing: Preprocessing,
        batch_size: usize,
        workers: usize,
    ) -> Result<Self, Error> {
        Self::new(dataset, preprocessing, LoaderOptions { batch_size, workers, shuffle: false, ..Default::default() })
    }
    /// The data set.
    pub fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.shared.dataset
    }
    /// The preprocessing.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.shared.preprocessing
    }
    /// The options.
    pub fn options(&self) -> &LoaderOptions {
        &self.shared.options
    }
    /// Batches an epoch.
    pub fn batches(&self) -> usize {
        let (n, o) = (self.shared.dataset.len(), &self.shared.options);
        if o.drop_last { n / o.batch_size } else { n.div_ceil(o.batch_size) }
    }
    /// The samples of an epoch in order, a function of seed and epoch.
    pub fn order(&self, epoch: u32) -> Vec<u32> {
        match self.shared.options.shuffle {
            true => self.shared.order.of(self.shared.options.seed, epoch),
            false => (0..self.shared.dataset.len() as u32).collect(),
        }
    }
    /// The samples that could not be read in the batches taken so far, with the reasons, in the data set's order.
    pub fn bad(&self) -> Vec<(u32, Error)> {
        let bad = self.shared.bad.lock().unwrap_or_else(PoisonError::into_inner);
        bad.iter().map(|(&i, e)| (i, e.clone())).collect()
    }
    /// The batches of an epoch from batch `start` on (empty if `start` is beyond the last). With workers, their threads
    /// start here and end with the iterator. After an error there are no more batches.
    pub fn epoch(&self, epoch: u32, start: usize) -> Epoch {
        Epoch::new(self.shared.clone(), self.order(epoch), epoch, start, self.batches())
    }
    /// Sample `i` as `epoch` sees it: decoded, varied and normalised, c × h × w, before any mixing. Errors: a sample that
    /// cannot be read.
    pub fn sample(&self, i: usize, epoch: u32) -> Result<Vec<f32>, Error> {
        if i >= self.shared.dataset.len() {
            return Err(crate::source::out_of_range(i, self.shared.dataset.len()));
        }
        let mut out = vec![0.0; self.shared.preprocessing.input().iter().product()];
        self.shared.sample(i, epoch, &mut out, &mut Worker::default())?;
        Ok(out)
    }
    /// Gives the memory of a batch back for later batches. Optional.
    pub fn recycle(&self, batch: Batch) {
        self.shared.recycle(batch);
    }
}

impl Shared {
    fn recycle(&self, batch: Batch) {
        if let (Data::F32(images), Data::I32(labels)) = (batch.images.into_data(), batch.labels.into_data())
            && let Ok(mut pool) = self.pool.lock()
            && pool.len() < 2 * self.options.workers + SPARE
        {
            pool.push((images, labels, batch.indices));
        }
    }
    /// Prepares the batch of `samples`, by its number in the epoch.
    fn batch(&self, samples: &[u32], (epoch, number): (u32, usize), worker: &mut Worker) -> Result<Batch, Error> {
        let [c, h, w] = self.preprocessing.input();
        let size = c * h * w;
        let buffer = self.pool.lock().ok().and_then(|mut p| p.pop());
        let (mut images, mut labels, mut indices) = buffer.unwrap_or_default();
        images.resize(samples.len() * size, 0.0);
        labels.clear();
        indices.clear();
        let mut bad = Vec::new();
        for &sample in samples {
            let out = &mut images[indices.len() * size..][..size];
            match self.guarded(sample as usize, epoch, out, worker) {
                Ok(()) => {
                    labels.push(self.dataset.labels()[sample as usize] as i32);
                    indices.push(sample);
                }
                Err(e) if self.options.bad == OnBad::Fail => return Err(e),
                Err(e) => bad.push((sample, e)),
            }
        }
        images.truncate(indices.len() * size);
        let broken = |r: Rule| Error::new("loader", r);
        let o = &self.options;
        let mix = match o.mixing.is_off() || indices.is_empty() {
            true => None,
            false => {
                let key = (o.seed, epoch, number);
                Some(o.mixing.apply(&mut images, [c, h, w], &labels, key, &mut worker.mixing).map_err(broken)?)
            }
        };
        Ok(Batch {
            images: Tensor::f32(&[indices.len(), c, h, w], images).map_err(broken)?,
            labels: Tensor::i32(&[indices.len()], labels).map_err(broken)?,
            indices,
            mix,
            bad,
        })
    }
    /// Takes down what a batch could not read; an error where going on makes no sense.
    fn note_bad(&self, batch: &Batch) -> Result<(), Error> {
        let Some((_, first)) = batch.bad.first() else { return Ok(()) };
        let error = |what: String| {
            let rule = Rule::new(what).given(format!("{}: {}", first.place(), first.rule()));
            Err(Error::new("loader", rule.right("data that can be read; `gabor data check` lists what cannot")))
        };
        let count = batch.bad.len();
        if batch.indices.is_empty() && count >= HOPELESS && count == self.options.batch_size {
            return error(format!("none of the {count} samples of a batch can be read; the first"));
        }
        let mut bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner);
        bad.extend(batch.bad.iter().cloned());
        let (bad, all) = (bad.len(), self.dataset.len());
        if 2 * bad > all {
            return error(format!("{bad} of {all} samples cannot be read, more than half; one"));
        }
        Ok(())
    }
    /// [`Shared::sample`]; a panic becomes an error that names the sample.
    fn guarded(&self, i: usize, epoch: u32, out: &mut [f32], worker: &mut Worker) -> Result<(), Error> {
        let result = catch_unwind(AssertUnwindSafe(|| self.sample(i, epoch, out, worker)));
        result.unwrap_or_else(|_| {
            *worker = Worker::default();
            Err(Error::new(
                self.dataset.id(i),
                Rule::new("the data set panicked while it read this sample").right("a sample or an error"),
            ))
        })
    }
    /// Decodes (or takes from the cache), varies and normalises one sample.
    fn sample(&self, i: usize, epoch: u32, out: &mut [f32], worker: &mut Worker) -> Result<(), Error> {
        if self.direct {
            return self.finish(&self.dataset.image(i)?, i, epoch, out, worker);
        }
        let color = self.preprocessing.color;
        if let Some(p) = self.cache[i].get() {
            return self.finish(&Image::trusted(p.height, p.width, color, &*p.pixels), i, epoch, out, worker);
        }
        let needs = self.options.augmentation.needs();
        let image = match needs {
            Needs::Stored => self.dataset.image(i)?,
            _ => self.dataset.image_at_least(i, &|whole| self.preprocessing.enough(whole))?,
        };
        let place = |e: Error| Error::new(format!("{}: {}", self.dataset.id(i), e.place()), e.rule().clone());
        let picture = match needs {
            Needs::Stored => self.preprocessing.recolored(image, &mut worker.scratch),
            needs => self.preprocessing.resized(&image, needs == Needs::Window, &mut worker.scratch).map_err(place)?,
        };
        let bytes = picture.data().len() as u64;
        let reserve = |left: u64| left.checked_sub(bytes);
        if self.cache_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).is_ok() {
            let (height, width, pixels) = (picture.height(), picture.width(), picture.data().into());
            // Two iterators over one loader may both get here; the second picture is the same and is dropped.
            let _ = self.cache[i].set(Picture { height, width, pixels });
        }
        let result = self.finish(&picture, i, epoch, out, worker);
        worker.scratch.give_back(picture);
        result
    }
    /// From the resized picture to floats.
    fn finish(
        &self,
        image: &Image<'_>,
        i: usize,
        epoch: u32,
        out: &mut [f32],
        worker: &mut Worker,
    ) -> Result<(), Error> {
        let o = &self.options;
        if o.augmentation.is_off() {
            return self.preprocessing.normalise(image.data(), out, &mut worker.table);
        }
        let [_, h, w] = self.preprocessing.input();
        let key = Key { seed: o.seed, epoch, sample: i as u32 };
        o.augmentation.apply_into(image, [h, w], self.preprocessing.filter, key, &mut worker.buffers, None);
        self.preprocessing.normalise(&worker.buffers.out, out, &mut worker.table)
    }
}
