//! Properties of the window geometry, against plain enumeration.

use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::{Graph, Result, Text, ValueId};
use gabor_tensor::{ConvGeometry, DType, PadMode, Padding, Shape, Tensor, Window, WindowOptions};
use gabor_testkit::normal;
use proptest::prelude::*;
use std::collections::HashMap;

/// Input, kernel, stride, dilation and padding of one dimension.
fn numbers() -> impl Strategy<Value = (usize, usize, usize, usize, (usize, usize))> {
    (1usize..20, 1usize..6, 1usize..6, 1usize..4, (0usize..5, 0usize..5))
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(2000))]

    /// Windows that lie in the padded input, counted one by one.
    #[test]
    fn size_rule((n, k, s, d, (before, after)) in numbers()) {
        let o = WindowOptions::new(&[k]).stride(&[s]).dilation(&[d]).padding(Padding::Explicit(vec![(before, after)]));
        let padded = n + before + after;
        let fits = |o: &usize| o * s + (k - 1) * d < padded;
        let count = (0..=padded).take_while(fits).count();
        match o.resolve(&[n]) {
            Ok(w) => {
                prop_assert_eq!(w.output(), vec![count]);
                let a = w.axes()[0];
                let touched = (0..count).flat_map(|o| (0..k).filter_map(move |t| a.index(o, t))).max();
                let end = ((count - 1) * s + a.reach()).saturating_sub(before).min(n);
                prop_assert_eq!(a.dropped(), n - end);
                // The last tap of the last window is an input element or padding.
                if let Some(last) = touched {
                    prop_assert!(last < end);
                }
                prop_assert_eq!(w.notes().is_empty(), end == n);
            }
            Err(_) => prop_assert_eq!(count, 0),
        }
    }

    /// ceil(n / s) windows with the least padding that gives so many, the odd element on the right.
    #[test]
    fn same_padding((n, k, s, d, _) in numbers()) {
        let o = WindowOptions::new(&[k]).stride(&[s]).dilation(&[d]).padding(Padding::Same);
        let w = o.resolve(&[n]).unwrap();
        let a = w.axes()[0];
        prop_assert_eq!(a.output, n.div_ceil(s));
        prop_assert!(a.pad_end == a.pad_begin || a.pad_end == a.pad_begin + 1);
        let total = a.pad_begin + a.pad_end;
        if total > 0 {
            let less = n + total - 1;
            prop_assert!((a.output - 1) * s + a.reach() > less);
        }
    }

    /// A window counts in ceil mode if the one before it did not reach the padded end, and if it starts inside the input
    /// or its left padding.
    #[test]
    fn ceil_mode((n, k, s, d, (before, after)) in numbers()) {
        let o = WindowOptions::new(&[k]).stride(&[s]).dilation(&[d]).padding(Padding::Explicit(vec![(before, after)]));
        let Ok(floor) = o.resolve(&[n]) else { return Ok(()) };
        let ceil = o.clone().ceil_mode(true).resolve(&[n]).unwrap();
        let padded = n + before + after;
        let reach = (k - 1) * d + 1;
        let counts = |o: &usize| *o == 0 || (o * s < n + before && (o - 1) * s + reach < padded);
        let count = (0..).take_while(counts).count();
        prop_assert_eq!(ceil.output(), vec![count.max(1)]);
        prop_assert!(ceil.output()[0] >= floor.output()[0] || (floor.output()[0] - 1) * s >= n + before);
        prop_assert_eq!(Window::from_text(&ceil.to_text()).unwrap(), ceil);
        prop_assert_eq!(Window::from_text(&floor.to_text()).unwrap(), floor);
    }

    /// The convolution of a transposed convolution's output has the extent that it came from.
    #[test]
    fn transposed_round_trip((n, k, s, d, pads) in numbers(), extra in 0usize..5) {
        let o = WindowOptions::default().stride(&[s]).dilation(&[d]).padding(Padding::Explicit(vec![pads]));
        let full = (n - 1) * s + d * (k - 1) + 1 + extra;
        match ConvGeometry::transposed(2, &[n], &[2, 3, k], 1, &o, &[extra]) {
            Ok(g) => {
                prop_assert_eq!(g.window.input(), vec![full - pads.0 - pads.1]);
                prop_assert_eq!(g.window.output(), vec![n]);
                prop_assert_eq!((g.ci, g.co), (3, 2));
                prop_assert_eq!(ConvGeometry::from_text(&g.to_text()).unwrap(), g);
            }
            Err(_) => prop_assert!(pads.0 + pads.1 >= full || extra >= s || extra >= d),
        }
    }

    /// No numbers, however large, make the geometry panic.
    #[test]
    fn any_numbers(n in any::<usize>(), k in any::<usize>(), s in any::<usize>(), d in any::<usize>(), p in any::<usize>()) {
        for ceil in [false, true] {
            for padding in [Padding::all(p), Padding::Same, Padding::Valid] {
                let o = WindowOptions::new(&[k]).stride(&[s]).dilation(&[d]).padding(padding).ceil_mode(ceil);
                let _ = o.resolve(&[n]);
                let _ = o.resolve(&[n >> 34]);
            }
        }
    }
}

