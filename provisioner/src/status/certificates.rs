//! What the status says about the certificates of a database.

use k8s_openapi::jiff::Timestamp;
use pgops_api::Postgres;
use pgops_api::instance_status::CertificateValidity;
use pgops_api::postgres::REASON_CERTIFICATE_INVALID;

use crate::observation::Observation;

/// A certificate is reported to expire soon once less than this part of its life is left. Issuers renew earlier: cert-manager
/// when a third is left, unless `renewBefore` says otherwise.
const EXPIRING: i64 = 10;

/// Whether the certificates exist and can be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Readiness {
    /// The database does not speak TLS.
    NotUsed,
    /// The previous answer stays.
    Unknown,
    /// The server that gave the previous answer has ended.
    NotReported(&'static str),
    Ready(String),
    NotReady {
        reason: &'static str,
        message: String,
    },
}

/// Whether the server's certificate expires soon.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expiry {
    /// The previous answer stays.
    Unknown,
    NotSoon,
    Soon(String),
}

/// What is known of the certificates at `now`.
pub fn judge(database: &Postgres, running: &Observation, now: Timestamp) -> (Readiness, Expiry) {
    if database.server_tls().is_none() {
        let readiness = match running.certificates.as_deref() {
            None => Readiness::Unknown,
            Some([]) => Readiness::NotUsed,
            Some([problem, ..]) => {
                Readiness::NotReady { reason: problem.reason(), message: problem.to_string() }
            }
        };
        return (readiness, Expiry::NotSoon);
    }
    let status = running.instance.as_ref().and_then(|instance| instance.certificate.as_ref());
    let dates = status.and_then(|status| Dates::of(status.validity?));
    let expiry = dates.map_or(Expiry::Unknown, |dates| dates.expiry(now));
    let not_ready = |reason, message| (Readiness::NotReady { reason, message }, expiry.clone());
    if let Some(problem) = running.certificates.iter().flatten().next() {
        let messages: Vec<_> = running.certificates.iter().flatten().map(ToString::to_string).collect();
        return not_ready(problem.reason(), messages.join("\n"));
    }
    if let Some(problem) = status.and_then(|status| status.problem.as_deref()) {
        let effect = match dates {
            Some(_) => "the server keeps its earlier certificate, and would not start again",
            None => "the server does not start",
        };
        let message = format!(
            "the certificate in the server's Secret cannot be used: {problem}. Until it is corrected, {effect}"
        );
        return not_ready(REASON_CERTIFICATE_INVALID, message);
    }
    match dates {
        None if running.instance.is_none() && running.server_pod.has_ended() => {
            (Readiness::NotReported(ENDED), expiry)
        }
        None => (Readiness::Unknown, expiry),
        Some(Dates { not_after, .. }) if now >= not_after => not_ready(
            "CertificateExpired",
            format!(
                "the server's certificate expired at {not_after}: clients that verify it do not connect. {RENEW}"
            ),
        ),
        Some(Dates { not_before, .. }) if now < not_before => not_ready(
            "CertificateNotYetValid",
            format!(
                "the server's certificate is not valid before {not_before}: clients that verify it do not connect"
            ),
        ),
        Some(Dates { not_after, .. }) => {
            let message = format!("the server's certificate is valid until {not_after}");
            (Readiness::Ready(message), expiry)
        }
    }
}

/// Reason of the condition: the server that reported about its certificate has ended.
pub const SERVER_NOT_RUNNING: &str = "ServerNotRunning";

/// What is said then.
const ENDED: &str = "the server has ended, and reports again about its certificate when it is started: the condition Ready says why \
                     it does not run";

/// What to do about an old certificate.
const RENEW: &str = "Renew it in its Secret; if cert-manager issues it, its Certificate says why it does not. The server reads \
                     the new one without a restart";

