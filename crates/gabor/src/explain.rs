//! Why a model answers as it does: [`Model::explain`](crate::Model::explain), and the crate below it.

use crate::features::number;
use crate::judged::as_people_see_it;
use crate::{Error, Model, Result};
use gabor_data::{Image, Preprocessing};
pub use gabor_explain::{
    Attribution, Backpropagation, Explainer, Field, Layer, Method, Options, Part, Room, Subject, attribute,
};
use gabor_report::heat::{self, Scale};
use gabor_report::{Panel, Picture, Sheet, class_name, percent};
use gabor_tensor::{Rule, Tensor};
use std::time::Instant;

/// What was asked of a model about one picture.
#[derive(Clone, Debug, Default)]
pub struct ExplainOptions {
    /// The methods, in the order of the sheet; none is all of them.
    pub methods: Vec<Method>,
    /// The class by name or number; `None` is the most probable one.
    pub class: Option<String>,
    /// Settings of the methods.
    pub options: Options,
}

/// What the methods found.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The picture as the network sees it.
    pub picture: Picture,
    /// The class that is explained.
    pub class: String,
    /// Its probability for this picture.
    pub probability: f32,
    /// One per method.
    pub found: Vec<Attribution>,
    /// How long each method took; what is compiled for the first picture is there for the others.
    pub seconds: Vec<f64>,
}

impl Model {
    /// The model as the crate `explain` looks at it.
    ///
    /// # Errors
    /// A model that takes no pictures or gives no scores.
    pub fn subject(&self) -> Result<Subject> {
        let (graph, weights) = (self.graph.clone(), self.weights.clone());
        let subject = Subject::new(graph, weights, self.image_input()?, self.scores()?, self.backend.clone())?;
        // Refused before it begins, as a training is, where the machine has no room for it.
        Ok(subject.within(Room::new(gabor_train::memory_left)))
    }
    /// Explains the model's answer to a picture.
    ///
    /// # Errors
    /// A model without preprocessing, that takes no pictures or gives no scores; a class or layer that does not exist.
    pub fn explain(&mut self, image: &Image<'_>, asked: &ExplainOptions) -> Result<Explanation> {
        self.explainer(asked)?.explain(image)
    }
    /// Explains the model's answers to one picture after the other, and compiles only once.
    ///
    /// # Errors
    /// A model without preprocessing, that takes no pictures or gives no scores.
    pub fn explainer(&mut self, asked: &ExplainOptions) -> Result<ModelExplainer<'_>> {
        let preprocessing = self.preprocessing().ok_or_else(|| self.no_preprocessing())?.clone();
        let every: Vec<Method> = Method::ALL.iter().map(|m| m.1).collect();
        let methods = if asked.methods.is_empty() { every } else { asked.methods.clone() };
        let explainer = Explainer::new(self.subject()?, asked.options.clone());
        Ok(ModelExplainer { model: self, explainer, methods, class: asked.class.clone(), preprocessing })
    }
    /// The class of that name, of that number, or the only one whose name holds the word.
    pub(crate) fn class_index(&self, name: &str) -> Result<usize> {
        let count = self.class_count()?;
        if let Some(i) = self.classes().iter().position(|c| c == name) {
            return Ok(i);
        }
        // As pictures and tables show it: `collie` for `n02106030 collie`, if there is only one.
        let mut shown = self.classes().iter().enumerate().filter(|c| class_name(c.1) == name);
        if let (Some((i, _)), None) = (shown.next(), shown.next()) {
            return Ok(i);
        }
        if let Some(i) = name.parse().ok().filter(|&i: &usize| i < count) {
            return Ok(i);
        }
        let lower = name.to_lowercase();
        let alike = self.classes().iter().enumerate().filter(|c| c.1.to_lowercase().contains(&lower)).take(5);
        let (found, alike): (Vec<usize>, Vec<&str>) = alike.map(|(i, c)| (i, class_name(c))).unzip();
        // `malamute` for `n02110063 malamute`, if there is only one.
        if let ([i], false) = (&found[..], lower.is_empty()) {
            return Ok(*i);
        }
        let alike = if alike.is_empty() { self.near_classes(&lower) } else { alike };
        let right = if alike.is_empty() { String::new() } else { format!("{}, or ", alike.join(", ")) };
        let rule = Rule::new(format!("the model has no class `{name}`"));
        Err(Error::new("class", rule.right(format!("{right}a number from 0 to {}", count - 1))))
    }
}

