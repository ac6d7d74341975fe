use super::*;
use crate::blocked::{Blocked, BlockedEpilogue, Packing};
use crate::check::{Same, integers, run_all, uniform};
use crate::{Isa, SharedMut, Work, reference};
use gabor_tensor::{Padding, Stream, WindowOptions, rng::op};

/// Plain order to blocked order, by definition.
fn blocked(e: Blocked, x: &[f32]) -> Vec<f32> {
    let mut to = vec![0.0; e.len()];
    for (i, &v) in x.iter().enumerate() {
        let (pixel, c, n) = (i % e.plane, i / e.plane % e.c, i / e.plane / e.c);
        to[e.start(n, c / 16) + pixel * 16 + c % 16] = v;
    }
    to
}

fn output(g: &ConvGeometry, n: usize) -> Blocked {
    Blocked { n, c: g.co, plane: g.window.output_len() }
}

fn forward(
    g: &ConvGeometry,
    n: usize,
    isa: Isa,
    x: Pixels<'_>,
    w: &[f32],
    e: BlockedEpilogue<'_>,
    order: u64,
) -> Vec<f32> {
    let kernel = FirstConvKernel::forward(g, n, isa).unwrap();
    let packing = kernel.packing();
    let mut packed = vec![f32::NAN; packing.packed_len()];
    let to = SharedMut::new(&mut packed);
    // SAFETY: `run_all` gives every call its own scratch and keeps phases apart, here and below.
    run_all(&packing, order, |p, t, work, s| unsafe { packing.pack(p, t, w, to, work, s) });
    let mut y = vec![f32::NAN; output(g, n).len()];
    let to = SharedMut::new(&mut y);
    // SAFETY: as above.
    run_all(&kernel, order, |_, task, _, s| unsafe { kernel.run(task, x, &packed, e, to, s) });
    y
}

fn filter_grad(g: &ConvGeometry, n: usize, isa: Isa, x: Pixels<'_>, dy: &[f32], order: u64) -> Vec<f32> {
    let kernel = FirstFilterGradKernel::new(g, n, isa).unwrap();
    let mut dw = vec![f32::NAN; g.weight_shape().iter().product()];
    let to = SharedMut::new(&mut dw);
    // SAFETY: as above.
    run_all(&kernel, order, |p, task, work, s| unsafe { kernel.run(p, task, x, dy, to, work, s) });
    dw
}

fn input_grad(g: &ConvGeometry, n: usize, isa: Isa, dy: &[f32], w: &[f32], order: u64) -> Vec<f32> {
    let kernel = FirstInputGradKernel::new(g, n, isa).unwrap();
    let mut dx = vec![f32::NAN; n * g.ci * g.window.input_len()];
    let to = SharedMut::new(&mut dx);
    // SAFETY: as above.
    run_all(&kernel, order, |_, task, _, s| unsafe { kernel.run(task, dy, w, to, s) });
    dx
}

fn geometry(ci: usize, co: usize, input: &[usize], k: usize, s: usize, p: usize) -> ConvGeometry {
    let weight = [&[co, ci], &vec![k; input.len()][..]].concat();
    let o = WindowOptions::new(&[]).stride(&[s]).padding(Padding::all(p));
    ConvGeometry::new(ci, input, &weight, 1, &o).unwrap()
}

