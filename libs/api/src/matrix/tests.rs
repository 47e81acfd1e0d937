use super::*;
use crate::postgresversion::{
    DatabaseImage, Distribution, ExtensionSpec, PostgresVersionSpec, UpdateConstraints,
};
use rstest::rstest;

/// An entry of a test's catalog: its version and its allowlist.
fn spec(version: &str, allow: &[&str]) -> PostgresVersionSpec {
    PostgresVersionSpec {
        version: version.to_owned(),
        db: DatabaseImage { image: format!("postgres:{version}"), base_os: Some("debian".to_owned()) },
        update_constraints: UpdateConstraints {
            allowlist: allow.iter().map(ToString::to_string).collect(),
            denylist: Vec::new(),
        },
        ..PostgresVersionSpec::default()
    }
}

fn catalog_of(specs: &[(&str, PostgresVersionSpec)]) -> Catalog {
    Catalog::new(specs.iter().map(|(name, spec)| (*name, spec)))
}

/// An excerpt of the chart's catalog.
fn catalog() -> Catalog {
    let versions = [
        ("13.16", ">= 13.16, < 18"),
        ("13.23", ">= 13.23, < 18"),
        ("15.18", ">= 15.18, < 19"),
        ("15.20", ">= 15.20, < 19"),
        ("17.11", ">= 17.11, < 19"),
        ("17.12", ">= 17.12, < 19"),
        ("18.6", ">= 18.6, < 19"),
    ];
    let specs: Vec<_> = versions.iter().map(|(name, allow)| (*name, spec(name, &[allow]))).collect();
    catalog_of(&specs)
}

fn explain(catalog: &Catalog, from: &str, to: &str) -> String {
    let matrix = catalog.with_base_os_change(BaseOsChange::Refused);
    matrix.explain(&matrix.decide(from, to).unwrap_err(), "demo/orders")
}

fn path<'a>(catalog: &'a Catalog, from: &str, to: &str) -> Option<Vec<&'a str>> {
    catalog.with_base_os_change(BaseOsChange::Refused).shortest_path(from, to)
}

#[rstest]
#[case("13.16", "13.16")]
#[case("13.16", "13.23")]
#[case("13.16", "17.12")]
#[case("17.12", "18.6")]
fn targets_that_the_current_constraints_admit_are_allowed(#[case] from: &str, #[case] to: &str) {
    let catalog = catalog();
    let allowed = catalog.decide(from, to).unwrap();
    assert_eq!((allowed.from.name(), allowed.to.name()), (from, to));
}

#[test]
fn older_major_version_is_refused_whatever_the_constraints() {
    let catalog = catalog_of(&[("17.11", spec("17.11", &[])), ("16.4", spec("16.4", &[]))]);
    assert_eq!(
        explain(&catalog, "17.11", "16.4"),
        "upgrade from version 17.11 to 16.4 is not supported: PostgreSQL cannot go back to an older major version \
         (17 → 16); restore a backup taken on 16, or stay. The catalog has no allowed target for demo/orders (17.11)"
    );
    assert_eq!(catalog.decide("17.11", "16.4").unwrap_err().reason(), Reason::Downgrade);
    let old = catalog_of(&[("9.6.24", spec("9.6.24", &[])), ("9.5.25", spec("9.5.25", &[]))]);
    assert_eq!(old.decide("9.6.24", "9.5.25").unwrap_err().reason(), Reason::Downgrade);
}

#[test]
fn older_minor_version_follows_the_constraints() {
    let catalog = catalog_of(&[("13.23", spec("13.23", &[])), ("13.16", spec("13.16", &[">= 13.16"]))]);
    assert!(catalog.decide("13.23", "13.16").is_ok());
    let strict = super::tests::catalog();
    assert_eq!(strict.decide("13.23", "13.16").unwrap_err().reason(), Reason::Constraints);
}

#[test]
fn refusal_names_constraints_targets_and_path() {
    assert_eq!(
        explain(&catalog(), "13.16", "18.6"),
        "upgrade from version 13.16 to 18.6 is not supported: the constraints of 13.16 allow \">= 13.16, < 18\". \
         Allowed targets for demo/orders (13.16): 17.12, 17.11, 15.20, 15.18, 13.23. \
         In two upgrades: 13.16 → 17.12 → 18.6"
    );
}

