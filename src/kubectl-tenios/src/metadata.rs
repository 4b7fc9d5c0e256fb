//! `metadata`, by the apiserver's own rules.

use serde_json::{Map, Value};

use super::manifest::Step;
use super::schema::Check;
use tenios_api::name::{is_dns_label, is_dns_subdomain};

/// The fields of `ObjectMeta`.
const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Of all annotations together.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

pub(super) fn metadata(check: &mut Check, metadata: &Value) {
    check.field("metadata", |check| {
        let Some(fields) = metadata.as_object() else { return check.report("is missing") };
        for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
            check.field(name, |check| check.report("unknown field"));
        }
        names(check, fields);
        texts(check, fields, "labels", |check, value| {
            if !(value.is_empty() || is_qualified(value)) {
                check.report(format!(
                    "{value:?} is not a valid label value: use letters, digits, -, _ and ., at most 63 characters"
                ));
            }
        });
        texts(check, fields, "annotations", |_, _| {});
        let annotations = fields.get("annotations").and_then(Value::as_object);
        let size = |(name, value): (&String, &Value)| name.len() + value.as_str().map_or(0, str::len);
        if annotations.is_some_and(|all| all.iter().map(size).sum::<usize>() > ANNOTATIONS_LIMIT) {
            check.field("annotations", |check| check.report("are larger than 256 KiB in total"));
        }
        finalizers(check, fields.get("finalizers"));
    });
}

/// The apiserver puts letters and digits behind it, so that it may end with a dash.
fn begins_a_name(prefix: &str) -> bool {
    is_dns_subdomain(prefix)
        || prefix.strip_suffix('-').is_some_and(|rest| is_dns_subdomain(&format!("{rest}x")))
}

fn names(check: &mut Check, fields: &Map<String, Value>) {
    let given = |name: &str| fields.get(name).filter(|value| !value.is_null() && *value != "");
    let prefix = given("generateName");
    match given("name") {
        Some(Value::String(name)) if is_dns_subdomain(name) => {}
        None if prefix.is_some() => {}
        None => check.field("name", |check| check.report("is missing")),
        Some(name) => check.field("name", |check| {
            check.report(format!(
                "{name} is not a valid name: use lower-case letters, digits, - and ., at most 253 characters"
            ));
        }),
    }
    if let Some(prefix) = prefix
        && !prefix.as_str().is_some_and(begins_a_name)
    {
        check
            .field("generateName", |check| check.report(format!("{prefix} is not a valid prefix of a name")));
    }
    if let Some(namespace) = given("namespace")
        && !namespace.as_str().is_some_and(is_dns_label)
    {
        check.field("namespace", |check| check.report(format!("{namespace} is not a valid namespace")));
    }
}

fn texts(
    check: &mut Check,
    fields: &Map<String, Value>,
    field: &str,
    check_value: impl Fn(&mut Check, &str),
) {
    let Some(marks) = fields.get(field).filter(|marks| !marks.is_null()) else { return };
    check.field(field, |check| {
        let Some(marks) = marks.as_object() else { return check.report("must be an object of strings") };
        for (name, value) in marks {
            check.field(name, |check| {
                if !is_qualified_name(name, field == "annotations") {
                    check.report(
                        "is not a valid key: use letters, digits, -, _ and ., at most 63 characters, optionally after a domain and /",
                    );
                }
                match value {
                    Value::String(text) => check_value(check, text),
                    Value::Null => {}
                    other => check.report(format!("{other} must be a string: quote it")),
                }
            });
        }
    });
}

fn finalizers(check: &mut Check, finalizers: Option<&Value>) {
    let Some(all) = finalizers.filter(|all| !all.is_null()) else { return };
    check.field("finalizers", |check| {
        let Some(all) = all.as_array() else { return check.report("must be a list of strings") };
        for (index, one) in all.iter().enumerate() {
            if !one.as_str().is_some_and(|name| is_qualified_name(name, false)) {
                check.within(Step::Element(index), |check| {
                    check.report(format!("{one} is not a valid finalizer"));
                });
            }
        }
    });
}

/// `IsQualifiedName`: a name that may stand behind a domain.
fn is_qualified_name(name: &str, any_case: bool) -> bool {
    let (prefix, name) = name.split_once('/').map_or((None, name), |(prefix, name)| (Some(prefix), name));
    let prefix = prefix.map(|prefix| if any_case { prefix.to_ascii_lowercase() } else { prefix.to_owned() });
    prefix.is_none_or(|prefix| is_dns_subdomain(&prefix)) && is_qualified(name)
}

/// The part of it behind the domain, and what a label may be set to.
fn is_qualified(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && ends.into_iter().flatten().all(|b| b.is_ascii_alphanumeric())
}
