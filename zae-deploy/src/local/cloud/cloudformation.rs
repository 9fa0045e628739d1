//! CloudFormation's API. Operations are complete when the call returns.

use std::{collections::BTreeMap, sync::Arc};

use axum::response::Response;
use serde_json::Value;
use ulid::Ulid;

use super::{
    ACCOUNT, LocalCloud,
    form::Form,
    operate::{self, Exports},
    plan,
    refusal::Refusal,
    resolve::{self, TemplateScope},
    show,
    stack::{PlannedChange, Stack, StoredChangeSet, WantedStack, now},
    summary, template,
    xml::{self, Xml},
};
use crate::local::ports::REGION;

const NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";
/// CloudFormation's message for a change set without changes.
const NO_CHANGES: &str =
    "The submitted information didn't contain changes. Submit different information to create a change set.";

/// Answers a call, which is completed even if its caller disconnects.
pub(super) async fn answer(cloud: Arc<LocalCloud>, form: Form) -> Response {
    let action = form.get("Action").unwrap_or_default().to_owned();
    let name = action.clone();
    let called = tokio::spawn(async move { call(&cloud, &name, &form).await }).await;
    match called {
        Ok(Ok(result)) => xml::answer(&action, NAMESPACE, &result),
        Ok(Err(problem)) => xml::refusal(problem.code, &problem.message),
        Err(error) => xml::refusal("InternalFailure", &error.to_string()),
    }
}

async fn call(cloud: &LocalCloud, action: &str, form: &Form) -> Result<Xml, Refusal> {
    let mut stacks = cloud.stacks.lock().await;
    let result = match action {
        "CreateStack" => create(cloud, &mut stacks, form).await,
        "UpdateStack" => update(cloud, &mut stacks, form).await,
        "DeleteStack" => delete(cloud, &mut stacks, form).await,
        "CreateChangeSet" => create_change_set(&mut stacks, form),
        "ExecuteChangeSet" => execute_change_set(cloud, &mut stacks, form).await,
        "DeleteChangeSet" => delete_change_set(&mut stacks, form),
        "UpdateTerminationProtection" => {
            let stack = existing(&mut stacks, form.need("StackName")?)?;
            stack.is_protected = form.get("EnableTerminationProtection") == Some("true");
            Ok(Xml::fields([("StackId", Some(Xml::text(&stack.id)))]))
        }
        _ => return read(&stacks, action, form),
    };
    cloud.save(&stacks);
    result
}

fn read(stacks: &[Stack], action: &str, form: &Form) -> Result<Xml, Refusal> {
    let named = || known(stacks, form.need("StackName")?);
    let list = |name, members: Vec<Xml>| Ok(Xml::fields([(name, Some(Xml::Members(members)))]));
    match action {
        "DescribeStacks" => match form.get("StackName") {
            Some(name) => list("Stacks", vec![show::stack(known(stacks, name)?)]),
            None => list("Stacks", stacks.iter().filter(|stack| !stack.is_deleted()).map(show::stack).collect()),
        },
        "ListStacks" => {
            let wanted = form.members("StackStatusFilter", [""]);
            let is_wanted = |stack: &&Stack| wanted.is_empty() || wanted.contains(&[Some(stack.status.as_str())]);
            list("StackSummaries", stacks.iter().rev().filter(is_wanted).map(show::summary).collect())
        }
        "DescribeStackEvents" => {
            let stack = named()?;
            list("StackEvents", stack.events.iter().rev().map(|event| show::event(stack, event)).collect())
        }
        "DescribeStackResource" => {
            let (stack, name) = (named()?, form.need("LogicalResourceId")?);
            let found = stack
                .resource(name)
                .ok_or_else(|| Refusal::invalid(format!("Resource {name} does not exist for stack {}", stack.name)))?;
            let shown = show::resource(stack, found, "LastUpdatedTimestamp");
            Ok(Xml::fields([("StackResourceDetail", Some(shown))]))
        }
        "DescribeStackResources" | "ListStackResources" => {
            let stack = match (form.get("StackName"), form.get("PhysicalResourceId")) {
                (None, Some(id)) => {
                    let has = |stack: &&Stack| stack.resources.iter().any(|resource| resource.physical_id == id);
                    let missing = || Refusal::invalid(format!("Stack for {id} does not exist"));
                    stacks.iter().find(has).ok_or_else(missing)?
                }
                _ => named()?,
            };
            let (name, time) = match action {
                "ListStackResources" => ("StackResourceSummaries", "LastUpdatedTimestamp"),
                _ => ("StackResources", "Timestamp"),
            };
            let wanted = form.get("LogicalResourceId");
            let found = stack.resources.iter().filter(|found| wanted.is_none_or(|name| name == found.logical_id));
            list(name, found.map(|found| show::resource(stack, found, time)).collect())
        }
        "DescribeChangeSet" => {
            let (stack, set) = change_set(stacks, form)?;
            Ok(show::change_set(stack, set))
        }
        "ListChangeSets" => {
            let stack = named()?;
            list("Summaries", stack.change_sets.iter().map(|set| show::change_set(stack, set)).collect())
        }
        "GetTemplate" => Ok(Xml::fields([("TemplateBody", Some(Xml::text(&named()?.template)))])),
        "GetTemplateSummary" => {
            let body = form.get("StackName").map(|name| Ok(known(stacks, name)?.template.as_str()));
            Ok(summary::summary(&parsed(body.unwrap_or_else(|| body_of(form))?)?))
        }
        "ValidateTemplate" => Ok(summary::validation(&parsed(body_of(form)?)?)),
        "ListExports" => {
            let all = exports(stacks, "");
            let shown = all
                .iter()
                .map(|(name, value)| Xml::fields([("Name", Some(Xml::text(name))), ("Value", Some(Xml::text(value)))]));
            list("Exports", shown.collect())
        }
        _ => Err(Refusal::new(crate::advice::NOT_LOCAL, format!("a local stack does not know the call {action}"))),
    }
}

