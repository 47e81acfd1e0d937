//! The rules of time zones, by the local times that a server gives. Files of the time zone database are not compared: the same rules
//! may be written in several ways. Nothing here may depend on the time zone and the formats of the session, which servers have in
//! their configuration: steps are in hours, and times are written by a template.

use crate::postgres::client::quote::literal;

/// How a local time is written.
const TEMPLATE: &str = "'YYYY-MM-DD HH24:MI:SS'";

/// Every local time around each change of the distance to UTC. A change that lasts for less than three days may be missed.
pub fn of_zone(name: &str) -> String {
    let zone = literal(name);
    format!(
        "WITH distances AS (SELECT t, t AT TIME ZONE {zone} - t AT TIME ZONE 'UTC' AS distance \
           FROM generate_series('1850-01-01 00:00+00'::timestamptz, '2100-01-01 00:00+00', '72 hours') AS t), \
         changes AS (SELECT t FROM (SELECT t, distance, lag(distance) OVER (ORDER BY t) AS before FROM distances) AS d \
           WHERE before IS DISTINCT FROM distance) \
         SELECT hashtextextended(string_agg(to_char(l AT TIME ZONE {zone}, {TEMPLATE}), ',' ORDER BY l), 0)::text \
         FROM changes, generate_series(t - interval '72 hours', t, '30 minutes') AS l"
    )
}

/// A local time in each quarter of the years that most rows are of, in every zone by its name.
pub fn of_every_zone() -> String {
    format!(
        "SELECT hashtextextended(string_agg(concat(z.name, to_char(t AT TIME ZONE z.name, {TEMPLATE})), ',' ORDER BY z.name, t), 0)::text \
         FROM (SELECT name FROM pg_timezone_names WHERE name !~ '^(posix|right)/') AS z, \
           generate_series('1970-01-15 00:00+00'::timestamptz, '2040-01-01 00:00+00', '2190 hours') AS t"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_asked_for_independently_of_the_session() {
        for query in [of_zone("America/Asuncion"), of_every_zone()] {
            assert!(
                !query.contains("day") && !query.contains("month"),
                "steps in the session's time zone: {query}"
            );
            assert!(query.contains("to_char("), "{query}");
        }
    }
}
