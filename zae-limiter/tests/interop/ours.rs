//! This crate, called through its public API with the operations of `driver.py`.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use zae_limiter::{
    Acquire, AcquireError, Clock, Cost, Entity, EntityId, LimitScope, Limits, ManualClock, NamespaceName, NewEntity,
    Principal, RateLimiter, Repository, RepositoryError, Reserve, ResourceName, StoredPolicy, SystemClock,
    SystemDefaults, ValidationError,
    access::{Access, Cascade, ConfigTarget},
    audit::AuditEvent,
    operation::{OperationKey, ResetLimits},
    version::VersionUpdate,
};

use zae_testkit::{DEADLINE, store::TestStore};

use super::{
    side::{Answer, Failure},
    table::STACK,
};

/// Limiters and repositories by namespace, on the table that the Python package sees over HTTP.
pub(crate) struct Ours {
    store: TestStore,
    clock: Arc<ManualClock>,
    limiters: Mutex<BTreeMap<String, RateLimiter>>,
}

impl fmt::Debug for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ours")
    }
}

impl From<ValidationError> for Failure {
    fn from(error: ValidationError) -> Self {
        RepositoryError::from(error).into()
    }
}

impl From<RepositoryError> for Failure {
    fn from(error: RepositoryError) -> Self {
        let class = match &error {
            RepositoryError::Invalid(_) => "ValidationError",
            RepositoryError::EntityExists(_) => "EntityExistsError",
            RepositoryError::NamespaceNotFound(_) => "NamespaceNotFoundError",
            RepositoryError::Unsupported(_) => "Unsupported",
            _ => "RepositoryError",
        };
        Self { class: class.to_owned(), message: format!("{error} ({error:?})"), map: None }
    }
}

impl From<AcquireError> for Failure {
    fn from(error: AcquireError) -> Self {
        let class = match &error {
            AcquireError::Exceeded(_) => "RateLimitExceeded",
            AcquireError::Unsupported(_) => "Unsupported",
            AcquireError::Disabled(_) => "ResourceDisabled",
            _ => "AcquireError",
        };
        let map = if let AcquireError::Exceeded(exceeded) = &error { Some(exceeded.to_map()) } else { None };
        Self { class: class.to_owned(), message: format!("{error} ({error:?})"), map }
    }
}

impl Ours {
    pub(crate) fn new(store: TestStore, clock: Arc<ManualClock>) -> Self {
        Self { store, clock, limiters: Mutex::default() }
    }

    async fn repository(&self, namespace: &str, clock: Arc<dyn Clock>) -> Result<Repository, Failure> {
        let builder = self.store.builder().stack(STACK).namespace(namespace).clock(clock);
        // No cache, so that every step of a test sees the other side's last write.
        Ok(builder.config_cache_ttl(Duration::ZERO).build().await?)
    }

    /// Returns the limiter of a namespace, the same one for every call, so that it remembers its buckets.
    pub(crate) async fn limiter(&self, namespace: &str) -> Result<RateLimiter, Failure> {
        let mut limiters = self.limiters.lock().await;
        if let Some(limiter) = limiters.get(namespace) {
            return Ok(limiter.clone());
        }
        let mut repository = self.repository("default", self.clock.clone()).await?;
        if namespace != "default" {
            repository = repository.scoped(&NamespaceName::new(namespace)?).await?;
        }
        let limiter = RateLimiter::builder(repository).deadline(DEADLINE).build();
        limiters.insert(namespace.to_owned(), limiter.clone());
        Ok(limiter)
    }

    /// A limiter of the namespace `default` on the machine's clock.
    pub(crate) async fn limiter_in_real_time(&self, reserve: Reserve) -> RateLimiter {
        let repository = self.repository("default", Arc::new(SystemClock)).await.unwrap();
        RateLimiter::builder(repository).reserve(reserve).deadline(DEADLINE).build()
    }

