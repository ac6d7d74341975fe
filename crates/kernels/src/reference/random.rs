//! Random numbers inside a graph.

use gabor_tensor::{
    Real,
    rng::{philox, unit_f32},
};

/// Uniform numbers in [0, 1), each a pure function of its place: element `i` is word `i mod 4` of the Philox block with
/// counter `[i / 4, operation, step]` under key `seed` (both 64-bit numbers low word first).
pub fn random_uniform<R: Real>(seed: u64, operation: u32, step: u64, y: &mut [R]) {
    let key = [seed as u32, (seed >> 32) as u32];
    for (block, out) in y.chunks_mut(4).enumerate() {
        let words = philox([block as u32, operation, step as u32, (step >> 32) as u32], key);
        for (y, word) in out.iter_mut().zip(words) {
            *y = R::from_f64(f64::from(unit_f32(word)));
        }
    }
}
