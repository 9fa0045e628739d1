//! Tables of `+`, `-` and `|`, as wide as what is in them.

use unicode_width::UnicodeWidthStr;

use super::style::{Colour, Tone};

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// One cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        // A line break in a stored text must not look like another row.
        let text: String = text.into();
        let text = if text.contains(char::is_control) { text.escape_debug().to_string() } else { text };
        Self { text, tone: Tone::Plain }
    }

    pub(crate) fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// The text, or `-` where there is none.
    pub(crate) fn or_dash(text: Option<impl Into<String>>) -> Self {
        text.map_or_else(|| Self::new("-").tone(Tone::Dim), Self::new)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// Columns and rows. Nothing is ever cut.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = (&'static str, Align)>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// A table of text.
    pub(crate) fn left<const N: usize>(columns: [&'static str; N]) -> Self {
        Self::new(columns.map(|name| (name, Align::Left)))
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as lines, each with its line end.
    pub(crate) fn render(&self, colour: Colour) -> String {
        let mut widths: Vec<usize> = self.columns.iter().map(|(name, _)| name.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        if widths.is_empty() {
            return String::new();
        }
        let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let rule = format!("+-{}-+\n", dashes.join("-+-"));
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let header = self
            .columns
            .iter()
            .zip(&widths)
            .map(|((name, _), width)| pad(&Cell::new(*name).tone(Tone::Strong), *width, Align::Left, colour));
        let mut text = format!("{rule}{}{rule}", line(header.collect()));
        for row in &self.rows {
            let cells = self.columns.iter().zip(&widths).enumerate();
            let cells = cells.map(|(index, ((_, align), width))| {
                pad(row.get(index).unwrap_or(&Cell::default()), *width, *align, colour)
            });
            text.push_str(&line(cells.collect()));
        }
        text + &rule
    }
}

fn pad(cell: &Cell, width: usize, align: Align, colour: Colour) -> String {
    let space = " ".repeat(width.saturating_sub(cell.text.width()));
    let text = cell.tone.paint(&cell.text, colour);
    match align {
        Align::Left => text + &space,
        Align::Right => space + &text,
    }
}

#[cfg(test)]
mod tests {
    use super::{Align, Cell, Colour, Table, Tone};

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let mut table = Table::left(["Window Start", "Type"]);
        table.row(["2024-01-15T10:00:00Z".into(), "hourly".into()]);
        let expected = "\
+----------------------+--------+
| Window Start         | Type   |
+----------------------+--------+
| 2024-01-15T10:00:00Z | hourly |
+----------------------+--------+
";
        assert_eq!(table.render(Colour::Off), expected);
    }

    #[test]
    fn wide_characters_colour_and_right_alignment_keep_the_borders_straight() {
        let mut table = Table::new([("Name", Align::Left), ("N", Align::Right)]);
        table.row(["⏳ 東京".into(), Cell::new("5").tone(Tone::Good)]);
        table.row(["x".into(), "1,000".into()]);
        let expected = "\
+---------+-------+
| Name    | N     |
+---------+-------+
| ⏳ 東京 |     5 |
| x       | 1,000 |
+---------+-------+
";
        assert_eq!(table.render(Colour::Off), expected);
        let coloured = table.render(Colour::On).replace("\x1b[32m", "").replace("\x1b[1m", "").replace("\x1b[0m", "");
        assert_eq!(coloured, expected);
    }

    #[test]
    fn no_columns_are_no_table() {
        assert_eq!(Table::left([]).render(Colour::Off), "");
    }
}
