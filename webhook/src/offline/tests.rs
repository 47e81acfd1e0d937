use super::*;
use clap::Parser;
use insta::assert_snapshot;
use rstest::rstest;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: DecideArgs,
}

fn entry(name: &str, version: &str, more: &str) -> String {
    format!(
        "apiVersion: catalog.kubedb.com/v1alpha1\nkind: PostgresVersion\nmetadata: {{name: \"{name}\"}}\n\
         spec:\n  version: \"{version}\"\n  db: {{image: \"postgres:{version}\", baseOS: debian}}\n{more}---\n"
    )
}

fn allow(constraint: &str) -> String {
    format!("  updateConstraints: {{allowlist: [\"{constraint}\"]}}\n")
}

fn catalog() -> String {
    [
        entry("13.16", "13.16", &allow(">= 13.16, < 18")),
        entry("17.11", "17.11", &allow(">= 17.11, < 19")),
        entry("17.12", "17.12", &allow(">= 17.11, < 19")),
        entry("18.6", "18.6", &allow(">= 18.6, < 19")),
        entry("broken", "seventeen", ""),
    ]
    .concat()
}

struct Answer {
    status: u8,
    out: String,
    notes: String,
}

fn ask(yaml: &str, arguments: &[&str]) -> Answer {
    let line = ["decide", "--catalog", "-"].iter().chain(arguments);
    let args = Line::try_parse_from(line).unwrap().args;
    let mut out = Vec::new();
    let mut notes = Vec::new();
    let documents = Documents::read(yaml.as_bytes()).unwrap();
    let status = answer(&args, &documents, &mut out, &mut notes).unwrap();
    Answer { status, out: String::from_utf8(out).unwrap(), notes: String::from_utf8(notes).unwrap() }
}

fn error(yaml: &str) -> String {
    format!("{:#}", anyhow::Error::new(Documents::read(yaml.as_bytes()).unwrap_err()))
}

