//! The JIT compiler of the target image. A provider that cannot be loaded fails expensive queries, and no others; without a
//! provider they only take longer.

use crate::postgres::client::jit::{DEFAULT_PROVIDER, Jit, jit, provider};
use crate::postgres::client::libraries::served_libraries;
use crate::postgres::server::scratch::Scratch;
use crate::upgrade::{Finding, StepError, UpgradeContext};

/// The setting that names it.
const SETTING: &str = "jit_provider";

/// Compares the server at `ip` with the running scratch server.
pub async fn check(
    upgrade: &UpgradeContext,
    ip: &str,
    scratch: &Scratch,
) -> Result<Option<Finding>, StepError> {
    let serving = upgrade.superuser.connect_server(ip).await?;
    let Some(provider) = provider(&serving).await? else { return Ok(None) };
    if provider != DEFAULT_PROVIDER {
        // The scratch server has its own.
        let programs = scratch.programs();
        let found = programs.agent.has_libraries(&programs.installation, vec![provider.clone()]).await?;
        let lost = found == [false]
            && !served_libraries(&serving, std::slice::from_ref(&provider)).await?.is_empty();
        return Ok(lost.then(|| not_compiled(&provider)));
    }
    if jit(&serving).await? != Jit::Compiles {
        return Ok(None);
    }
    Ok(finding(&jit(&scratch.connect("template1").await?).await?))
}

/// What becomes of queries that the serving server compiles.
fn finding(target: &Jit) -> Option<Finding> {
    match target {
        Jit::Compiles => None,
        Jit::NoProvider => Some(not_compiled(DEFAULT_PROVIDER)),
        Jit::Fails(refusal) => {
            let text = format!(
                "expensive queries would fail, since the target image cannot load its {SETTING} {DEFAULT_PROVIDER}; use an image that \
                 can, or set jit = off in user.conf: {refusal}"
            );
            Some(Finding::new("preload-library", text))
        }
    }
}

fn not_compiled(provider: &str) -> Finding {
    let text = format!(
        "the target image lacks the library {provider} of {SETTING}, so that queries are no longer compiled and expensive ones may take \
         longer; use an image that has it (such as one with Debian's package postgresql-…-jit), or set jit = off"
    );
    Finding::note("preload-library", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jit_that_cannot_be_loaded_blocks_and_a_missing_one_is_noted() {
        assert_eq!(finding(&Jit::Compiles), None);
        let missing = finding(&Jit::NoProvider).unwrap();
        assert!(!missing.blocks() && missing.text.contains("library llvmjit of jit_provider"), "{missing}");
        let refusal = "ERROR: could not load library \"llvmjit.so\": libLLVM.so.19.1";
        let fails = finding(&Jit::Fails(refusal.to_owned())).unwrap();
        assert!(fails.blocks() && fails.text.ends_with(refusal), "{fails}");
    }
}
