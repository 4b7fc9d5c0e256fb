//! The proxy to the apiserver, as kubectl chooses it. kube-rs 5.0 compares `NO_PROXY` with the proxy instead of the
//! cluster, also where the kubeconfig names the proxy itself.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// What `proxy-url` in a kubeconfig says.
///
/// # Errors
/// As [`choose`].
pub(super) fn by_kubeconfig(url: Option<&str>) -> Result<Option<Uri>, String> {
    url.filter(|url| !url.is_empty()).map(|url| parse("proxy-url in the kubeconfig", url)).transpose()
}

/// The proxy that the kubeconfig names, else `HTTPS_PROXY` (or `HTTP_PROXY` for a cluster without TLS) unless
/// `NO_PROXY` names the cluster, or it is this machine.
///
/// # Errors
/// The name of what is no URL of a proxy, without the URL, which may hold a password.
pub(super) fn choose(by_kubeconfig: Option<Uri>, cluster: &Uri) -> Result<Option<Uri>, String> {
    if by_kubeconfig.is_some() {
        return Ok(by_kubeconfig);
    }
    let names = match cluster.scheme_str() {
        Some("http") => ["HTTP_PROXY", "http_proxy"],
        _ => ["HTTPS_PROXY", "https_proxy"],
    };
    let Some((name, url)) = first_set(names) else { return Ok(None) };
    let exceptions = first_set(["NO_PROXY", "no_proxy"]).map(|(_, list)| list).unwrap_or_default();
    let proxies = Matcher::builder().all(url.clone()).no(exceptions).build();
    if is_local(cluster) || proxies.intercept(cluster).is_none() {
        return Ok(None);
    }
    parse(name, &url).map(Some)
}

/// Looks at the variables that name a proxy: the provider's client would leave out what is none in silence.
///
/// # Errors
/// One line that names the variable, without its value.
pub fn check_environment() -> Result<(), String> {
    for names in [["HTTPS_PROXY", "https_proxy"], ["HTTP_PROXY", "http_proxy"], ["ALL_PROXY", "all_proxy"]] {
        if let Some((name, url)) = first_set(names) {
            parse(name, &url)?;
        }
    }
    Ok(())
}

fn first_set(names: [&'static str; 2]) -> Option<(&'static str, String)> {
    names
        .into_iter()
        .find_map(|name| Some((name, std::env::var(name).ok().filter(|value| !value.is_empty())?)))
}

fn parse(name: &str, url: &str) -> Result<Uri, String> {
    let (scheme, rest) = url.trim().split_once("://").unwrap_or(("http", url.trim()));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        scheme @ ("http" | "https") => scheme.to_owned(),
        // The proxy resolves names either way.
        "socks5" | "socks5h" => "socks5".into(),
        _ => {
            return Err(format!("{name}: must begin with http://, https:// or socks5://"));
        }
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    let uri = Uri::builder().scheme(scheme.as_str()).authority(authority).path_and_query("/").build();
    uri.ok()
        .filter(|uri| uri.host().is_some_and(|host| !host.is_empty()))
        .ok_or_else(|| format!("{name}: is not the URL of a proxy"))
}

/// As Go has it, and so kubectl.
fn is_local(cluster: &Uri) -> bool {
    let host = cluster.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
