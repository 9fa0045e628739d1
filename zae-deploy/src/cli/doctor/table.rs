//! Checks of the table: its state, its required features, and its records.

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata,
    types::{StreamViewType, TableDescription, TableStatus, TimeToLiveStatus},
};
use zae_limiter::{
    NamespaceName, RepositoryError, StackName,
    name::DEFAULT_NAMESPACE,
    namespace::Registry,
    version::{COMPATIBILITY_LEVEL, Compatibility, VersionRecord},
};

use super::{
    finding::{Finding, innermost, unanswered},
    place::ExaminedAccount,
};
use crate::cli::{CliError, Context, args::NamespaceArgs};

/// The attribute that holds the expiry of items.
const TTL_ATTRIBUTE: &str = "ttl";
/// The indexes for listing entities, usage and configurations.
const INDEXES: [&str; 3] = ["GSI1", "GSI2", "GSI3"];

/// The result of the first check: is there a table?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    Yes,
    No,
}

pub(super) async fn examine(
    cx: &Context,
    place: &ExaminedAccount,
    stack: &StackName,
    namespace: &NamespaceArgs,
) -> (Vec<Finding>, Stands) {
    let client = place.cloud.dynamodb();
    let described = client.describe_table().table_name(stack.as_str()).send().await;
    let table = match described {
        Ok(answer) => answer.table.unwrap_or_else(|| TableDescription::builder().build()),
        Err(error) if error.code() == Some("ResourceNotFoundException") => {
            let missing = Finding::failed("table", format!("there is no table '{stack}' in {}", place.cloud.region()))
                .next(format!("{} creates it", cx.command("deploy")))
                .next("`zae-deploy list` shows the stacks of a region");
            return (vec![missing], Stands::No);
        }
        Err(error) => match error.code() {
            Some("UnrecognizedClientException" | "InvalidSignatureException" | "ExpiredTokenException") => {
                let refused = format!("DynamoDB does not accept the credentials: {}", innermost(&error));
                return (vec![Finding::failed("table", refused)], Stands::No);
            }
            code => return (vec![unanswered("table", "dynamodb:DescribeTable", code, &error)], Stands::Yes),
        },
    };
    let mut found = vec![state(&table), indexes(cx, &table), stream(cx, &table)];
    found.push(time_to_live(cx, &client, stack).await);
    found.extend(records(cx, &client, stack, namespace).await);
    (found, Stands::Yes)
}

fn state(table: &TableDescription) -> Finding {
    let protected = table.deletion_protection_enabled == Some(true);
    match &table.table_status {
        Some(TableStatus::Active) if protected => Finding::ok("table", "active, protected against deletion"),
        Some(TableStatus::Active) => Finding::ok("table", "active"),
        Some(TableStatus::Updating) => Finding::ok("table", "active; an update is being made"),
        Some(TableStatus::Creating) => {
            Finding::warning("table", "it is being created").next("wait a minute, and ask again")
        }
        other => Finding::failed("table", other.as_ref().map_or("in no known state", TableStatus::as_str))
            .next("the AWS console says more about the table"),
    }
}

fn indexes(cx: &Context, table: &TableDescription) -> Finding {
    let has = |name: &str| table.global_secondary_indexes().iter().any(|index| index.index_name() == Some(name));
    let missing: Vec<&str> = INDEXES.into_iter().filter(|name| !has(name)).collect();
    if missing.is_empty() {
        return Finding::ok("indexes", INDEXES.join(", "));
    }
    Finding::failed("indexes", format!("missing: {}", missing.join(", ")))
        .next(format!("{} brings the template's back", cx.command("upgrade")))
}

fn stream(cx: &Context, table: &TableDescription) -> Finding {
    let stream = table.stream_specification().filter(|stream| stream.stream_enabled());
    match stream.and_then(|stream| stream.stream_view_type()) {
        Some(StreamViewType::NewAndOldImages) => Finding::ok("stream", "on, with both images"),
        Some(other) => Finding::failed("stream", format!("has {}: the aggregator needs both images", other.as_str()))
            .next(format!("{} brings the template's back", cx.command("upgrade"))),
        None => Finding::warning("stream", "off: no usage is recorded, nothing is refilled ahead of need")
            .next(format!("{} deploys it with the aggregator", cx.command("deploy"))),
    }
}

