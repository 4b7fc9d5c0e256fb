//! What needs more beside the operator than a control plane: what is built for others, from end to end (the
//! image, the plugin, the files of a release), and a real Prometheus. `make e2e` runs it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod container;
#[allow(dead_code, reason = "the tests of `deploy` use the rest")]
#[path = "../docs/pages.rs"]
mod docs;
mod image;
#[allow(dead_code, reason = "the tests of `deploy` use the rest")]
#[path = "../deploy/kubelet.rs"]
mod kubelet;
mod monitoring;
mod name_server;
mod newcomer;
mod plugin;
mod release;
#[allow(dead_code, reason = "the tests of `deploy` use the rest")]
#[path = "../deploy/render.rs"]
mod render;
mod shell;
#[allow(dead_code, reason = "the tests of `deploy` use the rest")]
#[path = "../deploy/tools.rs"]
mod tools;
