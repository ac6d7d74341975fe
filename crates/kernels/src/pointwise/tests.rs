use super::*;
use crate::check::{Same, run_all, uniform};
use gabor_tensor::{Stream, rng::op};

/// Runs a program over inputs; `order` shuffles tasks over threads.
fn apply(program: &Program, access: &[Access], inputs: &[&[f32]], len: usize, isa: Isa, order: u64) -> Vec<Vec<f32>> {
    let kernel = MapKernel::new(program.clone(), access.to_vec(), len, isa);
    let mut out: Vec<Vec<f32>> = program.outputs.iter().map(|_| vec![f32::NAN; len]).collect();
    let shared: Vec<SharedMut<'_, f32>> = out.iter_mut().map(|o| SharedMut::new(o)).collect();
    let addresses: Vec<usize> = inputs.iter().map(|i| i.as_ptr() as usize).collect();
    run_all(&kernel, order, |_, task, _, scratch| {
        let inputs: Vec<*const f32> = addresses.iter().map(|&a| a as *const f32).collect();
        // SAFETY: the inputs have the elements that their access reads.
        unsafe { kernel.run(task, &inputs, &shared, scratch) }
    });
    out
}

fn one(f: Unary) -> Program {
    Program { instructions: vec![Instruction::Load(0), Instruction::Unary(f, 0)], outputs: vec![1] }
}

fn ulps(a: f32, b: f32) -> u32 {
    let key = |v: f32| {
        let b = v.to_bits() as i32;
        if b < 0 { i32::MIN - b } else { b }
    };
    if a.is_nan() && b.is_nan() { 0 } else { key(a).wrapping_sub(key(b)).unsigned_abs() }
}

/// Numbers over the whole range, with the special ones.
fn sweep() -> Vec<f32> {
    let mut v = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MIN_POSITIVE,
        1e-40,
        -1e-40,
        f32::MAX,
        88.7,
        88.8,
        -87.4,
        -103.9,
        -104.5,
        0.624_999_9,
        0.625,
        1e-7,
        -1e-7,
        0.5,
    ];
    let mut s = Stream::new(5, 0, 0, op::TEST);
    for _ in 0..60_000 {
        v.push(f32::from_bits(s.next_u32()));
        v.push(s.range(-20.0, 20.0) as f32);
        v.push(s.range(-1.0, 1.0) as f32);
    }
    v
}

#[test]
fn functions_keep_their_promises() {
    let x = sweep();
    for &f in Unary::ALL {
        let reference: Vec<f32> = x.iter().map(|&v| f.eval(f64::from(v)) as f32).collect();
        let got = apply(&one(f), &[Access::Full], &[&x], x.len(), Isa::best(), 0).remove(0);
        for ((&v, &want), &y) in x.iter().zip(&reference).zip(&got) {
            let near = match f {
                Unary::Exp => ulps(y, want) <= 2 || (want - y).abs() < f32::MIN_POSITIVE,
                Unary::Log => ulps(y, want) <= 2,
                Unary::Log1p | Unary::Tanh | Unary::Sigmoid | Unary::Erf => {
                    ulps(y, want) == 0 || (y - want).abs() <= 1e-6 * want.abs() + f32::MIN_POSITIVE
                }
                Unary::Sin | Unary::Cos => y.is_nan() == want.is_nan(),
                _ => ulps(y, f.eval(v)) == 0,
            };
            assert!(near, "{f}({v:e}) is {want:e}, not {y:e}");
        }
    }
}

#[test]
fn pairs_follow_their_definition() {
    let special = [0.0, -0.0, 1.0, -2.5, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 3.0];
    let a: Vec<f32> = special.iter().flat_map(|&v| [v; 8]).collect();
    let b: Vec<f32> = (0..64).map(|i| special[i % 8]).collect();
    for &f in Binary::ALL {
        let p = Program {
            instructions: vec![Instruction::Load(0), Instruction::Load(1), Instruction::Binary(f, 0, 1)],
            outputs: vec![2],
        };
        for isa in Isa::available() {
            let y = apply(&p, &[Access::Full; 2], &[&a, &b], 64, isa, 0).remove(0);
            for i in 0..64 {
                let want = f.eval(a[i], b[i]);
                // Powers of usual numbers are accurate, not exact.
                let limit = if f == Binary::Pow { 4 } else { 0 };
                assert!(ulps(y[i], want) <= limit, "{f}({}, {}) is {want}, not {}", a[i], b[i], y[i]);
            }
        }
    }
}

