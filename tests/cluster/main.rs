//! The operator as a process, under the rules that `deploy/base` ships, on a real control plane, against
//! the simulator over real sockets. The simulator's journal is the judge of what was sent.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod adopt;
mod budget;
mod busy;
mod cancel;
mod claims;
#[path = "../cli/mod.rs"]
mod cli;
mod config_map;
mod cost;
mod counts;
mod crash;
mod gitops;
mod happy;
mod harness_checks;
mod https;
mod input;
mod install;
mod last_look;
mod ledger_entries;
mod memory;
mod metrics;
mod namespaces;
mod outcome;
mod outside;
mod poison;
mod proxy;
mod push;
mod push_attack;
mod recreate_restore;
mod relay;
mod schema_violations;
mod secrecy;
mod secret_forms;
mod skew;
mod stale;
mod sweep;
mod tenant_attacks;
mod tenants;
mod terms;
mod testbed;
mod texts;
mod throttle;
mod traces;
mod turns;
mod two_installations;
