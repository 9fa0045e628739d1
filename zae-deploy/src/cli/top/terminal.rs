//! The terminal while `top` uses it: alternate screen, raw keys, no cursor.

use std::io::{self, Write};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    execute, queue,
    style::Print,
    terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen},
};

use super::{state::Screen, view};

/// Restores the terminal when it is dropped, however the command ends.
#[derive(Debug)]
pub(super) struct Terminal(());

impl Terminal {
    pub(super) fn take() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let taken = Self(());
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(taken)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A failure cannot be reported.
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

/// Draws the screen at the terminal's current size. Lines are overwritten instead of cleared first, which would
/// flicker.
pub(super) fn draw(screen: &Screen) -> io::Result<()> {
    let (width, height) = terminal::size()?;
    let mut out = io::stdout().lock();
    for (line, row) in view::lines(screen, usize::from(width), usize::from(height)).iter().zip(0_u16..) {
        queue!(out, MoveTo(0, row), Print(line), Clear(ClearType::UntilNewLine))?;
    }
    out.flush()
}
