"""A genuine broker, secured as in the compose file, on which everybody may do what stream/kafka/rights.py says alone.

Kafka's own authorizer decides, and says so in the broker's log. Processes log in by SCRAM as their user on a listener
of their own; the tests reach the other listener, where everything is allowed.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import yaml
from aiokafka.admin import AIOKafkaAdminClient

from stream import config as configuration
from stream.config import Config
from stream.kafka import users
from stream.kafka.rights import USERS, Operation, ResourceKind
from stream.testbed import jars
from tests.deploy.manifests import COMPOSE_FILE
from tests.deploy.workloads import Compose
from tests.filter.harness import Broker
from tests.testbed.listening import PASSWORD, listening_kafka

_SAID: Final = re.compile(
    r"Principal = User:(?P<user>\S+) is (?P<verdict>Allowed|Denied) operation = (?P<operation>\w+) from host = \S+ "
    r"on resource = (?P<kind>\w+):LITERAL:(?P<name>\S+) "
)
"""What the authorizer logs of each question that it is asked."""

_OPERATIONS: Final[dict[str, Operation]] = {
    "READ": "Read",
    "WRITE": "Write",
    "DESCRIBE": "Describe",
    "DESCRIBE_CONFIGS": "DescribeConfigs",
}
_KINDS: Final[dict[str, ResourceKind]] = {"Topic": "topic", "Group": "group", "TransactionalId": "transactionalId"}


class Use(NamedTuple):
    """An operation that a user was allowed."""

    user: str
    resource: ResourceKind
    name: str
    operation: Operation


@dataclass(frozen=True)
class Guarded:
    """The broker, open to the tests, and the port at which users log in."""

    broker: Broker
    port: int
    log: Path

    def login(self, user: str) -> dict[str, str]:
        """The variables by which a process logs in as a user."""
        return {
            "WURAO_KAFKA__BOOTSTRAP": f"127.0.0.1:{self.port}",
            "WURAO_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "WURAO_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
            "WURAO_KAFKA__SASL_USERNAME": user,
            "WURAO_KAFKA__SASL_PASSWORD": PASSWORD,
        }

    def config(self, user: str) -> Config:
        """The configuration of a client that logs in as a user."""
        return configuration.load(None, self.login(user))

    def used(self) -> set[Use]:
        """What the authorizer has allowed so far."""
        return {
            Use(said["user"], _KINDS[said["kind"]], said["name"], _OPERATIONS[said["operation"]])
            for said in _SAID.finditer(self.log.read_text(encoding="utf-8"))
            if said["verdict"] == "Allowed" and said["user"] in USERS and said["kind"] in _KINDS
        }


@contextmanager
def guarded_kafka(folder: Path) -> Iterator[Guarded]:
    """A broker with wurao's topics, users and their rights; `folder` is for its settings."""
    logging = folder / "log4j2.properties"
    logging.write_text(
        jars.definition("log4j2.properties").read_text(encoding="utf-8")
        + "logger.authorizer.name = kafka.authorizer.logger\nlogger.authorizer.level = debug\n",
        encoding="utf-8",
    )
    jvm = (f"-Dlog4j2.configurationFile={logging}",)
    with listening_kafka({"INSIDE": "SASL_PLAINTEXT"}, _security_of_compose(), jvm=jvm) as (kafka, ports):
        broker = Broker(kafka.bootstrap)
        broker.create_topics()
        broker.ask(_make_users)
        yield Guarded(broker, ports["INSIDE"], kafka.log_directory / "node-1.log")


def _security_of_compose() -> dict[str, str]:
    """How the compose file's Kafka lets users in and what it lets them do, as the image makes properties of it."""
    services = msgspec.convert(yaml.safe_load(COMPOSE_FILE.read_text("utf-8")), Compose).services
    properties = {
        name.removeprefix("KAFKA_").lower().replace("___", "-").replace("_", "."): value
        for name, value in services["kafka"].variables.items()
    }
    wanted = ("sasl.enabled.mechanisms", "listener.name.inside.", "authorizer.class.name", "super.users")
    return {name: value for name, value in properties.items() if name.startswith(wanted)}


async def _make_users(admin: AIOKafkaAdminClient) -> None:
    await users.create(admin, USERS.values(), dict.fromkeys(USERS, PASSWORD))
