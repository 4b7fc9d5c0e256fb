//! The simulator and the server below it, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod contract;
mod faults;
mod pushes;
mod server;
mod support;
