//! The cluster, by the kubeconfig flags that kubectl has.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::Failure;

#[derive(Debug, Args)]
pub(super) struct ClusterOptions {
    /// The kubeconfig file; else as kubectl finds it.
    #[arg(long, global = true)]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The context in it.
    #[arg(long, global = true)]
    pub(super) context: Option<String>,
    /// The namespace; else that of the context.
    #[arg(long, short, global = true)]
    pub(super) namespace: Option<String>,
}

pub(super) struct Cluster {
    pub(super) client: Client,
    /// By the flag or the context.
    pub(super) namespace: String,
    /// By the flag alone.
    pub(super) named_namespace: Option<String>,
}

impl ClusterOptions {
    pub(super) async fn connect(&self) -> Result<Cluster, Failure> {
        let mut config = self.config().await?;
        config.connect_timeout = Some(Duration::from_secs(10));
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(Failure::failed)?;
        Ok(Cluster { client, namespace, named_namespace: self.namespace.clone() })
    }

    async fn config(&self) -> Result<Config, Failure> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let config = match &self.kubeconfig {
            Some(file) => {
                let kubeconfig = Kubeconfig::read_from(file).map_err(Failure::failed)?;
                Config::from_custom_kubeconfig(kubeconfig, &options).await
            }
            None if self.context.is_some() => Config::from_kubeconfig(&options).await,
            None => return Config::infer().await.map_err(Failure::failed),
        };
        config.map_err(Failure::failed)
    }
}
