//! Where a pixel comes from: the maps that geometric operations are, and their composition.
//!
//! Coordinates are continuous: pixel (column i, row j) covers [i, i + 1) × [j, j + 1), its centre is at (i + ½, j + ½). A map
//! takes a place of the varied image to its source, which is what drawing pixels needs; points go the other way.

use super::field::Field;

/// A 3 × 3 matrix by rows, for (x, y, 1).
pub(super) type Matrix = [f64; 9];

pub(super) const IDENTITY: Matrix = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];

/// a · b.
pub(super) fn product(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|i| (0..3).map(|k| a[i / 3 * 3 + k] * b[k * 3 + i % 3]).sum())
}

/// The inverse by cofactors; `None` if there is none.
pub(super) fn inverse(m: &Matrix) -> Option<Matrix> {
    let minor = |r: usize, c: usize| {
        let (r1, r2, c1, c2) = ((r + 1) % 3, (r + 2) % 3, (c + 1) % 3, (c + 2) % 3);
        m[r1 * 3 + c1] * m[r2 * 3 + c2] - m[r1 * 3 + c2] * m[r2 * 3 + c1]
    };
    let determinant: f64 = (0..3).map(|c| m[c] * minor(0, c)).sum();
    (determinant.is_finite() && determinant.abs() > 1e-12)
        .then(|| std::array::from_fn(|i| minor(i % 3, i / 3) / determinant))
}

/// A linear map [a b; c d] about a centre.
pub(super) fn about([a, b, c, d]: [f64; 4], (cx, cy): (f64, f64)) -> Matrix {
    [a, b, cx - a * cx - b * cy, c, d, cy - c * cx - d * cy, 0.0, 0.0, 1.0]
}

/// A place under a matrix; beyond the horizon it is nowhere (not a number).
fn project(m: &Matrix, x: f64, y: f64) -> (f64, f64) {
    let z = m[6] * x + m[7] * y + m[8];
    if z <= 1e-9 {
        return (f64::NAN, f64::NAN);
    }
    ((m[0] * x + m[1] * y + m[2]) / z, (m[3] * x + m[4] * y + m[5]) / z)
}

/// Radial distortion about a centre: r becomes r · (1 + k · (r / unit)²).
#[derive(Clone, Copy, Debug)]
pub(super) struct Lens {
    pub k: f64,
    pub centre: (f64, f64),
    pub unit: f64,
}

impl Lens {
    fn apply(self, x: f64, y: f64) -> (f64, f64) {
        let (dx, dy) = (x - self.centre.0, y - self.centre.1);
        let factor = 1.0 + self.k * (dx * dx + dy * dy) / (self.unit * self.unit);
        (self.centre.0 + dx * factor, self.centre.1 + dy * factor)
    }
    /// The place that comes to (x, y), by Newton's method on the radius.
    fn invert(self, x: f64, y: f64) -> (f64, f64) {
        let (dx, dy) = (x - self.centre.0, y - self.centre.1);
        let goal = (dx * dx + dy * dy).sqrt() / self.unit;
        let mut r = goal;
        for _ in 0..50 {
            r -= (r * (1.0 + self.k * r * r) - goal) / (1.0 + 3.0 * self.k * r * r).max(0.05);
        }
        let factor = if goal > 0.0 { r / goal } else { 1.0 };
        (self.centre.0 + dx * factor, self.centre.1 + dy * factor)
    }
}

/// A part of a map.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Matrix(Matrix),
    Lens(Lens),
    /// Adds the displacement of a field, by its number.
    Field(usize),
}

/// The composed map of some geometric operations: from a place of the varied image to its source. Memory is reused.
#[derive(Default)]
pub(super) struct Map {
    /// The first operation's part comes first, and is applied last.
    stages: Vec<Stage>,
    fields: Vec<Field>,
    used: usize,
}

