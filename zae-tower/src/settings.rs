//! The settings of a limit other than its extractors: [`Settings`], [`AcquireSettings`].
//!
//! Each setting is defined in two places of this file: its effect in a struct, and its name and documentation in
//! [`limit_settings`](crate::limit_settings). Adapters take over all of them, so that none lacks one.
//!
//! A macro writes the methods because three adapters have the same ones on three types, and users of a framework would
//! miss a setting whose method was forgotten in its adapter. The types stay separate, because each has extractors of
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

/// Settings for calling the limiter: the options of [`Acquire`] other than entity, resource and cost.
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
    /// Limits that apply if nothing is stored.
    pub default_limits: Option<Limits>,
    /// Maximum time for the limiter's decision; `None` keeps the limiter's own deadline.
    pub deadline: Option<Duration>,
    /// The policy while the store is unreachable; `None` keeps the limiter's own, or the stored one.
    pub on_unavailable: Option<OnUnavailable>,
    /// The levels for which tokens are debited ahead of use; `None` keeps the limiter's own setting.
    pub reserve: Option<Reserve>,
}

impl AcquireSettings {
    /// Applies these settings to `acquire`.
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
    /// Enforces refusals, or only reports them.
    pub(crate) mode: Mode,
    /// The rate-limit headers of responses.
    pub(crate) dialect: HeaderDialect,
    /// The decisions that are put into responses.
    pub(crate) announcing: Announcing,
    /// Predicates that admit requests without consulting the limiter.
    pub(crate) skip: Vec<Skip>,
    /// A transformation of refusals' responses.
    pub(crate) render: Option<Render>,
    /// The rule that keeps or refunds the charge, by response and end.
    pub(crate) settle: Arc<dyn SettleRule>,
    /// Estimates and usage readers for calls to models.
    pub(crate) accounting: Option<Accounting>,
    /// Maximum time for a whole body to arrive.
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

/// Generates a setter for each field, under its own name or another.
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
    /// Changes the options of each acquire.
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

/// The methods that set the options of an acquire, each by `self.acquire_settings(|settings| …)`.
#[doc(hidden)]
#[macro_export]
macro_rules! acquire_settings {
    () => {
        /// Sets the limits that apply if nothing is stored. Without them, and with nothing stored for the entity, the
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

/// The methods that configure a limit on incoming requests, each by its `configure`.
#[doc(hidden)]
#[macro_export]
macro_rules! limit_settings {
    () => {
        fn acquire_settings(self, change: impl FnOnce(&mut $crate::AcquireSettings)) -> Self {
            self.configure(|settings| settings.acquire(change))
        }

        $crate::acquire_settings!();

        /// Answers requests without an identity with 401 instead of letting them share one entity. If the entity's
        /// extractor needs no body, this happens before the body is read.
        pub fn require_entity(self) -> Self {
            self.configure($crate::Settings::require_entity)
        }

        /// Decides and takes tokens as always, but refuses nothing: requests that would have been refused are
        /// forwarded, and the [`Decision`](crate::Decision), the log and the metrics say so. Clients see no rate-limit
        /// headers.
        pub fn shadow(self) -> Self {
            self.configure($crate::Settings::shadow)
        }

        /// Sets the rate-limit headers that responses carry.
        pub fn headers(self, dialect: $crate::HeaderDialect) -> Self {
            self.configure(|settings| settings.headers(dialect))
        }

        /// Puts the [`Decision`](crate::Decision) into the extensions of every response, plain grants included, so that
        /// outer layers (an access log, for example) find it there. Handlers always find it in the request's.
        pub fn announce_grants(self) -> Self {
            self.configure($crate::Settings::announce_grants)
        }

        /// Sets the rule that settles the charge; see [`settle`](mod@crate::settle).
        pub fn settle(self, rule: impl $crate::settle::SettleRule) -> Self {
            self.configure(|settings| settings.settle(rule))
        }

        /// Sets the maximum time for a body read by extractors to arrive;
        /// [`DEFAULT_BODY_TIMEOUT`](crate::extract::DEFAULT_BODY_TIMEOUT), 30 s, by default. After that, the answer is
        /// 408.
        ///
        /// While a body arrives, whatever `poll_ready` reserved in the inner service stays reserved: with a concurrency
        /// limit inside, each slow upload holds one of its permits for this long. Put concurrency limits outside of
        /// this limit, or keep the time short.
        pub fn body_timeout(self, timeout: ::std::time::Duration) -> Self {
            self.configure(|settings| settings.body_timeout(timeout))
        }

        /// Bounds the memory of all bodies read by extractors, over all requests. If the budget is used up, the answer
        /// is 503. A limit without its own shares a budget of 256 MiB
        /// ([`DEFAULT_BODY_BUDGET`](crate::extract::DEFAULT_BODY_BUDGET)) with all others of the program.
        pub fn body_budget(self, budget: $crate::extract::BodyBudget) -> Self {
            self.configure(|settings| settings.body_budget(budget))
        }
    };
}
