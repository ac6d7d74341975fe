//! The loader: order, resume, workers, errors, caches.

use gabor_data::{
    Augmentation, Batch, Blocks, Color, Dataset, Error, Image, Loader, LoaderOptions, MemoryDataset, OnBad,
    Preprocessing, Resize, digits,
};
use gabor_tensor::Rule;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn loader(options: LoaderOptions) -> Loader {
    let train = digits().train().unwrap().clone();
    Loader::new(train, Preprocessing::exact([1, 8, 8]).unwrap(), options).unwrap()
}

fn all(loader: &Loader, epoch: u32, start: usize) -> Vec<Batch> {
    loader.epoch(epoch, start).collect::<Result<_, _>>().unwrap()
}

#[test]
fn order_is_a_permutation_keyed_by_seed_and_epoch() {
    let l = loader(LoaderOptions::default());
    let mut order = l.order(3);
    assert_eq!(order, l.order(3));
    assert_ne!(order, l.order(4));
    assert_ne!(order, loader(LoaderOptions { seed: 1, ..Default::default() }).order(3));
    order.sort_unstable();
    assert!(order.iter().copied().eq(0..1437));
}

#[test]
fn batches_cover_the_epoch_and_hold_the_right_samples() {
    let l = loader(LoaderOptions { batch_size: 100, ..Default::default() });
    let batches = all(&l, 0, 0);
    assert_eq!((batches.len(), l.batches(), l.epoch(0, 0).len()), (15, 15, 15));
    assert_eq!(batches[14].images.shape(), [37, 1, 8, 8]);
    assert_eq!(batches.concat_indices(), l.order(0));
    let set = l.dataset();
    for b in &batches {
        for (k, &i) in b.indices.iter().enumerate() {
            assert_eq!(b.labels.as_i32().unwrap()[k], set.labels()[i as usize] as i32);
            let want: Vec<f32> = set.image(i as usize).unwrap().data().iter().map(|&v| f32::from(v) / 255.0).collect();
            assert_eq!(b.images.as_f32().unwrap()[k * 64..][..64], want);
        }
    }
    let full = loader(LoaderOptions { batch_size: 100, drop_last: true, ..Default::default() });
    assert_eq!(all(&full, 0, 0).len(), 14);
    assert_eq!(full.epoch(0, 99).count(), 0);
}

trait Indices {
    fn concat_indices(&self) -> Vec<u32>;
}
impl Indices for Vec<Batch> {
    fn concat_indices(&self) -> Vec<u32> {
        self.iter().flat_map(|b| b.indices.clone()).collect()
    }
}

#[test]
fn any_number_of_workers_and_any_entry_gives_the_same_bits() {
    let options =
        |workers| LoaderOptions { workers, seed: 9, augmentation: Augmentation::handwriting(), ..Default::default() };
    let want = all(&loader(options(0)), 2, 0);
    for workers in [1, 2, 5, 40] {
        let l = loader(options(workers));
        assert_eq!(all(&l, 2, 0), want, "{workers} workers");
        assert_eq!(all(&l, 2, 17), want[17..], "{workers} workers, from batch 17");
    }
    assert_ne!(all(&loader(options(0)), 3, 0)[0].images, want[0].images);
}

#[test]
fn recycled_buffers_do_not_leak_into_batches() {
    let l = loader(LoaderOptions { workers: 2, ..Default::default() });
    let want = all(&l, 0, 0);
    let mut epoch = l.epoch(0, 0);
    for want in &want {
        let batch = epoch.next().unwrap().unwrap();
        assert_eq!(batch, *want);
        epoch.recycle(batch);
    }
    assert!(epoch.next().is_none());
}

#[test]
fn dropping_an_epoch_in_the_middle_ends_its_threads() {
    let l = loader(LoaderOptions { workers: 4, batch_size: 8, ..Default::default() });
    for _ in 0..20 {
        let mut e = l.epoch(0, 0);
        e.next();
        e.next();
    }
}

/// Counts reads; fails or panics at given samples.
struct Odd {
    labels: Vec<u32>,
    classes: Vec<String>,
    bad: Option<usize>,
    panics: Option<usize>,
    reads: AtomicUsize,
}
impl Odd {
    fn new(bad: Option<usize>, panics: Option<usize>) -> Arc<Odd> {
        let classes = vec!["a".into(), "b".into()];
        Arc::new(Odd { labels: (0..50).map(|i| i % 2).collect(), classes, bad, panics, reads: AtomicUsize::new(0) })
    }
}
impl Dataset for Odd {
    fn labels(&self) -> &[u32] {
        &self.labels
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn id(&self, i: usize) -> String {
        format!("picture{i}.png")
    }
    fn image(&self, i: usize) -> Result<Image<'_>, Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.bad == Some(i) {
            return Err(Error::new(self.id(i), Rule::new("truncated")));
        }
        assert!(self.panics != Some(i), "a bug in a data set");
        Ok(Image::new(10 + i % 3, 12, Color::Rgb, vec![i as u8; (10 + i % 3) * 36]).unwrap())
    }
}

