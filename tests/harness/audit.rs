//! The apiserver's audit log: who asked for what, by its own account.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Result;

/// The log of one control plane.
#[derive(Clone, Debug)]
pub struct Audit {
    path: PathBuf,
}

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// One finished request. A watch counts when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The user name.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, …
    pub verb: String,
    /// The resource and its subresource: `phonenumberorders/status`; empty for other paths.
    pub resource: String,
    /// The namespace, or empty.
    pub namespace: String,
    /// The name, or empty.
    pub name: String,
    /// The answer's status code.
    pub code: u64,
    /// Path and query.
    pub uri: String,
    /// Which program asked, by its own word.
    pub user_agent: String,
    /// When it arrived (RFC 3339, microseconds).
    pub received: String,
    /// When it was answered.
    pub completed: String,
}

impl Request {
    /// Comes by the clock, whatever happens: the lease, a watch (it counts when it ends), and the look at the CRDs'
    /// published schemas, which has no resource.
    pub fn is_by_the_clock(&self) -> bool {
        self.resource == "leases" || self.resource.is_empty() || self.verb == "watch"
    }
}

/// Requests to narrow down and count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests(pub Vec<Request>);

impl Audit {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the policy: every request once, when it is answered, without its body.
    pub(super) fn write_policy(path: &Path) -> Result<()> {
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived", "ResponseStarted"],
            "rules": [{"level": "None", "users": ["system:apiserver"]}, {"level": "Metadata"}],
        });
        Ok(std::fs::write(path, policy.to_string())?)
    }

    /// Where the log ends now.
    pub fn mark(&self) -> Mark {
        Mark(std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len()))
    }

    /// What was answered since then.
    pub fn since(&self, mark: Mark) -> Requests {
        self.read(mark).0
    }

    /// What was answered since then, and where to go on reading.
    pub fn read(&self, mark: Mark) -> (Requests, Mark) {
        let mut text = Vec::new();
        if let Ok(mut file) = std::fs::File::open(&self.path) {
            file.seek(SeekFrom::Start(mark.0)).expect("the audit log can be read");
            file.read_to_end(&mut text).expect("the audit log can be read");
        }
        // The last line may still be half written.
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        let next = Mark(mark.0 + text.len() as u64);
        let text = String::from_utf8_lossy(&text);
        let events = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        (Requests(events.map(|event| parse(&event)).collect()), next)
    }
}

impl Requests {
    /// Those that fulfil a condition.
    #[must_use]
    pub fn only(self, condition: impl Fn(&Request) -> bool) -> Self {
        Self(self.0.into_iter().filter(condition).collect())
    }

    /// Those of a user.
    #[must_use]
    pub fn by(self, user: &str) -> Self {
        self.only(|request| request.user == user)
    }

    /// Those that change something.
    #[must_use]
    pub fn writes(self) -> Self {
        self.only(|request| !matches!(request.verb.as_str(), "get" | "list" | "watch"))
    }

    /// Those for a resource, `phonenumberorders` or `phonenumberorders/status`.
    #[must_use]
    pub fn of(self, resource: &str) -> Self {
        self.only(|request| request.resource == resource)
    }

    /// Those with one of these verbs.
    #[must_use]
    pub fn with_verb(self, verbs: &[&str]) -> Self {
        self.only(|request| verbs.contains(&request.verb.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Requests {
    /// One line per kind of request, with its count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = BTreeMap::new();
        for request in &self.0 {
            *counts.entry((&request.verb, &request.resource, request.code)).or_insert(0) += 1;
        }
        counts.iter().try_for_each(|((verb, resource, code), count)| {
            writeln!(f, "{count:>6} {verb} {resource} {code}")
        })
    }
}

fn parse(event: &Value) -> Request {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let subresource = text("/objectRef/subresource");
    let separator = if subresource.is_empty() { "" } else { "/" };
    Request {
        user: text("/user/username"),
        verb: text("/verb"),
        resource: format!("{}{separator}{subresource}", text("/objectRef/resource")),
        namespace: text("/objectRef/namespace"),
        name: text("/objectRef/name"),
        code: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default(),
        uri: text("/requestURI"),
        user_agent: text("/userAgent"),
        received: text("/requestReceivedTimestamp"),
        completed: text("/stageTimestamp"),
    }
}
