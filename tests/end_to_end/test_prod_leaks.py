"""Prod mode: nothing that a sidecar tells beside its signals comes out, in no file, answer or error.

`strategies/leaky.py` tells a secret wherever it can. Each test of prod has its control: the sidecar really sent the
canary, debug shows it where debug is to keep it, and the search finds what is planted.
"""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet
import pytest
from canaries import find_canaries, forms, occurrences
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from running_strategy import running_strategy

from boxgate_engine.datasets import SynthRequest, make_synthetic
from boxgate_engine.timestamps import parse_utc_ns
from boxgate_proto.strategy.v1 import strategy_pb2, visibility_pb2, window_pb2
from boxgate_server.__main__ import main

LEAKY = Path(__file__).parent / "strategies" / "leaky.py"
SECRET = "quokka7Zebra93Umbra"
CONFIG = """\
strategy: {{command: [python, strategy/leaky.py]}}
dataset: small
instruments: [EURUSD]
frames: [M1]
window: {{start: 2024-01-03T10:00:00, end: 2024-01-03T16:00:00}}
account: {{currency: USD, cash: 100000, leverage: 30}}
costs: {{fees_bps: 0.2, slippage_bps: 0.1, spread: data}}
execution: {{window_events: 64}}
data_provider: {{root: {root}, cache: {{local_dir: .cache/datasets}}}}
limits: {{handshake_s: 30, stop_grace_s: 1}}
"""

KEPT_IN_DEBUG = {
    "signal_meta_key": "signals.parquet",
    "signal_meta_value": "signals.parquet",
    "report_key": "logs.ndjson",
    "report_value": "logs.ndjson",
    "stdout": "logs.ndjson",
    "stderr": "logs.ndjson",
}
"""Place of a canary and the file in which a debug run shows it."""

KEPT_NOWHERE = {
    "description", "author", "capability", "parameter_doc", "parameter_choice", "header", "trailer", "binary",
    "parameter_unknown", "default_unknown", "series_unknown", "describe_unknown", "accepted_unknown",
    "init_unknown", "signal_meta_unknown", "risk_unknown", "signal_unknown", "window_unknown", "event_unknown",
    "report_unknown", "stop_unknown", "health_unknown",
}  # fmt: skip
"""Places that no artefact has room for, in neither mode; that they were sent is looked up on the wire."""

FAULTS = {
    "describe_status": ("SIDECAR_FAILED", 1, "details"),
    "describe_invalid": ("STRATEGY_REFUSED", 2, "details"),
    "name": ("DESCRIPTION_INVALID", 1, "name"),
    "version": ("DESCRIPTION_INVALID", 1, "version"),
    "requires": ("CAPABILITY_NOT_OFFERED", 2, "requires"),
    "series": ("CONFIG", 2, "series_symbol"),
    "frame": ("CONFIG", 2, "series_frame"),
    "frames": ("DESCRIPTION_INVALID", 1, "frames"),
    "schema": ("DESCRIPTION_INVALID", 1, "schema_name"),
    "schema_twice": ("DESCRIPTION_INVALID", 1, None),
    "init_status": ("SIDECAR_FAILED", 1, "details"),
    "init_invalid": ("STRATEGY_REFUSED", 2, "details"),
    "init_raises": ("SIDECAR_FAILED", 1, "exception"),
    "refuses": ("STRATEGY_REFUSED", 2, "refused_reason"),
    "needs": ("CONFIG", 2, "need_symbol"),
    "exit": ("SIDECAR_EXIT", 1, "last_words"),
    "event_status": ("SIDECAR_FAILED", 1, "details"),
    "event_invalid": ("SIDECAR_FAILED", 1, "details"),
    "event_raises": ("SIDECAR_FAILED", 1, "exception"),
    "trailers": ("MSG_TOO_LARGE", 1, None),
    "garbage": ("PROTO_DECODE", 1, None),
    "qty": ("SIGNAL_NOT_FINITE", 1, None),
    "instrument": ("PROTO_SCOPE", 1, None),
    "side": ("SIGNAL_ENUM", 1, None),
    "seq": ("PROTO_SEQ", 1, None),
    "order_id": ("ORDER_ID", 1, "client_id"),
    "order_name": ("ORDER_ID", 1, "client_id"),
    "order_group": ("ORDER_ID", 1, "client_id"),
    "order_position": ("ORDER_ID", 1, "client_id"),
    "order_fields": ("ORDER_FIELDS", 1, "client_id"),
}
"""Fault of the sidecar: code, exit code, and the place whose canary the error of a debug run shows."""


@dataclass(frozen=True)
class Told:
    """What a command told. text: all of stdout and stderr."""

    code: int
    json: dict[str, Any]
    text: str


