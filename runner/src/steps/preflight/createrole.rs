//! Roles with `CREATEROLE` lose rights on existing roles: which `GRANT`s give them these again, and who runs them.

use pgops_api::names::ANNOTATION_CREATEROLE_GRANTS;
use pgops_api::plan::{CreateroleGrants, Step};

use crate::postgres::createrole::{loses_rights, missing_grants};
use crate::upgrade::{Finding, StepError, UpgradeContext, log_step};

/// How many statements a note has.
const MAX_STATEMENTS: usize = 50;

/// The note about them, if there are any.
pub async fn note(upgrade: &UpgradeContext, ip: &str) -> Result<Option<Finding>, StepError> {
    if !loses_rights(upgrade.old_major, upgrade.new_major) {
        return Ok(None);
    }
    let statements = missing_grants(&upgrade.superuser.connect_server(ip).await?).await?;
    for statement in statements.iter().skip(MAX_STATEMENTS) {
        log_step(Step::Preflight, format!("[createrole] {statement}"));
    }
    Ok(text(&statements, upgrade.plan.createrole_grants).map(|text| Finding::note("createrole", text)))
}

fn text(statements: &[String], carried: CreateroleGrants) -> Option<String> {
    let (first, more) = statements.split_at(statements.len().min(MAX_STATEMENTS));
    let listed: Vec<_> = first.iter().map(|statement| format!("{statement};")).collect();
    let listed = match more.len() {
        _ if first.is_empty() => return None,
        0 => listed.join(" "),
        more => format!("{} and {more} more of this form, which are in the Job's log", listed.join(" ")),
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
        let many = text(&statements(60), CreateroleGrants::Report).unwrap();
        assert!(many.contains("GRANT r49 ") && !many.contains("GRANT r50 "), "{many}");
        assert!(many.ends_with("and 10 more of this form, which are in the Job's log"), "{many}");
    }

    #[test]
    fn createrole_note_is_documented_in_the_findings_page() {
        assert!(include_str!("../../../../docs/reference/findings.md").contains("`createrole`"));
    }
}
