"""Steps of the published package's limits function on the record of one fan-out."""

import json
import sys

import boto3
from zae_limiter_provisioner import pending
from zae_limiter_provisioner.handler import on_event

step, table, namespace, *rest = sys.argv[1:]
client = boto3.client("dynamodb")
fanout = ("disabled", "resource", "gpt-4")
if step == "promise":
    pending.write_ahead(client, table, namespace, rest[0], [fanout], int(rest[1]))
elif step == "release":
    pending.release(client, table, namespace, rest[0], fanout)
elif step == "apply":
    manifest = {"namespace": "default", "resources": {"third": {"limits": {"rpm": {"capacity": 5}}}}}
    event = {"action": "apply", "table_name": table, "namespace_id": namespace, "manifest": manifest}
    print(json.dumps(on_event(event, None)))
elif step == "list":
    found = pending.read_pending(client, table, namespace)
    print(json.dumps([[*item.key, sorted(item.owners)] for item in found]))
