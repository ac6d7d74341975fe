//! Classic filters on pictures: [`filtered`].

use crate::judged::as_people_see_it;
use crate::{Matrix, Result};
use gabor_compile::Backend;
use gabor_data::{Color, Image, Preprocessing};
use gabor_explain::classic::Filtering;
pub use gabor_explain::classic::{Border, Classic, ClassicFilter, ClassicNumbers, Drawn};
use gabor_report::{FilterSheet, Picture};
use gabor_tensor::Rule;

/// How a filter is applied and its result drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct FilteringOptions {
    /// What the picture is continued with.
    pub border: Border,
    /// How the result is drawn; `None` is as the filter asks for.
    pub drawn: Option<Drawn>,
    /// Filter the grey picture, and not each colour; `None` is as the filter asks for.
    pub grey: Option<bool>,
    /// What values are multiplied with before they are drawn; `None` is 1 of natural results, and of others what spreads all
    /// but the largest two hundredths over the greys.
    pub gain: Option<f64>,
}

/// A filtered picture.
#[derive(Clone, Debug)]
pub struct Filtered {
    /// The picture, of the size of the one that was filtered.
    pub picture: Picture,
    /// The values before they became bytes, plane by plane: `[channels, height, width]`.
    pub values: Vec<f32>,
    /// How it is drawn.
    pub drawn: Drawn,
    /// What values were multiplied with.
    pub gain: f64,
    /// Smallest and largest value.
    pub range: [f32; 2],
}

/// The part of the places that may lie beyond the greys.
const OUTLIERS: f64 = 0.02;
/// Values that are looked at for that.
const LOOKED_AT: usize = 1 << 20;

/// The filter of a name with its numbers, or of weights such as `[[-1,0,1],[-2,0,2],[-1,0,1]]`.
///
/// # Errors
/// A name that there is not, a number that the filter does not take, weights that make no filter.
pub fn classic(text: &str, numbers: &ClassicNumbers) -> Result<ClassicFilter, Rule> {
    if let Some(kind) = Classic::by_name(text) {
        return kind.filter(numbers);
    }
    if text.contains(|c: char| c.is_ascii_digit()) {
        let m: Matrix = text.parse()?;
        if *numbers != ClassicNumbers::default() {
            return Err(
                Rule::new("weights that are given take no other numbers").right("weights alone, or a filter's name")
            );
        }
        let size = if let [h, w] = m.shape[..] { [h, w] } else { [1, m.values.len()] };
        return ClassicFilter::custom(size, m.values);
    }
    let names = Classic::ALL.iter().map(|k| k.0).collect::<Vec<_>>().join(", ");
    Err(Rule::new(format!("there is no filter `{text}`")).right(format!("{names}, or weights such as [[-1,0,1]]")))
}

