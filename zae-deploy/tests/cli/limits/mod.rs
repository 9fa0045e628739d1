//! Limits as code: invalid manifests, plans, and applying them.

mod bad_manifests;
mod commands;
mod function_vectors;
mod manifests;
mod ownership;
mod provisioning;
mod resource;
mod saved;
mod simulate;
