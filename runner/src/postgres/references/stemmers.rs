//! Stemmers of full-text search. They belong to the server and not to the image: a major version may take them over again from
//! Snowball (<https://snowballstem.org>), and then reduces some words to other stems.

/// Major versions that have changed stemmers, with the languages. Of these the algorithm differs between the releases of Snowball that
/// the versions have; where 17 and 18 only have them written in another way, they are left out.
///
/// - 18 has commit d19326ac of Snowball (`PostgreSQL` commit b464e51ab, "Update our copies of the Snowball stemmers"), 14 to 17 have 4764395.
///   English no longer reduces "added" to "ad", German takes `ae` for an umlaut and removes `-erin`, French removes `l'` and
///   `qu'`, Turkish removes suffixes after an apostrophe, Romanian knows letters with a comma below.
/// - 14 has added languages: the stems of 13 and 17 were compared for the vocabularies of Snowball, and are the same.
const CHANGES: &[(u32, &[&str])] = &[(
    18,
    &[
        "dutch", "english", "french", "german", "greek", "italian", "romanian", "swedish", "turkish",
        "yiddish",
    ],
)];

/// The newest version whose stemmers were compared with those of the one before.
const REVIEWED: u32 = 18;

/// Whether the stemmer of a language may give other stems after an upgrade. That of an unknown version may.
#[must_use]
pub fn stems_differ(language: &str, old: u32, new: u32) -> bool {
    let is_changed = |(major, languages): &(u32, &[&str])| {
        (old + 1..=new).contains(major) && languages.contains(&language)
    };
    (new > old && new > REVIEWED) || CHANGES.iter().any(is_changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::changed("english", 17, 18, true)]
    #[case::changed_on_the_way("german", 13, 18, true)]
    #[case::changed_before("english", 18, 18, false)]
    #[case::not_yet("english", 13, 17, false)]
    #[case::the_same("russian", 17, 18, false)]
    #[case::of_an_unknown_version("russian", 18, 19, true)]
    fn stems_differ_if_a_version_between_has_changed_the_stemmer(
        #[case] language: &str,
        #[case] old: u32,
        #[case] new: u32,
        #[case] expected: bool,
    ) {
        assert_eq!(stems_differ(language, old, new), expected);
    }
}
