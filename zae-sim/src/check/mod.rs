//! Judges a history by the invariants of `DESIGN.md`.

mod accounts;
mod answers;
mod neighbours;
mod shares;
mod waits;
mod windows;

use crate::world::history::History;

/// Records every violation.
pub fn all(history: &mut History) {
    let mut found = windows::violations(history);
    found.extend(accounts::violations(history));
    found.extend(answers::violations(history));
    found.extend(shares::violations(history));
    history.violations.extend(found);
}
