//! What the makers of extensions say about an upgrade of `PostgreSQL`.

/// What helps if the target rejects objects of an extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Help {
    /// It has no data of its own, and none of its versions is updated to another: it is dropped before the upgrade, and
    /// created afterwards.
    DropAndCreate,
    /// What [`Known::advice`] says.
    Advice,
}

/// An extension that needs more than an update.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Known {
    pub name: &'static str,
    pub help: Help,
    /// What to do, or why that helps.
    pub advice: &'static str,
    /// Who says so.
    pub source: &'static str,
}

/// What is known of an extension, if anything.
#[must_use]
pub fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

const POSTGIS: &str = "SELECT postgis_extensions_upgrade() in the old version updates PostGIS and all extensions of its \
                       family to the newest version of the serving image";
const POSTGIS_SOURCE: &str = "https://postgis.net/docs/PostGIS_Extensions_Upgrade.html";

const KNOWN: &[Known] = &[
    Known {
        name: "citus",
        help: Help::Advice,
        advice: "SELECT citus_prepare_pg_upgrade() on every node before the upgrade, and SELECT citus_finish_pg_upgrade() \
                 afterwards, with the same version of Citus in both images: its metadata is in pg_catalog, which \
                 pg_upgrade does not carry over",
        source: "https://docs.citusdata.com/en/latest/admin_guide/upgrading_citus.html",
    },
    Known {
        name: "debversion",
        help: Help::Advice,
        advice: "its operator > names >= as its negator, which 17 and newer reject, and no version for older ones corrects \
                 that; as a superuser, UPDATE pg_operator g SET oprnegate = l.oid FROM pg_operator l WHERE g.oprname = '>' \
                 AND l.oprname = '<=' AND g.oprleft = 'debversion'::regtype AND (g.oprright, l.oprleft, l.oprright) = \
                 (g.oprleft, g.oprleft, g.oprleft)",
        source: "https://salsa.debian.org/postgresql/postgresql-debversion",
    },
    Known {
        name: "hypopg",
        help: Help::DropAndCreate,
        advice: "hypothetical indexes end with their session",
        source: "https://github.com/HypoPG/hypopg#updating-the-extension",
    },
    Known {
        name: "pg_cron",
        help: Help::Advice,
        advice: "ALTER EXTENSION pg_cron UPDATE in the old version; its jobs are rows of its table cron.job, which a DROP \
                 EXTENSION would delete",
        source: "https://github.com/citusdata/pg_cron",
    },
    Known {
        name: "pg_partman",
        help: Help::Advice,
        advice: "ALTER EXTENSION pg_partman UPDATE in the old version, to the newest of its major version: its \
                 configuration is in its tables, which a DROP EXTENSION would delete; 5 has no trigger-based \
                 partitioning any more, and its own instructions lead there",
        source: "https://github.com/pgpartman/pg_partman/tree/master/doc",
    },
    Known {
        name: "pg_repack",
        help: Help::DropAndCreate,
        advice: "its makers provide no updates",
        source: "https://reorg.github.io/pg_repack/#installation",
    },
    Known {
        name: "pgaudit",
        help: Help::DropAndCreate,
        advice: "each of its versions is for one major version of PostgreSQL, and its settings are not part of it",
        source: "https://github.com/pgaudit/pgaudit#postgresql-version-compatibility",
    },
    Known {
        name: "pglogical",
        help: Help::Advice,
        advice: "ALTER EXTENSION pglogical UPDATE in the old version; if that does not help, note its nodes, replication sets \
                 and subscriptions, drop them with it, and create all of them afterwards: replication slots of versions before 17 \
                 do not survive an upgrade anyway",
        source: "https://github.com/2ndQuadrant/pglogical",
    },
    Known { name: "postgis", help: Help::Advice, advice: POSTGIS, source: POSTGIS_SOURCE },
    Known { name: "postgis_raster", help: Help::Advice, advice: POSTGIS, source: POSTGIS_SOURCE },
    Known { name: "postgis_sfcgal", help: Help::Advice, advice: POSTGIS, source: POSTGIS_SOURCE },
    Known { name: "postgis_tiger_geocoder", help: Help::Advice, advice: POSTGIS, source: POSTGIS_SOURCE },
    Known { name: "postgis_topology", help: Help::Advice, advice: POSTGIS, source: POSTGIS_SOURCE },
    Known {
        name: "timescaledb",
        help: Help::Advice,
        advice: "ALTER EXTENSION timescaledb UPDATE, as the first statement of a session, to the version of the target image: \
                 both images must have the same",
        source: "https://docs.timescale.com/self-hosted/latest/upgrades/upgrade-pg/",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_extensions_are_sorted_and_have_a_source() {
        assert!(KNOWN.is_sorted_by(|one, next| one.name < next.name));
        for known in KNOWN {
            assert!(known.source.starts_with("https://"), "{}", known.name);
            assert!(!known.advice.is_empty() && !known.advice.ends_with('.'), "{}", known.name);
        }
    }

    #[test]
    fn extension_that_is_not_known_has_no_advice() {
        assert_eq!(known("hstore"), None);
        assert_eq!(known("pg_repack").map(|known| known.help), Some(Help::DropAndCreate));
    }
}
