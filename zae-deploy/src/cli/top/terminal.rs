//! The terminal while `top` has it: another screen, keys as they are pressed, no cursor.

use std::io::{self, Write};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    execute, queue,
    style::Print,
    terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen},
};

use super::{state::Screen, view};

/// Gives the terminal back when it is dropped, whatever ends the command.
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
        // Nobody is left to be told.
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

/// Draws the screen at the size that the terminal has now. Lines are overwritten and not cleared first, which would
/// flicker.
pub(super) fn draw(screen: &Screen) -> io::Result<()> {
    let (width, height) = terminal::size()?;
    let mut out = io::stdout().lock();
    for (line, row) in view::lines(screen, usize::from(width), usize::from(height)).iter().zip(0_u16..) {
        queue!(out, MoveTo(0, row), Print(line), Clear(ClearType::UntilNewLine))?;
    }
    out.flush()
}