#[test]
fn allowed_move_is_printed_with_warnings() {
    let Answer { status, out, .. } = ask(&catalog(), &["--from", "13.16", "--to", "17.11"]);
    assert_eq!(status, 0);
    assert_snapshot!(out, @"
    allowed: 13.16 → 17.11
    Warning: major upgrade 13.16 → 17.11 of the database; it skips 14, 15 and 16: read the release notes of each
    Warning: the database has no standby: reads and writes stop while pg_upgrade runs
    Warning: the image changes to postgres:17.11: if its C library or ICU sorts text differently, indexes on text are rebuilt afterwards
    ");
}

#[test]
fn refused_move_is_printed_with_alternatives() {
    let Answer { status, out, .. } = ask(&catalog(), &["--from", "13.16", "--to", "18.6"]);
    assert_eq!(status, 1);
    assert_snapshot!(out, @r#"refused: upgrade from version 13.16 to 18.6 is not supported: the constraints of 13.16 allow ">= 13.16, < 18". Allowed targets for the database (13.16): 17.12, 17.11. In two upgrades: 13.16 → 17.12 → 18.6"#);
}

#[test]
fn decision_is_printed_as_one_json_object() {
    let answer = ask(&catalog(), &["--from", "17.11", "--to", "17.12", "--output", "json"]);
    assert_snapshot!(answer.out, @r#"{"from":"17.11","to":"17.12","allowed":true,"reason":"Allowed","message":"minor upgrade 17.11 → 17.12 of the database: the data is unchanged, the server restarts","warnings":["minor upgrade 17.11 → 17.12 of the database: the data is unchanged, the server restarts","the database has no standby: reads and writes stop while the server restarts","the image changes to postgres:17.12: if its C library or ICU sorts text differently, indexes on text are rebuilt afterwards"]}"#);
    let refused = ask(&catalog(), &["--from", "17.11", "--to", "17.1", "--output", "json"]);
    assert_eq!(refused.status, 1);
    assert_snapshot!(refused.out, @r#"{"from":"17.11","to":"17.1","allowed":false,"reason":"UnknownTarget","message":"upgrade from version 17.11 to 17.1 is not supported: there is no PostgresVersion \"17.1\"; did you mean 17.12 or 17.11? Allowed targets for the database (17.11): 18.6, 17.12","warnings":[]}"#);
}

#[test]
fn allowed_but_unsupported_move_gets_a_warning() {
    let yaml = entry("16.4", "16.4", "") + &entry("17-rc", "17.0-rc1", "") + &entry("17", "17", "");
    let Answer { status, out, .. } = ask(&yaml, &["--from", "16.4", "--to", "17"]);
    assert_eq!(status, 0);
    assert!(
        out.contains("Warning: a request for this move is denied anyway (UnsupportedVersion): "),
        "{out}"
    );
}

#[test]
fn targets_are_listed_newest_first() {
    let text = ask(&catalog(), &["--from", "13.16"]);
    assert_eq!((text.status, text.out.as_str()), (0, "17.12\n17.11\n"));
    let json = ask(&catalog(), &["--from", "13.16", "--output", "json"]);
    assert_eq!(json.out, "{\"from\":\"13.16\",\"targets\":[\"17.12\",\"17.11\"]}\n");
    let last = ask(&catalog(), &["--from", "18.6"]);
    assert_eq!((last.status, last.out.as_str()), (0, ""));
}

#[rstest]
#[case("13.1", "error: there is no PostgresVersion \"13.1\"; did you mean 13.16?")]
#[case("broken", "error: PostgresVersion \"broken\" is ignored: \"seventeen\" is not a version")]
fn unknown_version_has_no_targets_but_an_error(#[case] from: &str, #[case] note: &str) {
    let answer = ask(&catalog(), &["--from", from]);
    assert_eq!((answer.status, answer.out.as_str()), (1, ""));
    assert!(answer.notes.contains(note), "{}", answer.notes);
}

#[test]
fn all_pairs_are_printed_in_the_order_of_the_file() {
    let yaml = entry("17.11", "17.11", &allow(">= 17.11, < 19"))
        + &entry("broken", "seventeen", "")
        + &entry("13.16", "13.16", &allow("> 13.16"));
    let answer = ask(&yaml, &[]);
    assert_eq!(answer.status, 0);
    assert_snapshot!(answer.out, @r#"
    {"from":"17.11","to":"17.11","allowed":true,"reason":"Allowed","message":"the database already runs 17.11: the server restarts only if the catalog now has another image for it"}
    {"from":"17.11","to":"broken","allowed":false,"reason":"UnknownTarget","message":"upgrade from version 17.11 to broken is not supported: PostgresVersion \"broken\" is ignored: \"seventeen\" is not a version: expected numbers such as \"16.10\"; correct its spec.version"}
    {"from":"17.11","to":"13.16","allowed":false,"reason":"Downgrade","message":"upgrade from version 17.11 to 13.16 is not supported: PostgreSQL cannot go back to an older major version (17 → 13); restore a backup taken on 13, or stay"}
    {"from":"broken","to":"17.11","allowed":false,"reason":"UnknownSource","message":"upgrade from version broken to 17.11 is not supported: the database's PostgresVersion \"broken\" is ignored: \"seventeen\" is not a version: expected numbers such as \"16.10\"; correct its spec.version"}
    {"from":"broken","to":"broken","allowed":false,"reason":"UnknownSource","message":"upgrade from version broken to broken is not supported: the database's PostgresVersion \"broken\" is ignored: \"seventeen\" is not a version: expected numbers such as \"16.10\"; correct its spec.version"}
    {"from":"broken","to":"13.16","allowed":false,"reason":"UnknownSource","message":"upgrade from version broken to 13.16 is not supported: the database's PostgresVersion \"broken\" is ignored: \"seventeen\" is not a version: expected numbers such as \"16.10\"; correct its spec.version"}
    {"from":"13.16","to":"17.11","allowed":true,"reason":"Allowed","message":"major upgrade 13.16 → 17.11 of the database; it skips 14, 15 and 16: read the release notes of each"}
    {"from":"13.16","to":"broken","allowed":false,"reason":"UnknownTarget","message":"upgrade from version 13.16 to broken is not supported: PostgresVersion \"broken\" is ignored: \"seventeen\" is not a version: expected numbers such as \"16.10\"; correct its spec.version"}
    {"from":"13.16","to":"13.16","allowed":false,"reason":"Constraints","message":"upgrade from version 13.16 to 13.16 is not supported: the constraints of 13.16 allow \"> 13.16\""}
    "#);
}

#[test]
fn each_kind_of_refusal_has_its_reason() {
    let yaml = catalog()
        + &entry("17.11-alpine", "17.11", "").replace("baseOS: debian", "baseOS: alpine")
        + &entry("17.11-percona", "17.11", "  distribution: Percona\n")
        + &entry("13.16-official", "13.16", "  distribution: Official\n");
    let reason = |from: &str, to: &str| {
        let answer = ask(&yaml, &["--from", from, "--to", to, "--output", "json"]);
        let decision: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
        assert_eq!(decision["allowed"], answer.status == 0);
        decision["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason("13.16", "17.11"), "Allowed");
    assert_eq!(reason("17.11", "13.16"), "Downgrade");
    assert_eq!(reason("13.16", "18.6"), "Constraints");
    assert_eq!(reason("13.16", "17.11-alpine"), "BaseOS");
    assert_eq!(reason("13.16-official", "17.11-percona"), "Distribution");
    assert_eq!(reason("13.16", "broken"), "UnknownTarget");
    assert_eq!(reason("broken", "13.16"), "UnknownSource");
}

#[test]
fn base_os_change_is_allowed_if_accepted() {
    let yaml = entry("17.11", "17.11", "") + &entry("17.12", "17.12", "").replace("debian", "ubi9");
    let refused = ask(&yaml, &["--from", "17.11", "--to", "17.12"]);
    assert_eq!(refused.status, 1);
    assert!(refused.out.contains("pgops.dev/allow-base-os-change: \"true\""), "{}", refused.out);
    let accepted = ask(&yaml, &["--from", "17.11", "--to", "17.12", "--allow-base-os-change"]);
    assert_eq!(accepted.status, 0);
    assert!(
        accepted.out.contains("Warning: the base system changes from debian to ubi9"),
        "{}",
        accepted.out
    );
    assert_eq!(ask(&yaml, &["--from", "17.11", "--allow-base-os-change"]).out, "17.12\n");
    assert_eq!(ask(&yaml, &["--allow-base-os-change"]).out.matches("\"allowed\":true").count(), 4);
}

#[test]
fn lists_are_read_and_other_kinds_skipped() {
    let item = "  - metadata: {name: '13.16', creationTimestamp: null}\n    spec:\n      version: '13.16'\n      \
                distribution: ''\n      db: {image: a, baseOS: null}\n      updateConstraints: {denylist: null}\n";
    let yaml = format!(
        "# comment\n---\n---\nnull\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\n---\n\
         apiVersion: v1\nkind: List\nitems:\n  - {}\n---\n\
         apiVersion: catalog.kubedb.com/v1alpha1\nkind: PostgresVersionList\nitems:\n{item}",
        entry("17.11", "17.11", "").trim_end_matches("---\n").replace('\n', "\n    ")
    );
    let answer = ask(&yaml, &["--from", "13.16"]);
    assert_eq!(
        (answer.out.as_str(), answer.notes.as_str()),
        ("17.11\n", "note: skipped ConfigMap settings (v1)\n")
    );
}

#[test]
fn unreadable_entries_are_noted() {
    let yaml = catalog() + &entry("16.4", "16.4", &allow("sixteen"));
    let notes = ask(&yaml, &["--from", "13.16"]).notes;
    assert_snapshot!(notes, @r#"
    note: PostgresVersion "broken": this PostgresVersion is ignored until spec.version is corrected: "seventeen" is not a version: expected numbers such as "16.10"
    note: PostgresVersion "16.4": databases of this PostgresVersion cannot be upgraded until spec.updateConstraints.allowlist is corrected: "sixteen" is not a version constraint, see "sixteen": expected comparisons such as ">= 13.4, < 18"
    "#);
}

#[test]
fn invalid_catalog_error_names_document_and_field() {
    assert_snapshot!(error("a: [1"), @"failed to read the YAML: unclosed bracket '[' at line 1, column 4");
    assert_snapshot!(error("replicas: 3\n"), @"the document at line 1: kind: expected a Kubernetes object");
    assert_snapshot!(error("kind: Pod\n"), @"the document at line 1: apiVersion: expected a Kubernetes object");
    assert_snapshot!(error("just text\n"), @"the document at line 1: kind: expected a Kubernetes object");
    assert_snapshot!(error("apiVersion: v1\nkind: List\nitems: 3\n"), @"the document at line 1: items: expected a list");
    assert_snapshot!(error("apiVersion: v1\nkind: ConfigMap\n"), @"it contains no PostgresVersion");
    assert_snapshot!(error(&(catalog() + &entry("a", "17.11", "").replace("spec:", "spec: {}\nx:"))), @r#"failed to read PostgresVersion "a" (the document at line 40): spec: missing field `version`"#);
    assert_snapshot!(error(&entry("a", "17.11", "").replace("\"17.11\"\n", "17.10\n")), @r#"PostgresVersion "a" (the document at line 1): spec.version: expected a string; put a number in quotes, or 17.10 becomes 17.1"#);
    assert_snapshot!(error(&entry("a", "17.11", "  distribution: Debian\n")), @r#"failed to read PostgresVersion "a" (the document at line 1): spec.distribution: unknown variant `Debian`, expected one of `Official`, `TimescaleDB`, `PostGIS`, `KubeDB`, `DocumentDB`, `PostgreSQL`, `Percona`"#);
    assert_snapshot!(error(&entry("a", "17.11", "").replace("name:", "generateName:")), @"the document at line 1: metadata.name: expected a string; put a number in quotes, or 17.10 becomes 17.1");
    assert_snapshot!(error(&(entry("a", "17.11", "") + &entry("b", "17.11", "") + &entry("a", "17.12", ""))), @r#"PostgresVersion "a" (the document at line 15): metadata.name: the file already has a PostgresVersion of this name; remove one of the two"#);
}

#[test]
fn target_requires_a_source() {
    let line = ["decide", "--catalog", "-", "--to", "17.11"];
    let error = Line::try_parse_from(line).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("--from"), "{error}");
}

#[test]
fn closed_pipe_is_not_an_error_but_a_full_disk_is() {
    struct Broken(ErrorKind);
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let documents = Documents::read(catalog().as_bytes()).unwrap();
    let line = ["decide", "--catalog", "-", "--from", "17.11", "--to", "13.16"];
    let args = Line::try_parse_from(line).unwrap().args;
    let write = |kind| answer(&args, &documents, Broken(kind), Vec::new());
    assert_eq!(write(ErrorKind::BrokenPipe).unwrap(), 1);
    assert_eq!(write(ErrorKind::StorageFull).unwrap_err().kind(), ErrorKind::StorageFull);
}

#[test]
fn long_comment_is_ignored() {
    let yaml = "# a licence of many lines\n".repeat(200) + &entry("17.11", "17.11", "");
    assert_eq!(Documents::read(yaml.as_bytes()).unwrap().versions.len(), 1);
}
