use super::*;
use crate::check::{Same, integers, run_all, uniform};
use crate::reference;
use gabor_tensor::{Padding, Stream, WindowOptions, rng::op};

/// A plain tensor in blocked order.
fn blocked(e: Blocked, from: &[f32]) -> Vec<f32> {
    let mut to = vec![0.0; e.len()];
    for (i, &v) in from.iter().enumerate() {
        let (plane, pixel) = (i / e.plane, i % e.plane);
        let (image, channel) = (plane / e.c, plane % e.c);
        to[e.start(image, channel / 16) + pixel * 16 + channel % 16] = v;
    }
    to
}

fn filter_grad(g: &ConvGeometry, n: usize, isa: Isa, x: &[f32], dy: &[f32], order: u64) -> Vec<f32> {
    let kernel = BlockedFilterGradKernel::new(g, n, isa).unwrap();
    let (x, dy) = (blocked(kernel.x, x), blocked(kernel.dy, dy));
    let mut dw = vec![f32::NAN; g.weight_shape().iter().product()];
    let out = SharedMut::new(&mut dw);
    run_all(&kernel, order, |phase, task, workspace, scratch| {
        // SAFETY: `run_all` gives every call its own scratch and keeps the phases apart.
        unsafe { kernel.run(phase, task, &x, &dy, out, workspace, scratch) }
    });
    dw
}

/// Geometries that are drawn at random, in one to three dimensions, with all kinds of tails.
fn drawn(count: usize) -> Vec<(ConvGeometry, usize)> {
    let mut s = Stream::new(17, 0, 0, op::TEST);
    let mut list = Vec::new();
    while list.len() < count {
        let rank = [2, 2, 2, 2, 2, 1, 3][s.below(7)];
        let groups = [1, 1, 1, 2, 3][s.below(5)];
        let (ci, co) = if groups > 1 {
            (16 * groups * (1 + s.below(2)), 16 * groups * (1 + s.below(2)))
        } else {
            (1 + s.below(40), 1 + s.below(100))
        };
        let extent = if rank == 3 { 7 } else { 17 };
        let mut draw = |from: usize, n: usize| -> Vec<usize> { (0..rank).map(|_| from + s.below(n)).collect() };
        let (input, kernel) = (draw(1, extent), draw(1, 4));
        let (stride, dilation, before, after) = (draw(1, 3), draw(1, 2), draw(0, 4), draw(0, 4));
        let options = WindowOptions::new(&kernel)
            .stride(&stride)
            .dilation(&dilation)
            .padding(Padding::Explicit(before.into_iter().zip(after).collect()))
            .ceil_mode(s.below(4) == 0);
        let weight = [&[co, ci / groups], &kernel[..]].concat();
        let n = 1 + s.below(4);
        if let Ok(g) = ConvGeometry::new(ci, &input, &weight, groups, &options)
            && g.macs() * (n as u64) < 1_200_000
        {
            list.push((g, n));
        }
    }
    list
}

fn square(ci: usize, co: usize, input: &[usize], k: usize, s: usize, p: usize, groups: usize) -> ConvGeometry {
    let weight = [&[co, ci / groups], &vec![k; input.len()][..]].concat();
    let o = WindowOptions::new(&[]).stride(&[s]).padding(Padding::all(p));
    ConvGeometry::new(ci, input, &weight, groups, &o).unwrap()
}

