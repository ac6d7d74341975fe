//! Names that resemble a misspelt one.

/// Up to `most` of the names that are nearest to `name`, best first; none if all are far.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    // A word of a thousand letters resembles nothing; comparing it would only cost time.
    if name.len() > 64 {
        return Vec::new();
    }
    let lower = name.to_lowercase();
    let mut scored: Vec<(f64, &str)> =
        names.into_iter().map(|n| (strsim::jaro_winkler(&lower, n), n)).filter(|(s, _)| *s >= 0.7).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(most).map(|(_, n)| n).collect()
}

/// `did you mean a, b or c`, or the fallback if nothing is near.
pub(crate) fn suggestion<'a>(name: &str, names: impl IntoIterator<Item = &'a str>, fallback: &str) -> String {
    match nearest(name, names, 3).as_slice() {
        [] => fallback.to_string(),
        [one] => one.to_string(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first() {
        let names = ["resnet18", "resnet50", "vgg16", "alexnet"];
        assert_eq!(nearest("resnt18", names, 1), ["resnet18"]);
        assert_eq!(nearest("zzz", names, 3), Vec::<&str>::new());
        assert_eq!(suggestion("vgg61", names, "x"), "vgg16");
    }
}
