"""The custom resources that we use, as far as tests read them; their form is checked by definitions.py."""

from typing import Annotated, Literal

import msgspec


class Fields(msgspec.Struct, frozen=True):
    """Base of all."""


class Metadata(Fields, frozen=True):
    name: str
    namespace: str | None = None
    labels: dict[str, str] = {}


# ---- Strimzi


class Broker(Fields, frozen=True):
    config: dict[str, str | int]


class KafkaSpec(Fields, frozen=True):
    kafka: Broker


class TopicSpec(Fields, frozen=True):
    topicName: str
    partitions: int
    config: dict[str, str | int]


class UserSpec(Fields, frozen=True):
    """Its rights are compared with the table by the test of generated files."""

    authentication: dict[str, str]


# ---- KEDA


class Target(Fields, frozen=True):
    kind: str
    name: str


class Fallback(Fields, frozen=True):
    replicas: int


class Lag(Fields, frozen=True, forbid_unknown_fields=True):
    """KEDA's scaler `kafka`. The definition takes any texts here, so this one is checked field by field."""

    bootstrapServers: str
    consumerGroup: str
    topic: str
    lagThreshold: Annotated[str, msgspec.Meta(pattern=r"^\d+$")]
    offsetResetPolicy: Literal["earliest"]
    sasl: Literal["scram_sha512"]
    tls: Literal["enable"]


class Trigger(Fields, frozen=True):
    type: Literal["kafka"]
    metadata: Lag


class ScaledSpec(Fields, frozen=True):
    scaleTargetRef: Target
    minReplicaCount: int
    maxReplicaCount: int
    fallback: Fallback
    triggers: list[Trigger]


class FromSecret(Fields, frozen=True):
    parameter: Literal["username", "password", "ca"]
    name: str


class TriggerAuthenticationSpec(Fields, frozen=True):
    secretTargetRef: list[FromSecret]


# ---- Prometheus operator


class Selector(Fields, frozen=True):
    matchLabels: dict[str, str] = {}


class Endpoint(Fields, frozen=True):
    port: str


class MonitorSpec(Fields, frozen=True):
    selector: Selector
    endpoints: list[Endpoint]


SPECS: dict[tuple[str, str], type[Fields]] = {
    ("kafka.strimzi.io/v1", "Kafka"): KafkaSpec,
    ("kafka.strimzi.io/v1", "KafkaTopic"): TopicSpec,
    ("kafka.strimzi.io/v1", "KafkaUser"): UserSpec,
    ("keda.sh/v1alpha1", "ScaledObject"): ScaledSpec,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): TriggerAuthenticationSpec,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): MonitorSpec,
}
"""(apiVersion, kind) → the shape of its `spec`, of those that a test reads."""
