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
}
