//! CRC-32C (Castagnoli), of TensorBoard's records and of checkpoints.

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut c = i as u32;
        let mut k = 0;
        while k < 8 {
            c = if c & 1 == 1 { c >> 1 ^ 0x82F6_3B78 } else { c >> 1 };
            k += 1;
        }
        table[i] = c;
        i += 1;
    }
    table
};

/// The checksum of more bytes after those that gave `crc`; 0 of none.
pub(crate) fn crc32c_more(crc: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!crc, |c, &b| TABLE[usize::from(c as u8 ^ b)] ^ c >> 8)
}

/// The checksum of bytes.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc32c_more(0, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vectors of RFC 3720, appendix B.4, and the usual check value.
    #[test]
    fn known_answers() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(crc32c_more(crc32c(b"1234"), b"56789"), crc32c(b"123456789"));
    }
}
