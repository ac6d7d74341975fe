//! Style transfer: a picture whose maps are those of one photograph and whose maps go together as those of another.

use super::engine::numbers;
use super::{Descent, Hear, Lens, Moment, check_steps, levels, smooth};
use crate::extract::Extract;
use crate::{Error, Layer, Result, Subject};
use gabor_compile::{Executable, differentiate};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{DType, Dim, Rule, Shape, Tensor};

/// Settings of style transfer.
#[derive(Clone, Debug, PartialEq)]
pub struct StyleOptions {
    /// Layers of content; none is one in the middle of the network.
    pub content_layers: Vec<String>,
    /// Layers of style; none is the first map of each size, five at most.
    pub style_layers: Vec<String>,
    /// Weight of the content (default 1).
    pub content_weight: f64,
    /// Weight of the style (default 200).
    pub style_weight: f64,
    /// Weight of the total variation (default 10).
    pub variation: f64,
    /// Evaluations of the loss and its gradient (default 200).
    pub steps: usize,
}

impl Default for StyleOptions {
    fn default() -> Self {
        StyleOptions {
            content_layers: Vec::new(),
            style_layers: Vec::new(),
            content_weight: 1.0,
            style_weight: 200.0,
            variation: 10.0,
            steps: 200,
        }
    }
}

/// A picture in 0..1, `[c, h, w]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    /// Channel by channel, row by row.
    pub values: Vec<f32>,
    /// Rows and columns.
    pub size: [usize; 2],
}

/// A picture with another's style.
#[derive(Clone, Debug, PartialEq)]
pub struct Styled {
    /// The picture, of the content's size.
    pub picture: Pixels,
    /// Layers in which content was measured.
    pub content_layers: Vec<String>,
    /// Layers in which style was measured.
    pub style_layers: Vec<String>,
    /// Content and style loss at each evaluation, unweighted.
    pub curve: Vec<[f32; 2]>,
}

/// Gives the content the style, beginning with the content and going down as `descent` does.
///
/// Both losses are relative, so that weights mean the same for every network and layer: ‖F − P‖²/‖P‖² of the maps, and
/// the mean over the layers of ‖G − A‖²/‖A‖² of the Gram matrices.
///
/// # Errors
/// A layer that does not exist or has no places; a network that cannot look at pictures of these sizes up to the layers;
/// settings out of bounds.
pub fn transfer(
    subject: &Subject,
    lens: &Lens,
    [content, style]: [&Pixels; 2],
    o: &StyleOptions,
    descent: &mut dyn Descent,
    hear: &mut Hear<'_>,
) -> Result<Styled> {
    check(subject, lens, content, style, o)?;
    let (content_layers, style_layers) = layers(subject, o)?;
    hear(Moment::beginning(o.steps))?;
    let mut losses = Losses::new(subject, lens, content, style, [&content_layers, &style_layers], o)?;
    let mut now = content.values.clone();
    let mut curve = Vec::with_capacity(o.steps);
    descent.descend(&mut now, o.steps, &mut |x, d| {
        let both = losses.run(x, d)?;
        if both.iter().any(|v| !v.is_finite()) || d.iter().any(|v| !v.is_finite()) {
            return Err(Error::new("style", Rule::new("the loss is no number").right("a smaller rate")));
        }
        curve.push(both);
        let mut loss = o.content_weight * f64::from(both[0]) + o.style_weight * f64::from(both[1]);
        hear(Moment::after(curve.len(), o.steps, loss as f32))?;
        if o.variation > 0.0 {
            // What is subtracted from the one is added to the other.
            d.iter_mut().for_each(|v| *v = -*v);
            loss += o.variation * smooth::variation(x, content.size, o.variation as f32, d);
            d.iter_mut().for_each(|v| *v = -*v);
        }
        Ok(loss)
    })?;
    let names = |l: &[Layer]| l.iter().map(|l| l.name.clone()).collect();
    Ok(Styled {
        picture: Pixels { values: now, size: content.size },
        content_layers: names(&content_layers),
        style_layers: names(&style_layers),
        curve,
    })
}

