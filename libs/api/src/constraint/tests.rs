//! The expected results follow from the rules at the top of the module, worked out by hand.

use super::*;
use rstest::rstest;

fn matches(constraint: &str, version: &str) -> bool {
    let constraint: Constraint = constraint.parse().unwrap();
    constraint.matches(&Version::parse(version).unwrap())
}

#[rstest]
// Two numbers compare as (major, minor).
#[case(">= 13.4, < 18", "13.4 13.16 14.0 17.11 17.99.99", "13.3 12.99 18.0 18.6 9.6.21")]
#[case("<= 16.8", "16.8 16.8.99 16.0 15.99 9.6.24", "16.9 16.10 17.0")]
#[case("<=14.1", "14.1 14.0 13.23", "14.2 14.10 15.0")]
#[case("=<16.8", "16.8 15.0", "16.9 17.1")]
#[case("> 16.8", "16.9 16.10 17.0", "16.8 16.8.5 16.0 15.99")]
#[case(">= 16.8", "16.8 16.9 16.10 17.0", "16.7 15.99")]
#[case("=> 16.8", "16.8 17.0", "16.7")]
#[case("< 16.8", "16.7 16.7.9 15.13", "16.8 16.8.1 16.10")]
#[case("!= 16.8", "16.7 16.80 17.8 8.16", "16.8 16.8.0 16.8.4")]
// One number stands for its whole range.
#[case("> 16", "17.0 18.6", "16.0 16.99 15.1")]
#[case("<= 16", "16.0 16.99 15.1", "17.0")]
#[case("< 16", "15.99", "16.0 16.1")]
#[case(">= 16", "16.0 17.1", "15.99")]
#[case("!= 16", "15.1 17.1", "16.0 16.10")]
#[case("= 16", "16.0 16.10", "15.99 17.0")]
#[case("16", "16.0 16.10", "15.16 17.0")]
// Two numbers without an operator are `~`, three are equality.
#[case("14.1", "14.1 14.1.7", "14.2 14.10 14.0 15.1")]
#[case("= 14.1", "14.1 14.1.7", "14.2 14.0")]
#[case("14.1.2", "14.1.2", "14.1 14.1.3")]
#[case("=14.1.0", "14.1 14.1.0", "14.1.1")]
#[case("!= 14.1.0", "14.1.1 14.2", "14.1")]
#[case("> 14.1.0", "14.1.1 14.2", "14.1 14.0")]
#[case("<= 14.1.0", "14.1 14.0.9", "14.1.1 14.2")]
// Tilde.
#[case("~16.4", "16.4 16.4.9", "16.5 16.3 17.4")]
#[case("~> 16.4", "16.4", "16.5")]
#[case("~16", "16.0 16.13", "15.9 17.0")]
#[case("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0")]
#[case("~0.0.0", "0.0.0 9.6 17.1", "")]
#[case("~0.0", "0.0.7", "0.1 1.0")]
#[case("~*", "0.0 16.3", "")]
// Caret.
#[case("^16.4", "16.4 16.99", "16.3 17.0")]
#[case("^16", "16.0 16.99", "15.9 17.0")]
#[case("^0.2", "0.2 0.2.9", "0.3 1.2 0.1")]
#[case("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3")]
#[case("^0.0.3", "0.0.3", "0.0.4 0.0.2 0.1 1.0")]
#[case("^0.0", "0.0.1", "0.1 1.0")]
#[case("^0", "0.0.1 0.9", "1.0")]
// Wildcards.
#[case("*", "0.0 16.3 18.0.1", "16.0-rc1")]
#[case("16.x", "16.0 16.3", "15.3 17.0")]
#[case("16.X.x", "16.3", "17.0")]
#[case("16.*.4", "16.0 16.3.1", "17.0")]
#[case("16.3.x", "16.3 16.3.9", "16.4")]
#[case("> 16.x", "17.0", "16.9")]
#[case("> *", "0.0.1 1.0", "0.0")]
#[case("<= x", "0.0 0.0.9", "0.1 1.0")]
#[case("!= *", "0.0.1 1.0", "0.0")]
#[case("^*", "0.0", "0.0.1 1.0")]
// Alternatives, and "and" in its spellings.
#[case("13.x || 15.x", "13.9 15.1", "14.1 16.0")]
#[case("13.x||15.x", "13.9 15.1", "14.1")]
#[case(">=13.4 <14", "13.4 13.9", "13.3 14.0")]
#[case(">=13.4,<14", "13.4 13.9", "13.3 14.0")]
#[case(" >=13.4 , <14 ", "13.4 13.9", "13.3 14.0")]
#[case(">= 13, != 13.5, != 14.2 || 9.6.21", "13.4 14.3 15.0 9.6.21", "13.5 14.2 9.6.22 12.1")]
// Hyphen ranges.
#[case("13.4 - 14.2", "13.4 13.99 14.0 14.2 14.2.9", "13.3 14.3")]
#[case("13 - 14", "13.0 14.99", "12.9 15.0")]
#[case("13.4.0 - 14.2.0", "13.4 14.2", "13.3 14.2.1")]
#[case("13 - 14 || 17.x", "13.1 17.2", "15.0 16.1")]
#[case("3||1 - 2", "3.0 1.0 9.0", "0.9")]
// Pre-releases: none is admitted unless the alternative names one.
#[case(">= 16.0", "16.0", "17.0-beta1 16.1-rc1")]
#[case("!= 15", "16.0", "16.0-rc1")]
#[case(">= 16.0-0", "16.0-beta1 16.0 17.0-rc1", "15.9 15.9-rc1")]
#[case(">= 17.0-beta2", "17.0-beta2 17.0-beta3 17.0-rc1 17.0", "17.0-beta1 16.9")]
#[case("< 17.0.0-beta.11", "17.0-beta.2 17.0-alpha 16.9", "17.0-beta.11 17.0-beta.x 17.0-beta.11.1 17.0")]
#[case("17.0-rc1", "17.0-rc1 17.0", "17.0-beta1 17.1-rc1")]
#[case(">= 16.0-0 || 13", "16.0-rc1 13.2", "13.2-rc1")]
#[case("!= 16.1-rc1, >= 16.0", "16.1 16.1-rc2 16.2", "16.1-rc1")]
#[case("= 16.1.0-rc1", "16.1-rc1", "16.1 16.1-rc2")]
// Hyphen ranges: `>= low, <= high`, where a high end of fewer parts includes its whole range.
#[case("13.4 - 14", "13.4 14.0 14.99", "13.3 15.0")]
#[case("13 - 14.2", "13.0 14.2 14.2.7", "12.99 14.3")]
#[case("13.4  -  14.2", "13.4 14.2", "13.3 14.3")]
#[case("v13.4 - v14.2", "13.4 14.2", "13.3 14.3")]
#[case("13.x - 14.x", "13.0 14.99", "12.9 15.0")]
#[case("* - 14.2", "0.1 9.6 14.2", "14.3")]
#[case("14.2 - 13.4", "", "13.4 13.9 14.0 14.2")]
#[case("13.4 - 13.4", "13.4 13.4.1", "13.3 13.5")]
#[case("13.4.1 - 13.4.3", "13.4.1 13.4.3", "13.4 13.4.4")]
#[case("13 - 15, != 14", "13.1 15.9", "14.0 14.9 16.0")]
#[case("13 - 15 !=14.2", "14.1 14.3 15.0", "14.2")]
#[case("13 - 14 || 16 - 17", "13.5 14.0 16.0 17.9", "15.0 18.0 12.0")]
#[case("13.0-beta1 - 14.2", "13.0-beta1 13.0-rc1 13.0 14.2", "13.0-alpha 14.3")]
#[case("13.4 - 14.2-rc1", "13.4 14.1 14.1-rc1", "13.3 14.3")]
// Tilde and caret of two parts, and of zeros.
#[case("~0", "0.0 0.9 0.9.9", "1.0")]
#[case("~0.1", "0.1 0.1.9", "0.2 0.0.9 1.1")]
#[case("~0.0.1", "0.0.1 0.0.9", "0.0 0.1 1.0")]
#[case("~>16", "16.0 16.9", "15.9 17.0")]
#[case("~> 16.4.2", "16.4.2 16.4.9", "16.4.1 16.5")]
#[case("~ 16.10", "16.10 16.10.1", "16.1 16.9 16.11")]
#[case("~16.x", "16.0 16.9", "17.0")]
#[case("~x", "0.0 9.6 18.1", "")]
#[case("~16.4-rc1", "16.4-rc1 16.4-rc2 16.4 16.4.3", "16.4-beta1 16.5 16.3")]
#[case("^9.6", "9.6 9.6.24 9.7", "9.5.25 10.0")]
#[case("^0.0.0", "0.0.0", "0.0.1 0.1 1.0")]
#[case("^0.1.0", "0.1 0.1.7", "0.2 0.0.9")]
#[case("^0.x", "0.0 0.9", "1.0")]
#[case("^ 16.4", "16.4 16.10", "16.3 17.4")]
#[case("^16.4.2", "16.4.2 16.5", "16.4.1 17.0")]
#[case("^16.x", "16.0 16.9", "15.9 17.0")]
#[case("^16.4-rc1", "16.4-rc1 16.4 16.9", "16.4-beta9 17.0 17.0-rc1")]
#[case("^16.0.0-0", "16.0-alpha 16.0 16.3-rc1", "17.0-alpha 15.9")]
// Wildcards in each place, with each operator.
#[case("X", "0.0 9.6.24 18.0", "18.0-rc1")]
#[case("x.4", "13.4 14.1 0.0", "13.4-rc1")]
#[case("*.x", "13.4 0.0", "")]
#[case("=16.x", "16.0 16.9", "15.9 17.0")]
#[case("= *", "0.0 16.3", "")]
#[case("!= 16.x", "15.9 17.0", "16.0 16.9")]
#[case("!=16.3.x", "16.2 16.4 17.3", "16.3 16.3.9")]
#[case(">= 16.x", "16.0 17.0", "15.99")]
#[case(">= *", "0.0 16.3", "")]
#[case("< 16.x", "15.99", "16.0 16.1")]
#[case("< *", "", "0.0 0.0.1 16.3")]
#[case("<= 16.x", "15.9 16.0 16.99", "17.0")]
#[case("<=16.3.x", "16.3 16.3.9 16.2", "16.4")]
#[case(">16.3.X", "16.4 17.0", "16.3 16.3.9")]
#[case("> 16.*", "17.0", "16.0 16.9")]
#[case("16.x.x", "16.0 16.3.1", "17.0")]
// `=>` and `=<` with and without a space, of one and of three parts.
#[case("=>16", "16.0 17.3", "15.9")]
#[case("=> 16.3.1", "16.3.1 16.4", "16.3 16.3.0")]
#[case("=<16", "16.0 16.99 15.0", "17.0")]
#[case("=< 16.3.1", "16.3.1 16.3", "16.3.2 16.4")]
#[case("=>13.4,=<14.1", "13.4 14.0 14.1", "13.3 14.2")]
#[case("=>13.4 =<14", "13.4 14.99", "13.3 15.0")]
// `||` with and without spaces, on one side, and repeated.
#[case("13 ||14", "13.1 14.1", "15.1")]
#[case("13|| 14", "13.1 14.1", "15.1")]
#[case("  13   ||   14  ", "13.1 14.1", "12.1 15.1")]
#[case("9.6.21||10||11||12", "9.6.21 10.4 11.22 12.0", "9.6.22 13.0")]
#[case("< 13||> 15", "12.22 16.0 9.6", "13.0 15.9")]
#[case(">=13,<14||>=15,<16", "13.0 15.9", "14.0 16.0")]
#[case("13 13.4 || 15", "13.4 15.0", "13.3 13.5")]
// Commas and white space mixed; each binds closer than `||`.
#[case(">=13.4,<14 != 13.9", "13.4 13.10", "13.9 14.0")]
#[case(">= 13.4 , < 14 , != 13.9", "13.4 13.10", "13.9 14.0")]
#[case(">=   13.4   <   14", "13.4 13.99", "13.3 14.0")]
#[case(">= 13.4,<14 || 16 != 16.2", "13.5 16.1 16.3", "14.0 16.2")]
#[case("13,!=13.4", "13.3 13.5", "13.4 14.0")]
#[case("\t>=13.4\t<14\n", "13.4 13.9", "13.3 14.0")]
// Bare versions.
#[case("0", "0.0 0.9", "1.0")]
#[case("9.6", "9.6 9.6.24", "9.5.25 9.7 10.0")]
#[case("9.6.24", "9.6.24", "9.6 9.6.23")]
#[case("16.0", "16.0 16.0.9", "16.1")]
#[case("v16", "16.0 16.9", "17.0")]
#[case("016", "16.0 16.9", "1.6 17.0")]
#[case("16.03", "16.3", "16.0 16.30")]
// `!=` of fewer parts excludes the whole range.
#[case("!= 16, != 14", "13.9 15.0 17.0", "14.0 14.9 16.0 16.9")]
#[case("!=14.1", "14.0 14.2 14.10 13.1", "14.1 14.1.3")]
#[case("!= 0", "1.0 16.3", "0.0 0.9")]
#[case("!= 0.0", "0.1 1.0", "0.0 0.0.9")]
#[case("!= 16.3 || 16.3", "16.3 16.4", "16.3-rc1")]
// Pre-releases on either side.
#[case("> 17.0-beta1", "17.1 18.0 17.1-rc1", "17.0-beta1 17.0-beta2 17.0-rc1 17.0 16.9")]
#[case("> 17.0.0-beta1", "17.0-beta2 17.0-rc1 17.0 17.1", "17.0-beta1 17.0-alpha3")]
#[case("<= 17.0-rc1", "17.0-rc1 17.0 17.0-rc2 16.9 17.0.3", "17.1-rc1 17.1")]
#[case("<= 17.0.0-rc1", "17.0-rc1 17.0-beta9 16.9", "17.0-rc2 17.0")]
#[case("< 17.0-rc1", "17.0-beta3 16.9 16.9-rc1", "17.0-rc1 17.0")]
#[case(">= 17.0-0, < 18", "17.0-alpha 17.0-rc1 17.0 17.9-rc1 18.0-rc1", "16.9 18.0")]
#[case("17-rc1", "17.0-rc1 17.0 17.9", "17.0-beta1 16.9 18.0")]
#[case("> 16, < 18", "17.0 17.9", "17.0-rc1 16.9-rc1 18.0-rc1 18.0")]
#[case("!= 17.0.0-rc1", "17.0 17.0-rc2 16.3", "17.0-rc1")]
#[case("16.x-0", "16.0-alpha 16.0 16.9-rc1", "15.9 17.0")]
// Metadata is ignored on either side.
#[case(">= 16.3+build.7", "16.3 16.3+other 16.4", "16.2+zzz")]
#[case("~16.3.1-rc1+b", "16.3.1-rc1+c 16.3.1 16.3.2", "16.3.0 16.4")]
// What surrounds the numbers.
#[case("v16.3", "16.3 v16.3", "v16.4")]
#[case(">= v013.04", "13.4", "13.3")]
#[case("16.3.0+build", "16.3 16.3+other", "16.3.1")]
fn constraint_matches_by_the_documented_rules(
    #[case] constraint: &str,
    #[case] admitted: &str,
    #[case] refused: &str,
) {
    for version in admitted.split_whitespace() {
        assert!(matches(constraint, version), "{constraint:?} admits {version}");
    }
    for version in refused.split_whitespace() {
        assert!(!matches(constraint, version), "{constraint:?} refuses {version}");
    }
}

