//! Base systems of images, and the C library that determines the sort order of text in them.

/// Whether a request accepts a change of the base system.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BaseOsChange {
    /// The base systems must be the same.
    #[default]
    Refused,
    /// They may differ if both use the GNU C library: the user takes care of the indexes on text.
    Accepted,
}

/// The C library of a base system. `PostgreSQL` sorts text with it, unless a collation uses ICU.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CLibrary {
    /// The GNU C library. Its sort order depends on the locale, and changes between versions.
    Glibc,
    /// musl, whose sort order is that of the bytes in every locale.
    Musl,
}

const MUSL: [&str; 1] = ["alpine"];

#[rustfmt::skip]
const GLIBC: [&str; 49] = [
    // Debian, by name and by code name.
    "debian", "jessie", "stretch", "buster", "bullseye", "bookworm", "trixie", "forky", "sid",
    // Ubuntu, LTS and interim releases.
    "ubuntu", "trusty", "xenial", "bionic", "focal", "jammy", "lunar", "mantic", "noble", "oracular", "plucky",
    "questing",
    // Red Hat and its derivatives.
    "rhel", "redhat", "ubi", "el", "centos", "fedora", "rocky", "rockylinux", "alma", "almalinux", "oraclelinux",
    "ol", "amazonlinux", "amazon", "amzn", "al",
    // VMware, SUSE, Microsoft, Chainguard.
    "photon", "photonos", "suse", "sles", "opensuse", "leap", "tumbleweed", "bci", "mariner", "azurelinux",
    "wolfi", "clearlinux",
];

/// Parts of a name that do not affect the C library.
const VARIANTS: [&str; 8] = ["slim", "minimal", "micro", "init", "stream", "linux", "lts", "v"];

impl CLibrary {
    /// The C library of a base system by its name in the catalog: `bookworm`, `ubi9-minimal`, `alpine3.20`.
    ///
    /// None for a name with any unknown part: a wrong guess could break every index on text.
    #[must_use]
    pub fn of(base_os: &str) -> Option<Self> {
        let mut library = None;
        let lower = base_os.to_lowercase();
        for word in lower.split(|character: char| !character.is_ascii_alphanumeric()) {
            let word = word.trim_end_matches(|character: char| character.is_ascii_digit());
            let found = match word {
                "" => continue,
                word if VARIANTS.contains(&word) => continue,
                word if GLIBC.contains(&word) => Self::Glibc,
                word if MUSL.contains(&word) => Self::Musl,
                _ => return None,
            };
            if library.replace(found).is_some_and(|other| other != found) {
                return None;
            }
        }
        library
    }
}

/// Whether a database may change from one base system to the other, whose names differ.
pub(super) fn is_accepted(from: &str, to: &str, change: BaseOsChange) -> bool {
    change == BaseOsChange::Accepted
        && [from, to].iter().all(|name| CLibrary::of(name) == Some(CLibrary::Glibc))
}

/// Why a database may not change from one to the other, and what to do instead; the end of a sentence.
pub(super) fn advice(from: &str, to: &str) -> String {
    use CLibrary::{Glibc, Musl};
    let unknown = |name: &str| {
        format!(
            "pgops does not know \"{name}\", so it cannot tell how text is sorted there; correct spec.db.baseOS of \
             that PostgresVersion if it is misspelled, or dump and restore into a new database"
        )
    };
    match (CLibrary::of(from), CLibrary::of(to)) {
        (None, _) => unknown(from),
        (_, None) => unknown(to),
        (Some(Glibc), Some(Glibc)) => format!(
            "another version of the C library may sort text differently, and indexes on text would miss rows; \
             to upgrade anyway and have them rebuilt afterwards, set the annotation {}: \"true\" on the request",
            crate::names::ANNOTATION_ALLOW_BASE_OS_CHANGE
        ),
        (Some(Musl), Some(Musl)) => {
            "pgops accepts another base system only if both use the GNU C library; set the same spec.db.baseOS on \
             both if they are the same system, or dump and restore into a new database"
                .to_owned()
        }
        (Some(Glibc), Some(Musl)) | (Some(Musl), Some(Glibc)) => {
            "their C libraries (glibc and musl) sort text differently, so no index on text could be trusted; dump \
             and restore into a new database instead"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("alpine alpine3.20 alpine-3.20 Alpine", Some(CLibrary::Musl))]
    #[case(
        "debian bookworm bookworm-slim Debian-12.5 debian-bookworm ubuntu22.04 noble ubi9-minimal rhel el9 rocky9 \
         almalinux centos7 centos-stream9 fedora photon5 photon-5.0 amazonlinux2023 amazon-linux-2 al2023 ol8",
        Some(CLibrary::Glibc)
    )]
    #[case("plan9 alpine-glibc debian-musl alpine-debian busybox 12 -", None)]
    fn base_os_names_map_to_their_c_library(#[case] names: &str, #[case] library: Option<CLibrary>) {
        for name in names.split_whitespace() {
            assert_eq!(CLibrary::of(name), library, "{name}");
        }
        assert_eq!(CLibrary::of(""), None);
    }

    #[rstest]
    #[case("debian", "ubi9", true)]
    #[case("bullseye", "bookworm", true)]
    #[case("debian", "alpine", false)]
    #[case("alpine", "debian", false)]
    #[case("alpine3.19", "alpine3.20", false)]
    #[case("debian", "plan9", false)]
    #[case("plan9", "debian", false)]
    fn base_os_change_is_accepted_between_glibc_systems_only(
        #[case] from: &str,
        #[case] to: &str,
        #[case] accepted: bool,
    ) {
        assert_eq!(is_accepted(from, to, BaseOsChange::Accepted), accepted);
        assert!(!is_accepted(from, to, BaseOsChange::Refused));
        assert_eq!(advice(from, to).contains("pgops.dev/allow-base-os-change"), accepted);
    }
}