impl Model {
    /// The classes whose names, or one of whose words, are nearest to what was typed.
    fn near_classes(&self, lower: &str) -> Vec<&str> {
        // A word of a thousand letters resembles nothing.
        if lower.len() > 64 {
            return Vec::new();
        }
        let likeness = |class: &str| {
            let words = class.split([' ', ',', '_', '-']).filter(|w| w.len() > 2).chain([class]);
            words.map(|w| strsim::jaro_winkler(lower, &w.to_lowercase())).fold(0.0, f64::max)
        };
        let mut near: Vec<(f64, &str)> = self.classes().iter().map(|c| (likeness(class_name(c)), c.as_str())).collect();
        near.retain(|n| n.0 >= 0.8);
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.into_iter().take(3).map(|n| class_name(n.1)).collect()
    }
}

/// Explains a model's answers; see [`Model::explainer`].
pub struct ModelExplainer<'m> {
    model: &'m mut Model,
    explainer: Explainer,
    methods: Vec<Method>,
    class: Option<String>,
    preprocessing: Preprocessing,
}

impl ModelExplainer<'_> {
    /// Explains the answer to one picture.
    ///
    /// # Errors
    /// A class or layer that does not exist, settings out of bounds.
    pub fn explain(&mut self, image: &Image<'_>) -> Result<Explanation> {
        let all = self.model.predict(image)?;
        let class = match &self.class {
            Some(name) => self.model.class_index(name)?,
            None => all.first().map_or(0, |p| p.index),
        };
        let probability = all.iter().find(|p| p.index == class).map_or(0.0, |p| p.probability);
        let [c, h, w] = self.preprocessing.input();
        let input = Tensor::f32(&[1, c, h, w], self.preprocessing.apply(image)?)?;
        let (mut found, mut seconds) = (Vec::new(), Vec::new());
        for &method in &self.methods {
            let started = Instant::now();
            found.push(self.explainer.attribute(&input, class, method)?);
            seconds.push(started.elapsed().as_secs_f64());
        }
        let picture = as_people_see_it(&self.preprocessing.prepared(image)?);
        let picture = picture.ok_or_else(|| Error::from(Rule::new("the prepared picture is empty")))?;
        Ok(Explanation { picture, class: self.model.class(class), probability, found, seconds })
    }
}

/// The part of the places whose values may lie beyond the scale, so that single bright pixels do not darken the rest.
const OUTLIERS: f64 = 0.005;

impl Explanation {
    /// The picture of what one method found.
    pub fn panel(&self, a: &Attribution) -> Option<Picture> {
        let size = [a.height, a.width];
        match (a.method, &a.values) {
            // Gradients have a value per channel: a picture of their own.
            (Method::Guided | Method::Deconvnet | Method::GuidedGradCam, Some(v)) if v.len() % a.map.len() == 0 => {
                heat::signed(v, [v.len() / a.map.len(), a.height, a.width], heat::extent(v, OUTLIERS))
                    .or_else(|| heat::heat(&a.map, size, heat::extent(&a.map, OUTLIERS), Scale::Sequential))
            }
            (Method::Saliency | Method::SmoothGrad, _) => {
                heat::overlay(&self.picture, &a.map, heat::extent(&a.map, OUTLIERS), Scale::Sequential)
            }
            (m, _) if m.signed() => {
                heat::overlay(&self.picture, &a.map, heat::extent(&a.map, OUTLIERS), Scale::Diverging)
            }
            _ => heat::overlay(&self.picture, &a.map, heat::extent(&a.map, 0.0), Scale::Sequential),
        }
    }
    /// The picture, then what was found.
    fn panels(&self, caption: &str, note: &str) -> Vec<Panel> {
        let mut panels = vec![Panel { picture: self.picture.clone(), caption: caption.into(), note: note.into() }];
        for a in &self.found {
            let note = nothing(a).unwrap_or_else(|| self::note(a));
            panels.extend(self.panel(a).map(|picture| Panel { picture, caption: a.method.name().into(), note }));
        }
        panels
    }
    /// The class with its probability.
    fn answer(&self) -> String {
        format!("{} with {}", class_name(&self.class), percent(f64::from(self.probability)))
    }
    /// The picture and what a model of this name found in it, side by side.
    pub fn sheet(&self, title: &str, model: &str) -> Sheet {
        let score = self.found.first().map_or(0.0, |a| a.score);
        let subtitle = format!("{model}: {}, score {}", self.answer(), number(score));
        let panels = self.panels("picture", "as the network sees it");
        Sheet { title: title.into(), subtitle, panels, columns: 0, keys: keys(&self.found) }
    }
    /// A row for each picture with its name.
    pub fn rows(title: &str, all: &[(String, Explanation)]) -> Sheet {
        let panels = all.iter().flat_map(|(name, e)| e.panels(name, &e.answer())).collect();
        let columns = all.first().map_or(0, |(_, e)| e.found.len() + 1);
        let keys = all.first().map_or(Vec::new(), |(_, e)| keys(&e.found));
        Sheet { title: title.into(), subtitle: format!("{} pictures", all.len()), panels, columns, keys }
    }
}

