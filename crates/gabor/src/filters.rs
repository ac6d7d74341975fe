//! The filters of a layer, what each is nearest to, and their picture: [`Model::filters`](crate::Model::filters).

use crate::{Error, Model, Result};
use gabor_data::Color;
pub use gabor_explain::filters::{BankKind, FilterBank, FilterFit, FilterKind, ShapeNumbers, nearest};
use gabor_explain::filters::{filter_layer, filter_layers};
use gabor_report::heat::{self, Scale};
use gabor_report::{FilterGrid, FilterTile, Picture, WeightMatrix};
use gabor_tensor::Rule;

/// The order in which filters are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FilterOrder {
    /// As in the layer.
    #[default]
    Index,
    /// The largest first.
    Norm,
    /// By kind, the best explained first.
    Kind,
}

/// What is shown of a layer.
#[derive(Clone, Debug, Default)]
pub struct FiltersOptions {
    /// The layer; `None` is the first one with filters.
    pub layer: Option<String>,
    /// Filters that are shown, the largest of them; `None` is as many as make a readable picture.
    pub top: Option<usize>,
    /// Their order.
    pub order: FilterOrder,
    /// One scale for all filters instead of one for each.
    pub shared: bool,
}

/// A filter that is shown.
#[derive(Clone, Debug)]
pub struct ShownFilter {
    /// Its number in the layer.
    pub index: usize,
    /// The root of the sum of its squares.
    pub norm: f64,
    /// What it is nearest to; `None` of filters that show no shape (fewer than 3 rows or columns, or many channels).
    pub fit: Option<FilterFit>,
    /// Planes that are drawn, as (channel, slice), the largest first; none of a filter that is drawn whole.
    pub planes: Vec<(usize, usize)>,
}

/// The filters of a layer.
#[derive(Clone, Debug)]
pub struct Filters {
    /// The layer with all its weights.
    pub bank: FilterBank,
    /// Filters that are shown, in their order.
    pub shown: Vec<ShownFilter>,
    /// Whether all have one scale.
    pub shared: bool,
    /// The largest norm of the layer.
    largest: f64,
    /// Colours come as blue, green, red.
    bgr: bool,
}

/// Planes that are drawn of a filter of many channels.
const PLANES: usize = 8;
/// Filters that are drawn if nobody says how many: of one picture each, and of planes.
const MOST: usize = 256;
const MOST_OF_PLANES: usize = 48;
/// More input channels than this do not make one shape.
const MOST_FITTED: usize = 4;

impl Model {
    /// Names of the layers that have filters, in the order of computation.
    pub fn filter_layers(&self) -> Vec<String> {
        filter_layers(&self.graph).into_iter().map(|l| l.0).collect()
    }
    /// The filters of a layer. Those with one channel, and those of the first layer, are compared with Gabor filters, edges,
    /// lines and spots.
    ///
    /// # Errors
    /// A layer that does not exist or has no filters, with the nearest names and all.
    pub fn filters(&self, o: &FiltersOptions) -> Result<Filters> {
        let bank = filter_layer(&self.graph, &self.weights, o.layer.as_deref())?;
        if o.top == Some(0) {
            return Err(Error::new("top", Rule::new("no filter is to be shown").right("at least 1")));
        }
        let bgr = self.preprocessing().is_some_and(|p| p.color == Color::Bgr);
        Ok(of_bank(bank, o, bgr))
    }
}

