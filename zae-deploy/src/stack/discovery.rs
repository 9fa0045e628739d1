//! Finds stacks: [`list_deployed`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::{
    cloud::Cloud,
    describe::{DeployedStack, find},
    error::StackError,
    state::StackState,
    tags,
};

/// A deployed rate limiter.
///
/// ```no_run
/// # async fn list() -> Result<(), zae_deploy::stack::StackError> {
/// use zae_deploy::stack::{Cloud, list_deployed};
/// let cloud = Cloud::connect(Some("us-east-1".into()), None).await?;
/// for limiter in list_deployed(&cloud).await? {
///     if limiter.is_healthy() {
///         println!("✓ {}: {}", limiter.user_name, limiter.version.as_deref().unwrap_or("-"));
///     } else if limiter.is_failed() {
///         println!("✗ {}: {}", limiter.user_name, limiter.stack_status);
///     } else if limiter.is_in_progress() {
///         println!("⏳ {}: {}", limiter.user_name, limiter.stack_status);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LimiterInfo {
    /// The stack's name, which is also the table's.
    pub stack_name: String,
    /// The display name: without the prefix of very old stacks.
    pub user_name: String,
    /// The region it is in.
    pub region: String,
    /// The state of the stack.
    pub stack_status: StackState,
    /// The version of the tool that deployed it.
    pub version: Option<String>,
    /// The level of its Lambda functions.
    pub lambda_version: Option<String>,
    /// The schema of its table.
    pub schema_version: Option<String>,
    /// The kind of stack: `limiter`, or `load-test` for those of the Python package.
    pub stack_type: String,
    /// Time of its creation, in epoch seconds; serialized as RFC 3339 in UTC.
    #[serde(serialize_with = "rfc3339")]
    pub created_at: Option<i64>,
    /// Time of its last update, in epoch seconds; serialized as RFC 3339 in UTC.
    #[serde(serialize_with = "rfc3339")]
    pub updated_at: Option<i64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option, reason = "serde calls it like this")]
fn rfc3339<S: Serializer>(seconds: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).map(|time| time.to_string()).serialize(serializer)
}

impl LimiterInfo {
    /// Returns true if the last operation on the stack succeeded.
    pub fn is_healthy(&self) -> bool {
        self.stack_status.is_healthy()
    }

    /// Returns true if an operation is under way.
    pub fn is_in_progress(&self) -> bool {
        self.stack_status.is_in_progress()
    }

    /// Returns true if the last operation failed or was rolled back.
    pub fn is_failed(&self) -> bool {
        self.stack_status.is_failed()
    }

    /// Returns true if it is a rate limiter, as opposed to a load test of one.
    pub fn is_limiter(&self) -> bool {
        self.stack_type == tags::LIMITER
    }

    fn new(stack: DeployedStack, region: &str) -> Self {
        let tag = |key: &str| stack.tags.get(key).filter(|value| !value.is_empty()).cloned();
        Self {
            user_name: tag(tags::NAME).unwrap_or_else(|| tags::user_name(&stack.name).to_owned()),
            region: region.to_owned(),
            version: tag(tags::VERSION),
            lambda_version: tag(tags::LAMBDA),
            schema_version: tag(tags::SCHEMA).or_else(|| stack.parameters.get("SchemaVersion").cloned()),
            stack_type: tag(tags::TYPE).unwrap_or_else(|| tags::LIMITER.to_owned()),
            created_at: stack.created_at,
            updated_at: stack.updated_at,
            stack_name: stack.name,
            stack_status: stack.state,
        }
    }
}

/// Lists the rate limiters of a region, by name: those deployed by this tool or the Python package, and those from the
/// exported template, which have no tags with versions.
///
/// # Errors
/// [`StackError::Denied`] without the permission `cloudformation:DescribeStacks`; `tag:GetResources` is optional.
pub async fn list_deployed(cloud: &Cloud) -> Result<Vec<LimiterInfo>, StackError> {
    let mut found = BTreeMap::new();
    let mut pages = cloud.cloudformation().describe_stacks().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| StackError::from_sdk("cloudformation:DescribeStacks", error))?;
        let stacks = page.stacks.unwrap_or_default().into_iter().map(DeployedStack::from_sdk);
        let ours = stacks.filter(|stack| !stack.state.is_deleted() && stack.says_it_is_a_limiter());
        found.extend(ours.map(|stack| (stack.name.clone(), LimiterInfo::new(stack, cloud.region()))));
    }
    for name in tagged(cloud).await {
        if found.contains_key(&name) {
            continue;
        }
        // A stack that cannot be described counts as not deployed.
        let stack = find(cloud, &name).await.ok().flatten().filter(|stack| !stack.state.is_deleted());
        found.extend(stack.map(|stack| (name, LimiterInfo::new(stack, cloud.region()))));
    }
    let mut limiters: Vec<_> = found.into_values().collect();
    limiters.sort_by(|a, b| a.user_name.cmp(&b.user_name));
    Ok(limiters)
}

/// Lists the names that the tagging service knows, which may be more recent than the other list. Without the
/// permission, the list is empty.
async fn tagged(cloud: &Cloud) -> Vec<String> {
    use aws_sdk_resourcegroupstagging::types::TagFilter;
    let ours = TagFilter::builder().key(tags::MANAGED_BY).values(tags::OWNER).build();
    let request = cloud.tagging().get_resources().resource_type_filters("cloudformation:stack").tag_filters(ours);
    let mut pages = request.into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        let Ok(page) = page else { break };
        let arns = page.resource_tag_mapping_list.unwrap_or_default().into_iter().filter_map(|m| m.resource_arn);
        names.extend(arns.filter_map(|arn| arn.split('/').nth(1).map(str::to_owned)));
    }
    names
}