#[test]
fn path_is_shortest_and_avoids_outdated_versions() {
    let mut outdated = spec("15.20", &["~18"]);
    outdated.deprecated = true;
    let catalog = catalog_of(&[
        ("13.16", spec("13.16", &["~14", "~15"])),
        ("14.9", spec("14.9", &["~18"])),
        ("15.20", outdated),
        ("18.6", spec("18.6", &["~18"])),
        ("19.1", spec("19.1", &["~19"])),
    ]);
    assert_eq!(path(&catalog, "13.16", "18.6").unwrap(), ["13.16", "14.9", "18.6"]);
    assert_eq!(path(&catalog, "13.16", "19.1"), None);
    assert_eq!(path(&catalog, "13.16", "15.20").unwrap(), ["13.16", "15.20"]);
    assert!(!explain(&catalog, "13.16", "19.1").contains("upgrades:"));
}

#[test]
fn path_avoids_faulty_releases() {
    let catalog = catalog_of(&[
        ("13.16", spec("13.16", &["~16"])),
        ("16.4", spec("16.4", &["~18"])),
        ("16.5", spec("16.5", &["~18"])),
        ("18.6", spec("18.6", &[])),
    ]);
    assert_eq!(path(&catalog, "13.16", "18.6").unwrap(), ["13.16", "16.4", "18.6"]);
}

#[test]
fn path_may_take_three_upgrades() {
    let catalog = catalog_of(&[
        ("13.16", spec("13.16", &["~14"])),
        ("14.9", spec("14.9", &["~15"])),
        ("15.20", spec("15.20", &["~16"])),
        ("16.4", spec("16.4", &["~16"])),
    ]);
    let text = explain(&catalog, "13.16", "16.4");
    assert!(text.ends_with("In three upgrades: 13.16 → 14.9 → 15.20 → 16.4"), "{text}");
}

#[test]
fn path_never_returns_to_an_older_minor_version() {
    let catalog = catalog_of(&[
        ("13.16", spec("13.16", &["~15.20"])),
        ("15.18", spec("15.18", &[])),
        ("15.20", spec("15.20", &[])),
    ]);
    assert!(catalog.decide("15.20", "15.18").is_ok());
    assert_eq!(path(&catalog, "13.16", "15.18"), None);
}

#[test]
fn path_does_not_bypass_the_base_system_rule() {
    let with_os = |version: &str, allow: &str, base_os: Option<&str>| {
        let mut spec = spec(version, &[allow]);
        spec.db.base_os = base_os.map(str::to_owned);
        spec
    };
    let catalog = catalog_of(&[
        ("13.16", with_os("13.16", "< 18", Some("alpine"))),
        ("17.11", with_os("17.11", "< 19", None)),
        ("18.6", with_os("18.6", "< 19", Some("debian"))),
    ]);
    assert_eq!(path(&catalog, "13.16", "18.6"), None);
}

#[test]
fn denylist_is_named_only_if_the_allowlist_admits() {
    let mut source = spec("13.16", &["< 18"]);
    source.update_constraints.denylist = vec!["15.18".to_owned(), ">= 18".to_owned()];
    let catalog = catalog_of(&[
        ("13.16", source),
        ("15.18", spec("15.18", &[])),
        ("15.20", spec("15.20", &[])),
        ("18.6", spec("18.6", &[])),
    ]);
    assert_eq!(
        explain(&catalog, "13.16", "15.18"),
        "upgrade from version 13.16 to 15.18 is not supported: the constraints of 13.16 exclude \"15.18\". \
         Allowed targets for demo/orders (13.16): 15.20"
    );
    assert!(explain(&catalog, "13.16", "18.6").contains("allow \"< 18\""));
}

