//! Counter-based random numbers: Philox 4×32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
//!
//! A number is a pure function of its key and counter, so results depend neither on the order of work nor on the
//! number of threads. Streams are keyed by (seed, epoch, sample, operation).

const MUL: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// One Philox 4×32-10 block: four random words for a counter under a key.
pub fn philox(mut c: [u32; 4], mut k: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
        }
        let p0 = u64::from(MUL[0]) * u64::from(c[0]);
        let p1 = u64::from(MUL[1]) * u64::from(c[2]);
        c = [(p1 >> 32) as u32 ^ c[1] ^ k[0], p1 as u32, (p0 >> 32) as u32 ^ c[3] ^ k[1], p0 as u32];
    }
    c
}

/// A uniform number in [0, 1) with 24 random bits.
pub fn unit_f32(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / (1 << 24) as f32)
}

/// The operations that draw random numbers, so that no two share a stream. Users' own start at [`op::USER`].
pub mod op {
    /// Initialisation of parameters; `sample` is a hash of the parameter's name.
    pub const INIT: u32 = 1;
    /// Order of the samples in an epoch.
    pub const SHUFFLE: u32 = 2;
    /// Split of a data set.
    pub const SPLIT: u32 = 3;
    /// Dropout masks inside the graph.
    pub const DROPOUT: u32 = 4;
    /// Data augmentation; each operation of a pipeline adds its number.
    pub const AUGMENT: u32 = 0x100;
    /// Mixing of the samples of a batch; `sample` is the number of the batch.
    pub const MIX: u32 = 0xF00;
    /// Test data.
    pub const TEST: u32 = 0x1000;
    /// First number free for users.
    pub const USER: u32 = 0x1_0000;
}

/// A stream of random numbers, keyed by (seed, epoch, sample, operation).
///
/// ```
/// use gabor_tensor::Stream;
/// let a: Vec<u32> = (0..4).map({ let mut s = Stream::new(7, 0, 3, 1); move |_| s.next_u32() }).collect();
/// let b: Vec<u32> = (0..4).map({ let mut s = Stream::new(7, 0, 3, 1); move |_| s.next_u32() }).collect();
/// assert_eq!(a, b);
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    counter: [u32; 4],
    block: [u32; 4],
    used: usize,
    spare_normal: Option<f64>,
}

impl Stream {
    /// The stream of one operation on one sample in one epoch.
    pub fn new(seed: u64, epoch: u32, sample: u32, operation: u32) -> Self {
        Stream {
            key: [seed as u32, (seed >> 32) as u32],
            counter: [0, operation, sample, epoch],
            block: [0; 4],
            used: 4,
            spare_normal: None,
        }
    }
    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.block = philox(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }
    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let lo = u64::from(self.next_u32());
        lo | u64::from(self.next_u32()) << 32
    }
    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }
    /// Uniform in [low, high).
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }
    /// Uniform in 0..n (multiply-shift; the bias is below n/2⁶⁴). Zero if `n` is zero.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }
    /// Standard normal (Box–Muller).
    pub fn normal(&mut self) -> f64 {
        if let Some(v) = self.spare_normal.take() {
            return v;
        }
        let u = 1.0 - self.uniform();
        let a = std::f64::consts::TAU * self.uniform();
        let r = (-2.0 * libm::log(u)).sqrt();
        self.spare_normal = Some(r * libm::sin(a));
        r * libm::cos(a)
    }
    /// A random order of `items` (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// FNV-1a of a name: the `sample` under which a named thing draws.
pub fn name_key(name: &str) -> u32 {
    name.bytes().fold(0x811C_9DC5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the Random123 distribution (`kat_vectors`, philox4x32 10 rounds).
    #[test]
    fn philox_known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        assert_eq!(
            philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    #[test]
    fn normal_has_unit_variance() {
        let mut s = Stream::new(1, 0, 0, op::TEST);
        let v: Vec<f64> = (0..20_000).map(|_| s.normal()).collect();
        let m = v.iter().sum::<f64>() / v.len() as f64;
        let var = v.iter().map(|x| (x - m) * (x - m)).sum::<f64>() / v.len() as f64;
        assert!(m.abs() < 0.03 && (var - 1.0).abs() < 0.05, "mean {m}, variance {var}");
    }
}
