"""The keys that say who computes a matrix, what one run may take, and how a cluster is reached."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, TypeAdapter, ValidationError, model_validator

from boxgate_engine.config.fields import Section, Text, entries, refusal
from boxgate_server.matrix.config.spans import Span

WORKERS_MAX: Final = 100_000
_MEMORY_MIN: Final = 16 << 20
_BYTE_SIZE: Final = TypeAdapter(ByteSize)


def _bytes(value: Any) -> int:
    try:
        size = int(_BYTE_SIZE.validate_python(value))
    except ValidationError:
        raise refusal(
            f"{value!r} is no size", expected="a number of bytes or a text such as 512MiB", remedy="write 512MiB"
        ) from None
    if size < _MEMORY_MIN:
        raise refusal(f"no strategy starts within {value!r}", expected="at least 16MiB", remedy="write 512MiB")
    return size


def _some_time(length_ns: int | None) -> int | None:
    if length_ns == 0:
        raise refusal("no run ends within no time", expected="more than 0s", remedy="write for example 10m")
    return length_ns


class ConcurrencyConfig(Section):
    """How many workers compute at once, and where: processes of this host, or distributed over a cluster.

    max_workers: default one on each CPU, of this host or of the cluster.
    """

    max_workers: Annotated[int | None, Field(ge=1, le=WORKERS_MAX)] = None
    strategy: Literal["process", "distributed"] = "process"


class RunLimitsConfig(Section):
    """What one run may take. retries: of a run whose failure may be one of the machine.

    memory_per_run: of the processes of its strategy; a run beyond fails. runtime_per_run: a run beyond fails.
    """

    memory_per_run: Annotated[int | None, BeforeValidator(_bytes)] = None
    runtime_per_run: Annotated[Span | None, AfterValidator(_some_time)] = None
    retries: Annotated[int, Field(ge=0, le=100)] = 3


class LocalityConfig(Section):
    """What the runs have in common that the same worker computes one after another, as long as there are some."""

    group_by: Annotated[tuple[Literal["symbol", "frame"], ...], entries(1)] = ("symbol", "frame")


class DataServerConfig(Section):
    """Where the driver serves the dataset to the nodes of a cluster. host: beyond 127.0.0.1 only with TLS."""

    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    tls_cert: Text | None = None
    tls_key: Text | None = None

    @model_validator(mode="after")
    def _has_both_or_none(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise refusal(
                "a certificate and its key belong together", expected="tls_cert and tls_key", remedy="name both"
            )
        return self


class RayConfig(Section):
    """A cluster. address: host:port of its head. token_file: docs/cluster.md tells where else the token is looked for.

    dataset: auto lets nodes that reach the datasets root use it, flight lets each fetch it from the driver.
    """

    address: Text | None = None
    token_file: Text | None = None
    dataset: Literal["auto", "flight"] = "auto"
    data_server: DataServerConfig = DataServerConfig()


class RunnerConfig(Section):
    """Who computes."""

    concurrency: ConcurrencyConfig = ConcurrencyConfig()
    ray: RayConfig = RayConfig()
    limits: RunLimitsConfig = RunLimitsConfig()
    locality: LocalityConfig = LocalityConfig()
