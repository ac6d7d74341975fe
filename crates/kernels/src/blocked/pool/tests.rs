use super::*;
use crate::blocked::{Block, Packing};
use crate::check::{Same, run_all, uniform};
use crate::{Isa, SharedMut, reference};
use gabor_tensor::{Padding, PoolDivisor, Stream, Window, WindowOptions, rng::op};

/// Windows, images and channels that are drawn at random.
fn drawn(count: usize) -> Vec<(Window, usize, usize)> {
    let mut s = Stream::new(41, 0, 0, op::TEST);
    let mut list = Vec::new();
    while list.len() < count {
        let rank = [2, 2, 2, 1, 3][s.below(5)];
        let mut draw = |from: usize, n: usize| -> Vec<usize> { (0..rank).map(|_| from + s.below(n)).collect() };
        let (input, kernel) = (draw(1, [60, 25, 8][rank - 1]), draw(1, if rank == 3 { 3 } else { 6 }));
        let (stride, dilation, before, after) = (draw(1, 4), draw(1, 2), draw(0, 3), draw(0, 3));
        let options = WindowOptions::new(&kernel)
            .stride(&stride)
            .dilation(&dilation)
            .padding(Padding::Explicit(before.into_iter().zip(after).collect()))
            .ceil_mode(s.below(3) == 0);
        if let Ok(w) = options.resolve(&input) {
            list.push((w, 1 + s.below(3), 1 + s.below(40)));
        }
    }
    list
}

/// Windows of real networks, with several tasks.
fn chosen() -> Vec<(Window, usize, usize)> {
    let w = |k: usize, s: usize, p: usize, input: usize| {
        WindowOptions::new(&[k]).stride(&[s]).padding(Padding::all(p)).ceil_mode(k == 3).resolve(&[input; 2]).unwrap()
    };
    vec![
        (w(2, 2, 0, 28), 2, 40),
        (w(3, 2, 1, 112), 1, 17),
        (w(3, 2, 0, 55), 1, 32),
        (w(3, 1, 1, 14), 3, 96),
        (w(7, 1, 0, 7), 2, 300),
        (w(13, 13, 0, 13), 1, 20),
        (w(5, 1, 2, 9), 2, 33),
    ]
}

fn blocked(e: Blocked, from: &[f32]) -> Vec<f32> {
    let block = Block::new(e, Isa::PORTABLE);
    let mut to = vec![f32::NAN; e.len()];
    let out = SharedMut::new(&mut to);
    // SAFETY: `run_all` keeps tasks apart.
    run_all(&block, 0, |p, t, w, s| unsafe { block.pack(p, t, from, out, w, s) });
    to
}

/// To plain order. Lanes beyond the last channel must be `tail`, if it is given.
fn plain<T: Copy + PartialEq + std::fmt::Debug>(e: Blocked, from: &[T], tail: Option<T>) -> Vec<T> {
    let mut to = vec![from[0]; e.n * e.c * e.plane];
    for (i, &v) in from.iter().enumerate() {
        let (lane, pixel, b) = (i % LANES, i / LANES % e.plane, i / LANES / e.plane);
        let (image, channel) = (b / e.blocks(), b % e.blocks() * LANES + lane);
        if channel < e.c {
            to[(image * e.c + channel) * e.plane + pixel] = v;
        } else {
            assert!(tail.is_none_or(|t| t == v), "{v:?} in lane {channel} of {}", e.c);
        }
    }
    to
}

fn switches_to_blocked(e: Blocked, from: &[i32]) -> Vec<i32> {
    let bits: Vec<f32> = from.iter().map(|&s| f32::from_bits(s as u32)).collect();
    blocked(e, &bits).into_iter().map(|v| v.to_bits() as i32).collect()
}

/// Zeros without a sign, NaN without a payload.
fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|&v| if v.is_nan() { 0x7fc0_0000 } else { (v + 0.0).to_bits() }).collect()
}

