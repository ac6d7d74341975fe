use super::*;
use crate::check::{Same, run_all, uniform};
use crate::{Isa, SharedMut, reference};
use gabor_tensor::{Padding, PoolDivisor, Stream, WindowOptions, rng::op};

fn drawn(count: usize) -> Vec<(Window, usize)> {
    let mut s = Stream::new(21, 0, 0, op::TEST);
    let mut list = Vec::new();
    while list.len() < count {
        let rank = [2, 2, 2, 1, 3][s.below(5)];
        let mut draw = |from: usize, n: usize| -> Vec<usize> { (0..rank).map(|_| from + s.below(n)).collect() };
        let (input, kernel) = (draw(1, if rank == 3 { 8 } else { 40 }), draw(1, 4));
        let (stride, dilation, before, after) = (draw(1, 4), draw(1, 2), draw(0, 3), draw(0, 3));
        let options = WindowOptions::new(&kernel)
            .stride(&stride)
            .dilation(&dilation)
            .padding(Padding::Explicit(before.into_iter().zip(after).collect()))
            .ceil_mode(s.below(3) == 0);
        if let Ok(w) = options.resolve(&input) {
            list.push((w, 1 + s.below(5)));
        }
    }
    list
}

/// Windows of real networks, with several tasks.
fn chosen() -> Vec<(Window, usize)> {
    let w = |k: usize, s: usize, p: usize, input: &[usize]| {
        WindowOptions::new(&[k]).stride(&[s]).padding(Padding::all(p)).resolve(input).unwrap()
    };
    vec![
        (w(2, 2, 0, &[28, 28]), 90),
        (w(2, 2, 0, &[10, 10]), 7),
        (w(2, 2, 0, &[67, 35]), 17),
        (w(3, 2, 1, &[112, 112]), 6),
        (w(3, 1, 1, &[14, 14]), 5),
        (w(7, 1, 0, &[7, 7]), 700),
        (w(13, 5, 0, &[13, 13]), 3),
    ]
}

fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|v| if v.is_nan() { 0x7fc0_0000 } else { v.to_bits() }).collect()
}

/// Few different numbers, so that there are ties.
fn steps(seed: u64, len: usize) -> Vec<f32> {
    uniform(seed, len).into_iter().map(|v| (v * 8.0).round() / 8.0).collect()
}

#[test]
fn maxima_and_their_gradients_equal_the_reference() {
    for (i, (w, planes)) in drawn(120).into_iter().chain(chosen()).enumerate() {
        let (xl, yl) = (planes * w.input_len(), planes * w.output_len());
        let mut x = steps(i as u64, xl);
        let dy = uniform(1, yl);
        for (j, v) in [f32::NEG_INFINITY, f32::NAN, f32::INFINITY].into_iter().enumerate() {
            // Planes without such numbers go another way.
            if i % 3 == j {
                x.iter_mut().take(w.input_len()).step_by(3 + j).for_each(|x| *x = v);
            }
        }
        let (mut y, mut switches, mut dx) = (vec![0.0; yl], vec![0; yl], vec![0.0; xl]);
        reference::max_pool(&w, planes, &x, &mut y, &mut switches);
        reference::max_unpool(&w, planes, &dy, &switches, &mut dx);
        let mut gathered = vec![0.0; yl];
        reference::max_pool_gather(&w, planes, &x, &switches, &mut gathered);
        for (order, isa) in Isa::available().into_iter().enumerate() {
            let (mut y2, mut s2) = (vec![7.0; yl], vec![7; yl]);
            let k = MaxPoolKernel::new(&w, planes, isa).unwrap();
            let (to, places) = (SharedMut::new(&mut y2), SharedMut::new(&mut s2));
            run_all(&k, order as u64, |_, task, _, scratch| {
                // SAFETY: tasks of one kernel, each with its own scratch.
                unsafe { k.run(task, &x, to, places, scratch) }
            });
            assert_eq!((bits(&y2), &s2), (bits(&y), &switches), "{w} {isa}");
            y2.fill(7.0);
            let k = MaxPoolValuesKernel::new(&w, planes, isa).unwrap();
            let to = SharedMut::new(&mut y2);
            run_all(&k, order as u64, |_, task, _, scratch| {
                // SAFETY: as above.
                unsafe { k.run(task, &x, to, scratch) }
            });
            assert!(
                bits(&y2).iter().zip(bits(&y)).all(|(a, b)| *a == b || (a | b) << 1 == 0),
                "maxima alone of {w} {isa}"
            );
            let mut d2 = vec![7.0; xl];
            let k = MaxUnpoolKernel::new(&w, planes, isa);
            let to = SharedMut::new(&mut d2);
            // SAFETY: as above.
            run_all(&k, order as u64, |_, task, _, _| unsafe { k.run(task, &dy, &switches, to) });
            assert_eq!(bits(&d2), bits(&dx), "{w} {isa}");
            let k = MaxPoolGatherKernel::new(&w, planes);
            let to = SharedMut::new(&mut y2);
            // SAFETY: as above.
            run_all(&k, order as u64, |_, task, _, _| unsafe { k.run(task, &x, &switches, to) });
            assert_eq!(bits(&y2), bits(&gathered), "{w}");
        }
    }
}

