//! What needs more beside the operator than a control plane: what is built for others, from end to end (the
//! image, the plugin, the files of a release), and a real Prometheus. `make e2e` runs it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../harness/mod.rs"]
mod harness;

mod container;
mod image;
mod monitoring;
mod name_server;
mod plugin;
mod release;
mod shell;
