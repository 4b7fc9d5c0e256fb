//! What a tenant asks of the apiserver and must not get, as data.

use serde_json::{Value, json};

use crate::tenants::FIRST_NUMBER;
use crate::testbed::merge;
use harness::TestNamespaces;

const GROUP: &str = "/apis/tenios.dev/v1alpha1/namespaces";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";

/// A request to the apiserver that it must refuse.
pub struct Attack {
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
pub fn tenant_attacks(a: &TestNamespaces, b: &TestNamespaces) -> Vec<Attack> {
    let mut table = Table(Vec::new());
    for (kind, plural, name) in
        [("PhoneNumberOrder", "phonenumberorders", "main"), ("PhoneVerification", "phoneverifications", "v")]
    {
        resources_of_another(&mut table, (kind, plural, name), &a.namespace);
        for (whose, namespace, name) in
            [("the other's", &a.namespace, name), ("its own", &b.namespace, "late-id")]
        {
            let status = format!("{GROUP}/{namespace}/{plural}/{name}/status");
            statuses(&mut table, &format!("{whose} {kind}"), &status, kind, name);
        }
    }
    for (whose, namespace) in [("the other's", &a.namespace), ("the operator's", &a.operator_namespace)] {
        secrets(&mut table, whose, &format!("/api/v1/namespaces/{namespace}"));
    }
    for (whose, namespace) in
        [("the operator's", &a.operator_namespace), ("its own namespace's", &b.namespace)]
    {
        ledger(&mut table, whose, &format!("{GROUP}/{namespace}/ledgerentries"), &a.namespace, &b.namespace);
    }
    cluster(&mut table, &a.operator_namespace, &b.namespace);
    references(&mut table, &a.namespace, &b.namespace);
    table.0
}

struct Table(Vec<Attack>);

impl Table {
    fn forbidden(&mut self, what: &'static str, on: &str, method: &'static str, path: &str, body: Value) {
        self.add(what, on, method, path, JSON, body, Refusal::Forbidden);
    }

    fn merged(&mut self, what: &'static str, on: &str, path: &str, body: Value) {
        self.add(what, on, "PATCH", path, MERGE, body, Refusal::Forbidden);
    }

    fn applied(&mut self, what: &'static str, on: &str, path: &str, body: Value) {
        let path = format!("{path}?fieldManager=t&force=true");
        self.add(what, on, "PATCH", &path, APPLY, body, Refusal::Forbidden);
    }

