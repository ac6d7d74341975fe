//! The scores of pictures that differ from one picture in a small window each, by computing only what changes.
//!
//! A window changes a rectangle of the next feature map, and that one a larger rectangle of the one after. As long as
//! rectangles are small, a layer runs on crops: the picture's own feature map with the changed rectangle laid over it. Where
//! they have grown, or a layer mixes all places, whole maps go on. The result is that of computing everything, up to
//! the rounding of sums.

mod plan;

use crate::extract::Extract;
use crate::{Error, Result, Subject};
use gabor_compile::Executable;
use gabor_graph::ValueId;
use gabor_graph::ops::{AvgPool, Conv, MaxPool};
use gabor_tensor::{ConvGeometry, DType, Data, Padding, Rule, Tensor, WindowOptions};
use plan::{Plan, Reach, Stage};

pub(crate) use plan::Window;

/// A feature map of the picture itself.
struct Base {
    value: ValueId,
    channels: usize,
    plane: [usize; 2],
    numbers: Vec<f32>,
}

/// A compiled stage.
struct Compiled {
    stage: Stage,
    run: Box<dyn Executable>,
    /// The crops that it reads, written anew for every batch.
    crops: Vec<(String, Tensor)>,
}

/// Computes scores of changed pictures.
pub(crate) struct Patches {
    plan: Plan,
    /// The network itself, for the maps of the picture.
    all: Box<dyn Executable>,
    images: String,
    stages: Vec<Compiled>,
    rest: Box<dyn Executable>,
    /// The whole maps that the rest reads, written anew for every batch.
    maps: Vec<(String, Tensor)>,
    bases: Vec<Base>,
    classes: usize,
    batch: usize,
}

/// Name of a stage's result.
const OUT: &str = "y";

