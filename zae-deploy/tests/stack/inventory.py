"""What a stack's resources are like, as far as the services tell: properties by their names in templates."""

import ast
import json
import os
import sys

import boto3


def client(service):
    return boto3.client(service, endpoint_url=os.environ["ENDPOINT"])


def table(name):
    told = client("dynamodb").describe_table(TableName=name)["Table"]
    index = lambda indexes: [{key: i[key] for key in ("IndexName", "KeySchema", "Projection")} for i in indexes]
    return {
        "TableName": told["TableName"],
        "BillingMode": told["BillingModeSummary"]["BillingMode"],
        "DeletionProtectionEnabled": told["DeletionProtectionEnabled"],
        "AttributeDefinitions": told["AttributeDefinitions"],
        "KeySchema": told["KeySchema"],
        "GlobalSecondaryIndexes": index(told["GlobalSecondaryIndexes"]),
        "LocalSecondaryIndexes": index(told["LocalSecondaryIndexes"]),
        "StreamSpecification": {"StreamViewType": told["StreamSpecification"]["StreamViewType"]},
    }, {"Arn": told["TableArn"], "StreamArn": told["LatestStreamArn"]}


def policy(arn):
    iam = client("iam")
    told = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=told["DefaultVersionId"])["PolicyVersion"]
    return {
        "ManagedPolicyName": told["PolicyName"],
        "Description": told["Description"],
        "PolicyDocument": version["Document"],
    }, {}


def plain(document):
    """moto gives documents that came with a template as Python writes them."""
    return ast.literal_eval(document) if isinstance(document, str) else document


def role(name):
    iam = client("iam")
    told = iam.get_role(RoleName=name)["Role"]
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    document = lambda policy: plain(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
    return {
        "RoleName": told["RoleName"],
        "Description": told["Description"],
        "AssumeRolePolicyDocument": told["AssumeRolePolicyDocument"],
        "Policies": [{"PolicyName": policy, "PolicyDocument": document(policy)} for policy in inline],
    }, {"Arn": told["Arn"]}


def function(name):
    told = client("lambda").get_function(FunctionName=name)["Configuration"]
    names = ["FunctionName", "Description", "Runtime", "Handler", "Architectures", "MemorySize", "Timeout", "Role"]
    names += ["TracingConfig", "Environment"]
    return {key: told[key] for key in names}, {"Arn": told["FunctionArn"]}


def mapping(uuid):
    told = client("lambda").get_event_source_mapping(UUID=uuid)
    return {**told, "FunctionName": told["FunctionArn"].split(":")[-1]}, {}


def queue(url):
    told = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return {
        "QueueName": told["QueueArn"].split(":")[-1],
        "MessageRetentionPeriod": int(told["MessageRetentionPeriod"]),
        "VisibilityTimeout": int(told["VisibilityTimeout"]),
        "SqsManagedSseEnabled": told["SqsManagedSseEnabled"] == "true",
    }, {"Arn": told["QueueArn"], "QueueName": told["QueueArn"].split(":")[-1]}


def log_group(name):
    told = client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]
    return {"LogGroupName": told["logGroupName"], "RetentionInDays": told["retentionInDays"]}, {}


def bucket(name):
    s3 = client("s3")
    encryption = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    defaults = [{"ServerSideEncryptionByDefault": rule["ApplyServerSideEncryptionByDefault"]} for rule in encryption]
    return {"BucketEncryption": {"ServerSideEncryptionConfiguration": defaults}}, {"Arn": f"arn:aws:s3:::{name}"}


ABOUT = {
    "AWS::DynamoDB::Table": table,
    "AWS::IAM::ManagedPolicy": policy,
    "AWS::IAM::Role": role,
    "AWS::Lambda::Function": function,
    "AWS::Lambda::EventSourceMapping": mapping,
    "AWS::SQS::Queue": queue,
    "AWS::Logs::LogGroup": log_group,
    "AWS::S3::Bucket": bucket,
}

stack = sys.argv[1]
formation = client("cloudformation")
parameters = formation.describe_stacks(StackName=stack)["Stacks"][0]["Parameters"]
resources = {}
for resource in formation.list_stack_resources(StackName=stack)["StackResourceSummaries"]:
    identifier = resource["PhysicalResourceId"]
    properties, attributes = ABOUT[resource["ResourceType"]](identifier)
    resources[resource["LogicalResourceId"]] = {"id": identifier, "properties": properties, "attributes": attributes}
told = {"parameters": {p["ParameterKey"]: p["ParameterValue"] for p in parameters}, "resources": resources}
print(json.dumps(told, default=str))