async fn time_to_live(cx: &Context, client: &aws_sdk_dynamodb::Client, stack: &StackName) -> Finding {
    let answer = match client.describe_time_to_live().table_name(stack.as_str()).send().await {
        Ok(answer) => answer,
        Err(error) => return unanswered("time to live", "dynamodb:DescribeTimeToLive", error.code(), &error),
    };
    let description = answer.time_to_live_description;
    let attribute = description.as_ref().and_then(|it| it.attribute_name()).unwrap_or_default();
    match description.as_ref().and_then(|it| it.time_to_live_status()) {
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) if attribute == TTL_ATTRIBUTE => {
            Finding::ok("time to live", format!("on, by '{TTL_ATTRIBUTE}'"))
        }
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) => {
            Finding::failed("time to live", format!("on, but by '{attribute}' and not by '{TTL_ATTRIBUTE}'"))
                .next(format!("{} brings the template's back", cx.command("upgrade")))
        }
        _ => Finding::failed("time to live", "off: idle buckets, old usage and audit events are never removed").next(
            format!(
                "aws dynamodb update-time-to-live --table-name {stack} \
                 --time-to-live-specification Enabled=true,AttributeName={TTL_ATTRIBUTE}"
            ),
        ),
    }
}

async fn records(
    cx: &Context,
    client: &aws_sdk_dynamodb::Client,
    stack: &StackName,
    namespace: &NamespaceArgs,
) -> Vec<Finding> {
    let builder = zae_limiter::Repository::builder().stack(stack).client(client.clone());
    let registry = match builder.build_registry().await {
        Ok(registry) => registry,
        Err(error) => return vec![unread("version", &error)],
    };
    let version = match registry.version_record().await {
        Ok(record) => version(cx, record),
        Err(error) => unread("version", &error),
    };
    vec![version, self::namespace(cx, &registry, namespace).await]
}

fn unread(name: &'static str, error: &RepositoryError) -> Finding {
    match error {
        RepositoryError::Store(store) => unanswered(name, "dynamodb:GetItem", store.code(), error),
        error => Finding::failed(name, error.to_string()),
    }
}

fn version(cx: &Context, record: Option<VersionRecord>) -> Finding {
    let Some(record) = record else {
        return Finding::failed("version", "the table has no version record: nobody has opened it yet")
            .next(format!("{} writes it", cx.command("namespace register default")));
    };
    let level = match COMPATIBILITY_LEVEL.parse() {
        Ok(level) => level,
        Err(error) => return Finding::failed("version", format!("this tool's level is unreadable: {error}")),
    };
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    match record.compatibility(&level) {
        Compatibility::Compatible => {
            let lambda = or(&record.lambda_version);
            Finding::ok("version", format!("level {COMPATIBILITY_LEVEL}, functions {lambda}"))
        }
        Compatibility::LambdaOutdated => Finding::warning(
            "version",
            format!("functions {}, this tool {COMPATIBILITY_LEVEL}", or(&record.lambda_version)),
        )
        .next(format!("{} brings them up to date", cx.command("upgrade"))),
        Compatibility::ClientTooOld { minimum } => {
            Finding::failed("version", format!("the table asks for clients of level {minimum} or newer"))
                .next("install a newer zae-deploy")
        }
        Compatibility::IncompatibleSchema { schema } => {
            Finding::failed("version", format!("the table has schema {schema}, which this tool does not speak"))
                .next("install the zae-deploy that deployed it")
        }
        _ => Finding::failed("version", "the table asks for what this tool does not know")
            .next("install a newer zae-deploy"),
    }
}

async fn namespace(cx: &Context, registry: &Registry, args: &NamespaceArgs) -> Finding {
    let given = args.namespace.as_deref().filter(|name| !name.is_empty());
    let name = match NamespaceName::new(given.unwrap_or(DEFAULT_NAMESPACE)) {
        Ok(name) => name,
        Err(error) => return Finding::failed("namespace", error.to_string()),
    };
    let opened = cx.repository(&NamespaceArgs { namespace: Some(name.to_string()) }).await;
    match opened {
        Ok(repository) => Finding::ok("namespace", format!("'{name}' (id {})", repository.namespace_id())),
        Err(error @ CliError::Problem { .. }) => {
            let finding = Finding::failed("namespace", error.to_string());
            error.advice().iter().fold(finding, |finding, next| finding.next(next.clone()))
        }
        Err(_) => match registry.namespace_info(&name).await {
            Err(error) => unread("namespace", &error),
            Ok(_) => Finding::failed("namespace", format!("'{name}' cannot be opened")),
        },
    }
}
