use super::*;

/// Every operation on awkward numbers, as bits.
struct All;
impl Kernel for All {
    type Out = Vec<u32>;
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) -> Vec<u32> {
        let a: [f32; 16] = std::array::from_fn(|i| match i {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => -0.0,
            3 => 1e-41,
            _ => (i as f32 - 8.0) * 1.37,
        });
        let b: [f32; 16] = std::array::from_fn(|i| if i == 5 { f32::NAN } else { 3.0 - i as f32 * 0.5 });
        let mut out = Vec::new();
        // SAFETY: the arrays have 16 elements, and parts stay below.
        unsafe {
            let (x, y) = (S::load(a.as_ptr()), S::load(b.as_ptr()));
            let mut keep =
                |v: S::V| out.extend(S::lanes(v).map(|v| if v.is_nan() { 0x7fc0_0000 } else { v.to_bits() }));
            keep(S::add(x, y));
            keep(S::sub(x, y));
            keep(S::mul(x, y));
            keep(S::div(x, y));
            // Numbers of few bits, whose products are exact on every set.
            keep(S::fma(S::and(x, S::bits(0xfff8_0000)), S::and(y, S::bits(0xfff8_0000)), x));
            keep(S::fma_whole(x, y, x));
            keep(S::sqrt(x));
            keep(S::max(x, y));
            keep(S::min(x, y));
            for m in [S::gt(x, y), S::eq(x, x), S::is_nan(y)] {
                keep(S::select(m, x, S::splat(7.0)));
            }
            keep(S::and(x, S::bits(0x7fff_ffff)));
            keep(S::or(x, S::bits(0x0000_00ff)));
            keep(S::xor(x, S::bits(0x8000_0000)));
            keep(S::add_int(x, y));
            keep(S::sub_int(x, y));
            keep(S::to_exponent(S::from_exponent(y)));
            keep(S::even(x, y));
            keep(S::odd(x, y));
            let (low, high) = S::interleave(x, y);
            keep(low);
            keep(high);
            keep(S::even(low, high));
            let from: [f32; 16] = std::array::from_fn(|l| f32::from_bits((l & 8 | (5 * l + 3) & 7) as u32));
            keep(S::permute(y, S::load(from.as_ptr())));
            let rows: [S::V; 16] = std::array::from_fn(|i| S::splat(i as f32));
            let columns = S::transpose(rows);
            for c in columns {
                keep(c);
            }
            for m in 0..=16 {
                let mut to = [9f32; 17];
                S::store_up_to(to.as_mut_ptr(), S::load_up_to(b.as_ptr(), m), m);
                assert!(to[m..].iter().all(|&v| v == 9.0));
                out.extend(to[..m].iter().map(|v| if v.is_nan() { 0 } else { v.to_bits() }));
            }
            out.push(S::sum(S::load_part(a.as_ptr().add(4), 9)).to_bits());
        }
        out
    }
}

#[test]
fn all_sets_give_the_same_bits() {
    // SAFETY: the kernel has no conditions of its own.
    let want = unsafe { Isa::PORTABLE.call(All) };
    for isa in Isa::available() {
        // SAFETY: as above.
        assert_eq!(unsafe { isa.call(All) }, want, "{isa}");
    }
}

#[test]
fn transposing_moves_every_lane() {
    struct Swap;
    impl Kernel for Swap {
        type Out = bool;
        #[inline(always)]
        unsafe fn run<S: Simd16>(self) -> bool {
            let a: [[f32; 16]; 16] = std::array::from_fn(|i| std::array::from_fn(|j| (i * 16 + j) as f32));
            // SAFETY: rows have 16 elements.
            unsafe {
                let t = S::transpose(a.map(|r| S::load(r.as_ptr())));
                t.into_iter().enumerate().all(|(j, v)| {
                    let lanes = S::lanes(v);
                    (0..16).all(|i| lanes[i] == a[i][j])
                })
            }
        }
    }
    for isa in Isa::available() {
        // SAFETY: the kernel has no conditions of its own.
        assert!(unsafe { isa.call(Swap) }, "{isa}");
    }
}

#[test]
fn names_are_found_again() {
    for isa in Isa::available() {
        assert_eq!(Isa::from_name(isa.name()), Some(isa));
    }
    assert_eq!(Isa::from_name("mmx"), None);
}
