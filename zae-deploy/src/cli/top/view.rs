//! Renders the screen of `top` as lines of text, without I/O.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{
    rows::Row,
    state::{Focus, Screen},
};
use crate::cli::output::{
    Align, Breaks, Tone, escaped,
    units::{count, decimal},
};

/// Minimum columns for the numbers beside the bar.
const WIDE: usize = 100;
/// Columns of a bar.
const BAR: usize = 12;
/// Lines above and below the rows.
const FRAME: usize = 4;

/// A column: its name, its width, and the alignment of its cells.
type Column = (&'static str, usize, Align);

/// Renders a screen of this size; no line is wider, and there are no more lines.
pub(super) fn lines(screen: &Screen, width: usize, height: usize) -> Vec<String> {
    let mut lines: Vec<String> = heading(screen).iter().map(|line| cut(line, width)).collect();
    match &screen.focus {
        Focus::One(row) => lines.extend(details(screen, row, width)),
        _ => lines.extend(table(screen, width, height.saturating_sub(FRAME))),
    }
    lines.truncate(height.saturating_sub(1));
    lines.resize(height.saturating_sub(1), String::new());
    lines.push(cut(&footing(screen), width));
    lines
}

fn heading(screen: &Screen) -> [String; 2] {
    let state = match (&screen.problem, screen.paused) {
        (Some(problem), _) => format!("  cannot read: {problem}"),
        (None, true) => "  paused".to_owned(),
        (None, false) => String::new(),
    };
    let filter = if screen.filter.is_empty() { String::new() } else { format!("  only *{}*", screen.filter) };
    [
        format!("{}  {} limits of {} buckets{state}", screen.title, screen.rows.len(), screen.buckets),
        format!("by {}{filter}  each look reads some {} units", screen.sort.label(), decimal(screen.read_units)),
    ]
}

fn footing(screen: &Screen) -> String {
    match &screen.focus {
        Focus::Filter => format!("filter: {}_   Enter keeps it, Esc clears it", screen.filter),
        Focus::One(_) => "Esc back   p pause   q quit".to_owned(),
        Focus::List => "↑↓ select   Enter details   s sort   / filter   p pause   q quit".to_owned(),
    }
}

/// Returns the columns that fit on a screen of this width.
fn columns(width: usize) -> Vec<Column> {
    let bar = ("Used", BAR + 7, Align::Left);
    let limit = ("Limit", 8, Align::Left);
    let mut fixed = vec![limit, bar];
    if width >= WIDE {
        let right = |name, width| (name, width, Align::Right);
        fixed.extend([right("Available", 14), right("Capacity", 14), right("Rate/s", 10), right("Full in", 7)]);
    }
    let taken: usize = fixed.iter().map(|(_, width, _)| width + 1).sum();
    let names = width.saturating_sub(taken + 3);
    let resource = (names / 3).max(4);
    let mut columns =
        vec![("Entity", names.saturating_sub(resource).max(6), Align::Left), ("Resource", resource, Align::Left)];
    columns.append(&mut fixed);
    columns
}

/// Renders a header line, and as many rows as fit, including the selected one.
fn table(screen: &Screen, width: usize, height: usize) -> Vec<String> {
    let columns = columns(width);
    let names: Vec<String> = columns.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let mut lines = vec![paint(screen, Tone::Strong, &cut(&format!("  {}", line(&columns, &names)), width))];
    let first = screen.selected.saturating_sub(height.saturating_sub(1));
    for (index, row) in screen.rows.iter().enumerate().skip(first).take(height) {
        let mark = if index == screen.selected { '>' } else { ' ' };
        let text = cut(&format!("{mark} {}", line(&columns, &cells(row))), width);
        lines.push(match tone(row) {
            Tone::Plain => text,
            tone => paint(screen, tone, &text),
        });
    }
    lines
}

fn cells(row: &Row) -> [String; 8] {
    [
        row.entity_id.to_string(),
        row.resource.to_string(),
        row.limit.to_string(),
        bar(row),
        count(row.available),
        count(row.capacity),
        row.rate_per_second.map_or_else(|| "-".to_owned(), decimal),
        waiting(row.full_in_seconds),
    ]
}

fn line(columns: &[Column], cells: &[String]) -> String {
    let padded = columns.iter().zip(cells).map(|((_, width, align), cell)| {
        let text = cut(cell, *width);
        let space = " ".repeat(width.saturating_sub(text.width()));
        if *align == Align::Left { text + &space } else { space + &text }
    });
    padded.collect::<Vec<_>>().join(" ")
}

/// Renders a bar of the used part, and the percentage.
fn bar(row: &Row) -> String {
    let part = (row.used_percent / 100.0).clamp(0.0, 1.0);
    let filled = (part * BAR as f64).round() as usize;
    format!("{}{} {:>4.0} %", "█".repeat(filled), "·".repeat(BAR - filled), row.used_percent)
}

fn tone(row: &Row) -> Tone {
    match row.used_percent {
        used if used >= 100.0 => Tone::Bad,
        used if used >= 80.0 => Tone::Warn,
        _ => Tone::Plain,
    }
}

fn details(screen: &Screen, row: &Row, width: usize) -> Vec<String> {
    let line = |name: &str, value: String| cut(&format!("{name:<14} {value}"), width);
    let rate = row.rate_per_second.map_or_else(|| "known after the next look".to_owned(), decimal);
    vec![
        String::new(),
        line("Entity", row.entity_id.to_string()),
        line("Resource", row.resource.to_string()),
        line("Limit", row.limit.to_string()),
        line("Available", format!("{} of {}", count(row.available), count(row.capacity))),
        paint(screen, tone(row), &line("Used", bar(row))),
        line("Rate per s", rate),
        line("Full in", waiting(row.full_in_seconds)),
        line("Consumed", count(row.consumed)),
        line("Shards", count(row.shard_count)),
        String::new(),
        cut(&format!("zae-deploy bucket show {} --resource {}", row.entity_id, row.resource), width),
        cut(&format!("zae-deploy usage list --entity-id {} --start 24h", row.entity_id), width),
    ]
}

fn paint(screen: &Screen, tone: Tone, text: &str) -> String {
    tone.paint(text, screen.colour)
}

/// Escapes text for the terminal, and truncates it to `width` columns.
fn cut(text: &str, width: usize) -> String {
    let text = escaped(text, Breaks::Escaped);
    if text.width() <= width {
        return text;
    }
    let mut shown = String::new();
    let mut columns = 0;
    for letter in text.chars() {
        columns += letter.width().unwrap_or(0);
        if columns >= width {
            break;
        }
        shown.push(letter);
    }
    shown + "…"
}

/// Formats a wait: `now`, `59s`, `12m`, `3h`, `2d`.
pub(super) fn waiting(seconds: u64) -> String {
    match seconds {
        0 => "now".to_owned(),
        1..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds.div_ceil(60)),
        7_200..=172_799 => format!("{}h", seconds.div_ceil(3_600)),
        _ => format!("{}d", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use zae_limiter::{EntityId, LimitName, ResourceName};

    use super::*;
    use crate::cli::{output::Colour, top::rows::Sort};

    fn row(entity: &str, available: i64) -> Row {
        Row {
            entity_id: EntityId::new(entity).unwrap(),
            resource: ResourceName::new("gpt-4").unwrap(),
            limit: LimitName::new("rpm").unwrap(),
            capacity: 1_000,
            available,
            used_percent: (1_000 - available) as f64 / 10.0,
            rate_per_second: Some(12.5),
            full_in_seconds: 90,
            shard_count: 1,
            consumed: 5_000,
        }
    }

    fn screen() -> Screen {
        let mut screen = Screen::new("limiter / default".to_owned(), Colour::Off, Sort::Used);
        screen.update(vec![row("ip:127.0.0.1", 250), row("user-1", -10), row("user-2", 1_000)], 3, 2.0);
        screen
    }

    fn drawn(screen: &Screen, width: usize, height: usize) -> String {
        let lines = lines(screen, width, height);
        assert!(lines.len() == height && lines.iter().all(|line| line.width() <= width), "{lines:?}");
        lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    #[test]
    fn sixty_columns_show_the_bars_and_wide_ones_the_numbers() {
        let narrow = "\
limiter / default  3 limits of 3 buckets
by used  each look reads some 2.00 units
  Entity              Resource  Limit    Used
> user-1              gpt-4     rpm      ████████████  101 %
  ip:127.0.0.1        gpt-4     rpm      █████████···   75 %
  user-2              gpt-4     rpm      ············    0 %
↑↓ select   Enter details   s sort   / filter   p pause   q…
";
        assert_eq!(drawn(&screen(), 60, 7), narrow);
        let wide = drawn(&screen(), 120, 7);
        for part in ["Available", "-10", "1,000", "12.50", "90s"] {
            assert!(wide.contains(part), "{part}: {wide}");
        }
    }

    #[test]
    fn keys_sort_filter_open_pause_and_quit() {
        use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

        use crate::cli::top::state::Pressed;

        let mut screen = screen();
        let press = |screen: &mut Screen, code| screen.press(KeyEvent::new(code, KeyModifiers::NONE));
        for letter in ['s', 's', 's'] {
            press(&mut screen, KeyCode::Char(letter));
        }
        assert_eq!(screen.rows[0].entity_id.as_str(), "ip:127.0.0.1", "by name");
        for letter in "/user".chars() {
            press(&mut screen, KeyCode::Char(letter));
        }
        press(&mut screen, KeyCode::Enter);
        assert_eq!(screen.rows.len(), 2);
        press(&mut screen, KeyCode::Down);
        press(&mut screen, KeyCode::Enter);
        let details = drawn(&screen, 60, 16);
        assert!(details.contains("Entity         user-2"), "{details}");
        press(&mut screen, KeyCode::Char('p'));
        assert!(drawn(&screen, 60, 16).contains("paused"));
        press(&mut screen, KeyCode::Esc);
        assert_eq!(press(&mut screen, KeyCode::Char('q')), Pressed::Quit);
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let mut screen = screen();
        screen.problem = Some("a\u{1b}[2J".to_owned());
        assert!(!drawn(&screen, 120, 5).contains('\u{1b}'));
    }
}
