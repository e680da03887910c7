"""AWS's own rules and resource schemas (cloudformation-validate) over the transformed template: no error, and no warning
but those that are looked at here and mean nothing."""

import json
import sys

from cloudformation_validate import CompositeEngine, TemplateContent
from transform import transformed

# By rule, and what it is about: a part of the message, or of the place.
MEANINGLESS = {
    # A parameter that is empty only where the property it is for is left out by its condition.
    "W1030": ("AlarmTopic", "RestDomain", "SocketDomain", "CertificateArn"),
    # Names of versions of a secret; the secret itself is no parameter.
    "W2509": ("TokenSecretStage", "CodeSecretStage"),
}


def matters(diagnostic):
    if diagnostic.severity.name in ("INFO", "DEBUG"):
        return False
    about = MEANINGLESS.get(diagnostic.rule_id, ())
    return not (diagnostic.severity.name == "WARN" and any(part in diagnostic.message for part in about))


def findings(template):
    content = TemplateContent(json.dumps(template), "infra/template.yaml, transformed")
    return [each for each in CompositeEngine().validate_template(content).diagnostics if matters(each)]


if __name__ == "__main__":
    parameters = {"AdminEmail": "admin@example.com", "AdminPasswordHash": "$argon2id$x", "SenderEmail": "no-reply@example.com"}
    template = transformed(parameters)
    found = findings(template)
    for each in found:
        print(f"[{each.severity.name}] {each.rule_id}: {each.message}")
    # That it looks at all is seen by a template that is wrong.
    template["Resources"]["UsersTable"]["Properties"]["KeySchema"] = "pk"
    if not findings(template):
        sys.exit("cloudformation-validate finds nothing in a template that is wrong")
    sys.exit(1 if found else 0)