@dataclass(frozen=True)
class Workspace:
    """A working directory with a sidecar of its own; its secret lies outside."""

    folder: Path
    run: Callable[..., Told]

    def leaks(self, secret: str = SECRET) -> list[str]:
        """Where the secret stands below the working directory, the sidecar's own folder left out."""
        return find_canaries(self.folder, secret, but=(self.folder / "strategy",))

    def published(self) -> list[Path]:
        store = self.folder / "artifacts" / "runs"
        return list(store.iterdir()) if store.is_dir() else []


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "datasets"
    start_ns, end_ns = parse_utc_ns("2024-01-03"), parse_utc_ns("2024-01-04")
    make_synthetic(
        root,
        SynthRequest(seed=5, symbols=("EURUSD",), frame="M1", start_ns=start_ns, end_ns=end_ns, name="small"),
    )
    return root


@pytest.fixture
def workspace(
    tmp_path: Path, datasets: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[str], Workspace]:
    """Return a function that makes a workspace whose sidecar has the given secret."""

    def make(secret: str = SECRET) -> Workspace:
        outside = tmp_path / f"case-{len(list(tmp_path.iterdir()))}"
        folder = outside / "workspace"
        (folder / "strategy").mkdir(parents=True)
        shutil.copy(LEAKY, folder / "strategy" / "leaky.py")
        (outside / "secret.txt").write_text(secret)
        (folder / "run.yaml").write_text(CONFIG.format(root=datasets))

        def run(mode: str, *options: str, fault: str = "none") -> Told:
            monkeypatch.chdir(folder)
            capfd.readouterr()
            command = f"strategy.command=[python, strategy/leaky.py, {fault}]"
            code = main(["run", "run.yaml", "--json", "--set", f"mode={mode}", "--set", command, *options])
            out, err = capfd.readouterr()
            return Told(code, json.loads(out.splitlines()[-1]), out + err)

        return Workspace(folder, run)

    return make


def test_prod_shows_nothing_but_the_signals(workspace: Callable[..., Workspace]) -> None:
    place = workspace()
    told = place.run("prod")
    assert told.code == 0, told.text
    assert told.json["metrics"]["trades"]["count"] > 10
    assert place.leaks() == []
    assert occurrences(told.text.encode(), forms(SECRET)) == []


def test_debug_shows_what_it_is_to_keep(workspace: Callable[..., Workspace]) -> None:
    """Control of the test before: the same sidecar, the same search."""
    place = workspace()
    told = place.run("debug")
    assert told.code == 0, told.text
    folder = Path(told.json["artifacts"])
    meta = pa.parquet.read_table(folder / "signals.parquet")["meta"].to_pylist()
    shown = {
        "signals.parquet": "".join(filter(None, meta)),
        "logs.ndjson": (folder / "logs.ndjson").read_text(),
    }
    missing = {name: file for name, file in KEPT_IN_DEBUG.items() if f"{SECRET}.{name}" not in shown[file]}
    assert missing == {}
    everything = "".join(shown.values())
    assert [name for name in KEPT_NOWHERE if f"{SECRET}.{name}" in everything] == []
    for file in shown:
        assert any(file in leak for leak in place.leaks())


def test_both_modes_and_a_run_that_ends_badly_have_one_result(workspace: Callable[..., Workspace]) -> None:
    place = workspace()
    told = [place.run("debug"), place.run("prod"), place.run("prod", fault="stop_status")]
    assert [answered.code for answered in told] == [0, 0, 0]
    assert len({answered.json["result_digest"] for answered in told}) == 1
    ended_badly = place.folder / "artifacts" / "runs" / told[2].json["run_id"]
    assert find_canaries(ended_badly, SECRET) == []
    assert occurrences(told[2].text.encode(), forms(SECRET)) == []


def test_prod_shows_no_name_of_an_order_a_group_or_a_position(workspace: Callable[..., Workspace]) -> None:
    place = workspace()
    told = {mode: place.run(mode, fault="orders") for mode in ("prod", "debug")}
    assert [answered.code for answered in told.values()] == [0, 0], told
    assert told["prod"].json["result_digest"] == told["debug"].json["result_digest"]
    folders = {mode: Path(answered.json["artifacts"]) for mode, answered in told.items()}
    assert find_canaries(folders["prod"], SECRET) == []
    assert occurrences(told["prod"].text.encode(), forms(SECRET)) == []
    orders = {mode: pa.parquet.read_table(folder / "orders.parquet") for mode, folder in folders.items()}
    assert set(orders["debug"].column_names) - set(orders["prod"].column_names) == {"client_id", "meta"}
    assert orders["prod"].num_rows > 100
    assert {"FILLED", "CANCELLED"} <= set(orders["prod"]["outcome"].to_pylist())
    # Control: debug keeps the names and notes of the same orders.
    assert all(f"{SECRET}.client_id" in name for name in orders["debug"]["client_id"].to_pylist())
    assert all(f"{SECRET}.intent_meta_value" in meta for meta in orders["debug"]["meta"].to_pylist())


