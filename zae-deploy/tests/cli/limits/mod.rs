//! Limits as code: what manifests are refused and why, what a plan finds, what applying does.

mod bad_manifests;
mod commands;
mod manifests;
mod ownership;
mod provisioning;
mod resource;
#[allow(dead_code, reason = "nothing here differs from run to run")]
#[path = "../cli/snapshot.rs"]
mod snapshot;
