//! The fields of `KubeDB`'s `Postgres`, and what pgops does with each.

/// A field of the spec.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field {
    /// Path below `spec`; `[]` stands for the items of a list, `[postgres]` for the one of that name.
    pub path: &'static str,
    /// What becomes of it.
    pub effect: Effect,
    /// What it does, or what happens instead.
    pub note: &'static str,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// pgops acts on it.
    Honoured,
    /// It has no effect, and promises nothing that a user could miss.
    Unused,
    /// It has no effect: admitted with a warning.
    Warned,
    /// Nothing would happen, or the opposite of what was asked: refused.
    Refused,
    /// Refused with these values; the others describe what happens anyway.
    RefusedValues(&'static [&'static str]),
    /// Admitted with a warning if it has one of these values; the others describe what happens anyway.
    WarnedValues(&'static [&'static str]),
    /// Admitted with a warning if it has one of these values and the database has one server.
    WarnedWithOneServer(&'static [&'static str]),
}

/// All known fields. Fields below one that is listed belong to it, unless they are listed as well.
pub fn fields() -> impl Iterator<Item = &'static Field> {
    [DATABASE, STORAGE, POD_METADATA, POD, SERVER].into_iter().flatten()
}

const fn honoured(path: &'static str, note: &'static str) -> Field {
    Field { path, effect: Effect::Honoured, note }
}

const fn unused(path: &'static str, note: &'static str) -> Field {
    Field { path, effect: Effect::Unused, note }
}

const fn warned(path: &'static str, note: &'static str) -> Field {
    Field { path, effect: Effect::Warned, note }
}

const fn refused(path: &'static str, note: &'static str) -> Field {
    Field { path, effect: Effect::Refused, note }
}

