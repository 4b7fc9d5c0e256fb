//! The cluster, by the kubeconfig flags that kubectl has.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::Uri;
use kube::client::ClientBuilder;
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use secrecy::SecretString;

use super::Failure;
use tenios_api::causes;
use tenios_api::name::is_dns_label;
use tenios_net::{Bearer, kubeconfig, trimmed};

/// For the apiserver's audit log.
const USER_AGENT: http::HeaderValue =
    http::HeaderValue::from_static(concat!("kubectl-tenios/", env!("CARGO_PKG_VERSION")));

#[derive(Debug, Args)]
#[command(next_help_heading = "Connection, as for kubectl")]
pub(super) struct ClusterOptions {
    /// The kubeconfig file; by default, the one that kubectl uses.
    #[arg(long, global = true)]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig.
    #[arg(long, global = true)]
    context: Option<String>,
    /// The namespace; by default, that of the context.
    #[arg(long, short, global = true, value_parser = namespace)]
    namespace: Option<String>,
    /// The cluster in the kubeconfig; by default, that of the context.
    #[arg(long, global = true)]
    cluster: Option<String>,
    /// The user in the kubeconfig; by default, that of the context.
    #[arg(long, global = true)]
    user: Option<String>,
    /// Impersonate this user.
    #[arg(long = "as", global = true, value_name = "USER")]
    as_user: Option<String>,
    /// Impersonate a member of this group; repeatable, only with --as.
    #[arg(long, global = true, value_name = "GROUP")]
    as_group: Vec<String>,
    /// Impersonate the user with this UID; only with --as.
    #[arg(long, global = true, value_name = "UID")]
    as_uid: Option<String>,
    /// The address of the API server; by default, that of the cluster.
    #[arg(long, short, global = true, value_name = "URL")]
    server: Option<String>,
    /// The bearer token; by default, the user's credentials.
    #[arg(long, global = true)]
    token: Option<SecretString>,
    /// The CA certificates that the API server's certificate is verified with.
    #[arg(long, global = true, value_name = "FILE")]
    certificate_authority: Option<PathBuf>,
    /// The client certificate.
    #[arg(long, global = true, value_name = "FILE")]
    client_certificate: Option<String>,
    /// The private key of the client certificate.
    #[arg(long, global = true, value_name = "FILE")]
    client_key: Option<String>,
    /// The server name that the API server's certificate is verified against.
    #[arg(long, global = true, value_name = "NAME")]
    tls_server_name: Option<String>,
    /// Do not verify the API server's certificate.
    #[arg(long, global = true)]
    insecure_skip_tls_verify: bool,
    /// Timeout of one request, such as 30s; 0 means none.
    #[arg(long, global = true, value_name = "TIME", value_parser = request_timeout)]
    request_timeout: Option<Duration>,
}

pub(super) struct Cluster {
    pub(super) client: Client,
    /// By the flag or the context.
    pub(super) namespace: String,
    /// By the flag alone.
    pub(super) named_namespace: Option<String>,
    /// Where the API server is.
    pub(super) address: String,
}

/// What is empty counts as not given, to kubectl.
fn namespace(text: &str) -> Result<String, String> {
    if text.is_empty() || is_dns_label(text) {
        Ok(text.into())
    } else {
        Err("expected the name of a namespace: lower-case letters, digits and -, at most 63 characters"
            .into())
    }
}

/// Where the operator runs by default.
pub(super) const OPERATOR_NAMESPACE: &str = "tenios-system";

/// The operator's own. It comes by a variable, too, which may be set to nothing.
pub(super) fn operator_namespace(text: &str) -> Result<String, String> {
    let given = trimmed(text);
    namespace(if given.is_empty() { OPERATOR_NAMESPACE } else { given })
}

fn request_timeout(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "expected a time such as 30s or 1m".to_owned())?;
    Duration::try_from(span).map_err(|_| "must not be negative".into())
}

fn given(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

impl ClusterOptions {
    /// The namespace by the flag alone.
    pub(super) fn namespace(&self) -> Option<String> {
        given(self.namespace.as_ref())
    }

    pub(super) fn connect(&self) -> Result<Cluster, Failure> {
        let mut config = self.config()?;
        self.adjust(&mut config);
        let address = config.cluster_url.to_string();
        let namespace = self.namespace().unwrap_or_else(|| config.default_namespace.clone());
        let bearer = Bearer::take(&mut config.auth_info).map_err(Failure::Failed)?;
        let builder = ClientBuilder::try_from(config).map_err(|error| Failure::failed(causes(&error)))?;
        let client = builder.with_layer(&bearer).build();
        Ok(Cluster { client, namespace, named_namespace: self.namespace(), address })
    }

    fn config(&self) -> Result<Config, Failure> {
        if self.as_user.is_none() && (!self.as_group.is_empty() || self.as_uid.is_some()) {
            return Err(Failure::usage("--as-group and --as-uid require --as"));
        }
        let options = KubeConfigOptions {
            context: given(self.context.as_ref()),
            cluster: given(self.cluster.as_ref()),
            user: given(self.user.as_ref()),
        };
        let wrong = |server: &str, error| Failure::usage(format!("--server {server}: {error}"));
        let server = given(self.server.as_ref());
        let server = server.map(|server| server.parse::<Uri>().map_err(|error| wrong(&server, error)));
        let file = self.kubeconfig.as_deref();
        kubeconfig::config(file, &options, server.transpose()?).map_err(|e| Failure::failed(causes(&*e)))
    }

    fn adjust(&self, config: &mut Config) {
        let user = &mut config.auth_info;
        user.token = self.token.clone().or(user.token.take());
        if let Some(file) = given(self.client_certificate.as_ref()) {
            (user.client_certificate, user.client_certificate_data) = (Some(file), None);
        }
        if let Some(file) = given(self.client_key.as_ref()) {
            (user.client_key, user.client_key_data) = (Some(file), None);
        }
        if let Some(name) = given(self.as_user.as_ref()) {
            let groups = Some(self.as_group.clone()).filter(|groups| !groups.is_empty());
            (user.impersonate, user.impersonate_groups) = (Some(name), groups);
            user.impersonate_uid = given(self.as_uid.as_ref());
        }
        config.root_cert_file = self.certificate_authority.clone().or(config.root_cert_file.take());
        config.tls_server_name = given(self.tls_server_name.as_ref()).or(config.tls_server_name.take());
        config.accept_invalid_certs |= self.insecure_skip_tls_verify;
        config.headers.push((http::header::USER_AGENT, USER_AGENT));
        config.connect_timeout = Some(Duration::from_secs(10));
        config.read_timeout = self.request_timeout.filter(|time| !time.is_zero());
    }
}