#[test]
fn maxima_and_their_gradients_equal_the_reference() {
    for (i, (w, n, c)) in drawn(90).into_iter().chain(chosen()).enumerate() {
        let e = Blocked { n, c, plane: w.input_len() };
        let o = Blocked { plane: w.output_len(), ..e };
        let (planes, xl, yl) = (n * c, n * c * e.plane, n * c * o.plane);
        // Few different numbers, so that there are ties.
        let mut x: Vec<f32> = uniform(i as u64, xl).into_iter().map(|v| (v * 8.0).round() / 8.0).collect();
        let dy = uniform(1, yl);
        for (j, v) in [f32::NEG_INFINITY, f32::NAN, f32::INFINITY].into_iter().enumerate() {
            // Planes without such numbers go another way.
            if i % 4 == j {
                x.iter_mut().take(3 * e.plane).step_by(3 + j).for_each(|x| *x = v);
            }
        }
        let (mut y, mut switches, mut dx) = (vec![0.0; yl], vec![0; yl], vec![0.0; xl]);
        reference::max_pool(&w, planes, &x, &mut y, &mut switches);
        reference::max_unpool(&w, planes, &dy, &switches, &mut dx);
        let mut gathered = vec![0.0; yl];
        reference::max_pool_gather(&w, planes, &x, &switches, &mut gathered);
        let (x, dy) = (blocked(e, &x), blocked(o, &dy));
        for (order, isa) in Isa::available().into_iter().enumerate() {
            let order = order as u64;
            let mut y2 = vec![f32::NAN; o.len()];
            let k = MaxPoolBlocked::new(&w, n, c, isa).unwrap();
            let to = SharedMut::new(&mut y2);
            // SAFETY: `run_all` keeps tasks apart.
            run_all(&k, order, |_, task, _, _| unsafe { k.run(task, &x, to) });
            assert_eq!(bits(&plain(o, &y2, Some(0.0))), bits(&y), "{w} {isa}");

            let (mut y2, mut s2) = (vec![f32::NAN; o.len()], vec![7; o.len()]);
            let k = MaxPoolSwitchesBlocked::new(&w, n, c, isa).unwrap();
            let (to, places) = (SharedMut::new(&mut y2), SharedMut::new(&mut s2));
            // SAFETY: `run_all` keeps tasks apart.
            run_all(&k, order, |_, task, _, _| unsafe { k.run(task, &x, to, places) });
            assert_eq!(bits(&plain(o, &y2, Some(0.0))), bits(&y), "{w} {isa}");
            assert_eq!(plain(o, &s2, None), switches, "{w} {isa}");

            let k = MaxUnpoolBlocked::new(&w, n, c, isa).unwrap();
            for s in [&s2, &switches_to_blocked(o, &switches)] {
                let mut d2 = vec![f32::NAN; e.len()];
                let to = SharedMut::new(&mut d2);
                // SAFETY: `run_all` keeps tasks apart.
                run_all(&k, order, |_, task, _, _| unsafe { k.run(task, &dy, s, to) });
                assert_eq!(bits(&plain(e, &d2, Some(0.0))), bits(&dx), "{w} {isa}");
            }

            let k = MaxPoolGatherBlocked::new(&w, n, c);
            let to = SharedMut::new(&mut y2);
            // SAFETY: `run_all` keeps tasks apart.
            run_all(&k, order, |_, task, _, _| unsafe { k.run(task, &x, &s2, to) });
            assert_eq!(bits(&plain(o, &y2, Some(0.0))), bits(&gathered), "{w}");
        }
    }
}

#[test]
fn switches_of_another_window_are_followed() {
    let w = WindowOptions::new(&[2, 2]).stride(&[2, 2]).resolve(&[4, 4]).unwrap();
    let (x, y) = (Blocked { n: 1, c: 1, plane: 16 }, Blocked { n: 1, c: 1, plane: 4 });
    let dy = blocked(y, &[1.0, 2.0, 3.0, 4.0]);
    let switches = switches_to_blocked(y, &[15, -1, 15, i32::MIN]);
    for isa in Isa::available() {
        let (k, mut dx) = (MaxUnpoolBlocked::new(&w, 1, 1, isa).unwrap(), vec![7.0; x.len()]);
        // SAFETY: a single task.
        unsafe { k.run(0, &dy, &switches, SharedMut::new(&mut dx)) };
        let dx = plain(x, &dx, Some(0.0));
        assert_eq!((dx[15], dx.iter().sum::<f32>()), (4.0, 4.0));
    }
}

#[test]
fn averages_and_their_gradients_equal_the_reference() {
    for (i, (w, n, c)) in drawn(90).into_iter().chain(chosen()).enumerate() {
        let divisor = [PoolDivisor::CountIncludePad, PoolDivisor::CountExcludePad, PoolDivisor::One][i % 3];
        let e = Blocked { n, c, plane: w.input_len() };
        let o = Blocked { plane: w.output_len(), ..e };
        let (xl, yl) = (n * c * e.plane, n * c * o.plane);
        let (x, dy) = (uniform(i as u64, xl), uniform(1, yl));
        let (mut y, mut dx) = (vec![0.0; yl], vec![0.0; xl]);
        reference::avg_pool(&w, n * c, divisor, &x, &mut y);
        reference::avg_pool_grad(&w, n * c, divisor, &dy, &mut dx);
        let (x, dy) = (blocked(e, &x), blocked(o, &dy));
        let mut same = Same::new();
        for (order, isa) in Isa::available().into_iter().enumerate() {
            let (mut y2, mut d2) = (vec![f32::NAN; o.len()], vec![f32::NAN; e.len()]);
            let k = AvgPoolBlocked::new(&w, n, c, divisor, isa).unwrap();
            let to = SharedMut::new(&mut y2);
            // SAFETY: `run_all` keeps tasks apart.
            run_all(&k, order as u64, |_, task, _, _| unsafe { k.run(task, &x, to) });
            let k = AvgPoolGradBlocked::new(&w, n, c, divisor, isa).unwrap();
            let to = SharedMut::new(&mut d2);
            // SAFETY: `run_all` keeps tasks apart.
            run_all(&k, order as u64, |_, task, _, _| unsafe { k.run(task, &dy, to) });
            let (y2, d2) = (plain(o, &y2, Some(0.0)), plain(e, &d2, Some(0.0)));
            for (a, b) in y2.iter().chain(&d2).zip(y.iter().chain(&dx)) {
                assert!((a - b).abs() <= 2e-6 * (1.0 + b.abs()), "{w} {isa}: {a} and {b}");
            }
            let all = [y2, d2].map(|v| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
            assert!(same.holds(isa, &all), "{w} {isa}");
        }
    }
}

#[test]
fn giants_are_refused() {
    let giant = WindowOptions::new(&[300]).padding(Padding::all(299)).resolve(&[4, 4]).unwrap();
    assert_eq!(MaxPoolBlocked::new(&giant, 1, 1, Isa::best()).unwrap_err(), "windows of 90000 elements, at most 65536");
    let wide = WindowOptions::new(&[1]).resolve(&[(1 << 23) + 1]).unwrap();
    let e = MaxUnpoolBlocked::new(&wide, 1, 1, Isa::best()).unwrap_err();
    assert_eq!(e, "planes of 8388609 pixels, at most 8388608");
}
