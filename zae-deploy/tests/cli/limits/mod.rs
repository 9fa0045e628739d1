//! Limits as code: what manifests are refused and why, what a plan finds, what applying does.

mod bad_manifests;
mod commands;
mod manifests;
mod ownership;
mod provisioning;
mod resource;
mod saved;
mod simulate;
