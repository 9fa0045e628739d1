"""The published package's aggregator behind the runtime API: the least that a Lambda runtime for it could be."""

import json
import os
import urllib.request

from zae_limiter_aggregator.handler import handler

API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation/"


class Context:
    function_name = "reference"

    def __init__(self, request_id):
        self.aws_request_id = request_id


while True:
    with urllib.request.urlopen(API + "next") as work:
        request_id = work.headers["lambda-runtime-aws-request-id"]
        event = json.load(work)
    try:
        kind, answer = "response", handler(event, Context(request_id))
    except Exception as error:
        kind, answer = "error", {"errorType": type(error).__name__, "errorMessage": str(error)}
    body = json.dumps(answer).encode()
    urllib.request.urlopen(urllib.request.Request(f"{API}{request_id}/{kind}", data=body, method="POST")).close()
