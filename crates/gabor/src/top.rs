//! What excites the units of a layer most in a data set: [`Model::patches`].

use crate::features::number;
use crate::judged::as_people_see_it;
use crate::{Error, Model, Result};
use gabor_data::{Color, Dataset, Loader, LoaderOptions, Preprocessing};
pub use gabor_explain::top::{Excitation, Projector, Start, Strongest};
use gabor_explain::{Backpropagation, Field, Layer, Part};
use gabor_report::heat;
use gabor_report::{Patch, PatchSheet, Picture, UnitPatches, class_name, count};
use gabor_tensor::{Rule, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which units of a layer are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Units {
    /// The ones with the largest values, so many.
    Strongest(usize),
    /// These, in this order.
    These(Vec<usize>),
}

/// What is asked of a data set about a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct TopOptions {
    /// The layer.
    pub layer: String,
    /// Its units.
    pub units: Units,
    /// Patches of a unit (default 9).
    pub count: usize,
    /// The way back to the pixels (default the deconvnet's).
    pub projection: Backpropagation,
    /// Pictures that are read at once (default 32); no value depends on it.
    pub batch: usize,
}

impl TopOptions {
    /// The 16 strongest units of a layer, nine patches each.
    pub fn new(layer: impl Into<String>) -> Self {
        let (units, projection) = (Units::Strongest(16), Backpropagation::Deconvnet);
        TopOptions { layer: layer.into(), units, count: 9, projection, batch: 32 }
    }
}

/// A patch that excites a unit.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundPatch {
    /// How much, by which sample, and where in the layer's map.
    pub at: Excitation,
    /// What the data set calls the sample.
    pub id: String,
    /// Its class.
    pub class: String,
    /// The pixels of the prepared picture that the unit sees there.
    pub part: Part,
    /// These pixels.
    pub picture: Picture,
    /// The way back to them, `[c, part.height, part.width]`, channels as the network has them.
    pub projection: Vec<f32>,
}

/// A unit with what excites it.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundUnit {
    /// The unit.
    pub unit: usize,
    /// Whether no picture of the data set brings it above 0.
    pub dead: bool,
    /// The strongest first; none of a dead unit.
    pub patches: Vec<FoundPatch>,
}

/// What excites the units of a layer.
#[derive(Clone, Debug)]
pub struct TopPatches {
    /// The layer.
    pub layer: Layer,
    /// What its units see.
    pub field: Field,
    /// The units.
    pub units: Vec<FoundUnit>,
    /// How many units of the layer no picture brings above 0.
    pub dead: usize,
    /// How many pictures were looked at.
    pub seen: usize,
    /// Patches of a unit that were asked for.
    pub count: usize,
    /// The way back.
    pub projection: Backpropagation,
    /// Names of the classes, where the layer's units stand for them.
    names: Vec<String>,
    /// Whether channels are blue, green and red.
    bgr: bool,
}

/// Most bytes of patches and projections that are held.
const MOST: u128 = 1 << 30;
/// The part of a projection's values that may lie beyond the scale, so that single bright pixels do not darken the rest.
const OUTLIERS: f64 = 0.01;
/// Patches that go back at once.
const BACK: usize = 16;

