//! What a client is about to execute.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::program::{Gated, data_directories, short_options};

/// Longest request, in bytes. The command line of a server has a few hundred.
pub const MAX_REQUEST: usize = 64 * 1024;

/// First byte of an answer: the descriptors come with it.
pub const GRANTED: u8 = b'G';
/// First byte of an answer: the reason follows, as text.
pub const REFUSED: u8 = b'R';

/// A program and its arguments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    pub program: Gated,
    pub arguments: Vec<OsString>,
}

/// Why bytes are not a request.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestError {
    #[error("the request is longer than {MAX_REQUEST} bytes")]
    TooLong,
    #[error("the request names no program that the gate controls")]
    UnknownProgram,
}

impl Request {
    /// Its form on the socket, after its length: the program and the arguments, each with a NUL after it, which none of them can
    /// contain.
    pub fn encode(&self) -> Result<Vec<u8>, RequestError> {
        let parts =
            [OsStr::new(self.program.name())].into_iter().chain(self.arguments.iter().map(AsRef::as_ref));
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(part.as_bytes());
            bytes.push(0);
        }
        if bytes.len() > MAX_REQUEST { Err(RequestError::TooLong) } else { Ok(bytes) }
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() > MAX_REQUEST {
            return Err(RequestError::TooLong);
        }
        let mut words =
            bytes.strip_suffix(&[0]).ok_or(RequestError::UnknownProgram)?.split(|byte| *byte == 0);
        let name = OsStr::from_bytes(words.next().unwrap_or_default());
        let program = Gated::of_name(name).ok_or(RequestError::UnknownProgram)?;
        Ok(Self { program, arguments: words.map(|word| OsString::from_vec(word.to_vec())).collect() })
    }

    /// Whether PID 1 is asked before the program is executed.
    pub fn is_asked(&self) -> bool {
        match self.program {
            Gated::PgCtl => self.promotes(),
            Gated::Postgres | Gated::PgRewind | Gated::PgBasebackup | Gated::Initdb => !self.only_prints(),
        }
    }

    /// Whether it may promote the server. The word may be the value of an option too, which costs a question.
    fn promotes(&self) -> bool {
        self.arguments.iter().any(|argument| argument.as_bytes() == b"promote")
    }

    /// Whether the program only prints something, such as its version or a setting.
    fn only_prints(&self) -> bool {
        let first = self.arguments.first().map(|argument| argument.as_bytes());
        match first {
            Some(b"--help" | b"-?" | b"--version" | b"-V") => true,
            Some(b"--describe-config") => self.program == Gated::Postgres,
            _ => {
                self.program == Gated::Postgres
                    && short_options(self.program, &self.arguments).iter().any(|(letter, _)| *letter == b'C')
            }
        }
    }

    /// The arguments with which the program is executed once it may. Without the setting, the configuration that a server reads
    /// could name the data of another version than its arguments.
    pub fn bound_arguments(&self) -> Vec<OsString> {
        let mut arguments = self.arguments.clone();
        let named = data_directories(self.program, &self.arguments);
        if let (Gated::Postgres, Some(data)) = (self.program, named.first()) {
            let is_first = |word: &OsString| word.as_bytes() == b"--single";
            let at = usize::from(arguments.first().is_some_and(is_first));
            let mut setting = OsString::from("data_directory=");
            setting.push(data);
            arguments.splice(at..at, [OsString::from("-c"), setting]);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn request(program: Gated, line: &str) -> Request {
        Request { program, arguments: line.split_whitespace().map(OsString::from).collect() }
    }

    #[test]
    fn request_survives_the_socket_whatever_its_arguments_are() {
        let odd = OsString::from_vec(vec![b'-', 0xff, b'\n']);
        let arguments = vec![OsString::new(), odd, OsString::from("a b")];
        for arguments in [Vec::new(), arguments] {
            let request = Request { program: Gated::PgRewind, arguments };
            assert_eq!(Request::decode(&request.encode().unwrap()), Ok(request));
        }
    }

    #[test]
    fn request_of_another_program_or_length_is_refused() {
        for bytes in [b"".as_slice(), b"\0", b"sh\0-c\0", b"postgres", b"\xff\0"] {
            assert_eq!(Request::decode(bytes), Err(RequestError::UnknownProgram), "{bytes:?}");
        }
        let long =
            Request { program: Gated::Postgres, arguments: vec![OsString::from("x".repeat(MAX_REQUEST))] };
        assert_eq!(long.encode(), Err(RequestError::TooLong));
        assert_eq!(Request::decode(&vec![0; MAX_REQUEST + 1]), Err(RequestError::TooLong));
    }

    #[rstest]
    #[case(Gated::Postgres, "--version", true)]
    #[case(Gated::Postgres, "-V", true)]
    #[case(Gated::Postgres, "--describe-config", true)]
    #[case(Gated::Postgres, "-D /var/pv/17/data -C hba_file --config-file=/c", true)]
    #[case(Gated::Postgres, "-D /var/pv/17/data", false)]
    #[case(Gated::Postgres, "--single -D /var/pv/17/data template1", false)]
    // The value of an option, and arguments that the server would not take for a question.
    #[case(Gated::Postgres, "-D /var/pv/17/data -c -C", false)]
    #[case(Gated::Postgres, "-D /var/pv/17/data --version", false)]
    #[case(Gated::Postgres, "", false)]
    #[case(Gated::PgRewind, "--help", true)]
    #[case(Gated::PgRewind, "-D /var/pv/17/data", false)]
    #[case(Gated::PgBasebackup, "--pgdata=/var/pv/17/data -C -S slot", false)]
    #[case(Gated::PgBasebackup, "-V", true)]
    #[case(Gated::PgCtl, "kill QUIT 4711", true)]
    #[case(Gated::PgCtl, "reload -D /var/pv/17/data", true)]
    #[case(Gated::PgCtl, "promote -D /var/pv/17/data -W", false)]
    #[case(Gated::PgCtl, "-W -D /var/pv/17/data promote", false)]
    fn program_that_needs_no_question_is_recognised(
        #[case] program: Gated,
        #[case] line: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(request(program, line).is_asked(), !expected);
    }

    #[rstest]
    #[case(Gated::Postgres, "-D /d", "-c data_directory=/d -D /d")]
    #[case(Gated::Postgres, "--single -D /d template1", "--single -c data_directory=/d -D /d template1")]
    #[case(Gated::PgRewind, "-D /d", "-D /d")]
    fn server_is_bound_to_its_data_directory_whatever_it_reads(
        #[case] program: Gated,
        #[case] line: &str,
        #[case] expected: &str,
    ) {
        let arguments = request(program, line).bound_arguments();
        assert_eq!(arguments.join(OsStr::new(" ")), expected);
    }
}
