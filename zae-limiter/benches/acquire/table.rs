//! The table of measures: what was measured, beside the bound it has to meet.

use std::{fmt, fs, io, path::PathBuf};

use serde_json::{Value, json};

use super::Effort;

/// The bound that a measure has to meet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
    Between(f64, f64),
    /// None: for information only.
    Told,
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::Below(bound) => value < bound,
            Self::AtLeast(least) => value >= least,
            Self::Between(least, most) => (least..=most).contains(&value),
            Self::Told => true,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::Below(bound) => write!(f, "< {bound}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::Between(least, most) => write!(f, "{least:.2} to {most:.2}"),
            Self::Told => f.write_str("–"),
        }
    }
}

/// The dependency of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Deterministic: the same in every run.
    Count,
    /// Depends on the machine and its load.
    Time,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    measure: String,
    kind: Kind,
    unit: &'static str,
    /// The value of the Python package, if there is one.
    reference: String,
    bound: Bound,
    /// The number, or the reason why there is none.
    measured: Result<f64, String>,
    note: String,
}

impl Row {
    fn new(kind: Kind, measure: impl Into<String>, unit: &'static str, bound: Bound, measured: f64) -> Self {
        let (measure, note) = (measure.into(), String::new());
        Self { measure, kind, unit, reference: "–".to_owned(), bound, measured: Ok(measured), note }
    }

    pub(crate) fn count(measure: impl Into<String>, unit: &'static str, bound: Bound, measured: f64) -> Self {
        Self::new(Kind::Count, measure, unit, bound, measured)
    }

    pub(crate) fn time(measure: impl Into<String>, unit: &'static str, bound: Bound, measured: f64) -> Self {
        Self::new(Kind::Time, measure, unit, bound, measured)
    }

    /// Replaces the number by a reason.
    pub(crate) fn without(mut self, reason: impl Into<String>) -> Self {
        self.measured = Err(reason.into());
        self
    }

    pub(crate) fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = reference.into();
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn verdict(&self) -> &'static str {
        match (&self.measured, self.bound) {
            (Err(_), _) => "?",
            (Ok(_), Bound::Told) => "",
            (Ok(value), bound) if bound.holds(*value) => "yes",
            (Ok(_), _) => "NO",
        }
    }

    fn cells(&self) -> [String; 6] {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        let measured = self.measured.as_ref().map_or("–".to_owned(), |value| format!("{}{unit}", short(*value)));
        let reason = self.measured.as_ref().err().cloned().unwrap_or_default();
        let note = [reason, self.note.clone()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
        let bound = if self.bound == Bound::Told { String::new() } else { format!("{}{unit}", self.bound) };
        [self.measure.clone(), self.reference.clone(), bound, measured, self.verdict().to_owned(), note.join("; ")]
    }

    fn json(&self) -> Value {
        let holds = self.measured.as_ref().ok().map(|value| self.bound.holds(*value));
        json!({
            "measure": self.measure,
            "exact": self.kind == Kind::Count,
            "unit": self.unit,
            "reference": self.reference,
            "bound": self.bound.to_string(),
            "measured": self.measured.as_ref().ok(),
            "holds": holds,
            "not_measured": self.measured.as_ref().err(),
            "note": self.note,
        })
    }
}

/// Formats three significant digits.
pub(crate) fn short(value: f64) -> String {
    let digits = match value.abs() {
        x if x >= 100.0 || x == 0.0 || (x.fract() == 0.0 && x < 1e6) => 0,
        x if x >= 10.0 => 1,
        x if x >= 1.0 => 2,
        x if x >= 0.01 => 4,
        _ => 6,
    };
    format!("{value:.digits$}")
}

/// All lines.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn extend(&mut self, rows: Vec<Row>) {
        self.0.extend(rows);
    }

    /// Counts the rows that miss their bound; in a smoke run, only deterministic ones.
    pub(crate) fn misses(&self, effort: Effort) -> usize {
        let counted = |row: &&Row| effort == Effort::Full || row.kind == Kind::Count;
        self.0.iter().filter(counted).filter(|row| row.verdict() == "NO").count()
    }

    /// Writes it as JSON into the target directory.
    pub(crate) fn save(&self) -> io::Result<PathBuf> {
        let mut path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        path.set_file_name("acquire.json");
        let rows: Vec<Value> = self.0.iter().map(Row::json).collect();
        fs::write(&path, serde_json::to_string_pretty(&json!({ "rows": rows }))? + "\n")?;
        Ok(path)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["measure", "reference", "must reach", "measured", "ok", "note"].map(str::to_owned);
        let lines: Vec<[String; 6]> = std::iter::once(heads).chain(self.0.iter().map(Row::cells)).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..5).map(width).collect();
        for (index, line) in lines.iter().enumerate() {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let text = cells.chain([line[5].clone()]).collect::<Vec<_>>().join(" | ");
            writeln!(f, "{}", text.trim_end_matches([' ', '|']))?;
            if index == 0 {
                let rule: Vec<String> = widths.iter().chain([&4]).map(|width| "-".repeat(*width)).collect();
                writeln!(f, "{}", rule.join("-|-"))?;
            }
        }
        Ok(())
    }
}
