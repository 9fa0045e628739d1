//! Checks of the policies against the calls that are really made.
//!
//! Runs on an embedded store are recorded on the wire ([`calls`]) and put to the policies of the template ([`policy`]),
//! as a principal with or without the namespace tag would.

mod calls;
mod matrix;
mod policy;
mod python;
mod runs;

use zae_testkit::records;
