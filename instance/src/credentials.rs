//! The superuser's name and password, mounted from the database's secret.

use std::fs;
use std::io;
use std::path::Path;

use pgops_volume::FileError;

/// The superuser's name and password. No `Debug`, so that they cannot get into a log.
#[derive(Eq, PartialEq)]
pub struct Credentials {
    pub username: String,
    pub password: String,
}

impl Credentials {
    /// Reads the files `username` and `password` of a directory.
    pub fn read(directory: &Path) -> Result<Self, FileError> {
        Ok(Self { username: one_line(directory, "username")?, password: one_line(directory, "password")? })
    }
}

/// initdb reads the first line only, so with a second one the password would silently be another one.
pub fn one_line(directory: &Path, key: &str) -> Result<String, FileError> {
    let path = directory.join(key);
    let text = fs::read_to_string(&path).map_err(FileError::on("read", &path))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    if line.is_empty() || line.contains(['\n', '\r', '\0']) {
        let reason = format!("key \"{key}\" of the database's auth secret must be one line of text");
        return Err(FileError::on("read", &path)(io::Error::new(io::ErrorKind::InvalidData, reason)));
    }
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("s3cret", true)]
    #[case("s3cret\n", true)]
    #[case("", false)]
    #[case("\n", false)]
    #[case("two\nlines", false)]
    fn password_must_be_one_line_and_is_never_in_an_error(#[case] password: &str, #[case] accepted: bool) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("username"), "postgres").unwrap();
        fs::write(directory.path().join("password"), password).unwrap();
        match Credentials::read(directory.path()) {
            Ok(credentials) => {
                assert!(accepted);
                assert_eq!(credentials.password, "s3cret");
            }
            Err(error) => {
                assert!(!accepted);
                let text = format!("{error} {:?}", std::error::Error::source(&error));
                assert!(text.contains("password") && !text.contains("two"), "{text}");
            }
        }
    }
}
