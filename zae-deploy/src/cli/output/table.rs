//! Tables drawn with `+`, `-` and `|`, as wide as their content or the available space.

use unicode_width::UnicodeWidthStr;

use super::{
    escape::{Breaks, escaped, harmless},
    style::{Colour, Tone},
    wrap::wrap,
};

/// Minimum columns for readable wrapped cells; with fewer, each row becomes a block of lines.
const NARROWEST: usize = 18;
/// Width up to which a cell, such as a time, is never wrapped.
const WHOLE: usize = 24;

/// The alignment of a cell in its column.
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
        Self { text: escaped(&text.into(), Breaks::Escaped), tone: Tone::Plain }
    }

    pub(crate) fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// Creates a cell with the text, or `-` if there is none.
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

/// Columns and rows. Content is never truncated.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

/// The layout of a table on a page.
enum Layout {
    /// In columns of these widths.
    Columns(Vec<usize>),
    /// One row below the other, with a line per cell.
    Blocks(usize),
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = (&'static str, Align)>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Creates a table of left-aligned text.
    pub(crate) fn left<const N: usize>(columns: [&'static str; N]) -> Self {
        Self::new(columns.map(|name| (name, Align::Left)))
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Formats the table as lines with line breaks, none wider than `width`: cells that do not fit are wrapped.
    pub(crate) fn render(&self, colour: Colour, width: Option<usize>) -> String {
        if self.columns.is_empty() {
            return String::new();
        }
        let text = match self.layout(width) {
            Layout::Columns(widths) => self.in_columns(&widths, colour),
            Layout::Blocks(width) => self.in_blocks(width, colour),
        };
        harmless(&text, Breaks::Kept)
    }

    fn layout(&self, width: Option<usize>) -> Layout {
        let mut natural: Vec<usize> = self.columns.iter().map(|(name, _)| name.width()).collect();
        for row in &self.rows {
            for (width, cell) in natural.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let borders = 3 * natural.len() + 1;
        match width {
            Some(width) if natural.iter().sum::<usize>() + borders > width => {
                let fitted = fitted(&natural, width.saturating_sub(borders));
                let legible =
                    self.columns.iter().zip(natural.iter().zip(&fitted)).all(|((name, align), (natural, fitted))| {
                        natural == fitted || (*align == Align::Left && *fitted >= NARROWEST.max(name.width()))
                    });
                if legible { Layout::Columns(fitted) } else { Layout::Blocks(width) }
            }
            _ => Layout::Columns(natural),
        }
    }

    fn in_columns(&self, widths: &[usize], colour: Colour) -> String {
        let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let rule = format!("+-{}-+\n", dashes.join("-+-"));
        let names = self.columns.iter().map(|(name, _)| Cell::new(*name).tone(Tone::Strong));
        let header: Vec<(Cell, Align)> = names.map(|name| (name, Align::Left)).collect();
        let mut text = format!("{rule}{}{rule}", line(&header, widths, colour));
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let cells = self.columns.iter().enumerate();
                let cells: Vec<(Cell, Align)> =
                    cells.map(|(index, (_, align))| (row.get(index).cloned().unwrap_or_default(), *align)).collect();
                line(&cells, widths, colour)
            })
            .collect();
        let several = rows.iter().any(|row| row.lines().count() > 1);
        text.push_str(&rows.join(if several { &rule } else { "" }));
        text + &rule
    }

    fn in_blocks(&self, width: usize, colour: Colour) -> String {
        let labels = self.columns.iter().map(|(name, _)| name.width()).max().unwrap_or(0) + 2;
        let room = width.saturating_sub(labels).max(1);
        let mut text = String::new();
        for row in &self.rows {
            text.push_str(&format!("{}\n", "-".repeat(width)));
            for ((name, _), cell) in self.columns.iter().zip(row) {
                let space = " ".repeat(labels - name.width() - 1);
                let label = format!("{}:{space}", Tone::Strong.paint(name, colour));
                let lines: Vec<String> =
                    wrap(&cell.text, room).iter().map(|part| cell.tone.paint(part, colour)).collect();
                let below = format!("\n{}", " ".repeat(labels));
                text.push_str(&format!("{label}{}\n", lines.join(&below)));
            }
        }
        text + &format!("{}\n", "-".repeat(width))
    }
}

/// Returns widths that add up to `room` at most: short columns, and those that need less than an equal share, keep
/// their width, and the others share the rest.
fn fitted(natural: &[usize], room: usize) -> Vec<usize> {
    let mut fitted: Vec<usize> = natural.iter().map(|width| if *width <= WHOLE { *width } else { 0 }).collect();
    let mut rest = room.saturating_sub(fitted.iter().sum());
    let mut long: Vec<usize> = (0..natural.len()).filter(|index| natural[*index] > WHOLE).collect();
    long.sort_by_key(|index| natural[*index]);
    for (place, index) in long.iter().enumerate() {
        let share = rest / (long.len() - place);
        fitted[*index] = natural[*index].min(share);
        rest -= fitted[*index];
    }
    fitted
}

/// Formats a row, with as many lines as its longest cell needs.
fn line(cells: &[(Cell, Align)], widths: &[usize], colour: Colour) -> String {
    let parts: Vec<Vec<String>> = cells.iter().zip(widths).map(|((cell, _), width)| wrap(&cell.text, *width)).collect();
    let height = parts.iter().map(Vec::len).max().unwrap_or(0);
    let mut text = String::new();
    for index in 0..height {
        let padded = cells.iter().zip(&parts).zip(widths).map(|(((cell, align), parts), width)| {
            let part = parts.get(index).map_or("", String::as_str);
            let space = " ".repeat(width.saturating_sub(part.width()));
            let painted = cell.tone.paint(part, colour);
            if *align == Align::Left { painted + &space } else { space + &painted }
        });
        text.push_str(&format!("| {} |\n", padded.collect::<Vec<_>>().join(" | ")));
    }
    text
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
        assert_eq!(table.render(Colour::Off, None), expected);
        assert_eq!(table.render(Colour::Off, Some(33)), expected);
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
        assert_eq!(table.render(Colour::Off, None), expected);
        let coloured = table.render(Colour::On, None);
        let plain = coloured.replace("\x1b[32m", "").replace("\x1b[1m", "").replace("\x1b[0m", "");
        assert_eq!(plain, expected);
        assert_ne!(coloured, expected);
    }

    #[test]
    fn long_cells_go_on_below_themselves_and_rows_become_blocks_where_even_that_has_no_room() {
        let mut table = Table::new([("Age", Align::Left), ("Principal", Align::Left), ("N", Align::Right)]);
        table.row(["now".into(), "arn:aws:sts::1:assumed-role/somebody".into(), "7".into()]);
        table.row(["then".into(), "ops".into(), "10".into()]);
        let expected = "\
+------+----------------------+----+
| Age  | Principal            | N  |
+------+----------------------+----+
| now  | arn:aws:sts::1:      |  7 |
|      | assumed-role/        |    |
|      | somebody             |    |
+------+----------------------+----+
| then | ops                  | 10 |
+------+----------------------+----+
";
        assert_eq!(table.render(Colour::Off, Some(36)), expected);
        let expected = "\
------------------------
Age:       now
Principal: arn:aws:sts::
           1:assumed-
           role/somebody
N:         7
------------------------
Age:       then
Principal: ops
N:         10
------------------------
";
        assert_eq!(table.render(Colour::Off, Some(24)), expected);
    }

    #[test]
    fn no_columns_are_no_table() {
        assert_eq!(Table::left([]).render(Colour::Off, None), "");
    }
}
