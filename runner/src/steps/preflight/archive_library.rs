//! The library that archives WAL, since 15: without it the archiver only fails, and WAL fills the volume.

use pgops_api::plan::UpgradeKind;

use super::image::is_on_volume;
use super::merged_settings::MergedSettings;
use super::preload_libraries::missing;
use crate::upgrade::{Finding, StepError};

/// The setting, which versions before 15 do not know.
const SETTING: &str = "archive_library";

/// The setting with its library, if the target image has it: the archiver loads it as a session would. Otherwise what is missing.
pub async fn check(
    kind: UpgradeKind,
    merged: &MergedSettings,
) -> Result<(Option<(&'static str, Vec<String>)>, Option<Finding>), StepError> {
    let mode = merged.value("archive_mode").await?.unwrap_or_default();
    let library = merged.value(SETTING).await?.unwrap_or_default();
    let Some(library) = in_effect(&mode, &library) else { return Ok((None, None)) };
    if kind == UpgradeKind::Minor && is_on_volume(&library) {
        // The worker does not see the volume, which does not change.
        return Ok((None, None));
    }
    let (found, absent) = merged.find_libraries(vec![library]).await?;
    let finding = (!absent.is_empty()).then(|| missing(SETTING, &absent));
    Ok(((!found.is_empty()).then_some((SETTING, found)), finding))
}

/// The library, if the server archives by one.
fn in_effect(mode: &str, library: &str) -> Option<String> {
    let library = library.trim();
    (mode.trim() != "off" && !mode.trim().is_empty() && !library.is_empty()).then(|| library.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_library_counts_only_while_the_server_archives() {
        assert_eq!(in_effect("on\n", "basic_archive\n").as_deref(), Some("basic_archive"));
        assert_eq!(in_effect("always", "basic_archive").as_deref(), Some("basic_archive"));
        for (mode, library) in [("off\n", "basic_archive"), ("on", "\n"), ("", "basic_archive")] {
            assert_eq!(in_effect(mode, library), None);
        }
        let found = missing(SETTING, &["basic_archive".to_owned()]);
        assert!(found.blocks() && found.text.starts_with("archive_library names libraries"), "{found}");
    }
}
