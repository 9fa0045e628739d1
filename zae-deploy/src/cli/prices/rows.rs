//! Rows of a price book as they are shown, and the differences between two books.

use serde::Serialize;
use zae_llm::prices::{Price, PriceBook, PriceKind};

use crate::cli::output::{Align, Cell, Page, Report, Table};

/// A row as displayed.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct PriceRow {
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    conditions: Vec<String>,
    prices: Vec<(String, f64)>,
    source: String,
}

impl PriceRow {
    pub(super) fn of(row: &Price) -> Self {
        let mut conditions = Vec::new();
        if row.above > 0 {
            conditions.push(format!("above {} tokens", row.above));
        }
        if row.tier != Default::default() {
            conditions.push(row.tier.as_str().to_owned());
        }
        if row.region != Default::default() {
            conditions.push(format!("in {}", row.region.as_str()));
        }
        if let Some(from) = row.valid_from {
            conditions.push(format!("from {from}"));
        }
        let prices = PriceKind::ALL.into_iter().filter_map(|kind| Some((kind.as_str().to_owned(), row.get(kind)?)));
        Self {
            model: row.model.clone(),
            provider: row.provider.clone(),
            conditions,
            prices: prices.collect(),
            source: row.source.clone(),
        }
    }

    fn prices(&self) -> String {
        self.prices.iter().map(|(kind, dollars)| format!("{kind} {dollars}")).collect::<Vec<_>>().join(", ")
    }
}

/// The prices of a book.
#[derive(Serialize)]
pub(super) struct ListedPrices {
    pub(super) prices: Vec<PriceRow>,
}

impl Report for ListedPrices {
    fn page(&self, page: &mut Page) {
        if self.prices.is_empty() {
            return page.line("No prices");
        }
        let columns = ["Model", "When", "Dollars per million tokens, or each"].map(|name| (name, Align::Left));
        let mut table = Table::new(columns);
        for row in &self.prices {
            table.row([Cell::new(&row.model), Cell::new(row.conditions.join(", ")), Cell::new(row.prices())]);
        }
        page.table(&table);
    }
}

/// A row that differs between two books.
#[derive(Serialize)]
pub(super) struct PriceChange {
    model: String,
    conditions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<PriceRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<PriceRow>,
}

/// All rows that two books have otherwise.
#[derive(Serialize)]
pub(super) struct Changes {
    pub(super) changes: Vec<PriceChange>,
}

/// Compares two books: what is gone first, then the rows of `after` in their order.
pub(super) fn changes(before: &PriceBook, after: &PriceBook) -> Changes {
    let find = |book: &PriceBook, row: &Price| book.rows().iter().find(|known| known.is_same(row)).map(PriceRow::of);
    let gone = before.rows().iter().filter(|row| find(after, row).is_none());
    let pairs = gone.chain(after.rows()).map(|row| (PriceRow::of(row), find(before, row), find(after, row)));
    let changed = pairs
        .filter(|(_, before, after)| before.as_ref().map(|row| &row.prices) != after.as_ref().map(|row| &row.prices));
    let told =
        changed.map(|(row, before, after)| PriceChange { model: row.model, conditions: row.conditions, before, after });
    Changes { changes: told.collect() }
}

impl Report for Changes {
    fn page(&self, page: &mut Page) {
        if self.changes.is_empty() {
            return page.line("No differences");
        }
        for change in &self.changes {
            let conditions = change.conditions.join(", ");
            let space = if conditions.is_empty() { "" } else { ", " };
            let prices = |row: &Option<PriceRow>| row.as_ref().map_or_else(|| "(none)".to_owned(), PriceRow::prices);
            page.line(format!("{}{space}{conditions}", change.model));
            page.line(format!("  {} → {}", prices(&change.before), prices(&change.after)));
        }
    }
}
