//! Patterns of parameter names.

/// Whether `*` (any characters) and `?` (one character) in the pattern can stand for the name's.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut i, mut j) = (0, 0);
    // Where the last star stands, and how far the name was when it was met.
    let mut star: Option<(usize, usize)> = None;
    while j < n.len() {
        if i < p.len() && p[i] == '*' {
            star = Some((i, j));
            i += 1;
        } else if i < p.len() && (p[i] == '?' || p[i] == n[j]) {
            i += 1;
            j += 1;
        } else if let Some((at, met)) = star {
            // Let the star take one more character.
            star = Some((at, met + 1));
            i = at + 1;
            j = met + 1;
        } else {
            return false;
        }
    }
    p[i..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("conv1.weight", "conv1.weight", true),
            ("conv*", "conv1.weight", true),
            ("*.bias", "layer1.0.conv1.bias", true),
            ("*1*bias", "layer1.0.conv2.bias", true),
            ("conv?.weight", "conv12.weight", false),
            ("conv1", "conv1.weight", false),
            ("*", "", true),
            ("a*b*c", "abbbc", true),
            ("a*b*d", "abbbc", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
