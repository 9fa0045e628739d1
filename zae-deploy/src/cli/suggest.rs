//! "Did you mean": existing names that resemble a missing one.

/// Minimum similarity of two names for a suggestion, from 0 to 1.
const ALIKE: f64 = 0.8;

/// Returns the name most similar to `wanted`, if one is similar enough.
pub(crate) fn closest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let score = |name: &str| {
        let name = name.to_lowercase();
        let starts = !wanted.is_empty() && (name.starts_with(&wanted) || wanted.starts_with(&name));
        if starts { 1.0 } else { strsim::jaro_winkler(&wanted, &name) }
    };
    let scored = known.into_iter().map(|name| (score(name), name)).filter(|(score, _)| *score >= ALIKE);
    scored.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_typo_finds_the_name_and_nonsense_finds_nothing() {
        let known = ["tenant-alpha", "tenant-beta", "default"];
        assert_eq!(closest("tenant-alhpa", known), Some("tenant-alpha"));
        assert_eq!(closest("Default", known), Some("default"));
        assert_eq!(closest("defualt", known), Some("default"));
        assert_eq!(closest("gpt-4", known), None);
        assert_eq!(closest("x", []), None);
    }
}
