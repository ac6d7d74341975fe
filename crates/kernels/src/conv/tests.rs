use super::*;
use crate::check::{Same, integers, run_all, uniform};
use crate::{Epilogue, Isa, SharedMut, Work, reference};
use gabor_tensor::{ConvGeometry, Padding, Stream, WindowOptions, rng::op};

fn forward(g: &ConvGeometry, n: usize, isa: Isa, x: &[f32], w: &[f32], e: Epilogue<'_>, order: u64) -> Vec<f32> {
    let kernel = ConvKernel::forward(g, n, isa).unwrap();
    let mut y = vec![f32::NAN; n * g.co * g.window.output_len()];
    let out = SharedMut::new(&mut y);
    run_all(&kernel, order, |_, task, _, scratch| {
        // SAFETY: `run_all` gives every call its own scratch.
        unsafe { kernel.run(task, x, w, e, out, scratch) }
    });
    y
}

fn input_grad(g: &ConvGeometry, n: usize, isa: Isa, dy: &[f32], w: &[f32], order: u64) -> Vec<f32> {
    let kernel = ConvKernel::input_grad(g, n, isa).unwrap();
    let mut dx = vec![f32::NAN; n * g.ci * g.window.input_len()];
    let out = SharedMut::new(&mut dx);
    run_all(&kernel, order, |_, task, _, scratch| {
        // SAFETY: as above.
        unsafe { kernel.run(task, dy, w, Epilogue::default(), out, scratch) }
    });
    dx
}

fn filter_grad(g: &ConvGeometry, n: usize, isa: Isa, x: &[f32], dy: &[f32], order: u64) -> Vec<f32> {
    let kernel = ConvFilterGradKernel::new(g, n, isa).unwrap();
    let mut dw = vec![f32::NAN; g.weight_shape().iter().product()];
    let out = SharedMut::new(&mut dw);
    run_all(&kernel, order, |phase, task, workspace, scratch| {
        // SAFETY: as above, and it keeps the phases apart.
        unsafe { kernel.run(phase, task, x, dy, out, workspace, scratch) }
    });
    dw
}

/// Geometries that are drawn at random, one in four of them in one or three dimensions.
fn drawn(count: usize) -> Vec<(ConvGeometry, usize)> {
    let mut s = Stream::new(11, 0, 0, op::TEST);
    let mut list = Vec::new();
    while list.len() < count {
        let rank = [2, 2, 2, 2, 2, 2, 1, 3][s.below(8)];
        let groups = [1, 1, 1, 2, 3, 8][s.below(6)];
        let deep = if groups > 3 { 2 } else { 40 / groups / rank };
        let (ci, co) = (groups * (1 + s.below(deep)), groups * (1 + s.below(deep)));
        let extent = if rank == 3 { 7 } else { 20 };
        let mut draw = |from: usize, n: usize| -> Vec<usize> { (0..rank).map(|_| from + s.below(n)).collect() };
        let (input, kernel) = (draw(1, extent), draw(1, 4));
        let (stride, dilation, before, after) = (draw(1, 3), draw(1, 2), draw(0, 3), draw(0, 3));
        let options = WindowOptions::new(&kernel)
            .stride(&stride)
            .dilation(&dilation)
            .padding(Padding::Explicit(before.into_iter().zip(after).collect()))
            .ceil_mode(s.below(4) == 0);
        let weight = [&[co, ci / groups], &kernel[..]].concat();
        let n = 1 + s.below(4);
        if let Ok(g) = ConvGeometry::new(ci, &input, &weight, groups, &options)
            && g.macs() * (n as u64) < 1_500_000
        {
            list.push((g, n));
        }
    }
    list
}

/// Geometries of real networks, small enough for the reference, and those with several tasks and parts.
fn chosen() -> Vec<(ConvGeometry, usize)> {
    let g = |ci: usize, co: usize, input: &[usize], k: usize, s: usize, p: usize, groups: usize| {
        let weight = [&[co, ci / groups], &vec![k; input.len()][..]].concat();
        let o = WindowOptions::new(&[]).stride(&[s]).padding(Padding::all(p));
        ConvGeometry::new(ci, input, &weight, groups, &o).unwrap()
    };
    vec![
        (g(1, 6, &[28, 28], 5, 1, 2, 1), 17),
        (g(6, 16, &[14, 14], 5, 1, 0, 1), 9),
        (g(33, 50, &[14, 14], 3, 1, 1, 1), 2),
        (g(16, 33, &[29, 29], 3, 2, 1, 1), 1),
        (g(70, 64, &[9, 9], 1, 1, 0, 1), 3),
        (g(64, 30, &[13, 13], 1, 2, 0, 1), 2),
        (g(300, 4, &[5, 5], 3, 1, 1, 1), 1),
        (g(64, 64, &[30, 30], 3, 1, 1, 64), 2),
        (g(32, 32, &[15, 200], 3, 2, 1, 32), 1),
        (g(2, 3, &[20, 20], 17, 1, 8, 1), 1),
        (g(3, 8, &[40, 40], 11, 4, 2, 1), 1),
        (g(2, 4, &[6, 30, 30], 3, 1, 1, 1), 2),
        (g(4, 8, &[3000], 9, 1, 4, 1), 2),
    ]
}

