"""`docs/openapi.yaml`: the control plane's API as OpenAPI 3.1, from its table of operations and its structs."""

from importlib.metadata import version
from inspect import cleandoc
from typing import Final

import msgspec
import yaml

from stream.enforce.api.operations import ERASURE, READINGS, WRITINGS, ErasureOperation, ReadOperation, WriteOperation
from stream.enforce.api.permissions import ACTS, WORK
from stream.enforce.api.preconditions import IF_MATCH, tag_of
from stream.enforce.api.responses import Accepted, CaseShown, Refusal
from stream.enforce.procedures.forms import PERSON

TARGET: Final = "docs/openapi.yaml"

Schema = dict[str, object]
Operation = ReadOperation | WriteOperation | ErasureOperation

_REFS: Final = "#/components/schemas/"
_DESCRIPTION: Final = """\
Every write becomes one Kafka record and is answered with 202 once all replicas have it; what then happens is
the procedures' business (docs/procedures.md) and shows in the case's view (topic `cases`). Null and the empty string
are the same as absent; a field that there is none of is refused. Times are integer milliseconds since the epoch,
UTC.

Tokens: `Authorization: Bearer TOKEN`. The file that `api.tokens_file` names holds a line per token,
`sha256-of-token role actor [scope] [level:region]`; `#` begins a comment, and a change counts at once. Make a line by
`printf %s "$TOKEN" | sha256sum`. `actor` names the person: of an act that needs two, one proposes and another decides
(docs/procedures.md); a file in which two actors differ by case, width or invisible characters alone is refused. The
three bodies have roles of their own: `centre` (12321, which sees complaints), `desk` (the company), `appeals-body`
(which sees disputes and their complaints). A `sender` needs a scope of sender ids, a `subscriber-agent` one of numbers
or their beginnings (`+86138`), both by commas: they file for these alone, and see their cases alone. `read-only` sees
all cases, with numbers masked. A `regulator` needs its jurisdiction, `national` or `province:110000`, and decides on
filings of its own level alone; a `sender` that is a public body has one (`city-with-districts:130100`), and then
files as that alone. Every record carries the token's `actor`.

Numbers of persons are taken in any spelling and kept as read; another country's begins with its + and code. Times
lie between 2000-01-01 and a day from now, `from` and `until` up to ten years from now. How long texts and lists may
be stands in docs/limits.md.

A body has at most `api.body_bytes_max` bytes, and may be packed (`Content-Encoding: gzip` or `deflate`). Of each token
`api.requests_per_token` requests a second are answered, of each address `http.requests_per_address`, in the mean of ten
seconds. A connection without a whole header is closed after `http.header_timeout_ms`; one too many
(`http.connections_max`, `http.connections_per_address_max`) takes the place of the one that has been idle longest.

Ids are made here. There are no new orders without a case: an `order` that stands belongs to the actor who wrote it, who
alone has it end sooner. Names of senders and categories hold no `|`, for keys are made of them.

`Idempotency-Key` (printable, up to 255 characters): the same caller, operation and key make the same record under the
same id, so a request that got no answer can be repeated. As long as a process remembers the key (the latest 50,000), a
request that was accepted is answered as it was then, and nothing is written again.

`If-Match`, on what is done to a case: the `ETag` with which it was shown, which is its step. Where the case has changed
since, the answer is 409, whatever the act; without the header an act is held to where the case stands.
"""
_REFUSALS: Final = {
    "400": "Something is missing or wrong; `faults` lists it, twenty things at most.",
    "401": "No known token.",
    "403": "The token may not do this.",
    "404": "No such case, none that this caller may see, or one that ended long ago and stands in `cases` alone; or no "
    "such path.",
    "409": "The case does not take this now (`possible` says what it would take) or has changed since (`If-Match`), or "
    "what was said comes too late.",
    "422": "The `Idempotency-Key` came with another body before.",
    "408": "The body has not come within `http.body_timeout_ms`.",
    "413": "The body is too large.",
    "415": "The body is packed by what is not unpacked here.",
    "429": "Too many requests of this token or address; `Retry-After` says when.",
    "500": "A fault of the program; it is in the log.",
    "503": "Nothing can be read or written now; ask again.",
}


