//! Reading consumption over time.

use std::collections::BTreeMap;

use super::{
    Repository,
    store::{Item, Order, Query},
};
use crate::{
    error::{RepositoryError, ValidationError, ValidationReason},
    model::usage::{UsageOf, UsagePage, UsageQuery, UsageSnapshot, UsageSummary, UsageWindow},
    wire::{keys, time, usage},
};

/// The most items per request.
const READ: u32 = 1_000;
/// The fewest: filters may leave little of a page, and one request for many items costs no more than many for a few.
const READ_AT_LEAST: u32 = 100;

/// Where a query reads, and what is left of it after that.
struct Reading<'a> {
    query: Query,
    /// Whether the order is that of time alone, so that reading can end where the time asked for begins.
    by_time: bool,
    window: Option<&'a UsageWindow>,
    since: Option<String>,
    until: Option<String>,
}

impl<'a> Reading<'a> {
    fn new(ns: &str, query: &'a UsageQuery) -> Self {
        let (place, by_time) = match &query.of {
            UsageOf::Entity(entity) => {
                (Query::table(keys::pk_entity(ns, entity.as_str())).prefix(keys::USAGE_PREFIX), false)
            }
            UsageOf::EntityResource(entity, resource) => {
                let prefix = keys::sk_usage(resource.as_str(), "");
                (Query::table(keys::pk_entity(ns, entity.as_str())).prefix(prefix), true)
            }
            UsageOf::Resource(resource) => {
                (Query::index("GSI2", keys::gsi2_pk_resource(ns, resource.as_str())).prefix("USAGE#"), true)
            }
        };
        Self {
            query: place.order(Order::Descending),
            by_time,
            window: query.window.as_ref(),
            since: query.since_ms.map(time::timestamp_from),
            until: query.until_ms.map(time::timestamp),
        }
    }

    fn wants(&self, snapshot: &UsageSnapshot) -> bool {
        let start = &snapshot.window_start;
        self.window.is_none_or(|window| *window == snapshot.window)
            && self.since.as_ref().is_none_or(|since| start >= since)
            && self.until.as_ref().is_none_or(|until| start <= until)
    }

    fn is_past(&self, snapshot: &UsageSnapshot) -> bool {
        self.by_time && self.since.as_ref().is_some_and(|since| snapshot.window_start < *since)
    }
}

impl Repository {
    /// The snapshots that `query` asks for, one page of them.
    ///
    /// Filters are applied before pages are counted: a page is short only when nothing follows. Snapshots are written
    /// by the aggregator, and disappear when their retention is over. Days and months that an aggregator of the
    /// reference has written may include the hour or day that starts at the same instant once more.
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] when the limit is 0 or the cursor belongs to another query,
    /// [`RepositoryError::Store`] when the table cannot be read.
    ///
    /// ```
    /// # async fn f(repository: zae_limiter::Repository) -> Result<(), zae_limiter::RepositoryError> {
    /// use zae_limiter::{EntityId, UsageQuery};
    /// let mut query = UsageQuery::entity(EntityId::new("key-1")?);
    /// loop {
    ///     let page = repository.usage_snapshots(&query).await?;
    ///     for snapshot in &page.snapshots {
    ///         println!("{} {}: {:?}", snapshot.window_start, snapshot.resource, snapshot.counters);
    ///     }
    ///     let Some(next) = page.next else { break };
    ///     query = query.cursor(next);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn usage_snapshots(&self, query: &UsageQuery) -> Result<UsagePage, RepositoryError> {
        if query.limit == 0 {
            return Err(ValidationError::new("limit", "0", ValidationReason::NotPositive).into());
        }
        let wanted = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let reading = Reading::new(self.ns(), query);
        let mut request = reading.query.clone().limit(query.limit.saturating_add(1).clamp(READ_AT_LEAST, READ));
        if let Some(cursor) = &query.cursor {
            request = request.after(cursor)?;
        }
        let mut page = UsagePage::default();
        let mut last: Option<Item> = None;
        loop {
            let read = self.store().query_page(&request).await?;
            for item in read.items {
                let Some(snapshot) = usage::decode(&item) else { continue };
                if reading.is_past(&snapshot) {
                    return Ok(page);
                }
                if !reading.wants(&snapshot) {
                    continue;
                }
                if page.snapshots.len() == wanted {
                    page.next = last.as_ref().and_then(|item| reading.query.cursor(item));
                    return Ok(page);
                }
                page.snapshots.push(snapshot);
                last = Some(item);
            }
            if read.next.is_none() {
                return Ok(page);
            }
            request = request.start(read.next);
        }
    }

    /// All snapshots that `query` asks for, added up; its limit and cursor do not matter.
    ///
    /// Windows of different lengths count the same consumption, so only one length is added up: the one that the query
    /// names, else the shortest of which there are snapshots.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] when the table cannot be read.
    pub async fn usage_summary(&self, query: &UsageQuery) -> Result<UsageSummary, RepositoryError> {
        let reading = Reading::new(self.ns(), query);
        let mut request = reading.query.clone().limit(READ);
        let mut by_window: BTreeMap<UsageWindow, UsageSummary> = BTreeMap::new();
        'pages: loop {
            let read = self.store().query_page(&request).await?;
            for snapshot in read.items.iter().filter_map(usage::decode) {
                if reading.is_past(&snapshot) {
                    break 'pages;
                }
                if reading.wants(&snapshot) {
                    by_window.entry(snapshot.window.clone()).or_default().add(&snapshot);
                }
            }
            if read.next.is_none() {
                break;
            }
            request = request.start(read.next);
        }
        // In the order of their declaration, which is that of their lengths.
        Ok(by_window.into_iter().next().map_or_else(UsageSummary::default, |(window, summary)| UsageSummary {
            window: Some(window),
            ..summary.averaged()
        }))
    }
}

impl UsageSummary {
    fn add(&mut self, snapshot: &UsageSnapshot) {
        self.snapshot_count += 1;
        for (limit, tokens) in &snapshot.counters {
            let total = self.totals.entry(limit.clone()).or_default();
            total.total = total.total.saturating_add(*tokens);
            total.snapshots += 1;
        }
        let start = &snapshot.window_start;
        if self.min_window_start.as_ref().is_none_or(|min| start < min) {
            self.min_window_start = Some(start.clone());
        }
        if self.max_window_start.as_ref().is_none_or(|max| start > max) {
            self.max_window_start = Some(start.clone());
        }
    }

    fn averaged(mut self) -> Self {
        for total in self.totals.values_mut() {
            total.average = total.total as f64 / total.snapshots as f64;
        }
        self
    }
}
