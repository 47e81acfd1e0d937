//! What a misspelled name was meant to be.

/// Similarity below which a name is not suggested; 1 is equality.
pub(crate) const MIN_SIMILARITY: f64 = 0.87;

/// The most similar of the known names, if any is similar.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let similar = known.map(|known| (strsim::jaro_winkler(name, known), known));
    let nearest = similar.max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.filter(|(similarity, _)| *similarity >= MIN_SIMILARITY).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_the_most_similar_one() {
        let known = || ["storage", "storageType", "deletionPolicy"].into_iter();
        assert_eq!(nearest("storagetype", known()), Some("storageType"));
        assert_eq!(nearest("deletionPolicyy", known()), Some("deletionPolicy"));
        assert_eq!(nearest("monitor", known()), None);
    }
}
