use super::*;
use crate::postgres::answers::question::Locale;
use crate::postgres::collation::versions::CollationVersion;
use crate::postgres::references::stored_zones::StoredZones;
use rstest::rstest;

fn default_of(provider: &str, locale: &str, version: Option<&str>) -> CollationInUse {
    let collation = CollationVersion {
        provider: provider.into(),
        locale: locale.into(),
        version: version.map(Into::into),
    };
    let locale = Locale {
        provider: provider.into(),
        name: locale.into(),
        collate: locale.into(),
        ctype: locale.into(),
        encoding: "UTF8".into(),
    };
    CollationInUse { oid: DEFAULT_COLLATION, name: "the default of shop".into(), collation, locale }
}

fn with_default(default: CollationInUse) -> RulesInUse {
    RulesInUse { collations: vec![default], ..RulesInUse::default() }
}

/// What a server of an image says about everything in use.
fn answers(in_use: &RulesInUse, image: impl Fn(&Question) -> &'static str) -> Answers {
    let answer = |question: Question| {
        let answer = image(&question).to_owned();
        (question, Some(answer))
    };
    in_use.asked().into_iter().map(|asked| answer(asked.question)).collect::<Vec<_>>().into()
}

fn compare(
    in_use: &RulesInUse,
    (old, new): (u32, u32),
    image: impl Fn(&Question) -> &'static str,
) -> RuleChanges {
    let collations = in_use.collations.iter().map(|it| it.collation.clone()).collect();
    let before = RulesBefore { collations, answers: answers(in_use, |_| "a") };
    RuleChanges::between(&before, in_use, &answers(in_use, image), old, new)
}

/// In a database with this default, about which both servers answer the same.
fn changes(provider: &str, locale: &str, old: u32, new: u32) -> RuleChanges {
    compare(&with_default(default_of(provider, locale, Some("1"))), (old, new), |_| "a")
}

#[rstest]
#[case::of_the_library("c", "de_DE.UTF-8", 17, 18, false)]
#[case::folded_by_icu("i", "de", 17, 18, true)]
#[case::folded_by_postgresql("b", "C", 17, 18, true)]
#[case::classified_by_icu("i", "de", 18, 19, true)]
#[case::both_before("i", "de", 15, 17, false)]
#[case::both_after("i", "de", 19, 20, false)]
#[case::minor("i", "de", 18, 18, false)]
#[case::default_with_other_unicode("b", "C.UTF-8", 19, 20, true)]
fn words_change_if_they_leave_the_c_library(
    #[case] provider: &str,
    #[case] locale: &str,
    #[case] old: u32,
    #[case] new: u32,
    #[case] expected: bool,
) {
    assert_eq!(changes(provider, locale, old, new).words, expected);
}

#[rstest]
#[case::postgresqls_own("b", "C.UTF-8", 17, 18, &[DEFAULT_COLLATION])]
#[case::of_ascii_only("b", "C", 17, 18, &[])]
#[case::of_the_library("c", "C.UTF-8", 17, 18, &[])]
#[case::minor("b", "C.UTF-8", 18, 18, &[])]
fn builtin_collations_change_letters_with_the_major_version(
    #[case] provider: &str,
    #[case] locale: &str,
    #[case] old: u32,
    #[case] new: u32,
    #[case] expected: &[u32],
) {
    assert_eq!(changes(provider, locale, old, new).letters().collect::<Vec<_>>(), expected);
}

/// Whose answers are others for questions of this kind.
fn other(is_kind: fn(&Question) -> bool) -> impl Fn(&Question) -> &'static str {
    move |question| if is_kind(question) { "b" } else { "a" }
}

/// pgops itself creates databases with this locale.
#[test]
fn locale_without_a_version_is_changed_if_the_library_answers_otherwise() {
    let in_use = with_default(default_of("c", "C.UTF-8", None));
    assert!(compare(&in_use, (13, 13), |_| "a").is_empty());
    let order = compare(&in_use, (13, 13), other(|question| matches!(question, Question::Order(_))));
    assert_eq!(order.to_string(), "the default of shop (sorts differently)");
    assert!(order.letters().next().is_none() && !order.words);
    let letters = compare(&in_use, (15, 15), other(|question| matches!(question, Question::Letters(_))));
    assert!(letters.collations.is_empty() && letters.words);
    assert_eq!(letters.letters().collect::<Vec<_>>(), [DEFAULT_COLLATION]);
    let words = compare(&in_use, (15, 15), other(|question| matches!(question, Question::Words(_))));
    assert!(words.words && words.letters().next().is_none() && words.collations.is_empty());
}

