//! Creating, updating and deleting stacks.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    LocalCloud, plan,
    refusal::Refusal,
    resolve::{StackParameters, TemplateScope},
    resources::{self, Made, ResourcePlace},
    stack::{PlannedAction, PlannedChange, Resource, Stack, WantedStack, now},
    template,
};

/// The exports of other stacks, by name.
pub(super) type Exports = BTreeMap<String, String>;

/// A resource that could not be brought to its desired state.
struct Failure {
    logical_id: String,
    reason: String,
}

impl Stack {
    fn wanted(&self) -> WantedStack {
        WantedStack { template: self.template.clone(), parameters: self.parameters.clone(), tags: self.tags.clone() }
    }

    fn place(&self) -> ResourcePlace {
        ResourcePlace { stack: self.name.clone(), id: self.id.clone(), tags: self.tags.clone() }
    }
}

/// Creates everything that the stack declares, or nothing.
pub(super) async fn create(cloud: &LocalCloud, stack: &mut Stack, exports: &Exports) {
    stack.become_status("CREATE_IN_PROGRESS", Some("User Initiated"));
    let wanted = stack.wanted();
    let Err(failure) = reach(cloud, stack, &wanted, exports).await else {
        stack.become_status("CREATE_COMPLETE", None);
        return;
    };
    let reason = format!("The following resource(s) failed to create: [{}]. ", failure.logical_id);
    tracing::warn!(stack = stack.name, resource = failure.logical_id, reason = failure.reason, "stack is rolled back");
    stack.become_status("ROLLBACK_IN_PROGRESS", Some(&format!("{reason}Rollback requested by user.")));
    let left = remove_all(cloud, stack, Keep::Nothing).await;
    stack.become_status(if left.is_empty() { "ROLLBACK_COMPLETE" } else { "ROLLBACK_FAILED" }, None);
}

/// Brings the stack to its desired state, or leaves it unchanged.
pub(super) async fn update(cloud: &LocalCloud, stack: &mut Stack, wanted: WantedStack, exports: &Exports) {
    let before = stack.wanted();
    stack.updated = Some(now());
    stack.become_status("UPDATE_IN_PROGRESS", Some("User Initiated"));
    match reach(cloud, stack, &wanted, exports).await {
        Ok(()) => {
            WantedStack { template: stack.template, parameters: stack.parameters, tags: stack.tags } = wanted;
            stack.become_status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", None);
            stack.become_status("UPDATE_COMPLETE", None);
        }
        Err(failure) => {
            let reason = format!("The following resource(s) failed to update: [{}]. ", failure.logical_id);
            stack.become_status("UPDATE_ROLLBACK_IN_PROGRESS", Some(&reason));
            match reach(cloud, stack, &before, exports).await {
                Ok(()) => stack.become_status("UPDATE_ROLLBACK_COMPLETE", None),
                Err(failure) => stack.become_status("UPDATE_ROLLBACK_FAILED", Some(&failure.reason)),
            }
        }
    }
}

/// Removes all resources of the stack, except those that its template retains.
pub(super) async fn delete(cloud: &LocalCloud, stack: &mut Stack) {
    stack.become_status("DELETE_IN_PROGRESS", Some("User Initiated"));
    let left = remove_all(cloud, stack, Keep::Retained).await;
    if left.is_empty() {
        stack.become_status("DELETE_COMPLETE", None);
        stack.outputs.clear();
    } else {
        let reason = format!("The following resource(s) failed to delete: [{}]. ", left.join(", "));
        stack.become_status("DELETE_FAILED", Some(&reason));
    }
}

/// The resources to keep when all others are removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Nothing,
    Retained,
}

/// Removes resources, the latest first. Returns those that could not be removed.
async fn remove_all(cloud: &LocalCloud, stack: &mut Stack, keep: Keep) -> Vec<String> {
    let names: Vec<String> = stack.resources.iter().rev().map(|resource| resource.logical_id.clone()).collect();
    let mut left = Vec::new();
    for name in names {
        let is_kept = keep == Keep::Retained && stack.resource(&name).is_some_and(|resource| resource.is_retained);
        if is_kept && let Some(at) = stack.resources.iter().position(|resource| resource.logical_id == name) {
            let kept = stack.resources.remove(at);
            stack.note((&kept.logical_id, &kept.physical_id, &kept.kind), "DELETE_SKIPPED", None);
        } else if remove(cloud, stack, &name).await.is_err() {
            left.push(name);
        }
    }
    left
}

