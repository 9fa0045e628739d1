//! Reads the audit trail: of one target, from its partition; of the whole namespace, through the index over all its
//! items.
//!
//! Ids are ULIDs: 48 bits of milliseconds, then random ones, written so that text sorts by time. "Since" and "until"
//! therefore become bounds of ids, and the next page continues after the id of the last event.
//!
//! The trail of one target is a partition in that order, and the cost of a page depends on its size. The index over the
//! whole namespace lists events by target instead. A page of it reads the keys of all events, keeps the newest thousand
//! in a sorted set, and fetches those. It is meant for an operator's queries, not for a service.

use std::collections::BTreeSet;

use ulid::Ulid;

use super::Repository;
use crate::{
    error::{RepositoryError, ValidationError, ValidationReason},
    model::audit::{AuditEvent, AuditPage, AuditQuery, AuditTarget},
    store::{Consistency, Order, Query},
    wire::{Item, expression::Key},
    wire::{audit, keys, values::get_s},
};

/// Minimum number of events of a namespace that are fetched together: the index is not ordered by time, so each fetch
/// reads all of the trail's keys in it.
const LOOK: u32 = 1_000;

/// The requested part of the trail, as ids, which sort by time.
#[derive(Clone, Debug)]
struct QuerySpan {
    /// Only ids below.
    before: Option<String>,
    /// Only ids from this one on.
    since: Option<String>,
}

impl QuerySpan {
    /// Converts times to ids.
    fn of(query: &AuditQuery) -> Result<Self, ValidationError> {
        let first_of = |ms: i64| Ulid::from_parts(u64::try_from(ms).unwrap_or(0), 0).to_string();
        let given = query.before.as_deref().map(event_id).transpose()?;
        let until = query.until_ms.map(|ms| first_of(ms.saturating_add(1)));
        Ok(Self { before: given.into_iter().chain(until).min(), since: query.since_ms.map(first_of) })
    }

    /// Returns true if an id is in the span.
    fn contains(&self, id: &str) -> bool {
        self.before.as_deref().is_none_or(|before| id < before) && !self.is_over(id)
    }

    /// Returns true if `id` and all earlier ones are too old.
    fn is_over(&self, id: &str) -> bool {
        self.since.as_deref().is_some_and(|since| id < since)
    }
}

