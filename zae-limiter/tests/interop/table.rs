//! One table that both sides work on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use zae_limiter::ManualClock;

use super::{ours::Ours, python::Python, side::Side};
use zae_testkit::{store::TestStore, venv};

/// 2026-01-01T00:00:00Z in epoch ms.
pub(crate) const START: i64 = 1_767_225_600_000;
/// The stack's, and so the table's, name on both sides.
pub(crate) const STACK: &str = "limiter";

/// A raw item.
pub(crate) type Item = std::collections::HashMap<String, AttributeValue>;

/// The side that sets up the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Us,
    Them,
}

/// A store served over loopback HTTP, with both sides on it. Time stands still until it is advanced.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) store: TestStore,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ours: Side,
    pub(crate) theirs: Side,
}

impl Table {
    /// Creates a table with the namespaces `default` and `tenant-a`, or returns `None` without the Python package.
    pub(crate) async fn open(by: By) -> Option<Self> {
        let interpreter = tokio::task::spawn_blocking(venv::interpreter).await;
        // A panic in there is the failure that `ZAE_REQUIRE_INTEROP` asks for.
        let interpreter = interpreter.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let store = TestStore::new();
        let endpoint = store.serve().await;
        let clock = Arc::new(ManualClock::at(START));
        let python = Box::new(Python::new(interpreter, endpoint));
        let theirs = Side::Theirs(python, Arc::clone(&clock));
        let ours = Side::Ours(Ours::new(store.clone(), Arc::clone(&clock)));
        let table = Self { store, clock, ours, theirs };
        let deployed = json!({
            "namespaces": ["default", "tenant-a"], "lambda_version": "0.17.0", "updated_by": "interop",
        });
        table.side(by).ok("create_table", deployed).await;
        Some(table)
    }

    /// The side that `by` names.
    pub(crate) fn side(&self, by: By) -> &Side {
        match by {
            By::Us => &self.ours,
            By::Them => &self.theirs,
        }
    }

    /// Returns the side that set the table up and writes, then the other, which reads.
    pub(crate) fn writer_and_reader(&self, by: By) -> (&Side, &Side) {
        match by {
            By::Us => (&self.ours, &self.theirs),
            By::Them => (&self.theirs, &self.ours),
        }
    }

    /// Lets `seconds` pass on both sides.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Returns all items of the table, in the order of the raw keys.
    pub(crate) async fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        let mut pages = self.store.client().scan().table_name(STACK).into_paginator().send();
        while let Some(page) = pages.next().await {
            items.extend(page.unwrap().items.unwrap_or_default());
        }
        items.sort_by_key(|item| (text(item, "PK"), text(item, "SK")));
        items
    }

    /// Returns the balances (`tk`) and net consumption (`tc`) of every limit of one bucket, in millitokens: `rpm` →
    /// `(tk, tc)`.
    pub(crate) async fn bucket(&self, entity: &str, resource: &str) -> BTreeMap<String, (i64, i64)> {
        let end = format!("/BUCKET#{entity}#{resource}#0");
        let items = self.items().await;
        let item = items.iter().find(|item| text(item, "PK").ends_with(&end) && text(item, "SK") == "#STATE");
        let item = item.unwrap_or_else(|| panic!("no bucket {end}"));
        let number = |name: &str| item.get(name).and_then(|v| v.as_n().ok()).map_or(0, |n| n.parse().unwrap());
        let names = item.keys().filter_map(|name| name.strip_prefix("b_")?.strip_suffix("_tk"));
        names
            .map(|name| (name.to_owned(), (number(&format!("b_{name}_tk")), number(&format!("b_{name}_tc")))))
            .collect()
    }
}

/// Returns a string attribute; empty if there is none.
pub(crate) fn text(item: &Item, name: &str) -> String {
    item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}
