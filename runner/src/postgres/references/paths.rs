//! Paths in settings, options and commands. A relative one begins in the data directory, where a server runs.

/// The paths in a text that lead into a directory, or are its own.
#[must_use]
pub fn paths_below<'a>(text: &'a str, directory: &str) -> Vec<&'a str> {
    let is_in_name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    let path = |(at, _): (usize, &str)| {
        let (before, rest) = text.split_at_checked(at)?;
        let after = rest.get(directory.len()..)?;
        if before.ends_with(is_in_name) || after.starts_with(is_in_name) {
            return None;
        }
        let end = rest.find(|c: char| c.is_whitespace() || "'\"`,:;|&<>()".contains(c));
        rest.get(..end.unwrap_or(rest.len()))
    };
    text.match_indices(directory).filter_map(path).collect()
}

/// The files and directories that a shell command may name relative to the data directory. Many a word with a slash is none: the
/// caller looks whether they exist. `pg_wal` does in every data directory.
#[must_use]
pub fn relative_files(command: &str) -> Vec<&str> {
    let words = command.split(|c: char| c.is_whitespace() || ";|&<>()'\"`".contains(c));
    words.filter_map(relative_file).collect()
}

fn relative_file(word: &str) -> Option<&str> {
    let start = word.rfind('=').map_or(0, |equals| equals + 1);
    let word = word.get(start..)?;
    let is_elsewhere = word.starts_with(['/', '%', '$', '~', '-']) || word.contains(':');
    if is_elsewhere || !word.contains('/') || word.starts_with("pg_wal/") {
        return None;
    }
    // The directory of what the server names, as in `archive/%f`.
    match word.split_once('%') {
        Some((fixed, _)) => fixed.rsplit_once('/').map(|(directory, _)| directory),
        None => Some(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = "/var/pv/13/data";

    #[rstest::rstest]
    #[case::directory("/var/pv/13/data/log", &["/var/pv/13/data/log"])]
    #[case::itself("cd /var/pv/13/data && ./push %p", &["/var/pv/13/data"])]
    #[case::command("cp %p \"/var/pv/13/data/arch/%f\"", &["/var/pv/13/data/arch/%f"])]
    #[case::list("$libdir:/var/pv/13/data/lib:/opt/lib", &["/var/pv/13/data/lib"])]
    #[case::option("push --to=/var/pv/13/data/arch;true", &["/var/pv/13/data/arch"])]
    #[case::several("test /var/pv/13/data/a && cp /var/pv/13/data/b", &["/var/pv/13/data/a", "/var/pv/13/data/b"])]
    #[case::longer_name("/var/pv/13/data2/log", &[])]
    #[case::deeper("/backup/var/pv/13/data/log", &[])]
    #[case::other("/var/pv/archive/%f", &[])]
    fn paths_below_the_data_directory_are_found(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(paths_below(text, DATA), expected);
    }

    #[rstest::rstest]
    #[case::directory("cp %p arch/%f", &["arch"])]
    #[case::above("test ! -f ../arch/%f && cp %p ../arch/%f", &["../arch", "../arch"])]
    #[case::script("./push.sh %p", &["./push.sh"])]
    #[case::option("push --config=conf/push.yml %p", &["conf/push.yml"])]
    #[case::quoted("cp '%p' \"my arch/%f\"", &["arch"])]
    #[case::absolute("cp %p /archive/%f", &[])]
    #[case::elsewhere("scp %p host:arch/%f && aws s3 cp %p s3://bucket/%f", &[])]
    #[case::own("cp pg_wal/%f $HOME/arch/%f", &[])]
    #[case::words("pgbackrest --stanza=demo archive-push %p", &[])]
    fn relative_files_of_a_command_are_found(#[case] command: &str, #[case] expected: &[&str]) {
        assert_eq!(relative_files(command), expected);
    }
}
