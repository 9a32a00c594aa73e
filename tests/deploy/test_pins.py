"""Pinning changes the names of other people's images, and nothing else."""

import re

import pytest

from deploy.pins import FILES, pinned

TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FILES}
OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "a" * 64


@pytest.mark.parametrize("name", TEXTS)
def test_every_image_of_others_is_pinned_once_and_ours_never(name: str) -> None:
    asked: list[str] = []

    def digest(image: str) -> str:
        asked.append(image)
        return NEW

    once = pinned(pinned(TEXTS[name], lambda _: OLD), digest)
    assert OLD not in once
    assert re.sub(r"@sha256:[0-9a-f]{64}", "", once) == re.sub(r"@sha256:[0-9a-f]{64}", "", TEXTS[name])
    expected = {
        "Containerfile": ["docker.io/library/python:", "docker.io/library/rust:"],
        "docker-compose.yml": ["docker.io/apache/kafka:", "docker.io/prom/prometheus:", "docker.io/grafana/grafana:"],
    }[name]
    assert len(asked) == len(expected) == once.count(NEW)
    assert all(image.startswith(start) for image, start in zip(asked, expected, strict=True))
    assert "wurao:0.1.0@" not in once
