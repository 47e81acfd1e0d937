//! The mounted Patroni.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file of Patroni's watchdog drivers, and the one that writes to a FIFO. It is that of Patroni's own tests, which another
/// version may not have.
const DRIVERS: &str = "packages/patroni/watchdog/linux.py";
const DRIVER: &str = "class TestingWatchdogDevice(";

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("failed to read {} of the Patroni bundle: does its init container have the image of this release?", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// With it Patroni would never lead, and say so only once it should.
    #[error(
        "failed to use the Patroni bundle: {} has no watchdog driver that writes to a FIFO; give the init container the \
         image of this release", .0.display()
    )]
    NoDriver(PathBuf),
}

/// What is started of it.
pub struct Bundle {
    pub interpreter: PathBuf,
    pub script: PathBuf,
}

impl Bundle {
    /// The one in a directory, if it has what the instance relies on.
    pub fn open(directory: &Path) -> Result<Self, BundleError> {
        let drivers = directory.join(DRIVERS);
        let text = fs::read_to_string(&drivers)
            .map_err(|source| BundleError::Read { path: drivers.clone(), source })?;
        if !text.contains(DRIVER) {
            return Err(BundleError::NoDriver(drivers));
        }
        Ok(Self { interpreter: directory.join("bin/python3"), script: directory.join("pgops_patroni.py") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundle_without_the_driver_of_the_watchdog_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let open = || Bundle::open(root.path());
        assert!(matches!(open(), Err(BundleError::Read { .. })));
        let drivers = root.path().join(DRIVERS);
        fs::create_dir_all(drivers.parent().unwrap()).unwrap();
        fs::write(&drivers, "class LinuxWatchdogDevice(WatchdogBase):\n").unwrap();
        assert!(matches!(open(), Err(BundleError::NoDriver(path)) if path == drivers));
        fs::write(&drivers, "class TestingWatchdogDevice(LinuxWatchdogDevice):\n").unwrap();
        assert_eq!(open().unwrap().script, root.path().join("pgops_patroni.py"));
    }
}