    #[allow(clippy::too_many_arguments)] // the columns
    fn add(
        &mut self,
        what: &'static str,
        on: &str,
        method: &'static str,
        path: &str,
        content: &'static str,
        body: Value,
        refusal: Refusal,
    ) {
        let (on, path) = (on.to_owned(), path.to_owned());
        self.0.push(Attack { what, on, method, path, content, body, refusal });
    }
}

fn object(kind: &str, name: &str, body: Value) -> Value {
    let mut object = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": kind, "metadata": {"name": name}});
    merge(&mut object, body);
    object
}

fn resources_of_another(table: &mut Table, (kind, plural, name): (&str, &str, &str), theirs: &str) {
    let at = format!("{GROUP}/{theirs}/{plural}");
    let one = format!("{at}/{name}");
    let (an, all) = (format!("the other's {kind}"), format!("the other's {plural}"));
    table.forbidden("reads", &an, "GET", &one, Value::Null);
    table.forbidden("lists", &all, "GET", &at, Value::Null);
    table.forbidden("watches", &all, "GET", &format!("{at}?watch=true&timeoutSeconds=1"), Value::Null);
    let everywhere = format!("/apis/tenios.dev/v1alpha1/{plural}");
    table.forbidden("lists", &format!("all {plural}"), "GET", &everywhere, Value::Null);
    let mine = object(kind, "mine", json!({"spec": {}}));
    table.forbidden("creates", &format!("a {kind} in the other's namespace"), "POST", &at, mine);
    table.merged("edits", &an, &one, json!({"spec": {"suspend": true}}));
    table.applied("applies", &an, &one, object(kind, name, json!({"spec": {}})));
    let placed = json!({"metadata": {"annotations": {"tenios.dev/not-placed": "a1"}}});
    table.merged("sets the not-placed annotation on", &an, &one, placed);
    table.forbidden("deletes", &an, "DELETE", &one, Value::Null);
}

fn statuses(table: &mut Table, on: &str, path: &str, kind: &str, name: &str) {
    let body = json!({"status": {"state": "Assigned", "phoneNumber": FIRST_NUMBER}});
    table.merged("patches status of", on, path, body.clone());
    table.forbidden("replaces status of", on, "PUT", path, object(kind, name, body.clone()));
    table.applied("applies status of", on, path, object(kind, name, body));
}

fn secrets(table: &mut Table, whose: &str, at: &str) {
    let (all, one) = (format!("{at}/secrets"), format!("{at}/secrets/tenios"));
    let on = format!("{whose} Secret");
    table.forbidden("lists", &format!("{whose} Secrets"), "GET", &all, Value::Null);
    table.forbidden("reads", &on, "GET", &one, Value::Null);
    table.merged("writes", &on, &one, json!({"data": {}}));
    table.forbidden("deletes", &on, "DELETE", &one, Value::Null);
    let token = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let account = format!("{at}/serviceaccounts/tenios-operator/token");
    table.forbidden("takes a token of", &format!("{whose} ServiceAccount"), "POST", &account, token);
}

fn ledger(table: &mut Table, whose: &str, at: &str, theirs: &str, own: &str) {
    let one = format!("{at}/pno.{theirs}.main");
    let entry = json!({"spec": {"kind": "PhoneNumberOrder", "namespace": own, "name": "mine", "revision": 1,
        "snapshot": {}, "events": []}});
    let entry = object("LedgerEntry", &format!("pno.{own}.mine"), entry);
    let on = format!("an entry of {whose} ledger");
    table.forbidden("lists", &format!("{whose} ledger"), "GET", at, Value::Null);
    table.forbidden("reads", &on, "GET", &one, Value::Null);
    table.forbidden("creates", &on, "POST", at, entry);
    table.merged("edits", &on, &one, json!({"spec": {"events": []}}));
    table.forbidden("deletes", &on, "DELETE", &one, Value::Null);
}

fn cluster(table: &mut Table, operator: &str, own: &str) {
    let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{operator}/leases/tenios-operator");
    table.forbidden("reads", "the lease", "GET", &lease, Value::Null);
    table.merged("takes", "the lease", &lease, json!({"spec": {"holderIdentity": "b"}}));
    table.forbidden("deletes", "the lease", "DELETE", &lease, Value::Null);
    let role =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "tenios-operator"});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "more"}, "roleRef": role, "subjects": []});
    let bindings = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{own}/rolebindings");
    table.forbidden("binds the operator's role", "in its own namespace", "POST", &bindings, binding);
    let crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ledgerentries.tenios.dev";
    table.forbidden("deletes", "the CRD of the ledger", "DELETE", crd, Value::Null);
}

fn references(table: &mut Table, theirs: &str, own: &str) {
    let strict = format!("{GROUP}/{own}/phonenumberorders?fieldValidation=Strict");
    let elsewhere = |name: &str| json!({"name": name, "namespace": theirs});
    let mut key = elsewhere("tenios");
    key["key"] = json!("access-key");
    for (on, spec) in [
        ("verificationRef with a namespace", json!({"verificationRef": elsewhere("v")})),
        (
            "orderRef with a namespace",
            json!({"verificationId": "v", "linkTo": {"orderRef": elsewhere("main")}}),
        ),
        ("accessKeySecretRef with a namespace", json!({"verificationId": "v", "accessKeySecretRef": key})),
    ] {
        let order = object("PhoneNumberOrder", "strict", json!({"spec": spec}));
        table.add("refers by", on, "POST", &strict, JSON, order, Refusal::Invalid("unknown field"));
    }
}
