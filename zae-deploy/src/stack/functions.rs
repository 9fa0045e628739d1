//! The code that a stack's functions actually run: [`DeployedFunction`].

use aws_sdk_lambda::error::ProvideErrorMetadata;
use serde::Serialize;

use super::{cloud::Cloud, describe::DeployedStack};
use crate::package::Function;

/// The module and function of the template's inline code, and of the packages that replace it.
const INDEX: &str = "index.handler";
/// Smaller than any package and larger than any placeholder, in bytes.
const SMALLEST_PACKAGE: i64 = 4_096;
/// Prefix of the Python package's handlers.
const REFERENCE: &str = "zae_limiter_";

/// A function of a stack, as reported by Lambda.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeployedFunction {
    /// Its name.
    pub name: String,
    /// The code that it runs.
    pub runs: Runs,
    /// Lambda's name for its runtime.
    pub runtime: Option<String>,
    /// Its entry point.
    pub handler: Option<String>,
    /// The SHA-256 of its package, in base64.
    pub code_sha256: Option<String>,
    #[serde(skip)]
    function: Function,
}

/// The code that a function runs.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Runs {
    /// A package of this project.
    Package,
    /// The template's inline code, which fails.
    Placeholder,
    /// The Python package's function.
    PythonPackage,
    /// Something else.
    Other,
    /// The function was deleted.
    Missing,
    /// Lambda does not report it.
    Unknown,
}

impl DeployedFunction {
    /// Returns the function's role in the stack.
    pub fn function(&self) -> Function {
        self.function
    }
}

/// Returns the functions named in the stack's outputs. Unreadable ones are [`Runs::Unknown`]: inspecting a stack does
/// not require the permission `lambda:GetFunctionConfiguration`.
pub async fn functions(cloud: &Cloud, stack: &DeployedStack) -> Vec<DeployedFunction> {
    let rows = [(Function::Aggregator, "AggregatorFunctionName"), (Function::Provisioner, "ProvisionerFunctionName")];
    let mut found = Vec::new();
    for (function, output) in rows {
        if let Some(name) = stack.outputs.get(output) {
            found.push(configured(cloud, function, name).await);
        }
    }
    found
}

async fn configured(cloud: &Cloud, function: Function, name: &str) -> DeployedFunction {
    let unread = |runs| DeployedFunction {
        name: name.to_owned(),
        runs,
        runtime: None,
        handler: None,
        code_sha256: None,
        function,
    };
    let told = match cloud.lambda().get_function_configuration().function_name(name).send().await {
        Ok(told) => told,
        Err(error) if error.code() == Some("ResourceNotFoundException") => return unread(Runs::Missing),
        Err(error) => {
            tracing::debug!(%error, name, "the function's configuration cannot be read");
            return unread(Runs::Unknown);
        }
    };
    let handler = told.handler.unwrap_or_default();
    if handler.is_empty() {
        return unread(Runs::Unknown);
    }
    DeployedFunction {
        runs: runs(&handler, told.code_size),
        runtime: told.runtime.map(|runtime| runtime.as_str().to_owned()),
        handler: Some(handler),
        code_sha256: told.code_sha256,
        ..unread(Runs::Unknown)
    }
}

/// A package that was uploaded over a placeholder keeps its handler.
fn runs(handler: &str, bytes: i64) -> Runs {
    match handler {
        INDEX if bytes < SMALLEST_PACKAGE => Runs::Placeholder,
        INDEX | "bootstrap" => Runs::Package,
        other if other.starts_with(REFERENCE) => Runs::PythonPackage,
        _ => Runs::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_function_runs_is_told_by_its_entry_and_its_size() {
        for (handler, bytes, expected) in [
            ("index.handler", 318, Runs::Placeholder),
            ("index.handler", 3_900_000, Runs::Package),
            ("bootstrap", 3_900_000, Runs::Package),
            ("zae_limiter_aggregator.handler.handler", 30_000, Runs::PythonPackage),
            ("app.main", 30_000, Runs::Other),
        ] {
            assert_eq!(runs(handler, bytes), expected, "{handler}, {bytes} bytes");
        }
    }
}
