//! The pauses that were announced. Workers of upgrades pause databases and lift the pause, so the provisioner sees only
//! its presence; after a restart of the provisioner, the first look announces nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use kube::ResourceExt;
use pgops_api::Postgres;

use crate::announcement::Announcement;

/// The pause of each database, by the database's uid.
#[derive(Default)]
pub struct Pauses(Mutex<HashMap<String, Option<String>>>);

impl Pauses {
    /// What is announced about the pause of a database, if it has changed since the last call.
    pub fn changed(&self, database: &Postgres) -> Option<Announcement> {
        let pause =
            database.paused().map(|pause| pause.message.clone().unwrap_or_else(|| "paused".to_owned()));
        let uid = database.uid()?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.insert(uid, pause.clone())?;
        match (before, pause) {
            (before, Some(pause)) if before.as_ref() != Some(&pause) => {
                Some(Announcement::normal("Paused", pause))
            }
            (Some(before), None) => Some(Announcement::normal("Resumed", format!("no longer {before}"))),
            _ => None,
        }
    }

    /// Forgets a database that is removed.
    pub fn forget(&self, database: &Postgres) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(database.uid().as_deref().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::database;
    use serde_json::json;

    fn with_pause(message: Option<&str>) -> Postgres {
        let mut paused = serde_json::to_value(database(json!({}))).unwrap();
        paused["status"]["conditions"] = message.iter().map(|message| json!({
            "type": "Paused", "status": "True", "message": message, "lastTransitionTime": "2026-11-20T10:00:00Z",
        })).collect();
        serde_json::from_value(paused).unwrap()
    }

    #[test]
    fn pause_and_its_end_are_announced_once() {
        let pauses = Pauses::default();
        let announced = |message: Option<&str>| {
            pauses.changed(&with_pause(message)).map(|it| format!("{}: {}", it.reason, it.note))
        };
        assert_eq!(announced(None), None, "the first look");
        assert_eq!(announced(Some("paused by r")), Some("Paused: paused by r".to_owned()));
        assert_eq!(announced(Some("paused by r")), None);
        assert_eq!(announced(Some("paused by s")), Some("Paused: paused by s".to_owned()));
        assert_eq!(announced(None), Some("Resumed: no longer paused by s".to_owned()));
        assert_eq!(announced(None), None);
    }

    #[test]
    fn pause_before_the_start_of_the_provisioner_is_not_announced_but_its_end_is() {
        let pauses = Pauses::default();
        assert_eq!(pauses.changed(&with_pause(Some("paused by r"))), None);
        assert_eq!(pauses.changed(&with_pause(None)).unwrap().reason, "Resumed");
        pauses.forget(&with_pause(None));
        assert_eq!(pauses.changed(&with_pause(Some("paused by r"))), None);
    }
}
