//! Determines whose aggregator is attached to a table.

use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationError as Failure;
use zae_limiter::{StackName, aws::Service, namespace::Registry};

use crate::{cli::Context, package::Function};

/// Warns if the Python package's aggregator is attached, or seems to be: it may shard buckets again.
///
/// The runtime of its Lambda function identifies it; if that is unreadable, the writer of the version record does.
pub(super) async fn warning(cx: &Context, stack: &StackName, registry: &Registry) -> Option<String> {
    let again = "may shard the bucket again";
    let lambda = aws_sdk_lambda::Client::new(&cx.sdk_config(Service::Lambda).await.ok()?);
    let name = Function::Aggregator.name_in(stack);
    match lambda.get_function_configuration().function_name(&name).send().await {
        Ok(function) => {
            let runtime = function.runtime.as_ref().map(aws_sdk_lambda::types::Runtime::as_str).unwrap_or_default();
            runtime.starts_with("python").then(|| {
                format!("function {name} runs {runtime}: it is the Python package's aggregator, which {again}")
            })
        }
        Err(error) if error.as_service_error().is_some_and(Failure::is_resource_not_found_exception) => None,
        Err(_) => {
            let record = registry.version_record().await.ok().flatten()?;
            let writer = record.updated_by.filter(|writer| by_reference(writer))?;
            record.lambda_version?;
            Some(format!("the stack was last set up by the Python package ({writer}), whose aggregator {again}"))
        }
    }
}

/// Returns true if the Python package wrote the record. It signs as `cli:0.17.0` or `client:0.17.0`; this project's
/// tools put their name before the version.
fn by_reference(writer: &str) -> bool {
    let version = writer.strip_prefix("cli:").or_else(|| writer.strip_prefix("client:"));
    version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::by_reference;

    #[test]
    fn the_package_is_known_by_how_it_signs() {
        for (writer, expected) in [
            ("cli:0.17.0", true),
            ("client:0.11.2", true),
            ("client:zae-limiter-rs/0.1.0", false),
            ("zae-deploy:0.1.0", false),
            ("somebody", false),
        ] {
            assert_eq!(by_reference(writer), expected, "{writer}");
        }
    }
}
