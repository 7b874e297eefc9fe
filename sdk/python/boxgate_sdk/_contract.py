"""Describe and OnInit: the only place where their messages and the SDK's own types meet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from boxgate_proto.strategy.v1 import account_pb2, instrument_pb2, strategy_pb2
from boxgate_sdk._session import Session
from boxgate_sdk.account import read_account
from boxgate_sdk.context import Context, Instrument, Series
from boxgate_sdk.errors import Refusal, StrategyMistake, VersionMismatch
from boxgate_sdk.frames import FRAME_NS, TICK
from boxgate_sdk.history import History
from boxgate_sdk.parameters import Parameter, bind, declared
from boxgate_sdk.strategy import SeriesNeed, Strategy

CONTRACT_VERSION = 1
"""The one version of the contract that this SDK speaks."""

_BASES = {
    instrument_pb2.PRICE_BASIS_LAST: "LAST",
    instrument_pb2.PRICE_BASIS_BID: "BID",
    instrument_pb2.PRICE_BASIS_MID: "MID",
}


@dataclass(frozen=True, slots=True)
class Opening:
    """The outcome of OnInit: its answer, and the session if that is open."""

    response: strategy_pb2.OnInitResponse
    session: Session | None


def describe(strategy_class: type[Strategy], request: strategy_pb2.DescribeRequest) -> strategy_pb2.DescribeResponse:
    """Answer Describe for the parameters of the request. Raises a leaf of ParameterError."""
    strategy = _configured(strategy_class, request.parameters)
    description = strategy.describe()
    return strategy_pb2.DescribeResponse(
        name=description.name,
        version=description.version,
        contract_versions=[CONTRACT_VERSION],
        requires=description.requires,
        supports=description.supports,
        max_sessions=description.max_sessions,
        parameters=[_schema(parameter) for parameter in declared(strategy_class).values()],
        series=[_need(need) for need in description.series],
        description=description.description,
        author=description.author,
        frames=check_frames(description.frames, type(strategy).__name__),
    )


def check_frames(frames: Sequence[str], where: str) -> Sequence[str]:
    """Return the frames that a strategy is made for. Raises StrategyMistake for a name that is none."""
    known = (*FRAME_NS, TICK)
    unknown = [frames] if isinstance(frames, str) else [frame for frame in frames if frame not in known]
    if unknown:
        raise StrategyMistake(
            f"frames holds {unknown[0]!r}" if not isinstance(frames, str) else f"frames is the text {frames!r}",
            where=where,
            expected=f"names of frames in a tuple, such as ({known[0]!r},); there are {' '.join(known)}",
            remedy="correct frames, or leave it empty if the strategy takes any",
        )
    return frames


def open_session(strategy_class: type[Strategy], request: strategy_pb2.OnInitRequest) -> Opening:
    """Make a strategy and call its on_init. Raises VersionMismatch, a ParameterError, or what on_init raises."""
    if request.contract_version != CONTRACT_VERSION:
        raise VersionMismatch(str(request.contract_version), str(CONTRACT_VERSION))
    strategy = _configured(strategy_class, request.parameters)
    ctx = _context(strategy, request)
    strategy.ctx = ctx
    try:
        strategy.on_init(ctx)
    except Refusal as refusal:
        refused = strategy_pb2.Refused(reason=refusal.what)
        return Opening(strategy_pb2.OnInitResponse(refused=refused), None)
    if ctx.needs:
        needs = [
            SeriesNeed(symbol=ctx.series[i].symbol, frame=ctx.series[i].frame, history_events=events)
            for i, events in sorted(ctx.needs.items())
        ]
        need_history = strategy_pb2.NeedHistory(series=[_need(need) for need in needs])
        return Opening(strategy_pb2.OnInitResponse(need_history=need_history), None)
    return Opening(strategy_pb2.OnInitResponse(accepted=strategy_pb2.Accepted()), Session(strategy, ctx))


def _configured(strategy_class: type[Strategy], parameters: Iterable[strategy_pb2.Parameter]) -> Strategy:
    strategy = strategy_class()
    bind(strategy, {parameter.name: _value(parameter.value) for parameter in parameters})
    strategy.check_parameters()
    return strategy


def _value(value: strategy_pb2.ParameterValue) -> object:
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "string_list_value":
        return list(value.string_list_value.values)
    plain: object = getattr(value, which)
    return plain


def _schema(parameter: Parameter[object]) -> strategy_pb2.ParameterSchema:
    default = strategy_pb2.ParameterValue()
    if isinstance(parameter.default, tuple):
        default.string_list_value.SetInParent()
        default.string_list_value.values.extend(parameter.default)
    else:
        setattr(default, f"{parameter.kind.lower()}_value", parameter.default)
    return strategy_pb2.ParameterSchema(
        name=parameter.name,
        type=strategy_pb2.ParameterType.Value(f"PARAMETER_TYPE_{parameter.kind}"),
        default_value=default,
        min=parameter.min,
        max=parameter.max,
        doc=parameter.doc,
        choices=parameter.choices,
    )


def _need(need: SeriesNeed) -> strategy_pb2.SeriesRequirement:
    return strategy_pb2.SeriesRequirement(symbol=need.symbol, frame=need.frame, history_events=need.history_events)


def _context(strategy: Strategy, request: strategy_pb2.OnInitRequest) -> Context:
    instruments = tuple(
        Instrument(
            index=index,
            symbol=i.symbol,
            tick_ratio=(i.tick_size.numerator, i.tick_size.denominator),
            lot_ratio=(i.lot_size.numerator, i.lot_size.denominator),
            contract_ratio=(i.contract_size.numerator, i.contract_size.denominator),
            quote_currency=i.quote_currency,
            inverse=i.contract_kind == instrument_pb2.CONTRACT_KIND_INVERSE,
            leverage=i.leverage or request.leverage,
            quote_is_account=i.quote_is_account or i.quote_currency == request.account_currency,
        )
        for index, i in enumerate(request.instruments)
    )
    series = tuple(
        Series(
            index=index,
            symbol=instruments[s.instrument].symbol,
            frame=s.frame,
            instrument=s.instrument,
            price_basis=_BASES.get(s.price_basis, ""),
            has_ask=s.has_ask,
            warmup_events=s.warmup_events,
        )
        for index, s in enumerate(request.series)
    )
    data = None
    if "HISTORY_HANDLES" in request.capabilities:
        from boxgate_sdk._handles import open_handles

        data = open_handles(request.history, series, request.start_ns)
    opening = request.account if request.HasField("account") else account_pb2.Account()
    return (strategy.context_class or Context)(
        parameters={name: getattr(strategy, name) for name in declared(type(strategy))},
        instruments=instruments,
        series=series,
        seed=request.seed,
        mode="prod" if request.mode == strategy_pb2.MODE_PROD else "debug",
        granted=frozenset(request.capabilities),
        start_ns=request.start_ns,
        account_currency=request.account_currency,
        leverage=request.leverage,
        fees_bps=request.costs.fees_bps,
        slippage_bps=request.costs.slippage_bps,
        opening_account=read_account(opening.SerializeToString(), [i.symbol for i in instruments]),
        history=History([_history_events(strategy, s, series[0].frame) for s in series]),
        data=data,
    )


def _history_events(strategy: Strategy, series: Series, first_frame: str) -> int:
    """Return the longest history that the strategy declares for a series."""
    return max(
        (
            need.history_events
            for need in strategy.series()
            if need.symbol in ("", series.symbol) and (need.frame or first_frame) == series.frame
        ),
        default=0,
    )
