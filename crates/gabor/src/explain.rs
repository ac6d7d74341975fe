//! Why a model answers as it does: [`Model::explain`](crate::Model::explain), and the crate below it.

use crate::judged::as_people_see_it;
use crate::model::no_preprocessing;
use crate::{Error, Model, Result};
use gabor_data::Image;
pub use gabor_explain::{Attribution, Backpropagation, Layer, Method, Options, Subject, attribute};
use gabor_report::heat::{self, Scale};
use gabor_report::{Panel, Picture, Sheet, percent};
use gabor_tensor::{Rule, Tensor};

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
}

impl Model {
    /// The model as the crate `explain` looks at it.
    ///
    /// # Errors
    /// A model that takes no pictures or gives no scores.
    pub fn subject(&self) -> Result<Subject> {
        let (graph, weights) = (self.graph.clone(), self.weights.clone());
        Ok(Subject::new(graph, weights, self.image_input()?, self.scores()?, self.backend.clone())?)
    }
    /// Explains the model's answer to a picture.
    ///
    /// # Errors
    /// A model without preprocessing, that takes no pictures or gives no scores; a class or layer that does not exist.
    pub fn explain(&mut self, image: &Image<'_>, asked: &ExplainOptions) -> Result<Explanation> {
        let preprocessing = self.preprocessing().ok_or_else(no_preprocessing)?.clone();
        let all = self.predict(image)?;
        let class = match &asked.class {
            Some(name) => self.class_index(name)?,
            None => all.first().map_or(0, |p| p.index),
        };
        let probability = all.iter().find(|p| p.index == class).map_or(0.0, |p| p.probability);
        let [c, h, w] = preprocessing.input();
        let input = Tensor::f32(&[1, c, h, w], preprocessing.apply(image)?)?;
        let subject = self.subject()?;
        let every: Vec<Method> = Method::ALL.iter().map(|m| m.1).collect();
        let methods = if asked.methods.is_empty() { &every } else { &asked.methods };
        let found = methods.iter().map(|&m| Ok(attribute(&subject, &input, class, m, &asked.options)?));
        let found = found.collect::<Result<Vec<_>>>()?;
        let picture = as_people_see_it(&preprocessing.prepared(image)?);
        let picture = picture.ok_or_else(|| Error::from(Rule::new("the prepared picture is empty")))?;
        Ok(Explanation { picture, class: self.class(class), probability, found })
    }
    /// The class of that name, or of that number.
    fn class_index(&self, name: &str) -> Result<usize> {
        let count = self.class_count()?;
        if let Some(i) = self.classes().iter().position(|c| c == name) {
            return Ok(i);
        }
        if let Some(i) = name.parse().ok().filter(|&i: &usize| i < count) {
            return Ok(i);
        }
        let lower = name.to_lowercase();
        let alike = self.classes().iter().filter(|c| c.to_lowercase().contains(&lower)).take(5);
        let alike: Vec<&str> = alike.map(String::as_str).collect();
        let right = if alike.is_empty() { String::new() } else { format!("{}, or ", alike.join(", ")) };
        let rule = Rule::new(format!("the model has no class `{name}`"));
        Err(Error::new("class", rule.right(format!("{right}a number from 0 to {}", count - 1))))
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
                heat::heat(&a.map, size, heat::extent(&a.map, OUTLIERS), Scale::Sequential)
            }
            (m, _) if m.signed() => {
                heat::overlay(&self.picture, &a.map, heat::extent(&a.map, OUTLIERS), Scale::Diverging)
            }
            _ => heat::overlay(&self.picture, &a.map, heat::extent(&a.map, 0.0), Scale::Sequential),
        }
    }
    /// The picture and what was found, side by side.
    pub fn sheet(&self, title: &str) -> Sheet {
        let own =
            Panel { picture: self.picture.clone(), caption: "picture".into(), note: "as the network sees it".into() };
        let mut panels = vec![own];
        for a in &self.found {
            let note = if a.is_empty() { "nothing: the class does not depend on it".to_string() } else { note(a) };
            panels.extend(self.panel(a).map(|picture| Panel { picture, caption: a.method.name().into(), note }));
        }
        let score = self.found.first().map_or(0.0, |a| a.score);
        let subtitle = format!("{} with {}, score {score:.2}", self.class, percent(f64::from(self.probability)));
        Sheet { title: title.into(), subtitle, panels, columns: 0 }
    }
}

fn note(a: &Attribution) -> String {
    match (&a.layer, a.gap, a.method) {
        (Some(layer), ..) => format!("at {layer}"),
        (_, Some(gap), _) => format!("blue against, orange for; gap {gap:.2}"),
        (_, _, Method::Occlusion) => "blue against, orange for".into(),
        (_, _, Method::Saliency | Method::SmoothGrad) => "size of the gradient".into(),
        _ => String::new(),
    }
}
