//! A server among the others of its database.

/// One server of a database of several.
#[derive(Clone, Debug)]
pub struct Member {
    /// Name of what the servers share: one for each major version of a database, `<db>-ha-<major>`.
    pub scope: String,
    /// Name of this server: that of its pod.
    pub name: String,
    /// The name by which the other servers reach it.
    pub host: String,
    pub namespace: String,
    /// The superuser, as which Patroni connects by the socket, without a password.
    pub superuser: String,
    /// Major version.
    pub major: u32,
}
