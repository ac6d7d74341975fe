//! Which places of a picture speak for a class.
//!
//! | method | what it is | from |
//! |---|---|---|
//! | saliency | size of the score's gradient by each pixel | Simonyan, Vedaldi, Zisserman 2014 |
//! | smoothgrad | mean gradient of noisy copies | Smilkov et al. 2017 |
//! | guided | gradient without what speaks against, at each rectifier | Springenberg et al. 2015 |
//! | deconv | the deconvnet's way back | Zeiler, Fergus 2014 |
//! | integrated | mean gradient on the way from a baseline, times the difference | Sundararajan, Taly, Yan 2017 |
//! | gradcam | feature maps weighted by their mean gradient | Selvaraju et al. 2017 |
//! | layercam | feature maps weighted by their gradient place by place | Jiang et al. 2021 |
//! | guided-gradcam | guided gradient where Grad-CAM is warm | Selvaraju et al. 2017 |
//! | occlusion | how much the score falls where the picture is covered | Zeiler, Fergus 2014 |
//!
//! All speak of the score before softmax.

mod cam;
mod gradient;
mod integrated;
mod occlusion;

use crate::backward::Backward;
use crate::patch::Patches;
use crate::{Backpropagation, Error, Result, Subject};
use gabor_graph::ValueId;
use gabor_tensor::{Rule, Tensor};

/// How an answer is explained; see the [module's table](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Size of the gradient.
    Saliency,
    /// Mean gradient of noisy copies.
    SmoothGrad,
    /// Guided backpropagation.
    Guided,
    /// The deconvnet's way back.
    Deconvnet,
    /// Integrated gradients.
    Integrated,
    /// Grad-CAM.
    GradCam,
    /// LayerCAM.
    LayerCam,
    /// Guided backpropagation times Grad-CAM.
    GuidedGradCam,
    /// Covering part after part.
    Occlusion,
}

impl Method {
    /// All methods with their names.
    pub const ALL: &[(&str, Method)] = &[
        ("saliency", Method::Saliency),
        ("smoothgrad", Method::SmoothGrad),
        ("guided", Method::Guided),
        ("deconv", Method::Deconvnet),
        ("integrated", Method::Integrated),
        ("gradcam", Method::GradCam),
        ("layercam", Method::LayerCam),
        ("guided-gradcam", Method::GuidedGradCam),
        ("occlusion", Method::Occlusion),
    ];
    /// The method's name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|m| m.1 == self).map_or("", |m| m.0)
    }
    /// Whether negative values mean something: that the place speaks against the class.
    pub fn signed(self) -> bool {
        matches!(self, Method::Integrated | Method::Occlusion)
    }
    /// Whether it looks at one layer's feature maps.
    pub fn of_layer(self) -> bool {
        matches!(self, Method::GradCam | Method::LayerCam | Method::GuidedGradCam)
    }
}

/// Settings of the methods; what a method has no use for is not looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The layer of Grad-CAM and LayerCAM; `None` is the last feature map with places.
    pub layer: Option<String>,
    /// Noisy copies of SmoothGrad (default 32).
    pub samples: usize,
    /// Deviation of its noise as a part of the picture's range (default 0.15).
    pub noise: f64,
    /// Points on the way of integrated gradients (default 50).
    pub steps: usize,
    /// What stands for "nothing there": a prepared picture `[c, h, w]`; `None` is zeros, the mean picture of most
    /// preprocessings.
    pub baseline: Option<Vec<f32>>,
    /// Rows and columns that occlusion covers; `None` is an eighth of the picture.
    pub window: Option<[usize; 2]>,
    /// Its step, at most the window; `None` is half the window.
    pub stride: Option<[usize; 2]>,
    /// Pictures that are run at once (default 16).
    pub batch: usize,
    /// Seed of the noise.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            layer: None,
            samples: 32,
            noise: 0.15,
            steps: 50,
            baseline: None,
            window: None,
            stride: None,
            batch: 16,
            seed: 0,
        }
    }
}

/// What a method found.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// The method.
    pub method: Method,
    /// The class that is explained.
    pub class: usize,
    /// Its score for the picture.
    pub score: f32,
    /// The layer that was looked at, for methods that look at one.
    pub layer: Option<String>,
    /// One number per place of the picture, `height` rows of `width`.
    pub map: Vec<f32>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// One number per number of the input, `[c, h, w]`, where the method gives that.
    pub values: Option<Vec<f32>>,
    /// How far a sum that ought to hold is off: for integrated gradients, the sum of all values less the difference of
    /// the scores (Sundararajan et al., axiom completeness).
    pub gap: Option<f64>,
}

impl Attribution {
    /// Whether nothing at all was found: the class does not depend on the picture, or every way to it is dead.
    pub fn is_empty(&self) -> bool {
        self.map.iter().all(|&v| v == 0.0)
    }
}

