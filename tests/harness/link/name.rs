//! What a request is called.

use http::Method;
use http::request::Parts;
use url::form_urlencoded;

/// What a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// kube-apiserver
    Apiserver,
    /// TENIOS, or its simulator
    Provider,
    /// Object storage that speaks S3
    Store,
}

impl End {
    /// `apiserver PATCH phonenumberorders/status`, `provider POST number/order`, `store PUT entries/pno`: without
    /// namespaces and names, which are random, and without the ordinal.
    pub fn name(self, request: &Parts) -> String {
        let path = request.uri.path().trim_matches('/');
        match self {
            Self::Provider => format!("provider {} {path}", request.method),
            Self::Store => {
                let query = request.uri.query().unwrap_or_default();
                let listed = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "prefix");
                match listed {
                    Some((_, prefix)) => format!("store LIST {}", stored(&prefix)),
                    None => format!("store {} {}", request.method, stored(path)),
                }
            }
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

/// What of a ledger is kept at this path: `entries/pno`, `genesis.json`, `probe-twice`. Many objects are deleted with one
/// request to the bucket.
fn stored(path: &str) -> String {
    let mut parts = path.split('/').skip_while(|part| !matches!(*part, "entries" | "genesis.json" | "probe"));
    match (parts.next(), parts.next().filter(|part| !part.is_empty())) {
        (Some("probe"), Some(name)) => {
            format!("probe-{}", name.split_once('-').map_or(name, |(_, what)| what))
        }
        (Some(place), Some(kind)) => format!("{place}/{kind}"),
        (Some(place), None) => place.to_owned(),
        (None, _) => "bucket".to_owned(),
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
