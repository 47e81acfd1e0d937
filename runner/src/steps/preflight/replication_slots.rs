//! Logical replication slots, which `pg_upgrade` carries from 17 on: whether the target accepts as many as there are, and
//! whether it loads their output plugins. `pg_upgrade` itself would find out only once the database is stopped.

use std::collections::BTreeMap;

use tokio_postgres::types::ToSql;

use super::preload_libraries::{SERVER_SETTING, libraries};
use crate::postgres::client::database_error::DatabaseError;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::inventory::Inventory;
use crate::postgres::client::serving_settings::{LogicalSlot, OUTPUT_PLUGINS};
use crate::postgres::server::scratch::Scratch;
use crate::upgrade::{Finding, StepError, shortened};

/// From this version on slots are carried over; those of older ones are findings of their own.
const CARRIES_SLOTS: u32 = 17;

/// Id of what is found about plugins.
const ID: &str = "output-plugin";

/// The slots that are carried over.
pub fn carried(inventory: &Inventory, old_major: u32) -> &[LogicalSlot] {
    if old_major >= CARRIES_SLOTS { &inventory.serving.slots } else { &[] }
}

/// A server with more slots than its limit, or with logical ones and too little in its WAL, does not start. `max` and
/// `wal_level` are the target's settings.
pub fn unstartable(slots: &[LogicalSlot], max: &str, wal_level: &str) -> Option<Finding> {
    let too_many = max.trim().parse().is_ok_and(|max: usize| slots.len() > max);
    let problem = if too_many {
        format!("its max_replication_slots is {}", max.trim())
    } else if !slots.is_empty() && !wal_level.trim().is_empty() && wal_level.trim() != "logical" {
        format!("its wal_level is {}", wal_level.trim())
    } else {
        return None;
    };
    let text = format!(
        "the target would not start with {} logical replication slots, since {problem}; set it in user.conf (settings in \
         the data directory's own postgresql.conf are not carried over)",
        slots.len()
    );
    Some(Finding::new("replication-slots", text))
}

/// The output plugins that the target's private servers load: those that `target` names, its value of
/// `output_plugin_libraries`, and those of the slots. With a note if these are more than the new server itself will load: the
/// slots are kept, though they cannot be used until the setting is changed.
pub fn allowed_plugins(slots: &[LogicalSlot], target: &str) -> (String, Option<Finding>) {
    let named = libraries(SERVER_SETTING, target);
    let is_further = |plugin: &&str| is_plain(plugin) && !named.iter().any(|it| it == plugin);
    let further: Vec<_> = by_plugin(slots).into_keys().filter(is_further).collect();
    if further.is_empty() {
        return (target.to_owned(), None);
    }
    let all = [target].into_iter().filter(|target| !target.trim().is_empty());
    let all = all.chain(further.iter().copied()).collect::<Vec<_>>().join(", ");
    let text = format!(
        "the target loads only the output plugins that {OUTPUT_PLUGINS} names; slots with others are carried over, but \
         cannot be used before it is '{all}' in the new version's user.conf (a version that does not know the setting does \
         not start with it): {}",
        shortened(&further.iter().map(|plugin| (*plugin).to_owned()).collect::<Vec<_>>())
    );
    (all, Some(Finding::note(ID, text)))
}

