//! A pair of versions of the test catalog.

/// From one version to another.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Name of the old version's catalog entry, which is also its version.
    pub from: &'static str,
    /// Name of the target version's catalog entry.
    pub to: &'static str,
}

impl Pair {
    /// The old and the new major version.
    #[must_use]
    pub fn majors(&self) -> (u32, u32) {
        (major(self.from), major(self.to))
    }
}

fn major(name: &str) -> u32 {
    name.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default()
}
