//! Random numbers, many blocks at a time.

use crate::simd::{Kernel, Simd16};
use crate::split::{share, tasks};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::rng::unit_f32;

/// Philox blocks that are computed side by side.
const BLOCKS: usize = 16;

/// Prepared uniform numbers, as [`reference::random_uniform`](crate::reference::random_uniform) defines them.
#[derive(Clone, Debug)]
pub struct RandomUniformKernel {
    len: usize,
    operation: u32,
    isa: Isa,
    tasks: [usize; 1],
}

impl RandomUniformKernel {
    /// Prepares `len` numbers of an operation.
    pub fn new(len: usize, operation: u32, isa: Isa) -> Self {
        let units = len.div_ceil(4 * BLOCKS);
        // Ten rounds cost as much as several moved elements.
        RandomUniformKernel { len, operation, isa, tasks: [tasks(len * 4, units)] }
    }
    /// Runs one task: writes its part of `y`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile.
    ///
    /// # Panics
    /// If `y` is shorter than the numbers.
    pub unsafe fn run(&self, task: usize, seed: u64, step: u64, y: SharedMut<'_, f32>) {
        let units = share(task, self.tasks[0], self.len.div_ceil(4 * BLOCKS));
        let (from, to) = ((units.start * 4 * BLOCKS).min(self.len), (units.end * 4 * BLOCKS).min(self.len));
        let key = [seed as u32, (seed >> 32) as u32];
        let counter = [(from / 4) as u32, self.operation, step as u32, (step >> 32) as u32];
        // SAFETY: tasks own disjoint parts.
        unsafe { self.isa.call(Fill { key, counter, y: y.part(from, to - from) }) }
    }
}

impl Work for RandomUniformKernel {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
}

struct Fill<'a> {
    key: [u32; 2],
    counter: [u32; 4],
    y: &'a mut [f32],
}

impl Kernel for Fill<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let mut counter = self.counter;
        for y in self.y.chunks_mut(4 * BLOCKS) {
            let words = blocks(counter, self.key);
            let mut out = [0.0; 4 * BLOCKS];
            for b in 0..BLOCKS {
                for w in 0..4 {
                    out[4 * b + w] = unit_f32(words[w][b]);
                }
            }
            y.copy_from_slice(&out[..y.len()]);
            counter[0] = counter[0].wrapping_add(BLOCKS as u32);
        }
    }
}

/// Philox 4×32-10 ([`gabor_tensor::rng::philox`]) of neighbouring counters: word `w` of block `b` at `[w][b]`.
#[inline(always)]
fn blocks(counter: [u32; 4], mut key: [u32; 2]) -> [[u32; BLOCKS]; 4] {
    let mut c = counter.map(|w| [w; BLOCKS]);
    for b in 0..BLOCKS {
        c[0][b] = c[0][b].wrapping_add(b as u32);
    }
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        let mut next = [[0; BLOCKS]; 4];
        for b in 0..BLOCKS {
            let p0 = 0xD251_1F53 * u64::from(c[0][b]);
            let p1 = 0xCD9E_8D57 * u64::from(c[2][b]);
            next[0][b] = (p1 >> 32) as u32 ^ c[1][b] ^ key[0];
            next[1][b] = p1 as u32;
            next[2][b] = (p0 >> 32) as u32 ^ c[3][b] ^ key[1];
            next[3][b] = p0 as u32;
        }
        c = next;
    }
    c
}
