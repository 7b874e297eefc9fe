"""Describe and OnInit: what the strategy needs, what it is granted, and the session's opening."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from boxgate_engine.config import AccountConfig, RunConfig
from boxgate_engine.config.model import ParamValue
from boxgate_engine.errors import ConfigInvalid, Problem
from boxgate_engine.frames import FRAME_NS, TICK
from boxgate_engine.instruments import Instrument
from boxgate_engine.market import Feed, Market
from boxgate_proto.strategy.v1 import instrument_pb2
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_proto.strategy.v1.signal_pb2 import SIDE_FLAT
from boxgate_server.errors import DescriptionInvalid, StrategyRefused
from boxgate_server.sessions.parameters import complete_parameters, parameter_messages
from boxgate_server.sidecars import CONTRACT_VERSIONS, Connection, negotiate

ORDERS: Final = "ORDERS"
"""Capability of strategies that answer with order intents."""
HEDGING: Final = "HEDGING"
"""Capability of strategies with orders that name positions."""
OFFERED: Final = ("FEEDBACK", "TICKS", "VECTOR", "RESET", "HISTORY_HANDLES", ORDERS, HEDGING)
"""Capabilities that this gateway can grant."""

_BASES: Final = {
    "BID": instrument_pb2.PRICE_BASIS_BID,
    "LAST": instrument_pb2.PRICE_BASIS_LAST,
    "MID": instrument_pb2.PRICE_BASIS_MID,
}


@dataclass(frozen=True, kw_only=True)
class Described:
    """What a strategy is and needs with the parameters of the run.

    params: complete. granted: names of capabilities. wanted: series as declared. debug: errors may show its texts.
    """

    name: str
    version: str
    params: dict[str, ParamValue]
    messages: list[pb.Parameter]
    granted: frozenset[str]
    wanted: list[pb.SeriesRequirement]
    debug: bool

    def history_events(self, feeds: Sequence[Feed]) -> list[int]:
        """Return the history that each feed needs; raises ConfigInvalid if the run lacks a series that is wanted."""
        return requirements(self.wanted, feeds, debug=self.debug)


def describe(connection: Connection, config: RunConfig) -> Described:
    """Ask the strategy what it is and needs. Raises ConfigInvalid, DescriptionInvalid or what negotiation raises."""
    debug = config.mode == "debug"
    schema = connection.describe(pb.DescribeRequest(contract_versions=CONTRACT_VERSIONS))
    params = complete_parameters(config.strategy.params, schema.parameters, debug=debug)
    messages = parameter_messages(params, schema.parameters)
    answer = connection.describe(pb.DescribeRequest(parameters=messages, contract_versions=CONTRACT_VERSIONS))
    has_orders = ORDERS in (*answer.requires, *answer.supports)
    granted = negotiate(answer, OFFERED if has_orders else set(OFFERED) - {HEDGING}, mode=config.mode)
    if TICK in config.frames and "TICKS" not in granted:
        raise ConfigInvalid(
            [
                Problem(
                    path="frames",
                    source="",
                    what="the strategy does not take ticks",
                    expected="bar frames, or a strategy that supports TICKS",
                    remedy="remove tick from frames; execution.series: tick lets ticks fill without being delivered",
                )
            ]
        )
    _check_frames(answer.frames, config.frames, debug=debug)
    return Described(
        name=answer.name,
        version=answer.version,
        params=params,
        messages=messages,
        granted=granted,
        wanted=list(answer.series),
        debug=debug,
    )


def _check_frames(made_for: Sequence[str], frames: Sequence[str], *, debug: bool) -> None:
    """Raise ConfigInvalid where the run has a frame that the strategy is not made for. debug: name those it is for."""
    for frame in made_for:
        if frame not in (*FRAME_NS, TICK):
            raise DescriptionInvalid(
                f"the strategy names the frame {frame!r}" if debug else "the strategy names a frame that is none",
                where="frames",
                expected=f"names among {' '.join(FRAME_NS)} {TICK}",
                remedy="correct the strategy's declaration",
            )
    strange = [frame for frame in frames if frame not in made_for]
    if made_for and strange:
        those = f"among {' '.join(made_for)}" if debug else "that the strategy is made for; its vendor says which"
        raise ConfigInvalid(
            [
                Problem(
                    path="frames",
                    source="",
                    what=f"the strategy is not made for {' '.join(strange)}",
                    expected=f"frames {those}",
                    remedy="change frames of the run",
                )
            ]
        )


def requirements(wanted: Sequence[pb.SeriesRequirement], feeds: Sequence[Feed], *, debug: bool = True) -> list[int]:
    """Return the events that each feed must have before the tape.

    An empty symbol means every instrument, an empty frame the first one of the run. debug: errors name any series that
    is missing; else only one whose words are the run's own, because the others are texts of the sidecar.
    """
    needs = [0] * len(feeds)
    problems = []
    for requirement in wanted:
        frame = requirement.frame or feeds[0].series.frame
        met = [feed for feed in feeds if feed.series.frame == frame and requirement.symbol in ("", feed.series.symbol)]
        if not met:
            known = frame in (*FRAME_NS, TICK) and requirement.symbol in ("", *(feed.series.symbol for feed in feeds))
            what = f"the series {requirement.symbol or 'every instrument'} {frame}" if debug or known else "a series"
            problems.append(
                Problem(
                    path="frames" if not requirement.symbol else "instruments",
                    source="",
                    what=f"the strategy wants {what}, which the run does not have",
                    expected=f"a run that covers {what}",
                    remedy="add the instrument or the frame to the run",
                )
            )
        if requirement.history_events > 2**40:
            raise DescriptionInvalid(
                "the strategy asks for more history than any dataset has",
                where="history_events",
                expected="at most 2^40 events",
                remedy="correct the strategy's declaration",
            )
        for feed in met:
            needs[feed.index] = max(needs[feed.index], int(requirement.history_events))
    if problems:
        raise ConfigInvalid(problems)
    return needs


def init_request(
    *,
    session_id: str,
    seed: int,
    config: RunConfig,
    described: Described,
    market: Market,
    start_ns: int,
    warmup_events: Sequence[int],
    history: Sequence[pb.HistoryHandle] = (),
) -> pb.OnInitRequest:
    """Return the request that opens a session. history: handles, where they were granted."""
    request = pb.OnInitRequest(
        session_id=session_id,
        seed=seed,
        mode=pb.MODE_PROD if config.mode == "prod" else pb.MODE_DEBUG,
        capabilities=sorted(described.granted),
        parameters=described.messages,
        instruments=[_instrument(instrument, config.account) for instrument in market.instruments],
        series=[
            instrument_pb2.Series(
                instrument=feed.instrument,
                frame=feed.series.frame,
                price_basis=_BASES[feed.series.price_basis],
                has_ask=feed.series.has_ask,
                warmup_events=count,
            )
            for feed, count in zip(market.feeds, warmup_events, strict=True)
        ],
        costs=_costs(config, market.is_funded),
        start_ns=start_ns,
        account_currency=config.account.currency,
        leverage=min(config.account.leverage_of(symbol) for symbol in config.instruments),
        contract_version=CONTRACT_VERSIONS[-1],
        history=history,
        margin=pb.MarginRules(
            isolated=config.account.margin.mode == "isolated",
            maintenance=config.account.margin.maintenance,
            call=config.account.margin.call,
            liquidation_fee_bps=config.account.margin.fee_bps,
        ),
    )
    request.account.cash = config.account.cash
    if ORDERS not in described.granted:
        for index in range(len(market.instruments)):
            request.account.targets.add(instrument=index, side=SIDE_FLAT)
    return request


def open_session(connection: Connection, request: pb.OnInitRequest, feeds: Sequence[Feed], *, debug: bool) -> list[int]:
    """Open the session. Returns an empty list, or the history that each feed needs for another attempt.

    Raises StrategyRefused, DescriptionInvalid.
    """
    answer = connection.on_init(request)
    outcome = answer.WhichOneof("outcome")
    if outcome == "accepted":
        return []
    if outcome == "need_history" and answer.need_history.series:
        return requirements(answer.need_history.series, feeds, debug=debug)
    if outcome == "refused":
        reason = f": {answer.refused.reason}" if debug and answer.refused.reason else ""
        raise StrategyRefused(
            f"the strategy refuses this configuration{reason}",
            where="OnInit",
            expected="a configuration that the strategy accepts",
            remedy="change the parameters or the series; the vendor says which it takes",
        )
    raise DescriptionInvalid(
        "OnInit was answered without an outcome",
        where="OnInit",
        expected="accepted, need_history with at least one series, or refused",
        remedy="correct the sidecar",
    )


def _costs(config: RunConfig, funded: Callable[[str], bool]) -> pb.Costs:
    """Return the costs of all instruments, those of the first also as a strategy of few words reads them."""
    fees, slippage = config.costs.fees_of(config.instruments[0]), config.costs.slippage_of(config.instruments[0])
    return pb.Costs(
        fees_bps=fees.taker_bps,
        slippage_bps=slippage.value if slippage.model == "bps" else 0.0,
        instruments=[_instrument_costs(config, symbol, funded=funded(symbol)) for symbol in config.instruments],
    )


def _instrument_costs(config: RunConfig, symbol: str, *, funded: bool) -> pb.InstrumentCosts:
    costs = config.costs
    fees, slippage, swap = costs.fees_of(symbol), costs.slippage_of(symbol), costs.swap_of(symbol)
    told = pb.InstrumentCosts(**fees.model_dump(exclude_none=True), funding=funded)
    if slippage.value:
        told.slippage_model = pb.SlippageModel.Value(f"SLIPPAGE_MODEL_{slippage.model.upper()}")
        told.slippage = slippage.value
    if swap is not None:
        told.swap_model = pb.SwapModel.Value(f"SWAP_MODEL_{swap.model.upper()}")
        told.swap_long, told.swap_short, told.swap_lot_qty = swap.long, swap.short, swap.lot_qty
        told.swap_triple_day = swap.triple_day or 0
    return told


def _instrument(instrument: Instrument, account: AccountConfig) -> instrument_pb2.Instrument:
    kinds: dict[str, Any] = {
        "linear": instrument_pb2.CONTRACT_KIND_LINEAR,
        "inverse": instrument_pb2.CONTRACT_KIND_INVERSE,
    }
    return instrument_pb2.Instrument(
        symbol=instrument.symbol,
        tick_size=_ratio(instrument.tick_size),
        lot_size=_ratio(instrument.lot_size),
        contract_size=_ratio(instrument.contract_size),
        quote_currency=instrument.quote_currency,
        contract_kind=kinds[instrument.kind],
        leverage=account.leverage_of(instrument.symbol),
        quote_is_account=account.settles(instrument.quote_currency),
    )


def _ratio(value: Any) -> instrument_pb2.Ratio:
    return instrument_pb2.Ratio(numerator=value.numerator, denominator=value.denominator)
