//! Security fixes of `PostgreSQL` since August 2024, one entry for each round of releases. Older minor releases of the
//! same major version are vulnerable.
//!
//! To review at each round of releases: <https://www.postgresql.org/support/security/>. Then `REVIEWED` moves on too.

/// The newest minor release of each major version that this list was compared with.
#[cfg(test)]
pub(super) const REVIEWED: [(u32, u32); 6] = [(13, 23), (14, 24), (15, 19), (16, 15), (17, 11), (18, 6)];

/// What a vulnerability concerns in an upgrade.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Concern {
    /// Any use of the release, so it is avoided as a target.
    Target,
    /// The dump and restore of an upgrade, also by the source: its server lacks what the fixed programs rely on.
    TargetAndSource,
}

/// Vulnerabilities that one round of releases fixed.
#[derive(Debug)]
pub(super) struct Advisory {
    /// Where they are announced.
    pub(super) announcement: &'static str,
    pub(super) concern: Concern,
    /// The gravest of them, as a sentence without a full stop.
    pub(super) symptom: &'static str,
    /// The first minor release without them, for each major version that was affected.
    pub(super) fixed: &'static [(u32, u32)],
}

/// The first one of a release is named: those that concern the upgrade's own dump and restore come first, newer ones
/// before older ones.
pub(super) static ADVISORIES: [Advisory; 9] = [
    Advisory {
        announcement: "https://www.postgresql.org/about/news/postgresql-176-1610-1514-1419-1322-and-18-beta-3-released-3118/",
        concern: Concern::Target,
        symptom: "restoring its dumps, as an upgrade does, may run code of the dumped server's users \
                  (CVE-2025-8714, CVE-2025-8715)",
        fixed: &[(13, 22), (14, 19), (15, 14), (16, 10), (17, 6)],
    },
    Advisory {
        announcement: "https://www.postgresql.org/about/news/postgresql-164-158-1413-1316-1220-and-17-beta-3-released-2910/",
        concern: Concern::TargetAndSource,
        symptom: "a user who may create objects can run SQL as the superuser who dumps, as an upgrade does \
                  (CVE-2024-7348)",
        fixed: &[(12, 20), (13, 16), (14, 13), (15, 8), (16, 4)],
    },
    Advisory {
        announcement: "https://www.postgresql.org/about/news/postgresql-184-1710-1614-1518-and-1423-released-3297/",
        concern: Concern::Target,
        symptom: "users may run code in the server, and a server in pg_dump (CVE-2026-6473, CVE-2026-6477 and others)",
        fixed: &[(14, 23), (15, 18), (16, 14), (17, 10), (18, 4)],
    },
    Advisory {
        announcement: "https://www.postgresql.org/about/news/postgresql-186-1711-1615-1519-1424-and-19-beta-3-released-3365/",
        concern: Concern::Target,
        symptom: "users may run code in the server by to_char or a replication slot (CVE-2026-14669, CVE-2026-6471 and \
                  others)",
        fixed: &[(14, 24), (15, 19), (16, 15), (17, 11), (18, 6)],
    },
    Advisory {
        announcement: "https://www.postgresql.org/about/news/postgresql-182-178-1612-1516-and-1421-released-3235/",
        concern: Concern::Target,
        symptom: "users may run code in the server by multibyte text, intarray or pgcrypto (CVE-2026-2004 to 2006)",
        fixed: &[(14, 21), (15, 16), (16, 12), (17, 8), (18, 2)],
    },
    Advisory {
        announcement: "https://www.postgresql.org/about/news/postgresql-181-177-1611-1515-1420-and-1323-released-3171/",
        concern: Concern::Target,
        symptom: "its libpq may write out of bounds, and CREATE STATISTICS ignores privileges (CVE-2025-12817, \
                  CVE-2025-12818)",
        fixed: &[(13, 23), (14, 20), (15, 15), (16, 11), (17, 7), (18, 1)],
    },
    Advisory {
        announcement: "https://www.postgresql.org/about/news/postgresql-175-169-1513-1418-and-1321-released-3072/",
        concern: Concern::Target,
        symptom: "text in GB18030 may crash the server or a client (CVE-2025-4207)",
        fixed: &[(13, 21), (14, 18), (15, 13), (16, 9), (17, 5)],
    },
    Advisory {
        announcement: "https://www.postgresql.org/about/news/postgresql-173-167-1511-1416-and-1319-released-3015/",
        concern: Concern::Target,
        symptom: "invalid text that psql or libpq has quoted may inject SQL (CVE-2025-1094)",
        fixed: &[(13, 19), (14, 16), (15, 11), (16, 7), (17, 3)],
    },
    Advisory {
        announcement: "https://www.postgresql.org/about/news/postgresql-171-165-159-1414-1317-and-1221-released-2955/",
        concern: Concern::Target,
        symptom: "users may run code by PL/Perl, or see rows that a policy hides (CVE-2024-10976 to 10979)",
        fixed: &[(12, 21), (13, 17), (14, 14), (15, 9), (16, 5), (17, 1)],
    },
];
