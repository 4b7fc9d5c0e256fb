//! A Kubernetes operator for the TENIOS Number Order API. An order costs money, the provider has no
//! idempotency key and nothing can be read back: `docs/promises.md` says what holds all the same.
//!
//! `CONTRIBUTING.md` maps the modules and says which may use which, `DESIGN.md` says why they are as they are.

#![forbid(unsafe_code)]

pub mod controller;
pub mod operate;
pub mod options;
pub mod push;
pub mod relay;
pub mod telemetry;
