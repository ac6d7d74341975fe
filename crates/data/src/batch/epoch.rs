//! One pass over a data set: in the calling thread, or by threads that work ahead.

use super::{Batch, Shared, Worker};
use crate::Error;
use gabor_tensor::Rule;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The batches of an epoch, in order; see [`super::Loader::epoch`].
///
/// Threads take batch numbers from a queue and hand in batches in any order; the iterator puts them in order. It issues
/// a number only when a batch has been taken, so at most two batches a thread wait in memory.
pub struct Epoch {
    work: Arc<Work>,
    next: usize,
    end: usize,
    ahead: Option<Ahead>,
    worker: Worker,
}

/// What all threads read.
struct Work {
    shared: Arc<Shared>,
    order: Vec<u32>,
    epoch: u32,
    stop: AtomicBool,
}

/// The threads and what is under way.
struct Ahead {
    jobs: Option<Sender<usize>>,
    results: Receiver<(usize, Result<Batch, Error>)>,
    waiting: BTreeMap<usize, Result<Batch, Error>>,
    issued: usize,
    depth: usize,
    threads: Vec<JoinHandle<()>>,
}

impl Work {
    /// Batch `b`.
    fn batch(&self, b: usize, worker: &mut Worker) -> Result<Batch, Error> {
        let size = self.shared.options.batch_size;
        let first = b * size;
        let samples = &self.order[first..(first + size).min(self.order.len())];
        self.shared.batch(samples, (self.epoch, b), worker)
    }
}

impl Epoch {
    pub(super) fn new(shared: Arc<Shared>, order: Vec<u32>, epoch: u32, start: usize, end: usize) -> Self {
        let workers = shared.options.workers.min(end.saturating_sub(start));
        let work = Arc::new(Work { shared, order, epoch, stop: AtomicBool::new(false) });
        let ahead = (workers > 0).then(|| Ahead::start(&work, workers, start)).flatten();
        let mut out = Epoch { work, next: start.min(end), end, ahead, worker: Worker::default() };
        out.issue();
        out
    }
    /// The number of the batch that comes next.
    pub fn position(&self) -> usize {
        self.next
    }
    /// Gives the memory of a batch back for later batches. Optional.
    pub fn recycle(&self, batch: Batch) {
        self.work.shared.recycle(batch);
    }
    /// Keeps `depth` batches under way.
    fn issue(&mut self) {
        if let Some(a) = &mut self.ahead {
            while a.issued < self.end.min(self.next + a.depth) {
                if let Some(jobs) = &a.jobs {
                    // A failed send means that no thread is left; receiving reports it.
                    let _ = jobs.send(a.issued);
                }
                a.issued += 1;
            }
        }
    }
}

impl Ahead {
    /// Starts the threads; `None` if the system gives none, and then the calling thread does the work.
    fn start(work: &Arc<Work>, workers: usize, first: usize) -> Option<Ahead> {
        let (jobs, queue) = channel::<usize>();
        let (hand_in, results) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::new();
        for i in 0..workers {
            let (work, queue, hand_in) = (work.clone(), queue.clone(), hand_in.clone());
            let run = move || {
                let mut worker = Worker::default();
                loop {
                    let job = match queue.lock() {
                        Ok(q) => q.recv(),
                        Err(_) => return,
                    };
                    let Ok(b) = job else { return };
                    if work.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let result = work.batch(b, &mut worker);
                    if hand_in.send((b, result)).is_err() {
                        return;
                    }
                }
            };
            match std::thread::Builder::new().name(format!("gabor-data-{i}")).spawn(run) {
                Ok(t) => threads.push(t),
                Err(_) => break,
            }
        }
        let depth = 2 * threads.len();
        (depth > 0).then_some(Ahead {
            jobs: Some(jobs),
            results,
            waiting: BTreeMap::new(),
            issued: first,
            depth,
            threads,
        })
    }
    /// Batch `b`, waited for.
    fn take(&mut self, b: usize) -> Result<Batch, Error> {
        loop {
            if let Some(result) = self.waiting.remove(&b) {
                return result;
            }
            match self.results.recv() {
                Ok((i, result)) => {
                    self.waiting.insert(i, result);
                }
                Err(_) => {
                    return Err(Error::new("loader", Rule::new(format!("no thread is left to prepare batch {b}"))));
                }
            }
        }
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let b = self.next;
        let result = match &mut self.ahead {
            Some(ahead) => ahead.take(b),
            None => self.work.batch(b, &mut self.worker),
        };
        // Here, in the order of the batches, so that the number of threads plays no part.
        let result = result.and_then(|batch| self.work.shared.note_bad(&batch).map(|()| batch));
        if result.is_ok() {
            self.next += 1;
            self.issue();
        } else {
            self.end = self.next;
            self.work.stop.store(true, Ordering::Relaxed);
        }
        Some(result)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.next, Some(self.end - self.next))
    }
}

impl ExactSizeIterator for Epoch {}
impl std::iter::FusedIterator for Epoch {}

impl Drop for Epoch {
    fn drop(&mut self) {
        self.work.stop.store(true, Ordering::Relaxed);
        if let Some(mut ahead) = self.ahead.take() {
            ahead.jobs = None;
            for t in ahead.threads.drain(..) {
                let _ = t.join();
            }
        }
    }
}