/// What is said of a method that finds nothing; `None` of one that finds something.
pub fn nothing(a: &Attribution) -> Option<String> {
    let words = match &a.layer {
        // A class activation map is rectified: what speaks against the class alone leaves nothing, too.
        Some(layer) => format!("nothing: no place of {layer} speaks for the class; its units are dead or against it"),
        None => "dead: the score does not depend on the picture this way".to_string(),
    };
    a.is_empty().then_some(words)
}

/// What the colours of these maps mean.
fn keys(found: &[Attribution]) -> Vec<(Scale, String, String)> {
    let in_colours = |m: Method| matches!(m, Method::Guided | Method::Deconvnet | Method::GuidedGradCam);
    let any = |f: &dyn Fn(Method) -> bool| found.iter().any(|a| f(a.method));
    let mut out = Vec::new();
    if any(&|m| !in_colours(m) && !m.signed()) {
        out.push((Scale::Sequential, "little".into(), "much: the class hangs on it".into()));
    }
    if any(&|m| !in_colours(m) && m.signed()) {
        out.push((Scale::Diverging, "against the class".into(), "for it".into()));
    }
    out
}

fn note(a: &Attribution) -> String {
    match (&a.layer, a.gap, a.method) {
        (Some(layer), ..) => format!("at {layer}"),
        // The axiom of completeness, and how far the steps of the way are off it.
        (_, Some(gap), _) => format!(
            "blue against, orange for; sums to the score's gain over a blank picture, but for a gap of {}",
            number(gap as f32)
        ),
        (_, _, Method::Occlusion) => "blue against, orange for".into(),
        (_, _, Method::Saliency | Method::SmoothGrad) => "size of the gradient".into(),
        (_, _, Method::Guided | Method::Deconvnet | Method::GuidedGradCam) => "grey is 0, by channel".into(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: Method, map: &[f32], gap: Option<f64>) -> Attribution {
        let (map, layer) = (map.to_vec(), None);
        Attribution { method, class: 0, score: 1.0, layer, map, height: 1, width: 2, values: None, gap }
    }

    /// Maps of gradients lie over the picture, as the others do.
    #[test]
    fn the_picture_is_seen_below_every_map() {
        let picture = Picture::new(2, 1, 1, vec![0, 255]).unwrap();
        let all = [Method::Saliency, Method::SmoothGrad, Method::GradCam, Method::LayerCam, Method::Integrated];
        let found: Vec<Attribution> = all.map(|m| found(m, &[0.5, 0.5], None)).to_vec();
        let class = "n02106030 collie".into();
        let e = Explanation { picture, class, probability: 0.5, found, seconds: Vec::new() };
        for a in &e.found {
            let p = e.panel(a).unwrap();
            assert!(p.data[3] > p.data[0] + 20, "{:?}: one value over black and white is two colours", a.method);
        }
    }

    #[test]
    fn a_gap_says_what_it_is_of() {
        let words = note(&found(Method::Integrated, &[0.1, 0.2], Some(-0.0214)));
        assert_eq!(
            words,
            "blue against, orange for; sums to the score's gain over a blank picture, but for a gap of −0.021"
        );
    }
}
