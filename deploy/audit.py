"""Known vulnerabilities of everything that the bill of materials names (`sbom`), asked of OSV.

OSV gathers the advisories of Python (PyPA), Rust (RustSec) and Java (GitHub), so one question covers all three lock
files, and no tool has to be installed beside them. It is told names and versions of public packages, and nothing else.

    python -m deploy.audit [--accept ID …] [--service URL]

Exit codes: 0 nothing is known; 1 something is, listed one a line; 2 the service could not be asked, so nothing was
found out. (`make audit` ends with 2 for both, and names the code.) `--accept` passes over an advisory that somebody has
looked at.
"""

import argparse
import http.client
import sys
import urllib.request
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from deploy import sbom

T = TypeVar("T")

SERVICE: Final = "https://api.osv.dev"
QUERIES_MAX: Final = 1_000
"""As many as OSV answers at once."""
PAGES_MAX: Final = 20
TIMEOUT_S: Final = 30.0
ANSWER_BYTES_MAX: Final = 64 << 20
SUMMARY_CHARACTERS_MAX: Final = 160


class Unreachable(Exception):
    """The service did not answer, or not as it should."""


class Finding(NamedTuple):
    """One advisory about one package."""

    purl: str
    scope: str
    advisory: str
    aliases: tuple[str, ...]
    summary: str

    def __str__(self) -> str:
        names = " ".join((self.advisory, *self.aliases))
        return f"{self.purl} ({self.scope}): {names}: {self.summary}"


class _Advisory(msgspec.Struct):
    id: str
    aliases: list[str] = []
    summary: str = ""
    details: str = ""
    withdrawn: str | None = None


class _Named(msgspec.Struct):
    id: str


class _Result(msgspec.Struct):
    vulns: list[_Named] = []
    next_page_token: str | None = None


class _Results(msgspec.Struct):
    results: list[_Result]


def findings(service: str, found: Sequence[sbom.Component], *, accepted: Collection[str] = ()) -> list[Finding]:
    """What is known about these packages, without what was accepted or withdrawn. Raises `Unreachable`."""
    told: list[Finding] = []
    advisories: dict[str, _Advisory] = {}
    for one, ids in zip(found, _ids(service, [one.purl for one in found]), strict=True):
        for name in sorted(ids):
            if name not in advisories:
                advisories[name] = _ask(f"{service}/v1/vulns/{name}", _Advisory)
            about = advisories[name]
            if about.withdrawn or not {name, *about.aliases}.isdisjoint(accepted):
                continue
            summary = " ".join((about.summary or about.details or "no summary").split())[:SUMMARY_CHARACTERS_MAX]
            told.append(Finding(one.purl, one.scope, name, tuple(sorted(about.aliases)), summary))
    return told


def _ids(service: str, purls: Sequence[str]) -> list[set[str]]:
    """The ids of each package's advisories, page by page."""
    ids: list[set[str]] = [set() for _ in purls]
    waiting: list[tuple[int, str | None]] = [(place, None) for place in range(len(purls))]
    for _ in range(PAGES_MAX):
        following: list[tuple[int, str | None]] = []
        for start in range(0, len(waiting), QUERIES_MAX):
            asked = waiting[start : start + QUERIES_MAX]
            queries = [
                {"package": {"purl": purls[place]}, **({"page_token": token} if token else {})}
                for place, token in asked
            ]
            answer = _ask(f"{service}/v1/querybatch", _Results, {"queries": queries})
            if len(answer.results) != len(asked):
                raise Unreachable(f"{service} answered {len(answer.results)} of {len(asked)} questions")
            for (place, _token), result in zip(asked, answer.results, strict=True):
                ids[place].update(one.id for one in result.vulns)
                if result.next_page_token:
                    following.append((place, result.next_page_token))
        if not (waiting := following):
            return ids
    raise Unreachable(f"{service} has more than {PAGES_MAX} pages of advisories for one package")


def _ask(url: str, form: type[T], question: object = None) -> T:
    """The answer to a question by POST, or without one by GET. Raises `Unreachable`."""
    data = None if question is None else msgspec.json.encode(question)
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310  # as it was given
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            return msgspec.json.decode(response.read(ANSWER_BYTES_MAX), type=form)
    except (http.client.HTTPException, OSError, msgspec.MsgspecError) as error:
        raise Unreachable(f"{url} cannot be asked: {error}") from error


def main(words: Sequence[str] | None = None) -> int:
    """Ask, and list what is known."""
    parser = argparse.ArgumentParser(prog="audit", description="Known vulnerabilities of what wurao is made of.")
    parser.add_argument(
        "--accept", metavar="ID", nargs="+", action="extend", default=[], help="advisories to pass over"
    )
    parser.add_argument("--service", metavar="URL", default=SERVICE, help=f"OSV or a mirror (default: {SERVICE})")
    given = parser.parse_args(words)
    found = sbom.components()
    try:
        told = findings(given.service.rstrip("/"), found, accepted=given.accept)
    except Unreachable as error:
        mend = "run it where the service can be reached, or name a mirror by --service"
        print(f"audit: {error}; nothing was found out: {mend}", file=sys.stderr)
        return 2
    for one in told:
        print(one)
    print(f"{len(found)} packages, {len(told)} known vulnerabilities", file=sys.stderr)
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
