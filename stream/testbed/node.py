"""One node of a local Kafka: its settings, its ports, and the question whether it is ready.

Nothing here starts or ends a process, or writes a file: `local.py` does.
"""

import secrets
import socket
import struct
import subprocess
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from stream.testbed.jars import LocalKafkaError

LOG_LINES_QUOTED = 12
"""How much of a node's log goes into an error, not counting the frames of stack traces."""

# Below the range from which the kernel takes ports for outgoing connections, so that no client's connection
# can take a port between our choice and the node's bind.
_PORTS = range(20_000, 32_768)


@dataclass(slots=True)
class Node:
    """One node: where it listens, what it runs in, and how its end is to be read."""

    number: int
    port: int
    controller_port: int
    folder: Path
    log: Path
    pid: int = 0
    guard: subprocess.Popen[str] | None = None
    expected_to_end: bool = False

    @property
    def running(self) -> bool:
        """Whether its guard, and so the node itself, has not ended yet."""
        return self.guard is not None and self.guard.poll() is None


def settings(node: Node, nodes: Sequence[Node]) -> dict[str, str]:
    """The broker settings of one node: quick to start and stop, safe by replication, deaf to the outside."""
    copies = min(len(nodes), 3)
    most = str(max(1, copies - 1))
    record_bytes_max = str(2 * 1024 * 1024)
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "controller.quorum.voters": ",".join(f"{n.number}@127.0.0.1:{n.controller_port}" for n in nodes),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listeners": f"PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{node.port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(node.folder / "data"),
        # A dead node is missed after six seconds: late enough for a busy machine, soon enough for a test.
        "broker.heartbeat.interval.ms": "1000",
        "broker.session.timeout.ms": "6000",
        # Topics are made by `wurao topics`, with the partitions and the compaction that they need, or not at
        # all.
        "auto.create.topics.enable": "false",
        "default.replication.factor": str(copies),
        "message.max.bytes": record_bytes_max,
        "replica.fetch.max.bytes": record_bytes_max,
        # Events keep the time their gateway gave them; samples of any age must not be swept away meanwhile.
        "log.message.timestamp.type": "CreateTime",
        "log.retention.ms": "-1",
        # One thread's share of the default 128 MiB would take a quarter of the heap.
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "offsets.topic.num.partitions": "8",
        "offsets.topic.replication.factor": str(copies),
        "transaction.state.log.num.partitions": "8",
        "transaction.state.log.replication.factor": str(copies),
        "transaction.state.log.min.isr": most,
        "share.coordinator.state.topic.num.partitions": "8",
        "share.coordinator.state.topic.replication.factor": str(copies),
        "share.coordinator.state.topic.min.isr": most,
    }


def free_ports(count: int) -> list[int]:
    """`count` different ports of 127.0.0.1 that nobody listens on just now."""
    free: set[int] = set()
    while len(free) < count:
        port = secrets.choice(_PORTS)
        with closing(socket.socket()) as attempt:
            # As Java binds it: a port whose old connections only linger is free.
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
        free.add(port)
    return list(free)


def members_count(port: int) -> int:
    """How many nodes the node at `port` lists as members of its cluster; 0 while it does not answer.

    One Metadata request, version 1, about no topic (Kafka protocol guide): the smallest question whose answer
    says that clients will be served.
    """
    header = struct.pack(">hhih", 3, 1, 1, -1)
    body = struct.pack(">i", 0)
    try:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=2.0)) as connection:
            connection.sendall(struct.pack(">i", len(header + body)) + header + body)
            with connection.makefile("rb") as answer:
                start = answer.read(12)
    except OSError:
        return 0
    if len(start) < 12:
        return 0
    _size, _correlation, members = struct.unpack(">iii", start)
    return int(members)


def failure(node: Node, what: str) -> LocalKafkaError:
    """The error for a node that failed: what it did, the end of its log, and where the rest is."""
    lines = node.log.read_text(encoding="utf-8", errors="replace").splitlines()
    # The frames of a stack trace would push out its message, which is what says the reason.
    telling = [line for line in lines if not line.startswith("\tat ")][-LOG_LINES_QUOTED:]
    quoted = "\n".join(f"    {line}" for line in telling) or "    (it is empty)"
    return LocalKafkaError(
        f"Kafka node {node.number} {what}. The last lines of its log:\n{quoted}\n"
        f"The whole log is kept in {node.log}; its settings are {node.folder / 'server.properties'}"
    )
