//! Compares the resources of a stack with the template.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    moto::Moto,
    resolve::{self, Parameters},
};

/// Properties that `moto` does not keep, or has no call for, by type.
const UNTOLD: [(&str, &[&str]); 8] = [
    ("AWS::DynamoDB::Table", &["TimeToLiveSpecification", "PointInTimeRecoverySpecification", "Tags"]),
    ("AWS::IAM::ManagedPolicy", &[]),
    ("AWS::IAM::Role", &["ManagedPolicyArns", "Tags"]),
    ("AWS::Lambda::Function", &["Code", "Tags", "TracingConfig"]),
    ("AWS::Lambda::EventSourceMapping", &[]),
    ("AWS::SQS::Queue", &["Tags"]),
    ("AWS::Logs::LogGroup", &[]),
    (
        "AWS::S3::Bucket",
        &["LifecycleConfiguration", "PublicAccessBlockConfiguration", "Tags", "VersioningConfiguration"],
    ),
];

/// A stack as its services describe it.
struct Inventory {
    stack: String,
    parameters: Parameters,
    resources: Map<String, Value>,
}

impl Inventory {
    async fn of(moto: &Moto, stack: &str) -> Self {
        let program = include_str!("inventory.py").replace("sys.argv[1]", &format!("{stack:?}"));
        let told: Value = serde_json::from_str(&moto.python(&program).await).unwrap();
        let parameters: BTreeMap<String, String> = serde_json::from_value(told["parameters"].clone()).unwrap();
        Self { stack: stack.to_owned(), parameters, resources: told["resources"].as_object().unwrap().clone() }
    }

    /// Evaluates the functions in a template's value.
    fn evaluate(&self, value: &Value) -> Value {
        match value {
            Value::Object(object) if object.len() == 1 => {
                let (function, argument) = object.iter().next().unwrap();
                match function.as_str() {
                    "Ref" => self.reference(argument.as_str().unwrap()),
                    "Fn::GetAtt" => self.attribute(argument[0].as_str().unwrap(), argument[1].as_str().unwrap()),
                    "Fn::Sub" => self.substitute(argument.as_str().unwrap()).into(),
                    _ => json!({function: self.evaluate(argument)}),
                }
            }
            Value::Object(object) => {
                object.iter().map(|(name, value)| (name.clone(), self.evaluate(value))).collect::<Map<_, _>>().into()
            }
            Value::Array(list) => list.iter().map(|value| self.evaluate(value)).collect(),
            other => other.clone(),
        }
    }

    fn reference(&self, name: &str) -> Value {
        let pseudo = [
            ("AWS::StackName", &*self.stack),
            ("AWS::Partition", "aws"),
            ("AWS::AccountId", "123456789012"),
            ("AWS::Region", "us-east-1"),
        ];
        if let Some((_, value)) = pseudo.iter().find(|(known, _)| *known == name) {
            return (*value).into();
        }
        if let Some(resource) = self.resources.get(name) {
            return resource["id"].clone();
        }
        self.parameters.get(name).unwrap_or_else(|| panic!("no {name}")).as_str().into()
    }

    fn attribute(&self, resource: &str, attribute: &str) -> Value {
        let found = &self.resources[resource]["attributes"][attribute];
        assert!(found.is_string(), "{resource}.{attribute}");
        found.clone()
    }

    fn substitute(&self, text: &str) -> String {
        let mut parts = text.split("${");
        let mut whole = parts.next().unwrap().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap();
            let value = match name.split_once('.') {
                Some((resource, attribute)) => self.attribute(resource, attribute),
                None => self.reference(name),
            };
            whole.push_str(value.as_str().unwrap());
            whole.push_str(rest);
        }
        whole
    }
}

/// Removes irrelevant differences: numbers as text, and the order of sets.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            object.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(plain).collect();
            list.sort_by_key(Value::to_string);
            list.into()
        }
        Value::Number(number) => number.to_string().into(),
        other => other.clone(),
    }
}

/// Checks that every property of every resource equals the template's, or is on the list of unreadable ones.
pub(crate) async fn is_as_the_template_says(moto: &Moto, stack: &str) {
    let mut inventory = Inventory::of(moto, stack).await;
    let template = resolve::template();
    let given = inventory.parameters.clone();
    inventory.parameters = resolve::values(&template, &given);
    let resolved = resolve::resolve(&template, &given);
    let mut differences = Vec::new();
    for (name, found) in &inventory.resources {
        let resource = &resolved["Resources"][name];
        let kind = resource["Type"].as_str().unwrap();
        let (_, untold) = UNTOLD.iter().find(|(known, _)| *known == kind).unwrap();
        for (property, wanted) in resource["Properties"].as_object().unwrap() {
            if untold.contains(&property.as_str()) {
                continue;
            }
            let (found, wanted) = (plain(&found["properties"][property]), plain(&inventory.evaluate(wanted)));
            if found != wanted {
                differences.push(format!("{name}.{property}: {found}, the template says {wanted}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