#[test]
fn powers_keep_their_promise() {
    let a: Vec<f32> = (0..40_000).map(|i| f32::from_bits(0x2000_0000 + i * 27_001)).collect();
    let p = Program {
        instructions: vec![Instruction::Load(0), Instruction::Load(1), Instruction::Binary(Binary::Pow, 0, 1)],
        outputs: vec![2],
    };
    let access = [Access::Full, Access::Scalar];
    for e in [0.0, 0.5, -0.75, 1.0, 2.0, 3.0, -4.0, 0.999, 37.5, -1e-3] {
        let y = apply(&p, &access, &[&a, &[e]], a.len(), Isa::best(), 0).remove(0);
        for (&a, &y) in a.iter().zip(&y) {
            let want = Binary::Pow.eval(f64::from(a), f64::from(e));
            let near = (f64::from(y) - want).abs() <= 1e-6 * want + f64::from(f32::MIN_POSITIVE);
            assert!(near || (want > 3.4e38 && y > 3.4e38), "{a} to the power {e} is {want}, not {y}");
        }
    }
}

#[test]
fn constant_powers_are_powers() {
    let x: Vec<f32> = uniform(3, 300).iter().map(|v| v.abs() * 5.0 + 0.01).collect();
    for c in [-0.75, 0.75, 0.5, -2.0, 3.0, 0.25, 1.3] {
        let instructions = vec![Instruction::Load(0), Instruction::Constant(c), Instruction::Binary(Binary::Pow, 0, 1)];
        let p = Program { instructions, outputs: vec![2] };
        let y = apply(&p, &[Access::Full], &[&x], 300, Isa::best(), 0).remove(0);
        for (&v, &y) in x.iter().zip(&y) {
            assert!((y - v.powf(c)).abs() <= 1e-6 * v.powf(c), "{v}^{c}");
        }
    }
}

#[test]
fn every_access_set_and_order_gives_the_same_bits() {
    // max(a·s + channel, 0)·row and the sum before it, over lengths around blocks and tasks.
    use Instruction::*;
    let p = Program {
        instructions: vec![
            Load(0),
            Load(1),
            Load(2),
            Load(3),
            Binary(gabor_tensor::Binary::Mul, 0, 1),
            Binary(gabor_tensor::Binary::Add, 4, 2),
            Unary(gabor_tensor::Unary::Tanh, 5),
            Binary(gabor_tensor::Binary::Mul, 6, 3),
        ],
        outputs: vec![5, 7],
    };
    for (n, c, inner) in [(1, 3, 5), (2, 7, 100), (3, 2, 513), (9, 40, 300)] {
        let len = n * c * inner;
        let (a, s) = (uniform(1, len), [0.7]);
        let (channel, row) = (uniform(2, c), uniform(4, inner));
        let access =
            [Access::Full, Access::Scalar, Access::Channel { channels: c, inner }, Access::Row { period: inner }];
        let inputs: [&[f32]; 4] = [&a, &s, &channel, &row];
        let first = apply(&p, &access, &inputs, len, Isa::PORTABLE, 0);
        for i in 0..len {
            let t = a[i] * 0.7 + channel[i / inner % c];
            assert!((first[0][i] - t).abs() < 1e-6 && (first[1][i] - t.tanh() * row[i % inner]).abs() < 1e-6);
        }
        let mut same = Same::new();
        for isa in [&[Isa::PORTABLE], &Isa::available()[..]].concat() {
            for order in 0..3 {
                let y = apply(&p, &access, &inputs, len, isa, order);
                let bits: Vec<u32> = y.iter().flatten().map(|x| x.to_bits()).collect();
                assert!(same.holds(isa, &bits), "{isa} order {order}");
            }
        }
    }
}