fn problems() -> Vec<(ConvGeometry, usize)> {
    let mut list = chosen();
    list.extend(drawn(300));
    list
}

#[test]
fn integers_are_convolved_exactly() {
    for (i, (g, n)) in problems().into_iter().enumerate() {
        let x = integers(1, n * g.ci * g.window.input_len());
        let w = integers(2, g.weight_shape().iter().product());
        let dy = integers(3, n * g.co * g.window.output_len());
        let bias = integers(4, g.co);
        let (mut y, mut dx, mut dw) = (dy.clone(), x.clone(), w.clone());
        reference::conv(&g, n, &x, &w, &mut y);
        reference::conv_input_grad(&g, n, &dy, &w, &mut dx);
        reference::conv_filter_grad(&g, n, &x, &dy, &mut dw);
        let len = g.window.output_len();
        let finish = |(i, v): (usize, &f32)| (v + bias[i / len % g.co] + dy[i]).clamp(0.0, 40.0);
        let rectified: Vec<f32> = y.iter().enumerate().map(finish).collect();
        let e = Epilogue { bias: Some(&bias), add: Some(&dy), relu: true, limit: 40.0 };
        let sets = Isa::available();
        let isa = sets[i % sets.len()];
        for isa in [sets[0], isa] {
            assert!(forward(&g, n, isa, &x, &w, Epilogue::default(), 0) == y, "n={n} {g} {isa}");
            assert!(forward(&g, n, isa, &x, &w, e, 0) == rectified, "n={n} {g} {isa}");
            assert!(input_grad(&g, n, isa, &dy, &w, 0) == dx, "input gradient n={n} {g} {isa}");
            assert!(filter_grad(&g, n, isa, &x, &dy, 0) == dw, "filter gradient n={n} {g} {isa}");
        }
    }
}

fn bits(v: Vec<f32>) -> Vec<u32> {
    v.into_iter().map(f32::to_bits).collect()
}

#[test]
fn bits_do_not_depend_on_instruction_set_order_or_threads() {
    let mut list = problems();
    list.retain(|(g, n)| g.macs() * *n as u64 <= 600_000);
    for (i, (g, n)) in list.into_iter().enumerate() {
        let x = uniform(1, n * g.ci * g.window.input_len());
        let w = uniform(2, g.weight_shape().iter().product());
        let dy = uniform(3, n * g.co * g.window.output_len());
        let all = |isa, order| {
            (
                bits(forward(&g, n, isa, &x, &w, Epilogue::default(), order)),
                bits(input_grad(&g, n, isa, &dy, &w, order)),
                bits(filter_grad(&g, n, isa, &x, &dy, order)),
            )
        };
        let mut same = Same::new();
        for isa in Isa::available() {
            for order in [0, 1 + i as u64] {
                assert!(same.holds(isa, &all(isa, order)), "n={n} {g} {isa}");
            }
        }
    }
}

/// Several tasks and both phases, at sizes where rounding shows a wrong order.
#[test]
fn many_tasks_give_the_same_bits() {
    let o = WindowOptions::new(&[]).padding(Padding::all(1));
    let g = ConvGeometry::new(40, &[20, 20], &[44, 40, 3, 3], 1, &o).unwrap();
    let (n, isa) = (3, Isa::best());
    assert!(ConvKernel::forward(&g, n, isa).unwrap().phases()[0] > 3);
    let x = uniform(1, n * g.ci * g.window.input_len());
    let w = uniform(2, g.weight_shape().iter().product());
    let dy = uniform(3, n * g.co * g.window.output_len());
    let (y, dx, dw) = (
        forward(&g, n, isa, &x, &w, Epilogue::default(), 0),
        input_grad(&g, n, isa, &dy, &w, 0),
        filter_grad(&g, n, isa, &x, &dy, 0),
    );
    for order in 1..5 {
        assert!(forward(&g, n, isa, &x, &w, Epilogue::default(), order) == y);
        assert!(input_grad(&g, n, isa, &dy, &w, order) == dx);
        assert!(filter_grad(&g, n, isa, &x, &dy, order) == dw);
    }
    // The gradients are adjoints of the convolution.
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let (a, b, c) = (dot(&y, &dy), dot(&x, &dx), dot(&w, &dw));
    let scale = dot(&y, &y).sqrt() * dot(&dy, &dy).sqrt();
    assert!((a - b).abs() < 1e-6 * scale && (a - c).abs() < 1e-6 * scale, "{a} {b} {c}");
}