impl Repository {
    /// Returns the events that `query` selects, newest first. [`AuditPage::next`] is the `before` of the following
    /// page.
    ///
    /// Cancel safe: it only reads.
    ///
    /// Events of the whole namespace are found through an index, which lags slightly and is not ordered by time: each
    /// page reads the keys of all stored events.
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] if the limit is 0 or `before` is not an event id, [`RepositoryError::Store`] if the
    /// table cannot be read.
    ///
    /// ```
    /// # async fn f(repository: zae_limiter::Repository) -> Result<(), zae_limiter::RepositoryError> {
    /// use zae_limiter::audit::{AuditAction, AuditQuery};
    /// for event in repository.audit_trail(&AuditQuery::all().action(AuditAction::LimitsDeleted)).await?.events {
    ///     println!("{} {} by {:?}", event.timestamp, event.target, event.principal);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn audit_trail(&self, query: &AuditQuery) -> Result<AuditPage, RepositoryError> {
        if query.limit == 0 {
            return Err(ValidationError::new("limit", "0", ValidationReason::NotPositive).into());
        }
        let span = QuerySpan::of(query)?;
        match &query.target {
            Some(target) => self.audit_of(target, query, &span).await,
            None => self.audit_of_all(query, span).await,
        }
    }

    /// Reads a page of one target's trail.
    async fn audit_of(
        &self,
        target: &AuditTarget,
        query: &AuditQuery,
        span: &QuerySpan,
    ) -> Result<AuditPage, RepositoryError> {
        let pk = keys::pk_audit(self.ns(), &target.to_string());
        let start = span.before.as_ref().map(|id| Key::new(&pk, keys::sk_audit(id)).attributes());
        let mut read = Query::table(pk)
            .prefix(keys::AUDIT_PREFIX)
            .order(Order::Descending)
            // One more than requested shows if there is a next page; few of those read may meet the conditions.
            .limit(if query.is_plain() { query.limit.saturating_add(1) } else { LOOK })
            .start(start);
        let mut page = AuditPage::default();
        loop {
            let part = self.store().query_page(&read).await?;
            let ended = part.items.iter().filter_map(id_of).any(|id| span.is_over(id)) || part.next.is_none();
            let events = part.items.iter().filter_map(|item| audit::decode(target, item));
            page.events.extend(events.filter(|event| span.contains(&event.event_id) && query.matches(event)));
            if cut(&mut page, query) || ended {
                return Ok(page);
            }
            read = read.start(part.next);
        }
    }

    /// Reads a page of the whole namespace's trail.
    async fn audit_of_all(&self, query: &AuditQuery, mut span: QuerySpan) -> Result<AuditPage, RepositoryError> {
        let look = usize::try_from(query.limit).unwrap_or(usize::MAX).saturating_add(1).max(LOOK as usize);
        let mut page = AuditPage::default();
        loop {
            let keys = self.newest_events(&span, look).await?;
            let mut items = self.store().batch_get(&keys, Consistency::Eventual).await?;
            let events = keys.iter().filter_map(|key| decode(&items.remove(key)?));
            page.events.extend(events.filter(|event| query.matches(event)));
            if cut(&mut page, query) || keys.len() < look {
                return Ok(page);
            }
            span.before = keys.last().and_then(|key| key.sk.strip_prefix(keys::AUDIT_PREFIX)).map(str::to_owned);
        }
    }

    /// Reads the keys of the namespace's newest events in `span`, at most `most`, newest first.
    async fn newest_events(&self, span: &QuerySpan, most: usize) -> Result<Vec<Key>, RepositoryError> {
        let mut newest: BTreeSet<(String, String)> = BTreeSet::new();
        let mut read = Query::index("GSI4", self.ns()).prefix(keys::pk_audit(self.ns(), ""));
        loop {
            let part = self.store().query_page(&read).await?;
            for item in &part.items {
                let (Some(id), Some(pk)) = (id_of(item), get_s(item, "PK")) else { continue };
                if span.contains(id) {
                    newest.insert((id.to_owned(), pk.to_owned()));
                }
                if newest.len() > most {
                    newest.pop_first();
                }
            }
            if part.next.is_none() {
                return Ok(newest.into_iter().rev().map(|(id, pk)| Key::new(pk, keys::sk_audit(&id))).collect());
            }
            read = read.start(part.next);
        }
    }
}

/// Returns the event's id, from its key.
fn id_of(item: &Item) -> Option<&str> {
    get_s(item, "SK")?.strip_prefix(keys::AUDIT_PREFIX)
}

/// Decodes an event of any target.
fn decode(item: &Item) -> Option<AuditEvent> {
    let target = get_s(item, "entity_id")?.parse().ok()?;
    audit::decode(&target, item)
}

/// Truncates a page with more events than requested, and sets the start of the next one.
fn cut(page: &mut AuditPage, query: &AuditQuery) -> bool {
    let wanted = usize::try_from(query.limit).unwrap_or(usize::MAX);
    if page.events.len() <= wanted {
        return false;
    }
    page.events.truncate(wanted);
    page.next = page.events.last().map(|event| event.event_id.clone());
    true
}

/// Checks that a text is a ULID.
fn event_id(text: &str) -> Result<String, ValidationError> {
    let allowed = "the id of an audit event, a ULID of 26 characters";
    Ulid::from_string(text)
        .map(|id| id.to_string())
        .map_err(|_| ValidationError::new("start_event_id", text, ValidationReason::Pattern { allowed }))
}
