//! The number of columns.

use std::io;

/// Narrowest terminal that anything is fitted into.
const LEAST: usize = 20;

/// The columns of whatever shows stdout: `COLUMNS` where it is set, else the terminal's; `None` where there is no
/// bound, as in a file.
pub(crate) fn columns() -> Option<usize> {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok()).filter(|n| *n > 0);
    let terminal = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    set.or_else(terminal).map(|columns: usize| columns.max(LEAST))
}
