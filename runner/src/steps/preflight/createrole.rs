//! Roles with `CREATEROLE` lose rights on existing roles: which `GRANT`s give them these again, and who runs them.

use std::time::{Duration, Instant};

use pgops_api::names::ANNOTATION_CREATEROLE_GRANTS;
use pgops_api::plan::{CreateroleGrants, Step};

use crate::postgres::createrole::{is_carried, loses_rights, missing_grants, try_missing};
use crate::postgres::server::scratch::Scratch;
use crate::upgrade::{Finding, StepError, UpgradeContext, log_step};

/// How many bytes of statements a note has: as many as can be run.
const MAX_SHOWN: usize = 3 << 10;
/// How many further statements the log has.
const MAX_LOGGED: usize = 500;

/// The note about them, if there are any.
pub async fn note(upgrade: &UpgradeContext, ip: &str) -> Result<Option<Finding>, StepError> {
    if !loses_rights(upgrade.old_major, upgrade.new_major) {
        return Ok(None);
    }
    let statements = missing_grants(&upgrade.superuser.connect_server(ip).await?).await?;
    for statement in statements.iter().skip(shown(&statements)).take(MAX_LOGGED) {
        log_step(Step::Preflight, format!("[createrole] {statement}"));
    }
    Ok(text(&statements, upgrade.plan.createrole_grants).map(|text| Finding::note("createrole", text)))
}

/// Tries on the scratch server, which has the roles, the grants that are carried over; returns how long they take, and why they
/// fail. In the outage a failure would roll the upgrade back.
pub async fn rehearse(
    upgrade: &UpgradeContext,
    scratch: &Scratch,
) -> Result<(Duration, Option<Finding>), StepError> {
    if !is_carried(upgrade.plan.createrole_grants, upgrade.old_major, upgrade.new_major) {
        return Ok((Duration::ZERO, None));
    }
    let client = scratch.connect("postgres").await?;
    let began = Instant::now();
    let rejected = try_missing(&client).await?;
    Ok((began.elapsed(), rejected.map(|error| not_granted(&error.to_string()))))
}

fn not_granted(error: &str) -> Finding {
    let text = format!(
        "the target rejects the GRANTs that {ANNOTATION_CREATEROLE_GRANTS}: carry runs: {error}; fix the cause, or remove the \
         annotation and run those that are needed after the upgrade"
    );
    Finding::new("createrole-rejected", text)
}

/// How many of the statements a note has: the first one in any case.
fn shown(statements: &[String]) -> usize {
    let mut bytes = 0;
    let fits = statements.iter().take_while(|statement| {
        bytes += statement.len() + "; ".len();
        bytes <= MAX_SHOWN
    });
    fits.count().max(1).min(statements.len())
}

fn text(statements: &[String], carried: CreateroleGrants) -> Option<String> {
    let (first, more) = statements.split_at(shown(statements));
    let listed: Vec<_> = first.iter().map(|statement| format!("{statement};")).collect();
    let listed = match more.len() {
        _ if first.is_empty() => return None,
        0 => listed.join(" "),
        more if more <= MAX_LOGGED => {
            format!("{} and {more} more of this form, which are in the Job's log", listed.join(" "))
        }
        more => format!(
            "{} and {more} more of this form, of which the Job's log has the first {MAX_LOGGED}",
            listed.join(" ")
        ),
    };
    let remedy = match carried {
        CreateroleGrants::Report => format!(
            "for the existing roles that it is to manage, run these as a superuser after the upgrade, or have all of them run by \
             {ANNOTATION_CREATEROLE_GRANTS}: carry on the request"
        ),
        CreateroleGrants::Carry => {
            format!("these are run before clients can connect, since {ANNOTATION_CREATEROLE_GRANTS} is carry")
        }
    };
    Some(format!(
        "since 16 a role with CREATEROLE may change, drop or grant another role only if it has the ADMIN OPTION on it, which it \
         has on the roles that it creates from then on, and may give only attributes that it has itself; {remedy} \
         (https://www.postgresql.org/docs/16/release-16.html): {listed}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("GRANT r{number} TO admin WITH ADMIN OPTION")).collect()
    }

    /// A statement that names 50 roles.
    fn long(count: usize) -> Vec<String> {
        vec![format!("GRANT {} TO admin WITH ADMIN OPTION", ["role"; 50].join(", ")); count]
    }

    #[test]
    fn createrole_note_has_statements_that_can_be_run() {
        assert_eq!(text(&[], CreateroleGrants::Report), None);
        let report = text(&statements(2), CreateroleGrants::Report).unwrap();
        assert!(
            report.ends_with(": GRANT r0 TO admin WITH ADMIN OPTION; GRANT r1 TO admin WITH ADMIN OPTION;")
        );
        assert!(
            report.contains("run these as a superuser") && report.contains("createrole-grants: carry"),
            "{report}"
        );
        let carried = text(&statements(2), CreateroleGrants::Carry).unwrap();
        assert!(carried.contains("these are run before clients can connect"), "{carried}");
    }

    #[test]
    fn createrole_note_is_bounded() {
        let many = text(&long(60), CreateroleGrants::Report).unwrap();
        assert_eq!(many.matches("GRANT role").count(), 9, "{many}");
        assert!(many.len() < 4 << 10 && many.contains("ADMIN OPTION; and 51 more of this form"), "{many}");
        assert!(many.ends_with("which are in the Job's log"), "{many}");
        let more = text(&long(600), CreateroleGrants::Report).unwrap();
        assert!(
            more.ends_with("and 591 more of this form, of which the Job's log has the first 500"),
            "{more}"
        );
    }

    #[test]
    fn createrole_note_has_the_first_statement_however_long() {
        let longest = format!("GRANT {} TO admin WITH ADMIN OPTION", "r".repeat(MAX_SHOWN));
        assert_eq!(shown(&[longest.clone(), longest]), 1);
        assert_eq!(shown(&[]), 0);
    }

    #[test]
    fn rejected_createrole_grants_block_the_upgrade() {
        let finding = not_granted("ERROR: role \"a\" is a member of role \"b\" (SQLSTATE 0LP01)");
        assert!(finding.blocks() && finding.text.contains("SQLSTATE 0LP01"), "{finding}");
    }

    #[test]
    fn createrole_note_is_documented_in_the_findings_page() {
        let page = include_str!("../../../../docs/reference/findings.md");
        assert!(page.contains("`createrole`") && page.contains("`createrole-rejected`"));
    }
}
