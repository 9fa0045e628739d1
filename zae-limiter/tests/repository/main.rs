//! Repositories: tables, namespaces, entities, limits, usage and the audit trail, and errors for bad input.

mod audit;
mod config;
mod documents;
mod edges;
mod embedded_file;
mod entities;
mod fold;
mod hostile;
mod live;
mod names;
mod namespaces;
mod namespaces_purge;
mod open;
mod refusals;
mod requests;
mod usage;
mod usage_capacity;
mod validation;
mod version;