fn small() -> Preprocessing {
    let mut p = Preprocessing::exact([3, 4, 4]).unwrap();
    (p.resize, p.crop) = (Resize::ShortSide { to: 5 }, Some([4, 4]));
    p
}

#[test]
fn errors_and_panics_name_the_sample_and_end_the_epoch() {
    for workers in [0, 1, 3] {
        for (bad, panics) in [(Some(31), None), (None, Some(31))] {
            let options = LoaderOptions { workers, batch_size: 10, shuffle: false, ..Default::default() };
            let l = Loader::new(Odd::new(bad, panics), small(), options).unwrap();
            let got: Vec<_> = l.epoch(0, 0).collect();
            assert_eq!(got.len(), 4, "{workers} workers");
            assert!(got[..3].iter().all(|b| b.is_ok()));
            assert!(got[3].as_ref().unwrap_err().to_string().starts_with("picture31.png: "));
        }
    }
}

#[test]
fn images_are_decoded_once_within_the_budget() {
    for (cache_bytes, reads) in [(1 << 20, 50), (0, 150), (20 * 4 * 4 * 3, 50 + 2 * 30)] {
        for random_crop in [false, true] {
            let augmentation: Augmentation = if random_crop { "random_crop" } else { "none" }.parse().unwrap();
            let set = Odd::new(None, None);
            let options =
                LoaderOptions { cache_bytes, augmentation: augmentation.clone(), shuffle: false, ..Default::default() };
            let l = Loader::new(set.clone(), small(), options.clone()).unwrap();
            let fresh =
                Loader::new(Odd::new(None, None), small(), LoaderOptions { cache_bytes: 0, ..options }).unwrap();
            for epoch in 0..3 {
                assert_eq!(all(&l, epoch, 0), all(&fresh, epoch, 0));
            }
            // With a random crop the whole resized picture is kept, which is larger.
            if !random_crop || cache_bytes != 20 * 48 {
                assert_eq!(set.reads.load(Ordering::Relaxed), reads);
            }
        }
    }
}

#[test]
fn what_cannot_work_is_refused() {
    let set = || digits().train().unwrap().clone();
    let p = || Preprocessing::exact([1, 8, 8]).unwrap();
    let err = |o: LoaderOptions| Loader::new(set(), p(), o).err().unwrap().to_string();
    assert!(err(LoaderOptions { batch_size: 0, ..Default::default() }).contains("a batch size of 0"));
    assert!(err(LoaderOptions { batch_size: usize::MAX, ..Default::default() }).contains("a batch size of"));
    assert!(
        err(LoaderOptions { batch_size: 2000, drop_last: true, ..Default::default() })
            .contains("1437 samples make no full batch")
    );
    let augmentation: Augmentation = "random_crop".parse().unwrap();
    assert!(err(LoaderOptions { augmentation, ..Default::default() }).contains("random_crop without a crop"));
    let empty = MemoryDataset::new("e", 8, 8, Color::Grey, vec![], vec![], vec![]);
    assert!(empty.is_err());
}

#[test]
fn evaluation_is_in_order() {
    let (name, test) = digits().evaluation().map(|(n, d)| (n, d.clone())).unwrap();
    assert_eq!(name, "test");
    let l = Loader::evaluation(test, Preprocessing::exact([3, 16, 16]).unwrap(), 64, 1).unwrap();
    let batches = all(&l, 0, 0);
    assert_eq!(batches.concat_indices(), (0..360).collect::<Vec<_>>());
    assert_eq!(batches[5].images.shape(), [40, 3, 16, 16]);
    assert_eq!(all(&l, 7, 0), batches);
}

#[test]
fn hold_out_takes_from_train_by_class() {
    let s = digits().hold_out(0.1, 4).unwrap();
    let (train, held) = (s.train.clone().unwrap(), s.validation.clone().unwrap());
    assert_eq!((train.len(), held.len()), (1293, 144));
    assert!(held.histogram().iter().all(|&c| (14..=15).contains(&c)));
    let ids: std::collections::BTreeSet<String> = (0..held.len()).map(|i| held.id(i)).collect();
    assert!((0..train.len()).all(|i| !ids.contains(&train.id(i))));
    assert!(s.clone().hold_out(0.1, 4).is_err());
    assert!(digits().hold_out(0.0, 4).is_err());
}

/// A data set in which some samples cannot be read and one panics.
struct Holes {
    labels: Vec<u32>,
    classes: Vec<String>,
    bad: Vec<usize>,
    panics: usize,
    blocks: Option<Blocks>,
}

impl Holes {
    fn new(len: usize, bad: Vec<usize>, panics: usize) -> Holes {
        let labels = (0..len as u32).map(|i| i % 2).collect();
        Holes { labels, classes: vec!["a".into(), "b".into()], bad, panics, blocks: None }
    }
}

impl Dataset for Holes {
    fn labels(&self) -> &[u32] {
        &self.labels
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn id(&self, i: usize) -> String {
        format!("picture{i}.png")
    }
    fn image(&self, i: usize) -> Result<Image<'_>, Error> {
        assert!(i != self.panics, "a bug in a data set");
        if self.bad.contains(&i) {
            return Err(Error::new(self.id(i), Rule::new("truncated")));
        }
        Ok(Image::new(6, 6, Color::Rgb, vec![i as u8; 108]).unwrap())
    }
    fn blocks(&self) -> Option<Blocks> {
        self.blocks.clone()
    }
}

