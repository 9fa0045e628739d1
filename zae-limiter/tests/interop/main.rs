//! This crate and the published Python package `zae-limiter` on one table.
//!
//! Every scenario is written once, as calls that either side can make ([`side`]), and is played in both directions: one
//! side writes, the other reads and acts. [`records`] compares the tables that the two sides leave after the same
//! calls, attribute by attribute.
//!
//! The package is installed once into a virtual environment in the target directory. If that is not possible, the tests
//! are skipped with a notice; `ZAE_REQUIRE_INTEROP=1` makes that a failure.

mod accounts;
mod buckets;
mod bypass;
mod compare;
mod configuration;
mod documents;
mod newer;
mod operations;
mod ours;
mod owners;
mod pauses;
mod python;
mod records;
mod side;
mod soft;
mod switches;
mod table;
mod together;