/// The dates of a certificate. An instance may report anything.
#[derive(Clone, Copy)]
struct Dates {
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Dates {
    fn of(validity: CertificateValidity) -> Option<Self> {
        Some(Self {
            not_before: Timestamp::from_second(validity.not_before).ok()?,
            not_after: Timestamp::from_second(validity.not_after).ok()?,
        })
    }

    fn expiry(self, now: Timestamp) -> Expiry {
        let life = self.not_after.duration_since(self.not_before).as_secs();
        let left = self.not_after.duration_since(now).as_secs();
        if left >= life / EXPIRING {
            return Expiry::NotSoon;
        }
        Expiry::Soon(format!(
            "the server's certificate expires at {}: less than a tenth of its life is left. {RENEW}",
            self.not_after
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::CertificateProblem;
    use crate::fixtures::database;
    use crate::observation::{PodLookup, ServerContainer, ServerPod, ServerReport};
    use pgops_api::instance_status::CertificateStatus;
    use rstest::rstest;
    use serde_json::json;

    fn tls() -> Postgres {
        database(json!({ "tls": { "issuerRef": { "kind": "Issuer", "name": "ca" } } }))
    }

    fn running(validity: Option<(i64, i64)>, problem: Option<&str>) -> Observation {
        let validity = validity.map(|(not_before, not_after)| CertificateValidity { not_before, not_after });
        let certificate = Some(CertificateStatus { validity, problem: problem.map(ToOwned::to_owned) });
        let instance = Some(ServerReport { certificate, ..ServerReport::default() });
        Observation { certificates: Some(Vec::new()), instance, ..Observation::default() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn reason(readiness: &Readiness) -> Option<&'static str> {
        match readiness {
            Readiness::NotUsed | Readiness::Unknown => None,
            Readiness::NotReported(_) => Some(SERVER_NOT_RUNNING),
            Readiness::Ready(_) => Some("Ready"),
            Readiness::NotReady { reason, .. } => Some(reason),
        }
    }

    #[rstest]
    #[case::valid(500, Some("Ready"), false)]
    #[case::renewed_later_than_usual(899, Some("Ready"), false)]
    #[case::expiring(901, Some("Ready"), true)]
    #[case::expired(1000, Some("CertificateExpired"), true)]
    #[case::not_yet_valid(-1, Some("CertificateNotYetValid"), false)]
    fn dates_of_the_certificate_are_judged(
        #[case] now: i64,
        #[case] expected: Option<&str>,
        #[case] soon: bool,
    ) {
        let (readiness, expiry) = judge(&tls(), &running(Some((0, 1000)), None), at(now));
        assert_eq!(reason(&readiness), expected);
        assert_eq!(matches!(expiry, Expiry::Soon(_)), soon, "{expiry:?}");
    }

    #[test]
    fn unusable_certificate_is_reported_whether_a_server_runs_or_not() {
        let message = |validity| match judge(&tls(), &running(validity, Some("tls.key is wrong")), at(1)).0 {
            Readiness::NotReady { reason: "CertificateInvalid", message } => message,
            other => panic!("{other:?}"),
        };
        assert!(message(Some((0, 1000))).contains("keeps its earlier certificate"));
        assert!(message(None).ends_with("the server does not start"));
    }

    #[test]
    fn problem_of_a_request_comes_first_and_the_expiry_is_still_told() {
        let mut running = running(Some((0, 1000)), None);
        running.certificates = Some(vec![CertificateProblem::NoCertManager]);
        let (readiness, expiry) = judge(&tls(), &running, at(950));
        assert_eq!(reason(&readiness), Some("CertManagerMissing"));
        assert!(matches!(expiry, Expiry::Soon(_)));
    }

    #[test]
    fn certificate_of_a_server_that_has_ended_is_unknown_until_it_reports_again() {
        let looping = |mut running: Observation| {
            let container = ServerContainer::Ended;
            running.server_pod = PodLookup::Found(ServerPod { container, ..ServerPod::default() });
            running
        };
        let silent = Observation { certificates: Some(Vec::new()), ..Observation::default() };
        let judged = |running: &Observation| judge(&tls(), running, at(1)).0;
        assert_eq!(judged(&silent), Readiness::Unknown, "it may not be reached for a moment");
        assert_eq!(reason(&judged(&looping(silent))), Some(SERVER_NOT_RUNNING));
        assert_eq!(reason(&judged(&looping(running(Some((0, 1000)), None)))), Some("Ready"));
        let missing = Observation {
            certificates: Some(vec![CertificateProblem::NoCertManager]),
            ..Observation::default()
        };
        assert_eq!(reason(&judged(&looping(missing))), Some("CertManagerMissing"));
    }

    #[test]
    fn nothing_is_said_without_tls_or_without_an_answer() {
        let plain = judge(&database(json!({})), &running(Some((0, 1)), None), at(5));
        assert_eq!(plain, (Readiness::NotUsed, Expiry::NotSoon));
        let silent = judge(&tls(), &Observation::default(), at(5));
        assert_eq!(silent, (Readiness::Unknown, Expiry::Unknown));
        let left = judge(&database(json!({})), &Observation::default(), at(5));
        assert_eq!(left, (Readiness::Unknown, Expiry::NotSoon), "its requests may not be removed yet");
        let absurd = judge(&tls(), &running(Some((i64::MIN, i64::MAX)), None), at(5));
        assert_eq!(absurd, (Readiness::Unknown, Expiry::Unknown));
    }
}
