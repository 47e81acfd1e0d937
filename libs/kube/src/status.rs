//! What the status of a failed call means. The status code is checked, which every answer has, unlike the reason.

/// Whether another client has changed the object since it was read.
#[must_use]
pub fn is_conflict(error: &kube::Error) -> bool {
    code(error) == Some(409) && !is_already_exists(error)
}

/// Whether the object does not exist.
#[must_use]
pub fn is_not_found(error: &kube::Error) -> bool {
    code(error) == Some(404)
}

/// Whether an object of that name exists already: a conflict too, which only the reason tells apart.
#[must_use]
pub fn is_already_exists(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_already_exists())
}

/// Whether the object would become invalid, or has another uid than the one that the call names.
#[must_use]
pub fn is_invalid(error: &kube::Error) -> bool {
    code(error) == Some(422)
}

/// Whether the call is refused: by validation, by a right that is missing, a quota or a policy, or because an admission
/// webhook does not answer, which is an internal error. It may succeed once that has changed.
#[must_use]
pub fn is_refused(error: &kube::Error) -> bool {
    // A policy chooses the status code of its denials.
    matches!(code(error), Some(400..=403 | 405..=408 | 411..=428 | 430..=499 | 500))
}

/// Whether the API server is unavailable or busy, so that the same call may succeed later.
#[must_use]
pub fn is_unavailable(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 429 | 500 | 502..=504),
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        _ => false,
    }
}

/// The status code, if the API server answered.
fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn answer(code: u16) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, ..Status::default() }))
    }

    #[test]
    fn status_code_is_enough_without_a_reason() {
        assert!(is_conflict(&answer(409)) && is_not_found(&answer(404)));
        assert!(!is_conflict(&answer(404)) && !is_not_found(&answer(409)));
        assert!(is_invalid(&answer(422)) && !is_invalid(&answer(409)));
        assert!(is_unavailable(&answer(503)));
        assert!(is_refused(&answer(403)) && is_refused(&answer(422)) && is_refused(&answer(500)));
        assert!(!is_refused(&answer(404)) && !is_refused(&answer(409)) && !is_refused(&answer(503)));
        assert!(!is_unavailable(&answer(409)) && !is_unavailable(&answer(403)));
    }
}
