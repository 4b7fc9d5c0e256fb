//! What needs neither a socket nor a cluster: the fold, the decisions, the back-off, the CRDs.

mod crds;
mod fold;
mod lifecycle;
mod retry;
mod secrecy;
