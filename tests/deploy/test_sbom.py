"""The bill of materials: CycloneDX 1.6 by the rules of its schema, and nothing of the lock files left out."""

import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote

import pytest

from deploy import audit, sbom

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")

# From the schema of CycloneDX 1.6.
SERIAL = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TYPES = {"application", "framework", "library", "container", "platform", "operating-system", "device", "file", "data"}
SCOPES = {"required", "optional", "excluded"}
HASH = re.compile(r"[0-9a-fA-F]{64}")
PHASES = {"design", "pre-build", "build", "post-build", "operations", "discovery", "decommission"}
TOP = {"$schema", "bomFormat", "specVersion", "serialNumber", "version", "metadata", "components", "dependencies"}
PURL = re.compile(r"pkg:(pypi/[a-z0-9.-]+|cargo/[A-Za-z0-9_-]+|maven/[\w.-]+/[\w.-]+)@[\w.%+~-]+")


@pytest.fixture(scope="module")
def bill() -> dict[str, object]:
    return json.loads(json.dumps(sbom.bill()))  # type: ignore[no-any-return]  # as a reader has it


def _components(bill: dict[str, object]) -> list[dict[str, object]]:
    found = bill["components"]
    assert isinstance(found, list)
    return found


def test_it_keeps_the_rules_of_cyclonedx(bill: dict[str, object]) -> None:
    assert bill.keys() == TOP
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert SERIAL.fullmatch(str(bill["serialNumber"]))
    metadata, dependencies = bill["metadata"], bill["dependencies"]
    assert isinstance(metadata, dict)
    assert isinstance(dependencies, list)
    assert {one["phase"] for one in metadata["lifecycles"]} <= PHASES
    everything = [metadata["component"], *_components(bill)]
    for one in everything:
        assert one["type"] in TYPES
        assert one["name"]
        assert one["version"]
        assert PURL.fullmatch(one["purl"]), one["purl"]
        assert one.get("scope", "required") in SCOPES
        assert all(digest["alg"] == "SHA-256" and HASH.fullmatch(digest["content"]) for digest in one.get("hashes", []))
        assert one.keys() <= {"type", "bom-ref", "group", "name", "version", "scope", "hashes", "purl", "licenses"}
    references = [one["bom-ref"] for one in everything]
    assert len(set(references)) == len(references), "a reference is unique"
    assert [one["ref"] for one in dependencies] == references
    for one in dependencies:
        assert set(one["dependsOn"]) <= set(references)
        assert len(set(one["dependsOn"])) == len(one["dependsOn"])
    assert sbom.bill() == bill, "the same commit gives the same bytes"


def test_every_package_of_every_lock_file_is_in_it_with_its_checksums(bill: dict[str, object]) -> None:
    found = {str(one["purl"]): one for one in _components(bill)}
    hashes = {digest["content"] for one in found.values() for digest in one["hashes"]}  # type: ignore[attr-defined]
    crates = tomllib.loads((ROOT / "native/Cargo.lock").read_text(encoding="utf-8"))["package"]
    jars = tomllib.loads((ROOT / "deploy/kafka/jgo.lock.toml").read_text(encoding="utf-8"))["dependencies"]
    pinned = {
        f"pkg:pypi/{name}@{version}" for name, version in re.findall(r"^([a-z0-9.-]+)==(\S+)", LOCK, re.MULTILINE)
    }
    pinned |= {f"pkg:cargo/{one['name']}@{one['version']}" for one in crates if "source" in one}
    pinned |= {f"pkg:maven/{one['groupId']}/{one['artifactId']}@{one['version']}" for one in jars}
    assert {unquote(purl) for purl in found} == pinned
    stated = set(re.findall(r"sha256:([0-9a-f]{64})", LOCK))
    stated |= {one["checksum"] for one in crates if "checksum" in one} | {one["sha256"] for one in jars}
    assert hashes == stated
    assert all(one["hashes"] for one in found.values())


def test_what_runs_is_told_from_what_only_tests_and_what_it_needs_is_named(bill: dict[str, object]) -> None:
    scopes = {str(one["name"]): one["scope"] for one in _components(bill)}
    wanted = {"aiokafka": "required", "multidict": "required", "memchr": "optional", "pytest": "excluded"}
    assert wanted.items() <= scopes.items()
    assert scopes["kafka-clients"] == "excluded"
    needs = {one["ref"].split("@")[0]: one["dependsOn"] for one in bill["dependencies"]}  # type: ignore[attr-defined]
    assert any(ref.startswith("pkg:pypi/aiokafka@") for ref in needs["pkg:pypi/wurao"])
    assert any(ref.startswith("pkg:pypi/async-timeout@") for ref in needs["pkg:pypi/aiokafka"])
    assert any(ref.startswith("pkg:cargo/memchr@") for ref in needs["pkg:cargo/aho-corasick"])


@contextmanager
def _service(answers: dict[str, object]) -> Iterator[str]:
    """A server of OSV's form: the second page of a package has the advisories that a token asks for."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            self._answer(
                {"results": [answers.get(one.get("page_token") or one["package"]["purl"], {}) for one in asked]}
            )

        def do_GET(self) -> None:
            self._answer(answers[self.path.rpartition("/")[2]])

        def _answer(self, answer: object) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_known_vulnerability_is_named_unless_it_was_withdrawn_or_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    purl = next(one.purl for one in sbom.components() if one.name == "aiokafka")
    answers: dict[str, object] = {
        purl: {"vulns": [{"id": "GHSA-1"}, {"id": "GHSA-2"}], "next_page_token": "more"},
        "more": {"vulns": [{"id": "PYSEC-3"}]},
        "GHSA-1": {"id": "GHSA-1", "summary": "withdrawn", "withdrawn": "2026-01-01T00:00:00Z"},
        "GHSA-2": {"id": "GHSA-2", "summary": "one  that\nis known", "aliases": ["CVE-2026-2"]},
        "PYSEC-3": {"id": "PYSEC-3", "details": "another"},
    }
    with _service(answers) as url:
        assert audit.main(["--service", url]) == 1
        named = capsys.readouterr().out.splitlines()
        assert named == [
            f"{purl} (required): GHSA-2 CVE-2026-2: one that is known",
            f"{purl} (required): PYSEC-3: another",
        ]
        assert audit.main(["--service", url, "--accept", "CVE-2026-2", "PYSEC-3"]) == 0
        assert capsys.readouterr().out == ""
    with _service({purl: {"vulns": "?"}}) as url:
        assert audit.main(["--service", url]) == 2
    assert audit.main(["--service", url]) == 2
    assert "cannot be asked: " in capsys.readouterr().err