#[test]
fn unknown_target_gets_similar_names() {
    assert_eq!(
        explain(&catalog(), "17.11", "17.1"),
        "upgrade from version 17.11 to 17.1 is not supported: there is no PostgresVersion \"17.1\"; did you mean \
         17.12 or 17.11? Allowed targets for demo/orders (17.11): 18.6, 17.12"
    );
    assert_eq!(
        explain(&catalog(), "18.6", "latest"),
        "upgrade from version 18.6 to latest is not supported: there is no PostgresVersion \"latest\". \
         The catalog has no allowed target for demo/orders (18.6)"
    );
}

#[test]
fn suggested_names_are_allowed_targets_if_there_are_any() {
    let refusal = catalog().decide("17.12", "17.1").unwrap_err();
    assert!(refusal.to_string().ends_with("did you mean 17.12?"), "{refusal}");
    let refusal = catalog().decide("18.6", "17.1").unwrap_err();
    assert!(refusal.to_string().ends_with("did you mean 17.12 or 17.11?"), "{refusal}");
}

#[test]
fn bare_major_version_suggests_its_minor_releases() {
    let refusal = catalog().decide("13.16", "17").unwrap_err();
    assert!(refusal.to_string().ends_with("did you mean 17.12 or 17.11?"), "{refusal}");
}

#[test]
fn unknown_source_is_reported() {
    let refusal = catalog().decide("12.4", "17.99").unwrap_err();
    assert_eq!(refusal.reason(), Reason::UnknownSource);
    assert_eq!(
        catalog().with_base_os_change(BaseOsChange::Refused).explain(&refusal, "demo/orders"),
        "upgrade from version 12.4 to 17.99 is not supported: the database's PostgresVersion \"12.4\" is \
         not in the catalog, so its constraints are unknown; create that PostgresVersion, then try again"
    );
}

#[test]
fn entry_with_an_invalid_version_is_ignored_alone() {
    let catalog = catalog_of(&[
        ("13.16", spec("13.16", &[])),
        ("13.23", spec("13.23", &[])),
        ("broken", spec("thirteen", &[])),
    ]);
    assert!(catalog.decide("13.16", "13.23").is_ok());
    assert_eq!(catalog.ignored().map(|(name, _)| name).collect::<Vec<_>>(), ["broken"]);
    assert_eq!(
        explain(&catalog, "13.16", "broken"),
        "upgrade from version 13.16 to broken is not supported: PostgresVersion \"broken\" is ignored: \"thirteen\" \
         is not a version: expected numbers such as \"16.10\"; correct its spec.version. \
         Allowed targets for demo/orders (13.16): 13.23"
    );
    let refusal = catalog.decide("broken", "13.23").unwrap_err();
    assert_eq!(refusal.reason(), Reason::UnknownSource);
    assert!(refusal.to_string().contains("correct its spec.version"), "{refusal}");
}

#[rstest]
#[case(&[">= 13", "nonsense"], &[], "allowlist")]
#[case(&[], &["=> 18, or so"], "denylist")]
fn invalid_constraint_admits_no_target(#[case] allow: &[&str], #[case] deny: &[&str], #[case] list: &str) {
    let mut source = spec("13.16", allow);
    source.update_constraints.denylist = deny.iter().map(ToString::to_string).collect();
    let catalog = catalog_of(&[("13.16", source), ("13.23", spec("13.23", &[]))]);
    let refusal = catalog.decide("13.16", "13.23").unwrap_err();
    assert_eq!(refusal.reason(), Reason::Constraints);
    let text = refusal.to_string();
    assert!(text.contains(&format!("the {list} of PostgresVersion \"13.16\" is invalid")), "{text}");
    assert_eq!(
        catalog.with_base_os_change(BaseOsChange::Refused).allowed_targets("13.16"),
        Vec::<&str>::new()
    );
    assert!(catalog.decide("13.23", "13.23").is_ok(), "another entry is not affected");
}

#[rstest]
#[case(Some("alpine"), Some("debian"), false)]
#[case(Some("alpine"), Some("alpine"), true)]
#[case(Some(""), Some("debian"), true)]
#[case(None, Some("debian"), true)]
#[case(Some("alpine"), None, true)]
fn base_systems_are_compared_if_both_are_known(
    #[case] from: Option<&str>,
    #[case] to: Option<&str>,
    #[case] admitted: bool,
) {
    let with_os = |version: &str, base_os: Option<&str>| {
        let mut spec = spec(version, &[]);
        spec.db.base_os = base_os.map(str::to_owned);
        spec
    };
    let catalog = catalog_of(&[("13.16", with_os("13.16", from)), ("17.11", with_os("17.11", to))]);
    assert_eq!(catalog.decide("13.16", "17.11").is_ok(), admitted);
}

