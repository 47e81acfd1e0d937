//! A pair of versions of the test catalog.

/// From one version to another.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Name of the catalog's entry, which is a version.
    pub from: &'static str,
    /// The same of the target.
    pub to: &'static str,
}

impl Pair {
    /// Both major versions.
    #[must_use]
    pub fn majors(&self) -> (u32, u32) {
        let major =
            |name: &str| name.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
        (major(self.from), major(self.to))
    }
}