impl Map {
    /// Back to leaving everything where it is, displaced by (x, y).
    pub fn reset(&mut self, x: f64, y: f64) {
        self.stages.clear();
        self.used = 0;
        self.stages.push(Stage::Matrix([1.0, 0.0, x, 0.0, 1.0, y, 0.0, 0.0, 1.0]));
    }
    /// One more operation: `m` takes a place of the image after it to the place before it.
    pub fn matrix(&mut self, m: &Matrix) {
        if let Some(Stage::Matrix(last)) = self.stages.last_mut() {
            *last = product(last, m);
        } else {
            self.stages.push(Stage::Matrix(*m));
        }
    }
    pub fn lens(&mut self, lens: Lens) {
        self.stages.push(Stage::Lens(lens));
    }
    /// A field to be filled, as one more operation.
    pub fn field(&mut self) -> &mut Field {
        if self.used == self.fields.len() {
            self.fields.push(Field::default());
        }
        self.stages.push(Stage::Field(self.used));
        self.used += 1;
        &mut self.fields[self.used - 1]
    }
    /// The whole map, where it is one matrix.
    pub fn as_matrix(&self) -> Option<&Matrix> {
        match self.stages.as_slice() {
            [Stage::Matrix(m)] => Some(m),
            _ => None,
        }
    }
    /// Whether nothing moves.
    pub fn is_identity(&self) -> bool {
        self.as_matrix() == Some(&IDENTITY)
    }
    /// The source of a place.
    pub fn source(&self, mut x: f64, mut y: f64) -> (f64, f64) {
        for stage in self.stages.iter().rev() {
            (x, y) = match stage {
                Stage::Matrix(m) => project(m, x, y),
                Stage::Lens(lens) => lens.apply(x, y),
                Stage::Field(i) => {
                    let (dx, dy) = self.fields[*i].at(x, y);
                    (x + dx, y + dy)
                }
            };
        }
        (x, y)
    }
    /// Where a place of the source comes to lie; not a number where it is lost. Where an elastic field folds the image
    /// over, several places are right, and one of them is given.
    pub fn target(&self, mut x: f64, mut y: f64) -> (f64, f64) {
        for stage in &self.stages {
            (x, y) = match stage {
                Stage::Matrix(m) => inverse(m).map_or((f64::NAN, f64::NAN), |m| project(&m, x, y)),
                Stage::Lens(lens) => lens.invert(x, y),
                Stage::Field(i) => self.fields[*i].invert(x, y),
            };
        }
        (x, y)
    }
}

/// The map from a rectangle of w × h to a quadrilateral, corners in the order left top, right top, right bottom, left
/// bottom (Heckbert 1989); `None` if three of them lie on a line.
pub(super) fn quadrilateral((w, h): (f64, f64), q: [(f64, f64); 4]) -> Option<Matrix> {
    let (d1, d2) = ((q[1].0 - q[2].0, q[1].1 - q[2].1), (q[3].0 - q[2].0, q[3].1 - q[2].1));
    let s = (q[0].0 - q[1].0 + q[2].0 - q[3].0, q[0].1 - q[1].1 + q[2].1 - q[3].1);
    let determinant = d1.0 * d2.1 - d2.0 * d1.1;
    if determinant.abs() < 1e-9 {
        return None;
    }
    let g = (s.0 * d2.1 - d2.0 * s.1) / determinant;
    let k = (d1.0 * s.1 - s.0 * d1.1) / determinant;
    let (a, b) = (q[1].0 - q[0].0 + g * q[1].0, q[3].0 - q[0].0 + k * q[3].0);
    let (d, e) = (q[1].1 - q[0].1 + g * q[1].1, q[3].1 - q[0].1 + k * q[3].1);
    let unit = [a, b, q[0].0, d, e, q[0].1, g, k, 1.0];
    Some(product(&unit, &[1.0 / w, 0.0, 0.0, 0.0, 1.0 / h, 0.0, 0.0, 0.0, 1.0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadrilaterals_take_corners_to_corners() {
        let q = [(1.0, 2.0), (9.0, 1.0), (8.0, 7.5), (0.5, 6.0)];
        let m = quadrilateral((10.0, 8.0), q).unwrap();
        for ((x, y), want) in [(0.0, 0.0), (10.0, 0.0), (10.0, 8.0), (0.0, 8.0)].into_iter().zip(q) {
            let got = project(&m, x, y);
            assert!((got.0 - want.0).abs() < 1e-9 && (got.1 - want.1).abs() < 1e-9, "{got:?} {want:?}");
        }
        let back = product(&m, &inverse(&m).unwrap());
        assert!(back.iter().zip(&IDENTITY).all(|(a, b)| (a - b).abs() < 1e-9), "{back:?}");
        assert!(quadrilateral((2.0, 2.0), [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]).is_none());
    }

    #[test]
    fn points_return_from_where_pixels_come() {
        let mut map = Map::default();
        map.reset(3.0, -2.0);
        map.matrix(&about([0.8, 0.3, -0.2, 1.1], (20.0, 16.0)));
        map.lens(Lens { k: -0.2, centre: (20.0, 16.0), unit: 25.6 });
        let field = map.field();
        field.fill([32, 40], 30.0, 5.0, &mut gabor_tensor::Stream::new(1, 2, 3, 4));
        map.matrix(&quadrilateral((40.0, 32.0), [(0.0, 1.0), (39.0, 0.0), (38.0, 32.0), (2.0, 30.0)]).unwrap());
        for (x, y) in [(5.0, 5.0), (20.0, 16.0), (33.3, 27.1), (11.5, 30.0)] {
            let (sx, sy) = map.source(x, y);
            let (bx, by) = map.target(sx, sy);
            assert!((bx - x).abs() < 1e-3 && (by - y).abs() < 1e-3, "({x}, {y}) → ({sx}, {sy}) → ({bx}, {by})");
        }
    }
}
