//! One call: its [`Quote`], its [`Meter`] and its [`Bill`].

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use zae_limiter::{Cost, EntityId, Lease, LimitName, ResourceName};

use super::{Accounting, Admission, CostTold};
use crate::{
    CallLabels, End, LlmRequest, Reading, Tariff, Unseen, UnwantedChunk, Usage, UsageReader, notices::Noticed,
};

/// The expected usage and cost of a call.
///
/// ```
/// use zae_llm::{Accounting, Tariff};
/// let quote = Accounting::new(Tariff::openai()).quote(br#"{"model":"gpt-5","max_tokens":500,"messages":[]}"#);
/// assert_eq!((quote.model(), quote.estimate().output), (Some("gpt-5"), 500));
/// assert_eq!(quote.cost().to_string(), "rpm:1,tpm:500");
/// ```
#[derive(Clone, Debug)]
pub struct Quote {
    /// The request, parsed from its body.
    pub(super) request: LlmRequest,
    /// The expected usage.
    pub(super) estimate: Usage,
    /// Its cost by the tariff, in whole tokens of each limit.
    pub(super) cost: Cost,
    /// The tariff, bound to the prices of the model.
    pub(super) tariff: Tariff,
}

impl Quote {
    /// Returns the request.
    pub fn request(&self) -> &LlmRequest {
        &self.request
    }

    /// Returns the requested model, if the body names it.
    pub fn model(&self) -> Option<&str> {
        self.request.model()
    }

    /// Returns the expected usage.
    pub fn estimate(&self) -> &Usage {
        &self.estimate
    }

    /// Returns the tariff of the call, with the prices of its model.
    pub fn tariff(&self) -> &Tariff {
        &self.tariff
    }

    /// Returns the cost to take from the limits before the call.
    pub fn cost(&self) -> &Cost {
        &self.cost
    }
}

/// Reads one response as it passes through, and settles its lease.
///
/// ```
/// # use bytes::Bytes;
/// use http::{HeaderMap, StatusCode};
/// use zae_llm::{Accounting, End, zae_limiter::Lease};
///
/// async fn settle(accounting: &Accounting, lease: Lease, headers: &HeaderMap, body: Vec<Bytes>) {
///     let mut meter = accounting.meter();
///     meter.start(StatusCode::OK, headers);
///     for chunk in &body {
///         meter.push(chunk); // and pass it on
///     }
///     meter.settle(&lease, End::Complete);
///     drop(lease.commit());
/// }
/// ```
#[derive(Debug)]
pub struct Meter {
    /// The settings of the quote.
    pub(super) accounting: Accounting,
    /// The tariff, bound to the prices of the model.
    pub(super) tariff: Tariff,
    /// The requested model, for learning from its response, and what else metrics tell of the call.
    pub(super) labels: CallLabels,
    /// The reader of the response; `None` before its head has arrived.
    pub(super) reader: Option<UsageReader>,
    /// Selects whether the client gets a chunk of usage.
    pub(super) chunk: UsageChunk,
    /// Removes that chunk, from streams that it can be removed from.
    pub(super) filter: Option<UnwantedChunk>,
}

/// The chunk of usage in a stream; see [`Accounting::include_usage`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UsageChunk {
    /// The client asked for it, or gets none.
    #[default]
    Wanted,
    /// It was asked for in the client's place.
    Unwanted,
}

impl Meter {
    /// Adds the requested model, so that an estimator that [learns](crate::estimate::learned) can learn from the
    /// response.
    #[must_use]
    pub fn of_model(mut self, model: Option<&str>) -> Self {
        self.labels.model = model.map(str::to_owned);
        self
    }

    /// Adds the labels of the call, which include the model.
    #[must_use]
    pub fn labelled(mut self, labels: CallLabels) -> Self {
        self.labels = labels;
        self
    }

    /// Selects whether the client gets the chunk of usage in a stream.
    #[must_use]
    pub fn usage_chunk(mut self, chunk: UsageChunk) -> Self {
        self.chunk = chunk;
        self
    }

