//! The stack as a Terraform module: the same template inside an `aws_cloudformation_stack`.
//!
//! Every parameter is a variable with the template's type, default and description, and every output an output, so that
//! Terraform users see the module and not the template. The stack remains CloudFormation's: `zae-deploy upgrade`,
//! `status` and `doctor` work on it, and both tools must use the same parameters.

use serde_json::Value;

use super::{TEMPLATE, parameter_names};

/// Returns the module as one HCL file.
///
/// ```
/// let module = zae_deploy::template::terraform();
/// assert!(module.contains("variable \"snapshot_retention_days\""));
/// assert!(module.contains("resource \"aws_cloudformation_stack\" \"limiter\""));
/// ```
pub fn terraform() -> String {
    let template: Value = serde_saphyr::from_str(TEMPLATE).unwrap_or_default();
    let mut module = HEAD.to_owned();
    for name in parameter_names() {
        module.push_str(&variable(name, &template["Parameters"][name]));
    }
    module.push_str("\nresource \"aws_cloudformation_stack\" \"limiter\" {\n  name         = var.name\n");
    module.push_str("  capabilities = [\"CAPABILITY_NAMED_IAM\"]\n  parameters = {\n");
    let widest = parameter_names().map(str::len).max().unwrap_or(0);
    for name in parameter_names() {
        module.push_str(&format!("    {name:<widest$} = var.{}\n", snake(name)));
    }
    // Terraform would interpret the sequences that are meant for CloudFormation.
    let body = TEMPLATE.replace("${", "$${").replace("%{", "%%{");
    module.push_str(&format!("  }}\n  template_body = <<TEMPLATE\n{body}TEMPLATE\n}}\n"));
    let outputs: Vec<&String> = template["Outputs"].as_object().into_iter().flat_map(|it| it.keys()).collect();
    for name in outputs {
        let (label, stack) = (snake(name), "aws_cloudformation_stack.limiter");
        module.push_str(&format!(
            "\noutput \"{label}\" {{\n  description = \"The stack's {name}; null where parameters leave it out.\"\n  \
             value       = lookup({stack}.outputs, \"{name}\", null)\n}}\n"
        ));
    }
    module
}

const HEAD: &str = "\
# Made by `zae-deploy cfn-template --format terraform`.

terraform {
  required_providers {
    aws = {
      source  = \"hashicorp/aws\"
      version = \">= 5.0\"
    }
  }
}

variable \"name\" {
  description = \"Name of the stack, which is also the table's.\"
  type        = string
  default     = \"limiter\"
}
";

/// Formats a parameter as a variable. Numbers stay text, as CloudFormation expects them.
fn variable(name: &str, parameter: &Value) -> String {
    let text = |key: &str| match &parameter[key] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let allowed = parameter["AllowedValues"].as_array().map(|values| {
        let values: Vec<String> = values.iter().filter_map(Value::as_str).map(quoted).collect();
        let list = values.join(", ");
        format!(
            "\n  validation {{\n    condition     = contains([{list}], var.{})\n    \
             error_message = \"One of: {}.\"\n  }}\n",
            snake(name),
            list.replace('"', "")
        )
    });
    format!(
        "\nvariable \"{}\" {{\n  description = {}\n  type        = string\n  default     = {}\n{}}}\n",
        snake(name),
        quoted(&text("Description")),
        quoted(&text("Default")),
        allowed.unwrap_or_default()
    )
}

/// Quotes a text, and escapes Terraform's special sequences.
fn quoted(text: &str) -> String {
    let text = text.trim().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
    format!("\"{}\"", text.replace("${", "$${").replace("%{", "%%{"))
}

/// Converts `EnablePITR` to `enable_pitr`, `AlarmSNSTopicArn` to `alarm_sns_topic_arn`.
fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let after_small = index > 0 && !letters[index - 1].is_uppercase();
        let before_small = letters.get(index + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && index > 0 && (after_small || before_small) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_terraforms() {
        for (name, expected) in [
            ("SnapshotWindows", "snapshot_windows"),
            ("EnablePITR", "enable_pitr"),
            ("PITRRecoveryPeriodDays", "pitr_recovery_period_days"),
            ("AlarmSNSTopicArn", "alarm_sns_topic_arn"),
            ("EnableIAM", "enable_iam"),
        ] {
            assert_eq!(snake(name), expected);
        }
    }

    #[test]
    fn every_parameter_is_a_variable_and_every_placeholder_is_left_to_cloudformation() {
        let module = terraform();
        for name in parameter_names() {
            assert!(module.contains(&format!("variable \"{}\" {{", snake(name))), "{name}");
            assert!(module.contains(&format!(" = var.{}\n", snake(name))), "{name}");
        }
        let unescaped = module.match_indices("${").filter(|(at, _)| !module[..*at].ends_with('$'));
        assert_eq!(unescaped.count(), 0);
        assert_eq!(TEMPLATE.matches("${").count(), module.matches("$${").count());
        assert!(module.contains("output \"table_name\""), "outputs");
    }
}
