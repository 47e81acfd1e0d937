//! Names and values as they are written in statements and connection strings.

/// A name as an SQL identifier.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value as an SQL string literal.
#[must_use]
pub fn literal(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A libpq connection string for a database, whose name may contain any character.
#[must_use]
pub fn conninfo(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conninfo_quotes_any_database_name() {
        assert_eq!(conninfo("shop"), "dbname='shop'");
        assert_eq!(conninfo(r"it's = a \ name"), r"dbname='it\'s = a \\ name'");
    }
}
