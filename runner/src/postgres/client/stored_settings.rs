//! What sessions of pgops do about the settings that users have stored for databases and roles, once they are connected;
//! [`pgops_api::session_options`] has what must hold from the first moment.

/// Makes a session independent of stored settings. Each that a session may change gets the value that `PostgreSQL`
/// itself has for it (`boot_val`), as the server's configuration may be hidden behind the stored one. Works under any
/// stored settings, and any number of times.
///
/// The view of all settings takes the server longer than everything else in a short session, so it is only read if something is
/// stored for the session's database, its role, or all.
///
/// Left as they are stored: what the server logs, where libraries are, how much statistics are collected, and the stack's
/// depth, whose `boot_val` is only its minimum; settings of extensions; and those of transactions, which a stored value does
/// not reach.
///
/// Some exist only in some versions: those that are set in any case are looked up by name, and come first.
pub const OWN_SETTINGS: &str = "SET search_path = pg_catalog, pg_temp; \
    SELECT set_config(o.name, o.value, false) \
    FROM (VALUES ('transaction_timeout', '0'), ('idle_session_timeout', '0'), ('event_triggers', 'off')) AS o (name, value) \
    WHERE current_setting(o.name, true) IS NOT NULL; \
    SELECT set_config(s.name, s.boot_val, false) FROM pg_settings s \
    WHERE EXISTS (SELECT FROM pg_db_role_setting d \
        WHERE (d.setdatabase = 0 OR d.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())) \
          AND (d.setrole = 0 OR d.setrole = (SELECT oid FROM pg_authid WHERE rolname = session_user))) \
      AND s.source IN ('global', 'database', 'user', 'database user') \
      AND s.context IN ('user', 'superuser') AND s.boot_val IS NOT NULL \
      AND s.category <> 'Customized Options' AND s.category NOT LIKE 'Reporting and Logging%' \
      AND s.name NOT IN ('dynamic_library_path', 'extension_control_path', 'default_statistics_target', 'max_stack_depth', \
        'transaction_isolation', 'transaction_read_only', 'transaction_deferrable')";

/// Returns to the stored values of what code of users depends on: how it finds functions, and reads and writes values. An
/// index that is rebuilt with other ones would differ from what the sessions of users look for.
pub const USERS_SETTINGS: &str = "RESET search_path; RESET standard_conforming_strings; RESET backslash_quote; \
    RESET array_nulls; RESET transform_null_equals; RESET DateStyle; RESET IntervalStyle; RESET TimeZone; \
    RESET timezone_abbreviations; RESET default_text_search_config; RESET lc_monetary; RESET lc_numeric; RESET lc_time; \
    RESET extra_float_digits; RESET bytea_output; RESET xmlbinary; RESET xmloption; RESET quote_all_identifiers";

/// The same within a transaction, for a query that runs with the rights of a role: without what decides how the query
/// itself is read.
pub const USERS_FORMATS: &str = "RESET DateStyle; RESET IntervalStyle; RESET TimeZone; RESET timezone_abbreviations; \
    RESET default_text_search_config; RESET lc_monetary; RESET lc_numeric; RESET lc_time; RESET extra_float_digits; \
    RESET bytea_output; RESET xmlbinary; RESET xmloption";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_settings_are_read_alike_under_any_stored_settings() {
        // Only the quotes of standard SQL, and nothing that a function of users could shadow before the path is set.
        assert!(!OWN_SETTINGS.contains('\\') && !OWN_SETTINGS.contains('"'));
        assert!(OWN_SETTINGS.starts_with("SET search_path = pg_catalog, pg_temp; "));
    }

    /// Once these are set, their source is the session.
    #[test]
    fn settings_that_are_set_in_any_case_come_before_those_that_are_stored() {
        let statements: Vec<_> = OWN_SETTINGS.split("; ").collect();
        assert_eq!(statements.len(), 3);
        assert!(statements[1].contains("'event_triggers', 'off'") && !statements[1].contains("pg_settings"));
        assert!(statements[2].contains("FROM pg_settings s WHERE EXISTS (SELECT FROM pg_db_role_setting"));
    }

    #[test]
    fn users_settings_include_the_formats_and_the_search_path() {
        let resets = |statements: &'static str| statements.split("; ");
        assert!(resets(USERS_FORMATS).all(|reset| resets(USERS_SETTINGS).any(|other| other == reset)));
        assert_eq!(resets(USERS_SETTINGS).next(), Some("RESET search_path"));
        assert!(resets(USERS_SETTINGS).all(|reset| reset.starts_with("RESET ")));
    }
}
