"""A genuine broker that listens on further ports, by protocols that tests ask for."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import pytest

from stream.testbed import local
from stream.testbed.local import LocalKafka
from stream.testbed.node import free_ports

PASSWORD: Final = "not-a-secret"  # noqa: S105  # of users that live as long as a test, on 127.0.0.1


def plain_logins(*users: str) -> str:
    """The setting by which a listener lets these users in."""
    known = " ".join(f'user_{name}="{PASSWORD}"' for name in users)
    return f"org.apache.kafka.common.security.plain.PlainLoginModule required {known};"


@contextmanager
def listening_kafka(
    listeners: Mapping[str, str], properties: Mapping[str, str], *, jvm: Sequence[str] = ()
) -> Iterator[tuple[LocalKafka, dict[str, int]]]:
    """A broker, open to all at its `bootstrap`, and the port of each of these listeners (name → protocol)."""
    open_port, controller_port, *others = free_ports(2 + len(listeners))
    ports = dict(zip(listeners, others, strict=True))
    advertised = [f"{name}://127.0.0.1:{port}" for name, port in {"PLAINTEXT": open_port, **ports}.items()]
    protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **listeners}
    kafka = LocalKafka(
        properties={
            "listeners": ",".join([*advertised, f"CONTROLLER://127.0.0.1:{controller_port}"]),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": ",".join(f"{name}:{one}" for name, one in protocols.items()),
            **properties,
        },
        jvm=jvm,
    )
    with pytest.MonkeyPatch.context() as patch:
        # The listeners must be named before the broker chooses its ports.
        patch.setattr(local, "free_ports", lambda _count: [controller_port, open_port])
        kafka.start()
    try:
        yield kafka, ports
    finally:
        kafka.stop()
