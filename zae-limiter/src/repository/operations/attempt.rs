//! One try of an operation: what there is, what it is to become, and the transaction.

use std::collections::{BTreeMap, BTreeSet};

use super::Call;
use crate::{
    bucket::{
        image::{Image, LimitImage},
        incarnation::Incarnation,
        lifetime::{Lifetime, Renewal},
        limit_set::LimitSet,
        operation::{Impossible, Operation, ShardWrite, opened, plan},
    },
    error::{Disabled, RepositoryError, ValidationError, ValidationReason},
    model::{
        access::{Access, Cascade},
        limit::{Limit, Limits},
        name::LimitName,
        operation::{Asked, OperationReport},
    },
    repository::{
        Repository,
        gate::Gated,
        resolution::{ConfigSource, disabled_level},
        trail::AuditChange,
    },
    store::{Committed, Consistency, TransactPart},
    wire::{
        self,
        bucket::{NewBucket, decode_shown, encode_new},
        config::StoredConfig,
        expression::{Expression, Key},
        keys,
        operation::{self, OperationRecord},
    },
};

/// Shards that one transaction has room for, with a record and an event. The Python package makes 32 at most.
const MOST_SHARDS: u32 = 98;

/// The configuration that holds for the bucket.
struct Holding {
    limits: Limits,
    lifetime: Lifetime,
    /// The setting of the nearest level that has one.
    access: Option<(ConfigSource, Access)>,
    /// The nearest policy on charging the parent.
    cascade: Option<bool>,
}

impl Holding {
    /// The operation that is asked for, on the limits that apply.
    fn operation(&self, asked: &Asked) -> Result<Operation, ValidationError> {
        let check = |name: &LimitName| {
            if self.limits.get(name.as_str()).is_some() {
                return Ok(name.clone());
            }
            let known = self.limits.iter().map(|limit| limit.name().as_str()).collect::<Vec<_>>().join(", ");
            Err(ValidationError::new("limit", name.as_str(), ValidationReason::UnknownLimit { known }))
        };
        Ok(match asked {
            Asked::ResetAll => Operation::Reset(self.limits.iter().map(Limit::name).cloned().collect()),
            Asked::Reset(names) => Operation::Reset(names.iter().map(check).collect::<Result<_, _>>()?),
            Asked::TopUp(amounts) => {
                let amounts = amounts.iter().map(|(name, tokens)| Ok((check(name)?, *tokens)));
                Operation::TopUp(amounts.collect::<Result<_, ValidationError>>()?)
            }
        })
    }

    /// Checks that neither the limits nor the shards have a session quota, whose windows an operation would have to
    /// end.
    fn without_sessions(&self, shards: &BTreeMap<u32, Image>) -> Result<(), ValidationError> {
        let applies = self.limits.iter().find(|limit| limit.session().is_some()).map(Limit::name);
        let is_session = |limit: &&LimitImage| limit.kind().is_some_and(|kind| kind.is_session());
        let stored = shards.values().flat_map(|image| &image.limits).find(is_session).map(|limit| &limit.name);
        let Some(name) = applies.or(stored) else { return Ok(()) };
        let reason =
            "is a session quota: a bucket with one is not topped up or reset by hand; change its limit instead";
        Err(ValidationError::new("limit", name.as_str(), ValidationReason::Other(reason.to_owned())))
    }

    fn is_quota(&self, name: &LimitName) -> bool {
        self.limits.get(name.as_str()).is_some_and(|limit| limit.resets().is_some())
    }

    /// The new `ttl` of a shard: a top-up lasts until its period ends, and so does the shard.
    fn ttl(&self, image: &Image, write: &ShardWrite, now: i64) -> Option<Option<i64>> {
        let ends = image.limits.iter().filter_map(|limit| limit.kind()?.resets()?.next(now));
        let full = ends.map(|end| end.saturating_sub(now)).fold(write.full, i64::max);
        self.lifetime.renewed(image.ttl, full, now, Renewal::Eager)
    }
}