fn check(subject: &Subject, lens: &Lens, content: &Pixels, style: &Pixels, o: &StyleOptions) -> Result<()> {
    lens.check(subject)?;
    check_steps(o.steps)?;
    let c = subject.input()[0];
    for (name, p) in [("content", content), ("style", style)] {
        let [h, w] = p.size;
        if p.values.len() != c * h * w || h == 0 || w == 0 || h.max(w) > 8192 {
            let rule = Rule::new(format!("{} numbers of a picture of {h} × {w}", p.values.len()));
            return Err(Error::new(name, rule.right(format!("{c} channels of them, at most 8192 × 8192"))));
        }
    }
    let weights = [("content-weight", o.content_weight), ("style-weight", o.style_weight), ("tv", o.variation)];
    for (name, v) in weights {
        if !(0.0..=1e6).contains(&v) {
            return Err(Error::new(name, Rule::new(format!("a value of {v}")).right("0 to 1000000")));
        }
    }
    Ok(())
}

/// The layers of content and of style.
fn layers(subject: &Subject, o: &StyleOptions) -> Result<(Vec<Layer>, Vec<Layer>)> {
    let named = |names: &[String]| names.iter().map(|n| subject.layer(n)).collect::<Result<Vec<_>>>();
    let content = if o.content_layers.is_empty() { vec![levels::content(subject)?] } else { named(&o.content_layers)? };
    let style = if o.style_layers.is_empty() { levels::style(subject)? } else { named(&o.style_layers)? };
    match content.iter().chain(&style).find(|l| l.shape.len() != 3) {
        None => Ok((content, style)),
        Some(l) => {
            let rule = Rule::new(format!("layer {}, which has no places", l.name));
            Err(Error::new(&l.name, rule.right("a layer of shape [channels, h, w]")))
        }
    }
}

/// Content and style loss of a picture with their gradient, compiled once.
pub(super) struct Losses {
    run: Box<dyn Executable>,
    name: String,
    image: Tensor,
    lens: Lens,
}

impl Losses {
    pub(super) fn new(
        subject: &Subject,
        lens: &Lens,
        content: &Pixels,
        style: &Pixels,
        [content_layers, style_layers]: [&[Layer]; 2],
        o: &StyleOptions,
    ) -> Result<Self> {
        let kept = targets(subject, lens, content, content_layers, false)?;
        let wanted = targets(subject, lens, style, style_layers, true)?;
        let mut e = extract(subject, content.size)?;
        let image = e.value(subject.images())?;
        let part = |e: &mut Extract<'_>, layers: &[Layer], targets: Vec<Tensor>, grams: bool| -> Result<ValueId> {
            let mut sum = None;
            for (layer, target) in layers.iter().zip(targets) {
                let y = e.value(layer.value)?;
                let loss = distance(&mut e.graph, y, target, grams)?;
                sum = Some(sum.map_or(Ok(loss), |s| e.graph.add(s, loss))?);
            }
            let sum = sum.map_or_else(|| Ok(e.graph.number(0.0)), Ok::<_, Error>)?;
            Ok(e.graph.scale(sum, 1.0 / layers.len().max(1) as f64)?)
        };
        let content_loss = part(&mut e, content_layers, kept, false)?;
        let style_loss = part(&mut e, style_layers, wanted, true)?;
        let graph = &mut e.graph;
        let (a, b) = (graph.scale(content_loss, o.content_weight)?, graph.scale(style_loss, o.style_weight)?);
        let loss = graph.add(a, b)?;
        let gradient = differentiate(graph, loss, &[image])?[0];
        let gradient = gradient.map_or_else(|| graph.zeros_like(image), Ok)?;
        graph.output("gradient", gradient);
        graph.output("content", content_loss);
        graph.output("style", style_loss);
        let [h, w] = content.size;
        Ok(Losses {
            run: subject.compile(e.graph)?,
            name: subject.images_name().to_string(),
            image: Tensor::zeros(&[1, subject.input()[0], h, w], DType::F32),
            lens: lens.clone(),
        })
    }
    /// Content and style loss of a picture in 0..1, and the gradient of their weighted sum.
    pub(super) fn run(&mut self, picture: &[f32], d: &mut [f32]) -> Result<[f32; 2]> {
        let area = picture.len() / self.lens.gain.len();
        let both = self.lens.gain.iter().zip(&self.lens.offset);
        let planes = numbers(&mut self.image).chunks_exact_mut(area).zip(picture.chunks_exact(area));
        for ((out, from), (&gain, &offset)) in planes.zip(both) {
            out.iter_mut().zip(from).for_each(|(o, v)| *o = v * gain + offset);
        }
        self.run.run(0, 1, &[(&self.name, &self.image)])?;
        let gradient = self.run.output("gradient")?.as_f32()?;
        for ((out, from), &gain) in d.chunks_exact_mut(area).zip(gradient.chunks_exact(area)).zip(&self.lens.gain) {
            out.iter_mut().zip(from).for_each(|(o, v)| *o = v * gain);
        }
        Ok([self.run.output("content")?.scalar()?, self.run.output("style")?.scalar()?])
    }
}

