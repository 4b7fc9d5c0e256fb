//! What is dropped of others' objects while it arrives.

use proptest::prelude::*;
use serde_json::{Value, json};
use tenios_operator::controller::trim::{Bounds, Trim};

const LIMIT: usize = 1000;
const TEXT_LIMIT: usize = 200;

/// Through the filter in pieces of this size.
fn through(text: &str, piece: usize) -> String {
    let mut trim = Trim::new(Bounds { member: LIMIT, text: TEXT_LIMIT, owners: false });
    let kept: Vec<u8> = text.as_bytes().chunks(piece).flat_map(|piece| trim.push(piece)).collect();
    String::from_utf8(kept).unwrap()
}

fn parsed(text: &str, piece: usize) -> Value {
    serde_json::from_str(&through(text, piece)).unwrap()
}

fn order(name: &str) -> Value {
    json!({
        "apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder",
        "metadata": {
            "managedFields": [{"manager": "}]\"\\", "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}}}}}],
            "labels": {"a": "b", "metadata": "]}"}, "finalizers": ["x"], "ownerReferences": [{"name": "o"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"metadata\":{}}",
                "tenios.dev/not-placed": "4711"},
            "name": name, "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 3,
            "deletionTimestamp": "2026-11-22T09:00:00Z",
        },
        "spec": {"verificationRef": {"name": "metadata"}, "labels": {"x": 1}, "list": [1, true, null, -1.5e3]},
        "status": {"conditions": []},
    })
}

/// What is left of it.
fn kept(name: &str) -> Value {
    let mut order = order(name);
    let metadata = order["metadata"].as_object_mut().unwrap();
    for dropped in ["managedFields", "labels", "finalizers", "ownerReferences"] {
        metadata.remove(dropped).unwrap();
    }
    metadata["annotations"].as_object_mut().unwrap().retain(|name, _| name == "tenios.dev/not-placed");
    order
}

#[test]
fn p26_labels_and_what_else_nobody_reads_are_dropped_while_they_arrive() {
    let list = json!({"kind": "List", "metadata": {"resourceVersion": "9", "continue": "abc"}, "items": [order("a"), order("b")]});
    let left = json!({"kind": "List", "metadata": {"resourceVersion": "9", "continue": "abc"}, "items": [kept("a"), kept("b")]});
    let empty = json!({"kind": "List", "metadata": {}, "items": []});
    for piece in [1, 2, 3, 7, 64, 100_000] {
        assert_eq!(parsed(&order("a").to_string(), piece), kept("a"));
        assert_eq!(parsed(&serde_json::to_string_pretty(&order("a")).unwrap(), piece), kept("a"));
        assert_eq!(parsed(&list.to_string(), piece), left);
        assert_eq!(parsed(&empty.to_string(), piece), empty);
    }
}

#[test]
fn p26_each_event_of_a_watch_is_trimmed_and_stays_a_line() {
    let event = |object: Value| json!({"type": "ADDED", "object": object}).to_string() + "\n";
    let text = event(order("a")) + &event(order("b"));
    let lines: Vec<Value> =
        through(&text, 5).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, [kept("a"), kept("b")].map(|object| json!({"type": "ADDED", "object": object})));
}

#[test]
fn p26_a_megabyte_of_labels_leaves_nothing_and_a_spec_too_long_can_t_be_read() {
    let mut large = order("a");
    large["metadata"]["labels"]["x"] = json!("y".repeat(1_000_000));
    large["metadata"]["annotations"]["tenios.dev/not-placed"] = json!("z".repeat(10_000));
    let long = "Köln\\\"".repeat(10_000);
    large["spec"]["city"] = json!(long);
    large["spec"]["list"] = json!([{long.as_str(): 1, "b": long}, "c"]);
    large["status"]["list"] = json!(vec!["x"; 1000]);
    let text = through(&large.to_string(), 4096);
    assert!(text.len() < 1000, "{} bytes", text.len());
    let left: Value = serde_json::from_str(&text).unwrap();
    // The rest can be read, so that what is wrong can be named.
    let none = json!(["(too long)"]);
    assert_eq!(left["spec"]["verificationRef"], order("a")["spec"]["verificationRef"]);
    assert_eq!(left["spec"]["city"], none);
    assert_eq!(left["spec"]["list"], json!([{"(too long)": 1, "b": none}, "c"]));
    assert_eq!(left["status"], json!("(too long)"));
    assert_eq!(left["metadata"]["annotations"]["tenios.dev/not-placed"], json!("(too long)"));
    assert_eq!(left["metadata"]["name"], json!("a"));
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[\\x00-\\x7f]{0,12}|\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("metadata|items|object|labels|[a-z\"\\\\]{0,5}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever stands in a spec comes through as it is, wherever the pieces are cut.
    #[test]
    fn what_is_kept_is_kept_as_it_is(spec in json_value(), labels in json_value(), piece in 1_usize..40) {
        let mut object = order("a");
        let mut left = kept("a");
        object["metadata"]["labels"] = labels;
        if spec.to_string().len() <= LIMIT {
            object["spec"] = spec.clone();
            left["spec"] = spec;
        }
        prop_assert_eq!(parsed(&object.to_string(), piece), left);
    }
}
