"""Pods, services and compose services: what the tests ask of them, and no more; schemas are checked elsewhere."""

import msgspec

from tests.deploy.manifests import Document


class Field(msgspec.Struct, frozen=True):
    name: str
    value: str | None = None


class Port(msgspec.Struct, frozen=True):
    name: str
    containerPort: int = 0
    port: int = 0


class Http(msgspec.Struct, frozen=True):
    path: str
    port: str


class Probe(msgspec.Struct, frozen=True):
    httpGet: Http


class Privileges(msgspec.Struct, frozen=True):
    readOnlyRootFilesystem: bool
    allowPrivilegeEscalation: bool
    capabilities: dict[str, list[str]]


class Container(msgspec.Struct, frozen=True):
    name: str
    args: list[str]
    env: list[Field]
    ports: list[Port]
    livenessProbe: Probe
    readinessProbe: Probe
    resources: dict[str, dict[str, str]]
    securityContext: Privileges

    @property
    def variables(self) -> dict[str, str]:
        """Its environment, but for what the cluster fills in."""
        return {one.name: one.value or "name-of-the-pod" for one in self.env}


class User(msgspec.Struct, frozen=True):
    runAsNonRoot: bool
    runAsUser: int


class Spread(msgspec.Struct, frozen=True):
    topologyKey: str


class Pod(msgspec.Struct, frozen=True):
    terminationGracePeriodSeconds: int
    securityContext: User
    topologySpreadConstraints: list[Spread]
    containers: list[Container]


class Template(msgspec.Struct, frozen=True):
    spec: Pod


class Strategy(msgspec.Struct, frozen=True):
    rollingUpdate: dict[str, int]


class WorkloadSpec(msgspec.Struct, frozen=True):
    template: Template
    strategy: Strategy | None = None
    replicas: int | None = None


class Named(msgspec.Struct, frozen=True):
    name: str


class Workload(msgspec.Struct, frozen=True):
    metadata: Named
    spec: WorkloadSpec

    @property
    def container(self) -> Container:
        """Its one container."""
        (only,) = self.spec.template.spec.containers
        return only


class ServiceSpec(msgspec.Struct, frozen=True):
    selector: dict[str, str]
    ports: list[Port]


class Service(msgspec.Struct, frozen=True):
    metadata: Named
    spec: ServiceSpec


def workloads(documents: list[Document]) -> dict[str, Workload]:
    """Deployments and StatefulSets by name."""
    found = [msgspec.convert(one, Workload) for one in documents if one["kind"] in ("Deployment", "StatefulSet")]
    return {one.metadata.name: one for one in found}


def services(documents: list[Document]) -> dict[str, Service]:
    """Services by name."""
    found = [msgspec.convert(one, Service) for one in documents if one["kind"] == "Service"]
    return {one.metadata.name: one for one in found}


class Health(msgspec.Struct, frozen=True):
    test: list[str]


class MountedSecret(msgspec.Struct, frozen=True):
    source: str
    target: str


class ComposeService(msgspec.Struct, frozen=True):
    image: str
    command: list[str] = []
    environment: dict[str, str | int] = {}
    stop_grace_period: str = "10s"
    healthcheck: Health | None = None
    read_only: bool = False
    tmpfs: list[str] = []
    cap_drop: list[str] = []
    security_opt: list[str] = []
    secrets: list[str | MountedSecret] = []
    network_mode: str = ""
    depends_on: dict[str, dict[str, str]] = {}
    ports: list[str] = []
    volumes: list[str] = []

    @property
    def is_ours(self) -> bool:
        """Whether it runs wurao."""
        return self.image.startswith("wurao:")

    @property
    def variables(self) -> dict[str, str]:
        """Its environment as texts."""
        return {name: str(value) for name, value in self.environment.items()}

    @property
    def mounted(self) -> dict[str, str]:
        """Its secrets: name by the file that it finds it in."""
        stated = [MountedSecret(one, one) if isinstance(one, str) else one for one in self.secrets]
        return {f"/run/secrets/{one.target}": one.source for one in stated}


class Compose(msgspec.Struct, frozen=True):
    services: dict[str, ComposeService]
    secrets: dict[str, dict[str, str]]
    volumes: dict[str, None]


class Targets(msgspec.Struct, frozen=True):
    targets: list[str]


class Job(msgspec.Struct, frozen=True):
    job_name: str
    static_configs: list[Targets]


class Prometheus(msgspec.Struct, frozen=True):
    scrape_configs: list[Job]
    rule_files: list[str]
