//! The audit trail: changes and their authors, kept for the configured retention.
//!
//! Events are parts of the transactions that make the changes, wherever one transaction can contain both, so that no
//! change happens without an event. Their ids are ULIDs that increase within this process, even within a millisecond;
//! the order across processes is as accurate as their clocks.
//!
//! The retention is the builder's, otherwise the one stored with the system's defaults, otherwise 90 days. It
//! determines an event's `ttl` when it is written: a later change does not affect existing events.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use ulid::Ulid;

use super::Repository;
use crate::{
    error::RepositoryError,
    model::{
        audit::{AuditAction, AuditPage, AuditQuery, AuditTarget},
        name::LimitScope,
    },
    store::{Consistency, TransactPart},
    wire::{
        audit,
        expression::{Expression, Key},
        keys,
        values::get_n,
    },
};

/// Default retention of events, in days.
const DEFAULT_RETENTION_DAYS: u32 = 90;
/// Time that a stored retention is cached, in ms.
const RETENTION_CACHED_MS: i64 = 60_000;

/// The last event id of this process. Ids of one process increase strictly, even within a millisecond and after the
/// clock was set back, so that listings keep the order of changes.
static LAST_ID: Mutex<Ulid> = Mutex::new(Ulid::nil());

/// Returns a ULID larger than all previous ones of this process.
fn next_id(now_ms: i64) -> String {
    let now_ms = u64::try_from(now_ms).unwrap_or(0);
    let mut last = LAST_ID.lock().unwrap_or_else(PoisonError::into_inner);
    let fresh = |ms| Ulid::from_parts(ms, rand::random());
    let next = if now_ms > last.timestamp_ms() {
        fresh(now_ms)
    } else {
        last.increment().unwrap_or_else(|| fresh(last.timestamp_ms() + 1))
    };
    *last = next;
    next.to_string()
}

/// The retention of a repository's audit events.
#[derive(Debug, Default)]
pub(crate) struct AuditRetention {
    /// The builder's setting; `None` for the namespace's system configuration.
    configured: Option<u32>,
    /// The namespace's setting, as it was last read.
    stored: Mutex<Option<Stored>>,
}

/// A retention as it was read.
#[derive(Clone, Copy, Debug)]
struct Stored {
    /// Days that events are kept.
    days: u32,
    /// Time of the read, epoch ms.
    read_at_ms: i64,
}

impl AuditRetention {
    /// Uses `days` from the builder, or the retention stored in the namespace.
    pub(crate) fn new(days: Option<u32>) -> Self {
        Self { configured: days, stored: Mutex::new(None) }
    }

    /// Returns the cached retention, if it is recent.
    fn cached(&self, now_ms: i64) -> Option<u32> {
        let stored = (*self.stored.lock().unwrap_or_else(PoisonError::into_inner))?;
        (0..RETENTION_CACHED_MS).contains(&(now_ms - stored.read_at_ms)).then_some(stored.days)
    }

    /// Caches the retention.
    fn remember(&self, days: u32, now_ms: i64) {
        let stored = Stored { days, read_at_ms: now_ms };
        *self.stored.lock().unwrap_or_else(PoisonError::into_inner) = Some(stored);
    }
}

impl Repository {
    /// Creates the event of a change, as a part of the transaction that makes the change: neither happens without the
    /// other.
    ///
    /// Without a principal, the event has no author: the owner of the AWS credentials is not looked up, because that
    /// would add a call to another service to every change.
    pub(crate) async fn audit_part(
        &self,
        target: &AuditTarget,
        action: AuditAction,
        scope: Option<&LimitScope>,
        details: Value,
    ) -> Result<TransactPart, RepositoryError> {
        let retention_days = self.audit_retention_days().await?;
        let now_ms = self.now_ms();
        let (id, principal) = (next_id(now_ms), self.principal());
        let event = audit::NewEvent { id, target, action, principal, scope, details, now_ms, retention_days };
        Ok(TransactPart::Put(audit::encode(self.ns(), &event), Expression::default()))
    }

    /// Returns the retention from code, memory or table, in that order; otherwise 90 days.
    async fn audit_retention_days(&self) -> Result<u32, RepositoryError> {
        let retention = &self.inner.audit;
        let now_ms = self.now_ms();
        if let Some(days) = retention.configured.or_else(|| retention.cached(now_ms)) {
            return Ok(days);
        }
        let key = Key::new(keys::pk_system(self.ns()), keys::sk_config());
        let config = self.store().get(&key, Consistency::Eventual).await?;
        let stored = config.and_then(|item| u32::try_from(get_n(&item, "audit_retention_days")?).ok());
        let days = stored.filter(|days| *days > 0).unwrap_or(DEFAULT_RETENTION_DAYS);
        retention.remember(days, now_ms);
        Ok(days)
    }

    /// Returns the latest changes to `target`, newest first: at most `limit`, and only those older than the event
    /// `start` if it is given.
    ///
    /// Cancel safe: it only reads.
    ///
    /// [`AuditPage::next`] is the `start` of the following page. Changes to default limits have the targets
    /// [`AuditTarget::Resource`] and [`AuditTarget::System`]. Events disappear when their retention ends.
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] if `limit` is 0 or `start` is not an event id, [`RepositoryError::Store`] if the
    /// table cannot be read.
    ///
    /// ```
    /// # async fn f(repository: zae_limiter::Repository) -> Result<(), zae_limiter::RepositoryError> {
    /// use zae_limiter::audit::AuditTarget;
    /// let page = repository.audit_events(&AuditTarget::System, 20, None).await?;
    /// for event in &page.events {
    ///     println!("{} {} by {:?}", event.timestamp, event.action, event.principal);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn audit_events(
        &self,
        target: &AuditTarget,
        limit: u32,
        start: Option<&str>,
    ) -> Result<AuditPage, RepositoryError> {
        let query = AuditQuery::of(target.clone()).limit(limit);
        self.audit_trail(&start.map_or_else(|| query.clone(), |start| query.clone().before(start))).await
    }
}
