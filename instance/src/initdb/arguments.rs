//! The arguments of initdb.

use std::path::Path;
use std::str::FromStr;

/// Arguments of initdb that the user has set in `POSTGRES_INITDB_ARGS`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Arguments(Vec<String>);

/// Why the arguments cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArgumentsError {
    #[error(
        "failed to split POSTGRES_INITDB_ARGS {0:?} into arguments: it has an unmatched quote or a trailing backslash"
    )]
    Quotes(String),
    /// An option that pgops sets.
    #[error(
        "{0:?} in POSTGRES_INITDB_ARGS is not allowed: pgops sets the data directory, the superuser and its password; \
         remove it"
    )]
    Reserved(String),
}

const RESERVED: [&str; 7] =
    ["--pgdata", "--username", "--pwfile", "--pwprompt", "--waldir", "--show", "--sync-only"];
const RESERVED_SHORT: [char; 6] = ['D', 'U', 'W', 'X', 's', 'S'];

impl FromStr for Arguments {
    type Err = ArgumentsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = shlex::split(text).ok_or_else(|| ArgumentsError::Quotes(text.to_owned()))?;
        let reserved = |word: &&String| {
            let long = word.split('=').next().unwrap_or_default();
            let short = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
            RESERVED.contains(&long) || short.is_some_and(|rest| rest.starts_with(RESERVED_SHORT))
        };
        match words.iter().find(reserved) {
            Some(word) => Err(ArgumentsError::Reserved(word.clone())),
            None => Ok(Self(words)),
        }
    }
}

impl Arguments {
    fn has_any(&self, options: &[&str]) -> bool {
        self.0.iter().any(|word| options.iter().any(|option| word.starts_with(option)))
    }

    /// All arguments of initdb: pgops' own first, so that the user's take precedence if initdb uses the last one.
    ///
    /// Before 18, checksums are off by default, and initdb does not know the option that turns them off.
    pub fn complete(&self, major: u32, target: &Path, username: &str, password_file: &Path) -> Vec<String> {
        let mut all = vec![
            format!("--pgdata={}", target.display()),
            format!("--username={username}"),
            format!("--pwfile={}", password_file.display()),
            "--auth-local=trust".to_owned(),
            "--auth-host=scram-sha-256".to_owned(),
        ];
        if !self.has_any(&["--locale", "--no-locale", "--lc-", "--encoding", "-E"]) {
            all.extend(["--encoding=UTF8".to_owned(), "--locale=C.UTF-8".to_owned()]);
        }
        let no_checksums = "--no-data-checksums";
        if !self.has_any(&[no_checksums]) {
            all.push("--data-checksums".to_owned());
        }
        all.extend(self.0.iter().filter(|word| major >= 18 || *word != no_checksums).cloned());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn complete(major: u32, given: &str) -> String {
        let arguments: Arguments = given.parse().unwrap();
        arguments.complete(major, Path::new("/t"), "postgres", Path::new("/p"))[5..].join(" ")
    }

    #[rstest]
    #[case(13, "", "--encoding=UTF8 --locale=C.UTF-8 --data-checksums")]
    #[case(18, "", "--encoding=UTF8 --locale=C.UTF-8 --data-checksums")]
    #[case(17, "--no-data-checksums", "--encoding=UTF8 --locale=C.UTF-8")]
    #[case(18, "--no-data-checksums", "--encoding=UTF8 --locale=C.UTF-8 --no-data-checksums")]
    #[case(13, "-E LATIN1 --locale=C", "--data-checksums -E LATIN1 --locale=C")]
    #[case(17, "--lc-collate='de_DE.utf8'", "--data-checksums --lc-collate=de_DE.utf8")]
    #[case(15, "--wal-segsize=64", "--encoding=UTF8 --locale=C.UTF-8 --data-checksums --wal-segsize=64")]
    fn defaults_apply_only_to_what_the_user_has_not_set(
        #[case] major: u32,
        #[case] given: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(complete(major, given), expected);
    }

    #[rstest]
    #[case("-D /elsewhere", "-D")]
    #[case("-k --pgdata=/elsewhere", "--pgdata=/elsewhere")]
    #[case("--username=root", "--username=root")]
    #[case("-Uroot", "-Uroot")]
    #[case("--waldir /wal", "--waldir")]
    #[case("--locale='C", "--locale='C")]
    fn reserved_or_malformed_argument_is_refused_and_named(#[case] given: &str, #[case] named: &str) {
        let error = given.parse::<Arguments>().unwrap_err().to_string();
        assert!(error.contains(&format!("{named:?}")), "{error}");
    }
}
