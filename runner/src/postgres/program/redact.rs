//! Removes secrets from what programs print.

/// The text without lines that may contain a secret: statements about roles, foreign servers, user mappings and
/// subscriptions up to their end, and every line with a word that suggests one.
#[must_use]
pub fn redact(text: &str) -> String {
    const STATEMENTS: [&str; 5] = [" ROLE ", " USER ", " SERVER ", " SUBSCRIPTION ", " MAPPING "];
    const SIGNS: [&str; 6] = ["password", "passwd", "secret", "token", "_key", "scram-sha-256$"];
    let mut within = false;
    let shown = text.lines().map(|line| {
        // The setting of that name does not contain a password.
        let lower = line.to_lowercase().replace("password_encryption", "");
        let defines = line.contains("CREATE ") || line.contains("ALTER ");
        within |= defines && STATEMENTS.iter().any(|statement| line.contains(statement));
        let is_secret = within || lower.contains("'md5") || SIGNS.iter().any(|sign| lower.contains(sign));
        within &= !line.trim_end().ends_with(';');
        if is_secret { "(redacted: this line may contain a secret)" } else { line }
    });
    shown.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redact_keeps_the_setting_password_encryption() {
        let text = "ERROR:  invalid value for parameter \"password_encryption\": \"on\"";
        assert_eq!(redact(text), text);
    }

    #[test]
    fn redact_removes_passwords() {
        let text = "ALTER ROLE a WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:abc';\nOPTIONS (\"password\" 'hunter2')\n\
                    Command was: CREATE USER MAPPING FOR a SERVER s OPTIONS (\n    aws_id 'hunter2'\n);\nCREATE TABLE t";
        let shown = redact(text);
        assert!(
            !shown.contains("4096") && !shown.contains("hunter2") && shown.ends_with("CREATE TABLE t"),
            "{shown}"
        );
    }
}
