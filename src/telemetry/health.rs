//! `/livez`, `/readyz` and `/metrics`.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use http_body_util::Full;

use super::Metrics;

/// Answers a probe: `/livez` while the process serves, `/readyz` once `ready` says nothing is missing.
#[must_use]
pub fn probe(method: &Method, path: &str, missing: Option<&'static str>) -> Response<Full<Bytes>> {
    match (method, path, missing) {
        (&Method::GET, "/livez", _) | (&Method::GET, "/readyz", None) => plain(StatusCode::OK, "ok\n".into()),
        (&Method::GET, "/readyz", Some(missing)) => {
            plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {missing}\n"))
        }
        _ => plain(StatusCode::NOT_FOUND, "not found\n".into()),
    }
}

/// Answers a scrape.
#[must_use]
pub fn scrape(method: &Method, path: &str, metrics: &Arc<Metrics>) -> Response<Full<Bytes>> {
    if method != Method::GET || path != "/metrics" {
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
