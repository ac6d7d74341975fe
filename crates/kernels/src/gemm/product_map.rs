//! An element-wise program on a matrix product that stays in the cache.

use super::few::{GROUP, Group, pack, sums_pitch};
use crate::memory::{LINE, Pieces, whole, zero};
use crate::pointwise::MapKernel;
use crate::simd::{Kernel, Simd16};
use crate::{Isa, MatMul, SharedMut, Work};

/// Rows of one task: as many accumulate on one reading of the right matrix.
const ROWS: usize = 8;
/// Most columns of one task: the program reads and writes runs of that length.
const COLUMNS: usize = 4096;
/// Most inputs of a program besides the product; their addresses are collected without allocation.
pub const MOST_OTHERS: usize = 31;

/// A prepared product of a short sum, with a program whose input 0 it is.
pub struct ProductMapKernel {
    p: MatMul,
    map: MapKernel,
    columns: usize,
    tasks: [usize; 1],
    isa: Isa,
}

impl ProductMapKernel {
    /// Prepares a product and a program over its elements.
    ///
    /// # Panics
    /// If there are several products, the right matrix is transposed, or the program has another length: the caller
    /// checked them.
    pub fn new(p: MatMul, map: MapKernel, isa: Isa) -> Self {
        assert!(p.batch == 1 && !p.transpose_b && map.len() == p.m * p.n, "{p:?}");
        let columns = p.n.clamp(1, COLUMNS);
        ProductMapKernel { p, map, columns, tasks: [p.m.div_ceil(ROWS) * p.n.div_ceil(columns)], isa }
    }

    /// Runs one task: reads `a`, `b` and the program's `others`, writes its part of `outputs`. An output may be the very
    /// memory of one of the others with full access.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch the outputs meanwhile; `scratch` belongs to this call. The
    /// pointers of `others` are valid for as many elements as their access reads.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(
        &self,
        task: usize,
        [a, b]: [&[f32]; 2],
        others: &[*const f32],
        outputs: &[SharedMut<'_, f32>],
        scratch: &mut [f32],
    ) {
        let p = &self.p;
        assert!(a.len() >= p.m * p.k && b.len() >= p.k * p.n && others.len() <= MOST_OTHERS);
        assert!(outputs.iter().all(|o| o.len() >= p.m * p.n) && scratch.len() >= self.scratch_len());
        // SAFETY: lengths are checked; tasks write disjoint blocks; the rest is the caller's promise.
        unsafe { self.isa.call(Run { kernel: self, task, a, b, others, outputs, scratch }) }
    }
}

impl Work for ProductMapKernel {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
    fn scratch_len(&self) -> usize {
        LINE + whole(ROWS * GROUP) + GROUP * 16 + ROWS * sums_pitch(self.columns) + whole(self.map.scratch_len())
    }
}

