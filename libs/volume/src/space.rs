//! How much space a volume has.

use crate::error::FileError;
use crate::paths::Volume;

const MEBIBYTE: u64 = 1 << 20;
/// The least that a server needs to start and to make a checkpoint: some WAL segments of the default size.
const EXHAUSTED_BYTES: u64 = 64 * MEBIBYTE;
/// What is kept free as long as retired data can be given up: a twentieth of the volume, within these limits.
const MIN_RESERVE_BYTES: u64 = 256 * MEBIBYTE;
const MAX_RESERVE_BYTES: u64 = 10 * 1024 * MEBIBYTE;

/// The space of a volume, or of the quota that limits it where the file system says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Space {
    /// Bytes that are available to us.
    pub free: u64,
    /// Bytes in total.
    pub size: u64,
}

impl Volume {
    /// Measures the space of the volume.
    pub fn space(&self) -> Result<Space, FileError> {
        let root = self.root();
        let stat = rustix::fs::statvfs(root).map_err(FileError::on("measure the space of", root))?;
        Ok(Space { free: stat.f_bavail * stat.f_frsize, size: stat.f_blocks * stat.f_frsize })
    }
}

impl Space {
    /// The free bytes below which retired data is given up before its time: more than is written between two checks.
    #[must_use]
    pub fn reserve(self) -> u64 {
        let share = (self.size / 20).clamp(MIN_RESERVE_BYTES, MAX_RESERVE_BYTES);
        // On a small volume nothing would be kept otherwise.
        share.min(self.size / 4)
    }

    /// Whether retired data must be given up, or a server that keeps writing finds no space.
    #[must_use]
    pub fn is_low(self) -> bool {
        self.free < self.reserve()
    }

    /// Whether a server may not even start.
    #[must_use]
    pub fn is_exhausted(self) -> bool {
        self.free < self.reserve().min(EXHAUSTED_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIBIBYTE: u64 = 1024 * MEBIBYTE;

    #[test]
    fn reserve_is_a_twentieth_within_limits() {
        let reserve = |size| Space { free: 0, size }.reserve();
        assert_eq!(reserve(100 * GIBIBYTE), 5 * GIBIBYTE);
        assert_eq!(reserve(2 * GIBIBYTE), 256 * MEBIBYTE);
        assert_eq!(reserve(640 * MEBIBYTE), 160 * MEBIBYTE);
        assert_eq!(reserve(16 * 1024 * GIBIBYTE), 10 * GIBIBYTE);
    }

    #[test]
    fn space_is_low_long_before_it_is_exhausted() {
        let space = |free| Space { free, size: 2 * GIBIBYTE };
        assert!(!space(256 * MEBIBYTE).is_low() && space(255 * MEBIBYTE).is_low());
        assert!(!space(64 * MEBIBYTE).is_exhausted() && space(63 * MEBIBYTE).is_exhausted());
    }

    #[test]
    fn space_of_a_volume_is_measured() {
        let root = tempfile::tempdir().unwrap();
        let space = Volume::at(root.path()).space().unwrap();
        assert!(space.size > 0 && space.free <= space.size, "{space:?}");
    }
}
