//! Displays the progress of lengthy work.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Interval between lines of progress without a terminal.
const SILENCE: Duration = Duration::from_secs(5);

/// Prints progress on stderr: on a terminal in place, elsewhere as a line from time to time.
#[derive(Debug)]
pub(crate) struct Meter {
    state: Mutex<MeterState>,
    output: MeterOutput,
}

#[derive(Debug)]
struct MeterState {
    label: String,
    percent: u8,
    told: Instant,
}

/// The destination of progress.
#[derive(Clone, Copy, Debug)]
enum MeterOutput {
    /// Updates one line in place.
    Terminal,
    /// Gets a line from time to time.
    Log,
}

/// A line about a step.
#[derive(Debug, PartialEq, Eq)]
enum MeterLine {
    Nothing,
    Line,
    InPlace,
    /// In place and final: the next line starts below.
    Last,
}

impl Meter {
    pub(crate) fn new() -> Self {
        let state = MeterState { label: String::new(), percent: 0, told: Instant::now() };
        let output = if io::stderr().is_terminal() { MeterOutput::Terminal } else { MeterOutput::Log };
        Self { state: Mutex::new(state), output }
    }

    /// Reports that `label` is done to `percent` per cent.
    pub(crate) fn tell(&self, label: &str, percent: u8) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let told = state.step(label, percent, Instant::now(), self.output);
        let mut stderr = io::stderr().lock();
        // Progress that cannot be written is no reason to stop.
        let _ = match told {
            MeterLine::Nothing => Ok(()),
            MeterLine::Line => writeln!(stderr, "{label}: {percent} %"),
            MeterLine::InPlace => write!(stderr, "\r{label}: {percent:>3} %").and_then(|()| stderr.flush()),
            MeterLine::Last => writeln!(stderr, "\r{label}: {percent:>3} %"),
        };
    }
}

impl MeterState {
    fn step(&mut self, label: &str, percent: u8, now: Instant, output: MeterOutput) -> MeterLine {
        if self.label != label {
            *self = Self { label: label.to_owned(), percent: 0, told: now };
        }
        let moved = percent > self.percent;
        let told = match output {
            MeterOutput::Terminal if moved && percent >= 100 => MeterLine::Last,
            MeterOutput::Terminal if moved => MeterLine::InPlace,
            MeterOutput::Log if moved && now.duration_since(self.told) >= SILENCE => MeterLine::Line,
            _ => MeterLine::Nothing,
        };
        if told != MeterLine::Nothing {
            (self.percent, self.told) = (percent, now);
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, MeterLine, MeterOutput, MeterState};

    #[test]
    fn a_terminal_is_told_of_every_per_cent_and_a_log_every_few_seconds() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let new = || MeterState { label: String::new(), percent: 0, told: start };
        let mut terminal = new();
        let told: Vec<MeterLine> =
            [0, 1, 1, 99, 100, 100].map(|percent| terminal.step("x", percent, start, MeterOutput::Terminal)).into();
        assert_eq!(
            told,
            [
                MeterLine::Nothing,
                MeterLine::InPlace,
                MeterLine::Nothing,
                MeterLine::InPlace,
                MeterLine::Last,
                MeterLine::Nothing
            ]
        );
        let mut log = new();
        let steps = [(0, 0), (10, 4), (20, 5), (20, 11), (30, 9), (100, 10)];
        let told: Vec<MeterLine> =
            steps.map(|(percent, second)| log.step("x", percent, at(second), MeterOutput::Log)).into();
        assert_eq!(
            told,
            [
                MeterLine::Nothing,
                MeterLine::Nothing,
                MeterLine::Line,
                MeterLine::Nothing,
                MeterLine::Nothing,
                MeterLine::Line
            ]
        );
        assert_eq!(log.step("y", 1, at(11), MeterOutput::Log), MeterLine::Nothing, "another label starts again");
    }
}
