"""The manifests of Kubernetes: valid without a cluster, and true to the code that they run."""

from pathlib import Path
from typing import TypeVar

import kubernetes_validate
import msgspec
import pytest
import yaml
from jsonschema.exceptions import best_match

from deploy.topics import TOPICS
from stream.audit.shadow import GROUP_SUFFIX
from stream.cli.parser import parser
from stream.config import Config
from stream.filter.supervisor import GOODBYE_MARGIN_S
from stream.kafka.rights import USERS
from stream.kafka.topics import EXPECTED
from tests.deploy.custom import KafkaSpec, MonitorSpec, ScaledSpec, TopicSpec, TriggerAuthenticationSpec, UserSpec
from tests.deploy.definitions import kind, known
from tests.deploy.manifests import (
    BASE_CONFIG,
    KUBERNETES,
    Document,
    built,
    config,
    custom,
    manifest,
    written,
)
from tests.deploy.workloads import services, workloads

WRITTEN = list(written())
ALL = [document for _, document in WRITTEN]
WORKLOADS = workloads(ALL)
assert WORKLOADS, "no workload was found: tests of all of them would say nothing"
SERVICES = services(ALL)
DEFINITIONS = known()
OVERLAYS = ("production", "small")

T = TypeVar("T")


class PolicyPort(msgspec.Struct, frozen=True):
    port: int


class Egress(msgspec.Struct, frozen=True):
    ports: list[PolicyPort]


class NetworkPolicySpec(msgspec.Struct, frozen=True):
    egress: list[Egress]


class Kustomization(msgspec.Struct, frozen=True):
    resources: list[str] = []


def _check(document: Document) -> str | None:
    """What is wrong with a resource, or None."""
    name = manifest(document).name
    if (defined := DEFINITIONS.get(kind(document))) is not None:
        wrong = best_match(defined.iter_errors(document))
        return None if wrong is None else f"{name}: {wrong.json_path}: {wrong.message}"
    try:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{name}: {error}"
    return None


def _one(kind: str, shape: type[T], name: str = "") -> T:
    (spec,) = [custom(one) for one in ALL if one["kind"] == kind and name in manifest(one).metadata.name]
    assert isinstance(spec, shape)
    return spec


def _all(kind: str, shape: type[T]) -> dict[str, T]:
    found = {manifest(one).metadata.name: custom(one) for one in ALL if one["kind"] == kind}
    return {name: spec for name, spec in found.items() if isinstance(spec, shape)}


def _config(name: str) -> Config:
    """The configuration as a workload's process has it (a password stands in for the file of its secret)."""
    variables = WORKLOADS[name].container.variables
    assert variables.pop("WURAO_CONFIG") == "/etc/wurao/config/wurao.toml"
    return config(variables={**variables, "WURAO_KAFKA__SASL_PASSWORD": "some"}, file=BASE_CONFIG)


# ---- valid


def test_every_resource_has_the_form_of_its_kind() -> None:
    assert [wrong for document in ALL if (wrong := _check(document)) is not None] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_resource_of_an_overlay_has_the_form_of_its_kind(overlay: str) -> None:
    documents = built(overlay)
    assert [wrong for document in documents if (wrong := _check(document)) is not None] == []
    assert {manifest(one).metadata.namespace for one in documents if one["kind"] != "Namespace"} == {"wurao"}


@pytest.mark.parametrize("field", ["replica", "topologySpreadConstraint"])
@pytest.mark.parametrize("name", sorted({"StatefulSet", *(name.rsplit("/", 1)[1] for name in DEFINITIONS)}))
def test_a_misspelt_field_is_refused(name: str, field: str) -> None:
    document = next(one for one in ALL if one["kind"] == name)
    spec = document["spec"]
    assert isinstance(spec, dict)
    assert _check({**document, "spec": {**spec, field: 1}}) is not None


def test_a_value_that_a_definition_does_not_take_is_refused() -> None:
    users = next(one for one in ALL if one["kind"] == "KafkaUser")
    assert _check({**users, "spec": {"authentication": {"type": "scram-sha-256"}}}) is not None