#[test]
fn base_system_and_distribution_use_kubedbs_wording() {
    let mut alpine = spec("17.11", &[]);
    alpine.db.base_os = Some("alpine".to_owned());
    let with = |distribution| PostgresVersionSpec { distribution, ..spec("15.20", &[]) };
    let catalog = catalog_of(&[
        ("13.16", PostgresVersionSpec { distribution: Some(Distribution::Official), ..spec("13.16", &[]) }),
        ("17.11-alpine", alpine),
        ("15.20-gis", with(Some(Distribution::PostGIS))),
        ("15.20", with(None)),
    ]);
    assert_eq!(
        explain(&catalog, "13.16", "17.11-alpine"),
        "upgrading between different base OS variants is not allowed: current version \"13.16\" uses baseOS \
         \"debian\" but target version \"17.11-alpine\" uses baseOS \"alpine\": their C libraries (glibc and \
         musl) sort text differently, so no index on text could be trusted; dump and restore into a new \
         database instead. Allowed targets for demo/orders (13.16): 15.20"
    );
    assert_eq!(
        explain(&catalog, "13.16", "15.20-gis"),
        "upgrading between different distributions is not allowed: current version \"13.16\" uses distribution \
         \"Official\" but target version \"15.20-gis\" uses distribution \"PostGIS\": choose a target of the same \
         distribution, or dump and restore into a new database. Allowed targets for demo/orders (13.16): 15.20"
    );
}

#[test]
fn constraints_precede_base_system_and_distribution() {
    let mut target = spec("17.11", &[]);
    target.db.base_os = Some("alpine".to_owned());
    target.distribution = Some(Distribution::PostGIS);
    let source = |allow: &[&str]| PostgresVersionSpec {
        distribution: Some(Distribution::Official),
        ..spec("13.16", allow)
    };
    let reason = |allow: &[&str], target: &PostgresVersionSpec| {
        catalog_of(&[("13.16", source(allow)), ("17.11", target.clone())])
            .decide("13.16", "17.11")
            .unwrap_err()
            .reason()
    };
    assert_eq!(reason(&["< 17"], &target), Reason::Constraints);
    assert_eq!(reason(&["< 18"], &target), Reason::BaseOs);
    target.db.base_os = None;
    assert_eq!(reason(&["< 18"], &target), Reason::Distribution);
}

#[test]
fn same_name_is_judged_by_the_same_rules() {
    let catalog = catalog_of(&[("13.16", spec("13.16", &["> 13.16"])), ("17.11", spec("17.11", &[]))]);
    assert_eq!(catalog.decide("13.16", "13.16").unwrap_err().reason(), Reason::Constraints);
    assert!(catalog.decide("17.11", "17.11").is_ok());
}

#[test]
fn long_target_list_keeps_the_newest_of_each_major() {
    let minors: Vec<String> = (1..=20).map(|minor| format!("17.{minor}")).collect();
    let mut specs: Vec<_> = minors.iter().map(|name| (name.as_str(), spec(name, &[]))).collect();
    specs.push(("13.16", spec("13.16", &["< 18"])));
    specs.push(("14.9", spec("14.9", &[])));
    specs.push(("15.20", spec("15.20", &[])));
    specs.push(("18.6", spec("18.6", &[])));
    let text = explain(&catalog_of(&specs), "13.16", "18.6");
    assert!(
        text.contains(
            "(13.16): 17.20, 17.19, 17.18, 17.17, 17.16, 17.15, 17.14, 17.13, 17.12, 17.11, 15.20, 14.9 and 10 more"
        ),
        "{text}"
    );
}