#[rstest]
#[case("", "")]
#[case("   ", "")]
#[case("latest", "latest")]
#[case(">= ", ">=")]
#[case("== 16", "== 16")]
#[case("> = 16", "> = 16")]
#[case(">= 13, ", "")]
#[case(", 13", ", 13")]
#[case("13 || ", "")]
#[case("13 | 14", "| 14")]
#[case("13.1.2.3", ".3")]
#[case("13 and 14", "and 14")]
#[case("1x", "1x")]
#[case("16.0-01", "16.0-01")]
#[case("99999999999999999999", "99999999999999999999")]
#[case(">=1 - 2", ">=>= 1, <= 2")]
#[case("1 2 - 3", ">= 2, <= 3")]
#[case("16.0 -", "-")]
#[case("13 ||| 14", "| 14")]
#[case("13,,14", ",14")]
#[case("=", "=")]
#[case("=!16", "=!16")]
#[case("!16", "!16")]
#[case("~~16", "~~16")]
#[case("^ ^16", "^ ^16")]
#[case("17beta1", "beta1")]
#[case("V16", "V16")]
#[case("16.", ".")]
#[case(".16", ".16")]
#[case("xx", "xx")]
#[case("16;17", ";17")]
#[case("\u{a0}16", "\u{a0}16")]
#[case("13 - 14||16 - 17", "- 17")]
#[case("≥ 16", "≥ 16")]
fn malformed_constraint_is_rejected_with_its_position(#[case] text: &str, #[case] piece: &str) {
    let error = text.parse::<Constraint>().unwrap_err();
    assert_eq!(error, ConstraintError::Malformed { text: text.to_owned(), piece: piece.to_owned() });
}