/// Finds the stack by name or id; a deleted one only by its id.
fn known<'a>(stacks: &'a [Stack], name: &str) -> Result<&'a Stack, Refusal> {
    let found = stacks.iter().find(|stack| stack.is_called(name));
    found.ok_or_else(|| Refusal::invalid(format!("Stack with id {name} does not exist")))
}

/// Finds the existing stack by name or id.
fn existing<'a>(stacks: &'a mut [Stack], name: &str) -> Result<&'a mut Stack, Refusal> {
    let found = stacks.iter_mut().find(|stack| stack.is_called(name) && !stack.is_deleted());
    found.ok_or_else(|| Refusal::invalid(format!("Stack [{name}] does not exist")))
}

/// Returns the exports of all stacks but one.
fn exports(stacks: &[Stack], but: &str) -> Exports {
    let others = stacks.iter().filter(|stack| stack.id != but && !stack.is_deleted());
    let outputs = others.flat_map(|stack| &stack.outputs);
    outputs.filter_map(|output| Some((output.export.clone()?, output.value.clone()))).collect()
}

fn body_of(form: &Form) -> Result<&str, Refusal> {
    let body = form.get("TemplateBody");
    body.ok_or_else(|| Refusal::invalid("a local stack takes the template itself, as TemplateBody"))
}

fn parsed(body: &str) -> Result<Value, Refusal> {
    template::parse(body).map_err(|error| Refusal::invalid(format!("Template format error: {error}")))
}

/// Builds the desired stack of a call, based on the current one.
fn wanted(form: &Form, current: Option<&Stack>) -> Result<WantedStack, Refusal> {
    let previous = current.filter(|_| form.get("UsePreviousTemplate") == Some("true"));
    let body = previous.map_or_else(|| body_of(form), |stack| Ok(stack.template.as_str()))?;
    let parsed = parsed(body)?;
    let granted = form.members("Capabilities", [""]);
    if let Some(capability) = summary::capabilities(&parsed).iter().find(|name| !granted.contains(&[Some(**name)])) {
        let problem = format!("Requires capabilities : [{capability}]");
        return Err(Refusal::new("InsufficientCapabilitiesException", problem));
    }
    let given = form.members("Parameters", ["ParameterKey", "ParameterValue", "UsePreviousValue"]);
    let nothing = BTreeMap::new();
    let parameters = resolve::parameters(&parsed, &given, current.map_or(&nothing, |stack| &stack.parameters))?;
    let pair = |[key, value]: [Option<&str>; 2]| Some((key?.to_owned(), value.unwrap_or_default().to_owned()));
    let tags = match current {
        Some(stack) if !form.has_list("Tags") && !form.has("Tags") => stack.tags.clone(),
        _ => form.members("Tags", ["Key", "Value"]).into_iter().filter_map(pair).collect(),
    };
    Ok(WantedStack { template: body.to_owned(), parameters, tags })
}