def test_every_kind_has_a_definition_and_every_definition_has_a_use() -> None:
    ours = {kind(document) for document in ALL if ".k8s.io/" not in kind(document) and "." in kind(document)}
    assert ours == DEFINITIONS.keys()


def test_every_file_belongs_to_a_kustomization_and_every_kustomization_finds_its_files() -> None:
    named: set[Path] = set()
    for path in KUBERNETES.rglob("kustomization.yaml"):
        wanted = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Kustomization)
        paths = {(path.parent / resource).resolve() for resource in wanted.resources}
        assert all(one.exists() for one in paths), path
        named |= paths
    assert {path for path, _ in WRITTEN} <= named


# ---- true to the code


def test_topics_are_those_of_the_code_with_their_partitions_and_settings() -> None:
    topics = _all("KafkaTopic", TopicSpec)
    assert topics.keys() == EXPECTED.keys()
    for name, expected in EXPECTED.items():
        assert topics[name].topicName == name
        assert topics[name].partitions == expected.partitions(TOPICS)
        assert topics[name].config.items() >= expected.settings.items()


def test_topics_are_made_with_the_partitions_that_processes_expect() -> None:
    assert _config("wurao-filter").topics == TOPICS


def test_a_record_is_on_two_disks_when_it_is_acknowledged_and_a_broker_that_lags_never_leads() -> None:
    brokers = _one("Kafka", KafkaSpec).kafka.config
    assert brokers["unclean.leader.election.enable"] == "false"
    assert brokers["auto.create.topics.enable"] == "false"
    assert {str(topic.config["min.insync.replicas"]) for topic in _all("KafkaTopic", TopicSpec).values()} == {"2"}


def test_every_process_runs_a_command_that_exists_with_settings_that_exist() -> None:
    for name, workload in WORKLOADS.items():
        (command,) = workload.container.args
        assert name == f"wurao-{command}"
        assert callable(parser(command).parse_args([command]).run)
        assert _config(name).kafka.sasl_username == name


def test_ports_and_probes_are_those_that_processes_serve() -> None:
    for name, workload in WORKLOADS.items():
        settings = _config(name)
        served = {
            "wurao-filter": settings.metrics.port,
            "wurao-registrar": settings.registrar.port,
            "wurao-enforce": settings.enforce.port,
            "wurao-watch": settings.watch.port,
            "wurao-notify": settings.connector.port,
            "wurao-audit": settings.audit.port,
        }[name]
        ports = {port.name: port.containerPort for port in workload.container.ports}
        wanted = {"metrics": served}
        if name == "wurao-filter":
            wanted |= {f"worker-{index}": served + index for index in range(1, settings.filter.workers + 1)}
        if name == "wurao-enforce":
            wanted["api"] = settings.api.port
        assert ports == wanted
        alive, ready = workload.container.livenessProbe.httpGet, workload.container.readinessProbe.httpGet
        assert (alive.path, alive.port, ready.path, ready.port) == ("/healthz", "metrics", "/readyz", "metrics")


def test_a_pod_may_take_longer_to_end_than_its_process_ever_does() -> None:
    settings = _config("wurao-filter")
    bounds_s = {
        "wurao-filter": settings.filter.drain_timeout_ms / 1000 + GOODBYE_MARGIN_S,
        "wurao-enforce": settings.enforce.drain_timeout_ms / 1000,
        "wurao-notify": settings.connector.attempt_timeout_ms / 1000,
    }
    for name, bound_s in bounds_s.items():
        assert WORKLOADS[name].spec.template.spec.terminationGracePeriodSeconds > bound_s


def test_every_pod_runs_without_rights_on_a_root_that_it_cannot_write() -> None:
    for workload in WORKLOADS.values():
        assert workload.spec.template.spec.securityContext.runAsNonRoot
        assert workload.spec.template.spec.securityContext.runAsUser > 0
        privileges = workload.container.securityContext
        assert privileges.readOnlyRootFilesystem
        assert not privileges.allowPrivilegeEscalation
        assert privileges.capabilities == {"drop": ["ALL"]}


