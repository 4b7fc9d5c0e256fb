//! The simulator and the server below it, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod answers;
mod attack;
mod client;
mod contract;
mod faults;
#[path = "../pure/in_memory_ledger.rs"]
mod in_memory_ledger;
mod mutator;
mod net;
mod pushes;
mod receiver;
mod s3;
mod server;
mod support;
