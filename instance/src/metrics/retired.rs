//! The sizes of retired data, which no longer changes: each is measured once, in the background, since a large one takes
//! minutes on a slow disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use pgops_volume::{Retired, Volume};

/// How much is shown: the directory that lists it is on the volume, where a superuser of the database may put anything.
const MAX_SHOWN: usize = 8;

/// Retired data, and how large it is once that is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetiredData {
    pub retired: Retired,
    pub bytes: Option<u64>,
}

/// What has been measured.
#[derive(Clone, Default)]
pub struct RetiredSizes(Arc<Mutex<Vec<RetiredData>>>);

impl RetiredSizes {
    /// The data of versions before `own` that is kept, and begins to measure what is new.
    pub fn current(&self, volume: &Volume, own: u32) -> Vec<RetiredData> {
        let mut kept = volume.retired().unwrap_or_default();
        kept.retain(|retired| retired.major < own);
        kept.sort_by_key(|retired| retired.major);
        // The youngest is what the last upgrade has replaced.
        let kept = kept.split_off(kept.len().saturating_sub(MAX_SHOWN));
        let mut known = self.lock();
        known.retain(|data| kept.contains(&data.retired));
        for retired in kept {
            if !known.iter().any(|data| data.retired == retired) {
                known.push(RetiredData { retired, bytes: None });
                self.measure(volume.clone(), retired);
            }
        }
        known.clone()
    }

    /// In a thread of its own: the process must be able to end meanwhile.
    fn measure(&self, volume: Volume, retired: Retired) {
        let sizes = self.clone();
        let spawned = thread::Builder::new().name("retired-size".to_owned()).spawn(move || {
            let bytes = volume.data_size(retired.major).ok();
            if let Some(data) = sizes.lock().iter_mut().find(|data| data.retired == retired) {
                data.bytes = bytes;
            }
        });
        // The size stays unknown.
        if let Err(error) = spawned {
            tracing::warn!("failed to start the thread that measures replaced data: {error}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<RetiredData>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::volume;
    use std::fs;
    use std::time::Duration;

    #[test]
    fn retired_data_is_measured_until_it_is_removed() {
        let (directory, volume) = volume();
        fs::create_dir_all(directory.path().join("13/data")).unwrap();
        fs::write(directory.path().join("13/data/PG_VERSION"), "13\n").unwrap();
        let until = "2026-11-30T12:00:00Z".parse().unwrap();
        volume.retire(13, until).unwrap();
        let sizes = RetiredSizes::default();
        let retired = Retired { major: 13, until };
        assert_eq!(sizes.current(&volume, 17), [RetiredData { retired, bytes: None }]);
        while sizes.current(&volume, 17)[0].bytes.is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(sizes.current(&volume, 17), [RetiredData { retired, bytes: Some(3) }]);
        volume.clear_retired(13).unwrap();
        assert!(sizes.current(&volume, 17).is_empty());
    }

    #[test]
    fn number_of_shown_records_is_limited() {
        let (_directory, volume) = volume();
        for major in 1..50 {
            volume.retire(major, "2026-11-30T12:00:00Z".parse().unwrap()).unwrap();
        }
        let shown = RetiredSizes::default().current(&volume, 17);
        assert_eq!(
            shown.iter().map(|data| data.retired.major).collect::<Vec<_>>(),
            [9, 10, 11, 12, 13, 14, 15, 16]
        );
    }
}
