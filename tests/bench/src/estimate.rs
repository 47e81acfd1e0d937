//! The outage that the preflight estimates.

use crate::metric::Metric;

/// The estimate in the text of a request's condition or report, in seconds.
pub fn in_text(text: &str) -> Option<f64> {
    let (_, rest) = text.split_once("estimated outage: about ")?;
    rest.split_once(" s")?.0.parse().ok()
}

/// How far an estimate is from the outage, as a part of the outage.
pub fn error(estimated: f64, outage: f64) -> Metric {
    Metric::new("error of the estimate", (estimated / outage - 1.0).abs(), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimate_is_found_in_the_text() {
        let text =
            "dry run: \nmode link\nestimated outage: about 42 s (37.8 s for the schema, as rehearsed)\n";
        assert_eq!(in_text(text), Some(42.0));
        assert_eq!(in_text("estimated outage: about 3.6 s (1.1 s"), Some(3.6));
        assert_eq!(in_text("mode link"), None);
    }

    #[test]
    fn error_is_a_part_of_the_outage() {
        assert!((error(5.0, 4.0).value - 0.25).abs() < 1e-9 && (error(3.0, 4.0).value - 0.25).abs() < 1e-9);
    }
}
