//! What pgops refuses to access on a volume.

use std::io;
use std::path::PathBuf;

use rustix::fs::FileType;

/// Why an entry of a [`Tree`](crate::Tree) is not accessed: it may have been put there so that pgops reads or writes
/// something else, or waits forever.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it is not below {}", .0.display())]
    Outside(PathBuf),
    #[error("\"{0}\" is a symbolic link, which pgops does not follow on a volume: remove the link")]
    Link(String),
    #[error("it is a {0}, not a regular file: remove it")]
    NotRegular(&'static str),
    #[error("it is a hard link to a file that has another name too: remove it")]
    HardLink,
    #[error("it is larger than {0} bytes, unlike any file of pgops: remove it")]
    TooLarge(u64),
    #[error("it has more than {0} entries")]
    TooManyEntries(usize),
    #[error("its directories are nested more than {0} levels deep")]
    TooDeep(usize),
}

impl Refused {
    pub(crate) fn not_regular(kind: FileType) -> Self {
        Self::NotRegular(match kind {
            FileType::Directory => "directory",
            FileType::Fifo => "FIFO",
            FileType::Socket => "socket",
            FileType::CharacterDevice | FileType::BlockDevice => "device",
            _ => "special file",
        })
    }
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        Self::new(io::ErrorKind::InvalidInput, refused)
    }
}
