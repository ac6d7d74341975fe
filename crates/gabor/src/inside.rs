//! The part of a run's page that looks inside the network.

use crate::features::{coloured, maps_scale};
use crate::judged::as_people_see_it;
use crate::{Model, Result};
use gabor_data::{Dataset, Preprocessing};
use gabor_explain::features::{Features, features};
use gabor_explain::{Explainer, Layer, Method, Options, Subject};
use gabor_nets::summary;
use gabor_report::heat::{self, Scale};
use gabor_report::{FeatureStrip, Inside, Picture, Reason, class_name, count};
use gabor_tensor::Tensor;
use gabor_train::{Evaluation, SampleScore};

/// Pictures that are explained, layers in the strip, and maps of each.
const PICTURES: usize = 4;
const LAYERS: usize = 3;
const MAPS: usize = 8;
/// A way forward and one back to the last maps cost about three times the way forward.
const COST: u64 = 3;
/// Floating-point operations that a page may take for this: about a second of two cores.
const MOST: u64 = 20_000_000_000;

/// Why the network made its worst mistakes, and what its layers made of the first; `None` for a network without maps. What
/// costs too much is left out, which the page says.
pub(crate) fn inside(
    model: &Model,
    e: &Evaluation,
    data: &dyn Dataset,
    preprocessing: &Preprocessing,
    file: &str,
) -> Option<Inside> {
    let subject = model.subject().ok()?;
    let layer = subject.last_map().ok()?.name;
    let samples: Vec<&SampleScore> = e.mistakes.iter().chain(&e.hardest).take(PICTURES).collect();
    if samples.is_empty() {
        return None;
    }
    let commands = format!("gabor explain {file} PICTURE, gabor features {file} PICTURE");
    if let Some(why) = too_much(summary(model.graph()).flops, samples.len()) {
        return Some(Inside { left_out: format!("{why} To see it: {commands}"), ..Default::default() });
    }
    let drawn = draw(&subject, e, &samples, data, preprocessing);
    Some(match drawn {
        Ok((reasons, strips)) => Inside { layer, reasons, strips, left_out: String::new() },
        // The run itself is well: its page goes without this part and says why.
        Err(e) => Inside { left_out: format!("It could not be drawn: {e}. {commands}"), ..Default::default() },
    })
}

/// Why a page goes without, where a way forward takes `flops`.
fn too_much(flops: u64, pictures: usize) -> Option<String> {
    let all = flops.saturating_mul(COST * 2 * pictures as u64 + 1);
    (all > MOST).then(|| {
        format!(
            "Left out, since it would take {} million floating-point operations and a page may take {}.",
            count(all / 1_000_000),
            count(MOST / 1_000_000)
        )
    })
}

fn draw(
    subject: &Subject,
    e: &Evaluation,
    samples: &[&SampleScore],
    data: &dyn Dataset,
    p: &Preprocessing,
) -> Result<(Vec<Reason>, Vec<FeatureStrip>)> {
    let name = |i: usize| e.classes.get(i).map_or_else(|| i.to_string(), |c| class_name(&c.class).into());
    let (mut reasons, mut strips) = (Vec::new(), Vec::new());
    let mut explainer = Explainer::new(subject.clone(), Options::default());
    for s in samples {
        let image = data.image_at_least(s.index, &|whole| p.enough(whole))?;
        let [c, h, w] = p.input();
        let input = Tensor::f32(&[1, c, h, w], p.apply(&image)?)?;
        let Some(picture) = as_people_see_it(&p.prepared(&image)?) else { continue };
        let mut classes = vec![s.verdict.predicted];
        if s.label != s.verdict.predicted {
            classes.push(s.label);
        }
        let mut shown = Vec::new();
        for class in classes {
            let found = explainer.attribute(&input, class, Method::GradCam)?;
            let over = heat::overlay(&picture, &found.map, heat::extent(&found.map, 0.0), Scale::Sequential);
            shown.extend(over.map(|picture| (name(class), picture)));
        }
        if strips.is_empty() {
            let maps = subject.telling_layers(0).into_iter().filter(Layer::is_map).collect::<Vec<_>>();
            // The first, the last, and one between.
            let at = |i: usize| i * (maps.len() - 1) / (LAYERS - 1).max(1);
            let mut chosen: Vec<usize> = (0..LAYERS).filter(|_| !maps.is_empty()).map(at).collect();
            chosen.dedup();
            let layers: Vec<_> = chosen.into_iter().map(|i| maps[i].clone()).collect();
            strips = features(subject, &input, &layers)?.iter().map(strip).collect();
        }
        reasons.push(Reason { picture, id: s.id.clone(), classes: shown });
    }
    Ok((reasons, strips))
}

fn strip(f: &Features) -> FeatureStrip {
    let shown: Vec<usize> = f.strongest().into_iter().take(MAPS).collect();
    let scale = maps_scale(f, &shown);
    let maps: Vec<Picture> = shown.iter().filter_map(|&u| coloured(f, u, scale)).collect();
    let dead = match f.zero.len() {
        0 => String::new(),
        n => format!(", {} of {} dead here: 0 everywhere", count(n as u64), count(f.layer.units() as u64)),
    };
    FeatureStrip { caption: format!("{}, {}{dead}", f.layer.name, f.layer.extents()), maps }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_networks_are_left_out_with_the_reason() {
        // ResNet-20 on CIFAR-10 and ResNet-18 on ImageNet: 82 million and 3.6 billion operations forward.
        assert_eq!(too_much(82_000_000, PICTURES), None);
        let why = too_much(3_600_000_000, PICTURES).unwrap();
        assert!(why.contains("it would take 90,000 million") && why.contains("may take 20,000."), "{why}");
    }
}