/// First layers of real networks on smaller images, then geometries that are drawn at random.
fn problems() -> Vec<(ConvGeometry, usize)> {
    let mut list = vec![
        (geometry(3, 64, &[40, 45], 11, 4, 2), 1),
        (geometry(3, 96, &[35, 35], 11, 4, 0), 2),
        (geometry(3, 64, &[31, 37], 7, 2, 3), 1),
        (geometry(3, 40, &[30, 30], 3, 1, 1), 2),
        (geometry(3, 32, &[29, 29], 3, 2, 1), 2),
        (geometry(1, 6, &[28, 28], 5, 1, 2), 5),
        (geometry(15, 17, &[9, 11], 3, 1, 1), 2),
        (geometry(1, 8, &[3000], 9, 1, 4), 2),
        (geometry(2, 20, &[3001], 16, 5, 3), 1),
        (geometry(2, 33, &[5, 12, 13], 3, 2, 1), 2),
        (geometry(3, 16, &[6, 7, 8], 2, 1, 0), 1),
        // A stride beyond the window: pixels that no tap reaches.
        (geometry(3, 20, &[23, 40], 2, 3, 0), 1),
    ];
    let mut s = Stream::new(12, 0, 0, op::TEST);
    while list.len() < 120 {
        let rank = [2, 2, 2, 1, 3][s.below(5)];
        let (ci, co) = (1 + s.below(15), 1 + s.below(50));
        let extent = if rank == 3 { 7 } else { 20 };
        let mut draw = |from: usize, n: usize| -> Vec<usize> { (0..rank).map(|_| from + s.below(n)).collect() };
        let (input, kernel) = (draw(1, extent), draw(1, 8));
        let (stride, dilation, before, after) = (draw(1, 5), draw(1, 2), draw(0, 5), draw(0, 3));
        let options = WindowOptions::new(&kernel)
            .stride(&stride)
            .dilation(&dilation)
            .padding(Padding::Explicit(before.into_iter().zip(after).collect()))
            .ceil_mode(s.below(4) == 0);
        let n = 1 + s.below(4);
        if let Ok(g) = ConvGeometry::new(ci, &input, &[&[co, ci], &kernel[..]].concat(), 1, &options)
            && g.macs() * (n as u64) < 1_000_000
        {
            list.push((g, n));
        }
    }
    list
}

