use super::*;
use crate::blocked::Block;
use crate::blocked::Packing;
use crate::check::{integers, run_all};

#[test]
fn results_equal_the_definition() {
    for (n, c, plane) in [(1, 1, 1), (2, 5, 7), (3, 40, 49), (2, 16, 9000), (1, 35, 10_001), (20, 70, 1)] {
        let e = Blocked { n, c, plane };
        let plain = integers(3, n * c * plane);
        let mut x = vec![0.0; e.len()];
        let block = Block::new(e, Isa::best());
        let to = SharedMut::new(&mut x);
        // SAFETY: `run_all` keeps tasks apart, here and below.
        run_all(&block, 0, |p, t, w, s| unsafe { block.pack(p, t, &plain, to, w, s) });
        for kind in [Reduction::Sum, Reduction::Mean, Reduction::Max] {
            for images in [false, true] {
                let mut want = vec![0f64; if images { c } else { n * c }];
                let mut count = vec![0; want.len()];
                for (i, &v) in plain.iter().enumerate() {
                    let at = i / plane % if images { c } else { n * c };
                    want[at] = match kind {
                        Reduction::Max if count[at] > 0 => want[at].max(f64::from(v)),
                        _ => want[at] + f64::from(v),
                    };
                    count[at] += 1;
                }
                if kind == Reduction::Mean {
                    want.iter_mut().zip(&count).for_each(|(w, &n)| *w /= f64::from(n));
                }
                let want: Vec<f32> = want.iter().map(|&v| v as f32).collect();
                for (order, isa) in Isa::available().into_iter().enumerate() {
                    let k = BlockedReduceKernel::new(kind, e, images, isa).unwrap();
                    let mut y = vec![f32::NAN; want.len()];
                    let to = SharedMut::new(&mut y);
                    // SAFETY: as above, and one phase after the other.
                    run_all(&k, order as u64, |phase, task, w, _| unsafe { k.run(phase, task, &x, to, w) });
                    assert_eq!(y, want, "{kind:?} of {e:?}, images {images}, {isa}");
                }
            }
        }
    }
    let empty = BlockedReduceKernel::new(Reduction::Sum, Blocked { n: 0, c: 3, plane: 4 }, true, Isa::best());
    assert!(empty.is_err());
}