def render() -> str:
    """The document."""
    made = {act.event: act.made for row in (*ACTS.values(), WORK) for act in row}
    acts = tuple(made)
    bodies = tuple(dict.fromkeys(writing.body for writing in WRITINGS if writing.body is not None))
    answers = (*dict.fromkeys(one.answer for one in (*READINGS, ERASURE)), Accepted, Refusal)
    kinds: tuple[type[msgspec.Struct], ...] = (*acts, *bodies, ERASURE.body, *answers)
    refs, schemas = msgspec.json.schema_components(kinds, ref_template=f"{_REFS}{{name}}")
    names = {kind: str(ref["$ref"]).removeprefix(_REFS) for kind, ref in zip(kinds, refs, strict=True)}
    for act in acts:
        schemas[names[act]] = _asked(schemas[names[act]], made=made[act])
    for writing in WRITINGS:
        if writing.body is not None:
            whole = schemas[names[writing.body]]
            schemas[_request(writing)] = _asked(whole, made=(*writing.made, "kind"), preset=writing.preset)
    paths: dict[str, dict[str, object]] = {}
    operations: tuple[Operation, ...] = (*READINGS, *WRITINGS, ERASURE)
    for operation in operations:
        method = "get" if isinstance(operation, ReadOperation) else "post"
        paths.setdefault(operation.path, {})[method] = _operation(operation, names)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "wurao control plane",
            "version": version("wurao"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": {**paths, **_health()},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _reached(paths, schemas),
        },
    }
    text: str = yaml.dump(document, Dumper=_Whole, sort_keys=False, allow_unicode=True, width=110)
    return "# Made by docs/generate from the operations and structs of stream/enforce/api: change those.\n" + text


class _Whole(yaml.SafeDumper):
    """Writes for readers: a value that stands twice is written twice, and lines of prose stay lines."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # the base class's name
        """Never refer."""
        return True


def _prose(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Whole.add_representer(str, _prose)


def _operation(operation: Operation, names: dict[type[msgspec.Struct], str]) -> Schema:
    writes = isinstance(operation, WriteOperation)
    refusals = ["400", "401", "403", "429", "500", "503"]
    parameters: list[Schema] = []
    named = [name for name in ("case", "number", "sender") if f"{{{name}}}" in operation.path]
    parameters += [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in named]
    if named or operation.name in ("file-appeal", "file-dispute"):
        refusals.append("404")  # a path that names something may lead nowhere
    if isinstance(operation, ErasureOperation):
        refusals += ["408", "413", "415"]
    if writes:
        refusals += ["408", "409", "413", "415", "422"]
        parameters.append(
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255, "minLength": 1}}
        )
        if "case" in named:
            parameters.append({"name": IF_MATCH, "in": "header", "schema": {"type": "string", "examples": [tag_of(3)]}})
    elif isinstance(operation, ReadOperation) and operation.query is not None:
        parameters += _query(operation.query)
    success = {"202": "All replicas have the record."} if writes else {"200": "As asked."}
    said: Schema = {
        "operationId": operation.name,
        "summary": operation.summary.splitlines()[0],
        "description": f"{operation.summary}\n\n{_asked_for(operation)}Roles: {', '.join(operation.roles)}.",
    }
    if parameters:
        said["parameters"] = parameters
    if isinstance(operation, WriteOperation):
        said["requestBody"] = {"required": True, "content": _json(_body(operation, names))}
    elif isinstance(operation, ErasureOperation):
        said["requestBody"] = {"required": True, "content": _json(_ref(names[operation.body]))}
    said["responses"] = {
        **{
            code: {"description": text, "content": _json(_ref(names[operation.answer]))}
            for code, text in success.items()
        },
        **{code: _refusal(code, names) for code in sorted(refusals)},
    }
    if operation.answer is CaseShown:
        tag: Schema = {"description": "The case's step, for `If-Match`.", "schema": {"type": "string"}}
        said["responses"]["200"]["headers"] = {"ETag": tag}
    return said


def _body(writing: WriteOperation, names: dict[type[msgspec.Struct], str]) -> Schema:
    if writing.body is not None:
        return _ref(_request(writing))
    events = dict.fromkeys(act.event for row in (*ACTS.values(), WORK) for act in row)
    return {"oneOf": [_ref(names[event]) for event in events]}


def _asked_for(operation: Operation) -> str:
    """What the parameters of a query mean."""
    query = operation.query if isinstance(operation, ReadOperation) else None
    return "" if query is None else f"{cleandoc(query.__doc__ or '')}\n\n"


def _query(kind: type[msgspec.Struct]) -> list[Schema]:
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]
    needed = schema.get("required", [])
    return [
        {"name": name, "in": "query", **({"required": True} if name in needed else {}), "schema": _plain(one)}
        for name, one in schema["properties"].items()
    ]


def _plain(schema: Schema) -> Schema:
    """A query's parameter is there or not: null is nothing that it could be."""
    match schema:
        case {"anyOf": [{"type": "null"}, dict(only)]} | {"anyOf": [dict(only), {"type": "null"}]}:
            return only
        case {"enum": [*values]}:
            return {"enum": [value for value in values if value is not None]}
        case _:
            return {name: value for name, value in schema.items() if name != "default" or value is not None}