impl Repository {
    /// Tries once; `None` when the bucket was changed meanwhile.
    pub(super) async fn attempt(&self, call: &Call<'_>) -> Result<Option<OperationReport>, RepositoryError> {
        let holding = self.holding(call).await?;
        let operation = holding.operation(call.asked)?;
        let mut shards = self.shards_of(call).await?;
        holding.without_sessions(&shards)?;
        if shards.is_empty() {
            return self.attempt_without_bucket(call, &holding, &operation).await;
        }
        let count = count(&shards);
        if self.raise_lagging(call, &shards, count).await? {
            shards = self.shards_of(call).await?;
        }
        if shards.values().any(|image| image.shards() != count) {
            return Ok(None);
        }
        let known: Vec<(u32, &Image)> = shards.iter().map(|(number, image)| (*number, image)).collect();
        let now = self.now_ms();
        let plan = plan(&known, &operation, count, now).map_err(|problem| {
            let (name, reason) = match problem {
                Impossible::Missing(name) => (name, "is not on the bucket yet: acquire once first"),
                Impossible::TooMuch(name) => (name, "would be topped up by more than a bucket can store"),
            };
            ValidationError::new("amounts", name.as_str(), ValidationReason::Other(format!("`{name}` {reason}")))
        })?;
        if plan.raises_ceiling {
            self.pass_gate(Gated::TopUps).await?;
        }
        let update = |write: &ShardWrite| {
            let key = self.shard_key(call.entity, call.resource, write.shard);
            let ttl = shards.get(&write.shard).and_then(|image| holding.ttl(image, write, now));
            TransactPart::Update(key, operation::shard(write, ttl))
        };
        let parts = plan.writes.iter().map(update).collect();
        self.commit(call, parts, plan.amounts).await
    }

    /// There is no bucket: rates would start full. A quota's bucket is created with what it is topped up by.
    async fn attempt_without_bucket(
        &self,
        call: &Call<'_>,
        holding: &Holding,
        operation: &Operation,
    ) -> Result<Option<OperationReport>, RepositoryError> {
        let credits = match operation {
            Operation::Reset(names) => {
                let amounts = names.iter().map(|name| (name.clone(), 0)).collect();
                return self.commit(call, Vec::new(), amounts).await;
            }
            Operation::TopUp(credits) => credits,
        };
        let amounts: BTreeMap<_, _> = credits
            .iter()
            .map(|(name, tokens)| (name.clone(), if holding.is_quota(name) { *tokens } else { 0 }))
            .collect();
        let mut parts = Vec::new();
        if credits.iter().any(|(name, _)| holding.is_quota(name)) {
            self.pass_gate(Gated::TopUps).await?;
            parts.push(self.creation(call, holding, credits)?);
        }
        self.commit(call, parts, amounts).await
    }

    /// Writes the shards together with the record of the operation and its audit event; `None` if anything was changed
    /// since it was read.
    async fn commit(
        &self,
        call: &Call<'_>,
        mut parts: Vec<TransactPart>,
        amounts: BTreeMap<LimitName, i64>,
    ) -> Result<Option<OperationReport>, RepositoryError> {
        let Call { entity, resource, asked, writer, .. } = *call;
        let shards = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let creates = parts.iter().any(|part| matches!(part, TransactPart::Put(..)));
        let record = OperationRecord {
            ns: self.ns(),
            entity,
            resource,
            key: call.key.as_str(),
            asked,
            writer,
            incarnation: &call.incarnation,
            shards,
            amounts: &amounts,
        };
        let (item, condition) = operation::record(&record, self.now_ms());
        parts.push(TransactPart::Put(item, condition));
        let change = AuditChange::Operated { entity, resource, asked, amounts: &amounts, shards };
        parts.push(self.trail(&change, None).await?);
        if creates {
            // A new bucket has the owner's facts, which must still be true.
            let meta = Key::new(keys::pk_entity(self.ns(), entity.as_str()), keys::sk_meta());
            parts.push(TransactPart::Check(meta, wire::owner::unmoved(call.meta.as_ref())));
        }
        let done = self.store().transact(&parts).await? == Committed::Done;
        Ok(done.then(|| call.report(shards, amounts)))
    }