#[test]
fn bad_samples_are_left_out_alike_for_any_number_of_workers() {
    let load = |set: Holes, options: LoaderOptions| Loader::new(Arc::new(set), small(), options).unwrap();
    let options = |workers| LoaderOptions { batch_size: 8, workers, bad: OnBad::Skip, ..Default::default() };
    let whole = all(&load(Holes::new(60, vec![], 99), options(0)), 1, 0);
    let want = all(&load(Holes::new(60, vec![3, 17, 40], 25), options(0)), 1, 0);
    assert_eq!(want.len(), whole.len());
    for (b, w) in want.iter().zip(&whole) {
        // The same batches, without the bad ones.
        let left: Vec<u32> = w.indices.iter().copied().filter(|i| ![3, 17, 25, 40].contains(i)).collect();
        assert_eq!(b.indices, left);
        assert_eq!(
            (b.images.shape()[0], b.labels.shape()[0], b.bad.len()),
            (left.len(), left.len(), w.indices.len() - left.len())
        );
        for (k, i) in left.iter().enumerate() {
            assert_eq!(b.images.as_f32().unwrap()[k * 48], *i as f32 / 255.0);
            assert_eq!(b.labels.as_i32().unwrap()[k], (i % 2) as i32);
        }
    }
    for workers in [1, 2, 4] {
        let l = load(Holes::new(60, vec![3, 17, 40], 25), options(workers));
        assert_eq!(all(&l, 1, 0), want, "{workers} workers");
        assert_eq!(all(&l, 1, 3), want[3..], "{workers} workers, from batch 3");
        let found: Vec<(u32, String)> = l.bad().into_iter().map(|(i, e)| (i, e.to_string())).collect();
        assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), [3, 17, 25, 40]);
        assert_eq!(found[0].1, "picture3.png: truncated");
        assert!(found[2].1.starts_with("picture25.png: the data set panicked"), "{}", found[2].1);
    }
}

#[test]
fn hopeless_data_is_an_error_though_bad_samples_are_left_out() {
    let first_error = |set: Holes, batch_size| {
        let options = LoaderOptions { batch_size, shuffle: false, bad: OnBad::Skip, ..Default::default() };
        let l = Loader::new(Arc::new(set), small(), options).unwrap();
        l.epoch(0, 0).find_map(|b| b.err()).map(|e| e.to_string())
    };
    assert_eq!(
        first_error(Holes::new(60, (8..16).collect(), 99), 8).unwrap(),
        "loader: none of the 8 samples of a batch can be read; the first; given: picture8.png: truncated; \
         right would be: data that can be read; `gabor data check` lists what cannot"
    );
    let e = first_error(Holes::new(60, (0..60).filter(|i| i % 8 != 0).collect(), 99), 8).unwrap();
    assert!(e.starts_with("loader: 35 of 60 samples cannot be read, more than half"), "{e}");
    // A small batch may be empty, and half is not more than half.
    assert_eq!(first_error(Holes::new(10, vec![9], 99), 3), None);
    assert_eq!(first_error(Holes::new(10, vec![0, 2, 4, 6, 8], 99), 1), None);
    let statistics = |bad: Vec<usize>, on| Preprocessing::for_dataset_with(&Holes::new(10, bad, 99), [3, 4, 4], on);
    assert_eq!(statistics(vec![3], OnBad::Fail).unwrap_err().to_string(), "picture3.png: truncated");
    assert_ne!(statistics(vec![3], OnBad::Skip).unwrap(), statistics(vec![], OnBad::Skip).unwrap());
    assert_eq!(statistics((0..10).collect(), OnBad::Skip).unwrap_err().to_string(), "picture9.png: truncated");
}

#[test]
fn an_order_by_blocks_can_be_entered_at_any_batch() {
    let set = || {
        let blocks = Blocks { of: (0..200).map(|i| i / 10).collect(), count: 20, bytes: 2000 };
        Holes { blocks: Some(blocks), ..Holes::new(200, vec![], 999) }
    };
    let options = |workers| LoaderOptions { batch_size: 7, workers, mix_bytes: 500, ..Default::default() };
    let l = Loader::new(Arc::new(set()), small(), options(0)).unwrap();
    let want = all(&l, 2, 0);
    assert_eq!(want.concat_indices(), l.order(2));
    // Five blocks of ten are open: the first 50 samples touch more blocks than these, but far from all.
    let met: std::collections::BTreeSet<u32> = l.order(2)[..50].iter().map(|i| i / 10).collect();
    assert!((5..=10).contains(&met.len()), "{met:?}");
    for workers in [1, 3] {
        let l = Loader::new(Arc::new(set()), small(), options(workers)).unwrap();
        for start in [0, 1, 13, 28] {
            assert_eq!(all(&l, 2, start), want[start..], "{workers} workers from {start}");
        }
    }
}
