"""Becoming a Java peer: the policy is written where Java can read it, then this process becomes the Java one.

So the process that was started, its id and its end are the Java program's own, as with any other peer.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from bloom.number import SUBSCRIBER_PATTERN
from loadtest.peers import java_build
from loadtest.peers.arguments import Task, task
from stream.policy.loading import load
from stream.policy.rules import answers_needed
from stream.policy.settings import Policy
from stream.policy.text import simplified_table

JVM: Final = (
    # What Kafka's documentation and most measurements take for throughput. Memory is taken at once, so that the
    # collector's share does not depend on how the heap grew.
    "-XX:+UseParallelGC",
    "-Xms1g",
    "-Xmx1g",
    "-XX:+AlwaysPreTouch",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
)


class JavaPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of a policy the Java peers know (`java/wurao/peers/Policy.java`)."""

    version: str
    appeal: str
    help: str
    short: str
    redress: tuple[str, ...]
    opt_out: str
    codes: dict[str, str]
    """reason → the JSON of its answers on SMS"""
    traditional: str
    simplified: str


def become(main: str) -> None:
    """Become the Java program `main`. Does not return. Raises SystemExit, with the mend, where it is not built."""
    asked = task()
    if not java_build.is_built():
        raise SystemExit("the Java peers are not built: run `make peers`")
    java = str(java_build.runtime())
    options = [
        *("--bootstrap", asked.bootstrap, "--group", asked.group, "--snapshot", str(asked.registry)),
        *("--events-topic", asked.events_topic, "--decisions-topic", asked.decisions_topic),
        *("--compression", asked.compression, "--policy", str(_policy_file(asked))),
        *(("--stop-at", str(asked.stop_at)) if asked.stop_at is not None else ()),
        *(("--passes", os.environ["LOADTEST_JAVA_PASSES"]) if "LOADTEST_JAVA_PASSES" in os.environ else ()),
    ]
    sys.stdout.flush()
    os.execv(java, [java, *JVM, "-cp", java_build.class_path(), f"wurao.peers.{main}", *options])  # noqa: S606


def _policy_file(asked: Task) -> Path:
    with tempfile.NamedTemporaryFile(prefix="wurao-peer-policy-", suffix=".json", delete=False) as file:
        file.write(msgspec.json.encode(_java_policy(load(asked.config.policy.file))))
    return Path(file.name)


def _java_policy(policy: Policy) -> JavaPolicy:
    numbers, texts = policy.file.numbers, policy.file.texts
    if not policy.silence_refuses or policy.file.hours or numbers.subscriber != SUBSCRIBER_PATTERN:
        raise SystemExit(
            "the Java peers know the default policy only: silence refuses, no hours, E.164 subscribers; measure with it"
        )
    traditional, simplified = (line for line in simplified_table().splitlines() if not line.startswith("#"))
    return JavaPolicy(
        version=policy.version,
        appeal=policy.appeal,
        help=numbers.help,
        short=numbers.short,
        redress=tuple(numbers.redress),
        opt_out=texts.opt_out,
        codes={
            reason: msgspec.json.encode(policy.code(reason, "sms")).decode()
            for reason, channels in answers_needed().items()
            if "sms" in channels
        },
        traditional=traditional,
        simplified=simplified,
    )