impl Model {
    /// The patches of a data set that excite the units of a layer most, with the way back to their pixels. `hear` is told
    /// how many pictures have been looked at.
    ///
    /// The data set goes by in batches, of which none is kept; the few pictures that count are read again.
    ///
    /// # Errors
    /// A model without preprocessing; a layer or unit that does not exist; a sample that cannot be read.
    pub fn patches(
        &self,
        dataset: Arc<dyn Dataset>,
        asked: &TopOptions,
        hear: &mut dyn FnMut(usize),
    ) -> Result<TopPatches> {
        let preprocessing = self.preprocessing().ok_or_else(|| self.no_preprocessing())?.clone();
        let subject = self.subject()?;
        let layer = subject.layer(&asked.layer)?;
        let field = subject.field(&layer)?;
        self.check(asked, &layer, &field)?;
        let mut best = Strongest::new(&subject, &layer, asked.count)?;
        let options =
            LoaderOptions { batch_size: asked.batch, workers: 1, shuffle: false, cache_bytes: 0, ..Default::default() };
        let loader = Loader::new(dataset.clone(), preprocessing.clone(), options)?;
        let mut epoch = loader.epoch(0, 0);
        while let Some(batch) = epoch.next() {
            let batch = batch?;
            let samples: Vec<usize> = batch.indices.iter().map(|&i| i as usize).collect();
            best.push(&batch.images, &samples)?;
            epoch.recycle(batch);
            hear(best.seen());
        }
        let units = match &asked.units {
            Units::Strongest(n) => best.strongest(*n),
            Units::These(units) => units.clone(),
        };
        let mut found: Vec<FoundUnit> =
            units.iter().map(|&unit| FoundUnit { unit, dead: best.is_dead(unit), patches: Vec::new() }).collect();
        // Sample by sample, so that each is read once, whatever units it excites.
        let mut jobs: BTreeMap<(usize, usize, usize), Excitation> = BTreeMap::new();
        for (u, unit) in found.iter().enumerate().filter(|(_, f)| !f.dead) {
            let above = best.of(unit.unit).iter().enumerate().filter(|(_, e)| e.value > 0.0);
            jobs.extend(above.map(|(rank, e)| ((e.sample, u, rank), *e)));
        }
        let jobs: Vec<((usize, usize, usize), Excitation)> = jobs.into_iter().collect();
        let mut projector = Projector::new(&subject, &layer, asked.projection)?;
        let size = subject.input();
        let mut last: Option<(usize, Vec<f32>, Picture)> = None;
        let mut ranked: BTreeMap<(usize, usize), FoundPatch> = BTreeMap::new();
        for some in jobs.chunks(BACK) {
            let (mut images, mut starts, mut pictures) = (Vec::new(), Vec::new(), Vec::new());
            for ((sample, u, _), e) in some {
                if last.as_ref().is_none_or(|l| l.0 != *sample) {
                    let floats = loader.sample(*sample, 0)?;
                    let picture = seen(&preprocessing, &floats)?;
                    last = Some((*sample, floats, picture));
                }
                let Some((_, floats, picture)) = &last else { continue };
                images.extend_from_slice(floats);
                let value = if asked.projection == Backpropagation::Deconvnet { e.value } else { 1.0 };
                starts.push(Start { unit: found[*u].unit, place: e.place, value });
                pictures.push(cut(picture, &field.at(e.place)));
            }
            let [c, h, w] = size;
            let images = Tensor::f32(&[some.len(), c, h, w], images)?;
            let back = projector.project(&images, &starts)?;
            for ((((sample, u, rank), e), own), picture) in some.iter().zip(back.chunks_exact(c * h * w)).zip(pictures)
            {
                let part = field.at(e.place);
                // A unit that sees padding alone has no pixels to show.
                let Some(picture) = picture else { continue };
                let label = dataset.labels().get(*sample).and_then(|&l| dataset.classes().get(l as usize));
                let patch = FoundPatch {
                    at: *e,
                    id: dataset.id(*sample),
                    class: label.cloned().unwrap_or_default(),
                    part,
                    picture,
                    projection: part.cut(own, [h, w]),
                };
                ranked.insert((*u, *rank), patch);
            }
        }
        for ((u, _), patch) in ranked {
            found[u].patches.push(patch);
        }
        let of_classes = subject.is_of_classes(&layer) && self.classes().len() == layer.units();
        let names = if of_classes { self.classes().to_vec() } else { Vec::new() };
        Ok(TopPatches {
            layer,
            field,
            units: found,
            dead: best.dead(),
            seen: best.seen(),
            count: asked.count,
            projection: asked.projection,
            names,
            bgr: preprocessing.color == Color::Bgr,
        })
    }
    fn check(&self, asked: &TopOptions, layer: &Layer, field: &Field) -> Result<()> {
        let fail = |place: &str, rule: Rule| Err(Error::new(place, rule));
        let all = layer.units();
        let units = match &asked.units {
            Units::Strongest(n) => *n,
            Units::These(units) => {
                if let Some(u) = units.iter().find(|&&u| u >= all) {
                    let rule = Rule::new(format!("unit {u} of layer `{}`, which has {all}", layer.name));
                    return fail("units", rule.right(format!("0 to {}", all - 1)));
                }
                units.len()
            }
        };
        if units == 0 {
            return fail("units", Rule::new("no units").right(format!("1 to {all} of layer `{}`", layer.name)));
        }
        let [c, h, w] = self.preprocessing().map_or([1; 3], Preprocessing::input);
        let [fh, fw] = field.size();
        let pixels = (c * fh.min(h) * fw.min(w)) as u128 * 5;
        let bytes = units.min(all) as u128 * asked.count as u128 * pixels;
        if bytes > MOST {
            let rule = format!("{} patches of {} units take {} MB", asked.count, units.min(all), bytes >> 20);
            return fail("units", Rule::new(rule).right(format!("fewer of either, up to {} MB", MOST >> 20)));
        }
        Ok(())
    }
}

