use super::*;
use crate::postgres::privileges::facts::{Fact, Facts};
use crate::postgres::privileges::snapshot::Role;

const OLD: u32 = 13;

fn object(kind: ObjectKind, name: &str, owner: &str) -> Object {
    Object {
        kind,
        name: name.into(),
        built_in: false,
        owner: Some(owner.into()),
        grants: Vec::new(),
        definition: None,
    }
}

fn built_in(kind: ObjectKind, name: &str) -> Object {
    Object { built_in: true, ..object(kind, name, "postgres") }
}

fn grant(grantee: &str, privilege: &str) -> Grant {
    Grant(Some(grantee.into()), privilege.into(), false)
}

fn public(privilege: &str) -> Grant {
    Grant(None, privilege.into(), false)
}

fn with_grants(object: Object, grants: &[Grant]) -> Object {
    Object { grants: grants.to_vec(), ..object }
}

fn with_definition(object: Object, definition: &str) -> Object {
    Object { definition: Some(definition.into()), ..object }
}

fn database(objects: Vec<Object>) -> DatabasePrivileges {
    DatabasePrivileges { objects, ..DatabasePrivileges::default() }
}

/// What a restore has added to the rights in database `shop`, as text.
fn compare(before: Vec<Object>, after: Vec<Object>, pristine: Vec<Object>) -> Vec<String> {
    let postgres = Role { name: "postgres".into(), superuser: true, ..Role::default() };
    let server = ServerPrivileges { roles: vec![postgres], ..ServerPrivileges::default() };
    let pristine = Pristine { server: server.clone(), database: database(pristine) };
    let mut baseline = Baseline::new(server.clone(), pristine, OLD);
    baseline.add_database("shop", database(before));
    let databases = [("shop".to_owned(), database(after))].into();
    baseline.compare(&Privileges { server, databases }).iter().map(ToString::to_string).collect()
}

#[test]
fn privileges_that_did_not_change_have_no_difference() {
    let objects = || {
        vec![
            with_grants(object(ObjectKind::Schema, "s", "tenant"), &[grant("app", "USAGE")]),
            with_definition(object(ObjectKind::EventTrigger, "audit", "postgres"), "on ddl_command_end"),
        ]
    };
    assert_eq!(compare(objects(), objects(), vec![]), [""; 0]);
    // Rights that are lost are not reported.
    assert_eq!(compare(objects(), vec![], vec![]), [""; 0]);
}

#[test]
fn owner_that_changes_is_an_escalation() {
    let after = vec![object(ObjectKind::Schema, "s", "tenant")];
    let found = compare(vec![object(ObjectKind::Schema, "s", "app")], after, vec![]);
    assert_eq!(found, ["schema s in \"shop\": owner \"tenant\" (before: owner \"app\")"]);
}

#[test]
fn extension_that_the_restoring_superuser_owns_is_explained() {
    let extension = |owner| vec![object(ObjectKind::Extension, "citext", owner)];
    assert_eq!(compare(extension("tenant"), extension("postgres"), vec![]), [""; 0]);
    assert_eq!(compare(extension("postgres"), extension("tenant"), vec![]).len(), 1);
}

#[test]
fn object_that_appears_is_an_escalation() {
    let planted =
        with_definition(object(ObjectKind::Function, "s.planted()", "postgres"), "security definer t");
    let found = compare(vec![], vec![planted], vec![]);
    assert_eq!(found, ["function s.planted() in \"shop\": exists (before: does not exist)"]);
}

#[test]
fn definition_that_changes_is_an_escalation_without_its_digest() {
    let digest = |digit: &str| format!("language sql, body {}", digit.repeat(64));
    let one =
        |digit| vec![with_definition(object(ObjectKind::Function, "s.f()", "postgres"), &digest(digit))];
    assert_eq!(compare(one("a"), one("a"), vec![]), [""; 0]);
    let found = compare(one("a"), one("b"), vec![]);
    assert_eq!(
        found,
        ["function s.f() in \"shop\": language sql, body (digest) (before: another definition)"]
    );
}

#[test]
fn grant_on_a_system_object_is_an_escalation() {
    let name = "pg_catalog.pg_read_file(filename text)";
    let function = || built_in(ObjectKind::Function, name);
    let after = vec![with_grants(function(), &[grant("postgres", "EXECUTE"), grant("tenant", "EXECUTE")])];
    let found = compare(vec![], after, vec![function()]);
    assert_eq!(found, [format!("function {name} in \"shop\": EXECUTE for \"tenant\" (before: not granted)")]);
}

#[test]
fn grant_on_a_system_object_that_a_user_has_made_is_explained() {
    let relation = || built_in(ObjectKind::Relation, "pg_catalog.pg_authid");
    let granted = || vec![with_grants(relation(), &[grant("backup", "SELECT")])];
    assert_eq!(compare(granted(), granted(), vec![relation()]), [""; 0]);
}

