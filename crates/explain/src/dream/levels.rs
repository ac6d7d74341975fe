//! Which layers to look at where nobody says: networks see coarser and coarser, and each size of map is a level.

use crate::backward::rectifies;
use crate::{Error, Layer, Result, Subject};
use gabor_tensor::Rule;

/// The maps of each size in the order of computation, the finest first; rectified ones alone where a size has any.
fn levels(subject: &Subject) -> Result<Vec<Vec<Layer>>> {
    let mut levels: Vec<Vec<Layer>> = Vec::new();
    for layer in subject.layers().into_iter().filter(Layer::is_map) {
        match levels.iter_mut().find(|l| l[0].shape[1..] == layer.shape[1..]) {
            Some(level) => level.push(layer),
            None => levels.push(vec![layer]),
        }
    }
    let rectified = |l: &Layer| subject.graph().producer(l.value).is_some_and(rectifies);
    for level in &mut levels {
        if level.iter().any(rectified) {
            level.retain(rectified);
        }
    }
    levels.sort_by_key(|l| std::cmp::Reverse(l[0].shape[1] * l[0].shape[2]));
    match levels.is_empty() {
        false => Ok(levels),
        true => Err(Error::new(
            &subject.graph().name,
            Rule::new("the network has no feature map of more than one place").right("a convolutional network"),
        )),
    }
}

/// What DeepDream looks at: the middle of the coarsest level with a place for every 16 pixels, where networks see parts of
/// things and whole small ones.
pub(super) fn dreamt(subject: &Subject) -> Result<Layer> {
    let [_, h, w] = subject.input();
    let fine = |l: &&Vec<Layer>| l[0].shape[1] * 16 >= h && l[0].shape[2] * 16 >= w;
    let levels = levels(subject)?;
    let level = levels.iter().rfind(fine).unwrap_or(&levels[0]);
    Ok(level[level.len() / 2].clone())
}

/// What style is measured in: the first map of each level, five at most (Gatys et al.: relu1_1 to relu5_1 of VGG).
pub(super) fn style(subject: &Subject) -> Result<Vec<Layer>> {
    Ok(levels(subject)?.into_iter().take(5).map(|mut l| l.swap_remove(0)).collect())
}

/// What content is measured in: the second map of the fourth level, or of the last one but one if there are fewer (relu4_2
/// of VGG).
pub(super) fn content(subject: &Subject) -> Result<Layer> {
    let levels = levels(subject)?;
    let level = &levels[levels.len().saturating_sub(2).min(3)];
    Ok(level[1.min(level.len() - 1)].clone())
}
