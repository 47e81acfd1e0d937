//! The programs that the gate controls, and what their arguments say.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// A program that changes a data directory, or may promote its server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gated {
    Postgres,
    PgRewind,
    PgBasebackup,
    Initdb,
    PgCtl,
}

impl Gated {
    pub const ALL: [Self; 5] =
        [Self::Postgres, Self::PgRewind, Self::PgBasebackup, Self::Initdb, Self::PgCtl];

    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::PgRewind => "pg_rewind",
            Self::PgBasebackup => "pg_basebackup",
            Self::Initdb => "initdb",
            Self::PgCtl => "pg_ctl",
        }
    }

    pub fn of_name(name: &OsStr) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.name() == name)
    }

    /// The letters of its options that have a value. A long option of the server is the option `-` with a value.
    fn letters_with_a_value(self) -> &'static [u8] {
        match self {
            Self::Postgres => b"BCcDdfhkNprStvW-",
            Self::PgRewind => b"D",
            Self::PgBasebackup => b"cDFhilprsStTUXZ",
            Self::Initdb => b"ADELTUX",
            Self::PgCtl => b"DelmNopPStU",
        }
    }

    /// The long option that names the data directory.
    fn long_option(self) -> Option<&'static str> {
        match self {
            Self::Postgres => None,
            Self::PgRewind => Some("--target-pgdata"),
            Self::PgBasebackup | Self::Initdb | Self::PgCtl => Some("--pgdata"),
        }
    }
}

impl fmt::Display for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The options of one letter in the arguments, as getopt(3) finds them, each with its value if it has one.
pub fn short_options(program: Gated, arguments: &[OsString]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    let mut rest = arguments.iter().map(|argument| argument.as_bytes());
    while let Some(argument) = rest.next() {
        let Some(mut letters) = argument.strip_prefix(b"-").filter(|letters| !letters.is_empty()) else {
            continue;
        };
        if argument == b"--" {
            break;
        }
        if argument.starts_with(b"--") && program != Gated::Postgres {
            continue;
        }
        while let Some((letter, others)) = letters.split_first() {
            if program.letters_with_a_value().contains(letter) {
                let value = if others.is_empty() { rest.next().unwrap_or_default() } else { others };
                found.push((*letter, value.to_vec()));
                break;
            }
            found.push((*letter, Vec::new()));
            letters = others;
        }
    }
    found
}

/// Every directory that the arguments name as the data directory.
pub fn data_directories(program: Gated, arguments: &[OsString]) -> Vec<PathBuf> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for (letter, value) in short_options(program, arguments) {
        match letter {
            b'D' => found.push(value),
            // Of the server: settings. This one overrides the option.
            b'c' | b'-' if program == Gated::Postgres => found.extend(data_directory_setting(&value)),
            _ => {}
        }
    }
    if let Some(option) = program.long_option() {
        let mut rest = arguments.iter().map(|argument| argument.as_bytes());
        while let Some(argument) = rest.next() {
            match argument.strip_prefix(option.as_bytes()) {
                Some([]) => found.extend(rest.next().map(<[u8]>::to_vec)),
                Some([b'=', value @ ..]) => found.push(value.to_vec()),
                _ => {}
            }
        }
    }
    found.into_iter().map(|path| PathBuf::from(OsString::from_vec(path))).collect()
}

/// The value in `data_directory=VALUE`, which the server also accepts in other spellings.
fn data_directory_setting(setting: &[u8]) -> Option<Vec<u8>> {
    let at = setting.iter().position(|byte| *byte == b'=')?;
    let name: Vec<_> = setting[..at].iter().map(u8::to_ascii_lowercase).collect();
    matches!(name.as_slice(), b"data_directory" | b"data-directory").then(|| setting[at + 1..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn directories(program: Gated, line: &str) -> Vec<String> {
        let arguments: Vec<_> = line.split_whitespace().map(OsString::from).collect();
        data_directories(program, &arguments).iter().map(|path| path.display().to_string()).collect()
    }

    #[rstest]
    #[case("-D /a", &["/a"])]
    #[case("-D/a", &["/a"])]
    #[case("-iD /a", &["/a"])]
    #[case("--single -D /a -c archive_mode=on template1", &["/a"])]
    #[case("-D /a --config-file=/run/c --listen_addresses=*", &["/a"])]
    #[case("-D /a -c data_directory=/b", &["/a", "/b"])]
    #[case("-D /a -cdata_directory=/b", &["/a", "/b"])]
    #[case("-D /a --data-directory=/b --Data_Directory=/c", &["/a", "/b", "/c"])]
    #[case("-k -D -D /a", &["/a"])]
    #[case("-c work_mem=1MB", &[])]
    fn data_directory_of_a_server_is_found_in_every_spelling(#[case] line: &str, #[case] expected: &[&str]) {
        assert_eq!(directories(Gated::Postgres, line), expected);
    }

    #[rstest]
    #[case(Gated::PgRewind, "-D /a --source-server host=b", &["/a"])]
    #[case(Gated::PgRewind, "--target-pgdata=/a", &["/a"])]
    #[case(Gated::PgBasebackup, "--pgdata=/a -X stream --dbname=x", &["/a"])]
    #[case(Gated::PgBasebackup, "--pgdata /a -PD /b", &["/b", "/a"])]
    #[case(Gated::PgBasebackup, "-U D", &[])]
    #[case(Gated::PgCtl, "promote -D /a -W", &["/a"])]
    #[case(Gated::PgCtl, "-W --pgdata=/a promote -t 5", &["/a"])]
    fn data_directory_of_the_other_programs_is_found(
        #[case] program: Gated,
        #[case] line: &str,
        #[case] expected: &[&str],
    ) {
        assert_eq!(directories(program, line), expected);
    }

    #[test]
    fn programs_are_known_by_their_names() {
        for program in Gated::ALL {
            assert_eq!(Gated::of_name(OsStr::new(program.name())), Some(program));
        }
        assert_eq!(Gated::of_name(OsStr::new("pgops-instance")), None);
    }
}