impl Patches {
    /// For windows of pictures, `batch` windows at once. With `whole`, everything is computed for each window.
    ///
    /// # Errors
    /// A graph that the backend cannot run.
    pub(crate) fn new(subject: &Subject, windows: &[Window], batch: usize, whole: bool) -> Result<Self> {
        let batch = batch.min(windows.len()).max(1);
        let plan = if whole { Plan::whole(subject, windows) } else { Plan::cheapest(subject, windows) };
        let base = |value: ValueId| {
            let shape = subject.extents(value);
            Base { value, channels: shape[0], plane: [shape[1], shape[2]], numbers: Vec::new() }
        };
        let bases: Vec<Base> = plan.values().into_iter().map(base).collect();
        let mut graph = subject.graph().clone();
        graph.clear_outputs();
        for b in &bases {
            graph.output(format!("map{}", b.value.0), b.value);
        }
        graph.output("scores", subject.scores());
        let all = subject.compile(graph)?;
        let stages = plan.stages.iter().map(|s| compile(subject, &plan, s, batch)).collect::<Result<Vec<_>>>()?;
        let mut rest = Extract::new(subject.graph());
        for &v in &plan.frontier {
            rest.give(v, &format!("map{}", v.0), &subject.extents(v))?;
        }
        let scores = rest.value(subject.scores())?;
        rest.graph.output("scores", scores);
        let rest = subject.compile(rest.graph)?;
        let images = subject.images_name().to_string();
        let map = |&v: &ValueId| {
            let shape = [&[batch], &subject.extents(v)[..]].concat();
            (format!("map{}", v.0), Tensor::zeros(&shape, DType::F32))
        };
        let maps = plan.frontier.iter().map(map).collect();
        Ok(Patches { plan, all, images, stages, rest, maps, bases, classes: subject.classes(), batch })
    }
    /// Looks at a picture `[1, c, h, w]`, of which the windows are to be covered: its scores.
    ///
    /// # Errors
    /// A picture of another shape.
    pub(crate) fn see(&mut self, image: &Tensor) -> Result<Vec<f32>> {
        self.all.run(0, 1, &[(&self.images, image)])?;
        for b in &mut self.bases {
            b.numbers.clear();
            b.numbers.extend_from_slice(self.all.output(&format!("map{}", b.value.0))?.as_f32()?);
        }
        Ok(self.all.output("scores")?.as_f32()?.to_vec())
    }
    /// The part of the work of computing everything that is done, as estimated.
    #[cfg(test)]
    pub(crate) fn share(&self) -> f64 {
        self.plan.share
    }
    /// For every window of the picture last seen the score of `class` where the window's places have the values of `cover` `[c, h, w]`.
    pub(crate) fn scores(&mut self, cover: &[f32], class: usize) -> Result<Vec<f32>> {
        let count = self.plan.windows.len();
        let mut out = Vec::with_capacity(count);
        for first in (0..count).step_by(self.batch) {
            // The last batch is filled up with its last window, so that one plan serves all.
            let which: Vec<usize> = (first..first + self.batch).map(|i| i.min(count - 1)).collect();
            let image = self.covered(cover, &which);
            for i in 0..self.stages.len() {
                let mut crops = std::mem::take(&mut self.stages[i].crops);
                let mut each = crops.iter_mut().enumerate();
                let laid = each.try_for_each(|(k, (_, t))| self.crop(i, k, &which, &image, t));
                let s = &mut self.stages[i];
                s.crops = crops;
                laid?;
                s.run.run(0, self.batch, &named(&s.crops))?;
            }
            let mut maps = std::mem::take(&mut self.maps);
            let mut each = maps.iter_mut().zip(&self.plan.frontier);
            let laid = each.try_for_each(|((_, t), &v)| self.map(v, &which, &image, t));
            self.maps = maps;
            laid?;
            self.rest.run(0, self.batch, &named(&self.maps))?;
            let scores = self.rest.output("scores")?.as_f32()?;
            let new = self.batch.min(count - first);
            out.extend(scores.chunks_exact(self.classes).take(new).map(|row| row[class]));
        }
        Ok(out)
    }
    fn base(&self, v: ValueId) -> &Base {
        // The plan lists every value that it reads, so this is always found; the first stands in for none.
        self.bases.iter().find(|b| b.value == v).unwrap_or(&self.bases[0])
    }
    /// The pictures' changed rectangles: covered where the window lies, the picture's own elsewhere.
    fn covered(&self, cover: &[f32], which: &[usize]) -> Vec<f32> {
        let images = self.plan.images;
        let (base, reach) = (self.base(images), self.plan.reach(images));
        let [h, w] = base.plane;
        let mut out = Vec::with_capacity(which.len() * base.channels * reach.area());
        for &i in which {
            let ([oy, ox], window) = (reach.origins[i], &self.plan.windows[i]);
            for c in 0..base.channels {
                for y in oy..oy + reach.size[0] {
                    for x in ox..ox + reach.size[1] {
                        let at = (c * h + y) * w + x;
                        out.push(if window.holds(y, x) { cover[at] } else { base.numbers[at] });
                    }
                }
            }
        }
        out
    }
    /// The changed rectangles of a value in the present batch.
    fn patch<'a>(&'a self, v: ValueId, image: &'a [f32]) -> Result<&'a [f32]> {
        if v == self.plan.images {
            return Ok(image);
        }
        match self.stages.iter().find(|s| s.stage.output == v) {
            Some(s) => s.run.output(OUT)?.as_f32(),
            None => Err(Error::new("patches", Rule::new(format!("value {} has no rectangle", v.0)))),
        }
    }
    /// What stage `i` reads of its input `k`: crops of the picture's map with the changed rectangles laid over.
    fn crop(&self, i: usize, k: usize, which: &[usize], image: &[f32], to: &mut Tensor) -> Result<()> {
        let stage = &self.stages[i].stage;
        let output = self.plan.reach(stage.output);
        let corner = |w: usize| stage.first(k, output.origins[w]);
        self.lay(stage.inputs[k], which, &corner, stage.fill, image, to)
    }
    /// Whole maps of value `v`, one per window.
    fn map(&self, v: ValueId, which: &[usize], image: &[f32], to: &mut Tensor) -> Result<()> {
        self.lay(v, which, &|_| [0, 0], 0.0, image, to)
    }
    /// Writes, for each window, the picture's map from a corner on with the changed rectangle laid over it.
    fn lay(
        &self,
        v: ValueId,
        which: &[usize],
        corner: &dyn Fn(usize) -> [isize; 2],
        fill: f32,
        image: &[f32],
        to: &mut Tensor,
    ) -> Result<()> {
        let (base, reach, patch) = (self.base(v), self.plan.reach(v), self.patch(v, image)?);
        let (ch, cw) = (to.shape()[2], to.shape()[3]);
        let ([h, w], [ph, pw]) = (base.plane, reach.size);
        let Data::F32(out) = to.data_mut() else { return Ok(()) };
        let planes = out.chunks_exact_mut((base.channels * ch * cw).max(1));
        for ((j, &window), planes) in which.iter().enumerate().zip(planes) {
            let ([y0, x0], origin) = (corner(window), reach.origins[window].map(|o| o as isize));
            let covers = |at: isize, n: usize, d: usize| {
                origin[d] <= at && at + n as isize <= origin[d] + reach.size[d] as isize
            };
            let within = |at: isize, n: usize, d: usize| at >= 0 && at + n as isize <= base.plane[d] as isize;
            let covered = covers(y0, ch, 0) && covers(x0, cw, 1);
            let inside = within(y0, ch, 0) && within(x0, cw, 1);
            for (c, to) in planes.chunks_exact_mut((ch * cw).max(1)).enumerate() {
                // Only what stays to be seen is written.
                if !inside {
                    to.fill(fill);
                }
                if !covered {
                    overlay(to, [ch, cw], [y0, x0], &base.numbers[c * h * w..][..h * w], [h, w], [0, 0]);
                }
                let from = &patch[(j * base.channels + c) * ph * pw..][..ph * pw];
                overlay(to, [ch, cw], [y0, x0], from, [ph, pw], origin);
            }
        }
        Ok(())
    }
}

