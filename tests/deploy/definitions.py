"""The definitions of the custom resources that we use, as the API server reads them: a further field is refused.

`definitions.json` holds, a line for each kind, what Strimzi 1.2.0, KEDA 2.21.0 and the Prometheus operator 0.85.0
define, without descriptions and `status`. What a JSON Schema cannot say is left out too: rules in CEL
(`x-kubernetes-validations`), which the API server alone checks. To take up other releases give their complete
definitions, which those projects publish as YAML, to

    python -m tests.deploy.definitions strimzi-crds-1.2.0.yaml keda-2.21.0-crds.yaml stripped-down-crds.yaml

Only kinds that a manifest under deploy/kubernetes has are written.
"""

import json
import sys
from pathlib import Path
from typing import Final, cast

import jsonschema
import msgspec
import yaml

from tests.deploy.manifests import Document, written

FILE: Final = Path(__file__).with_name("definitions.json")

Schema = dict[str, object]

_LEFT_OUT: Final = frozenset(
    {
        "description",
        "default",
        "example",
        "externalDocs",
        "nullable",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    }
)
_ALTERNATIVES: Final = frozenset({"allOf", "anyOf", "oneOf"})


class _Form(msgspec.Struct, frozen=True):
    whole: Schema = msgspec.field(name="openAPIV3Schema")


class _Version(msgspec.Struct, frozen=True):
    name: str
    schema: _Form


class _Names(msgspec.Struct, frozen=True):
    kind: str


class _Spec(msgspec.Struct, frozen=True):
    group: str
    names: _Names
    versions: list[_Version]


class Definition(msgspec.Struct, frozen=True):
    """A CustomResourceDefinition, as far as it says what a resource looks like."""

    spec: _Spec

    def schemas(self) -> dict[str, Schema]:
        """`group/version/Kind` → a JSON Schema."""
        return {
            f"{self.spec.group}/{version.name}/{self.spec.names.kind}": _resource(version.schema.whole)
            for version in self.spec.versions
        }


def kind(document: Document) -> str:
    """`group/version/Kind` of a resource."""
    return f"{document['apiVersion']}/{document['kind']}"


def known() -> dict[str, jsonschema.Draft202012Validator]:
    """`group/version/Kind` → what says whether a resource has its form."""
    schemas = msgspec.json.decode(FILE.read_bytes(), type=dict[str, Schema])
    return {name: jsonschema.Draft202012Validator(schema) for name, schema in schemas.items()}


def _resource(whole: Schema) -> Schema:
    schema = _closed(whole)
    properties = cast("Schema", schema["properties"])
    properties.pop("status", None)
    properties["metadata"] = {"type": "object"}  # the API server's own, and of every kind
    return schema


def _closed(schema: Schema, *, in_alternative: bool = False) -> Schema:
    """A schema that knows its fields alone. One of several alternatives only adds conditions, so it stays open."""
    made: Schema = {}
    for word, value in schema.items():
        if word == "properties":
            fields = cast("dict[str, Schema]", value)
            made[word] = {name: _closed(field, in_alternative=in_alternative) for name, field in fields.items()}
        elif word in _ALTERNATIVES:
            made[word] = [_closed(one, in_alternative=True) for one in cast("list[Schema]", value)]
        elif word == "not":
            made[word] = _closed(cast("Schema", value), in_alternative=True)
        elif word == "items" or (word == "additionalProperties" and isinstance(value, dict)):
            made[word] = _closed(cast("Schema", value), in_alternative=in_alternative)
        elif word not in _LEFT_OUT:
            made[word] = value
    is_open = in_alternative or schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("type") == "object" and not is_open:
        made["additionalProperties"] = False
    if schema.get("nullable"):
        made["type"] = [schema["type"], "null"]
    return made


def _main(paths: list[str]) -> None:
    used = {kind(document) for _, document in written()}
    schemas: dict[str, Schema] = {}
    for path in paths:
        for one in yaml.safe_load_all(Path(path).read_text(encoding="utf-8")):
            if one:
                schemas |= msgspec.convert(one, Definition).schemas()
    lines = [f'"{name}":{json.dumps(schemas[name], separators=(",", ":"))}' for name in sorted(used & schemas.keys())]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    _main(sys.argv[1:])
