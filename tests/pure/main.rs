//! What needs neither a socket nor a cluster: the fold, the decisions, the back-off, the CRDs.

#![allow(clippy::unwrap_used, clippy::panic)]

mod book;
mod crds;
mod fold;
mod lifecycle;
mod memory;
mod retry;
mod secrecy;
