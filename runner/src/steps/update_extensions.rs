//! `UpdateExtensions`: updates the SQL objects of extensions to the version that the new image has, and has those that need
//! more complete their update by their own function.

use pgops_api::display_chain;
use pgops_api::plan::Step;

use crate::postgres::client::catalog::databases;
use crate::postgres::client::extension_rights::ExtensionRights;
use crate::postgres::client::extensions::{Outcome, installed, outdated, update};
use crate::postgres::client::update_function::{self, RunResult};
use crate::postgres::extension::known::FollowUp;
use crate::upgrade::{MAX_POD_WAIT, StepError, UpgradeContext, log_step};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    let ip = upgrade.wait_serving_pod(&upgrade.plan.to, MAX_POD_WAIT).await?;
    let mut left = Vec::new();
    for database in databases(&upgrade.superuser.connect_server(&ip).await?).await? {
        match process(upgrade, &ip, &database, &mut left).await {
            // What one database contains must not keep the others from what they need.
            Err(StepError::Server(error)) if error.is_permanent() => left.push(format!(
                "database \"{database}\": not all of its extensions were examined and updated: {}; fix the cause, then run \
                 ALTER EXTENSION … UPDATE there",
                display_chain(&error)
            )),
            result => result?,
        }
    }
    if left.is_empty() { Ok(()) } else { Err(StepError::LeftUndone(left)) }
}

/// Updates the extensions of one database, and adds what is left to an operator to `left`.
async fn process(
    upgrade: &UpgradeContext,
    ip: &str,
    database: &str,
    left: &mut Vec<String>,
) -> Result<(), StepError> {
    let client = upgrade.superuser.connect(ip, database).await?;
    let mut not_updated = Vec::new();
    for extension in outdated(&client, upgrade.new_major).await? {
        let name = extension.name.clone();
        let updated =
            format!("extension {name} of {database}: {} to {}", extension.installed, extension.default);
        let known = upgrade.extensions.get(&name);
        let rights = ExtensionRights::read(&client, &name).await?;
        match update(&upgrade.superuser, ip, upgrade.new_major, database, extension, &rights, known).await? {
            Outcome::Updated(not_restored) => {
                log_step(Step::UpdateExtensions, updated);
                left.extend(
                    not_restored
                        .into_iter()
                        .map(|why| format!("extension \"{name}\" of database \"{database}\": {why}")),
                );
            }
            Outcome::NotUpdated(why) => {
                not_updated.push(name);
                left.push(why.to_string());
            }
        }
    }
    for name in installed(&client).await? {
        left.extend(follow_up(upgrade, ip, database, &name, &not_updated).await?);
    }
    Ok(())
}

/// Does what an extension needs after its update; returns what is left to an operator. `not_updated` has the extensions of
/// the database that were left to one.
async fn follow_up(
    upgrade: &UpgradeContext,
    ip: &str,
    database: &str,
    name: &str,
    not_updated: &[String],
) -> Result<Option<String>, StepError> {
    let Some(known) = upgrade.extensions.get(name) else { return Ok(None) };
    let function = match &known.follow_up {
        FollowUp::Nothing | FollowUp::Recommended(_) => return Ok(None),
        FollowUp::Operator(statement) => {
            return Ok(Some(format!(
                "extension \"{name}\" of database \"{database}\": run {statement} there; it does not work before"
            )));
        }
        FollowUp::Run(function) => function,
    };
    let failed = |why: &str| {
        Some(format!(
            "extension \"{name}\" of database \"{database}\": its function {function} was not run: {why}; fix the cause, then \
             run it there"
        ))
    };
    // A function may update others of its family too, as `postgis_extensions_upgrade()` does with `postgis_topology`.
    if !not_updated.is_empty() {
        return Ok(failed(&format!("{} of this database is not updated yet", not_updated.join(", "))));
    }
    let (superuser, major) = (&upgrade.superuser, upgrade.new_major);
    match update_function::run(superuser, ip, major, database, name, function).await? {
        RunResult::Succeeded => {
            log_step(Step::UpdateExtensions, format!("extension {name} of {database}: {function}() has run"));
            Ok(None)
        }
        RunResult::Refused(why) => Ok(failed(&why)),
    }
}