/// The prepared picture as people see it.
fn seen(p: &Preprocessing, floats: &[f32]) -> Result<Picture> {
    as_people_see_it(&p.picture(floats)?).ok_or_else(|| Error::from(Rule::new("the prepared picture is empty")))
}

/// A part of a picture; none where it has no pixels.
fn cut(picture: &Picture, part: &Part) -> Option<Picture> {
    let (row, c) = (picture.width * picture.channels, picture.channels);
    let rows = picture.data.chunks_exact(row).skip(part.top).take(part.height);
    let data = rows.flat_map(|r| r[part.left * c..(part.left + part.width) * c].to_vec()).collect();
    Picture::new(part.width, part.height, c, data)
}

impl TopPatches {
    /// The projections of a unit's patches, `[patches, c, rows, columns]`: each in a frame of the field's size (at most the
    /// picture's), 0 beyond the picture's border.
    ///
    /// # Errors
    /// More numbers than memory has room for.
    pub fn projections(&self, unit: &FoundUnit) -> Result<Tensor> {
        let [rows, columns] = self.frame();
        let channels = unit.patches.first().map_or(0, |p| p.projection.len() / (p.part.height * p.part.width).max(1));
        let mut out = vec![0.0; unit.patches.len() * channels * rows * columns];
        for (p, own) in unit.patches.iter().zip(out.chunks_exact_mut((channels * rows * columns).max(1))) {
            let [left, top] = self.offset(p);
            for (k, line) in p.projection.chunks_exact(p.part.width.max(1)).enumerate() {
                let (channel, row) = (k / p.part.height, k % p.part.height);
                own[(channel * rows + top + row) * columns + left..][..p.part.width].copy_from_slice(line);
            }
        }
        Ok(Tensor::f32(&[unit.patches.len(), channels, rows, columns], out)?)
    }
    /// Rows and columns of the frame of a patch: the field, or the largest part of it that lies in a picture.
    pub fn frame(&self) -> [usize; 2] {
        let parts = || self.units.iter().flat_map(|u| &u.patches).map(|p| [p.part.height, p.part.width]);
        let largest = |d: usize| parts().map(|p| p[d]).max().unwrap_or(1);
        // A field that is larger than the pictures is not drawn with all the padding around them.
        [0, 1].map(|d| if self.fits(d) { self.field.size()[d] } else { largest(d) }.max(1))
    }
    fn fits(&self, d: usize) -> bool {
        let whole = |p: &FoundPatch| [p.part.height, p.part.width][d];
        self.field.size()[d] <= self.units.iter().flat_map(|u| &u.patches).map(whole).max().unwrap_or(1)
    }
    /// Columns and rows of the frame before the first pixel of a patch.
    fn offset(&self, p: &FoundPatch) -> [usize; 2] {
        let corner = self.field.corner(p.at.place);
        let first = [p.part.top, p.part.left];
        let before = |d: usize| if self.fits(d) { (first[d] as isize - corner[d]).max(0) as usize } else { 0 };
        [before(1), before(0)]
    }
    /// What a unit is called: its number, and its class where it stands for one.
    pub fn caption(&self, unit: usize) -> String {
        match self.names.get(unit) {
            Some(class) => format!("unit {unit}, {}", class_name(class)),
            None => format!("unit {unit}"),
        }
    }
    /// What is said of a unit that no picture brings above 0.
    pub fn dead_words(&self) -> String {
        format!("dead: never above 0 on these {} pictures", count(self.seen as u64))
    }
    /// The picture: for each unit its patches, and their projections beside them.
    pub fn sheet(&self, title: &str) -> PatchSheet {
        let [rows, columns] = self.frame();
        let dead = match self.dead {
            0 => "every unit answers to something".to_string(),
            n => format!("{} of {} units dead", count(n as u64), count(self.layer.units() as u64)),
        };
        let [fh, fw] = self.field.size();
        let sees =
            if self.field.is_whole() { "sees whole pictures".into() } else { format!("sees {fh} × {fw} pixels") };
        let how = match self.projection {
            Backpropagation::Deconvnet => "the deconvnet's way back from that one activation",
            Backpropagation::Guided => "the guided gradient of that one activation",
            Backpropagation::Plain => "the gradient of that one activation",
        };
        let mut lines = vec![format!(
            "Layer {}, {}: a unit {sees}; {} pictures, {dead}.",
            self.layer.name,
            self.layer.extents(),
            count(self.seen as u64)
        )];
        // Of dead units alone there is no left and right to speak of.
        if self.units.iter().any(|u| !u.patches.is_empty()) {
            lines.push(format!(
                "Left what excites the unit most, one patch a picture; right {how} (grey is 0, each by its own size)."
            ));
        }
        let units = self.units.iter().map(|u| self.unit(u)).collect();
        let most = self.units.iter().map(|u| u.patches.len()).max().unwrap_or(1);
        PatchSheet { title: title.into(), lines, frame: [columns, rows], count: most, units }
    }
    fn unit(&self, u: &FoundUnit) -> UnitPatches {
        let values = |p: &FoundPatch| number(p.at.value);
        let note = match (u.patches.first(), u.patches.last()) {
            (Some(a), Some(b)) => {
                let mut classes: Vec<(usize, &str)> = Vec::new();
                for p in u.patches.iter().filter(|p| !p.class.is_empty()) {
                    match classes.iter_mut().find(|c| c.1 == p.class) {
                        Some(c) => c.0 += 1,
                        None => classes.push((1, &p.class)),
                    }
                }
                classes.sort_by_key(|c| std::cmp::Reverse(c.0));
                // In quotes: classes may be numbers.
                let name = |(n, c): &(usize, &str)| format!("{n} × “{}”", class_name(c));
                let mut named: Vec<String> = classes.iter().take(2).map(name).collect();
                match classes.iter().skip(2).map(|c| c.0).sum::<usize>() {
                    0 => {}
                    1 => named.push("1 other".into()),
                    n => named.push(format!("{n} others")),
                }
                let between = if named.is_empty() { "" } else { " · " };
                format!("{} to {}{between}{}", values(a), values(b), named.join(", "))
            }
            _ => self.dead_words(),
        };
        let patch = |p: &FoundPatch| {
            let (h, w) = (p.part.height, p.part.width);
            let mut values = p.projection.clone();
            let channels = values.len() / (h * w).max(1);
            if self.bgr && channels == 3 {
                values = values.rchunks_exact(h * w).flatten().copied().collect();
            }
            let extent = heat::extent(&values, OUTLIERS);
            let projection = heat::signed(&values, [channels, h, w], extent)?;
            Some(Patch { picture: p.picture.clone(), projection, offset: self.offset(p) })
        };
        UnitPatches { caption: self.caption(u.unit), note, patches: u.patches.iter().filter_map(patch).collect() }
    }
}