def test_sidecars_that_name_their_orders_differently_leave_equal_prod_runs(workspace: Callable[..., Workspace]) -> None:
    told = [workspace(secret).run("prod", fault="orders") for secret in (SECRET, "x9" * 3_000, "")]
    assert [answered.code for answered in told] == [0, 0, 0], told
    first, *others = (files_of(Path(answered.json["artifacts"])) for answered in told)
    assert all(files == first for files in others)


@pytest.mark.parametrize("fault", FAULTS)
def test_no_error_of_a_prod_run_shows_a_text_of_the_sidecar(workspace: Callable[..., Workspace], fault: str) -> None:
    place = workspace()
    code, exit_code, shown = FAULTS[fault]
    for options in ((), ("--debug",)):
        told = place.run("prod", *options, fault=fault)
        assert (told.json["error"]["code"], told.code) == (code, exit_code), told.text
        assert occurrences(told.text.encode(), forms(SECRET)) == []
        assert place.leaks() == []
        assert place.published() == []
    told = place.run("debug", fault=fault)
    assert (told.json["error"]["code"], told.code) == (code, exit_code), told.text
    if shown is not None:
        assert f"{SECRET}.{shown}" in json.dumps(told.json["error"])


def test_choices_and_names_of_parameters_are_told_in_debug_alone(workspace: Callable[..., Workspace]) -> None:
    place = workspace()
    for override, text in (("kind=other", f"{SECRET}.parameter_choice"), ("knd=plain", "did you mean 'kind'?")):
        told = {mode: place.run(mode, "--set", f"strategy.params.{override}") for mode in ("prod", "debug")}
        assert [answered.json["error"]["code"] for answered in told.values()] == ["CONFIG", "CONFIG"]
        assert text not in told["prod"].text
        assert text in told["debug"].text


def test_sidecars_with_different_secrets_leave_equal_prod_runs(workspace: Callable[..., Workspace]) -> None:
    """The second secret is longer by far, the third sidecar has none: no meta, no text, no unknown field."""
    folders = []
    for secret in (SECRET, "x9" * 3_000, ""):
        told = workspace(secret).run("prod")
        assert told.code == 0, told.text
        folders.append(Path(told.json["artifacts"]))
    assert len({folder.name for folder in folders}) == 1
    first = files_of(folders[0])
    for folder in folders[1:]:
        assert files_of(folder) == first


def files_of(folder: Path) -> dict[str, Any]:
    """The files of a run by name: bytes; the two that tell times without them."""
    files: dict[str, Any] = {path.name: path.read_bytes() for path in folder.iterdir()}
    environment = json.loads(files["environment.json"])
    environment["timing_s"] = sorted(environment["timing_s"])
    log = [json.loads(line) for line in files["logs.ndjson"].splitlines()]
    return files | {"environment.json": environment, "logs.ndjson": [{**line, "ts": ""} for line in log]}


# -------------------------------------------------------------------------------------------------------------------
# Controls: what the sidecar sends, and what the search finds.


@dataclass(frozen=True)
class Heard:
    """Everything that arrived from a sidecar. answers: by RPC; told: headers, trailers and texts of statuses."""

    answers: list[Message]
    raw: bytes
    told: str


@pytest.fixture
def hear(tmp_path: Path) -> Callable[[str], Heard]:
    """Return a function that takes the sidecar through a session by a bare client that keeps everything."""
    script = tmp_path / "workspace" / "strategy" / "leaky.py"
    script.parent.mkdir(parents=True)
    shutil.copy(LEAKY, script)
    (tmp_path / "secret.txt").write_text(SECRET)

    def session(fault: str = "none") -> Heard:
        with running_strategy(script, fault) as attachment, grpc.insecure_channel(attachment.address) as channel:
            return _session(channel, (("boxgate-cookie", attachment.cookie),))

    return session


