//! Where events go. Only administrators decide that: by a flag, or by a `ConfigMap` in the operator's own namespace, which
//! has a URL for each namespace (promise 28).

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use tenios_api::causes;
use tenios_net::BaseUrl;

/// How often the `ConfigMap` is read.
const EVERY: Duration = Duration::from_secs(15);

/// One read of it.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// By namespace; none where what stands there is no URL.
type Urls = BTreeMap<String, Option<BaseUrl>>;

/// See the module documentation.
#[derive(Debug)]
pub struct Receivers {
    /// `--relay-url`
    fallback: Option<BaseUrl>,
    allow_http: bool,
    /// None until it was read.
    by_namespace: RwLock<Option<Urls>>,
    changed: Notify,
}

impl Receivers {
    /// One URL for the namespaces that the `ConfigMap` does not name. `reads` is whether there is a `ConfigMap` to be read.
    #[must_use]
    pub fn new(fallback: Option<BaseUrl>, reads: bool, allow_http: bool) -> Self {
        let by_namespace = RwLock::new((!reads).then(Urls::new));
        Self { fallback, allow_http, by_namespace, changed: Notify::new() }
    }

    /// Where the events of a namespace go.
    #[must_use]
    pub(super) fn url(&self, namespace: &str) -> Option<BaseUrl> {
        match self.by_namespace.read().as_ref()?.get(namespace) {
            Some(url) => url.clone(),
            None => self.fallback.clone(),
        }
    }

    /// Whether the events of a namespace are to go anywhere, as soon as that can be told.
    #[must_use]
    pub(super) fn listens(&self, namespace: &str) -> bool {
        let known = self.by_namespace.read();
        self.fallback.is_some() || known.as_ref().is_none_or(|urls| urls.contains_key(namespace))
    }

    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Reads the `ConfigMap` of this name until `stop`.
    pub async fn follow(&self, client: Client, namespace: &str, name: &str, stop: CancellationToken) {
        let api: Api<ConfigMap> = Api::namespaced(client, namespace);
        while !stop.is_cancelled() {
            match tokio::time::timeout(READ_TIMEOUT, api.get_opt(name)).await {
                Ok(Ok(found)) => self.found(name, found),
                Ok(Err(error)) => {
                    tracing::warn!(
                        error = causes(&error),
                        name,
                        "the ConfigMap of --relay-config-map can't be read"
                    );
                }
                Err(_) => tracing::warn!(name, "the ConfigMap of --relay-config-map can't be read in time"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// One that is missing says nothing: it may be replaced just now, or its name may be a mistake, and what it is to say
    /// would go to a wrong receiver or to none.
    fn found(&self, name: &str, found: Option<ConfigMap>) {
        if let Some(found) = found {
            self.take_in(name, found.data.unwrap_or_default());
        } else {
            tracing::warn!(
                name,
                "the ConfigMap of --relay-config-map does not exist; what was read from it before still applies, and \
                if nothing was, events wait. Create it, if need be without entries"
            );
        }
    }

    pub(super) fn take_in(&self, name: &str, data: BTreeMap<String, String>) {
        let parsed: BTreeMap<String, Result<BaseUrl, String>> =
            data.into_iter().map(|(namespace, text)| (namespace, self.parse(&text))).collect();
        let urls: Urls =
            parsed.iter().map(|(namespace, url)| (namespace.clone(), url.clone().ok())).collect();
        let mut known = self.by_namespace.write();
        if known.as_ref() == Some(&urls) {
            return;
        }
        *known = Some(urls);
        drop(known);
        for (namespace, why) in
            parsed.iter().filter_map(|(namespace, url)| Some((namespace, url.as_ref().err()?)))
        {
            tracing::error!(
                name,
                namespace,
                why,
                "the ConfigMap of --relay-config-map has no usable URL for this namespace; its events wait"
            );
        }
        tracing::info!(name, namespaces = parsed.len(), "the receivers of the relay were read");
        self.changed.notify_one();
    }

    fn parse(&self, text: &str) -> Result<BaseUrl, String> {
        let url = BaseUrl::from_str(text).map_err(|flaw| flaw.to_string())?;
        if url.is_plain() && !self.allow_http { Err("http:// needs --allow-http".into()) } else { Ok(url) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn url(text: &str) -> BaseUrl {
        text.parse().unwrap()
    }

    fn data(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(namespace, url)| ((*namespace).to_owned(), (*url).to_owned())).collect()
    }

    #[test]
    fn p28_a_namespace_has_the_url_that_administrators_give_it_or_the_one_of_all() {
        let receivers = Receivers::new(Some(url("https://all.example/")), true, false);
        assert!(
            receivers.listens("shop") && receivers.url("shop").is_none(),
            "nothing goes to the wrong one"
        );
        receivers.take_in(
            "relay",
            data(&[("shop", "https://shop.example/hook"), ("bad", "http://plain.example")]),
        );
        assert_eq!(receivers.url("shop"), Some(url("https://shop.example/hook")));
        assert_eq!(receivers.url("else"), Some(url("https://all.example/")));
        assert!(
            receivers.listens("bad") && receivers.url("bad").is_none(),
            "what is no URL holds the events back"
        );
    }

    #[test]
    fn p28_where_nobody_listens_nothing_is_to_be_told() {
        let receivers = Receivers::new(None, true, true);
        receivers.take_in("relay", data(&[("shop", "http://plain.example")]));
        assert!(receivers.listens("shop") && receivers.url("shop").is_some());
        assert!(!receivers.listens("else") && receivers.url("else").is_none());
    }

    /// As while a tool replaces it by deleting it first, or where its name is a mistake.
    #[test]
    fn p28_while_the_config_map_is_missing_what_it_said_stands_and_nothing_goes_to_another() {
        let receivers = Receivers::new(Some(url("https://all.example/")), true, false);
        receivers.found("relay", None);
        assert!(receivers.listens("shop") && receivers.url("shop").is_none(), "its events wait");
        let shop = data(&[("shop", "https://shop.example/hook")]);
        receivers.found("relay", Some(ConfigMap { data: Some(shop), ..ConfigMap::default() }));
        receivers.found("relay", None);
        assert_eq!(receivers.url("shop"), Some(url("https://shop.example/hook")));
        assert_eq!(receivers.url("else"), Some(url("https://all.example/")));
        receivers.found("relay", Some(ConfigMap::default()));
        assert_eq!(receivers.url("shop"), Some(url("https://all.example/")), "one without entries counts");

        let unset = Receivers::new(None, true, false);
        unset.found("relay", None);
        assert!(unset.listens("shop"), "what is recorded meanwhile is told later");
    }
}
