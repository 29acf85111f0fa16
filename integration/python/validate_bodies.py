"""Holds bodies of messages against published contracts.

Reads JSON lines from stdin, each {"body": {…}} with "schema": the path of a JSON Schema, or "ocsf": "detection_finding";
prints one line for each: {"valid": true} or {"valid": false, "error": "…"}.

The models of OCSF ignore what they do not know, so a body must also come out of them as it went in.
"""

import json
import pathlib
import sys

try:
    from jsonschema import Draft202012Validator
    from py_ocsf_models import OCSF_VERSION
    from py_ocsf_models.events.findings.detection_finding import DetectionFinding
except ImportError as error:
    sys.exit(f"a Python library is missing ({error}): install integration/python/requirements.txt")


def by_schema(path, body):
    validator = Draft202012Validator(json.loads(pathlib.Path(path).read_text()))
    Draft202012Validator.check_schema(validator.schema)
    errors = sorted(validator.iter_errors(body), key=lambda error: list(error.absolute_path))
    return "; ".join(f"/{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in errors[:5])


def unknown(sent, read, path=""):
    """Attributes that a model has dropped or changed."""
    if isinstance(sent, dict) and isinstance(read, dict):
        for name, value in sent.items():
            if name not in read:
                yield f"{path}/{name} is no attribute of the schema"
            else:
                yield from unknown(value, read[name], f"{path}/{name}")
    elif isinstance(sent, list) and isinstance(read, list) and len(sent) == len(read):
        for index, (one, other) in enumerate(zip(sent, read)):
            yield from unknown(one, other, f"{path}/{index}")
    elif sent != read:
        yield f"{path} is {sent!r} but was read as {read!r}"


def by_model(name, body):
    if name != "detection_finding":
        return f"no model is shipped for {name}"
    if body.get("metadata", {}).get("version") != OCSF_VERSION:
        return f"the models are of version {OCSF_VERSION}"
    try:
        read = DetectionFinding.model_validate(body)
    except ValueError as error:
        return str(error)
    return "; ".join(unknown(body, read.model_dump(mode="json")))


for line in sys.stdin:
    if line.strip():
        message = json.loads(line)
        check = by_schema(message["schema"], message["body"]) if "schema" in message else by_model(
            message["ocsf"], message["body"]
        )
        print(json.dumps({"valid": True} if not check else {"valid": False, "error": check}), flush=True)
