"""`wurao demo` as somebody runs it: piped, interrupted, pointed at the wrong cluster. On genuine Kafka."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from stream.testbed.local import Cluster
from stream.testbed.processes import wurao_command
from tests.filter.harness import Broker
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka

DEMO = wurao_command("demo")


def environment(directory: Path) -> dict[str, str]:
    """Ours, with a place for temporary files that can be looked at afterwards, and no cluster."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WURAO_") or name == "WURAO_JAVA"}
    return {**kept, "TMPDIR": str(directory)}


def left_over(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir() if entry.name.startswith("wurao"))


def test_a_short_piped_run_tells_the_whole_story_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--seconds", "5", "--rate", "1000"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    assert re.search(r"was sent \d+ ms after the reply", told)
    assert "and 0 got through after it" in told
    assert done.stdout.count("  because ") == 3
    assert "block · refused · rule 25" in done.stdout
    for reason in ("emergency", "campaign_text_mismatch", "spoofed_number", "stopped"):
        assert reason in done.stdout
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", done.stdout)
    assert not re.search(r"\+86\d{11}", done.stdout), "no subscriber's number is shown"
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("ending", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=str,
)
def test_a_signal_ends_everything_that_was_started(tmp_path: Path, ending: signal.Signals, code: int) -> None:
    demo = subprocess.Popen(
        [*DEMO],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("registry"):
            break
    demo.send_signal(ending)
    _, said = demo.communicate(timeout=LONG_S)
    assert demo.returncode == code, said
    assert "Traceback" not in said
    assert left_over(tmp_path) == []


def test_a_cluster_whose_registry_is_in_use_is_left_alone(kafka: Cluster, tmp_path: Path, broker: Broker) -> None:
    broker.write([("registry.senders", 0, b"ORG-1", b"{}")])
    done = subprocess.run(
        [*DEMO, "--bootstrap", kafka.bootstrap], env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "hold records" in done.stderr
    assert "Traceback" not in done.stderr
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seconds", "1"], "--seconds 1: from 3"),
        (["--rate", "0"], "--rate 0: from 1"),
        (["--messages", "nowhere.ndjson"], "nowhere.ndjson"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_started(options: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run([*DEMO, *options], env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Kafka" not in done.stdout
    assert left_over(tmp_path) == []
