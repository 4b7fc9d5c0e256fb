//! What needs neither a socket nor a cluster: the fold, the decisions, the back-off, the CRDs, what
//! `kubectl tenios` does on its own, and whether CONTRIBUTING.md is true.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../model/mod.rs"]
mod model;

mod adoption;
mod bucket;
mod cancel;
mod claims;
#[path = "../cli/offline/mod.rs"]
mod cli;
mod config_map;
mod contributing;
mod crds;
mod decision_inputs;
#[path = "../docs/offline/mod.rs"]
mod docs;
mod entry;
mod exhaustive;
mod fold;
mod history;
mod in_memory_ledger;
mod index;
mod kstatus;
mod ledger_cache;
mod lifecycle;
mod metrics;

mod options;
mod outbox;
mod pdf;
mod projection;
mod retry;
mod secrecy;
mod status_corpus;
mod stored;
mod trim;
mod verification;
