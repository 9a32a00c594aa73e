"""Pin every image that the Containerfile and the compose file name to the digest that its registry shows today.

    make pins        docker.io/grafana/grafana:12.1.0 → docker.io/grafana/grafana:12.1.0@sha256:…

A name that is pinned already is pinned again. `skopeo` asks the registries; the digest is that of the whole list of
platforms, so a pin holds on all of them. Our own image is no one else's to name: in an overlay of Kubernetes it is
pinned by `kustomize edit set image wurao=registry.example/wurao@sha256:…` after it was pushed.
"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

DEPLOY: Final = Path(__file__).parent
FILES: Final = (DEPLOY / "Containerfile", DEPLOY / "docker-compose.yml")

_NAMED: Final = re.compile(
    r"^(?P<before>ARG [A-Z]+_IMAGE=|\s+image: )(?P<image>[^\s@]+:[^\s@]+)(?:@sha256:[0-9a-f]{64})?$", re.MULTILINE
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_OURS: Final = "wurao:"
_ANSWER_S_MAX: Final = 60


def pinned(text: str, digest: Callable[[str], str]) -> str:
    """A file's text with each image of others pinned to what `digest` says of its name."""

    def pin(found: re.Match[str]) -> str:
        image = found["image"]
        return found[0] if image.startswith(_OURS) else f"{found['before']}{image}@{digest(image)}"

    return _NAMED.sub(pin, text)


def shown(image: str) -> str:
    """The digest that a registry shows for a name. Raises `SystemExit` where it shows none."""
    command = ["skopeo", "inspect", "--no-tags", "--format", "{{.Digest}}", f"docker://{image}"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_ANSWER_S_MAX)
    except FileNotFoundError:
        raise SystemExit("make pins asks registries by skopeo, which is not installed") from None
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{image}: its registry did not answer within {_ANSWER_S_MAX} s") from None
    digest = asked.stdout.strip()
    if asked.returncode != 0 or not _DIGEST.fullmatch(digest):
        raise SystemExit(f"{image}: {asked.stderr.strip() or 'no digest was shown'}")
    return digest


def main() -> None:
    """Ask for all, then write all, so that a registry that is away leaves every file as it was."""
    made = {path: pinned(path.read_text(encoding="utf-8"), shown) for path in FILES}
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
