//! The new server must accept the settings that it will find, all of which the serving server has too: in `user.conf`, which may
//! have changed since it was started, in the data directory, and those of `ALTER SYSTEM`.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use crate::postgres::client::file_settings::FileSettings;
use crate::postgres::client::inventory::Inventory;
use crate::postgres::client::libraries::Plugins;
use crate::postgres::client::query::strings;
use crate::postgres::server::scratch::Scratch;
use crate::steps::preflight::configuration::{Checked, check_merged};
use crate::steps::preflight::merged_settings::MergedSettings;
use crate::steps::preflight::preload_libraries::libraries;
use crate::upgrade::{Finding, StepError, UpgradeContext, shortened};

/// The setting that names the output plugins which clients may use: since 18.6, 17.11, 16.15, 15.19 and 14.24.
const TRUSTED_PLUGINS: &str = "output_plugin_libraries";

/// Tries the settings with the target's server on `cluster`, on which no server may run yet.
pub async fn check(
    upgrade: &UpgradeContext,
    client: &Client,
    cluster: &Scratch,
    inventory: &Inventory,
    plugins: &Plugins,
    settings: &FileSettings,
) -> Result<Checked, StepError> {
    let unreadable = settings.unreadable();
    if !unreadable.is_empty() {
        let text = format!("no server starts with these settings; correct them: {}", shortened(&unreadable));
        return Ok(Checked::only(Finding::new("configuration", text)));
    }
    let merged = MergedSettings::write(cluster, settings.as_file()).await?;
    let mut checked = check_merged(upgrade, &merged, inventory).await?;
    // A target that does not know the setting trusts every plugin.
    if !plugins.is_empty()
        && let Ok(trusted) = merged.value(TRUSTED_PLUGINS).await?
    {
        let serving = serving_trusts(client).await?;
        checked.findings.extend(untrusted_plugins(plugins, &trusted, serving.as_deref()));
    }
    Ok(checked)
}

/// The plugins that the serving server trusts; none if it trusts all.
async fn serving_trusts(client: &Client) -> Result<Option<String>, StepError> {
    let sql = format!("SELECT setting FROM pg_settings WHERE name = '{TRUSTED_PLUGINS}'");
    Ok(strings(client, "the trusted output plugins", &sql).await?.pop())
}

/// Plugins of slots that clients may use today, and not after the upgrade. It does not block: an old server would not start
/// with the setting that helps.
fn untrusted_plugins(plugins: &Plugins, target: &str, serving: Option<&str>) -> Option<Finding> {
    let names = |value: &str| libraries(TRUSTED_PLUGINS, value).into_iter().collect::<BTreeSet<_>>();
    let (target, serving) = (names(target), serving.map(names));
    let is_used = |plugin: &String| serving.as_ref().is_none_or(|names| names.contains(plugin));
    let untrusted: Vec<_> =
        plugins.iter().filter(|(plugin, _)| !target.contains(*plugin) && is_used(plugin)).collect();
    if untrusted.is_empty() {
        return None;
    }
    let all: BTreeSet<_> =
        target.iter().chain(untrusted.iter().map(|(plugin, _)| *plugin)).cloned().collect();
    let slots: Vec<_> =
        untrusted.iter().map(|(plugin, slots)| format!("{} ({plugin})", shortened(slots))).collect();
    Some(Finding::note(
        "output-plugin",
        format!(
            "the new server refuses the consumers of replication slots whose output plugin {TRUSTED_PLUGINS} does not name, and the \
             slots retain WAL; right after the upgrade put {TRUSTED_PLUGINS} = '{}' into user.conf, and run SELECT pg_reload_conf(): {}",
            all.into_iter().collect::<Vec<_>>().join(", "),
            shortened(&slots)
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = "pgoutput, test_decoding";

    fn plugins() -> Plugins {
        [("wal2json".to_owned(), vec!["feed".to_owned()]), ("pgoutput".to_owned(), vec!["sub".to_owned()])]
            .into()
    }

    #[test]
    fn plugin_that_the_new_server_does_not_trust_is_named_with_its_slots() {
        let note = untrusted_plugins(&plugins(), DEFAULT, None).unwrap();
        assert!(!note.blocks(), "{note}");
        assert!(note.text.ends_with(": feed (wal2json)"), "{note}");
        assert!(
            note.text.contains("output_plugin_libraries = 'pgoutput, test_decoding, wal2json' into"),
            "{note}"
        );
    }

    #[test]
    fn trusted_plugin_has_no_note() {
        assert_eq!(untrusted_plugins(&plugins(), "pgoutput, wal2json", None), None);
    }

    #[test]
    fn plugin_that_is_refused_today_has_no_note() {
        assert_eq!(untrusted_plugins(&plugins(), DEFAULT, Some(DEFAULT)), None);
    }
}