    /// Creates shard 0 with `credits` on top.
    fn creation(
        &self,
        call: &Call<'_>,
        holding: &Holding,
        credits: &[(LimitName, i64)],
    ) -> Result<TransactPart, RepositoryError> {
        let (namespace, entity, resource) = (self.namespace_id(), call.entity, call.resource);
        if let Some((source, Access::Disabled)) = holding.access
            && let Some(level) = disabled_level(source)
        {
            return Err(Disabled { entity: entity.clone(), resource: resource.clone(), level }.into());
        }
        let owner = call.meta.as_ref().map(|meta| wire::owner::of_entity(meta, holding.cascade)).unwrap_or_default();
        let limit_set = LimitSet::new(holding.limits.clone(), holding.lifetime, owner);
        let is_bypassed = matches!(holding.access, Some((_, Access::Bypassed)));
        let limit_set = if is_bypassed { limit_set.bypassed() } else { limit_set };
        let image = opened(&limit_set, credits, Incarnation::draw(), self.now_ms());
        let item = encode_new(&NewBucket { namespace, entity, resource, shard: 0, image: &image });
        Ok(TransactPart::Put(item, Expression::of(|e| e.expect("rf", None::<i64>))))
    }

    /// Reads what holds for the bucket from the table itself.
    async fn holding(&self, call: &Call<'_>) -> Result<Holding, RepositoryError> {
        let levels = self.levels(call.entity, call.resource).await?;
        let levels = levels.into_iter().map(|(source, config)| Ok((source, config.supported()?)));
        let levels = levels.collect::<Result<Vec<(ConfigSource, StoredConfig)>, RepositoryError>>()?;
        // The system has no say in what an operator allows or charges.
        let settings = || levels.iter().filter(|(source, _)| *source != ConfigSource::System);
        let access = settings().find_map(|(source, config)| Some((*source, config.access.set()?)));
        let cascade = settings().find_map(|(_, config)| config.cascade).map(|cascade| cascade == Cascade::On);
        let found = levels.iter().find_map(|(source, config)| Some((*source, config.limits.clone()?)));
        let Some((source, limits)) = found else {
            let reason = ValidationReason::Other("has no limits for this entity".to_owned());
            return Err(ValidationError::new("resource", call.resource.as_str(), reason).into());
        };
        let lifetime = self.lifetime(Some(source), &limits);
        Ok(Holding { limits, lifetime, access, cascade })
    }

    /// Reads all shards of a bucket: those that the index knows, and all that the largest count speaks of.
    async fn shards_of(&self, call: &Call<'_>) -> Result<BTreeMap<u32, Image>, RepositoryError> {
        let listed = self.bucket_keys(call.entity, format!("BUCKET#{}#", call.resource)).await?;
        let mut wanted: BTreeSet<u32> =
            listed.iter().filter_map(|key| Some(keys::parse_bucket_pk(&key.pk)?.shard)).collect();
        wanted.insert(0);
        let (mut found, mut asked) = (BTreeMap::new(), BTreeSet::new());
        while !wanted.is_empty() {
            let keys: Vec<Key> =
                wanted.iter().map(|shard| self.shard_key(call.entity, call.resource, *shard)).collect();
            let items = self.store().batch_get(&keys, Consistency::Strong).await?;
            for (shard, key) in wanted.iter().zip(&keys) {
                if let Some(image) = items.get(key).map(decode_shown).transpose()?.flatten() {
                    found.insert(*shard, image);
                }
            }
            asked.append(&mut wanted);
            wanted = (0..count(&found).min(MOST_SHARDS)).filter(|shard| !asked.contains(shard)).collect();
        }
        if u32::try_from(found.len()).is_ok_and(|number| number <= MOST_SHARDS) {
            return Ok(found);
        }
        let reason = format!("has a bucket in more than {MOST_SHARDS} shards: fold it first");
        Err(ValidationError::new("resource", call.resource.as_str(), ValidationReason::Other(reason)).into())
    }

    /// Tells shards that know of fewer than `count` shards. Returns true if there are any.
    async fn raise_lagging(
        &self,
        call: &Call<'_>,
        shards: &BTreeMap<u32, Image>,
        count: u32,
    ) -> Result<bool, RepositoryError> {
        let lagging: Vec<_> = shards.iter().filter(|(_, image)| image.shards() < count).collect();
        let any = !lagging.is_empty();
        for (shard, image) in lagging {
            let key = self.shard_key(call.entity, call.resource, *shard);
            self.store().update(&key, operation::raise(image, count)).await?;
        }
        Ok(any)
    }
}

/// The largest number of shards that any of them knows of; 0 without any.
fn count(shards: &BTreeMap<u32, Image>) -> u32 {
    shards.values().map(Image::shards).max().unwrap_or(0)
}
