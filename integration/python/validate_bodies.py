"""Holds bodies of messages against published contracts.

Reads JSON lines from stdin, each {"body": {…}} with "schema": the path of a JSON Schema, or "ocsf": "detection_finding" or
"incident_finding";
prints one line for each: {"valid": true} or {"valid": false, "error": "…"}.

The models of OCSF ignore what they do not know, so a body must also come out of them as it went in. They have no class for an
Incident Finding; what it is made of, they have.
"""

import json
import pathlib
import sys

try:
    from jsonschema import Draft202012Validator
    from py_ocsf_models import OCSF_VERSION
    from py_ocsf_models.events.findings.detection_finding import DetectionFinding
    from py_ocsf_models.objects.finding_info import FindingInformation
    from py_ocsf_models.objects.group import Group
    from py_ocsf_models.objects.metadata import Metadata
    from py_ocsf_models.objects.observable import Observable
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


def parts(name, body):
    """What a body is made of, each with its model."""
    if name == "detection_finding":
        return [(DetectionFinding, body)]
    findings = body.get("finding_info_list") or [None]
    return [
        (Metadata, body.get("metadata")),
        (Group, body.get("assignee_group")),
        *((FindingInformation, finding) for finding in findings),
        *((Observable, observable) for observable in body.get("observables", [])),
    ]


def by_model(name, body):
    if body.get("metadata", {}).get("version") != OCSF_VERSION:
        return f"the models are of version {OCSF_VERSION}"
    wrong = []
    for model, part in parts(name, body):
        try:
            wrong.extend(unknown(part, model.model_validate(part).model_dump(mode="json"), model.__name__))
        except ValueError as error:
            wrong.append(str(error))
    return "; ".join(wrong)


for line in sys.stdin:
    if line.strip():
        message = json.loads(line)
        check = by_schema(message["schema"], message["body"]) if "schema" in message else by_model(
            message["ocsf"], message["body"]
        )
        print(json.dumps({"valid": True} if not check else {"valid": False, "error": check}), flush=True)
