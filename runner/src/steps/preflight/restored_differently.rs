//! Objects that a restore rejects or makes in another way, although a dump has them: checks as data.

use super::check::{Check, CheckScope, Question};
use crate::upgrade::Weight;

/// All of them.
pub const RESTORED_DIFFERENTLY: &[Check] = &[
    Check {
        id: "dropped-role",
        weight: Weight::Blocks,
        scope: CheckScope::Database,
        applies: |_, _| true,
        // Before 17 DROP OWNED leaves them (https://www.postgresql.org/docs/17/release-17.html); pg_dump then revokes rights of a role
        // that does not exist.
        question: Question::Sql(
            "SELECT DISTINCT COALESCE('extension ' || quote_ident(e.extname), \
             pg_describe_object(i.classoid, i.objoid, i.objsubid)) FROM pg_init_privs i \
             CROSS JOIN LATERAL aclexplode(i.initprivs) AS a \
             LEFT JOIN pg_depend d ON d.classid = i.classoid AND d.objid = i.objoid AND d.deptype = 'e' \
             LEFT JOIN pg_extension e ON e.oid = d.refobjid \
             WHERE a.grantee <> 0 AND NOT EXISTS (SELECT FROM pg_authid r WHERE r.oid = a.grantee) ORDER BY 1",
        ),
        remedy: "their initial rights name a role that was dropped, and the restore would revoke these from it; DROP EXTENSION and CREATE \
             it again, or as a superuser run UPDATE pg_init_privs SET initprivs = ARRAY(SELECT i FROM unnest(initprivs) AS i WHERE \
             NOT EXISTS (SELECT FROM aclexplode(ARRAY[i]) AS a WHERE a.grantee <> 0 AND a.grantee NOT IN (SELECT oid FROM \
             pg_authid))) WHERE EXISTS (SELECT FROM aclexplode(initprivs) AS a WHERE a.grantee <> 0 AND a.grantee NOT IN (SELECT \
             oid FROM pg_authid)) in that database",
    },
    Check {
        id: "pending-detach",
        weight: Weight::Blocks,
        scope: CheckScope::Database,
        applies: |old, _| old >= 14,
        question: Question::Sql(
            "SELECT format('%s of %s', inhrelid::regclass, inhparent::regclass) FROM pg_inherits \
             WHERE inhdetachpending ORDER BY 1",
        ),
        remedy: "DETACH PARTITION … CONCURRENTLY of these was interrupted, so their rows are not visible in the partitioned table, and a \
             restore would attach them again; ALTER TABLE … DETACH PARTITION … FINALIZE",
    },
    Check {
        id: "partition-trigger",
        weight: Weight::Blocks,
        scope: CheckScope::Database,
        // From 15 on a trigger of a partition cannot be renamed, and has the name of the partitioned table's.
        applies: |old, _| (13..15).contains(&old),
        question: Question::Sql(
            "SELECT format('%I on %s (%I on %s)', t.tgname, t.tgrelid::regclass, p.tgname, p.tgrelid::regclass) FROM pg_trigger t \
             JOIN pg_trigger p ON p.oid = t.tgparentid WHERE t.tgname <> p.tgname AND NOT p.tgisinternal ORDER BY 1",
        ),
        remedy: "a restore gives triggers of partitions the name of the partitioned table's, and triggers are executed in the order of \
             their names, so rows could get other values; ALTER TRIGGER … ON … RENAME TO that name, and give the partitioned table's \
             names that are in the order that is wanted",
    },
    Check {
        id: "partition-constraint",
        weight: Weight::Note,
        scope: CheckScope::Database,
        applies: |_, _| true,
        question: Question::Sql(
            "SELECT format('%I on %s (%I)', c.conname, c.conrelid::regclass, p.conname) FROM pg_constraint c \
             JOIN pg_constraint p ON p.oid = c.conparentid AND p.confrelid = c.confrelid \
             WHERE c.contype = 'f' AND c.conname <> p.conname AND c.conrelid <> p.conrelid ORDER BY 1",
        ),
        remedy: "a restore gives foreign keys of partitions the name of the partitioned table's (in parentheses), by which migrations must \
             name them then; ALTER TABLE … RENAME CONSTRAINT afterwards, if their own names are needed",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::preflight::identity::IDENTITY;
    use crate::steps::preflight::meaning::CHANGES;
    use crate::steps::preflight::table::checks;

    #[test]
    fn checks_of_what_is_restored_differently_have_ids_of_their_own_that_are_documented() {
        let page = include_str!("../../../../docs/reference/findings.md");
        for check in RESTORED_DIFFERENTLY {
            assert!(
                page.contains(&format!("`{}`", check.id)),
                "docs/reference/findings.md lacks {}",
                check.id
            );
            let same = checks().chain(CHANGES).chain(IDENTITY).chain(RESTORED_DIFFERENTLY);
            assert_eq!(same.filter(|other| other.id == check.id).count(), 1, "{}", check.id);
            let Question::Sql(sql) = &check.question else { panic!("{} has no SQL", check.id) };
            assert!(sql.is_ascii(), "{sql}");
        }
    }

    #[test]
    fn triggers_of_partitions_have_names_of_their_own_before_15() {
        let check = RESTORED_DIFFERENTLY.iter().find(|check| check.id == "partition-trigger").unwrap();
        let applies = |from, to| (check.applies)(from, to);
        assert!(applies(13, 17) && applies(14, 15) && !applies(15, 17) && !applies(12, 13));
        assert_eq!(check.weight, Weight::Blocks);
    }
}
