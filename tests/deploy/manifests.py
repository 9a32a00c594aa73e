"""The manifests as the tests read them: the files themselves, or what `kustomize build` makes of an overlay."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import msgspec
import pytest
import yaml

from stream.config import Config, load
from tests.deploy.custom import SPECS, Fields, Metadata
from tests.patience import LONG_S

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
COMPOSE_FILE = DEPLOY / "docker-compose.yml"
BASE_CONFIG = KUBERNETES / "base" / "wurao.toml"


class Manifest(msgspec.Struct, frozen=True):
    """One resource, read as far as all have it."""

    apiVersion: str
    kind: str
    metadata: Metadata

    @property
    def name(self) -> str:
        """Kind and name, for messages and look-ups."""
        return f"{self.kind}/{self.metadata.name}"


Document = dict[str, object]


def documents(text: str) -> list[Document]:
    """Every YAML document in a text."""
    return [cast("Document", one) for one in yaml.safe_load_all(text) if one]


def written() -> Iterator[tuple[Path, Document]]:
    """Every resource that stands in a file under deploy/kubernetes."""
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from ((path, one) for one in documents(path.read_text(encoding="utf-8")))


def built(overlay: str) -> list[Document]:
    """What an overlay becomes; skips where kustomize is not installed."""
    tool = shutil.which("kustomize")
    if tool is None:
        pytest.skip("kustomize is not installed: `go install sigs.k8s.io/kustomize/kustomize/v5@latest` brings it")
    folder = KUBERNETES / "overlays" / overlay
    made = subprocess.run([tool, "build", str(folder)], capture_output=True, text=True, check=False, timeout=LONG_S)
    assert made.returncode == 0, made.stderr
    return documents(made.stdout)


def manifest(document: Document) -> Manifest:
    """A document as a resource."""
    return msgspec.convert(document, Manifest)


def custom(document: Document) -> Fields | None:
    """The spec of a custom resource that tests read; None for another kind."""
    shape = SPECS.get((str(document["apiVersion"]), str(document["kind"])))
    return None if shape is None else msgspec.convert(document["spec"], shape)


def config(*, variables: dict[str, str], file: Path | None = None) -> Config:
    """A configuration as a process would have it. Raises `ConfigError` for a setting that does not exist."""
    return load(file, variables)


def seconds(text: str) -> float:
    """`40s` in seconds."""
    assert text.endswith("s")
    return float(text.removesuffix("s"))


def words(values: Sequence[object]) -> list[str]:
    """A command as it would be given."""
    return [str(value) for value in values]
