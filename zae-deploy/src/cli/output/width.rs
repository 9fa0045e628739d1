//! The number of columns.

use std::io;

/// Narrowest terminal that anything is fitted into.
const LEAST: usize = 20;

/// Returns the columns available on stdout: `COLUMNS` if set, otherwise the terminal's; `None` if unbounded, as in a
/// file.
pub(crate) fn columns() -> Option<usize> {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok()).filter(|n| *n > 0);
    let terminal = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    set.or_else(terminal).map(|columns: usize| columns.max(LEAST))
}
