//! What every unit of a layer makes of a picture.

use crate::{Field, Layer, Result, Subject};
use gabor_tensor::Tensor;

/// The largest value of a unit's map, and where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// The value; −∞ where a map holds no number at all.
    pub value: f32,
    /// Row and column, the first of equals row by row.
    pub place: [usize; 2],
}

/// The maps of a layer for one picture.
#[derive(Clone, Debug)]
pub struct Features {
    /// The layer.
    pub layer: Layer,
    /// What its units see.
    pub field: Field,
    /// All maps, `[units, h, w]`.
    pub values: Vec<f32>,
    /// The largest value of each map.
    pub peaks: Vec<Peak>,
    /// Units whose map is zero everywhere.
    pub zero: Vec<usize>,
}

impl Features {
    /// The map of a unit.
    pub fn map(&self, unit: usize) -> &[f32] {
        let places = self.layer.places().iter().product::<usize>();
        &self.values[unit * places..(unit + 1) * places]
    }
    /// The units by their largest value, the largest first; of equals the first. Units that are zero everywhere come last.
    pub fn strongest(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.peaks.len()).collect();
        let dead = |u: &usize| self.zero.binary_search(u).is_ok();
        order.sort_by(|a, b| {
            dead(a).cmp(&dead(b)).then(self.peaks[*b].value.total_cmp(&self.peaks[*a].value)).then(a.cmp(b))
        });
        order
    }
}

/// The largest value of each map of `[units, h, w]`.
pub(crate) fn peaks(values: &[f32], [h, w]: [usize; 2]) -> impl Iterator<Item = Peak> + '_ {
    values.chunks_exact((h * w).max(1)).map(move |map| {
        let mut best = (0, f32::NEG_INFINITY);
        for (i, &v) in map.iter().enumerate() {
            if v > best.1 {
                best = (i, v);
            }
        }
        Peak { value: best.1, place: [best.0 / w, best.0 % w] }
    })
}

/// The maps of these layers for one prepared picture `[1, c, h, w]`.
///
/// # Errors
/// A picture of another shape.
pub fn features(subject: &Subject, image: &Tensor, layers: &[Layer]) -> Result<Vec<Features>> {
    let wanted: Vec<_> = layers.iter().map(|l| l.value).collect();
    let found = subject.values(image, &wanted)?;
    let one = |(layer, t): (&Layer, Tensor)| {
        let values = t.as_f32().map_err(|r| crate::Error::new(&layer.name, r))?;
        let size = layer.shape.iter().product::<usize>();
        let values = values[..size].to_vec();
        let peaks: Vec<Peak> = peaks(&values, layer.places()).collect();
        let zero = values.chunks_exact(size / layer.units()).enumerate();
        let zero = zero.filter(|(_, map)| map.iter().all(|&v| v == 0.0)).map(|(u, _)| u).collect();
        Ok(Features { field: subject.field(layer)?, layer: layer.clone(), values, peaks, zero })
    };
    layers.iter().zip(found).map(one).collect()
}