fn of_bank(bank: FilterBank, o: &FiltersOptions, bgr: bool) -> Filters {
    let norms: Vec<f64> = (0..bank.count).map(|i| bank.norm(i)).collect();
    let whole = is_whole(&bank);
    let most = match () {
        // A matrix has room for all.
        () if is_matrix(&bank) => bank.count,
        () if whole => MOST,
        () => MOST_OF_PLANES,
    };
    let most = o.top.unwrap_or(most).min(bank.count);
    let mut order: Vec<usize> = (0..bank.count).collect();
    // A NaN is the largest of all: it must be seen.
    order.sort_by(|&a, &b| norms[b].total_cmp(&norms[a]).then(a.cmp(&b)));
    order.truncate(most);
    if o.order == FilterOrder::Index {
        order.sort_unstable();
    }
    let largest = norms.iter().copied().filter(|n| n.is_finite()).fold(0.0, f64::max);
    // A filter along a line is one of a single row.
    let size = match bank.kernel[..] {
        [k] => Some([1, k]),
        // A single row of a picture's filter has a direction by itself, which says nothing.
        [h, w] if h > 1 => Some([h, w]),
        _ => None,
    };
    let size = size.filter(|_| bank.channels == 1 || (bank.first && bank.channels <= MOST_FITTED));
    let mut shown: Vec<ShownFilter> = (order.into_iter())
        .map(|index| {
            let fit = size.and_then(|size| nearest(bank.filter(index), bank.channels, size, largest));
            let planes = if whole { Vec::new() } else { strongest(&bank, index) };
            ShownFilter { index, norm: norms[index], fit, planes }
        })
        .collect();
    if o.order == FilterOrder::Kind {
        let place = |f: &ShownFilter| {
            f.fit.as_ref().map_or(9, |f| FilterKind::ALL.iter().position(|k| k.1 == f.kind).unwrap_or(9))
        };
        let r2 = |f: &ShownFilter| f.fit.as_ref().map_or(0.0, |f| f.r2);
        shown.sort_by(|a, b| place(a).cmp(&place(b)).then(r2(b).total_cmp(&r2(a))).then(a.index.cmp(&b.index)));
    }
    Filters { bank, shown, shared: o.shared, largest, bgr }
}

/// Whether a filter of this norm says nothing, in a layer whose largest has the other: as [`nearest`] has it.
fn is_dead(norm: f64, largest: f64) -> bool {
    norm == 0.0 || norm < 1e-5 * largest
}

/// Whether a filter is one picture: of one channel, of three colours, a strip, or a row of a matrix.
fn is_whole(b: &FilterBank) -> bool {
    b.kernel.len() == 1 || is_matrix(b) || (b.kernel.len() == 2 && (b.channels == 1 || is_colour(b)))
}

/// Whether all filters together are a matrix of filters by channels.
fn is_matrix(b: &FilterBank) -> bool {
    b.places() == 1
}

fn is_colour(b: &FilterBank) -> bool {
    b.channels == 3 && b.first
}

/// Planes of a filter, the largest first.
fn strongest(b: &FilterBank, index: usize) -> Vec<(usize, usize)> {
    let slices = if b.kernel.len() == 3 { b.kernel[0] } else { 1 };
    if is_colour(b) {
        return (0..slices).map(|s| (0, s)).collect();
    }
    let plane = b.places() / slices;
    let filter = b.filter(index);
    let mut all: Vec<(f32, usize)> =
        filter.chunks_exact(plane.max(1)).map(|p| p.iter().map(|v| v * v).sum::<f32>()).zip(0..).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all.iter().take(PLANES).map(|&(_, i)| (i / slices, i % slices)).collect()
}