#[test]
fn overlong_constraint_is_rejected() {
    let text = "1".repeat(MAX_LENGTH + 1);
    assert_eq!(text.parse::<Constraint>().unwrap_err(), ConstraintError::TooLong(1025));
}

#[test]
fn constraint_displays_its_original_text() {
    assert_eq!(" >=13.4 ,<14||  15".parse::<Constraint>().unwrap().to_string(), " >=13.4 ,<14||  15");
}

#[rstest]
#[case("13", (13, 0, 0), "")]
#[case("13.4", (13, 4, 0), "")]
#[case("v13.4.1-alpine+meta", (13, 4, 1), "alpine")]
#[case("013.04", (13, 4, 0), "")]
#[case("17-rc.1", (17, 0, 0), "rc.1")]
fn loose_version_is_parsed(#[case] text: &str, #[case] numbers: (u64, u64, u64), #[case] pre: &str) {
    let version = Version::parse(text).unwrap();
    assert_eq!((version.major, version.minor, version.patch), numbers);
    assert_eq!(version.pre(), pre);
}

#[rstest]
#[case("")]
#[case("v")]
#[case("V13.4")]
#[case(" 13.4")]
#[case("13.")]
#[case("13.4.1.2")]
#[case("13.x")]
#[case("13.4-")]
#[case("13.4-a..b")]
#[case("13.4-01")]
#[case("99999999999999999999.1")]
#[case("17beta1")]
#[case("17rc1")]
#[case(".17")]
#[case("17 ")]
#[case("17-")]
#[case("17+")]
#[case("latest")]
fn malformed_version_is_rejected_and_quoted(#[case] text: &str) {
    let error = Version::parse(text).unwrap_err();
    assert!(error.to_string().contains(&format!("\"{text}\"")), "{error}");
}

