use super::*;

fn call() -> UntrustedCall {
    UntrustedCall {
        database: "shop".into(),
        function: "s.key(integer)".into(),
        owner: Some("tenant".into()),
        objects: vec!["table s.t".into()],
    }
}

fn code(in_partition_key: bool) -> CodeInDefinitions {
    CodeInDefinitions {
        database: "shop".into(),
        function: "s.key(integer)".into(),
        owner: "tenant".into(),
        uses: 1,
        objects: vec!["table s.t".into()],
        in_partition_key,
    }
}

fn escalation(old_major: u32) -> Escalation {
    Escalation {
        baseline: Baseline::new(ServerPrivileges::default(), Pristine::default(), old_major),
        digest: Digest::since(old_major),
        old_major,
        new_major: 17,
        stored: Vec::new(),
        calls: Vec::new(),
        definitions: Vec::new(),
        domain_checks: Vec::new(),
        unreadable: Vec::new(),
        escalations: Vec::new(),
    }
}

fn texts(escalation: Escalation) -> Vec<String> {
    escalation.finish().findings.iter().map(ToString::to_string).collect()
}

#[test]
fn restore_without_code_and_new_rights_has_no_finding() {
    assert_eq!(texts(escalation(13)), [""; 0]);
}

#[test]
fn code_that_a_restore_runs_blocks_and_is_named_with_the_remedy() {
    let found = texts(Escalation { calls: vec![call()], ..escalation(13) });
    assert!(found[0].starts_with("[restore-code] "), "{found:?}");
    for part in ["OWNER TO", "s.key(integer) of \"tenant\" in \"shop\" (used by table s.t)"] {
        assert!(found[0].contains(part), "{part} in {found:?}");
    }
}

#[test]
fn code_that_a_restore_would_run_blocks_and_its_database_is_not_rehearsed() {
    let found = texts(Escalation { stored: vec![call()], ..escalation(13) });
    assert!(found[0].starts_with("[restore-code] ") && found[0].contains("not rehearsed"), "{found:?}");
    let code = StoredCode { calls: vec![call()], ..StoredCode::default() };
    let rights =
        |stored| SourceRights { privileges: DatabasePrivileges::default(), definitions: Vec::new(), stored };
    assert!(rights(code).run_code(13) && !rights(StoredCode::default()).run_code(13));
}

#[test]
fn statistics_are_not_carried_to_18_if_that_would_run_code_of_users() {
    let with = |new_major| {
        let domain_checks = vec!["constraint email_check in \"shop\"".to_owned()];
        Escalation { new_major, domain_checks, ..escalation(15) }.finish()
    };
    let rights = with(18);
    assert!(rights.without_statistics && !rights.findings[0].blocks(), "{:?}", rights.findings);
    assert!(rights.findings[0].text.ends_with("constraint email_check in \"shop\""));
    assert!(!with(17).without_statistics && with(17).findings.is_empty());
    assert!(!escalation(15).finish().without_statistics);
}

#[test]
fn statistics_are_not_carried_to_18_if_their_restore_may_fail() {
    let with = |new_major| {
        let unreadable = vec!["constraint code_check in \"shop\"".to_owned()];
        Escalation { new_major, unreadable, ..escalation(17) }.finish()
    };
    let rights = with(18);
    assert!(rights.without_statistics && !rights.findings[0].blocks(), "{:?}", rights.findings);
    assert!(rights.findings[0].text.ends_with("constraint code_check in \"shop\""));
    assert!(!with(17).without_statistics && with(17).findings.is_empty());
}

#[test]
fn rights_that_a_restore_adds_block_and_are_named_with_the_database() {
    let difference = Difference {
        object: "role \"tenant\"".into(),
        database: None,
        before: "no SUPERUSER".into(),
        after: "SUPERUSER".into(),
    };
    let escalations = vec![Unexplained { difference, restored: "shop".into() }];
    let found = texts(Escalation { escalations, ..escalation(13) });
    assert!(found[0].starts_with("[privilege-escalation] "), "{found:?}");
    let part = "role \"tenant\": SUPERUSER (before: no SUPERUSER), after the restore of \"shop\"";
    assert!(found[0].contains(part), "{found:?}");
}

#[test]
fn code_in_definitions_is_a_note_unless_the_dump_runs_it() {
    let found = texts(Escalation { definitions: vec![code(true)], ..escalation(13) });
    assert!(found[0].starts_with("[code-in-definitions] note: "), "{found:?}");
    let found = texts(Escalation { definitions: vec![code(true), code(false)], ..escalation(12) });
    assert!(found[0].starts_with("[restore-code] "), "{found:?}");
    assert!(found[1].starts_with("[code-in-definitions] note: "), "{found:?}");
}

#[test]
fn findings_about_rights_are_documented() {
    let page = include_str!("../../../../../docs/reference/findings.md");
    let ids = [
        "restore-code",
        "privilege-escalation",
        "code-in-definitions",
        "statistics-not-carried",
        "rights-not-compared",
    ];
    for id in ids {
        assert!(page.contains(&format!("`{id}`")), "docs/reference/findings.md lacks {id}");
    }
}
