//! The settings that name libraries to preload, and what is found about them.

use crate::upgrade::{Finding, shortened};

/// A setting whose libraries the server loads when it starts.
pub const SERVER_SETTING: &str = "shared_preload_libraries";
/// Settings whose libraries each session loads: if one is missing, every connection fails.
pub const SESSION_SETTINGS: [&str; 2] = ["session_preload_libraries", "local_preload_libraries"];

const ID: &str = "preload-library";

/// The libraries of a setting, as the server looks for them.
pub fn libraries(setting: &str, value: &str) -> Vec<String> {
    let names = value.split(',').map(|name| name.trim().trim_matches('"')).filter(|name| !name.is_empty());
    let path = |name: &str| match setting {
        // Any user may set it, so it reaches only what was installed for that purpose.
        "local_preload_libraries" if !name.contains('/') => format!("$libdir/plugins/{name}"),
        _ => name.to_owned(),
    };
    names.map(path).collect()
}

/// The target image lacks libraries of a setting.
pub fn missing(setting: &str, libraries: &[String]) -> Finding {
    let text = format!(
        "{setting} names libraries that the target image lacks; use an image that has them, or remove them from the \
         setting: {}",
        shortened(libraries)
    );
    Finding::new(ID, text)
}

/// Whether an error says that a library cannot be loaded, and not that it requires something else.
#[must_use]
pub fn is_unloadable(refusal: &str) -> bool {
    const SIGNS: [&str; 3] = ["could not load library", "could not access file", "incompatible library"];
    SIGNS.iter().any(|sign| refusal.contains(sign))
}

/// The target refused to load the libraries of a setting. Only a library that cannot be loaded blocks for certain: what
/// else they require may exist in the database's own pod.
pub fn refused(setting: &str, refusal: &str) -> Finding {
    if is_unloadable(refusal) {
        let text = format!(
            "the target image cannot load a library of {setting}; use an image that can, or remove it from the \
             setting: {refusal}"
        );
        return Finding::new(ID, text);
    }
    let text = format!("the libraries of {setting} reported an error when the worker loaded them: {refusal}");
    Finding::note(ID, text)
}

/// The scratch server does not start with a library of `shared_preload_libraries`, so `pg_upgrade`'s servers will not load
/// it. The new server itself may: it has all of its settings.
pub fn left_out(library: &str, reason: &str) -> Finding {
    let text = format!(
        "a private server of the target does not start with {library} of {SERVER_SETTING}, so pg_upgrade runs without it; \
         if the schema needs it, other findings say so: {reason}"
    );
    Finding::note(ID, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_a_setting_are_split() {
        assert_eq!(libraries(SERVER_SETTING, ""), [""; 0]);
        assert_eq!(
            libraries(SERVER_SETTING, "auto_explain, \"pg_cron\",pgaudit\n"),
            ["auto_explain", "pg_cron", "pgaudit"]
        );
    }

    #[test]
    fn libraries_that_any_user_may_load_are_plugins() {
        assert_eq!(
            libraries("local_preload_libraries", "debugger,$libdir/x"),
            ["$libdir/plugins/debugger", "$libdir/x"]
        );
        assert_eq!(libraries("session_preload_libraries", "debugger"), ["debugger"]);
    }

    #[test]
    fn library_that_is_left_out_is_named_with_the_reason() {
        let found = left_out("citus", "FATAL:  Citus has to be loaded first");
        assert!(
            !found.blocks() && found.text.contains("start with citus of shared_preload_libraries"),
            "{found}"
        );
        assert!(found.text.ends_with("Citus has to be loaded first"), "{found}");
    }

    #[test]
    fn only_a_library_that_cannot_be_loaded_blocks() {
        let unloadable =
            "FATAL:  could not load library \"x.so\": libLLVM.so.19: cannot open shared object file";
        assert!(refused(SERVER_SETTING, unloadable).blocks());
        assert!(!refused(SERVER_SETTING, "FATAL:  x: no licence").blocks());
    }
}
