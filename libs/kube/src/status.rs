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

/// Whether a JSON patch does not apply to the object, such as one whose `test` fails. A policy may refuse the result with the same
/// status code; its answer names the object, or the webhook.
#[must_use]
pub fn is_inapplicable_patch(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let names_object = status.details.as_ref().is_some_and(|details| !details.name.is_empty());
    status.code == 422 && !names_object && !status.message.starts_with("admission webhook")
}

/// Whether the object itself is refused, as invalid or too large, whatever else changes. A webhook or a policy may deny it with the
/// same status code, and admit it later.
#[must_use]
pub fn is_inadmissible(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let may_pass = status.message.starts_with("admission webhook")
        || status.message.contains("ValidatingAdmissionPolicy");
    matches!(status.code, 413 | 422) && !may_pass
}

/// Whether the call is refused: by validation, by a right that is missing, a quota or a policy, or because an admission
/// webhook does not answer, which is an internal error. It may succeed once that has changed.
#[must_use]
pub fn is_refused(error: &kube::Error) -> bool {
    // A policy chooses the status code of its denials.
    matches!(code(error), Some(400..=403 | 405..=408 | 411..=428 | 430..=499 | 500))
}

/// Whether the caller has no right to make the call: an authorizer says so before the object is looked up, unlike policies and
/// webhooks, which use the same code.
#[must_use]
pub fn is_unauthorized(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            let reason = status.message.split_once(" is forbidden: User ");
            reason.is_some_and(|(_, denial)| denial.contains(" cannot "))
        }
        kube::Error::Api(status) => status.code == 401,
        _ => false,
    }
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
    use serde_json::json;

    fn answer(code: u16) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, ..Status::default() }))
    }

    #[test]
    fn object_that_is_invalid_is_told_from_the_denial_of_a_policy() {
        let refused = |code, message: &str| {
            let status = Status { code, message: message.to_owned(), ..Status::default() };
            is_inadmissible(&kube::Error::Api(Box::new(status)))
        };
        let too_long = "postgreses \"orders\" is invalid: metadata.annotations: Too long";
        assert!(refused(422, too_long) && refused(413, "Request entity too large"));
        assert!(!refused(403, too_long));
        assert!(!refused(422, "admission webhook \"a.example\" denied the request: no"));
        let policy = "postgreses \"orders\" is forbidden: ValidatingAdmissionPolicy 'a' with binding 'b' denied request: no";
        assert!(!refused(422, policy));
    }

    #[test]
    fn missing_right_is_told_from_the_denial_of_a_policy() {
        let forbidden = |message: &str| {
            let status = Status { code: 403, message: message.to_owned(), ..Status::default() };
            is_unauthorized(&kube::Error::Api(Box::new(status)))
        };
        let user = "system:serviceaccount:pgops-system:pgops-provisioner";
        assert!(forbidden(&format!(
            "secrets \"orders-auth\" is forbidden: User \"{user}\" cannot patch resource \"secrets\" in API group \"\" in the \
             namespace \"demo\""
        )));
        assert!(!forbidden("admission webhook \"policy.example\" denied the request: no"));
        assert!(!forbidden(
            "secrets \"orders-auth\" is forbidden: ValidatingAdmissionPolicy 'a' with binding 'a' denied request: a user \
             cannot do this"
        ));
        assert!(!forbidden("secrets \"orders-auth\" is forbidden: exceeded quota: no-secrets"));
        assert!(is_unauthorized(&answer(401)) && !is_unauthorized(&answer(422)));
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

    #[test]
    fn patch_that_does_not_apply_is_told_from_one_that_a_policy_refuses() {
        let answer = |code: u16, name: &str, message: &str| {
            let status = json!({ "code": code, "message": message, "details": { "name": name } });
            let status: Status = serde_json::from_value(status).unwrap();
            is_inapplicable_patch(&kube::Error::Api(Box::new(status)))
        };
        assert!(answer(422, "", "the server rejected our request due to an error in our request"));
        assert!(!answer(422, "orders-auth", "ValidatingAdmissionPolicy 'frozen' denied request"));
        assert!(!answer(422, "", "admission webhook \"frozen\" denied the request"));
        assert!(!answer(403, "", "forbidden"));
    }
}
