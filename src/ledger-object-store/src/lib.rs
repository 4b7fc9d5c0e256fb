//! The ledger on object storage, so that it outlives its cluster. The store decides who may send; the
//! `LedgerEntry` in the cluster is its watched copy.
//!
//! Each append is one object, `{prefix}/entries/{kind}/{namespace}/{name}/{sequence}.json`, which holds the whole
//! entry and is created only where there is none. Nothing is ever written twice or deleted: every store can create
//! (`LocalFileSystem` can't compare), and whoever finds the newest object missing knows that the store forgot.

#![forbid(unsafe_code)]

mod cluster_only;
mod follow;
mod genesis;
mod layout;
mod ledger;
pub mod merge;
mod objects;
mod open;
mod probe;
mod request;
mod sync;
mod transfer;
mod trouble;
mod url;
mod watched;

pub use cluster_only::ClusterOnly;
pub use layout::Layout;
pub use ledger::ObjectStoreLedger;
pub use objects::{Created, Far, NotCreated, Objects, Request};
pub use request::StoreError;
pub use transfer::{Difference, Moved};
pub use trouble::Trouble;
pub use url::LedgerUrl;
