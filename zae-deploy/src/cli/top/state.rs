//! The state of `top`, and its changes by keys.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::rows::{Row, Sort, arranged};
use crate::cli::output::Colour;

/// Everything shown on the screen.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) title: String,
    pub(super) colour: Colour,
    pub(super) sort: Sort,
    pub(super) filter: String,
    pub(super) focus: Focus,
    pub(super) paused: bool,
    /// The index of the cursor in `rows`.
    pub(super) selected: usize,
    /// Sorted, and only those that match the filter.
    pub(super) rows: Vec<Row>,
    pub(super) buckets: usize,
    /// The price of one refresh.
    pub(super) read_units: f64,
    /// The error of the last refresh.
    pub(super) problem: Option<String>,
    all: Vec<Row>,
}

/// The part of the screen that receives keys.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Focus {
    List,
    Filter,
    One(Box<Row>),
}

/// The effect of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pressed {
    Quit,
    Stay,
}

impl Screen {
    pub(super) fn new(title: String, colour: Colour, sort: Sort) -> Self {
        Self {
            title,
            colour,
            sort,
            filter: String::new(),
            focus: Focus::List,
            paused: false,
            selected: 0,
            rows: Vec::new(),
            buckets: 0,
            read_units: 0.0,
            problem: None,
            all: Vec::new(),
        }
    }

    /// Replaces the rows with those of a refresh.
    pub(super) fn update(&mut self, rows: Vec<Row>, buckets: usize, read_units: f64) {
        (self.all, self.buckets, self.read_units, self.problem) = (rows, buckets, read_units, None);
        self.arrange();
        if let Focus::One(one) = &self.focus {
            let same =
                |row: &&Row| (&row.entity_id, &row.resource, &row.limit) == (&one.entity_id, &one.resource, &one.limit);
            if let Some(now) = self.all.iter().find(same).cloned() {
                self.focus = Focus::One(now.into());
            }
        }
    }

    fn arrange(&mut self) {
        self.rows = arranged(&self.all, self.sort, &self.filter);
        self.selected = self.selected.min(self.rows.len().saturating_sub(1));
    }

    pub(super) fn press(&mut self, key: KeyEvent) -> Pressed {
        if key.kind == KeyEventKind::Release {
            return Pressed::Stay;
        }
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Pressed::Quit;
        }
        match self.focus {
            Focus::Filter => self.type_filter(key.code),
            Focus::One(_) => match key.code {
                KeyCode::Char('q') => return Pressed::Quit,
                KeyCode::Char('p') => self.paused = !self.paused,
                KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace => self.focus = Focus::List,
                _ => {}
            },
            Focus::List => return self.navigate(key.code),
        }
        Pressed::Stay
    }

    fn type_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.focus = Focus::List,
            KeyCode::Esc => {
                self.filter.clear();
                self.focus = Focus::List;
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) => self.filter.push(letter),
            _ => {}
        }
        self.arrange();
    }

    fn navigate(&mut self, key: KeyCode) -> Pressed {
        const PAGE: usize = 10;
        let last = self.rows.len().saturating_sub(1);
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Pressed::Quit,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                self.arrange();
            }
            KeyCode::Char('/') => self.focus = Focus::Filter,
            KeyCode::Enter => {
                if let Some(row) = self.rows.get(self.selected) {
                    self.focus = Focus::One(row.clone().into());
                }
            }
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::PageDown => self.selected = (self.selected + PAGE).min(last),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(PAGE),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = last,
            _ => {}
        }
        Pressed::Stay
    }
}