impl Filters {
    /// Filters that are not shown.
    pub fn left_out(&self) -> usize {
        self.bank.count - self.shown.len()
    }
    /// How many of those shown are of each kind, in the order of [`FilterKind::ALL`]; none where nothing was fitted.
    pub fn kinds(&self) -> Vec<(FilterKind, usize)> {
        let count = |k: FilterKind| self.shown.iter().filter(|f| f.fit.as_ref().is_some_and(|f| f.kind == k)).count();
        FilterKind::ALL.iter().map(|k| (k.1, count(k.1))).filter(|k| k.1 > 0).collect()
    }
    /// Why no shapes were fitted to the layer's filters; `None` where some were.
    pub fn unfitted(&self) -> Option<String> {
        let (b, shown) = (&self.bank, &self.shown);
        if shown.iter().any(|f| f.fit.is_some()) {
            return None;
        }
        let extents = b.kernel.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
        Some(match (b.kernel.len(), b.channels) {
            (3.., _) => {
                format!("no shapes: they are fitted in one and two dimensions, and these filters are {extents}")
            }
            (_, 2..) if !b.first => {
                "no shapes: they are fitted to filters of the first layer and of one channel".into()
            }
            (_, n) if n > MOST_FITTED => {
                format!("no shapes: they are fitted to at most {MOST_FITTED} channels, and these filters have {n}")
            }
            _ => format!(
                "no shapes: they are fitted to filters of at least 3 × 3 places, or 5 along a line, and these are {extents}"
            ),
        })
    }
    /// How many filters of the layer have no weights to speak of: all 0, or next to nothing beside the largest filter.
    pub fn dead(&self) -> usize {
        (0..self.bank.count).filter(|&i| is_dead(self.bank.norm(i), self.largest)).count()
    }
    /// What is said of dead filters; `None` where there are none.
    pub fn dead_words(&self) -> Option<String> {
        let (dead, all) = (self.dead(), self.bank.count);
        let why = "their weights are 0, or next to nothing beside the largest";
        match dead {
            0 => None,
            n if n == all => Some(format!("dead: all {all} filters, whose weights are 0")),
            n => Some(format!("dead: {n} of {all} filters, {why}")),
        }
    }
    /// The kinds in words, and how many of their filters are weakly matched; `None` where nothing was fitted.
    pub fn kinds_words(&self) -> Option<String> {
        let kinds: Vec<String> = self.kinds().iter().map(|(k, n)| format!("{} {n}", k.name())).collect();
        let weak = self.shown.iter().filter(|f| f.fit.as_ref().is_some_and(FilterFit::is_weak)).count();
        let weak = match weak {
            0 => String::new(),
            n => format!("; {n} of them weak: the nearest shape explains less than half"),
        };
        (!kinds.is_empty()).then(|| kinds.join(" · ") + &weak)
    }
    /// All fitted shapes in the layout of the weights; zero where there is none.
    pub fn fits(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.bank.values.len()];
        let size = self.bank.channels * self.bank.places();
        for f in &self.shown {
            if let Some(fit) = f.fit.as_ref().filter(|fit| fit.values.len() == size) {
                out[f.index * size..(f.index + 1) * size].copy_from_slice(&fit.values);
            }
        }
        out
    }
    /// The picture.
    pub fn grid(&self, title: &str) -> FilterGrid {
        let b = &self.bank;
        let common = heat::extent(&b.values, 0.0);
        let extents = b.shape().iter().map(usize::to_string).collect::<Vec<_>>().join("×");
        let mut first = format!("{} of {}: {extents}", if is_matrix(b) { "weights" } else { "filters" }, b.layer);
        if b.groups > 1 {
            first += &format!(", {} groups", b.groups);
        }
        if b.kind != BankKind::Conv {
            first += &format!(", {}", b.kind.name());
        }
        let scale = if is_matrix(b) || self.shared {
            format!("one scale for all, up to ±{}", gabor_report::short(f64::from(common)))
        } else {
            "each filter by its own largest weight".into()
        };
        let colours = if is_colour(b) { "0 is middle grey" } else { "0 is white, blue below, orange above" };
        let mut lines = vec![first, format!("{colours}; {scale}")];
        if b.kernel.len() == 1 && !is_matrix(b) {
            lines[1] += "; a row per place, a column per input channel";
        }
        if let Some(kinds) = self.kinds_words() {
            lines.push(kinds);
            lines.push("beside each filter the nearest shape; R² is the part of the filter that it explains".into());
        }
        lines.extend(self.dead_words());
        if self.left_out() > 0 {
            lines.push(format!("the {} largest; {} more are left out", self.shown.len(), self.left_out()));
        }
        if is_matrix(b) {
            lines.push("a row per filter, a column per input channel".into());
            return FilterGrid { title: title.into(), lines, matrix: Some(self.matrix(common)), ..Default::default() };
        }
        let planes = self.shown.first().map_or(0, |f| f.planes.len());
        let slices = if b.kernel.len() == 3 { b.kernel[0] } else { 1 };
        if planes > 0 && !is_colour(b) && planes < b.channels * slices {
            lines.push(format!(
                "of each filter the {planes} largest of {} planes, by input channel",
                b.channels * slices
            ));
        }
        let tiles = self.shown.iter().map(|f| self.tile(f, common)).collect();
        FilterGrid { title: title.into(), lines, tiles, matrix: None }
    }
    /// Weights of filters of one place, in the order in which filters are shown.
    fn matrix(&self, extent: f32) -> WeightMatrix {
        let filters: Vec<usize> = self.shown.iter().map(|f| f.index).collect();
        let values = filters.iter().flat_map(|&i| self.bank.filter(i)).copied().collect();
        WeightMatrix { filters, channels: self.bank.channels, values, extent }
    }
    fn tile(&self, f: &ShownFilter, common: f32) -> FilterTile {
        let b = &self.bank;
        let values = b.filter(f.index);
        let extent = if self.shared { common } else { heat::extent(values, 0.0) };
        let fit = f.fit.as_ref();
        let (pictures, labels) = if f.planes.is_empty() {
            (self.whole(values, extent).into_iter().collect(), Vec::new())
        } else {
            let slices = if b.kernel.len() == 3 { b.kernel[0] } else { 1 };
            let size = [b.kernel[b.kernel.len() - 2], b.kernel[b.kernel.len() - 1]];
            let places = size[0] * size[1];
            let at = |c: usize, s: usize| &values[(c * slices + s) * places..][..places];
            let one = |&(c, s): &(usize, usize)| {
                if is_colour(b) {
                    let all: Vec<f32> = (0..3).flat_map(|c| at(c, s).iter().copied()).collect();
                    return self.colours(&all, size, extent);
                }
                heat::heat(at(c, s), size, extent, Scale::Diverging)
            };
            let label = |&(c, s): &(usize, usize)| match (is_colour(b), slices) {
                (true, _) => format!("t {s}"),
                (_, 1) => c.to_string(),
                _ => format!("{c}, t {s}"),
            };
            (f.planes.iter().filter_map(one).collect(), f.planes.iter().map(label).collect())
        };
        let dead = fit.is_some_and(|f| f.kind == FilterKind::Dead) || is_dead(f.norm, self.largest);
        let kind = if dead { "dead" } else { fit.map_or("", |f| f.kind.name()) };
        let score = match fit {
            Some(fit) if !dead && fit.is_weak() => format!("weak, R² {:.2}", hundredths(fit.r2)),
            Some(fit) if !dead => format!("R² {:.2}", hundredths(fit.r2)),
            None if !dead => format!("size {:.3}", f.norm),
            _ => String::new(),
        };
        FilterTile {
            pictures,
            labels,
            fit: fit.and_then(|fit| self.whole(&fit.values, extent)),
            name: format!("{} {kind}", f.index).trim_end().into(),
            score,
            lines: fit.map_or(Vec::new(), fit_words),
            pale: dead,
        }
    }
    /// A filter of one picture.
    fn whole(&self, values: &[f32], extent: f32) -> Option<Picture> {
        let b = &self.bank;
        match b.kernel[..] {
            // A strip: a column per channel would be as long as a word's vector; rows are places.
            [k] => {
                let across: Vec<f32> = (0..k * b.channels)
                    .map(|i| values.get(i % b.channels * k + i / b.channels).copied().unwrap_or(0.0))
                    .collect();
                (!values.is_empty()).then(|| heat::heat(&across, [k, b.channels], extent, Scale::Diverging)).flatten()
            }
            [h, w] if is_colour(b) => self.colours(values, [h, w], extent),
            [h, w] if b.channels == 1 => heat::heat(values, [h, w], extent, Scale::Diverging),
            [h, w] => heat::heat(values.get(..h * w)?, [h, w], extent, Scale::Diverging),
            _ => None,
        }
    }
    fn colours(&self, values: &[f32], [h, w]: [usize; 2], extent: f32) -> Option<Picture> {
        if !self.bgr {
            return heat::signed(values, [3, h, w], extent);
        }
        let turned: Vec<f32> = values.chunks_exact(h * w).rev().flatten().copied().collect();
        heat::signed(&turned, [3, h, w], extent)
    }
}