/// Filters a picture at its full size through the convolution of `backend`. `done` hears how many of all rows are ready.
///
/// # Errors
/// What the backend cannot compute.
pub fn filtered(
    image: &Image<'_>,
    filter: &ClassicFilter,
    o: &FilteringOptions,
    backend: &dyn Backend,
    done: &mut dyn FnMut(usize, usize),
) -> Result<Filtered> {
    let grey = o.grey.unwrap_or(!filter.colours);
    let image = image.to_color(if grey || image.color() == Color::Grey { Color::Grey } else { Color::Rgb });
    let (h, w, c) = (image.height(), image.width(), image.channels());
    let drawn = o.drawn.unwrap_or(filter.drawn);
    let passes = if filter.second.is_some() { 2 } else { 1 };
    let all = h * c * passes;
    let mut values: Vec<f32> = Vec::with_capacity(h * w * c);
    let mut first = Filtering::new(backend, filter, &filter.weights);
    let mut second = filter.second.as_ref().map(|weights| Filtering::new(backend, filter, weights));
    for channel in 0..c {
        let plane: Vec<u8> = image.data().iter().skip(channel).step_by(c).copied().collect();
        let begun = channel * h * passes;
        let mut found = first.apply(&plane, [h, w], o.border, &mut |rows| done(begun + rows, all))?;
        if let Some(second) = &mut second {
            let other = second.apply(&plane, [h, w], o.border, &mut |rows| done(begun + h + rows, all))?;
            found.iter_mut().zip(&other).for_each(|(a, b)| *a = (*a * *a + b * b).sqrt());
        }
        values.append(&mut found);
    }
    let gain = o.gain.unwrap_or_else(|| match drawn {
        Drawn::Natural => 1.0,
        Drawn::Signed => 127.0 / f64::from(extent(&values)),
        Drawn::Magnitude => 255.0 / f64::from(extent(&values)),
    });
    // Halves go to the even byte, as OpenCV has it.
    let byte = |v: f32| {
        let v = f64::from(v) * gain;
        let v = match drawn {
            Drawn::Natural => v,
            Drawn::Signed => v + 128.0,
            Drawn::Magnitude => v.abs(),
        };
        v.round_ties_even().clamp(0.0, 255.0) as u8
    };
    let places = h * w;
    let data = (0..places).flat_map(|i| (0..c).map(move |k| k * places + i)).map(|i| byte(values[i])).collect();
    let range = values.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[l, h], &v| [l.min(v), h.max(v)]);
    let picture = Picture::new(w, h, c, data).ok_or_else(|| Rule::new("the picture is empty"))?;
    Ok(Filtered { picture, values, drawn, gain, range })
}

/// What values are divided by: the largest size but for outliers, of a sample of them.
fn extent(values: &[f32]) -> f32 {
    let step = values.len().div_ceil(LOOKED_AT).max(1);
    let sample: Vec<f32> = values.iter().step_by(step).copied().collect();
    gabor_report::heat::extent(&sample, OUTLIERS)
}

/// Longest side of a picture on a sheet.
const SHOWN: usize = 720;

impl Filtered {
    /// Picture, filter and result side by side.
    pub fn sheet(
        &self,
        image: &Image<'_>,
        name: &str,
        filter: &ClassicFilter,
        title: &str,
        border: Border,
    ) -> Option<FilterSheet> {
        let after = Image::new(
            self.picture.height,
            self.picture.width,
            if self.picture.channels == 1 { Color::Grey } else { Color::Rgb },
            self.picture.data.as_slice(),
        );
        let (before, after) = (small(image)?, small(&after.ok()?)?);
        let mut filters = vec![(name.to_string(), filter.size, filter.weights.clone())];
        if let Some(second) = &filter.second {
            filters[0].0 = format!("{name} across");
            filters.push((format!("{name} down"), filter.size, second.clone()));
        }
        let gain = if self.gain == 1.0 { String::new() } else { format!(", times {:.3}", self.gain) };
        let note = match self.drawn {
            Drawn::Natural => format!("values as they are{gain}"),
            Drawn::Signed => format!("0 is middle grey{gain}"),
            Drawn::Magnitude => format!("size, 0 is black{gain}"),
        };
        let border = Border::ALL.iter().find(|b| b.1 == border).map_or("", |b| b.0);
        let [low, high] = self.range;
        let subtitle = format!(
            "{name} over {} × {} pixels, border {border}; values from {low:.1} to {high:.1}",
            image.width(),
            image.height()
        );
        Some(FilterSheet {
            title: title.into(), subtitle: subtitle.replace(" -", " −"), before, after, filters, note
        })
    }
}

fn small(image: &Image<'_>) -> Option<Picture> {
    let (h, w) = (image.height(), image.width());
    let most = h.max(w);
    if most <= SHOWN {
        return as_people_see_it(image);
    }
    let to = |side: usize| (side * SHOWN / most).max(1);
    let channels = if image.color() == Color::Grey { 1 } else { 3 };
    as_people_see_it(&Preprocessing::exact([channels, to(h), to(w)]).ok()?.prepared(image).ok()?)
}