fn extract<'a>(subject: &'a Subject, [h, w]: [usize; 2]) -> Result<Extract<'a>> {
    let mut e = Extract::new(subject.graph());
    e.give(subject.images(), subject.images_name(), &[subject.input()[0], h, w])?;
    Ok(e)
}

/// How maps go together: `F·Fᵀ/(h·w)` of a map `[n, c, h, w]` with F its channels as rows.
fn gram(graph: &mut Graph, y: ValueId) -> Result<ValueId> {
    let shape = graph.shape(y).clone();
    let [c, h, w] = [1, 2, 3].map(|i| shape.0[i].at(1));
    let rows = graph.reshape(y, &Shape(vec![shape.0[0], Dim::Fixed(c), Dim::Fixed(h * w)]))?;
    let product = graph.matmul(rows, rows, false, true)?;
    Ok(graph.scale(product, 1.0 / (h * w) as f64)?)
}

/// ‖y − target‖²/‖target‖², of maps or of their Gram matrices.
fn distance(graph: &mut Graph, y: ValueId, target: Tensor, grams: bool) -> Result<ValueId> {
    let size: f64 = target.to_f64().iter().map(|v| v * v).sum();
    let is = if grams { gram(graph, y)? } else { y };
    let target = graph.constant(target);
    let off = graph.sub(is, target)?;
    let squares = graph.sum_of_squares(off)?;
    // A layer that says nothing about the picture has no size to compare with.
    Ok(graph.scale(squares, if size > 0.0 { 1.0 / size } else { 1.0 })?)
}

/// What the layers say about a picture, or how that goes together.
fn targets(subject: &Subject, lens: &Lens, of: &Pixels, layers: &[Layer], grams: bool) -> Result<Vec<Tensor>> {
    let mut e = extract(subject, of.size)?;
    for (i, layer) in layers.iter().enumerate() {
        let place = |err: Error| {
            let rule = Rule::new(format!("on a picture of {} × {}: {err}", of.size[0], of.size[1]));
            Error::new(&layer.name, rule.right("an earlier layer, or a larger picture"))
        };
        let y = e.value(layer.value).map_err(|err| place(err.into()))?;
        let is = if grams { gram(&mut e.graph, y)? } else { y };
        e.graph.output(format!("value{i}"), is);
    }
    let mut run = subject.compile(e.graph)?;
    let shape = [1, subject.input()[0], of.size[0], of.size[1]];
    let image = Tensor::f32(&shape, lens.prepared(&of.values)).map_err(|r| Error::new("picture", r))?;
    run.run(0, 1, &[(subject.images_name(), &image)])?;
    (0..layers.len()).map(|i| Ok(run.output(&format!("value{i}"))?.to_tensor())).collect()
}

#[cfg(test)]
#[path = "style_tests.rs"]
mod tests;
