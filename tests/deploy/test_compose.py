"""The compose file: accepted by docker compose, consistent with our commands, settings and Prometheus targets."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import msgspec
import pytest
import yaml

from stream.cli.parser import parser
from stream.cli.users import PASSWORD_CHARACTERS_MIN
from stream.config import Config
from stream.filter.supervisor import GOODBYE_MARGIN_S
from stream.kafka.rights import GATEWAYS, SCALER, USERS
from tests.deploy.image import IMAGE
from tests.deploy.manifests import COMPOSE_FILE, DEPLOY, KUBERNETES, config, seconds
from tests.deploy.workloads import Compose, ComposeService, Prometheus
from tests.patience import LONG_S

COMPOSE = msgspec.convert(yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8")), Compose)
OURS = {name: service for name, service in COMPOSE.services.items() if service.is_ours}
assert OURS, "no service of the compose file is ours: tests of all of them would say nothing"
PROMETHEUS = msgspec.convert(
    yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")), Prometheus
)


class Build(msgspec.Struct, frozen=True):
    context: str
    dockerfile: str


class Resolved(msgspec.Struct, frozen=True):
    """A service as compose has read it."""

    image: str
    build: Build | None = None


class Project(msgspec.Struct, frozen=True):
    services: dict[str, Resolved]


class Tag(msgspec.Struct, frozen=True):
    name: str
    tag: str = msgspec.field(name="newTag")


class Kustomization(msgspec.Struct, frozen=True):
    images: list[Tag]


def _compose(grafana_login: str) -> subprocess.CompletedProcess[str]:
    """What `docker compose config` says, for which no engine need run; skips where it is not installed."""
    names = [found for name in ("docker", "docker-compose") if (found := shutil.which(name)) is not None]
    tools = [[name, "compose"] if name.endswith("docker") else [name] for name in names]
    for tool in tools:
        if subprocess.run([*tool, "version"], capture_output=True, check=False, timeout=LONG_S).returncode == 0:
            return subprocess.run(
                [*tool, "--file", str(COMPOSE_FILE), "config", "--format", "json"],
                env={**os.environ, "GRAFANA_PASSWORD": grafana_login},
                capture_output=True,
                text=True,
                check=False,
                timeout=LONG_S,
            )
    pytest.skip("docker compose is not installed (deploy/README.md says where it comes from)")


def _config(service: ComposeService) -> Config:
    """As its process has it (a password stands in for the file of its secret)."""
    return config(variables=service.variables | {"WURAO_KAFKA__SASL_PASSWORD": "some"})


def test_compose_itself_takes_the_file_and_warns_of_nothing() -> None:
    said = _compose("some")
    assert (said.returncode, said.stderr) == (0, "")
    services = msgspec.json.decode(said.stdout, type=Project).services
    assert {name: one.image for name, one in services.items()} == {
        name: one.image for name, one in COMPOSE.services.items()
    }
    built = {name: one.build for name, one in services.items() if one.build is not None}
    assert built.keys() == OURS.keys()
    assert all((Path(one.context) / one.dockerfile).samefile(DEPLOY / "Containerfile") for one in built.values())


def test_compose_starts_nothing_without_a_password_for_the_dashboards() -> None:
    said = _compose("")
    assert said.returncode != 0
    assert "set GRAFANA_PASSWORD" in said.stderr


def test_what_is_built_is_what_compose_and_kubernetes_start() -> None:
    assert {service.image for service in OURS.values()} == {IMAGE}
    for path in (KUBERNETES / "overlays").glob("*/kustomization.yaml"):
        (ours,) = msgspec.yaml.decode(path.read_bytes(), type=Kustomization).images
        assert f"{ours.name}:{ours.tag}" == IMAGE


def test_every_service_runs_a_command_that_exists_with_settings_that_exist() -> None:
    for name, service in OURS.items():
        arguments = parser(service.command[0]).parse_args(service.command)
        assert callable(arguments.run)
        assert name == service.command[0]
        # What makes topics and users is within Kafka's container.
        assert _config(service).kafka.bootstrap == ("127.0.0.1:9091" if service.network_mode else "kafka:9092")


def test_the_kafka_is_the_one_that_the_tests_run_on() -> None:
    settings = tomllib.loads((DEPLOY / "kafka" / "jgo.toml").read_text(encoding="utf-8"))
    (tested,) = [one for one in settings["dependencies"]["coordinates"] if one.startswith("org.apache.kafka:kafka_")]
    named, *_ = COMPOSE.services["kafka"].image.split("@")  # it may be pinned
    assert named == f"docker.io/apache/kafka:{tested.split(':')[2].removesuffix('!')}"


def test_every_service_shows_whether_it_is_alive_and_at_work() -> None:
    served = {name: port for name, port in _ports().items() if name != "api"}
    for name, service in OURS.items():
        if service.network_mode:
            continue
        assert service.healthcheck is not None
        *_, program, port = service.healthcheck.test
        assert int(port) == served[name]
        assert "healthz" in program
        assert "readyz" in program
    assert all(service.healthcheck for service in COMPOSE.services.values() if not service.network_mode)


def test_every_process_of_ours_has_a_root_that_it_cannot_write() -> None:
    assert all(service.read_only for service in OURS.values())


def test_a_service_may_take_longer_to_end_than_its_process_ever_does() -> None:
    settings = Config()
    drain_s = settings.filter.drain_timeout_ms / 1000 + GOODBYE_MARGIN_S
    assert seconds(OURS["filter"].stop_grace_period) > drain_s
    assert seconds(OURS["enforce"].stop_grace_period) > settings.enforce.drain_timeout_ms / 1000
    assert seconds(OURS["notify"].stop_grace_period) > settings.connector.attempt_timeout_ms / 1000


def test_prometheus_asks_every_process_and_every_worker() -> None:
    asked = {target for job in PROMETHEUS.scrape_configs for some in job.static_configs for target in some.targets}
    workers = int(OURS["filter"].command[-1])
    ports = _ports()
    wanted = {f"filter:{ports['filter'] + index}" for index in range(workers + 1)}
    wanted |= {f"{name}:{ports[name]}" for name in ("registrar", "enforce", "watch", "notify", "audit")}
    wanted.add(f"enforce:{ports['api']}")
    assert wanted <= asked
    assert asked - wanted == {"127.0.0.1:9090"}


def test_every_file_that_is_mounted_is_there() -> None:
    named = [volume.split(":")[0] for service in COMPOSE.services.values() for volume in service.volumes]
    named.append(COMPOSE.secrets["api-tokens"]["file"])
    for source in named:
        assert source in COMPOSE.volumes or (DEPLOY / source).exists(), source


def test_every_service_logs_in_as_its_own_user_by_a_password_that_is_made_and_not_shipped(tmp_path: Path) -> None:
    made = subprocess.run([DEPLOY / "passwords", tmp_path], capture_output=True, text=True, check=True, timeout=LONG_S)
    passwords = {path.name: path.read_text(encoding="ascii") for path in tmp_path.iterdir()}
    assert made.stdout.count("made ") == len(passwords) == len(set(passwords.values()))
    assert all(len(password) >= PASSWORD_CHARACTERS_MIN for password in passwords.values())
    subprocess.run([DEPLOY / "passwords", tmp_path], check=True, timeout=LONG_S)
    assert {path.name: path.read_text(encoding="ascii") for path in tmp_path.iterdir()} == passwords, "those stay"

    files = {name: secret["file"] for name, secret in COMPOSE.secrets.items() if name != "api-tokens"}
    assert files == {name: f"./own/passwords/{name}" for name in passwords}
    assert set(COMPOSE.services["users"].mounted.values()) == passwords.keys() == USERS.keys() - {SCALER.name}
    for name, service in OURS.items():
        if not service.network_mode:
            kafka = _config(service).kafka
            assert (kafka.security_protocol, kafka.sasl_username) == ("SASL_PLAINTEXT", f"wurao-{name}")
            file = service.variables["WURAO_KAFKA__SASL_PASSWORD_FILE"]
            assert service.mounted[file] == f"wurao-{name}"


def test_gateways_of_the_compose_file_are_those_of_the_table() -> None:
    command = COMPOSE.services["users"].command
    arguments = parser("users").parse_args(command)
    assert arguments.gateway == [f"{one.name}={','.join(one.writes)}" for one in GATEWAYS]


def test_whoever_does_not_log_in_reaches_kafka_within_its_container_alone() -> None:
    """That they may do everything, and nobody else more than the table says, `guarded.py` takes from this file."""
    settings = COMPOSE.services["kafka"].variables
    protocols = dict(one.split(":") for one in settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    addresses = dict(one.split("://") for one in settings["KAFKA_LISTENERS"].split(","))
    for name, address in addresses.items():
        assert protocols[name] == "SASL_PLAINTEXT" or address.startswith("127.0.0.1:"), name
    assert {name for name, service in COMPOSE.services.items() if service.network_mode} == {"topics", "users"}


def test_nothing_listens_to_other_machines() -> None:
    published = [port for service in COMPOSE.services.values() for port in service.ports]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_image_names_settings_that_exist_and_runs_without_rights() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    variables = dict(re.findall(r"\b(WURAO_[A-Z_]+)=(\S+)", text))
    settings = config(variables=variables)
    assert Path(settings.registry.snapshots).parent == Path(settings.registrar.directory).parent
    assert Path(settings.registrar.directory).is_absolute()
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert 'ENTRYPOINT ["wurao"]' in text


def _ports() -> dict[str, int]:
    settings = {name: _config(service) for name, service in OURS.items()}
    return {
        "filter": settings["filter"].metrics.port,
        "registrar": settings["registrar"].registrar.port,
        "enforce": settings["enforce"].enforce.port,
        "api": settings["enforce"].api.port,
        "watch": settings["watch"].watch.port,
        "notify": settings["notify"].connector.port,
        "audit": settings["audit"].audit.port,
    }
