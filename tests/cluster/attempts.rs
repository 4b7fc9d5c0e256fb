//! What a tenant asks of the apiserver and must not get, as data.

use serde_json::{Value, json};

use crate::harness::Scenario;
use crate::tenants::FIRST_NUMBER;
use crate::world::merge;

const GROUP: &str = "/apis/tenios.dev/v1alpha1/namespaces";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";

/// A request to the apiserver that it must refuse.
pub struct Attempt {
    pub what: &'static str,
    pub on: String,
    pub method: &'static str,
    pub path: String,
    pub content: &'static str,
    pub body: Value,
    pub refusal: Refusal,
}

#[derive(Clone, Copy)]
pub enum Refusal {
    Forbidden,
    /// By the schema, in words that contain this.
    Invalid(&'static str),
}

/// What the apiserver itself refuses.
#[allow(clippy::too_many_lines, reason = "a table")]
pub fn attempts(a: &Scenario, b: &Scenario) -> Vec<Attempt> {
    let (theirs, own, operator) = (&a.namespace, &b.namespace, &a.operator_namespace);
    let mut attempts = Vec::new();
    let mut add = |what, on: &str, method, path: String, content, body, refusal| {
        attempts.push(Attempt { what, on: on.to_owned(), method, path, content, body, refusal });
    };
    let mut forbidden = |what, on: &str, method, path: String, content, body| {
        add(what, on, method, path, content, body, Refusal::Forbidden);
    };
    let placed = json!({"metadata": {"annotations": {"tenios.dev/not-placed": "a1"}}});
    let object = |kind: &str, name: &str, body: Value| {
        let mut object =
            json!({"apiVersion": "tenios.dev/v1alpha1", "kind": kind, "metadata": {"name": name}});
        merge(&mut object, body);
        object
    };
    for (kind, plural, name) in
        [("PhoneNumberOrder", "phonenumberorders", "main"), ("PhoneVerification", "phoneverifications", "v")]
    {
        let at = format!("{GROUP}/{theirs}/{plural}");
        let one = format!("{at}/{name}");
        forbidden("reads", &format!("the other's {kind}"), "GET", one.clone(), JSON, Value::Null);
        forbidden("lists", &format!("the other's {plural}"), "GET", at.clone(), JSON, Value::Null);
        forbidden(
            "watches",
            &format!("the other's {plural}"),
            "GET",
            format!("{at}?watch=true&timeoutSeconds=1"),
            JSON,
            Value::Null,
        );
        forbidden(
            "lists",
            &format!("all {plural}"),
            "GET",
            format!("/apis/tenios.dev/v1alpha1/{plural}"),
            JSON,
            Value::Null,
        );
        forbidden(
            "creates",
            &format!("a {kind} in the other's namespace"),
            "POST",
            at.clone(),
            JSON,
            object(kind, "mine", json!({"spec": {}})),
        );
        forbidden(
            "edits",
            &format!("the other's {kind}"),
            "PATCH",
            one.clone(),
            MERGE,
            json!({"spec": {"suspend": true}}),
        );
        forbidden(
            "applies",
            &format!("the other's {kind}"),
            "PATCH",
            format!("{one}?fieldManager=t&force=true"),
            APPLY,
            object(kind, name, json!({"spec": {}})),
        );
        forbidden(
            "sets the not-placed annotation on",
            &format!("the other's {kind}"),
            "PATCH",
            one.clone(),
            MERGE,
            placed.clone(),
        );
        forbidden("deletes", &format!("the other's {kind}"), "DELETE", one.clone(), JSON, Value::Null);
        for (whose, namespace, name) in [("the other's", theirs, name), ("its own", own, "late-id")] {
            let status = format!("{GROUP}/{namespace}/{plural}/{name}/status");
            let body = json!({"status": {"state": "Assigned", "phoneNumber": FIRST_NUMBER}});
            forbidden(
                "patches status of",
                &format!("{whose} {kind}"),
                "PATCH",
                status.clone(),
                MERGE,
                body.clone(),
            );
            forbidden(
                "replaces status of",
                &format!("{whose} {kind}"),
                "PUT",
                status.clone(),
                JSON,
                object(kind, name, body.clone()),
            );
            forbidden(
                "applies status of",
                &format!("{whose} {kind}"),
                "PATCH",
                format!("{status}?fieldManager=t&force=true"),
                APPLY,
                object(kind, name, body),
            );
        }
    }
    for (whose, namespace) in [("the other's", theirs), ("the operator's", operator)] {
        let at = format!("/api/v1/namespaces/{namespace}");
        forbidden("lists", &format!("{whose} Secrets"), "GET", format!("{at}/secrets"), JSON, Value::Null);
        forbidden(
            "reads",
            &format!("{whose} Secret"),
            "GET",
            format!("{at}/secrets/tenios"),
            JSON,
            Value::Null,
        );
        forbidden(
            "writes",
            &format!("{whose} Secret"),
            "PATCH",
            format!("{at}/secrets/tenios"),
            MERGE,
            json!({"data": {}}),
        );
        forbidden(
            "deletes",
            &format!("{whose} Secret"),
            "DELETE",
            format!("{at}/secrets/tenios"),
            JSON,
            Value::Null,
        );
        let token = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        forbidden(
            "takes a token of",
            &format!("{whose} ServiceAccount"),
            "POST",
            format!("{at}/serviceaccounts/tenios-operator/token"),
            JSON,
            token,
        );
    }
    for (whose, namespace) in [("the operator's", operator), ("its own namespace's", own)] {
        let at = format!("{GROUP}/{namespace}/ledgerentries");
        let one = format!("{at}/pno.{theirs}.main");
        let entry = object(
            "LedgerEntry",
            &format!("pno.{own}.mine"),
            json!({"spec": {"kind": "PhoneNumberOrder", "namespace": own,
            "name": "mine", "revision": 1, "snapshot": {}, "events": []}}),
        );
        forbidden("lists", &format!("{whose} ledger"), "GET", at.clone(), JSON, Value::Null);
        forbidden("reads", &format!("an entry of {whose} ledger"), "GET", one.clone(), JSON, Value::Null);
        forbidden("creates", &format!("an entry of {whose} ledger"), "POST", at.clone(), JSON, entry);
        forbidden(
            "edits",
            &format!("an entry of {whose} ledger"),
            "PATCH",
            one.clone(),
            MERGE,
            json!({"spec": {"events": []}}),
        );
        forbidden("deletes", &format!("an entry of {whose} ledger"), "DELETE", one, JSON, Value::Null);
    }
    let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{operator}/leases/tenios-operator");
    forbidden("reads", "the lease", "GET", lease.clone(), JSON, Value::Null);
    forbidden("takes", "the lease", "PATCH", lease.clone(), MERGE, json!({"spec": {"holderIdentity": "b"}}));
    forbidden("deletes", "the lease", "DELETE", lease, JSON, Value::Null);
    let roles = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{own}/rolebindings");
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "more"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "tenios-operator"}, "subjects": []});
    forbidden("binds the operator's role", "in its own namespace", "POST", roles, JSON, binding);
    let crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ledgerentries.tenios.dev";
    forbidden("deletes", "the CRD of the ledger", "DELETE", crd.to_owned(), JSON, Value::Null);
    let strict = format!("{GROUP}/{own}/phonenumberorders?fieldValidation=Strict");
    for (on, reference) in [
        ("verificationRef with a namespace", json!({"verificationRef": {"name": "v", "namespace": theirs}})),
        (
            "orderRef with a namespace",
            json!({"verificationId": "v", "linkTo": {"orderRef": {"name": "main", "namespace": theirs}}}),
        ),
        (
            "accessKeySecretRef with a namespace",
            json!({"verificationId": "v", "accessKeySecretRef": {"name": "t", "key": "k", "namespace": theirs}}),
        ),
    ] {
        let body = object("PhoneNumberOrder", "strict", json!({"spec": reference}));
        add("refers by", on, "POST", strict.clone(), JSON, body, Refusal::Invalid("unknown field"));
    }
    attempts
}