/// Kernels and planes of real networks, with several tasks, parts, images to a block and pieces of a row.
fn chosen() -> Vec<(ConvGeometry, usize)> {
    vec![
        (square(16, 16, &[32, 32], 3, 1, 1, 1), 5),
        (square(64, 64, &[8, 8], 3, 1, 1, 1), 7),
        (square(33, 70, &[7, 7], 3, 1, 1, 1), 3),
        (square(16, 40, &[3, 3], 3, 1, 1, 1), 23),
        (square(144, 80, &[7, 7], 1, 1, 0, 1), 3),
        (square(40, 64, &[28, 28], 1, 1, 0, 1), 2),
        (square(32, 50, &[15, 15], 1, 2, 0, 1), 2),
        (square(32, 32, &[29, 17], 3, 2, 1, 1), 1),
        (square(3, 64, &[40, 41], 7, 2, 3, 1), 1),
        (square(3, 16, &[45, 40], 11, 4, 2, 1), 2),
        (square(20, 48, &[27, 13], 5, 1, 2, 1), 1),
        (square(4, 8, &[3000], 9, 1, 4, 1), 1),
        (square(96, 96, &[9, 9], 3, 1, 1, 3), 2),
        (square(17, 20, &[5, 9, 9], 3, 1, 1, 1), 1),
        (square(2, 3, &[20, 20], 17, 1, 8, 1), 1),
    ]
}

#[test]
fn integers_are_summed_exactly() {
    let sets = Isa::available();
    for (i, (g, n)) in chosen().into_iter().chain(drawn(250)).enumerate() {
        let x = integers(1, n * g.ci * g.window.input_len());
        let dy = integers(3, n * g.co * g.window.output_len());
        let mut dw = vec![0.0; g.weight_shape().iter().product()];
        reference::conv_filter_grad(&g, n, &x, &dy, &mut dw);
        for isa in [sets[0], sets[i % sets.len()]] {
            assert!(filter_grad(&g, n, isa, &x, &dy, 0) == dw, "n={n} {g} {isa}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_instruction_set_order_or_threads() {
    for (i, (g, n)) in chosen().into_iter().chain(drawn(60)).enumerate() {
        let x = uniform(1, n * g.ci * g.window.input_len());
        let dy = uniform(3, n * g.co * g.window.output_len());
        let bits = |isa, order| -> Vec<u32> {
            filter_grad(&g, n, isa, &x, &dy, order).into_iter().map(f32::to_bits).collect()
        };
        let mut same = Same::new();
        for isa in Isa::available() {
            for order in [0, 1 + i as u64] {
                assert!(same.holds(isa, &bits(isa, order)), "n={n} {g} {isa}");
            }
        }
    }
}

/// The filter gradient is the adjoint of the convolution in its weights.
#[test]
fn it_is_the_adjoint_of_the_convolution() {
    for (g, n) in chosen() {
        let x = uniform(1, n * g.ci * g.window.input_len());
        let w = uniform(2, g.weight_shape().iter().product());
        let dy = uniform(3, n * g.co * g.window.output_len());
        let mut y = vec![0.0; dy.len()];
        reference::conv(&g, n, &x, &w, &mut y);
        let dw = filter_grad(&g, n, Isa::best(), &x, &dy, 1);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        let scale = dot(&y, &y).sqrt() * dot(&dy, &dy).sqrt();
        let (a, b) = (dot(&y, &dy), dot(&w, &dw));
        assert!((a - b).abs() < 1e-6 * scale, "n={n} {g}: {a} and {b}");
    }
}

#[test]
fn work_is_cut_by_extents() {
    let phases = |g, n| BlockedFilterGradKernel::new(&g, n, Isa::best()).unwrap().phases;
    // Many blocks of the result: no parts. Few: the pixels are split. Little work: one task.
    assert_eq!(phases(square(512, 512, &[7, 7], 3, 1, 1, 1), 16).len(), 1);
    assert_eq!(phases(square(16, 16, &[32, 32], 3, 1, 1, 1), 128)[0], 16);
    assert_eq!(phases(square(16, 16, &[8, 8], 3, 1, 1, 1), 1), [1]);
}

#[test]
fn what_is_refused_says_why() {
    let refusal = |g, n| BlockedFilterGradKernel::new(&g, n, Isa::best()).unwrap_err();
    assert!(refusal(square(24, 48, &[5], 1, 1, 0, 3), 1).contains("groups of 8 and 16 channels"));
    assert!(refusal(square(1, 1, &[2, 2, 2, 2], 1, 1, 0, 1), 1).contains("4 spatial dimensions"));
    assert!(refusal(square(1, 1, &[2], 1, 1, 0, 1), 0).contains("no images"));
}
