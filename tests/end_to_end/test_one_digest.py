"""One result, however it is computed: repeats, processes, deliveries, windows and modes.

The examples run on the demo dataset. The fast tests take about 1,500 events of each, the slow ones more than 20,000.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from running_strategy import running_strategy

from boxgate_engine.config import load_config
from boxgate_server.outcome import Attachment, Finished
from boxgate_server.run import run_config
from boxgate_server.sidecars import EventStream, SidecarHost

DELIVERIES = {
    "lockstep": ("execution.delivery=lockstep",),
    **{f"windows of {size}": (f"execution.window_events={size}",) for size in (1, 7, 1_024, 16_384)},
}
MODES = ("debug", "prod")
REPEATS = 20
LONG_EVENTS_MIN = 20_000
LONG_TRADES_MIN = 100
SHORT_TRADES_MIN = 5
ANSWERS_BEFORE_INTERRUPTION = 5


@dataclass(frozen=True)
class Example:
    """An example on a part of the demo dataset: short has about 1,500 events, long at least LONG_EVENTS_MIN.

    more: what else differs from its config.
    """

    name: str
    short: tuple[str, str]
    long: tuple[str, str]
    more: tuple[str, ...] = ()

    def overrides(self, length: str) -> tuple[str, ...]:
        start, end = self.short if length == "short" else self.long
        return (f"window.start={start}", f"window.end={end}", *self.more)

    @property
    def script(self) -> str:
        return f"examples/{self.name}/strategy.py"


EXAMPLES = (
    Example("sma_cross", ("2024-01-08", "2024-01-08T12:30:00"), ("2024-01-08", "2024-01-15")),
    Example("envelope_trend", ("2024-01-08", "2024-01-08T08:20:00"), ("2024-01-08", "2024-01-13")),
    Example("mean_reversion_zscore", ("2024-01-08", "2024-01-09"), ("2024-01-08", "2024-01-27")),
    Example("random_targets", ("2024-02-05", "2024-02-05T12:30:00"), ("2024-02-05", "2024-02-15")),
    Example("pairs", ("2024-01-08", "2024-01-08T12:30:00"), ("2024-01-08", "2024-01-20")),
    Example("tick_momentum", ("2024-01-03", "2024-01-03T06:00:00"), ("2024-01-02T01:00:00", "2024-01-06")),
    Example("breakout_trailing", ("2024-01-08", "2024-01-16"), ("2024-01-08", "2024-05-01")),
    Example("order_breakout", ("2024-01-08", "2024-01-16"), ("2024-01-08", "2024-05-01")),
    Example(
        "portfolio_rotation",
        ("2024-01-08", "2024-01-19"),
        ("2024-01-08", "2024-07-01"),
        more=("frames=[M15]", "strategy.params.rebalance=daily", "strategy.params.band=0.0"),
    ),
)
each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)

Play = Callable[..., Finished]


@pytest.fixture(scope="module")
def play(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Return a function that runs a config with overrides, each time into a store of its own."""
    folder = tmp_path_factory.mktemp("one_digest")
    data = (
        f"data_provider.root={folder / 'datasets'}",
        f"data_provider.cache.local_dir={folder / 'cache'}",
        "report.html=false",
    )
    numbers = itertools.count()
    with SidecarHost() as host:

        def run(
            name: str,
            overrides: Sequence[str] = (),
            *,
            attachment: Attachment | None = None,
        ) -> Finished:
            config = load_config(
                repository / "configs" / f"{name}.yaml", [*data, *overrides], attached=attachment is not None
            )
            # A store of its own, so that an unequal result is seen by the test and not refused by the store.
            store = folder / f"runs-{next(numbers)}"
            return run_config(config, folder=repository, attachment=attachment, host=host, store=store)

        yield run


def one_digest(finished: dict[str, Finished]) -> Finished:
    """Assert that all runs have one result, and return one of them; equal runs are also equal as files."""
    assert len({run.result_digest for run in finished.values()}) == 1, {
        name: run.result_digest for name, run in finished.items()
    }
    # How much warm-up there was is told in prod only roughly; everything else is one.
    told = [dict(run.metrics, counts=dict(run.metrics["counts"], warmup_events=None)) for run in finished.values()]
    assert all(metrics == told[0] for metrics in told)
    by_identity: dict[str, set[bytes]] = {}
    for run in finished.values():
        by_identity.setdefault(run.run_id, set()).add((run.folder / "manifest.json").read_bytes())
    assert all(len(manifests) == 1 for manifests in by_identity.values())
    return next(iter(finished.values()))


def every_delivery(play: Play, example: Example, length: str, modes: Sequence[str] = MODES) -> dict[str, Finished]:
    overrides = example.overrides(length)
    return {
        f"{mode}, {delivery}": play(example.name, [*overrides, f"mode={mode}", *how])
        for mode in modes
        for delivery, how in DELIVERIES.items()
    }


def reused_process(play: Play, repository: Path, example: Example, length: str) -> dict[str, Finished]:
    """Runs in one process: equal ones, with another run and one that is broken off in between."""
    overrides = example.overrides(length)
    first, second = example.short
    finished = {}
    with running_strategy(repository / example.script) as attachment:
        finished["reused, first"] = play(example.name, overrides, attachment=attachment)
        play(
            example.name,
            [*example.more, f"window.start={first}", f"window.end={second}", "costs.fees_bps=3.0"],
            attachment=attachment,
        )
        finished["reused, after another"] = play(
            example.name, [*overrides, "mode=prod", "execution.window_events=7"], attachment=attachment
        )
        with interrupted(), pytest.raises(Interruption):
            play(example.name, [*overrides, "execution.window_events=64"], attachment=attachment)
        finished["reused, after one that was broken off"] = play(
            example.name, [*overrides, "execution.window_events=1024"], attachment=attachment
        )
    return finished


