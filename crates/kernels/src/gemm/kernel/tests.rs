use super::*;
use crate::check::{Same, integers, run_all, uniform};
use crate::reference;

fn product(p: MatMul, isa: Isa, a: &[f32], b: &[f32], e: Epilogue<'_>, order: u64) -> Vec<f32> {
    let kernel = MatMulKernel::new(p, isa);
    let mut c = vec![f32::NAN; p.batch * p.m * p.n];
    let out = SharedMut::new(&mut c);
    run_all(&kernel, order, |phase, task, workspace, scratch| {
        // SAFETY: `run_all` keeps the phases apart and gives every call its own scratch.
        unsafe { kernel.run(phase, task, a, b, e, out, workspace, scratch) }
    });
    c
}

fn cases() -> Vec<MatMul> {
    let mut list = Vec::new();
    for (i, &(m, n, k)) in [
        (1, 1, 1),
        (1, 40, 37),
        (3, 17, 50),
        (5, 10, 16),
        (6, 33, 5),
        (7, 16, 300),
        (10, 84, 64),
        (15, 31, 257),
        (29, 65, 9),
        (64, 120, 40),
        (43, 300, 20),
        (230, 47, 30),
        (4, 6, 5000),
        (16, 38, 700),
        (32, 17, 1100),
        (9, 300, 2100),
        (3, 1100, 30),
        (90, 75, 8),
        (40, 130, 3),
        (13, 5, 3000),
        (2, 3, 0),
    ]
    .iter()
    .enumerate()
    {
        for t in 0..4 {
            let batch = 1 + (i + t) % 2 * usize::from(k < 1000);
            list.push(MatMul { batch, transpose_a: t & 1 > 0, transpose_b: t & 2 > 0, ..MatMul::new(m, n, k) });
        }
    }
    list
}

#[test]
fn integers_are_multiplied_exactly_and_sets_agree() {
    for p in cases() {
        let a = integers(1, p.batch * p.m * p.k);
        let b = integers(2, p.batch * p.k * p.n);
        let (bias, add) = (integers(3, p.n), integers(6, p.batch * p.m * p.n));
        let mut want = vec![0.0; p.batch * p.m * p.n];
        reference::matmul(&p, &a, &b, &mut want);
        let e = Epilogue { bias: Some(&bias), add: Some(&add), relu: true, limit: 40.0 };
        let finish = |(i, v): (usize, &f32)| (v + bias[i % p.n] + add[i]).clamp(0.0, 40.0);
        let rectified: Vec<f32> = want.iter().enumerate().map(finish).collect();
        let (x, y) = (uniform(4, a.len()), uniform(5, b.len()));
        let mut same = Same::new();
        for isa in Isa::available() {
            assert_eq!(product(p, isa, &a, &b, Epilogue::default(), 0), want, "{p:?} {isa}");
            assert_eq!(product(p, isa, &a, &b, e, 1), rectified, "{p:?} {isa}");
            let c: Vec<u32> = product(p, isa, &x, &y, e, 2).iter().map(|v| v.to_bits()).collect();
            assert!(same.holds(isa, &c), "{p:?} {isa}");
        }
    }
}

#[test]
fn each_element_is_written_by_one_task() {
    for p in cases() {
        let kernel = MatMulKernel::new(p, Isa::best());
        let (a, b) = (uniform(4, p.batch * p.m * p.k), uniform(5, p.batch * p.k * p.n));
        let mut workspace = vec![f32::NAN; kernel.workspace_len()];
        let mut scratch = vec![f32::NAN; kernel.scratch_len()];
        // The last phase writes the result.
        let phase = kernel.phases().len() - 1;
        let mut writers = vec![0; p.batch * p.m * p.n];
        for task in 0..kernel.phases()[phase] {
            workspace.fill(0.0);
            let mut c = vec![f32::NAN; writers.len()];
            let (out, space) = (SharedMut::new(&mut c), SharedMut::new(&mut workspace));
            // SAFETY: one task at a time.
            unsafe { kernel.run(phase, task, &a, &b, Epilogue::default(), out, space, &mut scratch) };
            writers.iter_mut().zip(&c).for_each(|(n, v)| *n += usize::from(!v.is_nan()));
        }
        assert!(writers.iter().all(|&n| n == 1), "{p:?}: {:?}", writers.iter().max());
    }
}