#[test]
fn switches_of_another_window_are_followed() {
    let w = WindowOptions::new(&[2, 2]).stride(&[2, 2]).resolve(&[4, 4]).unwrap();
    let (dy, switches) = ([1.0, 2.0, 3.0, 4.0], [15, -1, 15, i32::MIN]);
    for isa in Isa::available() {
        let (k, mut dx) = (MaxUnpoolKernel::new(&w, 1, isa), [7.0; 16]);
        // SAFETY: a single task.
        unsafe { k.run(0, &dy, &switches, SharedMut::new(&mut dx)) };
        assert_eq!((dx[15], dx.iter().sum::<f32>()), (4.0, 4.0));
    }
}

#[test]
fn averages_and_their_gradients_equal_the_reference() {
    for (i, (w, planes)) in drawn(100).into_iter().chain(chosen()).enumerate() {
        let divisor = [PoolDivisor::CountIncludePad, PoolDivisor::CountExcludePad, PoolDivisor::One][i % 3];
        let (xl, yl) = (planes * w.input_len(), planes * w.output_len());
        let (x, dy) = (uniform(i as u64, xl), uniform(1, yl));
        let (mut y, mut dx) = (vec![0.0; yl], vec![0.0; xl]);
        reference::avg_pool(&w, planes, divisor, &x, &mut y);
        reference::avg_pool_grad(&w, planes, divisor, &dy, &mut dx);
        let mut same = Same::new();
        for (order, isa) in Isa::available().into_iter().enumerate() {
            let (mut y2, mut d2) = (vec![7.0; yl], vec![7.0; xl]);
            let k = AvgPoolKernel::new(&w, planes, divisor, isa).unwrap();
            let to = SharedMut::new(&mut y2);
            // SAFETY: tasks of one kernel, each with its own scratch.
            run_all(&k, order as u64, |_, task, _, scratch| unsafe { k.run(task, &x, to, scratch) });
            let k = AvgPoolGradKernel::new(&w, planes, divisor, isa).unwrap();
            let to = SharedMut::new(&mut d2);
            // SAFETY: as above.
            run_all(&k, order as u64, |_, task, _, scratch| unsafe { k.run(task, &dy, to, scratch) });
            for (a, b) in y2.iter().chain(&d2).zip(y.iter().chain(&dx)) {
                assert!((a - b).abs() <= 2e-6 * (1.0 + b.abs()), "{w} {isa}: {a} and {b}");
            }
            let all = (bits(&y2), bits(&d2));
            assert!(same.holds(isa, &all), "{w} {isa}");
        }
    }
}

#[test]
fn giant_geometries_are_refused() {
    let padding = Padding::all(1 << 30);
    let w = WindowOptions::new(&[1]).stride(&[1 << 30]).padding(padding).resolve(&[1]).unwrap();
    let e = MaxPoolKernel::new(&w, 1, Isa::best()).unwrap_err();
    assert_eq!(e, "16 rows of 1073741824 elements in scratch memory, at most 67108864 together");
}
