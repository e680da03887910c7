"""The template as AWS sees it: SAM's transform, run offline."""

import json
import logging
from pathlib import Path

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

TEMPLATE = Path(__file__).parent.parent / "template.yaml"
logging.getLogger("samtranslator").setLevel(logging.ERROR)

# Ask IAM for them on AWS; here their names are enough.
MANAGED_POLICIES = {
    name: f"arn:aws:iam::aws:policy/service-role/{name}"
    for name in ("AWSLambdaBasicExecutionRole", "AWSLambdaDynamoDBExecutionRole")
}


def transformed(parameters=None):
    """The plain CloudFormation template, with every function's code at a place in S3."""
    template = yaml_parse(TEMPLATE.read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            folder = resource["Properties"]["CodeUri"].rsplit("/", 1)[-1]
            resource["Properties"]["CodeUri"] = f"s3://code/{folder}.zip"
    plain = Translator(MANAGED_POLICIES, Parser()).translate(template, parameters or {})
    # The translator's own kinds of text and map become ordinary ones.
    return json.loads(json.dumps(plain))


if __name__ == "__main__":
    print(json.dumps(transformed(), indent=2))