#[test]
fn unknown_answer_counts_as_another_one_unless_a_version_is_known() {
    let unknown = |version| {
        let in_use = with_default(default_of("c", "de_DE", version));
        let collations = vec![in_use.collations[0].collation.clone()];
        let before = RulesBefore { collations, answers: Answers::default() };
        RuleChanges::between(&before, &in_use, &Answers::default(), 15, 15)
    };
    assert!(unknown(Some("2.36")).is_empty());
    let changes = unknown(None);
    assert!(changes.words && changes.collations.len() == 1);
    assert_eq!(changes.letters().collect::<Vec<_>>(), [DEFAULT_COLLATION]);
}

#[test]
fn dictionaries_are_changed_by_their_files_and_stemmers() {
    let dictionary = |oid, name: &str, template: &str, options| {
        Dictionary::new(oid, name.into(), template.into(), options)
    };
    let in_use = RulesInUse {
        dictionaries: vec![
            dictionary(1, "english_stem", "snowball", "language = 'english', stopwords = 'english'"),
            dictionary(2, "russian_stem", "snowball", "language = 'russian', stopwords = 'russian'"),
            dictionary(3, "ours", "synonym", "synonyms = 'ours'"),
            dictionary(4, "more", "thesaurus", "dictfile = 'more', dictionary = 'ours'"),
            dictionary(5, "simple", "simple", ""),
        ],
        ..RulesInUse::default()
    };
    let names = |changes: RuleChanges| -> Vec<_> {
        changes.dictionaries.into_iter().map(|dictionary| dictionary.name).collect()
    };
    assert_eq!(names(compare(&in_use, (17, 18), |_| "a")), ["english_stem"]);
    let is_ours = |question: &Question| matches!(question, Question::File(name) if name == "ours.syn");
    let files = compare(&in_use, (15, 15), other(is_ours));
    assert_eq!(files.to_string(), "text search dictionaries ours, more");
    assert!(compare(&in_use, (15, 15), |_| "a").is_empty());
}

#[test]
fn time_zones_are_changed_if_their_rules_are() {
    let named = ["America/Asuncion", "Europe/Berlin"].map(ToOwned::to_owned).into();
    let zones = StoredZones { named, from_rows: true };
    let in_use = RulesInUse { zones, ..RulesInUse::default() };
    assert!(compare(&in_use, (15, 15), |_| "a").is_empty());
    let is_asuncion =
        |question: &Question| matches!(question, Question::Zone(zone) if zone == "America/Asuncion");
    let changes = compare(&in_use, (15, 15), other(is_asuncion));
    assert_eq!(changes.zones, ["America/Asuncion"]);
    assert_eq!(changes.to_string(), "rules of the time zones America/Asuncion");
    let changes = compare(&in_use, (15, 15), other(|question| *question == Question::EveryZone));
    assert!(changes.every_zone && changes.zones.is_empty() && !changes.is_empty());
}

#[test]
fn minor_upgrade_in_the_same_image_changes_no_rules() {
    assert!(changes("b", "C.UTF-8", 18, 18).is_empty());
    assert!(!changes("c", "C", 13, 17).is_empty(), "normalize() may differ");
}

#[rstest]
#[case("c", "C", 17, "letters (by the Unicode tables of PostgreSQL 18)")]
#[case("i", "de", 17, "words and trigrams (by other rules for letters)")]
fn changes_are_shown_with_their_causes(
    #[case] provider: &str,
    #[case] locale: &str,
    #[case] old: u32,
    #[case] text: &str,
) {
    assert_eq!(changes(provider, locale, old, 18).to_string(), text);
}

#[test]
fn many_dictionaries_are_counted() {
    let names = (1..=7).map(|number| format!("d{number}")).collect();
    assert_eq!(named("dictionaries", names).unwrap(), "dictionaries d1, d2, d3, d4, d5 and 2 more");
    assert_eq!(named("dictionaries", Vec::new()), None);
}
