//! Lines with a secret: whatever else they say, they are not shown.

/// The text without lines that may contain a secret: statements about roles, foreign servers, user mappings and
/// subscriptions up to their end, and every line with a word that suggests one.
#[must_use]
pub fn hide_secrets(text: &str) -> String {
    const STATEMENTS: [&str; 5] = [" ROLE ", " USER ", " SERVER ", " SUBSCRIPTION ", " MAPPING "];
    const SIGNS: [&str; 5] = ["password", "passwd", "secret", "token", "scram-sha-256$"];
    let mut within = false;
    let shown = text.lines().map(|line| {
        // The setting of that name does not contain a password.
        let lower = line.to_lowercase().replace("password_encryption", "");
        let defines = line.contains("CREATE ") || line.contains("ALTER ");
        within |= defines && STATEMENTS.iter().any(|statement| line.contains(statement));
        // Without a literal it is a name, like those that the server gives to unique constraints.
        let has_value = |(at, key): (usize, &str)| {
            lower[at + key.len()..].trim_start_matches(['"', ' ', '=']).starts_with('\'')
        };
        let has_key = lower.match_indices("_key").any(has_value);
        let is_secret =
            within || has_key || lower.contains("'md5") || SIGNS.iter().any(|sign| lower.contains(sign));
        within &= !line.trim_end().ends_with(';');
        if is_secret { "(redacted: this line may contain a secret)" } else { line }
    });
    shown.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hide_secrets_keeps_the_setting_password_encryption() {
        let text = "ERROR:  invalid value for parameter \"password_encryption\": \"on\"";
        assert_eq!(hide_secrets(text), text);
    }

    #[test]
    fn hide_secrets_keeps_the_name_of_a_unique_constraint() {
        let text = "CREATE UNIQUE INDEX \"users_email_key\" ON \"users\" (\"email\") WHERE a <> 'x'";
        assert_eq!(hide_secrets(text), text);
        for option in ["access_key 'hunter2'", "\"access_key\" 'hunter2'", "access_key='hunter2'"] {
            assert!(!hide_secrets(option).contains("hunter2"), "{option}");
        }
    }

    #[test]
    fn hide_secrets_removes_passwords() {
        let text = "ALTER ROLE a WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:abc';\nOPTIONS (\"password\" 'hunter2')\n\
                    Command was: CREATE USER MAPPING FOR a SERVER s OPTIONS (\n    aws_id 'hunter2'\n);\nCREATE TABLE t";
        let shown = hide_secrets(text);
        assert!(
            !shown.contains("4096") && !shown.contains("hunter2") && shown.ends_with("CREATE TABLE t"),
            "{shown}"
        );
    }
}