/// Whether it is the name of a library of the image. Anything else, which may be a file of a user, is loaded only if the
/// database's settings name it.
fn is_plain(plugin: &str) -> bool {
    plugin.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// The names of the slots of each plugin.
fn by_plugin(slots: &[LogicalSlot]) -> BTreeMap<&str, Vec<String>> {
    let mut plugins: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for slot in slots {
        plugins.entry(slot.plugin.as_str()).or_default().push(slot.name.clone());
    }
    plugins
}

/// Creates a slot with each plugin in the scratch server, as `pg_upgrade` will in the new one.
pub async fn refused_plugins(scratch: &Scratch, slots: &[LogicalSlot]) -> Result<Vec<Finding>, StepError> {
    let mut findings = Vec::new();
    for (plugin, slots) in by_plugin(slots) {
        findings.extend(refusal(scratch, plugin).await?.map(|refusal| refused(plugin, &slots, &refusal)));
    }
    Ok(findings)
}

/// Why the scratch server does not create a slot with a plugin, if it does not.
async fn refusal(scratch: &Scratch, plugin: &str) -> Result<Option<String>, StepError> {
    const SLOT: &str = "pgops_rehearsal";
    let failed = ServerError::execute("create a replication slot in the scratch server");
    // A session of its own: the next plugin must not depend on what this one has loaded.
    let client = scratch.connect("template1").await?;
    // A slot waits for the end of transactions, of which there are none.
    client.batch_execute("SET statement_timeout = '1min'").await.map_err(failed)?;
    let create = "SELECT pg_create_logical_replication_slot($1, $2, true)";
    let parameters: [&(dyn ToSql + Sync); 2] = [&SLOT, &plugin];
    match client.execute(create, &parameters).await {
        Err(error) if error.as_db_error().is_some() => Ok(Some(DatabaseError::from(error).to_string())),
        created => {
            created.map_err(failed)?;
            // It belongs to this database, which is dropped next.
            let drop = "SELECT pg_drop_replication_slot($1)";
            client.execute(drop, &[&SLOT]).await.map(|_| None).map_err(|error| failed(error).into())
        }
    }
}

/// The target refuses a plugin. Only a library that it cannot load, or may not, blocks for certain: whatever else a plugin
/// requires may exist in the database of the slot.
fn refused(plugin: &str, slots: &[String], refusal: &str) -> Finding {
    const SIGNS: [&str; 4] =
        ["could not load library", "could not access file", "incompatible library", "_PG_output_plugin_init"];
    let slots = shortened(slots);
    if refusal.contains("may not be used as an output plugin") {
        let text = format!(
            "the target does not load the output plugin {plugin}, since {OUTPUT_PLUGINS} does not name it: add it in \
             user.conf, or drop the replication slots {slots}: {refusal}"
        );
        return Finding::new(ID, text);
    }
    if SIGNS.iter().any(|sign| refusal.contains(sign)) {
        let text = format!(
            "the target image cannot load the output plugin {plugin}: use an image that has it, or drop the replication \
             slots {slots}: {refusal}"
        );
        return Finding::new(ID, text);
    }
    let text = format!(
        "the output plugin {plugin} reported an error in the scratch server, which has no data; if it needs some, this \
         means nothing for the replication slots {slots}: {refusal}"
    );
    Finding::note(ID, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn slots(slots: &[(&str, &str)]) -> Vec<LogicalSlot> {
        let slot = |(name, plugin): &(&str, &str)| LogicalSlot {
            name: (*name).to_owned(),
            plugin: (*plugin).to_owned(),
        };
        slots.iter().map(slot).collect()
    }

    #[test]
    fn slots_above_the_targets_limit_are_counted() {
        let slots = slots(&[("a", "pgoutput"), ("b", "pgoutput")]);
        assert_eq!(unstartable(&slots, "2\n", "logical\n"), None);
        let found = unstartable(&slots, "1\n", "logical\n").unwrap();
        assert!(found.blocks() && found.text.contains("with 2 logical"), "{found}");
        assert!(found.text.contains("max_replication_slots is 1"), "{found}");
    }

    #[test]
    fn slots_need_logical_wal_in_the_target() {
        let found = unstartable(&slots(&[("a", "pgoutput")]), "10", "replica").unwrap();
        assert!(found.blocks() && found.text.contains("wal_level is replica"), "{found}");
        assert_eq!(unstartable(&[], "0", "replica"), None);
        // What could not be read says nothing.
        assert_eq!(unstartable(&slots(&[("a", "pgoutput")]), "", ""), None);
    }

    #[test]
    fn plugins_of_slots_are_allowed_for_the_run_and_told_if_the_target_does_not_name_them() {
        let slots =
            slots(&[("a", "wal2json"), ("b", "pgoutput"), ("c", "/var/pv/own"), ("d", "decoderbufs")]);
        let (allowed, note) = allowed_plugins(&slots, "pgoutput, test_decoding");
        assert_eq!(allowed, "pgoutput, test_decoding, decoderbufs, wal2json");
        let note = note.unwrap();
        assert!(!note.blocks() && note.text.ends_with(": decoderbufs, wal2json"), "{note}");
        assert_eq!(allowed_plugins(&slots[..1], "").0, "wal2json");
    }

    #[test]
    fn plugins_that_the_target_names_are_not_told() {
        let value = "pgoutput, \"/var/pv/own\"";
        let slots = slots(&[("a", "/var/pv/own"), ("b", "pgoutput")]);
        assert_eq!(allowed_plugins(&slots, value), (value.to_owned(), None));
    }

    #[rstest]
    #[case::missing("ERROR: could not access file \"wal2json\": No such file or directory", true)]
    #[case::not_allowed("ERROR: library \"wal2json\" may not be used as an output plugin", true)]
    #[case::not_a_plugin("ERROR: output plugins have to declare the _PG_output_plugin_init symbol", true)]
    #[case::needs_tables("ERROR: relation \"pglogical.node\" does not exist", false)]
    fn only_a_plugin_that_cannot_be_loaded_blocks(#[case] refusal: &str, #[case] blocks: bool) {
        let found = refused("wal2json", &["feed".to_owned()], refusal);
        assert_eq!(found.blocks(), blocks, "{found}");
        assert!(found.text.contains("slots feed: ") && found.text.contains("plugin wal2json"), "{found}");
    }

    #[test]
    fn plugin_that_may_not_be_loaded_has_a_remedy_of_its_own() {
        let found = refused("p", &["feed".to_owned()], "library \"p\" may not be used as an output plugin");
        assert!(
            found.text.contains("output_plugin_libraries does not name it: add it in user.conf"),
            "{found}"
        );
    }
}
