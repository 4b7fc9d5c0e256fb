//! The kubeconfig, as kubectl takes it where kube-rs does not: a file of the list in `KUBECONFIG` that is not
//! there is left out, and what is set to nothing counts as not set.

use std::path::{Path, PathBuf};

use http::Uri;
use kube::Config;
use kube::config::{
    AuthInfo, Cluster, Context, ExecAuthCluster, KubeConfigOptions, Kubeconfig, KubeconfigError, NamedContext,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::proxy;
use tenios_api::{Cause, causes};

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
pub fn config(
    file: Option<&Path>,
    options: &KubeConfigOptions,
    server: Option<Uri>,
) -> Result<Config, Cause> {
    let asked =
        file.is_some() || [&options.context, &options.cluster, &options.user].iter().any(|o| o.is_some());
    let by_file = match read(file) {
        Ok(kubeconfig) => resolve(with_a_context(kubeconfig, options)?, options),
        Err(error) => Err(error),
    };
    match by_file {
        Ok(resolved) => resolved.config(server).map_err(Into::into),
        Err(error) if asked => Err(error.into()),
        Err(error) => Config::incluster()
            .map_err(|in_pod| format!("{}; and as a pod: {}", causes(&error), causes(&in_pod)).into()),
    }
}

/// What a context comes to. kube-rs puts it together itself, but fails over a `NO_PROXY` that kubectl takes.
struct Resolved {
    context: Context,
    cluster: Cluster,
    user: AuthInfo,
    roots: Option<Vec<u8>>,
}

fn resolve(kubeconfig: Kubeconfig, options: &KubeConfigOptions) -> Result<Resolved, KubeconfigError> {
    let Kubeconfig { contexts, clusters, auth_infos, current_context, .. } = kubeconfig;
    let name = options.context.clone().or(current_context).ok_or(KubeconfigError::CurrentContextNotSet)?;
    let context = contexts.into_iter().find(|named| named.name == name).and_then(|named| named.context);
    let context = context.ok_or(KubeconfigError::LoadContext(name))?;
    let name = options.cluster.as_ref().unwrap_or(&context.cluster);
    let cluster = clusters.into_iter().find(|named| named.name == *name).and_then(|named| named.cluster);
    let cluster = cluster.ok_or_else(|| KubeconfigError::LoadClusterOfContext(name.clone()))?;
    let name = options.user.as_ref().or(context.user.as_ref());
    let user =
        auth_infos.into_iter().find(|named| Some(&named.name) == name).and_then(|named| named.auth_info);
    let mut user = user.unwrap_or_default();
    let for_plugins = ExecAuthCluster::try_from(&cluster)?;
    let roots = for_plugins.certificate_authority_data.clone();
    if let Some(exec) = user.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
        exec.cluster = Some(for_plugins);
    }
    Ok(Resolved { context, cluster, user, roots })
}

impl Resolved {
    fn config(self, server: Option<Uri>) -> Result<Config, String> {
        let Self { context, cluster, user, roots } = self;
        let url = match (server, &cluster.server) {
            (Some(server), _) => server,
            (None, Some(url)) => {
                url.parse().map_err(|error| format!("the cluster's server {url:?}: {error}"))?
            }
            (None, None) => return Err("the cluster in the kubeconfig has no server".into()),
        };
        let proxy = proxy::by_kubeconfig(cluster.proxy_url.as_deref())?;
        let mut config = Config::new(url);
        config.proxy_url = proxy::choose(proxy, &config.cluster_url)?;
        config.root_cert = roots.map(|pem| certificates(&pem)).transpose()?;
        config.default_namespace = context.namespace.unwrap_or(config.default_namespace);
        config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
        config.disable_compression = cluster.disable_compression.unwrap_or(false);
        config.tls_server_name = cluster.tls_server_name;
        config.auth_info = user;
        Ok(config)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let certificates =
        CertificateDer::pem_slice_iter(pem).map(|certificate| certificate.map(|der| der.to_vec()));
    certificates
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the cluster's certificate authority: {error}"))
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
