//! A plan in a file: `limits plan -o FILE`, and `limits apply FILE`.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zae_limiter::{NamespaceId, NamespaceName, StackName};

use crate::{
    cli::{CliError, Context},
    manifest::Manifest,
    provisioner::Plan,
};

/// The version of the file's format.
const FORM: u32 = 1;

/// A plan with everything needed to apply it: later changes to the file of limits do not affect it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedPlan {
    form: u32,
    pub(super) stack: StackName,
    pub(super) namespace: NamespaceName,
    /// The id, because a namespace that was deleted and registered again is a different one.
    pub(super) namespace_id: NamespaceId,
    manifest: Value,
    pub(super) plan: Plan,
}

impl SavedPlan {
    pub(super) fn new(
        (stack, namespace, namespace_id): (StackName, NamespaceName, NamespaceId),
        manifest: &Manifest,
        plan: Plan,
    ) -> Self {
        Self { form: FORM, stack, namespace, namespace_id, manifest: manifest.to_json(), plan }
    }

    pub(super) fn write(&self, file: &Path) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| CliError::failed("write JSON", error))?;
        fs::write(file, text + "\n").map_err(|error| CliError::failed(format!("write {}", file.display()), error))
    }

    pub(super) fn read(file: &Path) -> Result<Self, CliError> {
        let shown = file.display();
        let text = fs::read_to_string(file).map_err(|error| CliError::failed(format!("read {shown}"), error))?;
        let value: Value = serde_json::from_str(&text).map_err(|error| no_plan(file, &error))?;
        match value.get("form").and_then(Value::as_u64) {
            Some(form) if form == u64::from(FORM) => {}
            Some(form) => {
                let problem = format!("{shown} has form {form} of saved plans; this tool knows form {FORM}");
                return Err(CliError::problem(problem).next("make the plan again with this version of zae-deploy"));
            }
            None => return Err(no_plan(file, &"it has no `form`")),
        }
        serde_json::from_value(value).map_err(|error| no_plan(file, &error))
    }

    /// Returns the limits that it applies.
    pub(super) fn manifest(&self, file: &Path) -> Result<Manifest, CliError> {
        Manifest::from_json(&self.manifest).map_err(|error| no_plan(file, &error))
    }

    /// Fails unless the command is about the same stack.
    pub(super) fn check_stack(&self, cx: &Context) -> Result<(), CliError> {
        let stack = cx.named_stack()?;
        if stack == self.stack {
            return Ok(());
        }
        let problem = format!("The plan is for stack '{}', the command for '{stack}'", self.stack);
        Err(CliError::problem(problem).next(format!("add --name {} to carry it out", self.stack)))
    }
}

fn no_plan(file: &Path, why: &dyn std::fmt::Display) -> CliError {
    CliError::problem(format!("{} is not a saved plan: {why}", file.display()))
        .next("`zae-deploy limits plan -f limits.yaml -o FILE` makes one")
        .next("a file of limits is applied by `zae-deploy limits apply -f FILE`")
}

/// Creates the error of a plan that no longer matches the stored limits.
pub(super) fn moved(cx: &Context, file: &Path) -> CliError {
    let problem = format!("The limits have changed since {} was made; nothing was applied", file.display());
    CliError::problem(problem)
        .next(format!("{} shows the changes that are to be made now", cx.command("limits plan -f limits.yaml")))
}