def test_every_pod_is_spread_over_zones_and_hosts_and_asks_for_what_it_needs() -> None:
    for workload in WORKLOADS.values():
        keys = [one.topologyKey for one in workload.spec.template.spec.topologySpreadConstraints]
        assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        assert workload.container.resources["requests"].keys() == {"cpu", "memory"}
        assert workload.container.resources["limits"].keys() == {"memory"}


def test_a_filter_pod_asks_for_a_processor_for_each_worker() -> None:
    assert WORKLOADS["wurao-filter"].container.resources["requests"]["cpu"] == str(
        _config("wurao-filter").filter.workers
    )


def test_filters_change_by_surge_so_that_there_are_never_fewer_than_before() -> None:
    strategy = WORKLOADS["wurao-filter"].spec.strategy
    assert strategy is not None
    assert strategy.rollingUpdate == {"maxSurge": 1, "maxUnavailable": 0}


def test_scaling_follows_the_groups_and_topics_of_the_filter_and_ends_where_workers_would_be_idle() -> None:
    settings = _config("wurao-filter")
    scaled = _one("ScaledObject", ScaledSpec)
    assert (scaled.scaleTargetRef.kind, scaled.scaleTargetRef.name) == ("Deployment", "wurao-filter")
    assert WORKLOADS["wurao-filter"].spec.replicas is None, "a number here would fight with the scaler's"
    assert scaled.maxReplicaCount == settings.topics.partitions // settings.filter.workers
    assert scaled.minReplicaCount <= scaled.fallback.replicas <= scaled.maxReplicaCount
    asked = {(one.metadata.consumerGroup, one.metadata.topic) for one in scaled.triggers}
    group = settings.filter.group
    assert asked == {
        (f"{group}.bulk", "events.sms"),
        (f"{group}.bulk", "events.call"),
        (f"{group}.urgent", "events.urgent"),
    }
    login = _one("TriggerAuthentication", TriggerAuthenticationSpec)
    assert "wurao-scaler" in {one.name for one in login.secretTargetRef}
    assert "wurao-scaler" in _all("KafkaUser", UserSpec)


def test_every_process_has_a_user_whose_groups_are_those_that_it_joins() -> None:
    assert _all("KafkaUser", UserSpec).keys() == USERS.keys() > WORKLOADS.keys()
    settings = _config("wurao-filter")
    joined = {
        "wurao-filter": [f"{settings.filter.group}.{lane}" for lane in ("bulk", "urgent")],
        "wurao-shadow": [f"{settings.filter.group}{GROUP_SUFFIX}"],
        "wurao-registrar": [settings.registrar.group],
        "wurao-watch": [settings.watch.group, *(f"{settings.watch.group}.{one}" for one in ("decisions", "holds"))],
        "wurao-notify": [settings.connector.group],
        "wurao-audit": [settings.audit.group],
    }
    for name, groups in joined.items():
        (right,) = USERS[name].groups
        fits = str.startswith if right.pattern == "prefix" else str.__eq__
        assert all(fits(group, right.name) for group in groups), name


def test_the_connector_reaches_mail_servers_by_every_way_that_can_be_configured_and_webhooks() -> None:
    (policy,) = [one for one in ALL if one["kind"] == "NetworkPolicy" and manifest(one).metadata.name == "wurao-notify"]
    rules = msgspec.convert(policy["spec"], NetworkPolicySpec).egress
    assert {port.port for rule in rules for port in rule.ports} == {25, 465, 587, 443}


def test_every_process_is_watched_under_the_job_that_rules_ask_for() -> None:
    monitors = _all("ServiceMonitor", MonitorSpec)
    assert monitors.keys() == {*WORKLOADS, "wurao-api"}
    for name, monitor in monitors.items():
        assert monitor.selector.matchLabels == {"app.kubernetes.io/name": name}, "the service of that name, so the job"
        service = SERVICES[name]
        assert {one.port for one in monitor.endpoints} == {port.name for port in service.spec.ports}
        target = WORKLOADS[service.spec.selector["app.kubernetes.io/name"]]
        offered = {port.name: port.containerPort for port in target.container.ports}
        assert all(offered[port.name] == port.port for port in service.spec.ports)
