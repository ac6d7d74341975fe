//! Batches: order of an epoch, workers, buffers that are used again.

mod epoch;

pub use epoch::Epoch;

use crate::augment::{Augmentation, Buffers, Key};
use crate::{Dataset, Error, Image, Preprocessing, Scratch};
use gabor_tensor::rng::op;
use gabor_tensor::{Data, Rule, Stream, Tensor};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// Images and labels of some samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[b, c, h, w]`, f32.
    pub images: Tensor,
    /// `[b]`, i32.
    pub labels: Tensor,
    /// The samples, as indices into the data set.
    pub indices: Vec<u32>,
}

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

struct Shared {
    dataset: Arc<dyn Dataset>,
    preprocessing: Preprocessing,
    options: LoaderOptions,
    /// Whether the data set's own bytes serve as they are.
    direct: bool,
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
    /// The sample in hand, for the error message of a panic.
    sample: usize,
}

impl Loader {
    /// A loader. Errors: no samples, a batch size of zero or beyond the memory's addresses, `drop_last` that leaves no
    /// batch, an invalid preprocessing or augmentation, `random_crop` without a crop.
    pub fn new(dataset: Arc<dyn Dataset>, preprocessing: Preprocessing, options: LoaderOptions) -> Result<Self, Error> {
        preprocessing.validate()?;
        options.augmentation.validate()?;
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
        let cropped = !options.augmentation.random_crop;
        if !cropped && preprocessing.crop.is_none() {
            return fail(
                Rule::new("random_crop without a crop in the preprocessing").right("a preprocessing with a crop"),
            );
        }
        let direct = dataset.shape().is_some_and(|s| preprocessing.is_identity(s, cropped));
        let cache = if direct { Vec::new() } else { (0..n).map(|_| OnceLock::new()).collect() };
        let cache_left = AtomicU64::new(options.cache_bytes);
        let shared = Shared { dataset, preprocessing, options, direct, cache, cache_left, pool: Mutex::default() };
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
        let mut order: Vec<u32> = (0..self.shared.dataset.len() as u32).collect();
        if self.shared.options.shuffle {
            Stream::new(self.shared.options.seed, epoch, 0, op::SHUFFLE).shuffle(&mut order);
        }
        order
    }
    /// The batches of an epoch from batch `start` on (empty if `start` is beyond the last). With workers, their threads
    /// start here and end with the iterator. After an error there are no more batches.
    pub fn epoch(&self, epoch: u32, start: usize) -> Epoch {
        Epoch::new(self.shared.clone(), self.order(epoch), epoch, start, self.batches())
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
            && pool.len() < 2 * self.options.workers + 2
        {
            pool.push((images, labels, batch.indices));
        }
    }
    /// Prepares the batch of `samples`.
    fn batch(&self, samples: &[u32], epoch: u32, worker: &mut Worker) -> Result<Batch, Error> {
        let [c, h, w] = self.preprocessing.input();
        let size = c * h * w;
        let buffer = self.pool.lock().ok().and_then(|mut p| p.pop());
        let (mut images, mut labels, mut indices) = buffer.unwrap_or_default();
        images.resize(samples.len() * size, 0.0);
        labels.clear();
        indices.clear();
        indices.extend_from_slice(samples);
        for (&sample, out) in samples.iter().zip(images.chunks_exact_mut(size)) {
            worker.sample = sample as usize;
            labels.push(self.dataset.labels()[sample as usize] as i32);
            self.sample(sample as usize, epoch, out, worker)?;
        }
        let broken = |r: Rule| Error::new("loader", r);
        Ok(Batch {
            images: Tensor::f32(&[samples.len(), c, h, w], images).map_err(broken)?,
            labels: Tensor::i32(&[samples.len()], labels).map_err(broken)?,
            indices,
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
        let image = self.dataset.image(i)?;
        let place = |e: Error| Error::new(format!("{}: {}", self.dataset.id(i), e.place()), e.rule().clone());
        let cropped = !self.options.augmentation.random_crop;
        let picture = self.preprocessing.resized(&image, cropped, &mut worker.scratch).map_err(place)?;
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
        o.augmentation.apply_into(image, [h, w], Key { seed: o.seed, epoch, sample: i as u32 }, &mut worker.buffers);
        self.preprocessing.normalise(&worker.buffers.out, out, &mut worker.table)
    }
}