def _session(channel: grpc.Channel, cookie: Any) -> Heard:
    answers: list[Message] = []
    raw: list[bytes] = []
    told: list[str] = []

    def keep(call: Any, answer_type: type[Message], data: bytes) -> None:
        answers.append(answer_type.FromString(data))
        raw.append(data)
        told.extend(map(str, [call.initial_metadata(), call.trailing_metadata(), call.details()]))

    def ask(service: str, name: str, request: Message, answer_type: type[Message]) -> None:
        method = channel.unary_unary(f"/{service}/{name}")
        data, call = method.with_call(request.SerializeToString(), metadata=cookie, wait_for_ready=True, timeout=30)
        keep(call, answer_type, data)

    strategy = "boxgate.strategy.v1.Strategy"
    ask("grpc.health.v1.Health", "Check", health_pb2.HealthCheckRequest(), health_pb2.HealthCheckResponse)
    ask(strategy, "Describe", strategy_pb2.DescribeRequest(), strategy_pb2.DescribeResponse)
    ask(strategy, "OnInit", strategy_pb2.OnInitRequest(), strategy_pb2.OnInitResponse)
    bars = window_pb2.BarColumns(close=[1.1] * 30)
    window = strategy_pb2.OnEventRequest(window=window_pb2.EventWindow(count=30, bars=bars))
    stream = channel.stream_stream(f"/{strategy}/OnEvent")
    call = stream(iter([window.SerializeToString()]), metadata=cookie)
    for data in list(call):
        keep(call, strategy_pb2.OnEventResponse, data)
    ask(strategy, "OnStop", strategy_pb2.OnStopRequest(), strategy_pb2.OnStopResponse)
    return Heard(answers, b"".join(raw), "".join(told))


def test_the_sidecar_sends_every_canary(hear: Callable[..., Heard]) -> None:
    heard = hear()
    arrived = heard.told.encode() + heard.raw
    wanted = (KEPT_NOWHERE | KEPT_IN_DEBUG.keys()) - {"stdout", "stderr"}
    assert [place for place in wanted if f"{SECRET}.{place}".encode() not in arrived] == []


def test_a_canary_stands_in_every_text_that_is_meta(hear: Callable[..., Heard]) -> None:
    sent = {
        field.full_name
        for fault in ("none", "orders", "refuses", "needs", "series", "frame", "frames")
        for answer in hear(fault).answers
        for field, text in _set_texts(answer)
        if SECRET in text
    }
    package = "boxgate.strategy.v1"
    assert _meta_texts() <= sent
    assert {f"{package}.Signal.meta", f"{package}.OnStopResponse.report"} <= sent


def _set_texts(message: Message) -> Iterator[tuple[Any, str]]:
    """Yield (field, text) of every text that is set; what lies in a Struct counts for the field that holds it."""
    for field, value in message.ListFields():
        values = value if field.is_repeated else [value]
        for one in values:
            if field.message_type is None or field.message_type.full_name == "google.protobuf.Struct":
                yield field, str(one)
            else:
                yield from _set_texts(one)


def _meta_texts() -> set[str]:
    """The full names of all text fields of answers that are META."""
    found = set()
    methods = strategy_pb2.DESCRIPTOR.services_by_name["Strategy"].methods
    seen = set()
    open_ends = [method.output_type for method in methods]
    while open_ends:
        message = open_ends.pop()
        if message.full_name in seen or message.full_name.startswith("google."):
            continue
        seen.add(message.full_name)
        for field in message.fields:
            if field.message_type:
                open_ends.append(field.message_type)
            elif field.type == field.TYPE_STRING:
                visibility = field.GetOptions().Extensions[visibility_pb2.visibility]
                if visibility == visibility_pb2.VISIBILITY_META:
                    found.add(field.full_name)
    return found


def test_the_search_finds_a_planted_canary_in_every_form_and_format(tmp_path: Path) -> None:
    for number, (form, data) in enumerate(forms(SECRET).items()):
        (tmp_path / f"{number}").write_bytes(b"before " + data + b" after")
        assert any(f"{number} (bytes): {form}" in leak for leak in find_canaries(tmp_path, SECRET)), form
    folder = tmp_path / "formats"
    folder.mkdir()
    compressed = pa.table({"text": [SECRET] * 100, "blob": [base64.b64encode(b"ab" + SECRET.encode()).decode()] * 100})
    pa.parquet.write_table(compressed, folder / "a.parquet", compression="zstd")
    tagged = pa.table({"n": pa.array([1])}, schema=pa.schema([pa.field("n", pa.int64(), metadata={"k": SECRET})]))
    pa.parquet.write_table(tagged, folder / "b.parquet", compression="zstd")
    escaped = "".join(f"\\u{ord(char):04x}" for char in SECRET)
    (folder / "c.json").write_text(f'{{"deep": [{{"{escaped}": 1}}]}}')
    (folder / "d.ndjson").write_text(f'{{"a": 1}}\n{{"b": "{escaped}"}}\n')
    (folder / "e.html").write_text("".join(f"&#{ord(char)};" for char in SECRET))
    (folder / "f.gz").write_bytes(gzip.compress(SECRET.encode() * 10))
    (folder / f"{SECRET}.txt").write_text("")
    leaks = find_canaries(folder, SECRET)
    for name in (
        "a.parquet (table): utf-8",
        "b.parquet",
        "c.json (values)",
        "d.ndjson",
        "e.html",
        "f.gz",
        ".txt (name)",
    ):
        assert any(name in leak for leak in leaks), (name, leaks)
    assert any("a.parquet (table): base64, 2 before" in leak for leak in leaks)
