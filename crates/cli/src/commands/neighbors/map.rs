//! The map: where it goes and what is told of it.

use super::Work;
use crate::failure::{Failure, Result};
use crate::looking::no_part;
use crate::progress::Progress;
use crate::written::Arrays;
use clap::Args;
use gabor::neighbors::{MapMethod, MapOptions, Placed, atlas};
use gabor::report::percent;
use gabor::tensor::Tensor;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// How a map is drawn.
#[derive(Args)]
pub struct Map {
    /// Draw a map of the pictures: a page to wander about in (.html) or a drawing (.svg, .png)
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// How the map is made: tsne (t-SNE, neighbours stay together) or pca (principal components)
    #[arg(long, value_name = "HOW", default_value = "tsne", value_parser = method, requires = "map")]
    map_method: MapMethod,
    /// Most pictures on the map, evenly spread over the index (default: 2500)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000), requires = "map")]
    pub(super) map_points: Option<u32>,
    /// Small pictures instead of marks on a drawn map, as many as find room
    #[arg(long, requires = "map")]
    map_pictures: bool,
    /// Neighbours that a picture has in effect, of t-SNE (default 30, fewer for few pictures)
    #[arg(long, value_name = "N", requires = "map")]
    perplexity: Option<f64>,
    /// Steps of t-SNE (default: 1000)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), requires = "map")]
    map_steps: Option<u32>,
    /// Seed of the beginning of t-SNE (default: 0)
    #[arg(long, value_name = "SEED", requires = "map")]
    seed: Option<u64>,
}

fn method(text: &str) -> Result<MapMethod, String> {
    let found = MapMethod::ALL.iter().find(|m| m.0 == text).map(|m| m.1);
    found.ok_or_else(|| "right would be: tsne or pca".into())
}

/// Pictures on the map where nobody says how many.
const POINTS: u32 = 2500;
/// Steps of t-SNE where nobody says how many.
const STEPS: u32 = 1000;
/// Longest side of a thumbnail, in pixels: on a page with very many, and with few.
const SIDES: (usize, usize) = (32, 64);

impl Map {
    /// Whether a map is drawn, and not made a page.
    pub fn is_drawing(&self) -> bool {
        let page = |p: &PathBuf| p.extension().is_some_and(|e| e.eq_ignore_ascii_case("html"));
        self.map.as_ref().is_some_and(|p| !page(p))
    }
    /// That the map's file is of a kind that is written.
    pub fn check(&self) -> Result<()> {
        let Some(path) = &self.map else { return Ok(()) };
        let known = |e: &std::ffi::OsStr| ["html", "svg", "png"].iter().any(|k| e.eq_ignore_ascii_case(k));
        if self.map_method == MapMethod::Pca {
            let options = [
                ("--perplexity", self.perplexity.is_some()),
                ("--map-steps", self.map_steps.is_some()),
                ("--seed", self.seed.is_some()),
            ];
            no_part(&options, "--map-method pca", "--map-method tsne, or without it")?;
        }
        if path.extension().is_some_and(known) {
            let why = "a page, on which a button shows pictures";
            let pictures = self.map_pictures && !self.is_drawing();
            return no_part(&[("--map-pictures", pictures)], why, "--map with a name in .svg or .png, or without it");
        }
        let text = format!("--map {}: right would be: a name in .html, .svg or .png", path.display());
        Err(Failure::Usage(text))
    }
}

impl Work<'_> {
    /// Draws the map; its JSON, and its lines of text.
    pub fn map(&mut self, path: &Path) -> Result<(Value, String)> {
        let a = self.a;
        let m = &a.map;
        let data = self.data()?;
        let options = MapOptions {
            method: m.map_method,
            perplexity: m.perplexity,
            iterations: m.map_steps.unwrap_or(STEPS) as usize,
            seed: m.seed.unwrap_or(0),
        };
        let backend = a.compute.backend()?;
        let mut line = Progress::late(u64::from(m.map_steps.unwrap_or(STEPS)));
        let mut hear = |step: usize| line.draw_text(step as u64, "map");
        let placed =
            self.index.place(&*backend, a.metric, &options, m.map_points.unwrap_or(POINTS) as usize, &mut hear);
        line.clear();
        let placed = placed?;
        if let Some(directory) = &a.npy {
            let arrays = Arrays::new(directory)?;
            let places = placed.places.iter().flatten().copied().collect();
            arrays.write("map", Tensor::f64(&[placed.places.len(), 2], places))?;
            let pictures = placed.pictures.iter().map(|&i| i as i32).collect();
            arrays.write("map_pictures", Tensor::i32(&[placed.pictures.len()], pictures))?;
        }
        let html = !m.is_drawing();
        let side = if placed.pictures.len() > 1000 { SIDES.0 } else { SIDES.1 };
        let mut line = Progress::late(placed.pictures.len() as u64);
        let mut hear = |done: usize| line.draw_images(done as u64, "pictures");
        let drawn = atlas(&self.index, &*data, &placed, (m.map_method, a.metric), side, &mut hear);
        line.clear();
        let drawn = drawn?;
        if html {
            gabor::write_aside(path, drawn.to_html().as_bytes())?;
        } else {
            gabor::picture::write(path, &drawn.to_svg(m.map_pictures), a.look.unwrap_or_default())?;
        }
        Ok((json_of(&placed, path, m.map_method), text_of(&placed, path)))
    }
}

fn json_of(p: &Placed, path: &Path, method: MapMethod) -> Value {
    let mut out = json!({
        "file": path.display().to_string(),
        "method": method.name(),
        "pictures": p.pictures,
        "places": p.places,
    });
    if let Some(t) = p.trust {
        out["k"] = t.k.into();
        out["trustworthiness"] = t.trustworthiness.into();
        out["class_on_map"] = t.on_map.into();
        out["class_by_features"] = t.by_features.into();
    }
    out
}

fn text_of(p: &Placed, path: &Path) -> String {
    let told = p.trust.map_or(String::new(), |t| {
        format!(
            "trustworthiness {:.3}   class by {} neighbours on the map {}, by features {}\n",
            t.trustworthiness,
            t.k,
            percent(t.on_map),
            percent(t.by_features)
        )
    });
    format!("\n{told}{}\n", path.display())
}
