//! What every layer of a model makes of a picture: [`Model::features`].

use crate::judged::as_people_see_it;
use crate::{Model, Result};
use gabor_data::Image;
pub use gabor_explain::features::{Features, Peak};
use gabor_explain::{Layer, Subject};
use gabor_report::heat::{self, Scale};
use gabor_report::{Map, MapRow, Picture, Poster, class_name, count, percent};
use gabor_tensor::{Rule, Tensor};

/// Which layers are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layers {
    /// Those that tell something new, at most so many: [`Subject::telling_layers`].
    Telling(usize),
    /// All of them.
    All,
    /// These; a name that ends in `*` stands for all that begin so.
    Named(Vec<String>),
}

impl Default for Layers {
    fn default() -> Self {
        Layers::Telling(16)
    }
}

impl Layers {
    fn of(&self, subject: &Subject) -> Result<Vec<Layer>> {
        let names = match self {
            Layers::Telling(most) => return Ok(subject.telling_layers(*most)),
            Layers::All => return Ok(subject.layers()),
            Layers::Named(names) => names,
        };
        let mut out: Vec<Layer> = Vec::new();
        for name in names {
            let found = match name.strip_suffix('*') {
                Some(begin) => subject.layers().into_iter().filter(|l| l.name.starts_with(begin)).collect(),
                None => vec![subject.layer(name)?],
            };
            if found.is_empty() {
                // The answer names the nearest ones and all there are.
                subject.layer(name.trim_end_matches('*'))?;
            }
            out.extend(found.into_iter().filter(|l| out.iter().all(|o| o.name != l.name)).collect::<Vec<_>>());
        }
        Ok(out)
    }
}

/// The feature maps of a picture.
#[derive(Clone, Debug)]
pub struct FeatureMaps {
    /// The picture as the network sees it.
    pub picture: Picture,
    /// The most probable class.
    pub class: String,
    /// Its probability.
    pub probability: f32,
    /// One per layer, in the order of computation or as asked for.
    pub found: Vec<Features>,
    /// How many layers the model has.
    pub layers: usize,
    /// Whether layers were left out by the rule of [`Layers::Telling`] for want of room.
    pub cut: bool,
    /// Names of the classes, and of the layers whose units stand for them.
    names: Vec<String>,
    of_classes: Vec<String>,
}

impl Model {
    /// The maps of the layers for a picture.
    ///
    /// # Errors
    /// A model without preprocessing, that takes no pictures or gives no scores; a layer that does not exist.
    pub fn features(&mut self, image: &Image<'_>, layers: &Layers) -> Result<FeatureMaps> {
        let preprocessing = self.preprocessing().ok_or_else(|| self.no_preprocessing())?.clone();
        let [c, h, w] = preprocessing.input();
        let input = Tensor::f32(&[1, c, h, w], preprocessing.apply(image)?)?;
        let subject = self.subject()?;
        let chosen = layers.of(&subject)?;
        let cut = matches!(layers, Layers::Telling(most) if subject.telling_layers(0).len() > *most);
        let found = gabor_explain::features::features(&subject, &input, &chosen)?;
        let best = self.top(image, 1)?.into_iter().next();
        let (class, probability) = best.map_or((String::new(), 0.0), |p| (p.class, p.probability));
        let picture = as_people_see_it(&preprocessing.prepared(image)?);
        let picture = picture.ok_or_else(|| crate::Error::from(Rule::new("the prepared picture is empty")))?;
        let all = subject.layers();
        let of_classes = all.iter().filter(|l| subject.is_of_classes(l)).map(|l| l.name.clone()).collect();
        let names = self.classes().to_vec();
        Ok(FeatureMaps { picture, class, probability, found, layers: all.len(), cut, names, of_classes })
    }
}

/// Longest side of a map in the poster, in pixels; larger ones are averaged down.
const LARGEST: usize = 224;