#[test]
fn an_output_may_lie_over_an_input() {
    // v ← 0.9·v + g; w ← w - 0.1·v + old v·0: the last term reads the old v after the new one is known.
    use Instruction::*;
    let add = gabor_tensor::Binary::Add;
    let mul = gabor_tensor::Binary::Mul;
    let p = Program {
        instructions: vec![
            Load(0),
            Load(1),
            Load(2),
            Constant(0.9),
            Constant(-0.1),
            Binary(mul, 0, 3),
            Binary(add, 5, 1),
            Binary(mul, 6, 4),
            Binary(add, 2, 7),
            Binary(add, 8, 0),
        ],
        outputs: vec![6, 9],
    };
    let len = 1300;
    let (v, g, w) = (uniform(1, len), uniform(2, len), uniform(3, len));
    let want = apply(&p, &[Access::Full; 3], &[&v, &g, &w], len, Isa::best(), 0);
    let (mut v2, mut w2) = (v.clone(), w.clone());
    let kernel = MapKernel::new(p, vec![Access::Full; 3], len, Isa::best());
    let inputs = [v2.as_ptr(), g.as_ptr(), w2.as_ptr()];
    let outputs = [SharedMut::new(&mut v2), SharedMut::new(&mut w2)];
    let mut scratch = vec![0.0; kernel.scratch_len()];
    for task in 0..kernel.phases()[0] {
        // SAFETY: the buffers are alive and as long as needed.
        unsafe { kernel.run(task, &inputs, &outputs, &mut scratch) };
    }
    assert!(v2 == want[0] && w2 == want[1]);
}

#[test]
fn blocked_tensors_keep_their_zero_lanes() {
    // (x·a + b) with one number per channel and one per channel of each image, then what maps zero elsewhere.
    let numbers = vec![
        Instruction::Load(0),
        Instruction::Load(1),
        Instruction::Load(2),
        Instruction::Binary(Binary::Mul, 0, 1),
        Instruction::Binary(Binary::Add, 3, 2),
        Instruction::Unary(Unary::Sigmoid, 4),
    ];
    let program = Program { instructions: numbers, outputs: vec![4, 5] };
    let access = [Access::Full, Access::Lanes { images: false }, Access::Lanes { images: true }];
    for (n, c, plane) in [(2, 35, 50), (3, 16, 49), (1, 7, 3000), (2, 20, 1)] {
        let e = Blocked { n, c, plane };
        let channel = |i: usize| i / 16 / plane % e.blocks() * 16 + i % 16;
        let zeroed = |v: &mut Vec<f32>| {
            for (i, v) in v.iter_mut().enumerate() {
                *v = if channel(i) < c { *v } else { 0.0 };
            }
        };
        let mut x = uniform(1, e.len());
        zeroed(&mut x);
        let (a, b) = (uniform(2, c), uniform(3, n * c));
        for (order, isa) in Isa::available().into_iter().enumerate() {
            let kernel = MapKernel::blocked(program.clone(), access.to_vec(), e, isa);
            let mut out = [vec![f32::NAN; e.len()], vec![f32::NAN; e.len()]];
            let shared = out.each_mut().map(|o| SharedMut::new(o));
            let of = [&x, &a, &b].map(|v| v.as_ptr() as usize);
            run_all(&kernel, order as u64, |_, task, _, scratch| {
                // SAFETY: the inputs have the elements that their access reads.
                unsafe { kernel.run(task, &of.map(|a| a as *const f32), &shared, scratch) }
            });
            for i in 0..e.len() {
                let (c_at, image) = (channel(i), i / 16 / plane / e.blocks());
                let want = if c_at < c { x[i] * a[c_at] + b[image * c + c_at] } else { 0.0 };
                assert_eq!(out[0][i], want, "{e:?} {isa}");
                assert_eq!(out[1][i] == 0.0, c_at >= c, "{e:?} {isa}");
            }
        }
    }
    let relu =
        Program { instructions: vec![Instruction::Load(0), Instruction::Unary(Unary::Relu, 0)], outputs: vec![1] };
    assert!(keeps_zero(&relu, &[Access::Full]) && !keeps_zero(&relu, &[Access::Scalar]));
    assert!(!keeps_zero(&program, &access));
}
