//! Which parameters a step trains, by patterns of their names.

use super::StepOptions;
use crate::error::suggest;
use crate::pattern::matches;
use crate::{Error, Result};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::Rule;

/// The nearest pattern of parameter names, or the nearest name.
fn nearest<'a>(pattern: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    let bare = pattern.trim_end_matches(['*', '.']);
    // A layer's name without its star; else a layer's name that is like it.
    if !bare.is_empty() && names.clone().any(|n| n.starts_with(bare)) {
        return format!("`{bare}*`");
    }
    if !pattern.contains(['*', '?']) {
        return suggest(pattern, names);
    }
    let layers = names.flat_map(|n| n.match_indices('.').map(|(at, _)| &n[..at]));
    let layers: std::collections::BTreeSet<&str> = layers.collect();
    let near = layers.iter().map(|l| (strsim::jaro_winkler(bare, l), *l)).max_by(|a, b| a.0.total_cmp(&b.0));
    near.map_or_else(|| "a pattern such as `conv1*`".into(), |(_, layer)| format!("`{layer}*`"))
}

/// An error where a pattern of `key` fits none of the names.
pub(super) fn check<'a>(key: &str, pattern: &str, names: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
    if names.clone().any(|n| matches(pattern, n)) {
        return Ok(());
    }
    let right = nearest(pattern, names);
    Err(Error::new(key, Rule::new(format!("`{pattern}` fits no parameter")).right(right)))
}

/// Trainable parameters that no pattern freezes.
pub(super) fn trained(g: &Graph, options: &StepOptions) -> Result<Vec<ValueId>> {
    let all: Vec<ValueId> = g.parameters().filter(|(_, p)| p.trainable).map(|(v, _)| v).collect();
    let name = |v: ValueId| g.value(v).name.as_str();
    let factors = options.factors.iter().map(|(p, _)| ("lr_factors", p));
    for (key, pattern) in options.freeze.iter().map(|p| ("freeze", p)).chain(factors) {
        check(key, pattern, all.iter().map(|&v| name(v)))?;
    }
    let left: Vec<ValueId> =
        all.iter().copied().filter(|&v| !options.freeze.iter().any(|p| matches(p, name(v)))).collect();
    if left.is_empty() {
        let rule = Rule::new(format!("none of {} parameters is left to train", all.len()));
        return Err(Error::new("freeze", rule.right("patterns that leave some")));
    }
    Ok(left)
}
