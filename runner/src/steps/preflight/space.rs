//! How the data gets to the new version, and whether the volume has room for it.

use std::fmt;

use pgops_api::plan::TransferMode;

use super::super::Finding;

/// A new cluster without user data, with its first WAL segments of the usual size.
const NEW_CLUSTER_BYTES: u64 = 256 * 1024 * 1024;
/// How many databases that is enough for, and what each more takes for its catalogs.
const FEW_DATABASES: u64 = 4;
const DATABASE_BYTES: u64 = 8 * 1024 * 1024;
/// Rows and index entries of a relation in the catalogs, and what of it is in the WAL.
const RELATION_BYTES: u64 = 8 * 1024;
/// Segments that a new cluster has at a time.
const SEGMENTS: u64 = 4;
const USUAL_SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// Up to here a copy takes seconds, and keeps the old data whole.
const SMALL_BYTES: u64 = 1024 * 1024 * 1024;

/// Bytes of a new cluster without user data.
pub(super) fn new_cluster(databases: usize, relations: u64, wal_segment_bytes: u64) -> u64 {
    let databases = u64::try_from(databases).unwrap_or(u64::MAX).saturating_sub(FEW_DATABASES);
    let segments = SEGMENTS.saturating_mul(wal_segment_bytes.saturating_sub(USUAL_SEGMENT_BYTES));
    let catalogs =
        databases.saturating_mul(DATABASE_BYTES).saturating_add(relations.saturating_mul(RELATION_BYTES));
    NEW_CLUSTER_BYTES.saturating_add(catalogs).saturating_add(segments)
}

/// What the volume has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    /// Whether its files can share blocks, and the target's `pg_upgrade` knows how.
    pub reflink: bool,
    /// Bytes of a new cluster without user data, see [`new_cluster`].
    pub new: u64,
    /// Bytes of the data directory and its tablespaces.
    pub used: u64,
    /// Bytes that are free.
    pub free: u64,
}

impl Space {
    /// The mode asked for, if it can be; else the safest that is quick.
    pub(super) fn choose(self, asked: Option<TransferMode>) -> Result<TransferMode, Finding> {
        let mode = asked.unwrap_or(match () {
            () if self.reflink => TransferMode::Clone,
            () if self.used <= SMALL_BYTES && self.free >= self.needed(TransferMode::Copy) => {
                TransferMode::Copy
            }
            () => TransferMode::Link,
        });
        if mode == TransferMode::Clone && !self.reflink {
            return Err(Finding::new(
                "transfer-mode",
                "pgops.dev/transfer-mode: clone needs a volume whose files can share blocks (XFS with reflink, Btrfs); \
                 this one cannot: use copy or link",
            ));
        }
        if self.free < self.needed(mode) {
            let remedy = if mode.copies() { ", or set pgops.dev/transfer-mode: link" } else { "" };
            let text = format!("{}: enlarge it{remedy}", self.said(mode));
            return Err(Finding::new("free-space", text));
        }
        Ok(mode)
    }

    /// What a mode needs and what there is, in one line.
    pub(super) fn said(self, mode: TransferMode) -> String {
        format!(
            "mode {} needs {} on the volume, {} are free; the data takes {}",
            mode.name(),
            Mebibytes(self.needed(mode)),
            Mebibytes(self.free),
            Mebibytes(self.used)
        )
    }

    fn needed(self, mode: TransferMode) -> u64 {
        self.new + if mode.copies() { self.used + self.used / 10 } else { 0 }
    }
}

struct Mebibytes(u64);

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0 / (1024 * 1024))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const GIB: u64 = 1024 * 1024 * 1024;

    #[rstest]
    #[case::reflink_is_best(None, true, 100 * GIB, GIB, TransferMode::Clone)]
    #[case::small_data_is_copied(None, false, GIB / 2, 10 * GIB, TransferMode::Copy)]
    #[case::large_data_is_linked(None, false, 100 * GIB, 500 * GIB, TransferMode::Link)]
    #[case::little_space_is_linked(None, false, GIB / 2, GIB / 2, TransferMode::Link)]
    #[case::the_users_word_counts(Some(TransferMode::Copy), true, 100 * GIB, 500 * GIB, TransferMode::Copy)]
    fn the_mode_fits_the_volume(
        #[case] asked: Option<TransferMode>,
        #[case] reflink: bool,
        #[case] used: u64,
        #[case] free: u64,
        #[case] expected: TransferMode,
    ) {
        assert_eq!(Space { reflink, new: GIB / 4, used, free }.choose(asked), Ok(expected));
    }

    #[rstest]
    #[case::no_reflink(Some(TransferMode::Clone), "transfer-mode")]
    #[case::no_space(Some(TransferMode::Copy), "free-space")]
    #[case::no_space_for_what_may_be_copied(Some(TransferMode::CopyFileRange), "free-space")]
    fn a_mode_that_cannot_be_is_a_finding(#[case] asked: Option<TransferMode>, #[case] id: &str) {
        let space = Space { reflink: false, new: GIB / 4, used: 10 * GIB, free: 5 * GIB };
        assert_eq!(space.choose(asked).unwrap_err().id, id);
    }

    #[test]
    fn many_databases_and_large_segments_take_room_in_every_mode() {
        const MIB: u64 = 1024 * 1024;
        assert_eq!(new_cluster(3, 0, 16 * MIB), 256 * MIB);
        assert_eq!(new_cluster(204, 0, 16 * MIB), (256 + 1600) * MIB);
        assert_eq!(new_cluster(3, 0, GIB), (256 + 4 * 1008) * MIB);
        assert!(new_cluster(3, 40_000, 16 * MIB) > 500 * MIB);
    }

    #[test]
    fn what_a_copy_needs_is_said_beside_what_there_is() {
        let space = Space { reflink: false, new: GIB / 4, used: 10 * GIB, free: 5 * GIB };
        let said = space.said(TransferMode::Copy);
        assert_eq!(
            said,
            "mode copy needs 11520 MiB on the volume, 5120 MiB are free; the data takes 10240 MiB"
        );
    }
}
