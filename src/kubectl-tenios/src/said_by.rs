//! Whose words stand in a resource. The apiserver remembers for each field who wrote it last, and when that one wrote
//! last: not always a person, but the tool that wrote for one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::DynamicObject;
use serde_json::Value;

use super::history::Row;
use tenios_api::NOT_PLACED_ANNOTATION;

/// What a person decides, by its place in the resource.
const DECISIONS: [&[&str]; 4] = [
    &["spec", "adopt"],
    &["spec", "approval"],
    &["spec", "suspend"],
    &["metadata", "annotations", NOT_PLACED_ANNOTATION],
];

/// Every decision that stands in the resource, with its field manager.
pub(super) fn people(resource: &DynamicObject) -> Vec<Row> {
    let Ok(all) = serde_json::to_value(resource) else { return Vec::new() };
    let managers = resource.metadata.managed_fields.as_deref().unwrap_or_default();
    let mut rows = Vec::new();
    for path in DECISIONS {
        let Some(value) = path.iter().try_fold(&all, |value, field| value.get(*field)) else { continue };
        for manager in managers.iter().filter(|manager| owns(manager, path)) {
            let time = manager.time.as_ref().map(|time| time.0);
            let by = manager.manager.as_deref().unwrap_or("an unknown field manager");
            let words = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            rows.push(Row::new(
                time,
                by,
                format!("{} is {words}, by this writer's last write", path.join(".")),
            ));
        }
    }
    rows
}

fn owns(manager: &ManagedFieldsEntry, path: &[&str]) -> bool {
    let Some(fields) = &manager.fields_v1 else { return false };
    let owned = |fields: &Value| {
        path.iter().try_fold(fields, |fields, field| fields.get(format!("f:{field}"))).is_some()
    };
    manager.subresource.is_none() && owned(&fields.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_decision_is_told_with_who_wrote_it_and_nobody_elses_fields() {
        let resource: DynamicObject = serde_json::from_value(json!({
            "metadata": {
                "name": "cologne-office",
                "annotations": {"tenios.dev/not-placed": "a3"},
                "managedFields": [
                    {"manager": "argocd", "operation": "Apply", "time": "2026-11-26T09:00:00Z",
                        "fieldsV1": {"f:spec": {"f:areaCode": {}, "f:suspend": {}}}},
                    {"manager": "kubectl-tenios", "operation": "Update", "time": "2026-11-26T10:00:00Z",
                        "fieldsV1": {"f:spec": {"f:approval": {}}}},
                    {"manager": "kubectl-annotate", "operation": "Update", "time": "2026-11-26T11:00:00Z",
                        "fieldsV1": {"f:metadata": {"f:annotations": {".": {}, "f:tenios.dev/not-placed": {}}}}},
                    {"manager": "tenios-operator", "operation": "Update", "subresource": "status",
                        "time": "2026-11-26T12:00:00Z", "fieldsV1": {"f:spec": {"f:approval": {}}}},
                ],
            },
            "spec": {"approval": "Approved", "areaCode": "221"},
        }))
        .unwrap();
        let rows = people(&resource);
        let told: Vec<_> = rows.iter().map(|row| (row.by.as_str(), row.what.as_str())).collect();
        assert_eq!(
            told,
            [
                ("kubectl-tenios", "spec.approval is Approved, by this writer's last write"),
                (
                    "kubectl-annotate",
                    "metadata.annotations.tenios.dev/not-placed is a3, by this writer's last write"
                ),
            ]
        );
        assert_eq!(rows[0].time, Some("2026-11-26T10:00:00Z".parse().unwrap()));
    }
}
