//! The health checks for Argo CD, in the Lua that it embeds, over objects as the operator leaves them.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tenios_api::Reason;

use crate::status_corpus::{GENERATION, all};
use crate::tools::{directory, run};
use harness::checkout;

/// Argo CD runs a check with the base and table libraries alone.
const ROOM: &str = r#"
local write, gsub = io.write, string.gsub
getmetatable("").__index = nil
for _, library in ipairs({"string", "math", "io", "debug", "coroutine", "channel", "os", "require", "print"}) do
  _G[library] = nil
end
local function check(script, object)
  obj = object
  local hs = assert(loadfile(script))()
  local message = hs.message
  if object.metadata.deletionTimestamp ~= nil then
    -- Since 3.6; without words of its own, what Argo CD itself says. Before 3.6 it always says that.
    message = hs.deletionMessage or "Pending deletion"
  end
  write(hs.status, "\t", (gsub(message, "\n", " ")), "\n")
end
"#;

/// The health and the message of each object.
fn check(name: &str, objects: &[(&str, Value)]) -> Vec<(String, String)> {
    let mut script = ROOM.to_owned();
    for (kind, object) in objects {
        let file = checkout("deploy/gitops/argocd").join(format!("{kind}.lua"));
        writeln!(script, "check({}, {})", lua(&json!(file)), lua(object)).unwrap();
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("health-{name}.lua"));
    std::fs::write(&file, script).unwrap();
    let said = run(Command::new(directory().join("glua")).arg(&file)).expect_success();
    let lines: Vec<_> = said.lines().map(|line| line.split_once('\t').unwrap()).collect();
    assert_eq!(lines.len(), objects.len(), "{said}");
    lines.into_iter().map(|(health, message)| (health.to_owned(), message.to_owned())).collect()
}

/// A value as Lua writes it down.
fn lua(value: &Value) -> String {
    match value {
        Value::Null => "nil".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("\"{quoted}\"")
        }
        Value::Array(list) => format!("{{{}}}", list.iter().map(lua).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("[\"{name}\"] = {}", lua(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

/// What is expected of a state; none where it is not listed, which fails.
fn expected(kind: &str, state: &str, reason: Reason) -> Option<&'static str> {
    Some(match (kind, state, reason) {
        (_, "Waiting", Reason::InvalidSpec | Reason::DocumentInvalid | Reason::VerificationRejected)
        | (_, "OutcomeUnknown" | "Refused" | "Conflict", _)
        | ("PhoneVerification", "Rejected", _) => "Degraded",
        (_, "Waiting" | "AwaitingApproval", Reason::AwaitingApproval) | (_, "Suspended", _) => "Suspended",
        ("PhoneNumberOrder", "Assigned" | "Cancelled", _) | ("PhoneVerification", "Approved", _) => "Healthy",
        (_, "Waiting", _)
        | ("PhoneNumberOrder", "Ordering" | "AwaitingNumber" | "Cancelling", _)
        | ("PhoneVerification", "Submitting" | "AwaitingApproval", _) => "Progressing",
        _ => return None,
    })
}

#[test]
fn argo_cd_shows_the_health_of_every_state() {
    let recorded = all();
    let objects: Vec<_> = recorded.iter().map(|r| (r.kind, r.object.clone())).collect();
    for (recorded, (health, message)) in recorded.iter().zip(check("states", &objects)) {
        let name = format!("{} {} {}", recorded.kind, recorded.state, recorded.reason);
        let expected = expected(recorded.kind, &recorded.state, recorded.reason)
            .unwrap_or_else(|| panic!("{name}: say what Argo CD is to show"));
        assert_eq!(health, expected, "{name}: {message}");
        assert!(!message.contains("is older than"), "{name} has no health in deploy/gitops/argocd");
        assert!(message.starts_with(&format!("{}: says", recorded.reason)), "{name}: {message}");
        // What a person has to look at is never shown as if it went on by itself, and the other way round.
        assert_eq!(health == "Degraded", recorded.reason.stalls(), "{name}");
    }
}

#[test]
fn argo_cd_waits_for_what_was_not_looked_at_and_for_what_goes() {
    let mut objects = Vec::new();
    for recorded in all() {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut object = recorded.object.clone();
            change(&mut object);
            (recorded.kind, object)
        };
        objects.push(with(&|o| o["metadata"]["generation"] = json!(GENERATION + 1)));
        objects.push(with(&|o| o["metadata"]["deletionTimestamp"] = json!("2026-11-22T09:00:00Z")));
        objects.push(with(&|o| o["status"] = json!({"observedGeneration": -1})));
        objects.push(with(&|o| _ = o.as_object_mut().unwrap().remove("status")));
        // What no version of the operator writes must not break the check.
        objects.push(with(&|o| o["status"] = json!({"observedGeneration": GENERATION, "state": "Waiting"})));
    }
    for ((kind, object), (health, message)) in objects.iter().zip(check("unseen", &objects)) {
        assert_eq!(health, "Progressing", "{kind} {object}: {message}");
        let goes = object["metadata"].get("deletionTimestamp").is_some();
        assert_eq!(
            message.starts_with("the resource is being deleted; "),
            goes,
            "{kind} {object}: {message}"
        );
    }
}

/// An operator that is newer than the health check in Argo CD's configuration.
#[test]
fn a_state_that_the_check_does_not_know_is_told_by_the_conditions() {
    let mut objects = Vec::new();
    for recorded in all() {
        let mut object = recorded.object;
        object["status"]["state"] = json!("Porting");
        objects.push((recorded.kind, recorded.reason, object));
    }
    let asked: Vec<_> = objects.iter().map(|(kind, _, object)| (*kind, object.clone())).collect();
    for ((kind, reason, _), (health, message)) in objects.iter().zip(check("newer", &asked)) {
        assert_eq!(health == "Degraded", reason.stalls(), "{kind} {reason}: {message}");
        assert!(matches!(&*health, "Degraded" | "Suspended" | "Progressing"), "{kind} {reason}: {health}");
    }
}

#[test]
fn the_patch_installs_the_checks_that_are_beside_it() {
    let home = checkout("deploy/gitops/argocd");
    let patch = std::fs::read_to_string(home.join("argocd-cm-patch.yaml")).unwrap();
    let patch: Value = serde_saphyr::from_str(&patch).unwrap();
    let data = patch["data"].as_object().unwrap();
    assert_eq!(data.len(), 2, "a patch of other settings");
    for kind in ["PhoneNumberOrder", "PhoneVerification"] {
        let script = std::fs::read_to_string(home.join(format!("{kind}.lua"))).unwrap();
        assert_eq!(data[&format!("resource.customizations.health.tenios.dev_{kind}")], script, "{kind}");
    }
}
