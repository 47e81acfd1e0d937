//! Whose objects they are: the database, its Patroni scope, and the pod of this proxy.

use pgops_api::Postgres;
use pgops_api::names::LABEL_HA;

use crate::name::Name;
use crate::record::Record;

/// The database that this proxy belongs to.
#[derive(Clone, Debug)]
pub struct Database {
    namespace: Name,
    name: Name,
    scope: Name,
    pod: Name,
}

/// The options name a pod of another database.
#[derive(Debug, thiserror::Error)]
#[error("failed to serve pod \"{pod}\": expected \"{database}-<number>\", a pod of database \"{database}\"")]
pub struct NotItsPod {
    pod: Name,
    database: Name,
}

impl Database {
    /// The database of a pod.
    pub fn new(namespace: Name, name: Name, scope: Name, pod: Name) -> Result<Self, NotItsPod> {
        let database = Self { namespace, name, scope, pod };
        if database.has_pod(&database.pod) {
            Ok(database)
        } else {
            Err(NotItsPod { pod: database.pod, database: database.name })
        }
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The pod that this proxy runs in.
    pub fn pod(&self) -> &str {
        &self.pod
    }

    /// Patroni's scope.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The path of its `Postgres`.
    pub fn path(&self) -> String {
        Postgres::path(&self.namespace, &self.name)
    }

    /// The selector of all objects of the scope.
    pub fn selector(&self) -> String {
        format!("{LABEL_HA}={}", self.scope)
    }

    /// Whether a pod has the name of one of this database, whichever labels it has.
    pub fn has_pod(&self, name: &str) -> bool {
        let ordinal = name.strip_prefix(&*self.name).and_then(|rest| rest.strip_prefix('-'));
        ordinal
            .is_some_and(|ordinal| !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// The record that is kept in the ConfigMap of this name, if it is one of the scope.
    pub fn record(&self, name: &str) -> Option<Record> {
        let suffix = name.strip_prefix(&*self.scope)?.strip_prefix('-')?;
        Record::ALL.into_iter().find(|record| record.suffix() == suffix)
    }

    /// The name of a record's ConfigMap.
    pub fn config_map(&self, record: Record) -> String {
        format!("{}-{}", self.scope, record.suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::orders;
    use rstest::rstest;

    #[rstest]
    #[case("orders-0", true)]
    #[case("orders-12", true)]
    #[case("orders", false)]
    #[case("orders-", false)]
    #[case("orders-x", false)]
    #[case("orders-1-0", false)]
    #[case("orders-ha-17", false)]
    #[case("orders2-0", false)]
    #[case("other-0", false)]
    fn pod_belongs_to_the_database_by_its_name(#[case] name: &str, #[case] belongs: bool) {
        assert_eq!(orders().has_pod(name), belongs);
    }

    #[rstest]
    #[case("orders-ha-17-config", Some(Record::Config))]
    #[case("orders-ha-17-leader", Some(Record::Leader))]
    #[case("orders-ha-17-sync", Some(Record::Sync))]
    #[case("orders-ha-17-failover", Some(Record::Failover))]
    #[case("orders-ha-17", None)]
    #[case("orders-ha-17-", None)]
    #[case("orders-ha-17-leader-x", None)]
    #[case("orders-ha-16-leader", None)]
    #[case("orders-ha-17-0-leader", None)]
    fn config_map_belongs_to_the_scope_by_its_name(#[case] name: &str, #[case] record: Option<Record>) {
        assert_eq!(orders().record(name), record);
        assert!(record.is_none_or(|record| orders().config_map(record) == name));
    }

    #[test]
    fn path_is_that_of_the_postgres() {
        assert_eq!(orders().path(), "/apis/kubedb.com/v1/namespaces/demo/postgreses/orders");
    }

    #[test]
    fn pod_of_another_database_is_rejected() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let error = Database::new(name("demo"), name("orders"), name("orders-ha-17"), name("shop-0"));
        assert_eq!(
            error.unwrap_err().to_string(),
            "failed to serve pod \"shop-0\": expected \"orders-<number>\", a pod of database \"orders\""
        );
    }
}
