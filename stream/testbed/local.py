"""A genuine Apache Kafka on this machine, for demo, tests and benches: the one owner of a broker's processes.

Each node is broker and controller in one (KRaft), a JVM of its own under a guard (`guard.py`), listening on
127.0.0.1 only. `start` returns when every node lists all nodes as members, so topics can be made at once.

Promises: no node outlives the process that started it, not even when that one is killed. A temporary
directory is removed when all went well, and kept, with the logs in it, when a start failed, a node died by
itself, or the owner was killed. Nothing is sent anywhere but to the nodes; fetching the jars (`jars.py`) is
the only use of a network.

It must never be imported by what runs in production: a carrier's cluster is not ours to start or stop.

`python -m stream.testbed.local` runs a broker in the foreground; `--prepare` fetches what later runs need.
"""

import argparse
import base64
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from stream.testbed import guard, jars, java
from stream.testbed.jars import LocalKafkaError
from stream.testbed.java import Profile
from stream.testbed.node import Node, failure, free_ports, members_count, settings

__all__ = ["Cluster", "ExistingKafka", "LocalKafka", "LocalKafkaError", "Profile"]

START_LIMIT_S = 60.0
"""How long nodes may take to become ready. Three on two busy cores take some ten seconds."""

STOP_GRACE_S = 20.0
"""How long a node may take to end when asked to, where its directory was given and its data is kept."""

THROWAWAY_GRACE_S = 3.0
"""The same where nothing is kept. One node ends within half a second; of several, the last would wait in
vain, about five seconds, for a quorum with those that went before them."""

NODES_MAX = 9
"""More nodes than this on one machine are a slip of the pen."""


class Cluster(Protocol):
    """Any Kafka that programs can be pointed at."""

    @property
    def bootstrap(self) -> str:
        """`host:port[,host:port…]`, as clients take it."""


@dataclass(frozen=True, slots=True)
class ExistingKafka:
    """A cluster that somebody else runs."""

    bootstrap: str