#[test]
fn integers_are_convolved_exactly() {
    for (i, (g, n)) in problems().into_iter().enumerate() {
        let e = output(&g, n);
        let x = integers(1, n * g.ci * g.window.input_len());
        let w = integers(2, g.weight_shape().iter().product());
        let dy = integers(3, n * g.co * e.plane);
        let (bias, add) = (integers(4, g.co), integers(5, dy.len()));
        let (mut y, mut dw, mut dx) = (dy.clone(), w.clone(), x.clone());
        reference::conv(&g, n, &x, &w, &mut y);
        reference::conv_filter_grad(&g, n, &x, &dy, &mut dw);
        reference::conv_input_grad(&g, n, &dy, &w, &mut dx);
        let sums = y.iter().zip(&add).enumerate();
        let full: Vec<f32> = sums.map(|(i, (v, a))| (v + a + bias[i / e.plane % e.c]).clamp(0.0, 90.0)).collect();
        let add = blocked(e, &add);
        let (plain, dy) = (blocked(e, &y), blocked(e, &dy));
        let epilogue = BlockedEpilogue { bias: Some(&bias), add: Some(&add), relu: true, limit: 90.0 };
        let sets = Isa::available();
        for isa in [sets[0], sets[i % sets.len()]] {
            let x = Pixels::Floats(&x);
            assert!(forward(&g, n, isa, x, &w, BlockedEpilogue::default(), 0) == plain, "n={n} {g} {isa}");
            assert!(forward(&g, n, isa, x, &w, epilogue, 0) == blocked(e, &full), "n={n} {g} {isa}");
            assert!(filter_grad(&g, n, isa, x, &dy, 0) == dw, "filter gradient n={n} {g} {isa}");
            assert!(input_grad(&g, n, isa, &dy, &w, 0) == dx, "input gradient n={n} {g} {isa}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_instruction_set_order_or_threads() {
    let mut list = problems();
    list.push((geometry(3, 70, &[90, 61], 5, 2, 2), 2));
    list.push((geometry(3, 70, &[40, 61], 3, 1, 1), 1));
    let last = list.len() - 2;
    for (i, (g, n)) in list.into_iter().enumerate() {
        if i >= last {
            assert!(FirstConvKernel::forward(&g, n, Isa::best()).unwrap().phases()[0] > 3);
            assert!(FirstFilterGradKernel::new(&g, n, Isa::best()).unwrap().phases()[0] > 3);
            assert!(FirstInputGradKernel::new(&g, n, Isa::best()).unwrap().phases()[0] > 3);
        } else if g.macs() * n as u64 > 400_000 {
            continue;
        }
        let x = uniform(1, n * g.ci * g.window.input_len());
        let w = uniform(2, g.weight_shape().iter().product());
        let dy = blocked(output(&g, n), &uniform(3, n * g.co * g.window.output_len()));
        let bits = |v: Vec<f32>| -> Vec<u32> { v.into_iter().map(f32::to_bits).collect() };
        let all = |isa, order| {
            let x = Pixels::Floats(&x);
            let y = forward(&g, n, isa, x, &w, BlockedEpilogue::default(), order);
            (bits(y), bits(filter_grad(&g, n, isa, x, &dy, order)), bits(input_grad(&g, n, isa, &dy, &w, order)))
        };
        let want = all(Isa::best(), 0);
        let mut same = Same::new();
        assert!(same.holds(Isa::best(), &want));
        for isa in Isa::available() {
            assert!(same.holds(isa, &all(isa, 1 + i as u64)), "n={n} {g} {isa}");
        }
        let y = forward(&g, n, Isa::best(), Pixels::Floats(&x), &w, BlockedEpilogue::default(), 0);
        let [dw, dx] = [want.1, want.2].map(|v| v.into_iter().map(f32::from_bits).collect::<Vec<f32>>());
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        let a = dot(&y, &dy);
        for b in [dot(&w, &dw), dot(&x, &dx)] {
            assert!((a - b).abs() <= 1e-6 * dot(&y, &y).sqrt() * dot(&dy, &dy).sqrt(), "{a} {b} {g}");
        }
    }
}

#[test]
fn bytes_are_scaled_and_shifted() {
    for (g, n) in problems().into_iter().take(12) {
        let len = g.window.input_len();
        let values: Vec<u8> = (0..n * g.ci * len).map(|i| (i * 37 % 256) as u8).collect();
        let (scale, shift) = (uniform(1, g.ci), uniform(2, g.ci));
        let floats: Vec<f32> = (values.iter().enumerate())
            .map(|(i, &v)| f32::from(v).mul_add(scale[i / len % g.ci], shift[i / len % g.ci]))
            .collect();
        let w = uniform(3, g.weight_shape().iter().product());
        let dy = blocked(output(&g, n), &uniform(4, n * g.co * g.window.output_len()));
        let bytes = Pixels::Bytes { values: &values, scale: &scale, shift: &shift };
        for isa in Isa::available() {
            let run =
                |x| (forward(&g, n, isa, x, &w, BlockedEpilogue::default(), 0), filter_grad(&g, n, isa, x, &dy, 0));
            let (a, b) = (run(bytes), run(Pixels::Floats(&floats)));
            // Without fused multiply-adds the scaled pixels themselves differ in their last places.
            let near = |a: &[f32], b: &[f32]| {
                let size = b.iter().fold(0f32, |m, v| m.max(v.abs()));
                a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * size)
            };
            assert!(a == b || !isa.is_exact() && near(&a.0, &b.0) && near(&a.1, &b.1), "{g} {isa}");
        }
    }
}

#[test]
fn other_layers_are_refused() {
    let many = geometry(16, 16, &[8, 8], 3, 1, 1);
    let why = FirstConvKernel::forward(&many, 1, Isa::best()).unwrap_err();
    assert_eq!(why, "1 groups and 16 input channels, not one group of less than 16");
    assert!(FirstFilterGradKernel::new(&many, 1, Isa::best()).is_err());
    assert!(FirstInputGradKernel::new(&many, 1, Isa::best()).is_err());
    let strides = geometry(1, 16, &[300, 300], 1, 65, 0);
    let why = FirstInputGradKernel::new(&strides, 1, Isa::best()).unwrap_err();
    assert_eq!(why, "strides of 4225 remainders, at most 4096");
    let far = WindowOptions::new(&[]).dilation(&[60]);
    let far = ConvGeometry::new(1, &[150, 150, 150], &[16, 1, 3, 3, 3], 1, &far).unwrap();
    assert!(FirstInputGradKernel::new(&far, 1, Isa::best()).unwrap_err().contains("floats of dy"));
    assert!(FirstConvKernel::forward(&geometry(1, 4, &[3, 3, 3, 3], 2, 1, 0), 1, Isa::best()).is_err());
}
