//! The request's report: a `ConfigMap`, one key a part. It is created, never taken over: a `ConfigMap` of its name that
//! another user made has other contents, and would be deleted with the request.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use pgops_api::{Owner, PostgresOpsRequest, UpgradePlan, names};
use pgops_kube::{ApiError, status};
use serde_json::json;

use super::client::Cluster;
use super::error::ClusterError;
use super::known::Identity;
use super::retry::with_retry;

/// What has one of the two names that a report may have.
#[derive(Clone, Debug, PartialEq)]
enum Holder {
    Absent,
    /// The request's report, with its uid.
    Ours(String),
    Foreign,
}

/// What to do about the report, given the holders of its usual and of its second name.
#[derive(Debug, PartialEq)]
enum Choice {
    /// It exists under the name of this index.
    Use(usize, String),
    /// It is created under the name of this index.
    Create(usize),
    /// Both names are taken.
    Taken,
}

/// An existing report comes first, under either name: with a second one, the journal in the first would be lost.
fn choose(holders: &[Holder; 2]) -> Choice {
    let ours = holders.iter().enumerate().find_map(|(index, holder)| match holder {
        Holder::Ours(uid) => Some(Choice::Use(index, uid.clone())),
        Holder::Absent | Holder::Foreign => None,
    });
    let absent = || holders.iter().position(|holder| *holder == Holder::Absent).map(Choice::Create);
    ours.or_else(absent).unwrap_or(Choice::Taken)
}

impl Cluster {
    /// One part of the request's report, if it was written.
    pub async fn report(&self, key: &str) -> Result<Option<String>, ClusterError> {
        for name in self.report_names() {
            if let Some(map) = self.read_report(&name).await?.filter(|map| self.owns_report(map)) {
                return Ok(map.data.and_then(|mut data| data.remove(key)));
            }
        }
        Ok(None)
    }

    /// Name of the `ConfigMap` with the report: usually `<request>-report`.
    #[must_use]
    pub fn report_name(&self) -> String {
        let known = self.known_report.get();
        known.map_or_else(|| names::report(&self.plan.request), |report| report.name)
    }

    /// Writes one part of the request's report.
    pub async fn write_report(&self, key: &str, text: &str) -> Result<(), ClusterError> {
        let known = self.known_report.get();
        let was_known = known.is_some();
        let report = match known {
            Some(report) => report,
            None => self.ensure_report().await?,
        };
        match self.patch_report(&report, key, text).await {
            // It was deleted, or replaced, since it was found.
            Err(error) if was_known && (status::is_not_found(&error) || status::is_invalid(&error)) => {
                let report = self.ensure_report().await?;
                self.patch_report(&report, key, text)
                    .await
                    .map_err(ApiError::on::<ConfigMap>("write", &report.name))?;
            }
            result => result.map_err(ApiError::on::<ConfigMap>("write", &report.name))?,
        }
        Ok(())
    }

    /// Under the uid that was found, so that no other object of the name is written.
    async fn patch_report(&self, report: &Identity, key: &str, text: &str) -> kube::Result<()> {
        let patch = Patch::Merge(json!({ "metadata": { "uid": report.uid }, "data": { key: text } }));
        let parameters = PatchParams::default();
        with_retry(|| self.config_maps.patch(&report.name, &parameters, &patch)).await.map(drop)
    }

    /// The report, which is created if it does not exist.
    async fn ensure_report(&self) -> Result<Identity, ClusterError> {
        self.known_report.forget();
        let names = self.report_names();
        loop {
            let mut holders = [Holder::Absent, Holder::Absent];
            for (name, holder) in names.iter().zip(&mut holders) {
                *holder = match self.read_report(name).await? {
                    None => Holder::Absent,
                    Some(map) if self.owns_report(&map) => Holder::Ours(map.uid().unwrap_or_default()),
                    Some(_) => Holder::Foreign,
                };
            }
            let report = match choose(&holders) {
                Choice::Use(index, uid) => Identity { name: names[index].clone(), uid },
                Choice::Create(index) => match self.create_report(&names[index]).await? {
                    Some(report) => report,
                    // Another client, or this one in a call whose answer was lost, was faster.
                    None => continue,
                },
                Choice::Taken => {
                    let foreign = self.request_owner().foreign::<ConfigMap>(names.join(" and "));
                    return Err(foreign.into());
                }
            };
            self.known_report.set(report.clone());
            return Ok(report);
        }
    }

    /// Creates the empty report; none if the name is taken.
    async fn create_report(&self, name: &str) -> Result<Option<Identity>, ClusterError> {
        let map = self.empty_report(name);
        let parameters = PostParams::default();
        let created = with_retry(|| async {
            match self.config_maps.create(&parameters, &map).await {
                Err(error) if status::is_already_exists(&error) => Ok(None),
                created => created.map(Some),
            }
        });
        let created = created.await.map_err(ApiError::on::<ConfigMap>("create", name))?;
        Ok(created.map(|map| Identity { name: name.to_owned(), uid: map.uid().unwrap_or_default() }))
    }

    fn empty_report(&self, name: &str) -> ConfigMap {
        let UpgradePlan { request, request_uid, database, .. } = &self.plan;
        let labels = [
            (names::LABEL_REQUEST.to_owned(), names::request_label(request, request_uid)),
            (names::LABEL_DATABASE.to_owned(), names::label(database).to_owned()),
        ];
        // It is deleted with its request.
        let owner = OwnerReference {
            api_version: PostgresOpsRequest::api_version(&()).into_owned(),
            kind: PostgresOpsRequest::kind(&()).into_owned(),
            name: request.clone(),
            uid: request_uid.clone(),
            ..OwnerReference::default()
        };
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(labels.into()),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    async fn read_report(&self, name: &str) -> Result<Option<ConfigMap>, ClusterError> {
        let map = with_retry(|| self.config_maps.get_opt(name)).await;
        Ok(map.map_err(ApiError::on::<ConfigMap>("read", name))?)
    }

    fn owns_report(&self, map: &ConfigMap) -> bool {
        self.request_owner().owns(&map.metadata)
    }

    fn request_owner(&self) -> Owner {
        Owner::new::<PostgresOpsRequest>(&self.plan.request, &self.plan.request_uid)
    }

    /// The usual name, and the one that is used if another object has that.
    fn report_names(&self) -> [String; 2] {
        let request = &self.plan.request;
        [names::report(request), names::report_by_uid(request, &self.plan.request_uid)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn ours() -> Holder {
        Holder::Ours("u".into())
    }

    #[rstest]
    #[case::new([Holder::Absent, Holder::Absent], Choice::Create(0))]
    #[case::existing([ours(), Holder::Absent], Choice::Use(0, "u".into()))]
    #[case::name_taken([Holder::Foreign, Holder::Absent], Choice::Create(1))]
    #[case::second_name_in_use([Holder::Foreign, ours()], Choice::Use(1, "u".into()))]
    #[case::usual_name_free_again([Holder::Absent, ours()], Choice::Use(1, "u".into()))]
    #[case::both_taken([Holder::Foreign, Holder::Foreign], Choice::Taken)]
    fn report_is_created_under_a_free_name_and_never_taken_over(
        #[case] holders: [Holder; 2],
        #[case] expected: Choice,
    ) {
        assert_eq!(choose(&holders), expected);
    }
}
