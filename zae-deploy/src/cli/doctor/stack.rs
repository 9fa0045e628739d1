//! Checks of the stack around the table: its state, its functions, their streams and dead letters, its alarms.

use aws_sdk_lambda::{error::ProvideErrorMetadata as _, types::EventSourceMappingConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use zae_limiter::{
    StackName,
    aws::{Service, is_loopback},
};

use super::{
    finding::{Finding, innermost, unanswered},
    place::ExaminedAccount,
    table::Stands,
};
use crate::{
    cli::Context,
    package::Function,
    stack::{DeployedFunction, DeployedStack, Runs, StackError, describe, functions},
};

pub(super) async fn examine(cx: &Context, place: &ExaminedAccount, name: &StackName, table: Stands) -> Vec<Finding> {
    let stack = match describe(&place.cloud, name).await {
        Ok(Some(stack)) => stack,
        Ok(None) if table == Stands::No => return Vec::new(),
        Ok(None) => {
            return vec![
                Finding::warning("stack", "the table stands alone: CloudFormation has no stack of that name").next(
                    format!("{} makes a stack; a table of the same name must not exist then", cx.command("deploy")),
                ),
            ];
        }
        Err(error) => return vec![undescribed(&error)],
    };
    let mut found = vec![state(cx, &stack, name), tags(cx, &stack)];
    let functions = functions(&place.cloud, &stack).await;
    if functions.is_empty() {
        let says = "none: no usage is recorded, and manifests are applied with --direct";
        found.push(Finding::warning("functions", says).next(format!("{} adds them", cx.command("deploy"))));
    }
    found.extend(functions.iter().map(|function| code(cx, function)));
    if let Some(aggregator) = functions.iter().find(|function| function.function() == Function::Aggregator) {
        found.push(mapping(cx, place, &aggregator.name).await);
        found.push(dead_letters(place, name).await);
    }
    found.push(alarms(&stack, name));
    found
}

fn undescribed(error: &StackError) -> Finding {
    match error {
        StackError::Denied { .. } => Finding::skipped("stack", "not allowed to ask (cloudformation:DescribeStacks)"),
        error => Finding::skipped("stack", format!("CloudFormation does not answer: {}", innermost(error))),
    }
}

fn state(cx: &Context, stack: &DeployedStack, name: &StackName) -> Finding {
    let state = &stack.state;
    let reason = stack.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let says = format!("{state}{reason}");
    if state.is_in_progress() {
        return Finding::warning("stack", says).next(format!("{} follows it", cx.command("status")));
    }
    if state.is_healthy() {
        return Finding::ok("stack", says);
    }
    let finding = match state.is_usable() {
        true => Finding::warning("stack", format!("{says}; it works as before the last update")),
        false => Finding::failed("stack", says),
    };
    state.advice(name).into_iter().fold(finding, Finding::next)
}

fn tags(cx: &Context, stack: &DeployedStack) -> Finding {
    if stack.tags.contains_key("ManagedBy") {
        return Finding::ok("tags", "the stack is found by its tags");
    }
    Finding::warning("tags", "missing: Python tools list the stack by them, cost reports group by them")
        .next(format!("{} adds them", cx.command("upgrade")))
}

fn code(cx: &Context, function: &DeployedFunction) -> Finding {
    let name = &function.name;
    match function.runs {
        Runs::Package => Finding::ok("function", format!("{name} runs this project's package")),
        Runs::PythonPackage => Finding::ok("function", format!("{name} runs the Python package's")),
        Runs::Placeholder => Finding::failed("function", format!("{name} is the template's placeholder, which fails"))
            .next(format!("{} uploads its code", cx.command("upgrade --lambda-only"))),
        Runs::Missing => Finding::failed("function", format!("{name} was deleted"))
            .next(format!("{} brings it back", cx.command("deploy"))),
        Runs::Other => Finding::warning(
            "function",
            format!("{name} runs other code ({})", function.handler.as_deref().unwrap_or("unknown")),
        )
        .next(format!("{} uploads this project's", cx.command("upgrade --lambda-only"))),
        Runs::Unknown => Finding::skipped("function", format!("not allowed to look at {name}")),
    }
}

async fn mapping(cx: &Context, place: &ExaminedAccount, function: &str) -> Finding {
    let asked = place.cloud.lambda().list_event_source_mappings().function_name(function).send().await;
    let mappings = match asked {
        Ok(answer) => answer.event_source_mappings.unwrap_or_default(),
        Err(error) => return unanswered("event source", "lambda:ListEventSourceMappings", error.code(), &error),
    };
    let Some(mapping) = mappings.iter().find(|it| it.event_source_arn().is_some_and(|arn| arn.contains(":dynamodb:")))
    else {
        return Finding::failed("event source", format!("{function} reads no stream"))
            .next(format!("{} brings the mapping back", cx.command("deploy")));
    };
    mapped(mapping, function)
}

/// Checks a stream's mapping.
fn mapped(mapping: &EventSourceMappingConfiguration, function: &str) -> Finding {
    let id = mapping.uuid().unwrap_or("UUID");
    let result = mapping.last_processing_result().unwrap_or("No records processed");
    match mapping.state().unwrap_or("unknown") {
        "Enabled" | "Creating" | "Enabling" | "Updating" if result.starts_with("PROBLEM") => {
            Finding::failed("event source", format!("{function} fails on what it reads: {result}"))
                .next(format!("the function's log has more: /aws/lambda/{function}"))
        }
        state @ ("Enabled" | "Creating" | "Enabling" | "Updating") => {
            Finding::ok("event source", format!("{}, {result}", state.to_lowercase()))
        }
        state => Finding::failed("event source", format!("{state}: no usage is recorded"))
            .next(format!("aws lambda update-event-source-mapping --uuid {id} --enabled")),
    }
}

async fn dead_letters(place: &ExaminedAccount, name: &StackName) -> Finding {
    let client = aws_sdk_sqs::Client::new(&place.config);
    let queue = format!("{name}-aggregator-dlq");
    let url = match client.get_queue_url().queue_name(&queue).send().await {
        Ok(answer) => answer.queue_url.unwrap_or_default(),
        Err(error) => return no_queue(place, error.code(), &error),
    };
    let wanted = QueueAttributeName::ApproximateNumberOfMessages;
    let asked = client.get_queue_attributes().queue_url(&url).attribute_names(wanted.clone()).send().await;
    let attributes = match asked {
        Ok(answer) => answer.attributes.unwrap_or_default(),
        Err(error) => return no_queue(place, error.code(), &error),
    };
    match attributes.get(&wanted).map(String::as_str) {
        Some("0") => Finding::ok("dead letters", "none"),
        Some(count) => {
            Finding::failed("dead letters", format!("{count} batch(es) that the aggregator could not process"))
                .next(format!("aws sqs receive-message --queue-url {url}"))
                .next(format!("the function's log has the reason: /aws/lambda/{name}-aggregator"))
        }
        None => Finding::skipped("dead letters", "the queue does not say"),
    }
}

/// Local stacks keep dead letters in a file instead of a queue.
fn no_queue(place: &ExaminedAccount, code: Option<&str>, error: &dyn std::error::Error) -> Finding {
    let here = Service::DynamoDb.endpoint(&place.config).is_some_and(|url| is_loopback(&url));
    match code {
        _ if here => {
            Finding::skipped("dead letters", "this stack has no queue").next("`zae-deploy local status` counts them")
        }
        code => unanswered("dead letters", "sqs:GetQueueAttributes", code, error),
    }
}

/// Checks the stack's parameters for alarms; their state is only known to CloudWatch.
fn alarms(stack: &DeployedStack, name: &StackName) -> Finding {
    let parameter = |key: &str| stack.parameters.get(key).map(String::as_str).unwrap_or_default();
    let shows = format!("aws cloudwatch describe-alarms --alarm-name-prefix {name}- --state-value ALARM");
    if parameter("EnableAlarms") == "false" {
        return Finding::warning("alarms", "none: nobody is told of throttling, lag or dead letters")
            .next("deploy with --enable-alarms and --alarm-sns-topic");
    }
    if parameter("AlarmSNSTopicArn").is_empty() {
        return Finding::warning("alarms", "there are some, and they tell nobody")
            .next("deploy with --alarm-sns-topic")
            .next(format!("{shows} lists those that are raised"));
    }
    Finding::ok("alarms", format!("they tell {}", parameter("AlarmSNSTopicArn")))
}

#[cfg(test)]
mod tests {
    use super::{EventSourceMappingConfiguration, mapped};
    use crate::cli::doctor::finding::State;

    #[test]
    fn a_mapping_must_be_on_and_must_not_fail() {
        let judged = |state: &str, result: &str| {
            let mapping = EventSourceMappingConfiguration::builder().state(state).last_processing_result(result);
            mapped(&mapping.build(), "limiter-aggregator").state
        };
        assert_eq!(judged("Enabled", "OK"), State::Ok);
        assert_eq!(judged("Enabled", "PROBLEM: Function call failed"), State::Failed);
        assert_eq!(judged("Disabled", "OK"), State::Failed);
    }
}
