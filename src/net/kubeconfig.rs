//! The kubeconfig, as kubectl takes it where kube-rs does not: a file of the list in `KUBECONFIG` that is not
//! there is left out, what is set to nothing counts as not set, and a token in a file may end with its line.

use std::path::{Path, PathBuf};

use http::Uri;
use kube::Config;
use kube::config::{AuthInfo, Context, KubeConfigOptions, Kubeconfig, KubeconfigError, NamedContext};

use super::{causes, proxy};

/// This file; without one those of `KUBECONFIG`, or the one in the home directory.
///
/// # Errors
/// When a file that is there can't be read, or the one that was named is not there.
pub fn read(file: Option<&Path>) -> Result<Kubeconfig, KubeconfigError> {
    if let Some(file) = file {
        return Kubeconfig::read_from(file).map(without_empty);
    }
    let listed = listed();
    if listed.is_empty() {
        return Kubeconfig::read().map(without_empty);
    }
    let mut merged = Kubeconfig::default();
    for file in listed {
        match Kubeconfig::read_from(&file) {
            Ok(next) => merged = merged.merge(without_empty(next))?,
            Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(merged)
}

fn listed() -> Vec<PathBuf> {
    let list = std::env::var_os("KUBECONFIG").unwrap_or_default();
    std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect()
}

fn without_empty(mut config: Kubeconfig) -> Kubeconfig {
    let is_set = |text: &String| !text.is_empty();
    config.current_context = config.current_context.filter(is_set);
    for context in config.contexts.iter_mut().filter_map(|named| named.context.as_mut()) {
        context.namespace = context.namespace.take().filter(is_set);
    }
    config
}

/// How to reach the cluster: by this kubeconfig, or, where it names no context and nothing was asked of it, as
/// a pod of it. `server` takes the place of the address in the kubeconfig.
///
/// # Errors
/// When neither says how.
pub async fn config(
    file: Option<&Path>,
    options: &KubeConfigOptions,
    server: Option<Uri>,
) -> Result<Config, String> {
    let asked =
        file.is_some() || [&options.context, &options.cluster, &options.user].iter().any(|o| o.is_some());
    let by_file = match read(file) {
        Ok(kubeconfig) => {
            let kubeconfig = with_a_context(kubeconfig, options)?;
            let proxy = proxy::by_kubeconfig(proxy_url(&kubeconfig, options))?;
            let mut config = Config::from_custom_kubeconfig(kubeconfig, options).await;
            if let Ok(config) = &mut config {
                config.cluster_url = server.unwrap_or_else(|| config.cluster_url.clone());
                config.proxy_url = proxy::choose(proxy, &config.cluster_url)?;
            }
            config
        }
        Err(error) => Err(error),
    };
    match by_file {
        Ok(config) => Ok(config),
        Err(error) if asked => Err(causes(&error)),
        Err(error) => Config::incluster()
            .map_err(|in_pod| format!("{}; and as a pod: {}", causes(&error), causes(&in_pod))),
    }
}

/// Of the cluster that is asked.
fn proxy_url<'a>(kubeconfig: &'a Kubeconfig, options: &KubeConfigOptions) -> Option<&'a str> {
    let context = options.context.as_ref().or(kubeconfig.current_context.as_ref());
    let context = kubeconfig.contexts.iter().find(|named| Some(&named.name) == context);
    let by_context = context.and_then(|named| named.context.as_ref()).map(|context| &context.cluster);
    let cluster = options.cluster.as_ref().or(by_context)?;
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == *cluster)?;
    cluster.cluster.as_ref()?.proxy_url.as_deref()
}

/// kubectl needs no context where a cluster is named, and refuses a user that is not there: kube-rs would ask as
/// nobody.
fn with_a_context(mut kubeconfig: Kubeconfig, options: &KubeConfigOptions) -> Result<Kubeconfig, String> {
    let known = |names: Vec<&String>, what: &str, asked: &Option<String>| match asked {
        Some(name) if !names.contains(&name) => Err(format!("the kubeconfig has no {what} {name:?}")),
        _ => Ok(()),
    };
    let Kubeconfig { contexts, clusters, auth_infos, .. } = &kubeconfig;
    known(contexts.iter().map(|c| &c.name).collect(), "context", &options.context)?;
    known(clusters.iter().map(|c| &c.name).collect(), "cluster", &options.cluster)?;
    known(auth_infos.iter().map(|u| &u.name).collect(), "user", &options.user)?;
    if let Some(cluster) = &options.cluster
        && options.context.is_none()
        && kubeconfig.current_context.is_none()
    {
        let context = Context { cluster: cluster.clone(), ..Context::default() };
        let named = NamedContext { context: Some(context), ..NamedContext::default() };
        kubeconfig.contexts.push(named);
        kubeconfig.current_context = Some(String::new());
    }
    Ok(kubeconfig)
}

/// kube-rs sends what is in the file, and a line end fits into no header. A file without one is left to it: it
/// is read again and again, as the tokens of service accounts need it.
///
/// # Errors
/// When the file can't be read.
pub fn take_token(user: &mut AuthInfo) -> Result<(), String> {
    let Some(file) = user.token_file.as_ref().filter(|_| user.token.is_none()) else { return Ok(()) };
    let token = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    if token.trim() != token {
        user.token = Some(token.trim().to_owned().into());
    }
    Ok(())
}
