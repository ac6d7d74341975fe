//! 16-bit floats to 32 bits.

/// IEEE 754 binary16.
pub(crate) fn f16_to_f32(h: u16) -> f32 {
    let sign = u32::from(h & 0x8000) << 16;
    let (exponent, fraction) = (u32::from(h >> 10 & 0x1F), u32::from(h & 0x3FF));
    match (exponent, fraction) {
        (0, 0) => f32::from_bits(sign),
        // A subnormal number is a multiple of 2⁻²⁴, which f32 represents exactly.
        (0, f) => {
            let v = f as f32 * 2f32.powi(-24);
            if sign == 0 { v } else { -v }
        }
        (31, f) => f32::from_bits(sign | 0x7F80_0000 | f << 13),
        (e, f) => f32::from_bits(sign | (e + 112) << 23 | f << 13),
    }
}

/// The upper half of a binary32.
pub(crate) fn bf16_to_f32(h: u16) -> f32 {
    f32::from_bits(u32::from(h) << 16)
}

/// The nearest binary16, ties to even; numbers too large become infinite.
pub(crate) fn f32_to_f16(v: f32) -> u16 {
    let bits = v.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let size = f32::from_bits(bits & 0x7FFF_FFFF);
    if size.is_nan() {
        return sign | 0x7E00;
    }
    // 65520 lies half-way between the largest half and the next power of two.
    if size >= 65520.0 {
        return sign | 0x7C00;
    }
    if size < 2f32.powi(-14) {
        // Subnormal: a multiple of 2⁻²⁴.
        let scaled = size * 2f32.powi(24);
        return sign | scaled.round_ties_even() as u16;
    }
    let rounded = (bits & 0x7FFF_FFFF) + 0xFFF + (bits >> 13 & 1);
    sign | ((rounded >> 13) - (112 << 10)) as u16
}

/// The nearest upper half of a binary32, ties to even.
pub(crate) fn f32_to_bf16(v: f32) -> u16 {
    let bits = v.to_bits();
    if v.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves() {
        for (h, v) in [
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03FF, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x7C00, f32::INFINITY),
        ] {
            assert_eq!(f16_to_f32(h), v, "{h:x}");
        }
        assert!(f16_to_f32(0x7E00).is_nan() && f16_to_f32(0x8000).is_sign_negative());
        assert_eq!(f16_to_f32(0x8001), -5.960_464_5e-8);
        assert_eq!(bf16_to_f32(0x3F80), 1.0);
    }

    #[test]
    fn all_halves_come_back() {
        for h in 0..=u16::MAX {
            let v = f16_to_f32(h);
            assert!(v.is_nan() && f16_to_f32(f32_to_f16(v)).is_nan() || f32_to_f16(v) == h, "{h:x}");
            let b = bf16_to_f32(h);
            assert!(b.is_nan() && bf16_to_f32(f32_to_bf16(b)).is_nan() || f32_to_bf16(b) == h, "{h:x}");
        }
        for (v, h) in [(65519.0, 0x7BFF), (65520.0, 0x7C00), (1.000_488_3, 0x3C00), (1.001_464_8, 0x3C02), (3e-8, 1)] {
            assert_eq!(f32_to_f16(v), h, "{v}");
        }
    }
}
