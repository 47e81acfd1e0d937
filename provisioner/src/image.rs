//! Which image a database's workload gets. A catalog entry may change while databases use it: none of them gets another
//! image, and with it another minor release or C library, at an accidental restart. A request rolls it out, with a
//! preflight, or an annotation of the `Postgres`.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use pgops_api::{Postgres, names};
use pgops_kube::stored_image::image_of;

/// The image of a workload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageChoice {
    pub image: String,
    /// The catalog's image, if the workload keeps another one.
    pub kept_instead_of: Option<CatalogImage>,
}

/// The image that a `PostgresVersion` names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CatalogImage {
    /// Name of the `PostgresVersion`.
    pub version: String,
    pub image: String,
}

impl ImageChoice {
    /// How the image differs from the catalog's, and what changes it; none if it does not differ.
    pub fn difference(&self) -> Option<String> {
        let CatalogImage { version, image } = self.kept_instead_of.as_ref()?;
        Some(format!(
            "PostgresVersion \"{version}\" now has image {image}, and the database keeps {}: to change it, apply a \
             PostgresOpsRequest of type UpdateVersion with targetVersion \"{version}\", or set the annotation {}=true on \
             the Postgres, which takes effect when its pod is restarted",
            self.image,
            names::ANNOTATION_OVERRIDE
        ))
    }
}

/// Chooses the image for a database whose catalog entry names `catalog`.
pub fn choose(database: &Postgres, catalog: &str, workload: Option<&StatefulSet>) -> ImageChoice {
    let of_catalog = ImageChoice { image: catalog.to_owned(), kept_instead_of: None };
    // A database that never served has nothing to protect, and its image may have been corrected.
    if !database.was_initialized() || database.overrides_guards() {
        return of_catalog;
    }
    let version = &database.spec.version;
    match workload.and_then(|workload| keeps(workload, version, catalog)) {
        Some(image) if image != catalog => ImageChoice {
            image: image.to_owned(),
            kept_instead_of: Some(CatalogImage { version: version.clone(), image: catalog.to_owned() }),
        },
        _ => of_catalog,
    }
}

/// The image that the workload keeps; none if it gets the catalog's.
fn keeps<'a>(workload: &'a StatefulSet, version: &str, catalog: &str) -> Option<&'a str> {
    let current = image_of(workload, names::CONTAINER_POSTGRES)?;
    // A request for the same version has set it.
    if current == catalog {
        return None;
    }
    let annotations = workload.annotations();
    let recorded = annotations.get(names::ANNOTATION_VERSION).zip(annotations.get(names::ANNOTATION_IMAGE));
    match recorded {
        None => Some(current),
        // Set by another client since.
        Some((of, image)) if of == version => Some(image),
        // The worker that has changed the version has set the image of its plan.
        Some((_, image)) if image != current => Some(current),
        // The version was changed by hand.
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{database, version, workload};
    use rstest::rstest;
    use serde_json::{Value, json};

    const OLD: &str = "registry.example/postgres:13.16";
    const CHANGED: &str = "registry.example/postgres:13.16-changed";
    const NEXT: &str = "registry.example/postgres:13.23";

    /// On 13.16, with these annotations, after its first server has answered.
    fn serving(change: Value, annotations: Value) -> Postgres {
        let mut database = database(change);
        database.metadata.annotations = serde_json::from_value(annotations).unwrap();
        database
            .annotations_mut()
            .insert(names::ANNOTATION_INITIALIZED.into(), "2026-11-20T10:00:00Z".into());
        database
    }

    /// Built for 13.16, now with this image.
    fn running(image: &str) -> StatefulSet {
        let mut workload = workload(&version("13.16", "13.16", None));
        let pod = workload.spec.as_mut().unwrap().template.spec.as_mut().unwrap();
        pod.containers[0].image = Some(image.into());
        workload
    }

    fn on(version: &str) -> Postgres {
        serving(json!({ "version": version }), json!({}))
    }

    #[rstest]
    #[case::unchanged(on("13.16"), OLD, OLD, OLD)]
    #[case::catalog_changed(on("13.16"), OLD, CHANGED, OLD)]
    #[case::catalog_changed_and_image_set_by_hand(on("13.16"), "by-hand", CHANGED, OLD)]
    #[case::image_set_by_hand(on("13.16"), "by-hand", OLD, OLD)]
    #[case::rolled_out_by_a_request_for_the_same_version(on("13.16"), CHANGED, CHANGED, CHANGED)]
    #[case::upgraded(on("13.23"), NEXT, NEXT, NEXT)]
    #[case::upgraded_and_catalog_changed_meanwhile(on("13.23"), NEXT, "corrected", NEXT)]
    #[case::version_changed_by_hand(on("13.23"), OLD, NEXT, NEXT)]
    #[case::catalogs_image_wanted(
        serving(json!({}), json!({ "pgops.dev/override-guards": "true" })), OLD, CHANGED, CHANGED
    )]
    #[case::never_served(database(json!({})), OLD, CHANGED, CHANGED)]
    fn image_changes_only_with_the_version_or_on_request(
        #[case] database: Postgres,
        #[case] current: &str,
        #[case] catalog: &str,
        #[case] expected: &str,
    ) {
        let choice = choose(&database, catalog, Some(&running(current)));
        assert_eq!(choice.image, expected);
        assert_eq!(choice.kept_instead_of.is_some(), expected != catalog);
    }

    #[test]
    fn new_workload_gets_the_catalogs_image() {
        assert_eq!(choose(&on("13.16"), CHANGED, None).image, CHANGED);
    }

    #[test]
    fn workload_without_a_record_keeps_its_image() {
        let mut workload = running(OLD);
        workload.metadata.annotations = None;
        let choice = choose(&on("13.16"), CHANGED, Some(&workload));
        assert_eq!(choice.image, OLD);
        let text = choice.difference().unwrap();
        assert!(text.contains(CHANGED) && text.contains("targetVersion \"13.16\""), "{text}");
    }
}
