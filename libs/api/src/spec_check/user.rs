//! The user of a server.

/// Why a server cannot run as the user of a `PostgresVersion`, if so: what follows the name of that object in a message.
#[must_use]
pub fn root_user_problem(uid: i64) -> Option<String> {
    (uid <= 0).then(|| {
        format!(
            "its spec.securityContext.runAsUser is {uid}, and PostgreSQL refuses to run as root: set it to the image's own \
             user, such as 999 (Debian) or 70 (Alpine)"
        )
    })
}