/// Evaluates what `build` adds to a graph with one input.
fn run(x: &Tensor, build: impl Fn(&mut Graph, ValueId) -> Result<ValueId>) -> Tensor {
    let mut g = Graph::new("one input");
    let v = g.input("x", Shape::fixed(x.shape()), DType::F32).unwrap();
    let y = build(&mut g, v).unwrap();
    evaluate(&g, 1, &HashMap::from([(v, x.clone())]), Precision::F64, &[y]).unwrap().remove(0)
}

/// Shifts the last two axes in a circle.
fn shifted(x: &Tensor, down: usize, right: usize) -> Tensor {
    let s = x.shape();
    let (h, w) = (s[2], s[3]);
    let v = x.to_f64();
    let moved = (0..v.len()).map(|i| {
        let (plane, r, c) = (i / (h * w), i / w % h, i % w);
        v[(plane * h + (r + h - down % h) % h) * w + (c + w - right % w) % w]
    });
    Tensor::f64(s, moved.collect()).unwrap()
}

proptest! {
    #![proptest_config(config(60))]

    /// Convolution commutes with translation (lecture 001). In a circle there is no edge, so it does so exactly.
    #[test]
    fn convolution_is_equivariant(seed in 0u64..1000, down in 0usize..6, right in 0usize..7, k in 1usize..4) {
        let (x, w) = (normal(&[1, 2, 6, 7], seed), normal(&[3, 2, k, k], seed + 1));
        let conv = |x: &Tensor| run(x, |g, x| {
            let w = g.constant(w.clone());
            g.conv_padded(x, w, 1, &WindowOptions::new(&[k]).padding(Padding::Same), PadMode::Circular)
        });
        prop_assert_eq!(conv(&shifted(&x, down, right)), shifted(&conv(&x), down, right));
    }

    /// Away from the edge, convolution with stride commutes with translation by a multiple of the stride.
    #[test]
    fn strided_convolution_is_equivariant_by_its_stride(seed in 0u64..1000, s in 1usize..4) {
        let w = normal(&[2, 1, 3], seed);
        let long = normal(&[1, 1, 24], seed + 1).to_f64();
        let conv = |from: usize| {
            let x = Tensor::f64(&[1, 1, 16], long[from..from + 16].to_vec()).unwrap();
            run(&x, |g, x| {
                let w = g.constant(w.clone());
                g.conv(x, w, 1, &WindowOptions::default().stride(&[s]))
            })
        };
        let (a, b) = (conv(0), conv(s));
        let o = a.shape()[2];
        let (a, b) = (a.to_f64(), b.to_f64());
        for c in 0..2 {
            prop_assert_eq!(&a[c * o + 1..(c + 1) * o], &b[c * o..(c + 1) * o - 1]);
        }
    }

    /// Global pooling does not see where something is.
    #[test]
    fn global_pooling_is_invariant(seed in 0u64..1000, down in 0usize..6, right in 0usize..7) {
        let x = normal(&[2, 3, 6, 7], seed);
        let moved = shifted(&x, down, right);
        let max = |x: &Tensor| run(x, |g, x| g.global_max_pool(x));
        prop_assert_eq!(max(&x), max(&moved));
        type Pool = fn(&mut Graph, ValueId) -> Result<ValueId>;
        let sums: [Pool; 2] = [|g, x| g.global_avg_pool(x), |g, x| g.global_lp_pool(x, 2.0)];
        for pool in sums {
            let (a, b) = (run(&x, pool).to_f64(), run(&moved, pool).to_f64());
            prop_assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }
}
