//! Settings of a limit beside its extractors: [`Settings`], [`AcquireSettings`].
//!
//! Each setting is written here once, in two places of this file: what it does in a struct, and its name and
//! documentation on limits in [`limit_settings`](crate::limit_settings). Adapters take all of them over, so that none
//! lacks one.
//!
//! A macro writes the methods because three adapters have the same ones on three types, and a method forgotten in one
//! of them would be a setting that users of that framework do not have. The types stay apart, as each has extractors of
//! its own.

use std::{fmt, sync::Arc, time::Duration};

use zae_limiter::{Acquire, Limits, OnUnavailable, Repository, Reserve};

use crate::{
    extract::{BodyBudget, BodyRules},
    gate::{Mode, Render, Skip, Unidentified},
    headers::HeaderDialect,
    llm::Accounting,
    passage::Announcing,
    settle::{SettleRule, Standard},
};

/// Settings for asking the limiter: the options of [`Acquire`] beside entity, resource and cost.
///
/// ```
/// use std::time::Duration;
/// use zae_tower::AcquireSettings;
///
/// let mut settings = AcquireSettings::default();
/// settings.deadline = Some(Duration::from_millis(100));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AcquireSettings {
    /// Limits that apply where nothing is stored.
    pub default_limits: Option<Limits>,
    /// The time that the limiter may take to decide; else its own deadline.
    pub deadline: Option<Duration>,
    /// The policy while the store is away; else the limiter's own, or the stored one.
    pub on_unavailable: Option<OnUnavailable>,
    /// The levels for which tokens are debited ahead of use; `None` keeps the limiter's own setting.
    pub reserve: Option<Reserve>,
}

impl AcquireSettings {
    /// `acquire` with these settings.
    pub fn apply(&self, mut acquire: Acquire) -> Acquire {
        if let Some(limits) = &self.default_limits {
            acquire = acquire.default_limits(limits.clone());
        }
        if let Some(deadline) = self.deadline {
            acquire = acquire.deadline(deadline);
        }
        if let Some(policy) = self.on_unavailable {
            acquire = acquire.on_unavailable(policy);
        }
        if let Some(reserve) = self.reserve {
            acquire = acquire.reserve(reserve);
        }
        acquire
    }
}

/// The settings of a limit on incoming requests, for [`ZaeLimit::configure`](crate::ZaeLimit::configure) and its
/// siblings in other adapters. Each method is described at the method of the same name of
/// [`ZaeLimit`](crate::ZaeLimit).
///
/// See [`ZaeLimit::configure`](crate::ZaeLimit::configure).
#[derive(Clone)]
pub struct Settings {
    /// Options of each acquire.
    pub(crate) acquire: AcquireSettings,
    /// Treatment of requests without identity.
    pub(crate) unidentified: Unidentified,
    /// Enforcing, or only looking on.
    pub(crate) mode: Mode,
    /// The rate-limit headers of responses.
    pub(crate) dialect: HeaderDialect,
    /// Decisions that responses carry.
    pub(crate) announcing: Announcing,
    /// Predicates that let requests through.
    pub(crate) skip: Vec<Skip>,
    /// A change to refusals' responses.
    pub(crate) render: Option<Render>,
    /// The rule that keeps or refunds, by response and end.
    pub(crate) settle: Arc<dyn SettleRule>,
    /// Estimates and readers of usage, for calls to models.
    pub(crate) accounting: Option<Accounting>,
    /// Time for a whole body to arrive.
    pub(crate) body_timeout: Duration,
    /// Memory for all bodies that are read.
    pub(crate) body_budget: BodyBudget,
}

impl Default for Settings {
    fn default() -> Self {
        let rules = BodyRules::default();
        Self {
            acquire: AcquireSettings::default(),
            unidentified: Unidentified::Share,
            mode: Mode::Enforce,
            dialect: HeaderDialect::default(),
            announcing: Announcing::MoreThanGrants,
            skip: Vec::new(),
            render: None,
            settle: Arc::new(Standard),
            accounting: None,
            body_timeout: rules.timeout,
            body_budget: rules.budget,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("acquire", &self.acquire)
            .field("unidentified", &self.unidentified)
            .field("mode", &self.mode)
            .field("dialect", &self.dialect)
            .field("accounting", &self.accounting)
            .field("body_timeout", &self.body_timeout)
            .field("body_budget", &self.body_budget)
            .finish_non_exhaustive()
    }
}

/// A setter for each field, under its own name or another.
macro_rules! setters {
    ($($name:ident($($argument:ident: $type:ty)?) => $settings:ident $change:block)*) => {
        impl Settings {
            $(
                #[doc = concat!("See [`ZaeLimit::", stringify!($name), "`](crate::ZaeLimit::", stringify!($name), ").")]
                #[must_use]
                pub fn $name(mut self $(, $argument: $type)?) -> Self {
                    let $settings = &mut self;
                    $change
                    self
                }
            )*
        }
    };
}

setters! {
    default_limits(limits: impl Into<Limits>) => settings { settings.acquire.default_limits = Some(limits.into()); }
    deadline(deadline: Duration) => settings { settings.acquire.deadline = Some(deadline); }
    on_unavailable(policy: OnUnavailable) => settings { settings.acquire.on_unavailable = Some(policy); }
    reserve(reserve: Reserve) => settings { settings.acquire.reserve = Some(reserve); }
    require_entity() => settings { settings.unidentified = Unidentified::Refuse; }
    shadow() => settings { settings.mode = Mode::Shadow; }
    headers(dialect: HeaderDialect) => settings { settings.dialect = dialect; }
    announce_grants() => settings { settings.announcing = Announcing::All; }
    settle(rule: impl SettleRule) => settings { settings.settle = Arc::new(rule); }
    body_timeout(timeout: Duration) => settings { settings.body_timeout = timeout; }
    body_budget(budget: BodyBudget) => settings { settings.body_budget = budget; }
}

impl Settings {
    /// Changes how the limiter is asked.
    #[must_use]
    pub fn acquire(mut self, change: impl FnOnce(&mut AcquireSettings)) -> Self {
        change(&mut self.acquire);
        self
    }