/// Removes a resource that the template no longer contains.
async fn remove(cloud: &LocalCloud, stack: &mut Stack, name: &str) -> Result<(), Failure> {
    let Some(at) = stack.resources.iter().position(|resource| resource.logical_id == name) else { return Ok(()) };
    let old = stack.resources[at].clone();
    let known = (old.logical_id.as_str(), old.physical_id.as_str(), old.kind.as_str());
    stack.note(known, "DELETE_IN_PROGRESS", None);
    match resources::remove(cloud, &stack.place(), &old).await {
        Ok(()) => {
            stack.resources.remove(at);
            stack.note(known, "DELETE_COMPLETE", None);
            Ok(())
        }
        Err(reason) => {
            "DELETE_FAILED".clone_into(&mut stack.resources[at].status);
            stack.note(known, "DELETE_FAILED", Some(&reason));
            Err(Failure { logical_id: name.to_owned(), reason })
        }
    }
}

/// A scope without the resources, which change during the operation.
struct FixedScope<'a> {
    template: &'a Value,
    stack: (&'a str, &'a str),
    parameters: &'a StackParameters,
    exports: &'a Exports,
}

impl FixedScope<'_> {
    fn with<'a>(&'a self, resources: &'a [Resource]) -> TemplateScope<'a> {
        let Self { template, stack, parameters, exports } = *self;
        TemplateScope { template, stack, parameters, resources, exports }
    }
}

/// Adds, changes and removes resources until the stack has its desired state.
async fn reach(cloud: &LocalCloud, stack: &mut Stack, wanted: &WantedStack, exports: &Exports) -> Result<(), Failure> {
    let whole = |problem: Refusal, stack: &Stack| Failure { logical_id: stack.name.clone(), reason: problem.message };
    let template = template::parse(&wanted.template).map_err(|reason| whole(Refusal::invalid(reason), stack))?;
    let (name, id) = (stack.name.clone(), stack.id.clone());
    let known = FixedScope { template: &template, stack: (&name, &id), parameters: &wanted.parameters, exports };
    let declared = plan::declared(&known.with(&stack.resources)).map_err(|problem| whole(problem, stack))?;
    let has_other_tags = stack.tags != wanted.tags;
    for new in &declared {
        let resolved = known.with(&stack.resources).value(&new.properties);
        let failed = |reason| Failure { logical_id: new.logical_id.clone(), reason };
        let properties = resolved.map_err(|problem| failed(problem.message))?.unwrap_or_default();
        let old = stack.resource(&new.logical_id).cloned();
        let Some(change) = plan::change(old.as_ref(), new, &properties, has_other_tags) else { continue };
        let place = ResourcePlace { tags: wanted.tags.clone(), ..stack.place() };
        let mut made = Resource {
            logical_id: new.logical_id.clone(),
            kind: new.kind.clone(),
            physical_id: String::new(),
            attributes: BTreeMap::new(),
            properties,
            status: String::new(),
            changed: now(),
            is_retained: new.is_retained,
        };
        bring(cloud, stack, &place, (old, &change), &mut made).await.map_err(failed)?;
    }
    let gone = |old: &Resource| declared.iter().all(|new| new.logical_id != old.logical_id);
    let gone: Vec<String> =
        stack.resources.iter().rev().filter(|old| gone(old)).map(|old| old.logical_id.clone()).collect();
    for name in gone {
        remove(cloud, stack, &name).await?;
    }
    stack.outputs = plan::outputs(&known.with(&stack.resources)).map_err(|problem| whole(problem, stack))?;
    Ok(())
}

/// Creates or changes one resource, and records the outcome.
async fn bring(
    cloud: &LocalCloud,
    stack: &mut Stack,
    place: &ResourcePlace,
    (old, change): (Option<Resource>, &PlannedChange),
    new: &mut Resource,
) -> Result<(), String> {
    let verb = if change.action == PlannedAction::Add { "CREATE" } else { "UPDATE" };
    let known_id = old.as_ref().map_or(String::new(), |old| old.physical_id.clone());
    let (name, kind) = (new.logical_id.clone(), new.kind.clone());
    stack.note((&name, &known_id, &kind), &format!("{verb}_IN_PROGRESS"), None);
    let done = match (change.action, &old) {
        (PlannedAction::Replace, Some(_)) if plan::is_named(&kind, &new.properties) => Err(format!(
            "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {known_id} \
             and update the stack again."
        )),
        (PlannedAction::Modify, Some(old)) => resources::change(cloud, place, old, new).await,
        _ => resources::make(cloud, place, new).await,
    };
    match done {
        Ok(Made { physical_id, attributes }) => {
            new.status = format!("{verb}_COMPLETE");
            (new.physical_id, new.attributes) = (physical_id, attributes);
            stack.note((&name, &new.physical_id, &kind), &new.status, None);
            match stack.resources.iter_mut().find(|resource| resource.logical_id == name) {
                Some(place) => *place = new.clone(),
                None => stack.resources.push(new.clone()),
            }
        }
        Err(reason) => {
            stack.note((&name, &known_id, &kind), &format!("{verb}_FAILED"), Some(&reason));
            return Err(reason);
        }
    }
    // A different id means a different resource, so the old one is no longer referenced.
    match old.filter(|old| old.physical_id != new.physical_id) {
        Some(old) => resources::remove(cloud, place, &old).await,
        None => Ok(()),
    }
}
