//! Judges a history by the invariants of `DESIGN.md`.

mod accounts;
mod answers;
mod windows;

use crate::world::history::History;

/// Notes every violation.
pub fn all(history: &mut History) {
    let mut found = windows::violations(history);
    found.extend(accounts::violations(history));
    found.extend(answers::violations(history));
    history.violations.extend(found);
}
