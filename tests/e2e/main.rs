//! What is built for others, from end to end: the image, the plugin and the files of a release. `make e2e`
//! runs it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../harness/mod.rs"]
mod harness;

mod container;
mod image;
mod name_server;
mod plugin;
mod release;
mod shell;
