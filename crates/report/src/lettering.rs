//! Drawing on pictures: other pictures, and text in a small font of its own.

use crate::Picture;

/// Columns and rows of a letter, and of the cell that it stands in.
const LETTER: (usize, usize) = (5, 9);
const CELL: (usize, usize) = (6, 10);

/// The letters from space to `~`: bit 5 · row + column is ink. Rows 7 and 8 are below the line.
#[rustfmt::skip]
const LETTERS: [u64; 95] = [
    0x0, 0x100021084, 0x294a, 0x295f57d4a, 0x11f4717c4, 0x672222273, 0x593511526, 0x1084, 0x208210888, 0x88842082,
    0x9575480, 0x84f9080, 0x2218000000, 0x70000, 0x18c000000, 0x42222210, 0x3a33ae62e, 0x3884210c4, 0x7c444422e,
    0x3a304111f, 0x211f4a988, 0x3a3083c3f, 0x3a317844c, 0x10842221f, 0x3a317462e, 0x1910f462e, 0xc6018c0,
    0x110c018c0, 0x208208888, 0x1f07c00, 0x88882082, 0x10044422e, 0x783daf62e, 0x463f8c544, 0x3e317c62f,
    0x3a210862e, 0x3e318c62f, 0x7c217843f, 0x4217843f, 0x7a31e862e, 0x4631fc631, 0x38842108e, 0x19284211c,
    0x452519531, 0x7c2108421, 0x4631ad771, 0x4739ace71, 0x3a318c62e, 0x4217c62f, 0x59358c62e, 0x45257c62f,
    0x3e107043e, 0x10842109f, 0x3a318c631, 0x114a8c631, 0x4775ac631, 0x462a22a31, 0x108422a31, 0x7c222221f,
    0x30842108c, 0x420820821, 0x188421086, 0x4544, 0xf800000000, 0x82, 0x7a3e83800, 0x3e318bc21, 0x78210f800,
    0x7a318fa10, 0x383f8b800, 0x84213c4c, 0xe87a318f800, 0x46318bc21, 0x388421804, 0x64a10843008, 0x24a32a421,
    0x388421086, 0x56b5aac00, 0x46318bc00, 0x3a318b800, 0x10be318bc00, 0x1087a318f800, 0x4219b400, 0x3e0e0f800,
    0x304213c42, 0x7a318c400, 0x114a8c400, 0x2ab5ac400, 0x454454400, 0xe87a318c400, 0x7c4447c00, 0x208411088,
    0x108421084, 0x88441082, 0x8a8800,
];

impl Picture {
    /// A picture of one colour, three channels.
    pub fn blank(width: usize, height: usize, color: [u8; 3]) -> Self {
        Picture { width, height, channels: 3, data: color.repeat(width * height) }
    }
    /// Puts another picture on this one, `scale` pixels for each of its own; what reaches over the edges is cut.
    pub fn paste(&mut self, x: usize, y: usize, other: &Picture, scale: usize) {
        for row in 0..other.height * scale {
            for column in 0..other.width * scale {
                let at = (row / scale * other.width + column / scale) * other.channels;
                let color = match other.data.get(at..at + other.channels) {
                    Some(&[v]) => [v; 3],
                    Some(&[r, g, b]) => [r, g, b],
                    _ => continue,
                };
                self.dot(x + column, y + row, color);
            }
        }
    }
    /// Fills a rectangle.
    pub fn fill(&mut self, (x, y): (usize, usize), (width, height): (usize, usize), color: [u8; 3]) {
        for row in y..y + height {
            for column in x..x + width {
                self.dot(column, row, color);
            }
        }
    }
    /// Writes text with its left top corner at (x, y), each point of a letter `scale` pixels wide. Letters beyond ASCII are
    /// shown as `?`, but for the few signs that a caption needs.
    pub fn write(&mut self, (x, y): (usize, usize), text: &str, scale: usize, color: [u8; 3]) {
        for (i, c) in plain(text).enumerate() {
            let bits = LETTERS.get((c as usize).wrapping_sub(32)).copied().unwrap_or(0);
            for point in (0..LETTER.0 * LETTER.1).filter(|p| bits >> p & 1 == 1) {
                let (column, row) = (i * CELL.0 + point % LETTER.0, point / LETTER.0);
                self.fill((x + column * scale, y + row * scale), (scale, scale), color);
            }
        }
    }
    /// Width and height of a text.
    pub fn text_size(text: &str, scale: usize) -> (usize, usize) {
        (plain(text).count() * CELL.0 * scale, CELL.1 * scale)
    }
    fn dot(&mut self, x: usize, y: usize, color: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * self.channels;
            if let Some(p) = self.data.get_mut(at..at + self.channels) {
                p.copy_from_slice(&color[..p.len()]);
            }
        }
    }
}

/// The letters of a text that the font has.
fn plain(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| match c {
        ' '..='~' => c,
        '×' => 'x',
        '·' => '-',
        '–' | '—' | '−' => '-',
        'λ' => 'l',
        '’' | '‘' => '\'',
        _ => '?',
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_pictures_lie_where_they_are_put() {
        let mut p = Picture::blank(14, 10, [255; 3]);
        p.write((0, 0), "Ip", 1, [0; 3]);
        let ink = |x: usize, y: usize| p.data[(y * 14 + x) * 3] == 0;
        let rows: Vec<String> = (0..9).map(|y| (0..11).map(|x| if ink(x, y) { '#' } else { '.' }).collect()).collect();
        let want = [
            ".###.......",
            "..#........",
            "..#...####.",
            "..#...#...#",
            "..#...#...#",
            "..#...#...#",
            ".###..####.",
            "......#....",
            "......#....",
        ];
        assert_eq!(rows, want);
        assert_eq!(Picture::text_size("ab×", 2), (36, 20));
        let red = Picture { width: 1, height: 1, channels: 3, data: vec![200, 0, 0] };
        p.paste(12, 8, &red, 3);
        assert_eq!(p.data[(9 * 14 + 13) * 3..], [200, 0, 0]);
        assert_eq!(p.data[(7 * 14 + 12) * 3..][..3], [255, 255, 255]);
        // Every letter but the space has ink.
        assert!(LETTERS[1..].iter().all(|&l| l != 0) && LETTERS.iter().all(|&l| l < 1 << 45));
    }
}