/// Tensors as a run takes them.
fn named(tensors: &[(String, Tensor)]) -> Vec<(&str, &Tensor)> {
    tensors.iter().map(|(n, t)| (n.as_str(), t)).collect()
}

/// Copies what two rectangles have in common; corners are in one system of coordinates.
fn overlay(
    to: &mut [f32],
    [th, tw]: [usize; 2],
    [ty, tx]: [isize; 2],
    from: &[f32],
    [fh, fw]: [usize; 2],
    [fy, fx]: [isize; 2],
) {
    let (top, bottom) = (ty.max(fy), (ty + th as isize).min(fy + fh as isize));
    let (left, right) = (tx.max(fx), (tx + tw as isize).min(fx + fw as isize));
    if left >= right {
        return;
    }
    let length = (right - left) as usize;
    for y in top..bottom {
        let (a, b) = ((y - ty) as usize * tw + (left - tx) as usize, (y - fy) as usize * fw + (left - fx) as usize);
        to[a..a + length].copy_from_slice(&from[b..b + length]);
    }
}

/// The graph of a stage on crops.
fn compile(subject: &Subject, plan: &Plan, stage: &Stage, batch: usize) -> Result<Compiled> {
    let graph = subject.graph();
    let mut e = Extract::new(graph);
    let (mut inputs, mut crops) = (Vec::new(), Vec::new());
    for (i, &v) in stage.inputs.iter().enumerate() {
        let ([rows, columns], channels) = (stage.crop(i, plan.reach(stage.output)), subject.extents(v)[0]);
        let name = format!("crop{}", v.0);
        inputs.push(e.give(v, &name, &[channels, rows, columns])?);
        crops.push((name, Tensor::zeros(&[batch, channels, rows, columns], DType::F32)));
    }
    let crop = stage.crop(0, plan.reach(stage.output));
    let first = graph.node(stage.nodes[0]);
    if let Some(axes) = &stage.axes {
        let options = WindowOptions {
            kernel_size: axes.iter().map(|a| a.kernel).collect(),
            stride: axes.iter().map(|a| a.stride).collect(),
            dilation: axes.iter().map(|a| a.dilation).collect(),
            padding: Padding::Valid,
            ceil_mode: false,
        };
        let place = |r: Rule| Error::new(&first.name, r);
        e.graph.scope(first.name.clone());
        let y = if let Some(conv) = first.op::<Conv>() {
            let g = &conv.geometry;
            let weight = g.weight_shape();
            let geometry =
                ConvGeometry::new(weight[1] * g.groups, &crop, &weight, g.groups, &options).map_err(place)?;
            let w = e.value(first.inputs[1])?;
            e.graph.add_one(Conv { geometry }, &[inputs[0], w])?
        } else {
            let window = options.resolve(&crop).map_err(place)?;
            match first.op::<AvgPool>() {
                Some(pool) => e.graph.add_one(AvgPool { window, divisor: pool.divisor }, &inputs[..1])?,
                None => e.graph.add_node(MaxPool { window }, &inputs[..1])?[0],
            }
        };
        e.set(first.outputs[0], y);
    } else {
        e.node(&first.clone())?;
    }
    for &id in &stage.nodes[1..] {
        e.node(&graph.node(id).clone())?;
    }
    let y = e.value(stage.output)?;
    e.graph.output(OUT, y);
    Ok(Compiled { stage: stage.clone(), run: subject.compile(e.graph)?, crops })
}

impl Reach {
    fn area(&self) -> usize {
        self.size[0] * self.size[1]
    }
}

#[cfg(test)]
mod tests;