    pub(crate) async fn call(&self, op: &str, arguments: &Value) -> Answer {
        if op == "create_table" {
            return self.create_table(arguments).await;
        }
        let limiter = Box::pin(self.limiter(arguments["ns"].as_str().unwrap_or("default"))).await?;
        let call = Call { arguments, principal: call_principal(arguments)? };
        let repository = &match &call.principal {
            Some(principal) => limiter.repository().acting_as(principal)?,
            None => limiter.repository().clone(),
        };
        match op {
            "acquire" | "available" | "wait" => Box::pin(call.limiter(op, &limiter)).await,
            "register_namespace" | "delete_namespace" | "get_namespace" => {
                Box::pin(call.namespace(op, repository)).await
            }
            "recover_namespace" | "purge_namespace" => Box::pin(call.orphan(op, repository)).await,
            "create_entity" | "get_entity" | "get_children" | "delete_entity" => {
                Box::pin(call.entity(op, repository)).await
            }
            "set_limits" | "get_limits" | "delete_limits" => Box::pin(call.limits(op, repository)).await,
            "set_access" | "resolve_access" | "set_cascade" | "set_parent" => {
                Box::pin(call.access(op, repository)).await
            }
            "reset_bucket" | "top_up" => Box::pin(call.operation(op, repository)).await,
            "audit" => Box::pin(call.audit(repository)).await,
            _ => Box::pin(call.defaults(op, repository)).await,
        }
    }

    async fn create_table(&self, arguments: &Value) -> Answer {
        let names = arguments["namespaces"].as_array().expect("names").iter();
        let names: Vec<_> = names.map(|name| NamespaceName::new(name.as_str().expect("a name"))).collect();
        let names = names.into_iter().collect::<Result<Vec<_>, _>>()?;
        let builder = self.store.builder().stack(STACK).namespace(names[0].as_str());
        let repository = builder.clock(self.clock.clone()).create_table().build().await?;
        repository.register_namespaces(&names).await?;
        let text = |field: &str| arguments[field].as_str().expect("text");
        let update = VersionUpdate::default().lambda_version(text("lambda_version").parse()?);
        repository.set_version_record(&update.updated_by(text("updated_by"))).await?;
        Ok(Value::Null)
    }
}

/// One call's arguments, in the types of the public API.
struct Call<'a> {
    arguments: &'a Value,
    principal: Option<Principal>,
}

fn call_principal(arguments: &Value) -> Result<Option<Principal>, ValidationError> {
    arguments["principal"].as_str().map(Principal::new).transpose()
}