def _asked(whole: Schema, *, made: tuple[str, ...], preset: tuple[str, ...] = ()) -> Schema:
    """A record as a request states it: without what the API sets; what it fills in is not required."""
    match whole:
        case {"properties": dict(properties), "required": list(required)}:
            left = {name: one for name, one in properties.items() if name not in made}
            if "subscriber" in left:
                left["subscriber"] = {"type": "string", "description": PERSON}
            needed = [name for name in required if name in left and name not in preset]
            return {**whole, "properties": left, "required": needed, "additionalProperties": False}
        case _:
            raise ValueError("a record has properties, and a tag that is required")


def _request(writing: WriteOperation) -> str:
    return "".join(word.capitalize() for word in writing.name.split("-")) + "Request"


def _ref(name: str) -> Schema:
    return {"$ref": f"{_REFS}{name}"}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _refusal(code: str, names: dict[type[msgspec.Struct], str]) -> Schema:
    return {"description": _REFUSALS[code], "content": _json(_ref(names[Refusal]))}


def _health() -> Schema:
    def answers(**codes: str) -> Schema:
        return {code.strip("_"): {"description": text, "content": {"text/plain": {}}} for code, text in codes.items()}

    return {
        "/healthz": {"get": {"operationId": "alive", "security": [], "responses": answers(_200="The process runs.")}},
        "/readyz": {
            "get": {
                "operationId": "ready",
                "security": [],
                "responses": answers(_200="Requests are taken.", _503="They are not, and why."),
            }
        },
        "/metrics": {"get": {"operationId": "metrics", "security": [], "responses": answers(_200="For Prometheus.")}},
    }


def _reached(start: object, schemas: dict[str, Schema]) -> dict[str, Schema]:
    """The schemas that the paths lead to."""
    found: dict[str, Schema] = {}

    def follow(value: object) -> None:
        match value:
            case {"$ref": str(ref)} if ref.removeprefix(_REFS) not in found:
                name = ref.removeprefix(_REFS)
                found[name] = schemas[name]
                follow(schemas[name])
            case dict():
                for inner in value.values():
                    follow(inner)
            case list():
                for inner in value:
                    follow(inner)

    follow(start)
    return {name: found[name] for name in sorted(found)}
