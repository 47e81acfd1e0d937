//! What a database lacks of the objects that `initdb` has created in it. A dump does not mention them, so they exist again
//! after an upgrade, with the rights of a new cluster.
//!
//! Most of what is built in cannot be dropped: the server needs it. What can be is in `droppable.tsv`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

const DROPPABLE_TSV: &str = include_str!("droppable.tsv");

/// The names of what a database has of these objects. What `initdb` creates after the objects that cannot be dropped has
/// OIDs from 12000 on. A configuration is named with the number of its token types, since mappings can be dropped too.
pub const EXISTING: &str = "SELECT o.type || ' ' || o.identity FROM ( \
     SELECT 'pg_namespace'::regclass AS catalog, oid FROM pg_namespace \
       WHERE nspname IN ('public', 'information_schema') AND oid < 16384 \
     UNION ALL SELECT 'pg_extension'::regclass, oid FROM pg_extension WHERE oid < 16384 \
     UNION ALL SELECT 'pg_class'::regclass, oid FROM pg_class WHERE oid BETWEEN 12000 AND 16383 AND relkind IN ('r', 'v') \
     UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE oid BETWEEN 12000 AND 16383 \
     UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE oid BETWEEN 12000 AND 16383 AND typtype = 'd' \
     UNION ALL SELECT 'pg_ts_dict'::regclass, oid FROM pg_ts_dict WHERE oid BETWEEN 12000 AND 16383 \
     UNION ALL SELECT 'pg_ts_template'::regclass, oid FROM pg_ts_template WHERE oid BETWEEN 12000 AND 16383 \
     ) AS r, pg_identify_object(r.catalog, r.oid, 0) AS o WHERE NOT EXISTS ( \
     SELECT FROM pg_depend d WHERE d.classid = r.catalog AND d.objid = r.oid AND d.deptype = 'e') \
     UNION ALL SELECT 'text search configuration ' || (pg_identify_object('pg_ts_config'::regclass, c.oid, 0)).identity \
     || ' with ' || LEAST(19, (SELECT count(DISTINCT m.maptokentype) FROM pg_ts_config_map m WHERE m.mapcfg = c.oid)) \
     || ' token types' FROM pg_ts_config c WHERE c.oid < 16384";

/// An object that `initdb` creates.
struct Droppable {
    name: &'static str,
    majors: RangeInclusive<u32>,
}

static DROPPABLE: LazyLock<Vec<Droppable>> = LazyLock::new(|| {
    lines().filter_map(|(name, majors)| Some(Droppable { name, majors: range(majors)? })).collect()
});

fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    DROPPABLE_TSV.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'))
}

fn range(majors: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = majors.split_once('-')?;
    Some(first.parse().ok()?..=last.parse().ok()?)
}

/// What a database of a server of `major` lacks, if `existing` is what it has. Of a schema that is missing, only the schema.
#[must_use]
pub fn dropped(major: u32, existing: &BTreeSet<String>) -> Vec<&'static str> {
    let missing = |object: &&Droppable| object.majors.contains(&major) && !existing.contains(object.name);
    let missing: Vec<_> = DROPPABLE.iter().filter(missing).map(|object| object.name).collect();
    let schemas: Vec<_> = missing.iter().filter_map(|name| name.strip_prefix("schema ")).collect();
    let is_within = |name: &str| schemas.iter().any(|schema| name.contains(&format!(" {schema}.")));
    missing.iter().copied().filter(|name| !is_within(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a new server has.
    fn all(major: u32) -> BTreeSet<String> {
        let objects = DROPPABLE.iter().filter(|object| object.majors.contains(&major));
        objects.map(|object| object.name.to_owned()).collect()
    }

    fn without(major: u32, is_dropped: impl Fn(&str) -> bool) -> Vec<&'static str> {
        let existing = all(major).into_iter().filter(|name| !is_dropped(name)).collect();
        dropped(major, &existing)
    }

    #[test]
    fn every_line_of_the_data_is_used() {
        assert_eq!(DROPPABLE.len(), DROPPABLE_TSV.lines().filter(|line| !line.starts_with('#')).count());
    }

    #[test]
    fn new_server_lacks_nothing() {
        for major in 13..=18 {
            assert!(all(major).len() > 200, "{major}");
            assert_eq!(dropped(major, &all(major)), [""; 0], "{major}");
        }
    }

    #[test]
    fn object_that_is_newer_than_the_server_is_not_missing() {
        let of_18 = "view \"pg_catalog\".\"pg_aios\"";
        assert_eq!(without(17, |name| name == of_18), [""; 0]);
        assert_eq!(without(18, |name| name == of_18), [of_18]);
    }

    #[test]
    fn dropped_schema_is_named_without_its_objects() {
        let found = without(15, |name| name.contains("\"information_schema\""));
        assert_eq!(found, ["schema \"information_schema\""]);
    }

    #[test]
    fn configuration_that_has_lost_a_mapping_is_named() {
        let mut existing = all(13);
        existing.remove("text search configuration \"pg_catalog\".\"german\" with 19 token types");
        existing.insert("text search configuration \"pg_catalog\".\"german\" with 18 token types".into());
        let found = dropped(13, &existing);
        assert_eq!(found, ["text search configuration \"pg_catalog\".\"german\" with 19 token types"]);
    }
}
