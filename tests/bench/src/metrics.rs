//! Calculates the metrics of a case.

use crate::case::Case;
use crate::estimate;
use crate::floor::Floor;
use crate::metric::Metric;
use crate::subject::Subject;

/// The metrics of one round; the outage comes first.
pub fn of_round(floor: Floor, subject: &Subject) -> Vec<Metric> {
    let mut metrics = vec![
        Metric::new("outage", subject.outage, "s"),
        Metric::new("outage of the floor", floor.outage(), "s"),
        Metric::new("ratio", subject.outage / floor.outage(), ""),
        Metric::new("outage in the status", subject.reported_outage, "s"),
    ];
    if let Some(estimated) = subject.estimated_outage {
        metrics.push(Metric::new("estimated outage", estimated, "s"));
        metrics.push(estimate::error(estimated, subject.reported_outage));
    }
    metrics.extend(subject.steps.iter().map(|(step, seconds)| Metric::new(step.to_string(), *seconds, "s")));
    let of_floor = |(part, seconds)| Metric::new(format!("{part} of the floor"), seconds, "s");
    metrics.extend(floor.parts().map(of_floor));
    if let Some(peak) = subject.memory {
        metrics.push(Metric::new("memory of the worker", peak.anonymous, "MiB"));
        metrics.push(Metric::new("memory with cached files", peak.charged, "MiB"));
    }
    metrics
}

/// The median of each metric over the rounds that have it.
pub fn medians(rounds: &[Vec<Metric>]) -> Vec<Metric> {
    let Some(first) = rounds.first() else { return Vec::new() };
    let median = |metric: &Metric| {
        let same = |other: &&Metric| other.name == metric.name;
        let mut all: Vec<_> = rounds.iter().flatten().filter(same).map(|metric| metric.value).collect();
        all.sort_by(f64::total_cmp);
        Metric { value: all.get(all.len() / 2).copied().unwrap_or(f64::NAN), ..metric.clone() }
    };
    first.iter().map(median).collect()
}

/// The ratio to the smallest database of the same shape: if nothing is copied, the outage must not grow with the data.
pub fn growth(before: &[(Case, f64)], case: &Case, outage: f64) -> Option<Metric> {
    let sizes = before.iter().filter(|(other, _)| !case.mode.copies() && case.is_another_size_of(other));
    let (smallest, least) = sizes.min_by(|a, b| a.0.gigabytes.total_cmp(&b.0.gigabytes))?;
    (smallest.gigabytes < case.gigabytes).then(|| Metric::new("growth", outage / least, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Case {
        text.parse().unwrap()
    }

    #[test]
    fn ratio_is_that_of_the_outages() {
        let subject = Subject {
            outage: 5.0,
            reported_outage: 5.2,
            estimated_outage: None,
            steps: vec![(pgops_api::plan::Step::PgUpgraded, 3.0)],
            memory: None,
        };
        let metrics = of_round(Floor { stop: 500, pg_upgrade: 3000, start: 500 }, &subject);
        let find = |name: &str| metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value);
        assert_eq!((find("outage"), find("ratio"), find("PgUpgraded")), (Some(5.0), Some(1.25), Some(3.0)));
        assert_eq!(find("memory of the worker"), None);
    }

    #[test]
    fn rounds_are_reported_by_their_medians() {
        let round = |value| vec![Metric::new("outage", value, "s")];
        assert_eq!(medians(&[round(9.0), round(4.0), round(5.0)]), round(5.0));
        assert_eq!(medians(&[]), []);
    }

    #[test]
    fn growth_compares_links_with_the_smallest_database() {
        let before = [
            (case("13.16:17.11/link/1/1"), 5.0),
            (case("13.16:17.11/link/1/0.1"), 4.0),
            (case("13.16:17.11/copy/1/0.1"), 2.0),
        ];
        let growth = |name: &str, outage| growth(&before, &case(name), outage).map(|metric| metric.value);
        assert_eq!(growth("13.16:17.11/link/1/10", 6.0), Some(1.5));
        assert_eq!(growth("13.16:17.11/link/1/0.01", 6.0), None);
        assert_eq!(growth("13.16:17.11/link/1000/10", 6.0), None);
        assert_eq!(growth("13.16:17.11/copy/1/10", 6.0), None);
    }
}