/// Explains answers of one network; what a method needs is compiled when it is first asked for and kept.
///
/// ```
/// use gabor_explain::{Explainer, Method, Options};
/// # fn f(subject: gabor_explain::Subject, pictures: &[gabor_tensor::Tensor]) -> gabor_explain::Result<()> {
/// let mut explainer = Explainer::new(subject, Options::default());
/// for picture in pictures {
///     let found = explainer.attribute(picture, 3, Method::GradCam)?;
///     println!("{} {:?}", found.score, found.map.iter().copied().fold(0.0, f32::max));
/// }
/// # Ok(())
/// # }
/// ```
pub struct Explainer {
    subject: Subject,
    options: Options,
    backs: Vec<(Backpropagation, ValueId, Backward)>,
    patches: Option<Patches>,
}

impl Explainer {
    /// Nothing is compiled yet.
    pub fn new(subject: Subject, options: Options) -> Self {
        Explainer { subject, options, backs: Vec::new(), patches: None }
    }
    /// Explains the score of `class` for one prepared picture `[1, c, h, w]`.
    ///
    /// # Errors
    /// A picture of another shape, a class or layer that does not exist, settings out of bounds.
    pub fn attribute(&mut self, image: &Tensor, class: usize, method: Method) -> Result<Attribution> {
        check(&self.subject, image, class, &self.options)?;
        match method {
            Method::Saliency | Method::SmoothGrad | Method::Guided | Method::Deconvnet => {
                gradient::attribute(self, image, class, method)
            }
            Method::Integrated => integrated::attribute(self, image, class),
            Method::GradCam | Method::LayerCam => cam::attribute(self, image, class, method),
            Method::GuidedGradCam => cam::guided(self, image, class),
            Method::Occlusion => occlusion::attribute(self, image, class),
        }
    }
    /// The way back to the pictures.
    fn back_to_images(&mut self, how: Backpropagation) -> Result<&mut Backward> {
        self.back(how, self.subject.images())
    }
    /// The way back that ends at a value, which can be read: what lies before it costs nothing.
    fn back(&mut self, how: Backpropagation, to: ValueId) -> Result<&mut Backward> {
        let at = match self.backs.iter().position(|b| (b.0, b.1) == (how, to)) {
            Some(at) => at,
            None => {
                self.backs.push((how, to, Backward::new(&self.subject, how, &[to], &[to])?));
                self.backs.len() - 1
            }
        };
        Ok(&mut self.backs[at].2)
    }
}

/// Explains one answer; see [`Explainer::attribute`].
///
/// # Errors
/// Those of [`Explainer::attribute`].
pub fn attribute(
    subject: &Subject,
    image: &Tensor,
    class: usize,
    method: Method,
    options: &Options,
) -> Result<Attribution> {
    Explainer::new(subject.clone(), options.clone()).attribute(image, class, method)
}

fn check(subject: &Subject, image: &Tensor, class: usize, o: &Options) -> Result<()> {
    let fail = |place: &str, rule: Rule| Err(Error::new(place, rule));
    let (n, classes, [c, h, w]) = (subject.count(image)?, subject.classes(), subject.input());
    if n != 1 {
        return fail(subject.images_name(), Rule::new(format!("{n} pictures")).right("one"));
    }
    if class >= classes {
        return fail("class", Rule::new(format!("class {class} of {classes}")).right(format!("0 to {}", classes - 1)));
    }
    if image.as_f32().map_err(|r| Error::new(subject.images_name(), r))?.iter().any(|v| !v.is_finite()) {
        return fail(subject.images_name(), Rule::new("a picture with numbers that are not finite"));
    }
    for (name, v, most) in [("samples", o.samples, 10_000), ("steps", o.steps, 10_000), ("batch", o.batch, 4096)] {
        if v == 0 || v > most {
            return fail(name, Rule::new(format!("{name} of {v}")).right(format!("1 to {most}")));
        }
    }
    if !(0.0..=10.0).contains(&o.noise) {
        return fail("noise", Rule::new(format!("a noise of {}", o.noise)).right("0 to 10"));
    }
    if let Some(b) = &o.baseline
        && b.len() != c * h * w
    {
        return fail("baseline", Rule::new(format!("{} numbers", b.len())).right(format!("{c} × {h} × {w}")));
    }
    for (name, given) in [("window", o.window), ("stride", o.stride)] {
        if let Some([y, x]) = given
            && (y == 0 || x == 0 || (name == "window" && (y > h || x > w)))
        {
            return fail(
                name,
                Rule::new(format!("a {name} of {y} × {x} on a picture of {h} × {w}")).right("a part of it"),
            );
        }
    }
    Ok(())
}

/// The largest size among the channels at each place.
fn largest(values: &[f32], places: usize) -> Vec<f32> {
    let mut out = vec![0f32; places];
    for plane in values.chunks_exact(places) {
        out.iter_mut().zip(plane).for_each(|(o, v)| *o = o.max(v.abs()));
    }
    out
}

/// The sum of the channels at each place.
fn summed(values: &[f32], places: usize) -> Vec<f32> {
    let mut out = vec![0f32; places];
    for plane in values.chunks_exact(places) {
        out.iter_mut().zip(plane).for_each(|(o, v)| *o += v);
    }
    out
}