/// Whole hundredths, so that what is said to be less than half never reads as half.
fn hundredths(part: f64) -> f64 {
    (part * 100.0).floor() / 100.0
}

/// The numbers of a fit in two short lines; with `≈` those of the shape that the filter does not determine.
pub fn fit_words(f: &FilterFit) -> Vec<String> {
    let number = |letter: &str, known: Option<f64>, shape: Option<f64>, show: &dyn Fn(f64) -> String| {
        let sure = known.map(|v| format!("{letter} {}", show(v)));
        sure.or_else(|| shape.map(|v| format!("{letter} ≈ {}", show(v))))
    };
    let s = &f.shape;
    let turn = |v: f64| format!("{:.0}°", v.round() % 180.0);
    let angle = |v: f64| format!("{v:.0}°");
    let (one, two) = (|v: f64| format!("{v:.1}"), |v: f64| format!("{v:.2}"));
    let first = [
        number("θ", f.orientation, s.orientation, &turn),
        number("λ", f.wavelength, s.wavelength, &one),
        number("ψ", f.phase, s.phase, &angle),
    ];
    let second = [number("σ", f.sigma, s.sigma, &one), number("γ", f.aspect, s.aspect, &two)];
    let line = |l: Vec<Option<String>>| l.into_iter().flatten().collect::<Vec<_>>().join(" · ").replace('-', "−");
    [line(first.to_vec()), line(second.to_vec())].into_iter().filter(|l| !l.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_nets::{Mode, zoo};

    /// Strips of texts, films, planes, matrices, colours: every layer of every network of the zoo is drawn.
    #[test]
    fn every_layer_of_the_zoo_is_drawn() {
        let mut layers = 0;
        for card in zoo::cards().filter(|c| c.name.starts_with("tiny_")) {
            let net = zoo::by_name(card.name, &Default::default()).unwrap();
            let model = Model::new(net.graph(Mode::Infer).unwrap(), net.initialize(1).unwrap()).unwrap();
            for layer in model.filter_layers() {
                let o = FiltersOptions { layer: Some(layer.clone()), top: Some(3), ..Default::default() };
                let found = model.filters(&o).unwrap_or_else(|e| panic!("{} {layer}: {e}", card.name));
                let grid = found.grid(card.name);
                assert!(grid.tiles.is_empty() == grid.matrix.is_some(), "{} {layer}", card.name);
                for t in &grid.tiles {
                    assert!(!t.pictures.is_empty(), "{} {layer}: {:?}", card.name, found.bank.shape());
                    assert!(t.labels.is_empty() || t.labels.len() == t.pictures.len());
                }
                assert_eq!(found.fits().len(), found.bank.values.len());
                layers += 1;
            }
        }
        assert!(layers > 100, "{layers}");
    }

    #[test]
    fn dead_filters_say_so_and_colours_are_peoples() {
        let mut values = vec![0.0; 2 * 3 * 25];
        // The first channel of the second filter.
        values[75..100].fill(1.0);
        let bank = FilterBank {
            layer: "conv1".into(),
            weight: "conv1.weight".into(),
            kind: BankKind::Conv,
            groups: 1,
            count: 2,
            channels: 3,
            kernel: vec![5, 5],
            first: true,
            values,
        };
        let draw = |bgr: bool| {
            let found = of_bank(bank.clone(), &FiltersOptions::default(), bgr);
            assert_eq!(found.kinds(), [(FilterKind::ColourBlob, 1), (FilterKind::Dead, 1)]);
            found.grid("t").tiles
        };
        let (rgb, bgr) = (draw(false), draw(true));
        assert!(rgb[0].name == "0 dead" && rgb[0].pale && rgb[0].fit.is_none());
        assert_eq!(
            (&rgb[1].pictures[0].data[..3], &bgr[1].pictures[0].data[..3]),
            (&[255, 128, 128][..], &[128, 128, 255][..])
        );
    }

    #[test]
    fn lines_have_shapes_and_others_say_why_not() {
        let of = |channels: usize, kernel: &[usize], first: bool| {
            let size = kernel.iter().product::<usize>();
            let wave = |i: usize| (0.9 * (i % size) as f32).cos() * (-((i % size) as f32 - 7.0).powi(2) / 18.0).exp();
            let bank = FilterBank {
                layer: "conv1".into(),
                weight: "conv1.weight".into(),
                kind: BankKind::Conv,
                groups: 1,
                count: 2,
                channels,
                kernel: kernel.to_vec(),
                first,
                values: (0..2 * channels * size).map(wave).collect(),
            };
            of_bank(bank, &FiltersOptions::default(), false)
        };
        let line = of(1, &[15], true);
        assert_eq!((line.kinds(), line.unfitted()), (vec![(FilterKind::Gabor, 2)], None));
        let tile = &line.grid("t").tiles[0];
        assert!(tile.fit.is_some() && tile.lines.iter().any(|l| l.starts_with("λ 7.0")), "{:?}", tile.lines);
        for (channels, kernel, first, why) in [
            (1, &[3, 5, 5][..], true, "in one and two dimensions, and these filters are 3×5×5"),
            (2, &[5, 5], false, "filters of the first layer and of one channel"),
            (9, &[15], true, "at most 4 channels, and these filters have 9"),
            (1, &[2, 15], true, "or 5 along a line, and these are 2×15"),
            (1, &[1, 15], true, "or 5 along a line, and these are 1×15"),
        ] {
            let found = of(channels, kernel, first);
            assert!(found.unfitted().unwrap().contains(why) && found.kinds().is_empty(), "{:?}", found.unfitted());
        }
    }
}
