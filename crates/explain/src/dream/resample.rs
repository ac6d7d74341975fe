//! Planes of numbers at other sizes.

/// A plane brought to another size by triangles that widen with the reduction, so that nothing aliases.
pub(crate) fn resample(plane: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    if from == to {
        return plane.to_vec();
    }
    let rows = taps(from[0], to[0]);
    let columns = taps(from[1], to[1]);
    let mut tall = vec![0.0; to[0] * from[1]];
    for (line, taps) in tall.chunks_exact_mut(from[1]).zip(&rows) {
        for &(y, weight) in taps {
            line.iter_mut().zip(&plane[y * from[1]..]).for_each(|(o, v)| *o += weight * v);
        }
    }
    let line = |row: &[f32], taps: &[(usize, f32)]| taps.iter().map(|&(x, weight)| weight * row[x]).sum::<f32>();
    tall.chunks_exact(from[1]).flat_map(|row| columns.iter().map(|t| line(row, t)).collect::<Vec<_>>()).collect()
}

/// For each new element the old ones that it is made of.
fn taps(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let ratio = from as f64 / to as f64;
    let reach = ratio.max(1.0);
    let one = |i: usize| {
        let centre = (i as f64 + 0.5) * ratio;
        let first = (centre - reach).floor().max(0.0) as usize;
        let last = ((centre + reach).ceil() as usize).min(from);
        let weight = |j: usize| (1.0 - ((j as f64 + 0.5 - centre) / reach).abs()).max(0.0);
        let sum: f64 = (first..last).map(weight).sum();
        (first..last).map(|j| (j, (weight(j) / sum) as f32)).filter(|t| t.1 > 0.0).collect()
    };
    (0..to).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_stay_and_ramps_stay_ramps() {
        assert_eq!(resample(&[1.0, 3.0, 5.0, 7.0], [2, 2], [1, 1]), [4.0]);
        assert_eq!(resample(&[0.0, 4.0], [1, 2], [1, 4]), [0.0, 1.0, 3.0, 4.0]);
        let flat = resample(&[2.5; 35], [5, 7], [11, 3]);
        assert!(flat.len() == 33 && flat.iter().all(|v| (v - 2.5).abs() < 1e-6));
        let ramp: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let half = resample(&ramp, [1, 12], [1, 6]);
        assert!((half[2] - half[1] - 2.0).abs() < 1e-5);
    }
}
