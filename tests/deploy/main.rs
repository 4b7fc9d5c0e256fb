//! The chart and the Kustomize base: that they make the same objects, that a real control plane takes them, and that
//! what they install works, is upgraded and goes without taking an order with it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accepted;
mod conform;
#[path = "../docs/mod.rs"]
mod docs;
mod gitops;
mod health;
mod https;
#[path = "../pure/kstatus.rs"]
mod kstatus;
mod kubelet;
mod monitoring;
mod namespaced;
mod options;
mod places;
mod release;
mod render;
mod same;
mod schemas;
#[path = "../pure/status_corpus.rs"]
mod status_corpus;
mod testbed;
mod tools;
mod values;