    /// Returns the rules by which extractors read bodies.
    pub(crate) fn body_rules(&self, repository: &Repository) -> BodyRules {
        let Self { body_timeout, body_budget, .. } = self;
        BodyRules { timeout: *body_timeout, budget: body_budget.clone(), repository: Some(repository.clone()) }
    }
}

/// The methods of a limit that say how the limiter is asked, each by `self.acquire_settings(|settings| …)`.
#[doc(hidden)]
#[macro_export]
macro_rules! acquire_settings {
    () => {
        /// Limits that apply where nothing is stored. Without them, and with nothing stored for the entity, the
        /// resource or the system, every request is answered with 500, and the log names the command that stores
        /// limits.
        pub fn default_limits(self, limits: impl Into<$crate::Limits>) -> Self {
            let limits = limits.into();
            self.acquire_settings(|settings| settings.default_limits = Some(limits))
        }

        /// Sets the time that the limiter may take to decide, extractors not included. Overrides the limiter's own
        /// deadline.
        pub fn deadline(self, deadline: ::std::time::Duration) -> Self {
            self.acquire_settings(|settings| settings.deadline = Some(deadline))
        }

        /// Sets the policy for when the store is unreachable. Overrides the limiter's own and the stored policy.
        pub fn on_unavailable(self, policy: $crate::OnUnavailable) -> Self {
            self.acquire_settings(|settings| settings.on_unavailable = Some(policy))
        }

        /// Sets the levels for which tokens are debited ahead of use. Overrides the limiter's own setting. For parents
        /// that many keys share, [`Reserve::Parents`](crate::Reserve::Parents) saves most of the writes.
        pub fn reserve(self, reserve: $crate::Reserve) -> Self {
            self.acquire_settings(|settings| settings.reserve = Some(reserve))
        }
    };
}

/// The methods of a limit on incoming requests, each by its `configure`.
#[doc(hidden)]
#[macro_export]
macro_rules! limit_settings {
    () => {
        fn acquire_settings(self, change: impl FnOnce(&mut $crate::AcquireSettings)) -> Self {
            self.configure(|settings| settings.acquire(change))
        }

        $crate::acquire_settings!();

        /// Answers requests without identity with 401, in place of letting them share one entity. Where the extractor
        /// of the entity needs no body, that is before the body is read.
        pub fn require_entity(self) -> Self {
            self.configure($crate::Settings::require_entity)
        }

        /// Decides and takes tokens as always, but refuses nothing: what would have been refused is passed on, and said
        /// so in the [`Decision`](crate::Decision), the log and the metrics. Clients see no rate-limit headers.
        pub fn shadow(self) -> Self {
            self.configure($crate::Settings::shadow)
        }

        /// Sets the rate-limit headers that responses carry.
        pub fn headers(self, dialect: $crate::HeaderDialect) -> Self {
            self.configure(|settings| settings.headers(dialect))
        }

        /// Leaves the [`Decision`](crate::Decision) in the extensions of every response, of plain grants too, so that
        /// what is around this limit (an access log, say) finds it there. Handlers always find it in the request's.
        pub fn announce_grants(self) -> Self {
            self.configure($crate::Settings::announce_grants)
        }

        /// Sets the rule that settles the charge; see [`settle`](mod@crate::settle).
        pub fn settle(self, rule: impl $crate::settle::SettleRule) -> Self {
            self.configure(|settings| settings.settle(rule))
        }

        /// Sets the time that a whole body read by extractors may take to arrive;
        /// [`DEFAULT_BODY_TIMEOUT`](crate::extract::DEFAULT_BODY_TIMEOUT), 30 s, if it is not set. Afterwards the
        /// answer is 408.
        ///
        /// While a body arrives, what is reserved in the inner service stays reserved: with a concurrency limit inside,
        /// each slow upload holds one of its permits for this long. Put concurrency limits outside of this limit, or
        /// keep the time short.
        pub fn body_timeout(self, timeout: ::std::time::Duration) -> Self {
            self.configure(|settings| settings.body_timeout(timeout))
        }

        /// Bounds the memory that all bodies read by extractors may take together, over all requests. Where the budget
        /// is used up, the answer is 503. Without one of its own, a limit shares one of 256 MiB
        /// ([`DEFAULT_BODY_BUDGET`](crate::extract::DEFAULT_BODY_BUDGET)) with all others of the program.
        pub fn body_budget(self, budget: $crate::extract::BodyBudget) -> Self {
            self.configure(|settings| settings.body_budget(budget))
        }
    };
}
