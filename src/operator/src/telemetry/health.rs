//! `/livez`, `/readyz` and `/metrics`.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use http_body_util::Full;

use super::Metrics;

/// Answers a probe: `/livez` while the process serves, `/readyz` once `ready` says nothing is missing.
#[must_use]
pub fn probe(method: &Method, path: &str, missing: Option<&str>) -> Response<Full<Bytes>> {
    // Load balancers ask with HEAD, too; the server leaves the body out then.
    match (path, missing) {
        _ if !matches!(*method, Method::GET | Method::HEAD) => {
            plain(StatusCode::NOT_FOUND, "not found\n".into())
        }
        ("/livez", _) | ("/readyz", None) => plain(StatusCode::OK, "ok\n".into()),
        ("/readyz", Some(missing)) => {
            plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {missing}\n"))
        }
        _ => plain(StatusCode::NOT_FOUND, "not found\n".into()),
    }
}

/// Answers a scrape.
#[must_use]
pub fn scrape(method: &Method, path: &str, metrics: &Arc<Metrics>) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) || path != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "not found\n".into());
    }
    let mut response = plain(StatusCode::OK, metrics.encode());
    let format =
        header::HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, format);
    response
}

fn plain(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let text = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_balancer_may_ask_with_head() {
        for method in [Method::GET, Method::HEAD] {
            for (path, missing, status) in [
                ("/livez", Some("the ledger"), 200),
                ("/readyz", None, 200),
                ("/readyz", Some("the ledger"), 503),
                ("/metrics", None, 404),
                ("/", None, 404),
            ] {
                assert_eq!(probe(&method, path, missing).status(), status, "{method} {path} {missing:?}");
            }
            let metrics = Arc::new(Metrics::default());
            assert_eq!(scrape(&method, "/metrics", &metrics).status(), 200, "{method}");
        }
        assert_eq!(probe(&Method::POST, "/readyz", None).status(), 404);
    }
}
