//! What the operator's own flags take; [`tenios_flags`] has the rest.

use std::str::FromStr;

use jiff::SignedDuration;

use crate::push::PREFIX;
use tenios_api::name::is_dns_subdomain;
use tenios_flags::duration;
use tenios_ledger::Budget;
use tenios_net::{BaseUrl, trimmed};

pub(super) fn budget(text: &str) -> Result<Budget, String> {
    let wrong = || "expected COUNT/TIME such as 100/24h".to_owned();
    let (requests, window) = trimmed(text).split_once('/').ok_or_else(wrong)?;
    let requests = trimmed(requests);
    if requests.is_empty() || !requests.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let requests = match requests.parse() {
        Ok(0) => {
            return Err("must allow at least one request; to stop all orders, scale the operator to 0".into());
        }
        Ok(requests) => requests,
        Err(_) => return Err("the number of requests is too large".into()),
    };
    let window = duration(window).map_err(|why| format!("the window {why}"))?;
    let window = SignedDuration::try_from(window).map_err(|_| wrong())?;
    Ok(Budget { requests, window })
}

/// The name of an object.
pub(super) fn config_map_name(text: &str) -> Result<String, &'static str> {
    let name = trimmed(text);
    if is_dns_subdomain(name) {
        Ok(name.to_owned())
    } else {
        Err("expected the name of a ConfigMap: lower-case letters, digits, - and ., at most 253 characters")
    }
}

/// Where TENIOS is; what is sent is put behind it.
pub(super) fn tenios_url(text: &str) -> Result<BaseUrl, String> {
    let url = BaseUrl::from_str(text).map_err(|flaw| flaw.to_string())?;
    for method in [["number", "order"], ["verification", "create"]] {
        if url.has_segments(&method) {
            return Err(format!("must end before /{}, which is appended to it", method.join("/")));
        }
    }
    Ok(url)
}

/// Where the push receiver is; the path of each push is put behind it.
pub(super) fn push_base_url(text: &str) -> Result<BaseUrl, String> {
    let url = BaseUrl::from_str(text).map_err(|flaw| flaw.to_string())?;
    let path = PREFIX.trim_matches('/');
    if url.has_segments(&path.split('/').collect::<Vec<_>>()) {
        return Err(format!("must end before /{path}, which is appended to it"));
    }
    Ok(url)
}
