//! Parameters of the build on which the files of data depend, such as the size of a block: a server with others does not start on
//! them, and `pg_upgrade` refuses them, both only once the database is stopped.

use pgops_api::plan::UpgradeKind;
use tokio_postgres::Client;

use crate::postgres::client::build_parameters::{Catalogs, build_parameters};
use crate::postgres::client::error::ServerError;
use crate::upgrade::Finding;

/// Compares the serving server with one of the target image.
pub async fn finding(
    serving: &Client,
    scratch: &Client,
    kind: UpgradeKind,
) -> Result<Option<Finding>, ServerError> {
    let catalogs = match kind {
        UpgradeKind::Minor => Catalogs::Same,
        UpgradeKind::Major => Catalogs::Own,
    };
    let (before, after) = (build_parameters(serving).await?, build_parameters(scratch).await?);
    Ok(about(&before.differences(&after, catalogs)))
}

fn about(differences: &[String]) -> Option<Finding> {
    (!differences.is_empty()).then(|| {
        let text = format!(
            "the server of the target image was built with other parameters, and cannot use the database's files; use an image \
             whose server was built with the same (not a beta version of it): {}",
            differences.join(", ")
        );
        Finding::new("server-build", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_parameters_of_the_build_block_and_are_documented() {
        assert_eq!(about(&[]), None);
        let found = about(&["database_block_size (8192 before, 32768 then)".to_owned()]).unwrap();
        assert!(found.blocks() && found.text.ends_with("32768 then)"), "{found}");
        let page = include_str!("../../../../docs/reference/findings.md");
        assert!(page.contains(&format!("`{}`", found.id)), "docs/reference/findings.md lacks {}", found.id);
    }
}