impl Call<'_> {
    fn text(&self, field: &str) -> &str {
        self.arguments[field].as_str().unwrap_or_else(|| panic!("{field} is text in {}", self.arguments))
    }

    fn id(&self) -> Result<EntityId, ValidationError> {
        EntityId::new(self.text("entity_id"))
    }

    fn resource(&self) -> Result<ResourceName, ValidationError> {
        ResourceName::new(self.text("resource"))
    }

    fn rows(&self) -> Result<Limits, ValidationError> {
        let rows: Vec<_> = serde_json::from_value(self.arguments["rows"].clone()).expect("limits");
        Limits::new(rows)
    }

    async fn limiter(&self, op: &str, limiter: &RateLimiter) -> Answer {
        let (entity, resource) = (self.id()?, self.resource()?);
        match op {
            "available" => {
                let left = limiter.available(&entity, &resource).await?;
                Ok(by_name(left.into_iter().map(|(name, tokens)| (name.to_string(), tokens))))
            }
            "wait" => {
                let needed = cost(&self.arguments["needed"]);
                Ok(json!(limiter.time_until_available(&entity, &resource, &needed).await?.as_secs_f64()))
            }
            _ => {
                let mut request = Acquire::new(entity, resource, cost(&self.arguments["consume"]))?;
                for (resource, amounts) in self.arguments["also"].as_object().into_iter().flatten() {
                    request = request.also(resource, cost(amounts))?;
                }
                let lease = limiter.acquire_with(request).await?;
                for (field, sign) in [("adjust", 1), ("release", -1)] {
                    for (name, tokens) in self.arguments[field].as_object().into_iter().flatten() {
                        lease.adjust(name, sign * tokens.as_i64().expect("whole tokens")).expect("an open lease");
                    }
                }
                let abandoned = self.arguments["abandon"] == true;
                let end = if abandoned { lease.roll_back() } else { lease.commit() };
                end.await.expect("it is stored");
                let consumed = if abandoned { BTreeMap::new() } else { lease.consumed() };
                Ok(by_name(consumed.into_iter().map(|(name, tokens)| (name.to_string(), tokens))))
            }
        }
    }

    async fn namespace(&self, op: &str, repository: &Repository) -> Answer {
        let name = NamespaceName::new(self.text("name"))?;
        match op {
            "register_namespace" => Ok(json!(repository.register_namespace(&name).await?)),
            "delete_namespace" => repository.delete_namespace(&name).await.map(|_| Value::Null).map_err(Into::into),
            _ => {
                let info = repository.namespace_info(&name).await?;
                Ok(info.map_or(Value::Null, |i| json!({ "name": i.name, "namespace_id": i.id, "status": i.state })))
            }
        }
    }

    async fn orphan(&self, op: &str, repository: &Repository) -> Answer {
        let orphans = repository.orphan_namespaces().await?;
        let orphan = orphans.iter().find(|orphan| orphan.name.as_str() == self.text("name")).expect("an orphan");
        if op == "purge_namespace" {
            repository.purge_namespace(&orphan.id, |_| {}).await?;
            return Ok(Value::Null);
        }
        Ok(json!(repository.recover_namespace(&orphan.id).await?))
    }

    async fn entity(&self, op: &str, repository: &Repository) -> Answer {
        match op {
            "create_entity" => {
                let given = &self.arguments["entity"];
                let text = |field: &str| given[field].as_str();
                let mut entity = NewEntity::new(EntityId::new(text("entity_id").expect("an id"))?);
                if let Some(name) = text("name") {
                    entity = entity.name(name);
                }
                if let Some(parent) = text("parent_id") {
                    entity = entity.parent(EntityId::new(parent)?);
                }
                if given["cascade"] == true {
                    entity = entity.cascading();
                }
                for (name, value) in given["metadata"].as_object().into_iter().flatten() {
                    entity = entity.metadata(name, value.clone());
                }
                Ok(plain_entity(&repository.create_entity(entity).await?))
            }
            "get_entity" => Ok(repository.entity(&self.id()?).await?.as_ref().map_or(Value::Null, plain_entity)),
            "get_children" => {
                let children = repository.children(&self.id()?).await?;
                Ok(children.iter().map(plain_entity).collect())
            }
            _ => {
                repository.delete_entity(&self.id()?).await?;
                Ok(Value::Null)
            }
        }
    }

    async fn limits(&self, op: &str, repository: &Repository) -> Answer {
        let (entity, scope) = (self.id()?, LimitScope::try_from(self.text("resource"))?);
        match op {
            "set_limits" => repository.set_limits(&entity, &scope, &self.rows()?).await?,
            "get_limits" => return Ok(plain_limits(repository.limits(&entity, &scope).await?)),
            _ => drop(repository.delete_limits(&entity, &scope).await?),
        }
        Ok(Value::Null)
    }

    async fn access(&self, op: &str, repository: &Repository) -> Answer {
        if op == "resolve_access" {
            let holds = repository.resolve_access(self.id()?, self.resource()?).await?;
            let level = holds.level.map(zae_limiter::error::DisabledLevel::as_str);
            return Ok(json!({ "access": holds.access, "level": level }));
        }
        if op == "set_parent" {
            let moved = match self.arguments["parent_id"].as_str() {
                Some(parent) => repository.set_parent(self.id()?, parent).await?,
                None => repository.remove_parent(self.id()?).await?,
            };
            return Ok(json!(moved));
        }
        let target = match self.arguments["entity_id"].as_str() {
            Some(entity) => ConfigTarget::entity(entity, LimitScope::try_from(self.text("resource"))?)?,
            None => ConfigTarget::Resource(self.resource()?),
        };
        if op == "set_cascade" {
            let told = match self.arguments["cascade"].as_bool() {
                Some(true) => repository.set_cascade(target, Cascade::On).await?,
                Some(false) => repository.set_cascade(target, Cascade::Off).await?,
                None => repository.clear_cascade(target).await?,
            };
            return Ok(json!(told));
        }
        let access: Option<Access> = serde_json::from_value(self.arguments["access"].clone()).expect("a setting");
        Ok(json!(repository.set_access(target, access).await?))
    }

    async fn operation(&self, op: &str, repository: &Repository) -> Answer {
        let key = self.arguments["key"].as_str().map_or_else(|| Ok(OperationKey::draw()), OperationKey::new)?;
        let (entity, resource) = (self.text("entity_id"), self.text("resource"));
        let report = if op == "top_up" {
            repository.top_up(entity, resource, &cost(&self.arguments["amounts"]), &key).await?
        } else {
            repository.reset_bucket(entity, resource, &ResetLimits::All, &key).await?
        };
        Ok(json!({ "shards": report.shards, "amounts": report.amounts }))
    }

    async fn defaults(&self, op: &str, repository: &Repository) -> Answer {
        match op {
            "set_resource_defaults" => {
                repository.set_resource_defaults(&self.resource()?, &self.rows()?).await?;
            }
            "get_resource_defaults" => {
                return Ok(plain_limits(repository.resource_defaults(&self.resource()?).await?));
            }
            "delete_resource_defaults" => {
                repository.delete_resource_defaults(&self.resource()?).await?;
            }
            "set_system_defaults" => {
                let policy = match self.arguments["on_unavailable"].as_str() {
                    Some("allow") => Some(StoredPolicy::Allow),
                    Some("block") => Some(StoredPolicy::Block),
                    _ => None,
                };
                repository.set_system_defaults(SystemDefaults::new(self.rows()?).on_unavailable(policy)).await?;
            }
            "get_system_defaults" => {
                let stored = repository.system_defaults().await?;
                return Ok(json!({ "rows": plain_limits(stored.limits), "on_unavailable": stored.on_unavailable }));
            }
            "delete_system_defaults" => drop(repository.delete_system_defaults().await?),
            "listed_resources" => {
                let scopes = repository.resources_with_entity_limits().await?;
                let scopes: Vec<&str> = scopes.iter().map(LimitScope::as_str).collect();
                return Ok(json!({ "defaults": repository.resources_with_defaults().await?, "entities": scopes }));
            }
            "put_provisioner_state" => {
                let state = serde_json::from_value(self.arguments["state"].clone()).expect("a state");
                repository.put_provisioner_state(&state).await?;
            }
            "get_provisioner_state" => return Ok(json!(repository.provisioner_state().await?)),
            _ => panic!("{op} is not something we can do"),
        }
        Ok(Value::Null)
    }

    async fn audit(&self, repository: &Repository) -> Answer {
        let target = self.text("entity_id").parse()?;
        let limit = self.arguments["limit"].as_u64().map_or(100, |limit| u32::try_from(limit).expect("a page"));
        let start = self.arguments["start_event_id"].as_str();
        let page = repository.audit_events(&target, limit, start).await?;
        Ok(page.events.iter().map(plain_event).collect())
    }
}

fn cost(amounts: &Value) -> Cost {
    let mut amounts = amounts.as_object().expect("amounts by name").iter();
    let (name, tokens) = amounts.next().expect("an amount");
    let first = Cost::of(name, tokens.as_u64().expect("whole tokens"));
    amounts.fold(first, |cost, (name, tokens)| cost.and(name, tokens.as_u64().expect("whole tokens")))
}

fn by_name(amounts: impl Iterator<Item = (String, i64)>) -> Value {
    amounts.map(|(name, tokens)| (name, json!(tokens))).collect::<Map<_, _>>().into()
}

fn plain_limits(limits: Option<Limits>) -> Value {
    limits.map_or_else(|| json!([]), |limits| json!(limits))
}

fn plain_entity(entity: &Entity) -> Value {
    let Entity { id, name, parent_id, cascade, metadata, .. } = entity;
    json!({ "id": id, "name": name, "parent_id": parent_id, "cascade": cascade, "metadata": metadata })
}

fn plain_event(event: &AuditEvent) -> Value {
    json!({
        "event_id": event.event_id, "timestamp": event.timestamp, "action": event.action,
        "entity_id": event.target, "principal": event.principal, "resource": event.resource,
        "details": event.details,
    })
}
