"""Documents that are made from the code say what the code says."""

from pathlib import Path

import jsonschema
import orjson
import pytest
import yaml

from docs.generate.__main__ import TOP, documents
from stream.model.codec import encode
from stream.model.events import Sms
from tests.filter import cases


@pytest.mark.parametrize("path", list(documents()), ids=lambda path: path.name)
def test_the_document_is_as_the_code_makes_it(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == documents()[path], f"run `make docs` to write {path.name} anew"


def test_real_records_keep_the_published_schemas() -> None:
    contract = yaml.safe_load((TOP / "docs/asyncapi.yaml").read_text(encoding="utf-8"))
    for record in [*cases.EVENTS, *(orjson.loads(encode(record)) for record in cases.registry())]:
        name = str(record["kind"]).capitalize()
        present = {field: value for field, value in record.items() if value is not None}
        jsonschema.validate(present, {"$ref": f"#/components/schemas/{name}", "components": contract["components"]})


def test_the_schema_refuses_what_the_decoder_refuses() -> None:
    contract = yaml.safe_load((TOP / "docs/asyncapi.yaml").read_text(encoding="utf-8"))
    wrong = {"kind": "sms", "id": "x" * 129, "time": 1, "to": "+8613800138000"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            wrong, {"$ref": f"#/components/schemas/{Sms.__name__}", "components": contract["components"]}
        )