#[test]
fn unknown_name_lists_the_catalog() {
    assert_eq!(
        catalog().explain_unknown("13.1"),
        "there is no PostgresVersion \"13.1\"; did you mean 13.16? \
         The catalog has 18.6, 17.12, 17.11, 15.20, 15.18, 13.23, 13.16"
    );
    assert_eq!(
        Catalog::default().explain_unknown("13.1"),
        "there is no PostgresVersion \"13.1\". The catalog is empty: create PostgresVersions first"
    );
}

#[test]
fn problems_name_the_error_and_its_consequence() {
    let report = |version: &str, allow: &[&str]| problems(&spec(version, allow)).join("\n");
    let ledger = ExtensionSpec { name: "-".into(), ..ExtensionSpec::default() };
    let unusable = PostgresVersionSpec { extensions: vec![ledger], ..spec("16.10", &[]) };
    let text = problems(&unusable).join("\n");
    assert!(
        text.starts_with("databases cannot be upgraded to this") && text.contains("extensions[0].name"),
        "{text}"
    );
    assert_eq!(report("13.16", &["< 18"]), "");
    assert!(
        report("thirteen", &[])
            .starts_with("this PostgresVersion is ignored until spec.version is corrected: ")
    );
    let text = report("9.6.24", &["< 18", "x.y.z"]);
    assert!(
        text.contains("databases cannot be upgraded from or to this PostgresVersion: spec.version"),
        "{text}"
    );
    assert!(
        text.contains("spec.updateConstraints.allowlist is corrected: \"x.y.z\" is not a version constraint"),
        "{text}"
    );
}

#[test]
fn accepted_base_os_change_is_limited_to_glibc() {
    let with_os = |version: &str, base_os: &str| {
        let mut spec = spec(version, &[]);
        spec.db.base_os = Some(base_os.to_owned());
        spec
    };
    let catalog = catalog_of(&[
        ("13.16", with_os("13.16", "debian")),
        ("17.11", with_os("17.11", "ubi9")),
        ("17.11-alpine", with_os("17.11", "alpine")),
        ("17.11-own", with_os("17.11", "ouros")),
    ]);
    let accepting = catalog.with_base_os_change(BaseOsChange::Accepted);
    assert!(accepting.decide("13.16", "17.11").is_ok());
    assert_eq!(accepting.allowed_targets("13.16"), ["17.11"]);
    for target in ["17.11-alpine", "17.11-own"] {
        assert_eq!(accepting.decide("13.16", target).unwrap_err().reason(), Reason::BaseOs);
    }
    assert_eq!(catalog.decide("13.16", "17.11").unwrap_err().reason(), Reason::BaseOs);
    assert_eq!(
        explain(&catalog, "13.16", "17.11"),
        "upgrading between different base OS variants is not allowed: current version \"13.16\" uses baseOS \
         \"debian\" but target version \"17.11\" uses baseOS \"ubi9\": another version of the C library may sort text \
         differently, and indexes on text would miss rows; to upgrade anyway and have them rebuilt afterwards, set the \
         annotation pgops.dev/allow-base-os-change: \"true\" on the request. \
         The catalog has no allowed target for demo/orders (13.16)"
    );
    let unknown = explain(&catalog, "13.16", "17.11-own");
    assert!(unknown.contains("pgops does not know \"ouros\""), "{unknown}");
}

#[test]
fn unsupported_releases_are_never_suggested() {
    let catalog = catalog_of(&[
        ("13.16", spec("13.16", &["13 - 17", ">= 17.0-0, < 18"])),
        ("17.0-rc1", spec("17.0-rc1", &[])),
        ("17.1", spec("17.1", &[])),
        ("9.6", spec("9.6", &[])),
        ("18", spec("18", &[])),
    ]);
    assert_eq!(
        catalog.with_base_os_change(BaseOsChange::Refused).allowed_targets("13.16"),
        ["17.1", "17.0-rc1"]
    );
    assert!(explain(&catalog, "13.16", "18").ends_with("Allowed targets for demo/orders (13.16): 17.1"));
    let refusal = catalog.decide("13.16", "17.0").unwrap_err();
    assert!(refusal.to_string().ends_with("did you mean 17.1?"), "{refusal}");
    assert!(explain(&catalog, "9.6", "99").ends_with("(9.6): 17.1, 13.16"));
    assert_eq!(path(&catalog, "13.16", "18"), None);
}
