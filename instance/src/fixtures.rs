//! A volume for tests.

use pgops_volume::Volume;
use tempfile::TempDir;

/// One without data.
pub fn volume() -> (TempDir, Volume) {
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::at(directory.path());
    volume.tree().create_dir(&volume.state_dir()).unwrap();
    (directory, volume)
}
