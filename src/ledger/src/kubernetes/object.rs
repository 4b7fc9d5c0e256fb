//! An entry as an object and back.

use kube::ResourceExt;
use kube::api::{ObjectMeta, Patch};
use kube::core::DeserializeGuard;
use serde_json::{Value, json};

use super::super::{Entry, Version, spec};
use super::names::object_name;
use tenios_api::LedgerEntry;

pub(super) fn to_object(entry: &Entry) -> Result<LedgerEntry, String> {
    let mut object = LedgerEntry::new(&object_name(&entry.key), spec::to_spec(entry)?);
    object.metadata = ObjectMeta { name: object.metadata.name, ..ObjectMeta::default() };
    Ok(object)
}

/// The entry that this object holds.
///
/// # Errors
/// When another version of the operator wrote it.
pub fn to_entry(object: &LedgerEntry) -> Result<Entry, String> {
    let entry = spec::from_spec(&object.spec).map_err(|why| unreadable(&object.name_any(), "", &why))?;
    let version = object.resource_version().map(|version| StoredVersion::version(object, &version));
    Ok(Entry { version, ..entry })
}

pub(super) fn unreadable(name: &str, part: &str, why: &str) -> String {
    format!(
        "LedgerEntry {name} was written by another version of the operator and can't be read: {part}{why}"
    )
}

pub(super) fn readable(object: DeserializeGuard<LedgerEntry>) -> Result<Entry, String> {
    let name = object.name_any();
    // Its own words quote what it found.
    object
        .0
        .map_err(|_| unreadable(&name, "", "it has a field of the wrong type"))
        .and_then(|object| to_entry(&object))
}

/// What a [`Version`] of this store says. The resource version alone would not do: after a restore, another
/// revision can have the same.
pub(super) struct StoredVersion<'a> {
    /// The object's name.
    pub(super) name: &'a str,
    pub(super) resource_version: &'a str,
    revision: &'a str,
    /// Empty where an earlier version of the operator wrote it.
    writer: &'a str,
}

impl<'a> StoredVersion<'a> {
    pub(super) fn of(version: &'a Version) -> Self {
        let mut parts = version.as_str().splitn(4, '@');
        let mut next = || parts.next().unwrap_or_default();
        Self { name: next(), resource_version: next(), revision: next(), writer: next() }
    }

    fn version(object: &LedgerEntry, resource_version: &str) -> Version {
        let spec = &object.spec;
        let writer = spec.writers.first().map(String::as_str).unwrap_or_default();
        Version::new(format!("{}@{resource_version}@{}@{writer}", object.name_any(), spec.revision))
    }

    /// Puts the next entry into its place, and leaves labels, annotations and finalizers, which are others'.
    pub(super) fn replaced_by(&self, next: &LedgerEntry) -> Result<Patch<()>, serde_json::Error> {
        let revision: u64 = self.revision.parse().unwrap_or_default();
        let mut steps = vec![
            json!({"op": "replace", "path": "/metadata/resourceVersion", "value": self.resource_version}),
            json!({"op": "test", "path": "/spec/revision", "value": revision}),
        ];
        if !self.writer.is_empty() {
            steps.push(json!({"op": "test", "path": "/spec/writers/0", "value": self.writer}));
        }
        steps.push(json!({"op": "replace", "path": "/spec", "value": next.spec}));
        serde_json::from_value(Value::Array(steps)).map(Patch::Json)
    }
}