/// Returns the changes from the stack to `wanted`; `None` if there are none.
fn difference(stack: &Stack, wanted: &WantedStack, exports: &Exports) -> Result<Option<Vec<PlannedChange>>, Refusal> {
    let template = parsed(&wanted.template)?;
    let scope = TemplateScope {
        template: &template,
        stack: (&stack.name, &stack.id),
        parameters: &wanted.parameters,
        resources: &stack.resources,
        exports,
    };
    let changes = plan::changes(&scope, stack, &wanted.tags)?;
    let is_same = changes.is_empty() && stack.tags == wanted.tags && plan::outputs(&scope)? == stack.outputs;
    Ok((!is_same).then_some(changes))
}

fn name_of_new(form: &Form) -> Result<&str, Refusal> {
    let name = form.need("StackName")?;
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_plain || name.len() > 128 || !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        let rule = "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*";
        return Err(Refusal::invalid(format!("Value '{name}' at 'stackName' failed to satisfy constraint: {rule}")));
    }
    Ok(name)
}

fn id(stack: &Stack) -> Xml {
    Xml::fields([("StackId", Some(Xml::text(&stack.id)))])
}

async fn create(cloud: &LocalCloud, stacks: &mut Vec<Stack>, form: &Form) -> Result<Xml, Refusal> {
    let name = name_of_new(form)?;
    if stacks.iter().any(|stack| stack.is_called(name)) {
        return Err(Refusal::new("AlreadyExistsException", format!("Stack [{name}] already exists")));
    }
    let mut stack = Stack::new(name, wanted(form, None)?);
    stack.is_protected = form.get("EnableTerminationProtection") == Some("true");
    operate::create(cloud, &mut stack, &exports(stacks, "")).await;
    let result = id(&stack);
    stacks.push(stack);
    Ok(result)
}

/// Finds a stack that can be updated, with the exports of the others.
fn updatable<'a>(stacks: &'a mut [Stack], name: &str) -> Result<(&'a mut Stack, Exports), Refusal> {
    let but = existing(stacks, name)?.id.clone();
    let exports = exports(stacks, &but);
    let stack = existing(stacks, name)?;
    let stuck = ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"];
    if stuck.contains(&stack.status.as_str()) {
        let problem = format!("Stack:{} is in {} state and can not be updated.", stack.id, stack.status);
        return Err(Refusal::invalid(problem));
    }
    Ok((stack, exports))
}

async fn update(cloud: &LocalCloud, stacks: &mut [Stack], form: &Form) -> Result<Xml, Refusal> {
    let (stack, exports) = updatable(stacks, form.need("StackName")?)?;
    let wanted = wanted(form, Some(stack))?;
    if difference(stack, &wanted, &exports)?.is_none() {
        return Err(Refusal::invalid("No updates are to be performed."));
    }
    operate::update(cloud, stack, wanted, &exports).await;
    Ok(id(stack))
}

async fn delete(cloud: &LocalCloud, stacks: &mut [Stack], form: &Form) -> Result<Xml, Refusal> {
    // Deleting a stack that does not exist succeeds.
    if let Ok(stack) = existing(stacks, form.need("StackName")?) {
        if stack.is_protected {
            let problem = format!("Stack [{}] cannot be deleted while TerminationProtection is enabled", stack.name);
            return Err(Refusal::invalid(problem));
        }
        operate::delete(cloud, stack).await;
    }
    Ok(Xml::Fields(Vec::new()))
}

