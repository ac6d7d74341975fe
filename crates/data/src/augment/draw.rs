//! Which random numbers an operation draws.

use gabor_tensor::Stream;
use gabor_tensor::rng::op;

/// Operations of one kind that a pipeline may hold.
pub(super) const REPEATS: u32 = 32;
/// Numbers of streams from one repetition to the next; every operation's code is below.
const STRIDE: u32 = 64;

/// Which sample in which epoch of which training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub seed: u64,
    pub epoch: u32,
    pub sample: u32,
}

impl Key {
    /// The stream of the `repeat`-th operation of a kind. It depends neither on the operation's place in the pipeline nor
    /// on the others, so that switching one on or off changes no other's draw.
    pub(super) fn stream(self, code: u32, repeat: u32) -> Stream {
        Stream::new(self.seed, self.epoch, self.sample, op::AUGMENT + code + STRIDE * repeat)
    }
}

/// Uniform in ± `extent`.
pub(super) fn symmetric(s: &mut Stream, extent: f64) -> f64 {
    s.range(-extent, extent)
}

/// Uniform in a range.
pub(super) fn within(s: &mut Stream, [low, high]: [f64; 2]) -> f64 {
    s.range(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::Operation;

    #[test]
    fn every_operation_has_streams_of_its_own() {
        let mut codes: Vec<u32> = Operation::PAGES.iter().map(|p| p.code).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|w| w[0] < w[1]) && codes.last().is_some_and(|&c| c < STRIDE));
        // The last stream comes before those of batches.
        const { assert!(op::AUGMENT + STRIDE * REPEATS <= op::MIX) };
    }
}
