"""The custom resources that we use, as far as we use them: a field that is not here is a field that nobody knows.

Written from the definitions of Strimzi's API `v1`, KEDA's `v1alpha1` and the Prometheus operator's `v1`; our manifests
were checked against those definitions, complete and strict, when this was written (2026-11-25). Whoever uses a further
field adds it here, after a look into the definition.
"""

from typing import Annotated, Literal

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0)]
Some = Annotated[int, msgspec.Meta(ge=1)]
Duration = Annotated[str, msgspec.Meta(pattern=r"^\d+[smhd]$")]
Labels = dict[str, str]
Setting = str | int


class Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all: unknown fields are refused."""


class Metadata(Fields, frozen=True):
    name: str
    namespace: str | None = None
    labels: Labels = {}


class Resources(Fields, frozen=True):
    requests: dict[Literal["cpu", "memory"], str]
    limits: dict[Literal["cpu", "memory"], str]


# ---- Strimzi


class Volume(Fields, frozen=True):
    id: int
    type: Literal["persistent-claim", "ephemeral"]
    size: str
    kraftMetadata: Literal["shared"] | None = None


class Storage(Fields, frozen=True):
    type: Literal["jbod"]
    volumes: list[Volume]


class Jvm(Fields, frozen=True):
    xms: str = msgspec.field(name="-Xms")
    xmx: str = msgspec.field(name="-Xmx")


class PoolPod(Fields, frozen=True):
    affinity: dict[str, object]


class PoolTemplate(Fields, frozen=True):
    pod: PoolPod


class PoolSpec(Fields, frozen=True):
    replicas: Some
    roles: list[Literal["controller", "broker"]]
    storage: Storage
    resources: Resources
    jvmOptions: Jvm | None = None
    template: PoolTemplate | None = None


class Authentication(Fields, frozen=True):
    type: Literal["scram-sha-512", "tls"]


class Selector(Fields, frozen=True):
    matchLabels: Labels = {}


class Peer(Fields, frozen=True):
    podSelector: Selector | None = None
    namespaceSelector: Selector | None = None


class Listener(Fields, frozen=True):
    name: str
    port: Some
    type: Literal["internal"]
    tls: bool
    authentication: Authentication
    networkPolicyPeers: list[Peer]


class Authorization(Fields, frozen=True):
    type: Literal["simple"]


class Broker(Fields, frozen=True):
    version: str
    listeners: list[Listener]
    authorization: Authorization
    config: dict[str, Setting]


class Operator(Fields, frozen=True):
    pass


class Operators(Fields, frozen=True):
    topicOperator: Operator
    userOperator: Operator


class KafkaSpec(Fields, frozen=True):
    kafka: Broker
    entityOperator: Operators


class TopicSpec(Fields, frozen=True):
    topicName: str
    partitions: Some
    replicas: Some
    config: dict[str, Setting]


class Resource(Fields, frozen=True):
    type: Literal["topic", "group", "transactionalId"]
    name: str
    patternType: Literal["literal", "prefix"]


class Acl(Fields, frozen=True):
    resource: Resource
    operations: list[Literal["Read", "Write", "Describe", "DescribeConfigs"]]


class Acls(Fields, frozen=True):
    type: Literal["simple"]
    acls: list[Acl]


class UserSpec(Fields, frozen=True):
    authentication: Authentication
    authorization: Acls


# ---- KEDA


class Target(Fields, frozen=True):
    apiVersion: str
    kind: str
    name: str


class Fallback(Fields, frozen=True):
    failureThreshold: Some
    replicas: Some


class ScalingPolicy(Fields, frozen=True):
    type: Literal["Pods", "Percent"]
    value: Some
    periodSeconds: Some


class Scaling(Fields, frozen=True):
    stabilizationWindowSeconds: Count
    policies: list[ScalingPolicy]


class Behaviour(Fields, frozen=True):
    scaleUp: Scaling
    scaleDown: Scaling


class Autoscaler(Fields, frozen=True):
    behavior: Behaviour


class Advanced(Fields, frozen=True):
    horizontalPodAutoscalerConfig: Autoscaler


class Lag(Fields, frozen=True):
    """KEDA's scaler `kafka`: numbers are texts there."""

    bootstrapServers: str
    consumerGroup: str
    topic: str
    lagThreshold: Annotated[str, msgspec.Meta(pattern=r"^\d+$")]
    offsetResetPolicy: Literal["earliest"]
    sasl: Literal["scram_sha512"]
    tls: Literal["enable"]


class Reference(Fields, frozen=True):
    name: str


class Trigger(Fields, frozen=True):
    type: Literal["kafka"]
    metadata: Lag
    authenticationRef: Reference


class ScaledSpec(Fields, frozen=True):
    scaleTargetRef: Target
    minReplicaCount: Some
    maxReplicaCount: Some
    pollingInterval: Some
    fallback: Fallback
    advanced: Advanced
    triggers: list[Trigger]


class FromSecret(Fields, frozen=True):
    parameter: Literal["username", "password", "ca"]
    name: str
    key: str


class TriggerAuthenticationSpec(Fields, frozen=True):
    secretTargetRef: list[FromSecret]


# ---- Prometheus operator


class Endpoint(Fields, frozen=True):
    port: str
    interval: Duration


class MonitorSpec(Fields, frozen=True):
    selector: Selector
    endpoints: list[Endpoint]


class Rule(Fields, frozen=True):
    expr: str
    record: str | None = None
    alert: str | None = None
    for_: Duration | None = msgspec.field(name="for", default=None)
    labels: Labels = {}
    annotations: Labels = {}


class Group(Fields, frozen=True):
    name: str
    rules: list[Rule]
    interval: Duration | None = None


class RuleSpec(Fields, frozen=True):
    groups: list[Group]


SPECS: dict[tuple[str, str], type[Fields]] = {
    ("kafka.strimzi.io/v1", "Kafka"): KafkaSpec,
    ("kafka.strimzi.io/v1", "KafkaNodePool"): PoolSpec,
    ("kafka.strimzi.io/v1", "KafkaTopic"): TopicSpec,
    ("kafka.strimzi.io/v1", "KafkaUser"): UserSpec,
    ("keda.sh/v1alpha1", "ScaledObject"): ScaledSpec,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): TriggerAuthenticationSpec,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): MonitorSpec,
    ("monitoring.coreos.com/v1", "PrometheusRule"): RuleSpec,
}
"""(apiVersion, kind) → the shape of its `spec`."""
