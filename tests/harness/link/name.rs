//! What a request is called.

use http::Method;
use http::request::Parts;

/// What a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// kube-apiserver
    Apiserver,
    /// TENIOS, or its simulator
    Provider,
}

impl End {
    /// `apiserver PATCH phonenumberorders/status`, `provider POST number/order`: without namespaces and
    /// names, which are random, and without the ordinal.
    pub fn name(self, request: &Parts) -> String {
        let path = request.uri.path().trim_matches('/');
        match self {
            Self::Provider => format!("provider {} {path}", request.method),
            Self::Apiserver => {
                let (resource, single) = resource(path);
                let query = request.uri.query().unwrap_or_default();
                let verb = match request.method {
                    Method::GET if single => "GET",
                    Method::GET if query.split('&').any(|pair| matches!(pair, "watch=1" | "watch=true")) => {
                        "WATCH"
                    }
                    Method::GET => "LIST",
                    ref other => other.as_str(),
                };
                format!("apiserver {verb} {resource}")
            }
        }
    }
}

/// The resource with its subresource, and whether one object is named.
fn resource(path: &str) -> (String, bool) {
    let mut parts = path.split('/');
    let grouped = match parts.next() {
        Some("api") => false,
        Some("apis") => true,
        _ => return (path.to_owned(), true),
    };
    let rest: Vec<&str> = parts.skip(if grouped { 2 } else { 1 }).collect();
    let rest = match rest.as_slice() {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
        rest => rest,
    };
    match rest {
        [resource] => ((*resource).to_owned(), false),
        [resource, _] => ((*resource).to_owned(), true),
        [resource, _, sub] => (format!("{resource}/{sub}"), true),
        _ => (path.to_owned(), true),
    }
}