class Interruption(Exception):
    """A run was ended from outside."""


@contextmanager
def interrupted() -> Iterator[None]:
    """The run in the block ends from outside after a few answers, in the middle of its session."""
    answers = itertools.count(1)
    receive = EventStream.receive

    def receive_few(self: EventStream, deadline_s: float, *, seq: int) -> bytes:
        if next(answers) > ANSWERS_BEFORE_INTERRUPTION:
            raise Interruption
        return receive(self, deadline_s, seq=seq)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EventStream, "receive", receive_few)
        yield


@each_example
def test_every_delivery_and_mode_and_process_gives_one_digest(play: Play, repository: Path, example: Example) -> None:
    finished = every_delivery(play, example, "short", modes=["debug"])
    prod = {f"prod, {name}": (*DELIVERIES[name], "mode=prod") for name in ("lockstep", "windows of 7")}
    for name, overrides in prod.items():
        finished[name] = play(example.name, [*example.overrides("short"), *overrides])
    finished["repeated"] = play(example.name, [*example.overrides("short"), *DELIVERIES["windows of 7"]])
    finished |= reused_process(play, repository, example, "short")
    run = one_digest(finished)
    assert run.metrics["counts"]["events"] >= 1_400
    assert run.metrics["trades"]["count"] >= SHORT_TRADES_MIN


def test_both_forms_of_the_crossing_averages_give_one_digest(play: Play) -> None:
    example = EXAMPLES[0]
    finished = {}
    for form in ("vector", "bar"):
        overrides = (*example.overrides("short"), f"strategy.params.form={form}")
        for size in (7, 4_096):
            finished[f"{form}, windows of {size}"] = play(example.name, [*overrides, f"execution.window_events={size}"])
    one_digest(finished)


def test_the_envelope_gives_one_digest_bar_by_bar_and_over_columns(play: Play) -> None:
    """Without its limits it answers prod runs over columns, and debug runs bar by bar."""
    example = EXAMPLES[1]
    free = (*example.overrides("short"), "strategy.params.risk_max=0.0", "strategy.params.daily_loss_max=0.0")
    finished = {
        f"{mode}, {delivery}": play(example.name, [*free, f"mode={mode}", *DELIVERIES[delivery]])
        for mode, delivery in (
            ("debug", "lockstep"), ("debug", "windows of 1024"), ("prod", "lockstep"), ("prod", "windows of 7"),
            ("prod", "windows of 16384"),
        )
    }  # fmt: skip
    assert one_digest(finished).metrics["trades"]["count"] >= SHORT_TRADES_MIN


def test_a_strategy_that_depends_on_the_cut_is_told_by_its_digests(play: Play) -> None:
    """Control: what is equal above would be seen to differ."""
    script = Path(__file__).parent / "strategies" / "cut_dependent.py"
    overrides = (
        f"strategy.command=[python, {script}]",
        "strategy.params={}",
        "instruments=[EURUSD]",
        *EXAMPLES[3].overrides("short"),
        "window.end=2024-02-06",
    )
    digests = {
        name: [play("random_targets", [*overrides, *how]).result_digest for _ in range(2)]
        for name, how in DELIVERIES.items()
        if name != "windows of 1"
    }
    assert all(first == second for first, second in digests.values()), "it repeats itself: only the cut differs"
    assert len({first for first, _ in digests.values()}) == len(digests), digests


def test_an_attached_strategy_is_free_for_the_next_run_at_once(play: Play) -> None:
    """Also while it is still busy with the last window of a run that was broken off."""
    script = Path(__file__).parent / "strategies" / "dawdler.py"
    overrides = (*EXAMPLES[3].overrides("short"), "strategy.params={}", "execution.window_events=64")
    with running_strategy(script) as attachment:
        with interrupted(), pytest.raises(Interruption):
            play("random_targets", [*overrides, "strategy.params.pause_s=0.3"], attachment=attachment)
        assert play("random_targets", overrides, attachment=attachment).published == "new"


@pytest.mark.slow
@each_example
def test_every_delivery_and_mode_gives_one_digest_on_a_long_tape(play: Play, example: Example) -> None:
    run = one_digest(every_delivery(play, example, "long"))
    assert run.metrics["counts"]["events"] >= LONG_EVENTS_MIN
    assert run.metrics["trades"]["count"] >= LONG_TRADES_MIN


@pytest.mark.slow
@each_example
def test_repeats_in_fresh_and_reused_processes_give_one_digest_on_a_long_tape(
    play: Play, repository: Path, example: Example
) -> None:
    finished = {}
    for mode, repeat in itertools.product(MODES, range(REPEATS)):
        finished[f"{mode}, {repeat}"] = play(example.name, [*example.overrides("long"), f"mode={mode}"])
    finished |= reused_process(play, repository, example, "long")
    with running_strategy(repository / example.script) as attachment:
        for repeat in range(REPEATS):
            overrides = (*example.overrides("long"), f"mode={MODES[repeat % 2]}")
            finished[f"reused, {repeat}"] = play(example.name, overrides, attachment=attachment)
    run = one_digest(finished)
    assert run.metrics["counts"]["events"] >= LONG_EVENTS_MIN
    assert run.metrics["trades"]["count"] >= LONG_TRADES_MIN