#[test]
fn grants_of_the_new_versions_initdb_are_explained() {
    let function = built_in(ObjectKind::Function, "pg_catalog.pg_ls_summariesdir()");
    let function = with_grants(function, &[grant("pg_monitor", "EXECUTE")]);
    assert_eq!(compare(vec![], vec![function.clone()], vec![function]), [""; 0]);
}

#[test]
fn schema_public_may_be_as_either_version_has_it() {
    let schema = |owner: &str, grants: &[Grant]| {
        let schema = Object { built_in: true, ..object(ObjectKind::Schema, "public", owner) };
        vec![with_grants(schema, grants)]
    };
    let old = || schema("postgres", &[public("USAGE"), public("CREATE")]);
    let new = || schema("pg_database_owner", &[public("USAGE")]);
    assert_eq!(compare(old(), old(), new()), [""; 0]);
    assert_eq!(compare(old(), new(), new()), [""; 0]);
    let found = compare(old(), schema("tenant", &[]), new());
    assert_eq!(found, ["schema public in \"shop\": owner \"tenant\" (before: owner \"postgres\")"]);
}

#[test]
fn system_object_with_its_default_rights_is_known_although_it_is_not_read() {
    let function = || built_in(ObjectKind::Function, "pg_catalog.lower(text)");
    let after = vec![with_grants(function(), &[public("EXECUTE"), grant("app", "EXECUTE")])];
    let before = vec![with_grants(function(), &[public("EXECUTE"), grant("app", "EXECUTE")])];
    assert_eq!(compare(before, after.clone(), vec![]), [""; 0]);
    assert_eq!(compare(vec![], after, vec![]).len(), 1, "only the grant to app is new");
    let found = compare(vec![], vec![Object { owner: Some("tenant".into()), ..function() }], vec![]);
    assert!(found[0].ends_with("owner \"tenant\" (before: owner \"a superuser\")"), "{found:?}");
}

#[test]
fn system_function_that_is_replaced_is_an_escalation() {
    let replaced =
        with_definition(built_in(ObjectKind::Function, "pg_catalog.lower(text)"), "language plpgsql");
    assert_eq!(compare(vec![], vec![replaced], vec![]).len(), 1);
    let all = |digest: &str| {
        let all = Object { owner: None, ..built_in(ObjectKind::BuiltInFunctions, "of the server") };
        vec![with_definition(all, digest)]
    };
    // Those of the old version are others.
    assert_eq!(compare(all("a"), all("b"), all("b")), [""; 0]);
    assert_eq!(compare(all("a"), all("c"), all("b")).len(), 1);
    assert_eq!(compare(all("a"), all("a"), all("b")).len(), 1);
}

#[test]
fn default_privileges_that_appear_are_an_escalation() {
    let name = "role postgres, schema (any), objects f";
    let after =
        vec![with_grants(object(ObjectKind::DefaultPrivileges, name, "postgres"), &[public("EXECUTE")])];
    let found = compare(vec![], after, vec![]);
    assert_eq!(
        found,
        [format!("default privileges of {name} in \"shop\": EXECUTE for PUBLIC (before: not granted)")]
    );
}

#[test]
fn baseline_keeps_only_what_a_new_cluster_does_not_have() {
    let system = || with_grants(built_in(ObjectKind::Relation, "pg_catalog.pg_class"), &[public("SELECT")]);
    let before = vec![system(), object(ObjectKind::Schema, "s", "tenant")];
    let pristine = Pristine { database: database(vec![system()]), ..Pristine::default() };
    let mut baseline = Baseline::new(ServerPrivileges::default(), pristine, OLD);
    baseline.add_database("shop", database(before));
    assert_eq!(baseline.before.databases["shop"].objects, [object(ObjectKind::Schema, "s", "tenant")]);
}

#[test]
fn rights_on_objects_of_users_are_compared_with_those_before() {
    let with = |text: &str| {
        let gives = vec![Fact { text: text.into(), privilege: None }];
        let facts = Facts { gives, ..Facts::default() };
        DatabasePrivileges { facts, ..DatabasePrivileges::default() }
    };
    let mut baseline = Baseline::new(ServerPrivileges::default(), Pristine::default(), OLD);
    baseline.add_database("shop", with("rule: s, t, r"));
    assert_eq!(baseline.without_facts().count(), 0);
    assert_eq!(baseline.compare_database("shop", &with("rule: s, t, r")), []);
    let found = baseline.compare_database("shop", &with("rule: s, t, other"));
    assert_eq!(found[0].object, "rule: s, t, other");
}
