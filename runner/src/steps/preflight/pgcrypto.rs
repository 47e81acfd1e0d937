//! Algorithms of `pgcrypto` that the target image refuses: the extension itself is the same, and nothing fails until a row is read.

use pgops_api::plan::Step;
use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::client::inventory::Inventory;
use crate::postgres::references::pgcrypto::{
    Algorithm, EXTENSION, Functions, Purpose, callers, lost_algorithms,
};
use crate::upgrade::{Finding, UpgradeContext, shortened, warn_step};

/// The note, if a database has the extension; `scratch` is connected to a server of the target, in which no code of users runs.
pub async fn note(
    upgrade: &UpgradeContext,
    ip: &str,
    inventory: &Inventory,
    scratch: &Client,
) -> Option<Finding> {
    // It cannot fail the preflight.
    find(upgrade, ip, inventory, scratch).await.unwrap_or_else(|error| {
        warn_step(Step::Preflight, &error);
        None
    })
}

async fn find(
    upgrade: &UpgradeContext,
    ip: &str,
    inventory: &Inventory,
    scratch: &Client,
) -> Result<Option<Finding>, ServerError> {
    let installed = inventory.extensions.iter().filter(|extension| extension.name == EXTENSION);
    let databases: Vec<_> = installed.map(|extension| extension.database.clone()).collect();
    let Some(first) = databases.first() else { return Ok(None) };
    let serving = upgrade.superuser.connect(ip, first).await?;
    let (Some(before), Some(now)) =
        (Functions::of_extension(&serving).await?, Functions::of_library(scratch).await?)
    else {
        return Ok(None);
    };
    let lost = lost_algorithms((&serving, &before), (scratch, &now)).await?;
    if lost.is_empty() {
        return Ok(None);
    }
    let mut users = Vec::new();
    for database in &databases {
        let client = upgrade.superuser.connect(ip, database).await?;
        let named = callers(&client, &lost).await?.into_iter();
        users.extend(named.map(|function| format!("{function} in \"{database}\"")));
    }
    Ok(Some(finding(&lost, &databases, &users)))
}

fn finding(lost: &[Algorithm], databases: &[String], users: &[String]) -> Finding {
    let of = |purpose| {
        let of_purpose = lost.iter().filter(|algorithm| algorithm.purpose == purpose);
        of_purpose.map(|algorithm| algorithm.name).collect::<Vec<_>>().join(", ")
    };
    let (ciphers, digests) = (of(Purpose::Encryption), of(Purpose::Digest));
    let mut calls = Vec::new();
    if !ciphers.is_empty() {
        calls.push(format!("encrypt and decrypt with {ciphers}"));
    }
    if !digests.is_empty() {
        calls.push(format!("digest and hmac with {digests}"));
    }
    let databases: Vec<_> = databases.iter().map(|database| format!("\"{database}\"")).collect();
    let users = if users.is_empty() {
        String::new()
    } else {
        format!("; functions that name them: {}", shortened(users))
    };
    Finding::note(
        "pgcrypto-algorithm",
        format!(
            "the OpenSSL of the target image refuses algorithms of pgcrypto that the serving one performs: {}. What was encrypted with \
             them cannot be read afterwards, nor messages of pgp_sym_encrypt with such a cipher: encrypt it again with aes before the \
             upgrade, or use an image that activates OpenSSL's legacy provider. Databases with the extension: {}{users}",
            calls.join("; "),
            shortened(&databases)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_algorithms_are_noted_with_databases_and_functions_and_documented() {
        let lost =
            [Algorithm::example("bf", Purpose::Encryption), Algorithm::example("md4", Purpose::Digest)];
        let names = |name: &str| vec![name.to_owned()];
        let found = finding(&lost, &names("shop"), &names("public.secret(bytea) in \"shop\""));
        assert!(!found.blocks());
        for part in
            ["encrypt and decrypt with bf; digest and hmac with md4", "extension: \"shop\"; functions", "aes"]
        {
            assert!(found.text.contains(part), "{part} in {found}");
        }
        assert!(!finding(&lost[..1], &names("shop"), &[]).text.contains("digest"));
        let page = include_str!("../../../../docs/reference/findings.md");
        assert!(page.contains(&format!("`{}`", found.id)));
    }
}