fn create_change_set(stacks: &mut Vec<Stack>, form: &Form) -> Result<Xml, Refusal> {
    let (name, set) = (form.need("StackName")?, form.need("ChangeSetName")?);
    if form.get("ChangeSetType") == Some("CREATE") && !stacks.iter().any(|stack| stack.is_called(name)) {
        let mut stack = Stack::new(name_of_new(form)?, wanted(form, None)?);
        stack.become_status("REVIEW_IN_PROGRESS", Some("User Initiated"));
        stacks.push(stack);
    }
    let (stack, exports) = updatable(stacks, name)?;
    if stack.change_sets.iter().any(|known| known.name == set) {
        return Err(Refusal::new("AlreadyExistsException", format!("ChangeSet [{set}] already exists")));
    }
    let wanted = wanted(form, Some(stack))?;
    let changes = difference(stack, &wanted, &exports)?;
    let arn = format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:changeSet/{set}/{}", Ulid::new());
    stack.change_sets.push(StoredChangeSet {
        id: arn.clone(),
        name: set.to_owned(),
        created: now(),
        failure: changes.is_none().then(|| NO_CHANGES.to_owned()),
        changes: changes.unwrap_or_default(),
        wanted,
    });
    Ok(Xml::fields([("Id", Some(Xml::text(arn))), ("StackId", Some(Xml::text(&stack.id)))]))
}

/// Finds a change set by its id, or by its name and its stack's.
fn change_set<'a>(stacks: &'a [Stack], form: &Form) -> Result<(&'a Stack, &'a StoredChangeSet), Refusal> {
    let (name, stack) = (form.need("ChangeSetName")?, form.get("StackName"));
    let mut all = stacks.iter().flat_map(|stack| stack.change_sets.iter().map(move |set| (stack, set)));
    let found = all.find(|(of, set)| set.id == name || (set.name == name && stack.is_some_and(|s| of.is_called(s))));
    found.ok_or_else(|| Refusal::new("ChangeSetNotFound", format!("ChangeSet [{name}] does not exist")))
}

async fn execute_change_set(cloud: &LocalCloud, stacks: &mut [Stack], form: &Form) -> Result<Xml, Refusal> {
    let (stack, set) = change_set(stacks, form)?;
    if set.failure.is_some() {
        let problem = format!("ChangeSet [{}] cannot be executed in its current status of [FAILED]", set.id);
        return Err(Refusal::new("InvalidChangeSetStatus", problem));
    }
    let (name, wanted) = (stack.id.clone(), set.wanted.clone());
    let (stack, exports) = updatable(stacks, &name)?;
    stack.change_sets.clear();
    if stack.status == "REVIEW_IN_PROGRESS" {
        let WantedStack { template, parameters, tags } = wanted;
        (stack.template, stack.parameters, stack.tags) = (template, parameters, tags);
        operate::create(cloud, stack, &exports).await;
    } else {
        operate::update(cloud, stack, wanted, &exports).await;
    }
    Ok(Xml::Fields(Vec::new()))
}

fn delete_change_set(stacks: &mut [Stack], form: &Form) -> Result<Xml, Refusal> {
    if let Ok((stack, set)) = change_set(stacks, form) {
        let (of, id) = (stack.id.clone(), set.id.clone());
        for stack in stacks.iter_mut().filter(|stack| stack.id == of) {
            stack.change_sets.retain(|set| set.id != id);
        }
    }
    Ok(Xml::Fields(Vec::new()))
}

/// Creates the stack with which a local stack starts: the result of `deploy` with the default options.
pub(super) async fn create_own(
    cloud: &LocalCloud,
    parameters: resolve::StackParameters,
    tags: BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let mut stacks = cloud.stacks.lock().await;
    let name = cloud.own.stack.as_str();
    if stacks.iter().any(|stack| stack.is_called(name)) {
        return Ok(());
    }
    let template = crate::template::TEMPLATE;
    let parsed: Value = template::parse(template).map_err(Refusal::invalid)?;
    let given: Vec<_> =
        parameters.iter().map(|(name, value)| [Some(name.as_str()), Some(value.as_str()), None]).collect();
    let parameters = resolve::parameters(&parsed, &given, &BTreeMap::new())?;
    let mut stack = Stack::new(name, WantedStack { template: template.to_owned(), parameters, tags });
    operate::create(cloud, &mut stack, &Exports::new()).await;
    let failed = stack.events.iter().find(|event| event.status.ends_with("_FAILED")).cloned();
    stacks.push(stack);
    cloud.save(&stacks);
    match failed {
        Some(event) => Err(Refusal::invalid(event.reason.unwrap_or_default())),
        None => Ok(()),
    }
}
