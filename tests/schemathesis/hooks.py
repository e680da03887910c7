"""What no pattern of the document can say of a body that is made up from it."""

import re
import unicodedata

import schemathesis


@schemathesis.hook
def map_body(context, body):
    """Passwords that are chosen have no character that Unicode has not assigned. Their pattern does not say so, as every
    reader of patterns knows the characters of another year. What the pattern refuses stays as it is."""
    if not isinstance(body, dict) or not isinstance(password := body.get("password"), str):
        return body
    chosen = context.operation.schema.raw_schema["components"]["schemas"]["Registration"]["properties"]["password"]
    if not re.search(chosen["pattern"], password):
        return body
    return {**body, "password": "".join("x" if unicodedata.category(c) == "Cn" else c for c in password)}