    /// Returns true if the client is to be told what the call costs; see [`Accounting::tell_cost`].
    pub fn tells_cost(&self) -> bool {
        self.accounting.cost_told == CostTold::InTrailer && self.tariff.has_prices()
    }

    /// Processes the head of the response.
    pub fn start(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.reader = Some(UsageReader::new(self.accounting.format, status, headers));
        self.filter = UnwantedChunk::of(headers).filter(|_| self.chunk == UsageChunk::Unwanted);
    }

    /// Processes the next bytes, as [`push`](Self::push) does, and returns those to pass on: all of them, but for a
    /// [chunk](Self::usage_chunk) that is not wanted.
    pub fn pass(&mut self, bytes: Bytes) -> Bytes {
        self.push(&bytes);
        match &mut self.filter {
            Some(filter) => filter.pass(bytes),
            None => bytes,
        }
    }

    /// Returns the bytes that [`pass`](Self::pass) has held back, at the end of the response.
    pub fn rest(&mut self) -> Bytes {
        self.filter.as_mut().map(UnwantedChunk::rest).unwrap_or_default()
    }

    /// Returns true if [`pass`](Self::pass) may return other bytes than it was given.
    pub fn is_filter(&self) -> bool {
        self.filter.is_some()
    }

    /// Processes the next bytes of its body; before [`start`](Meter::start) they are ignored.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(reader) = &mut self.reader {
            reader.push(bytes);
        }
    }

    /// Ends the response: adjusts `lease` by the usage, and records it in metrics and log. The lease stays open, for
    /// the caller to commit; one that is already settled is unchanged.
    ///
    /// Final usage replaces the estimate, in both directions. Usage of a broken response only raises it, and without
    /// any usage it stands: disconnecting early does not make a call cheaper.
    pub fn settle(self, lease: &Lease, end: End) -> Reading {
        self.settle_priced(lease, end).0
    }

    /// As [`settle`](Self::settle). Returns the cost, too, in micro-dollars, if the tariff has prices: what a limit of
    /// money is charged in the end, or without such a limit that of the usage.
    pub fn settle_priced(self, lease: &Lease, end: End) -> (Reading, Option<u64>) {
        let broke_off = (Reading::Unseen(Unseen::BrokeOff), None);
        let (reading, format) = self.reader.map_or(broke_off, |reader| reader.end(end));
        let micro_dollars = reading.usage().and_then(|usage| self.tariff.micro_dollars(usage));
        let noticed = Noticed { reading: &reading, format, call: &self.labels, micro_dollars };
        self.accounting.notices.read(noticed, lease.resource());
        // Fails only if the lease is already settled, which then takes precedence.
        let _ = match (self.accounting.admission, &reading) {
            (Admission::Bound, Reading::Final(usage)) => self.tariff.adjust_up(lease, usage),
            _ => self.tariff.adjust_by(lease, &reading),
        };
        if let Reading::Final(usage) = &reading {
            self.accounting.estimator.learn(Some(lease.entity().as_str()), self.labels.model.as_deref(), usage);
        }
        if let Some(tell) = &self.accounting.on_settled {
            let (entity, resource) = (lease.entity(), lease.resource());
            tell(&Bill { entity, resource, reading: &reading, micro_dollars, charged: lease.consumed() });
        }
        let charged = self.tariff.money().and_then(|limit| u64::try_from(*lease.consumed().get(limit)?).ok());
        (reading, charged.or(micro_dollars))
    }
}

/// A settled call. See [`Accounting::on_settled`] for an example.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Bill<'a> {
    /// The charged entity.
    pub entity: &'a EntityId,
    /// The charged resource.
    pub resource: &'a ResourceName,
    /// The reading of the response.
    pub reading: &'a Reading,
    /// The cost of the usage in micro-dollars, if the tariff has prices.
    pub micro_dollars: Option<u64>,
    /// The charge of the call to each limit, including the estimate of unread usage.
    pub charged: BTreeMap<LimitName, i64>,
}
