//! The stack's CloudFormation template: one source for deployments by `zae-deploy` and for the output of
//! `cfn-template`.
//!
//! Its parameters can be combined freely. The functions are created from packages in S3 if `CodeBucket` and the keys
//! are given; otherwise they start as placeholders that fail until their code is uploaded. Their runtime is then
//! Python, because CloudFormation supports inline code for no other suitable runtime:
//!
//! ```text
//! zae-deploy cfn-template > template.yaml
//! aws cloudformation deploy --template-file template.yaml --stack-name limiter --capabilities CAPABILITY_NAMED_IAM
//! zae-deploy lambda-export --output lambda.zip
//! aws lambda update-function-code --function-name limiter-aggregator --zip-file fileb://lambda.zip
//! ```

mod terraform;

pub use terraform::terraform;

/// The template, as YAML.
///
/// ```
/// assert!(zae_deploy::template::TEMPLATE.contains("AWS::DynamoDB::Table"));
/// assert!(zae_deploy::template::TEMPLATE.len() < zae_deploy::template::MAX_INLINE_BYTES);
/// ```
pub const TEMPLATE: &str = include_str!("stack.yaml");

/// Maximum length of a template that is sent inline to CloudFormation, in bytes.
pub const MAX_INLINE_BYTES: usize = 51_200;

/// Returns the names of its parameters.
pub fn parameter_names() -> impl Iterator<Item = &'static str> {
    let section = TEMPLATE.lines().skip_while(|line| *line != "Parameters:").skip(1);
    section
        .take_while(|line| line.is_empty() || line.starts_with(' '))
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|rest| rest.split(':').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_into_a_request_and_has_its_parameters() {
        // Some room for what a stack needs next.
        assert!(TEMPLATE.len() + 256 <= MAX_INLINE_BYTES, "{} bytes", TEMPLATE.len());
        let names: Vec<_> = parameter_names().collect();
        assert_eq!(names.first(), Some(&"SnapshotWindows"));
        assert_eq!(names.last(), Some(&"NamespaceReadOnlyPolicyName"));
    }
}
