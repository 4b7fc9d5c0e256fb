//! What a change here means for the manifest in Git.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::target::{self, FIELD_MANAGER, Target};
use super::{Failure, out};

/// A field of the spec that a person sets with this command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Approval,
    Adopt,
    Cancel,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Adopt => "adopt",
            Self::Cancel => "cancel",
        }
    }
}

/// What to do in Git about this field. Who applies a manifest that has the field sets it back; who applies one
/// without it leaves it alone. `before` is what was there before the change, which takes the field over.
pub(super) fn advice(
    target: &Target,
    field: Field,
    before: &DynamicObject,
    after: &DynamicObject,
) -> Result<String, Failure> {
    let name = field.name();
    let part = out::yaml(&manifest(target, field, after))?;
    Ok(match (appliers(before, name).first(), field) {
        (Some(manager), _) => {
            let who = owner(before).unwrap_or_else(|| out::sanitize(manager));
            format!(
                "{who} applies a manifest that sets spec.{name}, and may restore its own value. To keep this change, remove spec.{name} from the manifest in Git; or, unless the tool is configured to ignore the field, commit the same change there:\n\n{part}"
            )
        }
        (None, Field::Approval) => {
            "No applied manifest sets spec.approval, so this change stays. Leave the field out of Git as well.\n".into()
        }
        (None, Field::Cancel) => format!(
            "No applied manifest sets spec.cancel, so this change stays. If the manifest is kept in Git, add the field there, so that it says what becomes of the number:\n\n{part}"
        ),
        (None, Field::Adopt) => format!(
            "No applied manifest sets spec.adopt, so this change stays. If the manifest is kept in Git, add the field there, so that nothing is ordered again in another cluster:\n\n{part}"
        ),
    })
}

fn manifest(target: &Target, field: Field, object: &DynamicObject) -> Value {
    let types = target::types(target.kind);
    json!({
        "apiVersion": types.api_version,
        "kind": types.kind,
        "metadata": {"name": target.name, "namespace": object.namespace()},
        "spec": {field.name(): object.data["spec"][field.name()]},
    })
}

/// Field managers that set the field by applying a manifest, and will again.
fn appliers(object: &DynamicObject, field: &str) -> Vec<String> {
    let sets = |entry: &&ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0["f:spec"]);
        fields.is_some_and(|spec| spec.get(format!("f:{field}")).is_some())
    };
    let entries = object.metadata.managed_fields.iter().flatten().filter(|entry| applies(entry)).filter(sets);
    entries.filter_map(|entry| entry.manager.clone()).filter(|manager| manager != FIELD_MANAGER).collect()
}

/// A server-side apply says so; what applies on the client's side is known by its name. Others, such as
/// `kubectl edit`, wrote once.
fn applies(entry: &ManagedFieldsEntry) -> bool {
    const ON_THE_CLIENT: [&str; 3] = ["argocd", "helm", "kubectl-client-side-apply"];
    entry.operation.as_deref() == Some("Apply")
        || entry
            .manager
            .as_ref()
            .is_some_and(|manager| ON_THE_CLIENT.iter().any(|name| manager.starts_with(name)))
}

fn owner(object: &DynamicObject) -> Option<String> {
    let label = |name: &str| object.labels().get(name);
    let annotation = |name: &str| object.annotations().get(name);
    // `<application>:<group>/<kind>:<namespace>/<name>`
    let argo = annotation("argocd.argoproj.io/tracking-id").and_then(|id| id.split(':').next());
    let argo = argo.or_else(|| label("argocd.argoproj.io/instance").map(String::as_str));
    let named = |what: &str, name: &str| out::sanitize(&format!("{what} {name}"));
    argo.map(|name| named("Argo CD application", name))
        .or_else(|| label("kustomize.toolkit.fluxcd.io/name").map(|name| named("Flux Kustomization", name)))
        .or_else(|| label("helm.toolkit.fluxcd.io/name").map(|name| named("Flux HelmRelease", name)))
        .or_else(|| annotation("meta.helm.sh/release-name").map(|name| named("Helm release", name)))
}
