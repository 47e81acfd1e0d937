use std::collections::{BTreeMap, BTreeSet};

use super::*;
use rstest::rstest;

const KINDS: [SessionKind; 3] = [Own, Program, Dump];

/// A setting that can be stored for a database or role.
struct Storable {
    since: u32,
    until: u32,
    treatment: &'static str,
}

fn storable() -> BTreeMap<&'static str, Storable> {
    let lines = include_str!("storable.tsv").lines().filter(|line| !line.starts_with('#'));
    let parse = |line: &'static str| {
        let columns: Vec<_> = line.split('\t').collect();
        let [name, since, until, treatment] = columns[..] else { panic!("{line}") };
        let storable = Storable { since: since.parse().unwrap(), until: until.parse().unwrap(), treatment };
        (name, storable)
    };
    lines.map(parse).collect()
}

/// The options by name, the last of each.
fn options(kind: SessionKind, major: u32) -> BTreeMap<String, String> {
    let text = session_options(kind, major).replace("\\ ", "\u{a0}");
    let words: Vec<_> = text.split(' ').collect();
    let option = |words: &[&str]| {
        assert_eq!(words[0], "-c", "{text}");
        let (name, value) = words[1].split_once('=').unwrap();
        (name.to_owned(), value.replace('\u{a0}', " "))
    };
    words.chunks(2).map(option).collect()
}

/// What can be stored is fixed, or there is a reason why it is not.
#[test]
fn storable_setting_is_fixed_or_has_a_reason() {
    let treatments = ["speed", "log", "connection", "dump", "user", "library", "unused"];
    let fixed: BTreeSet<_> = FIXED.iter().map(|it| it.name).collect();
    let storable = storable();
    for (name, Storable { treatment, .. }) in &storable {
        assert_eq!(*treatment == "fixed", fixed.contains(name), "{name}");
        assert!(*treatment == "fixed" || treatments.contains(treatment), "{name}: {treatment}");
    }
    assert!(fixed.iter().all(|name| storable.contains_key(name)));
    assert!(storable.len() > 200, "{}", storable.len());
}

/// A server rejects a connection with an option that it does not know.
#[rstest]
fn option_exists_in_its_version_and_in_later_ones(#[values(13, 14, 15, 16, 17, 18)] major: u32) {
    let storable = storable();
    for kind in KINDS {
        for name in options(kind, major).keys() {
            let Storable { since, until, .. } = storable[name.as_str()];
            assert!(since <= major && until == 18, "{name} on {major}");
        }
    }
    let options = options(Own, major);
    let newer = |name: &str, since| assert_eq!(options.contains_key(name), major >= since, "{name}");
    newer("idle_session_timeout", 14);
    newer("transaction_timeout", 17);
    newer("event_triggers", 17);
}

#[rstest]
#[case::rights(Own, "role", "none")]
#[case::library_that_is_missing(Own, "session_preload_libraries", "")]
#[case::value_with_a_space(Own, "default_transaction_isolation", "read committed")]
#[case::strings_of_scripts(Program, "standard_conforming_strings", "on")]
#[case::later_kind_takes_precedence(Dump, "client_min_messages", "error")]
fn session_has_the_options_of_its_kind(#[case] kind: SessionKind, #[case] name: &str, #[case] value: &str) {
    assert_eq!(options(kind, 13)[name], value);
}

/// Code of users in indexes reads and writes values as the database's settings say: sessions that run it set these back.
#[test]
fn own_session_can_return_to_the_stored_formats() {
    let own = options(Own, 18);
    for format in ["DateStyle", "TimeZone", "standard_conforming_strings", "search_path"] {
        assert!(!own.contains_key(format), "{format}");
    }
}

/// `MAX_STARTUP_PACKET_LENGTH` of the server, half of it.
#[test]
fn options_fit_into_a_startup_message() {
    assert!(session_options(Dump, 18).len() < 5_000);
}