struct Run<'a> {
    kernel: &'a ProductMapKernel,
    task: usize,
    a: &'a [f32],
    b: &'a [f32],
    others: &'a [*const f32],
    outputs: &'a [SharedMut<'a, f32>],
    scratch: &'a mut [f32],
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let (kernel, p) = (self.kernel, &self.kernel.p);
        let column_blocks = p.n.div_ceil(kernel.columns);
        let (row, column) = (self.task / column_blocks * ROWS, self.task % column_blocks * kernel.columns);
        let (rows, columns) = (ROWS.min(p.m - row), kernel.columns.min(p.n - column));
        let mut pieces = Pieces::new(self.scratch);
        let panel = pieces.take(ROWS * GROUP).as_mut_ptr();
        let strip = pieces.take(GROUP * 16).as_mut_ptr();
        let pitch = sums_pitch(kernel.columns);
        let sums = pieces.take(ROWS * pitch).as_mut_ptr();
        let registers = pieces.take(kernel.map.scratch_len());
        let mut inputs = [std::ptr::null(); MOST_OTHERS + 1];
        inputs[1..=self.others.len()].copy_from_slice(self.others);
        // SAFETY: rows and columns lie inside the matrices; scratch is as long as `scratch_len` says.
        unsafe {
            for r in 0..if p.k == 0 { rows } else { 0 } {
                zero::<S>(sums.add(r * pitch), columns);
            }
            for k0 in (0..p.k).step_by(GROUP) {
                let k = (p.k - k0).min(GROUP);
                pack(p, self.a, row..row + rows, k0..k0 + k, panel);
                S::call(Group {
                    panel,
                    rows,
                    b: self.b.as_ptr().add(k0 * p.n + column),
                    b_row: p.n,
                    k,
                    c: sums,
                    c_row: pitch,
                    columns,
                    first: k0 == 0,
                    ahead: 0,
                    strip,
                });
            }
            for r in 0..rows {
                let from = (row + r) * p.n + column;
                // The product's row stands where the program looks for elements from `from` on.
                inputs[0] = sums.add(r * pitch).cast_const().wrapping_sub(from);
                let inputs = &inputs[..=self.others.len()];
                kernel.map.range::<S>((from, from + columns), inputs, self.outputs, registers);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Same, run_all, uniform};
    use crate::pointwise::{Access, Instruction, Program};
    use gabor_tensor::Binary;

    /// v ← 0.5·v + a·b, w ← w − row·v, with v and w in place.
    fn program() -> Program {
        use Instruction::{Binary as Two, Constant, Load};
        let instructions = vec![
            Load(0),
            Load(1),
            Load(2),
            Load(3),
            Constant(0.5),
            Two(Binary::Mul, 1, 4),
            Two(Binary::Add, 5, 0),
            Two(Binary::Mul, 6, 3),
            Two(Binary::Sub, 2, 7),
        ];
        Program { instructions, outputs: vec![6, 8] }
    }

    #[test]
    fn sets_and_orders_give_the_bits_of_product_and_program() {
        for (m, n, k, transpose_a) in [(3, 5, 1, true), (19, 4099, 9, true), (8, 33, 64, false), (17, 600, 0, true)] {
            let p = MatMul { transpose_a, ..MatMul::new(m, n, k) };
            let access = [Access::Full, Access::Full, Access::Full, Access::Row { period: n }];
            let (a, b) = (uniform(1, m * k), uniform(2, k * n));
            let (v, w, row) = (uniform(3, m * n), uniform(4, m * n), uniform(5, n));
            let (mut same, mut got) = (Same::new(), [Vec::new(), Vec::new()]);
            for (order, isa) in Isa::available().into_iter().enumerate() {
                let map = MapKernel::new(program(), access.to_vec(), m * n, isa);
                let kernel = ProductMapKernel::new(p, map, isa);
                let (mut v, mut w) = (v.clone(), w.clone());
                let others = [v.as_ptr() as usize, w.as_ptr() as usize, row.as_ptr() as usize];
                let outputs = [SharedMut::new(&mut v), SharedMut::new(&mut w)];
                run_all(&kernel, order as u64, |_, task, _, scratch| {
                    // SAFETY: the buffers are alive and as long as needed.
                    unsafe { kernel.run(task, [&a, &b], &others.map(|o| o as *const f32), &outputs, scratch) }
                });
                got = [&v, &w].map(|x| x.iter().map(|x| x.to_bits()).collect());
                assert!(same.holds(isa, &got), "{p:?} {isa}");
            }
            // Against the parts one after the other, in 64 bits.
            for i in 0..m * n {
                let at = |s: usize| if transpose_a { a[s * m + i / n] } else { a[i / n * k + s] };
                let sum: f64 = (0..k).map(|s| f64::from(at(s)) * f64::from(b[s * n + i % n])).sum();
                let new = 0.5 * f64::from(v[i]) + sum;
                let want = [new, f64::from(w[i]) - new * f64::from(row[i % n])];
                for (got, want) in got.iter().zip(want) {
                    assert!((f64::from(f32::from_bits(got[i])) - want).abs() < 1e-5 * (1.0 + want.abs()), "{p:?} {i}");
                }
            }
        }
    }
}