#[test]
fn versions_order_by_number_and_pre_releases_first() {
    let ascending = [
        "9.6.24",
        "16.0-alpha",
        "16.0-beta.2",
        "16.0-beta.11",
        "16.0-beta.11.1",
        "16.0-beta.x",
        "16.0",
        "16.9",
        "16.10",
    ];
    let parsed: Vec<Version> = ascending.iter().map(|text| Version::parse(text).unwrap()).collect();
    assert!(parsed.is_sorted_by(|low, high| low < high), "{parsed:?}");
}

#[test]
fn major_version_has_two_numbers_before_10() {
    let major = |text| Version::parse(text).unwrap().postgres_major();
    assert!(major("9.5.25") < major("9.6.1"));
    assert_eq!(major("9.6.24").to_string(), "9.6");
    assert_eq!(major("17.11"), major("17.2"));
    assert_eq!(PostgresMajor::between(major("13.16"), major("17.11")).collect::<Vec<_>>(), [14, 15, 16]);
    assert_eq!(PostgresMajor::between(major("9.6.24"), major("12.1")).collect::<Vec<_>>(), [10, 11]);
    assert_eq!(PostgresMajor::between(major("17.1"), major("13.2")).count(), 0);
}

proptest::proptest! {
    /// Parsing arbitrary catalog text returns a value or an error, and never panics.
    #[test]
    fn any_text_parses_or_fails_without_panic(text in "[-0-9xv.,|<>=~^!* a+]{0,40}|.{0,40}") {
        if let Ok(constraint) = text.parse::<Constraint>() {
            proptest::prop_assert_eq!(constraint.to_string(), text);
        }
    }

    /// Operators that exclude each other partition all versions.
    #[test]
    fn opposite_operators_partition_all_versions(bound in "[0-9]{1,2}(\\.[0-9]{1,2}){0,2}", version in "[0-9]{1,2}\\.[0-9]{1,2}") {
        proptest::prop_assert_ne!(
            matches(&format!("<= {bound}"), &version),
            matches(&format!("> {bound}"), &version)
        );
        proptest::prop_assert_ne!(
            matches(&format!(">= {bound}"), &version),
            matches(&format!("< {bound}"), &version)
        );
        proptest::prop_assert_ne!(
            matches(&format!("= {bound}"), &version),
            matches(&format!("!= {bound}"), &version)
        );
    }
}
