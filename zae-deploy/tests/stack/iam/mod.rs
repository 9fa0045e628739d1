//! Checks the policies against the calls that are actually made.
//!
//! Calls on an embedded store are recorded on the wire ([`calls`]) and checked against the policies of the template
//! ([`policy`]), as a principal with or without the namespace tag.

mod calls;
mod matrix;
mod policy;
mod python;
mod runs;

use zae_testkit::records;
