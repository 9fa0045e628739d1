//! CloudFormation on a local stack: its responses to calls that tools make.

use aws_sdk_cloudformation::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    error::ProvideErrorMetadata,
    types::{Capability, ChangeSetStatus, ChangeSetType, Parameter},
};

use crate::Stack;

impl Stack {
    fn cloudformation(&self) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(self.endpoint())
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        Client::from_conf(config.build())
    }
}

const SMALL: &str = r#"{"Parameters": {"Days": {"Type": "Number", "Default": 7, "AllowedValues": [7, 14]}},
    "Resources": {"Log": {"Type": "AWS::Logs::LogGroup", "Properties": {
        "LogGroupName": {"Fn::Sub": "/app/${AWS::StackName}"}, "RetentionInDays": {"Ref": "Days"}}}},
    "Outputs": {"LogArn": {"Value": {"Fn::GetAtt": ["Log", "Arn"]}, "Export": {"Name": "app-log"}}}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_is_not_is_refused_as_aws_does() {
    let (stack, _) = Stack::up(&[]);
    let client = stack.cloudformation();
    let missing = client.describe_stacks().stack_name("nope").send().await.unwrap_err();
    assert_eq!(missing.code(), Some("ValidationError"));
    assert_eq!(missing.message(), Some("Stack with id nope does not exist"));
    client.delete_stack().stack_name("nope").send().await.unwrap();
    let twice = client.create_stack().stack_name("limiter").template_body(SMALL).send().await.unwrap_err();
    assert_eq!(twice.code(), Some("AlreadyExistsException"));
    let body = zae_deploy::template::TEMPLATE;
    let bare = client.create_stack().stack_name("bare").template_body(body).send().await.unwrap_err();
    assert_eq!(bare.code(), Some("InsufficientCapabilitiesException"));
    let days = Parameter::builder().parameter_key("Days").parameter_value("8").build();
    let wrong =
        client.create_stack().stack_name("small").template_body(SMALL).parameters(days).send().await.unwrap_err();
    assert_eq!(wrong.message(), Some("Parameter 'Days' must be one of AllowedValues: [7, 14]"));
    let set = client.describe_change_set().change_set_name("nope").stack_name("limiter").send().await.unwrap_err();
    assert_eq!(set.code(), Some("ChangeSetNotFound"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_that_cannot_be_made_leaves_nothing() {
    let (stack, _) = Stack::up(&[]);
    let client = stack.cloudformation();
    let body = "\
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Ref AWS::StackName
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
  Fleet: {Type: 'AWS::EC2::Fleet', DependsOn: Table}
";
    client.create_stack().stack_name("broken").template_body(body).send().await.unwrap();
    let described = client.describe_stacks().stack_name("broken").send().await.unwrap();
    assert_eq!(described.stacks()[0].stack_status().unwrap().as_str(), "ROLLBACK_COMPLETE");
    let events = client.describe_stack_events().stack_name("broken").send().await.unwrap();
    let reasons: Vec<_> = events.stack_events().iter().filter_map(|event| event.resource_status_reason()).collect();
    assert!(reasons.contains(&"a local stack has no resources of the type AWS::EC2::Fleet"), "{reasons:?}");
    assert_eq!(stack.client().list_tables().send().await.unwrap().table_names(), ["limiter"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_sets_say_what_changes_and_nothing_is_said_to_be_nothing() {
    let (stack, _) = Stack::up(&[]);
    let client = stack.cloudformation();
    // As `aws cloudformation deploy` does it.
    let new = client.create_change_set().stack_name("app").change_set_name("first").template_body(SMALL);
    new.change_set_type(ChangeSetType::Create).send().await.unwrap();
    let review = client.describe_stacks().stack_name("app").send().await.unwrap();
    assert_eq!(review.stacks()[0].stack_status().unwrap().as_str(), "REVIEW_IN_PROGRESS");
    client.execute_change_set().stack_name("app").change_set_name("first").send().await.unwrap();
    let made = client.describe_stacks().stack_name("app").send().await.unwrap();
    assert_eq!(made.stacks()[0].stack_status().unwrap().as_str(), "CREATE_COMPLETE");
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:/app/app:*";
    assert_eq!(made.stacks()[0].outputs()[0].output_value(), Some(arn));

    let days = |days: &str| Parameter::builder().parameter_key("Days").parameter_value(days).build();
    for (name, value, changes) in [("same", "7", 0), ("longer", "14", 1)] {
        let set = client.create_change_set().stack_name("app").change_set_name(name).use_previous_template(true);
        set.parameters(days(value)).send().await.unwrap();
        let set = client.describe_change_set().stack_name("app").change_set_name(name).send().await.unwrap();
        assert_eq!(set.changes().len(), changes, "{set:?}");
        let is_failed = set.status() == Some(&ChangeSetStatus::Failed);
        assert_eq!(is_failed, changes == 0);
        assert_eq!(set.status_reason().is_some_and(|reason| reason.contains("didn't contain changes")), is_failed);
    }
    let none = client.update_stack().stack_name("app").use_previous_template(true).parameters(days("7"));
    let none = none.capabilities(Capability::CapabilityIam).send().await.unwrap_err();
    assert_eq!(none.message(), Some("No updates are to be performed."));

    // A named resource cannot be replaced while it exists.
    let renamed = SMALL.replace("RetentionInDays", "Other").replace("AWS::Logs::LogGroup", "AWS::SQS::Queue");
    client.update_stack().stack_name("app").template_body(renamed).send().await.unwrap();
    let after = client.describe_stacks().stack_name("app").send().await.unwrap();
    assert_eq!(after.stacks()[0].stack_status().unwrap().as_str(), "UPDATE_COMPLETE");
}

/// `aws cloudformation deploy` queries the parameters of a stack before it updates it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_are_summed_up_and_validated_before_they_are_used() {
    let (stack, _) = Stack::up(&[]);
    let client = stack.cloudformation();
    let own = client.get_template_summary().stack_name("limiter").send().await.unwrap();
    assert_eq!(own.capabilities(), [Capability::CapabilityNamedIam]);
    assert!(own.resource_types().contains(&"AWS::DynamoDB::Table".to_owned()));
    let days = own.parameters().iter().find(|p| p.parameter_key() == Some("SnapshotRetentionDays")).unwrap();
    assert_eq!((days.default_value(), days.parameter_type()), (Some("90"), Some("Number")));

    let small = client.get_template_summary().template_body(SMALL).send().await.unwrap();
    let constraints = small.parameters()[0].parameter_constraints().unwrap();
    assert_eq!((small.capabilities(), constraints.allowed_values()), (&[][..], &["7".to_owned(), "14".to_owned()][..]));
    let valid = client.validate_template().template_body(SMALL).send().await.unwrap();
    assert_eq!(valid.parameters()[0].default_value(), Some("7"));
    let wrong = client.validate_template().template_body("Resources: {}").send().await.unwrap_err();
    assert!(wrong.message().unwrap().starts_with("Template format error"), "{wrong:?}");
    let missing = client.get_template_summary().stack_name("nope").send().await.unwrap_err();
    assert_eq!(missing.message(), Some("Stack with id nope does not exist"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_a_resource_of_another_stack() {
    let (stack, _) = Stack::up(&[]);
    let client = stack.cloudformation();
    let file = stack.folder.path().join("limits.yaml");
    std::fs::write(&file, crate::MANIFEST).unwrap();
    let words = ["limits", "cfn-template", "--name", "limiter", "-f", file.to_str().unwrap()];
    let template = stack.ok(&words);
    client.create_stack().stack_name("limits").template_body(&template).send().await.unwrap();
    let events = client.describe_stack_events().stack_name("limits").send().await.unwrap();
    assert_eq!(events.stack_events()[0].resource_status().unwrap().as_str(), "CREATE_COMPLETE", "{events:?}");
    assert!(stack.ok(&["resource", "get-defaults", "gpt-4"]).contains("rpm: 5/min"));
    let raised = template.replace("Capacity: 5", "Capacity: 6");
    client.update_stack().stack_name("limits").template_body(raised).send().await.unwrap();
    assert!(stack.ok(&["resource", "get-defaults", "gpt-4"]).contains("(burst: 6)"));
    client.delete_stack().stack_name("limits").send().await.unwrap();
    assert!(stack.ok(&["resource", "get-defaults", "gpt-4"]).contains("No defaults configured"));
    // A manifest that cannot be applied rolls the stack back.
    let broken = template.replace("Capacity: 5", "Capacity: 0");
    client.create_stack().stack_name("broken").template_body(broken).send().await.unwrap();
    let described = client.describe_stacks().stack_name("broken").send().await.unwrap();
    assert_eq!(described.stacks()[0].stack_status().unwrap().as_str(), "ROLLBACK_COMPLETE");
}
