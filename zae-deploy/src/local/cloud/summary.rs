//! Summaries of templates, which CloudFormation returns without creating anything.

use serde_json::Value;

use super::xml::Xml;

/// The capabilities that a caller has to grant for the template.
pub(super) fn capabilities(template: &Value) -> &'static [&'static str] {
    let mut kinds = resources(template).filter_map(|resource| resource["Type"].as_str());
    if kinds.any(|kind| kind.starts_with("AWS::IAM::")) { &["CAPABILITY_NAMED_IAM"] } else { &[] }
}

fn resources(template: &Value) -> impl Iterator<Item = &Value> {
    template["Resources"].as_object().into_iter().flatten().map(|(_, resource)| resource)
}

/// Builds the response to `GetTemplateSummary`.
pub(super) fn summary(template: &Value) -> Xml {
    let kinds = resources(template).filter_map(|resource| resource["Type"].as_str()).map(Xml::text);
    Xml::fields([
        ("Parameters", Some(Xml::Members(parameters(template)))),
        ("Description", text(&template["Description"])),
        ("Capabilities", Some(granted(template))),
        ("ResourceTypes", Some(Xml::Members(kinds.collect()))),
        ("Version", text(&template["AWSTemplateFormatVersion"])),
    ])
}

/// Builds the response to `ValidateTemplate` for a valid template.
pub(super) fn validation(template: &Value) -> Xml {
    Xml::fields([
        ("Parameters", Some(Xml::Members(parameters(template)))),
        ("Description", text(&template["Description"])),
        ("Capabilities", Some(granted(template))),
    ])
}

fn granted(template: &Value) -> Xml {
    Xml::Members(capabilities(template).iter().copied().map(Xml::text).collect())
}

fn parameters(template: &Value) -> Vec<Xml> {
    let declared = template["Parameters"].as_object().into_iter().flatten();
    declared
        .map(|(name, declared)| {
            let allowed = declared["AllowedValues"].as_array();
            let allowed = allowed.map(|values| Xml::Members(values.iter().filter_map(text).collect()));
            Xml::fields([
                ("ParameterKey", Some(Xml::text(name))),
                ("DefaultValue", text(&declared["Default"])),
                ("ParameterType", text(&declared["Type"])),
                ("NoEcho", Some(Xml::text((declared["NoEcho"] == true).to_string()))),
                ("Description", text(&declared["Description"])),
                ("ParameterConstraints", allowed.map(|allowed| Xml::fields([("AllowedValues", Some(allowed))]))),
            ])
        })
        .collect()
}

/// Formats scalars as CloudFormation does, all of them as text.
fn text(value: &Value) -> Option<Xml> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => Some(Xml::text(text)),
        other => Some(Xml::text(other.to_string())),
    }
}
