//! Charts in the terminal.

use super::series::Series;
use crate::cli::output::{Page, Tone, units::count};

/// Lines per chart.
const HEIGHT: usize = 10;
/// Columns for bars, if there is room.
const WIDTH: usize = 60;
/// Columns for the labels beside them.
const LABEL: usize = 20;
/// Maximum columns per bar.
const WIDEST: usize = 4;
/// Fractions of a line at which a bar may end, in eighths.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Draws one chart per limit of a series.
pub(super) fn draw(series: &Series, page: &mut Page) {
    page.blank();
    page.heading(&format!("Usage Plot: {} ({})", series.resource, series.window));
    let entities = match (series.entities.len(), series.entities.first()) {
        (1, Some(entity)) => entity.to_string(),
        (number, _) => format!("{} together", count(number as i128)),
    };
    page.line(format!("Entity: {entities}"));
    let room = page.width().map_or(WIDTH, |width| width.saturating_sub(LABEL).clamp(1, WIDTH));
    if series.points > room {
        page.line(format!("Note: {} points downsampled to {room}", count(series.points as i128)));
    }
    page.rule('=', 80);
    if series.by_limit.is_empty() {
        page.line("No counter data to plot");
    }
    for (limit, values) in &series.by_limit {
        page.blank();
        let total = values.iter().fold(0_i128, |sum, value| sum + i128::from(*value));
        page.heading(&format!("{} (total {})", limit.as_str().to_uppercase(), count(total)));
        for line in chart(&downsampled(values, room), room) {
            let (label, bars) = line;
            let bars = page.paint(Tone::Good, &bars);
            page.line(format!("{label} {bars}"));
        }
    }
    page.blank();
    page.line(format!("Time range: {} to {}", series.first, series.last));
    page.line(format!("Data points: {}", count(series.points as i128)));
}

/// Reduces `values` to at most `room`: the averages of equal slices.
fn downsampled(values: &[i64], room: usize) -> Vec<f64> {
    if values.len() <= room {
        return values.iter().map(|value| *value as f64).collect();
    }
    let slice = |index: usize| {
        let (start, end) = (index * values.len() / room, (index + 1) * values.len() / room);
        let slice = &values[start..end];
        slice.iter().map(|value| *value as f64).sum::<f64>() / slice.len() as f64
    };
    (0..room).map(slice).collect()
}

/// Renders labels and bars, top line first.
fn chart(values: &[f64], room: usize) -> Vec<(String, String)> {
    let top = values.iter().copied().fold(0.0_f64, f64::max);
    let bottom = values.iter().copied().fold(0.0_f64, f64::min);
    let span = if top > bottom { top - bottom } else { 1.0 };
    let columns = (room / values.len().max(1)).clamp(1, WIDEST);
    // Bar heights in eighths of a line; the smallest use is still visible.
    let heights: Vec<usize> = values
        .iter()
        .map(|value| {
            let height = ((value - bottom) / span * (HEIGHT * 8) as f64).round() as usize;
            if *value > 0.0 { height.max(1) } else { height }
        })
        .collect();
    let label = |line: usize| {
        // Labels on the first, last and middle lines suffice to read a value.
        (line == 0 || line == HEIGHT - 1 || line == HEIGHT / 2).then(|| {
            let share = (HEIGHT - line) as f64 / HEIGHT as f64;
            let value = if line == HEIGHT - 1 { bottom } else { bottom + span * share };
            count(value.round() as i128)
        })
    };
    let labels: Vec<String> = (0..HEIGHT).map(|line| label(line).unwrap_or_default()).collect();
    let widest = labels.iter().map(String::len).max().unwrap_or(0);
    labels
        .iter()
        .enumerate()
        .map(|(line, label)| {
            let below = (HEIGHT - 1 - line) * 8;
            let bars = heights.iter().map(|height| EIGHTHS[height.saturating_sub(below).min(8)].repeat(columns));
            let axis = if label.is_empty() { "│" } else { "┤" };
            (format!("{label:>widest$} {axis}"), bars.collect::<String>())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{HEIGHT, WIDEST, WIDTH, chart, downsampled};

    #[test]
    fn the_highest_bar_reaches_the_top_and_the_smallest_is_seen() {
        let lines = chart(&[0.0, 1.0, 1000.0], WIDTH);
        assert_eq!(lines.len(), HEIGHT);
        let wide = WIDEST;
        assert_eq!(lines[0].0, "1,000 ┤");
        assert_eq!(lines[0].1, " ".repeat(2 * wide) + &"█".repeat(wide));
        assert_eq!(lines[HEIGHT - 1].0, "    0 ┤");
        assert_eq!(lines[HEIGHT - 1].1, " ".repeat(wide) + &"▁".repeat(wide) + &"█".repeat(wide));
    }

    #[test]
    fn nothing_but_zeros_and_negative_balances_are_drawn_too() {
        assert!(chart(&[0.0; 5], WIDTH).iter().all(|(_, bars)| bars.trim().is_empty()));
        assert_eq!(chart(&[-5.0, 5.0], WIDTH)[HEIGHT - 1].0, "-5 ┤");
    }

    #[test]
    fn more_values_than_columns_are_averaged() {
        let values: Vec<i64> = (0..120).collect();
        let drawn = downsampled(&values, WIDTH);
        assert_eq!(drawn.len(), WIDTH);
        assert_eq!((drawn[0], drawn[59]), (0.5, 118.5));
        assert_eq!(downsampled(&[1, 2], WIDTH), [1.0, 2.0]);
    }
}
