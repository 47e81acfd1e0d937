//! What the makers of extensions say about an upgrade of `PostgreSQL`, as far as pgops knows it by itself.

use pgops_api::postgresversion::{FunctionName, UpdateBeforeUpgrade};

/// What an extension needs after its update.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum FollowUp {
    #[default]
    Nothing,
    /// A function of the extension, which the catalog entry names: pgops runs it.
    Run(FunctionName),
    /// A statement without which the extension does not work: an operator runs it.
    Operator(&'static str),
    /// A statement that helps in some cases.
    Recommended(&'static str),
}

/// An extension that needs more than an update.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BuiltIn {
    pub name: &'static str,
    /// If the target rejects its objects: it has no data of its own, and none of its versions is updated to another, so it
    /// is dropped before the upgrade, and created afterwards.
    pub recreate: bool,
    /// What to do if the target rejects its objects, or why dropping it helps.
    pub advice: &'static str,
    /// Who says so.
    pub source: &'static str,
    pub update_before_upgrade: Option<UpdateBeforeUpgrade>,
    /// What it needs after its update.
    pub follow_up: FollowUp,
}

const POSTGIS: &str = "SELECT postgis_extensions_upgrade() in the old version updates PostGIS and all extensions of its \
                       family to the newest version of the serving image";
const POSTGIS_SOURCE: &str = "https://postgis.net/docs/PostGIS_Extensions_Upgrade.html";

/// All of them, by name.
pub fn built_in() -> Vec<BuiltIn> {
    vec![
        BuiltIn {
            name: "citus",
            advice: "SELECT citus_prepare_pg_upgrade() on every node before the upgrade, and SELECT citus_finish_pg_upgrade() \
                 afterwards, with the same version of Citus in both images: its metadata is in pg_catalog, which \
                 pg_upgrade does not carry over",
            source: "https://docs.citusdata.com/en/latest/admin_guide/upgrading_citus.html",
            follow_up: FollowUp::Operator("SELECT citus_finish_pg_upgrade()"),
            ..BuiltIn::default()
        },
        BuiltIn {
            name: "debversion",
            advice: "its operator > names >= as its negator, which 17 and newer reject, and no version for older ones corrects \
                 that; as a superuser, UPDATE pg_operator g SET oprnegate = l.oid FROM pg_operator l WHERE g.oprname = '>' \
                 AND l.oprname = '<=' AND g.oprleft = 'debversion'::regtype AND (g.oprright, l.oprleft, l.oprright) = \
                 (g.oprleft, g.oprleft, g.oprleft)",
            source: "https://salsa.debian.org/postgresql/postgresql-debversion",
            ..BuiltIn::default()
        },
        BuiltIn {
            name: "hypopg",
            recreate: true,
            advice: "hypothetical indexes end with their session",
            source: "https://github.com/HypoPG/hypopg#updating-the-extension",
            ..BuiltIn::default()
        },
        BuiltIn {
            name: "pg_cron",
            advice: "ALTER EXTENSION pg_cron UPDATE in the old version; its jobs are rows of its table cron.job, which a DROP \
                 EXTENSION would delete",
            source: "https://github.com/citusdata/pg_cron",
            ..BuiltIn::default()
        },
        BuiltIn {
            name: "pg_partman",
            advice: "ALTER EXTENSION pg_partman UPDATE in the old version, to the newest of its major version: its \
                 configuration is in its tables, which a DROP EXTENSION would delete; 5 has no trigger-based \
                 partitioning any more, and its own instructions lead there",
            source: "https://github.com/pgpartman/pg_partman/tree/master/doc",
            ..BuiltIn::default()
        },
        BuiltIn {
            name: "pg_repack",
            recreate: true,
            advice: "its makers provide no updates",
            source: "https://reorg.github.io/pg_repack/#installation",
            ..BuiltIn::default()
        },
        BuiltIn {
            name: "pgaudit",
            recreate: true,
            advice: "each of its versions is for one major version of PostgreSQL, and its settings are not part of it",
            source: "https://github.com/pgaudit/pgaudit#postgresql-version-compatibility",
            ..BuiltIn::default()
        },
        BuiltIn {
            name: "pglogical",
            advice: "ALTER EXTENSION pglogical UPDATE in the old version; if that does not help, note its nodes, replication sets \
                 and subscriptions, drop them with it, and create all of them afterwards: replication slots of versions before 17 \
                 do not survive an upgrade anyway",
            source: "https://github.com/2ndQuadrant/pglogical",
            ..BuiltIn::default()
        },
        BuiltIn {
            name: "postgis",
            advice: POSTGIS,
            source: POSTGIS_SOURCE,
            // It also creates extensions from what it takes for unpackaged parts of PostGIS (postgis/postgis.sql.in, "found
            // unpackaged, we package it"), by the names of functions and types in any schema: as superuser it could adopt what an
            // ordinary role has made.
            follow_up: FollowUp::Recommended(
                "SELECT postgis_extensions_upgrade() (where postgis_topology gets version 3.6, see FixCorruptTopoGeometryColumn \
                 first)",
            ),
            ..BuiltIn::default()
        },
        BuiltIn { name: "postgis_raster", advice: POSTGIS, source: POSTGIS_SOURCE, ..BuiltIn::default() },
        BuiltIn { name: "postgis_sfcgal", advice: POSTGIS, source: POSTGIS_SOURCE, ..BuiltIn::default() },
        BuiltIn {
            name: "postgis_tiger_geocoder",
            advice: POSTGIS,
            source: POSTGIS_SOURCE,
            ..BuiltIn::default()
        },
        BuiltIn { name: "postgis_topology", advice: POSTGIS, source: POSTGIS_SOURCE, ..BuiltIn::default() },
        BuiltIn {
            name: "timescaledb",
            advice: "ALTER EXTENSION timescaledb UPDATE, as the first statement of a session, to the version of the target image: \
                 both images must have the same",
            source: "https://docs.timescale.com/self-hosted/latest/upgrades/upgrade-pg/",
            update_before_upgrade: Some(UpdateBeforeUpgrade::SameAsTarget),
            ..BuiltIn::default()
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_extensions_are_sorted_and_have_a_source() {
        let built_in = built_in();
        assert!(built_in.is_sorted_by(|one, next| one.name < next.name));
        for known in built_in {
            assert!(known.source.starts_with("https://"), "{}", known.name);
            assert!(!known.advice.is_empty() && !known.advice.ends_with('.'), "{}", known.name);
        }
    }
}