class LocalKafka:
    """A cluster of `nodes` nodes on 127.0.0.1, each with a heap of `heap_mb` MiB.

    `directory` is where data and logs are kept; it outlives the cluster, and a later one started on it finds
    the topics as they were. Without it, a temporary one is used. `properties` are broker settings over those
    of this module, `jvm` further flags for Java.
    """

    def __init__(
        self,
        *,
        nodes: int = 1,
        directory: Path | None = None,
        heap_mb: int = 512,
        properties: Mapping[str, str] | None = None,
        profile: Profile = "test",
        jvm: Sequence[str] = (),
    ) -> None:
        if not 1 <= nodes <= NODES_MAX:
            raise ValueError(f"nodes is {nodes}: choose 1 to {NODES_MAX}")
        self._nodes_count = nodes
        self._given_directory = directory
        self._heap_mb = heap_mb
        self._properties = dict(properties or {})
        self._profile: Profile = profile
        self._jvm = tuple(jvm)
        self._grace_s = THROWAWAY_GRACE_S if directory is None else STOP_GRACE_S
        self._directory: Path | None = None
        self._nodes: list[Node] = []
        self._command: list[str] = []
        self._owner = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """The addresses of all nodes, as clients take them: `127.0.0.1:port[,127.0.0.1:port…]`."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self._nodes)

    @property
    def log_directory(self) -> Path:
        """The folder with one log per node, `node-1.log` and so on."""
        if self._directory is None:
            raise LocalKafkaError("this Kafka was not started, so it has no logs: call start() first")
        return self._directory / "logs"

    @property
    def pids(self) -> dict[int, int]:
        """The process id of each node that runs, by the node's number (from 1)."""
        return {node.number: node.pid for node in self._nodes if node.running}

    @property
    def died(self) -> tuple[int, ...]:
        """The numbers of the nodes that ended though nobody here asked them to."""
        return tuple(node.number for node in self._nodes if not node.running and not node.expected_to_end)

    def start(self) -> None:
        """Start all nodes and return when they are ready; raise LocalKafkaError, with the log's end, if not.

        Takes about a second for one node after `--prepare`, about four without. It blocks: in a coroutine,
        call it through `asyncio.to_thread`.
        """
        if self._nodes:
            raise LocalKafkaError("this Kafka was started before: stop() it first, or make another")
        self._command = java.command(heap_mb=self._heap_mb, profile=self._profile, extra=self._jvm)
        self._owner = os.getpid()
        self._directory = self._given_directory or Path(tempfile.mkdtemp(prefix="wurao-kafka-"))
        self.log_directory.mkdir(parents=True, exist_ok=True)
        self._nodes = self._make_nodes(self._directory)
        try:
            self._format()
            for node in self._nodes:
                self._launch(node)
            self._wait_until_ready(self._nodes)
        except BaseException:
            self._end(self._nodes)
            self._nodes = []
            raise

    def stop(self) -> None:
        """End all nodes, by force after a grace; remove the temporary directory unless a node died by itself.

        Does nothing when called again, or in a fork of the process that started the nodes.
        """
        if not self._nodes or self._directory is None or os.getpid() != self._owner:
            return
        died = self.died
        self._end(self._nodes)
        self._nodes = []
        if died:
            names = ", ".join(f"node {number}" for number in died)
            print(
                f"wurao: Kafka's {names} had ended unasked; the logs are kept in {self.log_directory}",
                file=sys.stderr,
            )
        elif self._given_directory is None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def kill(self, node: int) -> None:
        """End one node by SIGKILL, as a machine's failure would."""
        victim = self._node(node)
        if victim.guard is None or not victim.running:
            raise LocalKafkaError(f"node {node} is not running, so it cannot be killed")
        victim.expected_to_end = True
        os.kill(victim.pid, signal.SIGKILL)
        victim.guard.wait(STOP_GRACE_S)

    def restart(self, node: int) -> None:
        """Start one node again on its own data and port, ending it first if it runs; return when it is ready.

        After `kill` this takes up to `broker.session.timeout.ms`: the cluster must first miss the old
        process.
        """
        chosen = self._node(node)
        self._end([chosen])
        self._launch(chosen)
        self._wait_until_ready([chosen])

    def replace(self) -> None:
        """Kill all nodes and start others in their place: the same ports, another cluster, no topics.

        So it looks to clients when an address is turned over to another site.
        """
        assert self._directory is not None
        for node in self._nodes:
            self.kill(node.number)
            for path in node.folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
        (self._directory / "cluster-id").unlink()
        self._format()
        for node in self._nodes:
            self._launch(node)
        self._wait_until_ready(self._nodes)

    def _node(self, number: int) -> Node:
        for node in self._nodes:
            if node.number == number:
                return node
        raise LocalKafkaError(f"there is no node {number}: nodes are numbered 1 to {self._nodes_count}, once started")

    def _make_nodes(self, directory: Path) -> list[Node]:
        ports = free_ports(2 * self._nodes_count)
        nodes = [
            Node(
                number=number,
                port=ports.pop(),
                controller_port=ports.pop(),
                folder=directory / f"node-{number}",
                log=self.log_directory / f"node-{number}.log",
            )
            for number in range(1, self._nodes_count + 1)
        ]
        for node in nodes:
            node.folder.mkdir(exist_ok=True)
            lines = [f"{name}={value}" for name, value in (settings(node, nodes) | self._properties).items()]
            (node.folder / "server.properties").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return nodes

    def _format(self) -> None:
        """Prepare each node's storage, all at the same time; what is formatted already is left as it is."""
        assert self._directory is not None
        identity = self._directory / "cluster-id"
        if not identity.exists():
            identity.write_text(
                base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("="), encoding="ascii"
            )
        tool = [*self._command, "kafka.tools.StorageTool", "format", "--ignore-formatted"]
        running: list[tuple[Node, subprocess.Popen[bytes]]] = []
        for node in self._nodes:
            with node.log.open("ab") as log:
                options = [
                    f"--cluster-id={identity.read_text(encoding='ascii')}",
                    "-c",
                    str(node.folder / "server.properties"),
                ]
                running.append((node, subprocess.Popen([*tool, *options], stdout=log, stderr=log)))
        try:
            for node, process in running:
                if process.wait(START_LIMIT_S) != 0:
                    raise failure(node, f"could not format its storage (exit code {process.returncode})")
        finally:
            for _, process in running:
                process.kill()
                process.wait()

    def _launch(self, node: Node) -> None:
        """Start one node under a guard that holds the other end of a pipe from this process."""
        node.expected_to_end = False
        watch = [sys.executable, "-I", "-S", guard.__file__]
        watch += [str(os.getpid()), str(self._grace_s), str(node.log)]
        node.guard = subprocess.Popen(
            [*watch, *self._command, "kafka.Kafka", str(node.folder / "server.properties")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Out of reach of the terminal's signals: Ctrl-C is for the owner, who then stops it in order.
            start_new_session=True,
        )
        assert node.guard.stdout is not None
        with node.guard.stdout as output:
            line = output.readline()
        if not line:
            raise failure(node, "was not started by its guard")
        node.pid = int(line)

    def _wait_until_ready(self, nodes: Sequence[Node]) -> None:
        """Return when each of `nodes` lists all that run as members."""
        deadline = time.monotonic() + START_LIMIT_S
        for node in nodes:
            while True:
                if node.guard is not None and not node.running:
                    raise failure(node, f"ended with exit code {node.guard.returncode} before it was ready")
                if members_count(node.port) >= sum(other.running for other in self._nodes):
                    break
                if time.monotonic() > deadline:
                    raise failure(node, f"was not ready within {START_LIMIT_S:.0f} s")
                time.sleep(0.02)

    @staticmethod
    def _end(nodes: Sequence[Node]) -> None:
        """End these nodes: let go of all pipes first, so that they end side by side."""
        for node in nodes:
            node.expected_to_end = True
            if node.guard is not None and node.guard.stdin is not None:
                node.guard.stdin.close()
        for node in nodes:
            if node.guard is not None and node.guard.wait(2 * STOP_GRACE_S) == -signal.SIGKILL:
                # Somebody killed the guard itself, so nobody else is left to end the node.
                os.killpg(node.pid, signal.SIGKILL)
            node.guard = None


def _prepare() -> None:
    """Bring all that a run needs: the jars, and the archive of loaded classes, made by one start and stop."""
    jars.class_path()
    if java.archive_is_fresh():
        return
    print("wurao: preparing Kafka for quick starts (once, about ten seconds)", file=sys.stderr, flush=True)
    archive = java.class_archive()
    archive.parent.mkdir(parents=True, exist_ok=True)
    # Under a name of its own until it is whole: another process may make it too, or this one be interrupted.
    draft = archive.with_suffix(f".{os.getpid()}")
    # In a directory that is given, since Java writes the archive as it ends and needs the longer grace.
    with (
        tempfile.TemporaryDirectory(prefix="wurao-kafka-") as scratch,
        LocalKafka(directory=Path(scratch), profile="bench", jvm=[f"-XX:AOTCacheOutput={draft}"]),
    ):
        pass
    if draft.exists():
        draft.replace(archive)


def _run(nodes: int, profile: Profile) -> int:
    """Run a cluster in the foreground until Ctrl-C, SIGTERM, or the death of a node; 1 in the last case."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with LocalKafka(nodes=nodes, profile=profile) as kafka:
        print(kafka.bootstrap, flush=True)
        try:
            while not kafka.died:
                time.sleep(0.5)
        except KeyboardInterrupt:
            return 0
    return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m stream.testbed.local`."""
    parser = argparse.ArgumentParser(
        prog="python -m stream.testbed.local", description="A genuine Kafka on this machine."
    )
    parser.add_argument("--nodes", type=int, default=1, help="how many nodes (default: 1)")
    parser.add_argument(
        "--profile", choices=("test", "bench"), default="bench", help="how Java compiles (default: bench)"
    )
    parser.add_argument("--prepare", action="store_true", help="fetch what a run needs, and end")
    options = parser.parse_args(arguments)
    try:
        if options.prepare:
            _prepare()
            return 0
        return _run(options.nodes, options.profile)
    except LocalKafkaError as error:
        print(f"wurao: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
