//! Compares roles, their memberships and their settings.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::Difference;
use super::snapshot::{Membership, Role, StoredSetting};

/// An attribute that is a right.
type Attribute = (&'static str, fn(&Role) -> bool);

/// An option of a membership that is a right.
type MembershipOption = (&'static str, fn(&Membership) -> bool);

const OPTIONS: [MembershipOption; 3] =
    [("ADMIN", |it| it.admin), ("INHERIT", |it| it.inherit), ("SET", |it| it.set)];

const ATTRIBUTES: [Attribute; 7] = [
    ("SUPERUSER", |role| role.superuser),
    ("CREATEROLE", |role| role.createrole),
    ("CREATEDB", |role| role.createdb),
    ("REPLICATION", |role| role.replication),
    ("BYPASSRLS", |role| role.bypassrls),
    ("LOGIN", |role| role.login),
    ("INHERIT", |role| role.inherit),
];

fn difference(object: String, before: impl Into<String>, after: impl Into<String>) -> Difference {
    Difference { object, database: None, before: before.into(), after: after.into() }
}

/// Roles that did not exist, and attributes that they did not have.
pub fn compare_roles(before: &[Role], after: &[Role], pristine: &[Role]) -> Vec<Difference> {
    let mut found = Vec::new();
    for role in after {
        let object = || format!("role \"{}\"", role.name);
        let known: Vec<_> = before.iter().chain(pristine).filter(|known| known.name == role.name).collect();
        if known.is_empty() {
            found.push(difference(object(), "does not exist", "exists"));
            continue;
        }
        for (name, has) in ATTRIBUTES {
            if has(role) && !known.iter().any(|known| has(known)) {
                found.push(difference(object(), format!("no {name}"), name));
            }
        }
        // The rehearsal restores roles without passwords.
        if role.password.is_some() && !known.iter().any(|known| known.password == role.password) {
            found.push(difference(object(), "another password, or none", "a password"));
        }
        if known.iter().all(|known| end(role) > end(known)) {
            found.push(difference(object(), "VALID UNTIL an earlier time", "a later time"));
        }
    }
    found
}

/// When the password of a role ends, in seconds since 1970.
fn end(role: &Role) -> f64 {
    role.valid_until.as_ref().and_then(|time| time.parse().ok()).unwrap_or(f64::INFINITY)
}

/// Memberships that did not exist, and options that they did not have. The grantor may differ: before 16 it was not always
/// kept.
pub fn compare_memberships(
    before: &[Membership],
    after: &[Membership],
    pristine: &[Membership],
) -> Vec<Difference> {
    let mut known: BTreeMap<(&str, &str), Vec<&Membership>> = BTreeMap::new();
    for membership in before.iter().chain(pristine) {
        known.entry((membership.role.as_str(), membership.member.as_str())).or_default().push(membership);
    }
    let mut found = Vec::new();
    for membership in after {
        let object = || format!("membership of \"{}\" in role \"{}\"", membership.member, membership.role);
        let Some(known) = known.get(&(membership.role.as_str(), membership.member.as_str())) else {
            found.push(difference(object(), "does not exist", "exists"));
            continue;
        };
        for (name, has) in OPTIONS {
            if has(membership) && !known.iter().any(|known| has(known)) {
                found.push(difference(object(), format!("without {name} OPTION"), format!("{name} OPTION")));
            }
        }
    }
    found
}

/// Settings that were not stored, or have another value. The values are not shown: they may be secrets.
pub fn compare_settings(before: &[StoredSetting], after: &[StoredSetting]) -> Vec<Difference> {
    let known: BTreeSet<_> = before.iter().collect();
    let unknown = after.iter().filter(|setting| !known.contains(setting));
    let describe = |setting: &StoredSetting| {
        let database = setting.database.as_ref().map(|name| format!(" in database \"{name}\""));
        let role =
            setting.role.as_ref().map_or_else(|| "all roles".to_owned(), |name| format!("role \"{name}\""));
        format!("setting {} of {role}{}", setting.name, database.unwrap_or_default())
    };
    unknown.map(|setting| difference(describe(setting), "another value, or none", "stored")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> Role {
        Role { name: name.into(), ..Role::default() }
    }

    fn texts(found: &[Difference]) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn role_with_a_new_attribute_is_an_escalation() {
        let after = [Role { superuser: true, login: true, ..role("tenant") }];
        let before = [Role { login: true, ..role("tenant") }];
        let found = texts(&compare_roles(&before, &after, &[]));
        assert_eq!(found, ["role \"tenant\": SUPERUSER (before: no SUPERUSER)"]);
    }

    #[test]
    fn role_with_fewer_attributes_has_no_difference() {
        let before = [Role { createdb: true, password: Some("a".into()), ..role("tenant") }];
        assert_eq!(compare_roles(&before, &[role("tenant")], &[]), []);
    }

    #[test]
    fn predefined_roles_of_the_new_version_are_explained() {
        let pristine = [role("pg_maintain"), Role { superuser: true, ..role("postgres") }];
        assert_eq!(compare_roles(&[], &pristine, &pristine), []);
        let found = texts(&compare_roles(&[], &[role("mallory")], &pristine));
        assert_eq!(found, ["role \"mallory\": exists (before: does not exist)"]);
    }

    #[test]
    fn password_that_changes_or_lasts_longer_is_an_escalation() {
        let with = |password: &str, until: Option<&str>| Role {
            password: Some(password.into()),
            valid_until: until.map(Into::into),
            ..role("app")
        };
        let count = |before: &Role, after: &Role| {
            compare_roles(std::slice::from_ref(before), std::slice::from_ref(after), &[]).len()
        };
        let limited = with("a", Some("1764000000.000000"));
        assert_eq!(count(&limited, &limited), 0);
        assert_eq!(count(&limited, &with("b", Some("1764000000.000000"))), 1);
        assert_eq!(count(&limited, &with("a", Some("Infinity"))), 1);
        assert_eq!(count(&limited, &with("a", None)), 1);
        assert_eq!(count(&with("a", None), &limited), 0);
    }

    fn membership(role: &str, admin: bool, inherit: bool) -> Membership {
        let (member, grantor) = ("app".into(), "postgres".into());
        Membership { role: role.into(), member, grantor, admin, inherit, set: true }
    }

    #[test]
    fn membership_that_is_new_or_has_a_new_option_is_an_escalation() {
        let before = [membership("staff", false, false)];
        assert_eq!(compare_memberships(&before, &before, &[]), []);
        let after = [membership("staff", true, false), membership("pg_execute_server_program", false, true)];
        let found = texts(&compare_memberships(&before, &after, &[]));
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("ADMIN OPTION (before: without ADMIN OPTION)"), "{found:?}");
        assert!(found[1].contains("role \"pg_execute_server_program\": exists"), "{found:?}");
    }

    #[test]
    fn membership_of_another_grantor_is_the_same() {
        let before = [membership("staff", false, true)];
        let after = [Membership { grantor: "other".into(), ..membership("staff", false, true) }];
        assert_eq!(compare_memberships(&before, &after, &[]), []);
    }

    #[test]
    fn setting_that_was_not_stored_is_an_escalation_and_its_value_is_not_shown() {
        let setting = |name: &str, value: &str| StoredSetting {
            database: None,
            role: Some("postgres".into()),
            name: name.into(),
            value: value.into(),
        };
        let before = [setting("work_mem", "1")];
        assert_eq!(compare_settings(&before, &before), []);
        let after = [setting("work_mem", "1"), setting("session_preload_libraries", "digest")];
        let found = texts(&compare_settings(&before, &after)).concat();
        assert!(found.contains("setting session_preload_libraries of role \"postgres\""), "{found}");
        assert!(!found.contains("digest"), "{found}");
        assert_eq!(compare_settings(&before, &[setting("work_mem", "2")]).len(), 1);
    }
}