const fn refused_values(path: &'static str, values: &'static [&'static str], note: &'static str) -> Field {
    Field { path, effect: Effect::RefusedValues(values), note }
}

const fn warned_values(path: &'static str, values: &'static [&'static str], note: &'static str) -> Field {
    Field { path, effect: Effect::WarnedValues(values), note }
}

const fn warned_with_one_server(
    path: &'static str,
    values: &'static [&'static str],
    note: &'static str,
) -> Field {
    Field { path, effect: Effect::WarnedWithOneServer(values), note }
}

const ONE_SERVER: &str = "each database has one server";
const OWN_CONTEXT: &str =
    "pgops sets its own: the image's user, no root, no capabilities, seccomp RuntimeDefault";
const OWN_PROBES: &str = "the instance decides when the server is ready and when it is restarted";

const DATABASE: &[Field] = &[
    unused("allowedSchemas", "pgops has no schema manager"),
    warned("arbiter", ONE_SERVER),
    refused("archiver", "no WAL would be archived and no backup taken: omit it, and back up by other means"),
    honoured("authSecret.name", "Secret with `username` and `password`; pgops never changes it"),
    unused("authSecret.externallyManaged", "pgops never changes a Secret that is named"),
    unused("authSecret.apiGroup", "the group of a Secret"),
    refused_values(
        "authSecret.kind",
        &["VirtualSecret"],
        "the password is read from a Secret: create one and omit the kind",
    ),
    refused("authSecret.secretStoreName", "the password is read from a Secret: create one and name it"),
    warned("authSecret.rotateAfter", "pgops rotates the password by requests of type RotateAuth only"),
    unused("authSecret.activeFrom", "set by KubeDB when it rotates the password"),
    unused("autoOps", "pgops recommends no upgrades"),
    honoured("clientAuthMode", "`md5`, `scram`, or `cert`, which requires `tls`"),
    honoured("configSecret.name", "Secret whose key `user.conf` has settings of the server"),
    honoured(
        "configuration.inline",
        "settings of the server under the key `user.conf`, after those of `configSecret`",
    ),
    honoured("configuration.secretName", "the newer name of `configSecret.name`"),
    warned("configuration.tuning", "pgops derives no settings from the size of the pod"),
    warned("coordinator", ONE_SERVER),
    honoured("deletionPolicy", "what is kept when the database is deleted"),
    refused_values("distributed", &["true"], "pgops runs databases in its own cluster only: omit it"),
    warned_values("enforceFsGroup", &["true"], "the volume's driver must support fsGroup"),
    warned_values("enforceGroup", &["true"], "the volume's driver must support fsGroup"),
    honoured("halted", "stops the server and keeps the data"),
    warned("healthChecker", "pgops has its own health check: the server is asked every few seconds"),
    refused(
        "init.archiver",
        "the database would be created empty instead of restored: omit it, and restore the data afterwards",
    ),
    unused("init.initialized", "set by KubeDB after a restore"),
    refused(
        "init.script",
        "the script would not run, and the database stay empty: omit it, and run the script afterwards",
    ),
    refused_values(
        "init.waitForInitialRestore",
        &["true"],
        "the database would be created empty instead of restored: omit it, and restore the data afterwards",
    ),
    warned("leaderElection", ONE_SERVER),
    refused_values(
        "mode",
        &["RemoteReplica"],
        "the database would be created empty instead of as a replica: omit it",
    ),
    warned("monitor", "pgops runs no exporter and creates no ServiceMonitor"),
    warned("readReaplicas", ONE_SERVER),
    warned("readReplicas", ONE_SERVER),
    refused("remoteReplica", "the database would be created empty instead of as a replica: omit it"),
    honoured("replicas", "number of servers; 1 is supported"),
    warned("replication", ONE_SERVER),
    warned(
        "serviceTemplates",
        "the database's Services are of type ClusterIP: create another Service for anything else",
    ),
    honoured("sslMode", "whether the server offers TLS, and admits connections without it"),
    unused("standbyMode", ONE_SERVER),
    warned_with_one_server("streamingMode", &["Synchronous"], ONE_SERVER),
    honoured("storageType", "`Durable` or `Ephemeral`; cannot change"),
    honoured("terminationPolicy", "deprecated alias of `deletionPolicy`"),
    honoured("tls.certificates", "where the certificates are, and what is requested of the issuer"),
    honoured("tls.issuerRef", "issuer of cert-manager; without one the Secrets are the user's own"),
    honoured("version", "name of a PostgresVersion; later changes go through a PostgresOpsRequest"),
];

const STORAGE: &[Field] = &[
    honoured("storage.accessModes", "of the volume claim; `ReadWriteOnce` if empty"),
    honoured("storage.dataSource", "of the volume claim"),
    honoured("storage.dataSourceRef", "of the volume claim"),
    honoured("storage.resources.claims", "of the volume claim"),
    honoured("storage.resources.limits", "of the volume claim"),
    honoured("storage.resources.requests", "of the volume claim; a `Durable` database requires `storage`"),
    honoured("storage.selector", "of the volume claim"),
    honoured("storage.storageClassName", "of the volume claim; the cluster's default class if absent"),
    honoured("storage.volumeAttributesClassName", "of the volume claim"),
    honoured("storage.volumeMode", "of the volume claim; `Filesystem` is supported"),
    honoured("storage.volumeName", "of the volume claim"),
];

const POD_METADATA: &[Field] = &[
    warned("podTemplate.controller", "the StatefulSet has only the labels of pgops"),
    honoured("podTemplate.metadata.annotations", "annotations of the pod"),
    honoured("podTemplate.metadata.labels", "labels of the pod; those of pgops take precedence"),
    unused("podTemplate.metadata.creationTimestamp", "set by tools that write manifests"),
    warned("podTemplate.metadata.name", "the pod is named after the database"),
    warned("podTemplate.metadata.namespace", "the pod is in the namespace of the database"),
];

const POD: &[Field] = &[
    warned("podTemplate.spec.activeDeadlineSeconds", "a server runs until it is stopped"),
    honoured("podTemplate.spec.affinity", "of the pod"),
    warned(
        "podTemplate.spec.args",
        "set variables such as POSTGRES_INITDB_ARGS, or settings in spec.configSecret",
    ),
    warned("podTemplate.spec.automountServiceAccountToken", "the pod has a service account of its own"),
    warned("podTemplate.spec.containerSecurityContext", OWN_CONTEXT),
    warned("podTemplate.spec.containers[]", "only the container postgres is configured; no other one runs"),
    warned("podTemplate.spec.dnsConfig", "pgops uses the cluster's DNS"),
    warned("podTemplate.spec.dnsPolicy", "pgops uses the cluster's DNS"),
    warned("podTemplate.spec.enableServiceLinks", "the pod has no variables of Services"),
    honoured("podTemplate.spec.env", "variables of the server, in the form of v1alpha2"),
    honoured("podTemplate.spec.envFrom", "sources of variables of the server, in the form of v1alpha2"),
    warned(
        "podTemplate.spec.ephemeralContainers",
        "only the container postgres is configured; no other one runs",
    ),
    warned("podTemplate.spec.hostAliases", "pgops uses the cluster's DNS"),
    warned("podTemplate.spec.hostIPC", "the pod does not share the node's namespaces"),
    warned("podTemplate.spec.hostNetwork", "the pod does not share the node's namespaces"),
    warned("podTemplate.spec.hostPID", "the pod does not share the node's namespaces"),
    refused_values(
        "podTemplate.spec.hostUsers",
        &["false"],
        "the pod would run without a user namespace: omit it",
    ),
    warned("podTemplate.spec.hostname", "the pod is named after the database"),
    honoured("podTemplate.spec.imagePullSecrets", "of the pod"),
    warned("podTemplate.spec.initContainers", "only the container postgres is configured; no other one runs"),
    warned("podTemplate.spec.lifecycle", "the instance starts and stops the server"),
    warned("podTemplate.spec.livenessProbe", OWN_PROBES),
    warned("podTemplate.spec.nodeName", "use nodeSelector or affinity"),
    honoured("podTemplate.spec.nodeSelector", "of the pod"),
    warned("podTemplate.spec.os", "use nodeSelector"),
    warned("podTemplate.spec.overhead", "set by the runtime class"),
    warned("podTemplate.spec.podPlacementPolicy", "use affinity or topologySpreadConstraints"),
    warned("podTemplate.spec.preemptionPolicy", "set by the priority class"),
    warned("podTemplate.spec.priority", "use priorityClassName"),
    honoured("podTemplate.spec.priorityClassName", "of the pod"),
    warned("podTemplate.spec.readinessGates", OWN_PROBES),
    warned("podTemplate.spec.readinessProbe", OWN_PROBES),
    warned("podTemplate.spec.resourceClaims", "the pod has no resource claims"),
    honoured("podTemplate.spec.resources", "requests and limits of the server, in the form of v1alpha2"),
    warned("podTemplate.spec.restartPolicy", "the pod is always restarted"),
    refused(
        "podTemplate.spec.runtimeClassName",
        "the pod would run without the isolation of that runtime: omit it, or use a namespace whose pods get it by a policy",
    ),
    warned("podTemplate.spec.schedulerName", "the cluster's default scheduler is used"),
    warned("podTemplate.spec.schedulingGates", "the pod is scheduled at once"),
    warned("podTemplate.spec.securityContext", OWN_CONTEXT),
    warned("podTemplate.spec.serviceAccount", "the pod has a service account of its own"),
    warned("podTemplate.spec.serviceAccountName", "the pod has a service account of its own"),
    warned("podTemplate.spec.setHostnameAsFQDN", "the pod is named after the database"),
    warned("podTemplate.spec.shareProcessNamespace", "the containers of the pod are kept apart"),
    warned("podTemplate.spec.startupProbe", OWN_PROBES),
    warned("podTemplate.spec.subdomain", "the pod is named after the database"),
    warned("podTemplate.spec.terminationGracePeriodSeconds", "a server has 300 s for a clean shutdown"),
    honoured("podTemplate.spec.tolerations", "of the pod"),
    honoured("podTemplate.spec.topologySpreadConstraints", "of the pod"),
    warned("podTemplate.spec.volumeMounts", "the pod has only the volumes that the server needs"),
    warned("podTemplate.spec.volumes", "the pod has only the volumes that the server needs"),
];

const SERVER: &[Field] = &[
    warned(
        "podTemplate.spec.containers[postgres].args",
        "set variables such as POSTGRES_INITDB_ARGS, or spec.configSecret",
    ),
    warned("podTemplate.spec.containers[postgres].command", "the instance starts the server"),
    honoured(
        "podTemplate.spec.containers[postgres].env",
        "variables, except PGDATA and those of pgops (`PGOPS_…`)",
    ),
    honoured("podTemplate.spec.containers[postgres].envFrom", "sources of variables"),
    refused(
        "podTemplate.spec.containers[postgres].image",
        "another image would run: omit it, and create a PostgresVersion with that image for spec.version",
    ),
    warned(
        "podTemplate.spec.containers[postgres].imagePullPolicy",
        "a value of the chart sets it for all databases",
    ),
    warned("podTemplate.spec.containers[postgres].lifecycle", "the instance starts and stops the server"),
    warned("podTemplate.spec.containers[postgres].livenessProbe", OWN_PROBES),
    unused("podTemplate.spec.containers[postgres].name", "names the server's container"),
    warned("podTemplate.spec.containers[postgres].ports", "the server listens on port 5432"),
    warned("podTemplate.spec.containers[postgres].readinessProbe", OWN_PROBES),
    warned(
        "podTemplate.spec.containers[postgres].resizePolicy",
        "a change of resources takes effect at the next restart",
    ),
    honoured("podTemplate.spec.containers[postgres].resources", "requests and limits"),
    warned("podTemplate.spec.containers[postgres].restartPolicy", "the container is always restarted"),
    warned("podTemplate.spec.containers[postgres].securityContext", OWN_CONTEXT),
    warned("podTemplate.spec.containers[postgres].startupProbe", OWN_PROBES),
    warned("podTemplate.spec.containers[postgres].stdin", "the server reads no input"),
    warned("podTemplate.spec.containers[postgres].stdinOnce", "the server reads no input"),
    warned(
        "podTemplate.spec.containers[postgres].terminationMessagePath",
        "the end of the log is the message",
    ),
    warned(
        "podTemplate.spec.containers[postgres].terminationMessagePolicy",
        "the end of the log is the message",
    ),
    warned("podTemplate.spec.containers[postgres].tty", "the server reads no input"),
    warned(
        "podTemplate.spec.containers[postgres].volumeDevices",
        "the pod has only the volumes that the server needs",
    ),
    warned(
        "podTemplate.spec.containers[postgres].volumeMounts",
        "the pod has only the volumes that the server needs",
    ),
    warned("podTemplate.spec.containers[postgres].workingDir", "the instance starts the server"),
];
