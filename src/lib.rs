//! A Kubernetes operator for the TENIOS Number Order API. An order costs money, the provider has no
//! idempotency key and nothing can be read back: `docs/promises.md` says what holds all the same.
//!
//! `CONTRIBUTING.md` maps the modules and says which may use which, `DESIGN.md` says why they are as they are.

#![forbid(unsafe_code)]

pub mod api;
pub mod cli;
pub mod controller;
pub mod ledger;
pub mod lifecycle;
pub mod net;
pub mod options;
pub mod push;
pub mod server;
pub mod simulator;
pub mod telemetry;
pub mod tenios;