impl FeatureMaps {
    /// The poster of a picture of that name in a model of that name, with the `top` strongest units of each layer.
    pub fn poster(&self, title: &str, model: &str, top: usize) -> Poster {
        let (rows, columns) = (self.picture.height, self.picture.width);
        let mut lines = vec![
            format!(
                "{model}: {} with {}, from {columns} × {rows} pixels.",
                class_name(&self.class),
                percent(f64::from(self.probability))
            ),
            format!(
                "In each row the picture with the field of the strongest unit (where its value is largest), then the {top} \
                 units with the largest values."
            ),
            "One colour scale a row, dark for 0; where there are values below 0, blue is below, orange above.".into(),
        ];
        if self.cut {
            lines.push(format!(
                "{} of {} layers: the first, the last, those before each change of size, and of the others at even steps; \
                 --layers shows any.",
                self.found.len(),
                self.layers
            ));
        }
        let rows = self.found.iter().map(|f| self.row(f, top)).collect();
        Poster { title: title.into(), lines, picture: self.picture.clone(), rows }
    }
    fn row(&self, f: &Features, top: usize) -> MapRow {
        let shown: Vec<usize> = f.strongest().into_iter().filter(|_| !is_dead(f)).take(top).collect();
        let scale = maps_scale(f, &shown);
        let of_classes = self.of_classes.contains(&f.layer.name) && self.names.len() == f.layer.units();
        let map = |&u: &usize| {
            let caption = if of_classes { class_name(&self.names[u]).into() } else { format!("unit {u}") };
            let note =
                if f.zero.binary_search(&u).is_ok() { "dead: 0 everywhere".into() } else { number(f.peaks[u].value) };
            coloured(f, u, scale).map(|picture| Map { picture, caption, note })
        };
        let [fh, fw] = f.field.size();
        let [sy, sx] = f.field.step();
        let sees = if f.field.is_whole() {
            "sees the whole picture".into()
        } else if fh == fw && sy == sx {
            format!("sees {fh} × {fw}, every {sy}")
        } else {
            format!("sees {fh} × {fw}, every {sy}, {sx}")
        };
        let mut notes = vec![f.layer.extents(), sees];
        if !f.zero.is_empty() && !is_dead(f) {
            notes.push(format!("{} of {} dead here", count(f.zero.len() as u64), count(f.layer.units() as u64)));
        }
        // A unit that says the same everywhere looks at no place more than at another.
        let strongest = shown.first().filter(|&&u| !is_even(f.map(u)));
        let part = strongest.map(|&u| f.field.at(f.peaks[u].place));
        let field = part.map(|p| [p.left, p.top, p.width, p.height]).filter(|p| p[2] * p[3] > 0);
        let instead = dead_layer(f).unwrap_or_default();
        MapRow { name: f.layer.name.clone(), notes, field, maps: shown.iter().filter_map(map).collect(), instead }
    }
}

/// Whether all units of a layer are 0 everywhere.
fn is_dead(f: &Features) -> bool {
    f.zero.len() == f.layer.units()
}

/// What is said of a layer whose units are all 0 everywhere on this picture; `None` of any other.
pub fn dead_layer(f: &Features) -> Option<String> {
    let units = match f.layer.units() {
        1 => "its one unit is".to_string(),
        n => format!("all {} units are", count(n as u64)),
    };
    is_dead(f).then(|| format!("dead: {units} 0 everywhere on this picture"))
}

/// Whether a map of several places has one value.
fn is_even(map: &[f32]) -> bool {
    map.len() > 1 && map.iter().all(|v| *v == map[0])
}

/// The colours of these units' maps, and the value at their end: the same for all, so that they can be compared.
pub(crate) fn maps_scale(f: &Features, units: &[usize]) -> (Scale, f32) {
    let values: Vec<f32> = units.iter().flat_map(|&u| f.map(u)).copied().collect();
    let scale = if values.iter().any(|&v| v < 0.0) { Scale::Diverging } else { Scale::Sequential };
    (scale, heat::extent(&values, 0.0))
}

/// A unit's map in colours.
pub(crate) fn coloured(f: &Features, unit: usize, (scale, extent): (Scale, f32)) -> Option<Picture> {
    let (values, size) = reduced(f.map(unit), f.layer.places(), LARGEST);
    heat::heat(&values, size, extent, scale)
}

/// Three digits that count.
pub(crate) fn number(v: f32) -> String {
    let text = match v.abs() {
        a if a >= 1000.0 || (a > 0.0 && a < 0.001) => format!("{v:.2e}"),
        a if a >= 100.0 => format!("{v:.0}"),
        a if a >= 10.0 => format!("{v:.1}"),
        a if a >= 1.0 || a == 0.0 => format!("{v:.2}"),
        a if a >= 0.01 => format!("{v:.3}"),
        _ => format!("{v:.4}"),
    };
    text.replace('-', "−")
}

/// A map of at most `most` rows and columns: the mean of blocks.
fn reduced(map: &[f32], [h, w]: [usize; 2], most: usize) -> (Vec<f32>, [usize; 2]) {
    let block = h.max(w).div_ceil(most);
    if block <= 1 {
        return (map.to_vec(), [h, w]);
    }
    let size = [h.div_ceil(block), w.div_ceil(block)];
    let mean = |i: usize| {
        let (top, left) = (i / size[1] * block, i % size[1] * block);
        let rows = top..(top + block).min(h);
        let all = rows.flat_map(|y| &map[y * w + left..y * w + (left + block).min(w)]);
        let (n, sum) = all.fold((0, 0.0), |(n, s), &v| (n + 1, s + f64::from(v)));
        (sum / f64::from(n.max(1))) as f32
    };
    ((0..size[0] * size[1]).map(mean).collect(), size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_maps_are_averaged() {
        let map: Vec<f32> = (0..15).map(|v| v as f32).collect();
        assert_eq!(reduced(&map, [3, 5], 5).0, map);
        // Blocks of 2 × 2: (0 + 1 + 5 + 6) / 4 and so on, cut at the border.
        assert_eq!(reduced(&map, [3, 5], 3), (vec![3.0, 5.0, 6.5, 10.5, 12.5, 14.0], [2, 3]));
        assert_eq!([0.0, 12.34, 0.5, 4567.0].map(number), ["0.00", "12.3", "0.500", "4.57e3"]);
    }
}
