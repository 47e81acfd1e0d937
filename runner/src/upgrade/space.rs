//! How user data gets to the new version, and whether the volume has the space for it.

use std::fmt;

use pgops_api::plan::TransferMode;

use super::finding::Finding;

/// A new cluster without user data, with its first WAL segments of the default size.
const NEW_CLUSTER_BYTES: u64 = 256 * 1024 * 1024;
/// How many databases that includes, and what each further one takes for its system catalog.
const INCLUDED_DATABASES: u64 = 4;
const DATABASE_BYTES: u64 = 8 * 1024 * 1024;
/// Rows and index entries of a relation in the system catalog, and their WAL.
const RELATION_BYTES: u64 = 8 * 1024;
/// WAL segments that a new cluster has at a time.
const SEGMENTS: u64 = 4;
const DEFAULT_SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// Up to this size a copy takes seconds, and it keeps the old data whole.
const SMALL_BYTES: u64 = 1024 * 1024 * 1024;

/// Bytes of a new cluster without user data.
pub fn new_cluster(databases: usize, relations: u64, wal_segment_bytes: u64) -> u64 {
    let databases = u64::try_from(databases).unwrap_or(u64::MAX).saturating_sub(INCLUDED_DATABASES);
    let segments = SEGMENTS.saturating_mul(wal_segment_bytes.saturating_sub(DEFAULT_SEGMENT_BYTES));
    let catalogs =
        databases.saturating_mul(DATABASE_BYTES).saturating_add(relations.saturating_mul(RELATION_BYTES));
    NEW_CLUSTER_BYTES.saturating_add(catalogs).saturating_add(segments)
}

/// The space on the volume.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Whether its files can share blocks, and the target's `pg_upgrade` knows how.
    pub reflink: bool,
    /// Bytes of a new cluster without user data, see [`new_cluster`].
    pub new: u64,
    /// Bytes of the data directory and its tablespaces.
    pub used: u64,
    /// Free bytes.
    pub free: u64,
}

impl Space {
    /// The requested mode, if it is possible; else the safest of the fast ones.
    pub fn choose(self, requested: Option<TransferMode>) -> Result<TransferMode, Finding> {
        let mode = requested.unwrap_or_else(|| self.default_mode());
        if mode == TransferMode::Clone && !self.reflink {
            return Err(Finding::new(
                "transfer-mode",
                "pgops.dev/transfer-mode: clone requires a volume whose files can share blocks (XFS with reflink, Btrfs), \
                 unlike this one: use copy or link",
            ));
        }
        if self.free < self.needed(mode) {
            let remedy = if mode.copies() { ", or set pgops.dev/transfer-mode: link" } else { "" };
            let text = format!("{}: enlarge it{remedy}", self.summary(mode));
            return Err(Finding::new("free-space", text));
        }
        Ok(mode)
    }

    /// That the old data may be deleted before its time: with clones, each block that changes while it is kept takes new space.
    #[must_use]
    pub fn retention_note(self, mode: TransferMode) -> Option<Finding> {
        let enough = self.new.saturating_add(self.used);
        (mode == TransferMode::Clone && self.free < enough).then(|| {
            let text = format!(
                "{} are free, and the old data shares its blocks with the new data: each block that changes takes new space, and \
                 if that runs short, the old data is deleted before its time; {} would be enough for any change",
                Mebibytes(self.free),
                Mebibytes(enough)
            );
            Finding::note("old-data-space", text)
        })
    }

    fn default_mode(self) -> TransferMode {
        if self.reflink {
            TransferMode::Clone
        } else if self.used <= SMALL_BYTES && self.free >= self.needed(TransferMode::Copy) {
            TransferMode::Copy
        } else {
            TransferMode::Link
        }
    }

    /// What a mode needs and what the volume has, in one line.
    pub fn summary(self, mode: TransferMode) -> String {
        format!(
            "mode {} needs {} on the volume, {} are free; the data uses {}",
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
    #[case::requested_mode_is_used(Some(TransferMode::Copy), true, 100 * GIB, 500 * GIB, TransferMode::Copy)]
    fn mode_fits_the_volume(
        #[case] requested: Option<TransferMode>,
        #[case] reflink: bool,
        #[case] used: u64,
        #[case] free: u64,
        #[case] expected: TransferMode,
    ) {
        assert_eq!(Space { reflink, new: GIB / 4, used, free }.choose(requested), Ok(expected));
    }

    #[rstest]
    #[case::no_reflink(Some(TransferMode::Clone), "transfer-mode")]
    #[case::no_space(Some(TransferMode::Copy), "free-space")]
    #[case::no_space_for_what_may_be_copied(Some(TransferMode::CopyFileRange), "free-space")]
    fn impossible_mode_is_a_finding(#[case] requested: Option<TransferMode>, #[case] id: &str) {
        let space = Space { reflink: false, new: GIB / 4, used: 10 * GIB, free: 5 * GIB };
        assert_eq!(space.choose(requested).unwrap_err().id, id);
    }

    #[test]
    fn clone_that_may_outgrow_the_volume_is_noted() {
        let space = |free| Space { reflink: true, new: GIB / 4, used: 10 * GIB, free };
        let note = space(5 * GIB).retention_note(TransferMode::Clone).unwrap();
        assert!(!note.blocks() && note.text.contains("5120 MiB are free"), "{note:?}");
        assert!(note.text.contains("10496 MiB would be enough"), "{note:?}");
        assert_eq!(space(11 * GIB).retention_note(TransferMode::Clone), None);
        assert_eq!(space(5 * GIB).retention_note(TransferMode::Link), None);
    }

    #[test]
    fn many_databases_and_large_segments_take_space_in_every_mode() {
        const MIB: u64 = 1024 * 1024;
        assert_eq!(new_cluster(3, 0, 16 * MIB), 256 * MIB);
        assert_eq!(new_cluster(204, 0, 16 * MIB), (256 + 1600) * MIB);
        assert_eq!(new_cluster(3, 0, GIB), (256 + 4 * 1008) * MIB);
        assert!(new_cluster(3, 40_000, 16 * MIB) > 500 * MIB);
    }

    #[test]
    fn summary_compares_what_is_needed_and_free() {
        let space = Space { reflink: false, new: GIB / 4, used: 10 * GIB, free: 5 * GIB };
        let summary = space.summary(TransferMode::Copy);
        assert_eq!(
            summary,
            "mode copy needs 11520 MiB on the volume, 5120 MiB are free; the data uses 10240 MiB"
        );
    }
}
