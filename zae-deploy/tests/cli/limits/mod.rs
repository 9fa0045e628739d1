//! Limits as code: invalid manifests, plans, and applying them.

mod bad_manifests;
mod commands;
mod manifests;
mod ownership;
mod provisioning;
mod resource;
mod saved;
mod simulate;
