"""The bill of materials: everything that wurao is made of, tested and built with, as CycloneDX 1.6 in JSON (ECMA-424).

It is made of the lock files alone (`requirements.lock`, `native/Cargo.lock`, `deploy/kafka/jgo.lock.toml`), with their
checksums, so the same commit gives the same bytes on any machine, without a network. Scopes: `required` is what runs,
`optional` what the native module is built of, which a filter may do without, `excluded` what only tests, the
demonstration and builds use. A Python package has a checksum for each of its builds.

    python -m deploy.sbom dist/wurao.cdx.json
"""

import hashlib
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from deploy import image_lock

ROOT: Final = Path(__file__).parents[1]
OURS: Final = ("wurao", "wurao_core", "wurao_native")
EXTRAS: Final = ("trace",)
"""Extras that run in production, as the image has them."""

_SHA256: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")

Scope = Literal["required", "optional", "excluded"]


@dataclass
class Component:
    """One package, of whichever language."""

    purl: str
    """its package URL, which is its reference as well"""
    name: str
    version: str
    scope: Scope
    sha256: list[str]
    group: str | None = None
    needs: set[str] = field(default_factory=set)
    """the references of what it asks for"""


def components() -> list[Component]:
    """All packages, sorted by their package URLs."""
    return sorted([*_python(), *_rust(), *_java()], key=lambda one: one.purl)


def bill() -> dict[str, object]:
    """The whole document. Its serial number is made of its contents."""
    ours = _project()
    found = components()
    direct = {_pypi_purl(name, found) for name in image_lock.wanted(_text("pyproject.toml"), EXTRAS)}
    direct |= {_cargo_purl(need) for crate in _crates() if crate["name"] in OURS for need in _needs_of(crate)}
    reference = f"pkg:pypi/{ours['name']}@{ours['version']}"
    stated: dict[str, object] = {
        "metadata": {
            "lifecycles": [{"phase": "pre-build"}],
            "component": {
                "type": "application",
                "bom-ref": reference,
                "name": ours["name"],
                "version": ours["version"],
                "licenses": [{"license": {"id": ours["license"]}}],
                "purl": reference,
            },
        },
        "components": [_as_cyclonedx(one) for one in found],
        "dependencies": [
            {"ref": reference, "dependsOn": sorted(direct)},
            *({"ref": one.purl, "dependsOn": sorted(one.needs)} for one in found),
        ],
    }
    digest = hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        **stated,
    }


def _as_cyclonedx(one: Component) -> dict[str, object]:
    return {
        "type": "library",
        "bom-ref": one.purl,
        **({"group": one.group} if one.group else {}),
        "name": one.name,
        "version": one.version,
        "scope": one.scope,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in one.sha256],
        "purl": one.purl,
    }


# Python: blocks of `requirements.lock`, whose comments say who asked for each.


def _python() -> list[Component]:
    lock = _text("requirements.lock")
    runs = image_lock.blocks_of(image_lock.select(lock, image_lock.wanted(_text("pyproject.toml"), EXTRAS)))
    blocks = image_lock.blocks_of(lock)
    found = {name: _python_package(name, block, runs=name in runs) for name, block in blocks.items()}
    for name, block in blocks.items():
        for asker in image_lock.askers(block) & found.keys():
            found[asker].needs.add(found[name].purl)
    return list(found.values())


def _python_package(name: str, block: str, *, runs: bool) -> Component:
    version = block.split("==", 1)[1].split(maxsplit=1)[0]
    purl = f"pkg:pypi/{name}@{quote(version)}"
    return Component(purl, name, version, "required" if runs else "excluded", _SHA256.findall(block))


def _pypi_purl(name: str, among: list[Component]) -> str:
    return next(one.purl for one in among if one.name == name and one.purl.startswith("pkg:pypi/"))


# Rust: `native/Cargo.lock`. A dependency is named by its version as well where there are several of one name.


def _crates() -> list[dict[str, object]]:
    found: list[dict[str, object]] = tomllib.loads(_text("native/Cargo.lock"))["package"]
    return found


def _rust() -> Iterator[Component]:
    for crate in _crates():
        if crate["name"] not in OURS:
            name, version = str(crate["name"]), str(crate["version"])
            needs = {_cargo_purl(need) for need in _needs_of(crate)}
            yield Component(
                f"pkg:cargo/{name}@{quote(version)}", name, version, "optional", [str(crate["checksum"])], needs=needs
            )


def _needs_of(crate: dict[str, object]) -> list[str]:
    needs = crate.get("dependencies", [])
    assert isinstance(needs, list)
    return [need for need in needs if need.split()[0] not in OURS]


def _cargo_purl(need: str) -> str:
    name, *versions = need.split()
    version = versions[0] if versions else next(str(one["version"]) for one in _crates() if one["name"] == name)
    return f"pkg:cargo/{name}@{quote(version)}"


# Java: the Kafka of tests and the demonstration.


def _java() -> Iterator[Component]:
    for jar in tomllib.loads(_text("deploy/kafka/jgo.lock.toml"))["dependencies"]:
        group, name, version = jar["groupId"], jar["artifactId"], jar["version"]
        yield Component(
            f"pkg:maven/{group}/{name}@{quote(version)}", name, version, "excluded", [jar["sha256"]], group=group
        )


def _project() -> dict[str, str]:
    found: dict[str, str] = tomllib.loads(_text("pyproject.toml"))["project"]
    return found


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def main() -> None:
    """Write the bill to the file that is named."""
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bill(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(target)


if __name__ == "__main__":
    main()
