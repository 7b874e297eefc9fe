"""Errors of the SDK.

SdkError                        names what happened, where, what was expected and what to do
├── StrategyMistake             the strategy class itself cannot be served
├── EnvironmentMissing          the process was not started by a gateway
├── Refusal                     raised by an author in on_init: this configuration cannot be run
├── ParameterError              a value of the run config does not fit the schema
│   ├── ParameterUnknown
│   ├── ParameterMistyped
│   ├── ParameterOutOfRange
│   ├── ParameterNotAChoice
│   └── ParameterConflict       raised by an author in check_parameters
├── ContextError                ctx was asked for what it cannot give
│   ├── FeedbackNotGranted
│   ├── HedgingNotGranted
│   ├── SeriesUnknown
│   ├── HistoryBeyondDeclared
│   ├── HistoryShort
│   ├── HistoryNotGranted
│   ├── HistoryBeyondEvent
│   ├── HistoryQueryInvalid
│   └── OutsideEvent
├── IndicatorError              an indicator was made or fed in a way that has no answer
│   ├── IndicatorLengthInvalid
│   └── IndicatorInputInvalid
├── SizingInvalid               a position size was asked for that has no answer
├── AnswerError                 on_event or on_window answered what cannot be sent
│   ├── AnswerMistyped
│   ├── InstrumentUnknown
│   ├── MetaInvalid
│   ├── OrderConflict           an order that no target can say, such as a second one on an instrument
│   ├── OrderInvalid            an order that can never be right
│   └── SignalInvalid           raised by boxgate_sdk.testing where the gateway would fail the run
├── ReplayError                 a recorded session was not repeated
│   ├── RecordingUnreadable
│   └── ReplayDifference        an event is answered otherwise than it was
└── ProtocolError               the gateway sent what the contract does not allow
    ├── VersionMismatch
    ├── SessionUnknown
    ├── SessionLimit
    ├── HistoryHandleInvalid    what a handle of OnInit leads to is not the history that it names
    ├── HistoryUnreachable      a handle of OnInit leads nowhere from here
    ├── WindowMalformed
    └── WindowOutOfOrder
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class SdkError(Exception):
    """Any refusal or failure that the SDK itself reports.

    code: stable upper-case name. what: what happened, one clause. where: the name of the parameter, series, event …
    expected: what would have been right. remedy: what the reader can do now.
    """

    code: ClassVar[str] = "SDK_ERROR"

    def __init__(self, what: str, *, where: str, expected: str, remedy: str) -> None:
        super().__init__(f"{what} ({where}); expected {expected}; {remedy}")
        self.what = what
        self.where = where
        self.expected = expected
        self.remedy = remedy


class StrategyMistake(SdkError):
    """The strategy class itself cannot be served, whatever the run."""

    code = "STRATEGY_MISTAKE"


class EnvironmentMissing(SdkError):
    """The process was not started by a gateway, or the gateway speaks no common version."""

    code = "ENVIRONMENT_MISSING"


class Refusal(SdkError):
    """Raise it in on_init to refuse the run with a reason that debug runs show."""

    code = "REFUSED"

    def __init__(self, reason: str) -> None:
        super().__init__(
            reason, where="on_init", expected="a configuration that this strategy can run", remedy="change the config"
        )


class ParameterError(SdkError):
    """A value of the run config does not fit the parameter schema of the strategy."""

    code = "PARAMETER"


class ParameterUnknown(ParameterError):
    """The run config names a parameter that the strategy does not have."""

    code = "PARAMETER_UNKNOWN"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        import difflib  # 20 ms that a session without a mistake does not need

        close = difflib.get_close_matches(name, names, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else "remove it from strategy.params"
        super().__init__(
            f"the strategy has no parameter {name!r}",
            where=f"strategy.params.{name}",
            expected=f"one of {', '.join(names) or 'no parameter at all'}",
            remedy=remedy,
        )


class ParameterMistyped(ParameterError):
    """The value has another type than the parameter."""

    code = "PARAMETER_TYPE"

    def __init__(self, name: str, value: object, expected: str) -> None:
        super().__init__(
            f"parameter {name!r} is {value!r}",
            where=f"strategy.params.{name}",
            expected=expected,
            remedy="correct the value in the run config",
        )


class ParameterOutOfRange(ParameterError):
    """The value is below the minimum or above the maximum of the parameter."""

    code = "PARAMETER_RANGE"

    def __init__(self, name: str, value: float, min_: float | None, max_: float | None) -> None:
        low = "-∞" if min_ is None else f"{min_:g}"
        high = "∞" if max_ is None else f"{max_:g}"
        super().__init__(
            f"parameter {name!r} is {value!r}",
            where=f"strategy.params.{name}",
            expected=f"a value in [{low}, {high}]",
            remedy="correct the value in the run config",
        )


class ParameterNotAChoice(ParameterError):
    """The text is none of the choices of the parameter."""

    code = "PARAMETER_CHOICE"

    def __init__(self, name: str, value: str, choices: Iterable[str]) -> None:
        super().__init__(
            f"parameter {name!r} is {value!r}",
            where=f"strategy.params.{name}",
            expected=f"one of {', '.join(choices)}",
            remedy="correct the value in the run config",
        )


class ParameterConflict(ParameterError):
    """Raise it in check_parameters where values that are right alone are wrong together."""

    code = "PARAMETER_CONFLICT"

    def __init__(self, what: str, *, where: str, expected: str) -> None:
        super().__init__(
            what, where=f"strategy.params.{where}", expected=expected, remedy="correct the values in the run config"
        )


class ContextError(SdkError):
    """ctx was asked for something that it cannot give at this place."""

    code = "CONTEXT"


class FeedbackNotGranted(ContextError):
    """The account was read in a session without FEEDBACK."""

    code = "FEEDBACK_NOT_GRANTED"

    def __init__(self, attribute: str) -> None:
        super().__init__(
            f"ctx.{attribute} needs the capability FEEDBACK",
            where=f"ctx.{attribute}",
            expected="a session with FEEDBACK",
            remedy='return ["FEEDBACK"] from requires() of the strategy',
        )


class HedgingNotGranted(ContextError):
    """A position was named in a session without HEDGING."""

    code = "HEDGING_NOT_GRANTED"

    def __init__(self, position: str) -> None:
        super().__init__(
            f"the position {position!r} was named in a session without the capability HEDGING",
            where="position",
            expected="a session with HEDGING, or no name: the one position of the instrument",
            remedy='set `hedging = True` in the IntentStrategy, or return "ORDERS" and "HEDGING" from requires()',
        )


class SeriesUnknown(ContextError):
    """History was asked of a series that is not in the run."""

    code = "SERIES_UNKNOWN"

    def __init__(self, symbol: str, frame: str, known: Iterable[str], where: str = "ctx.history") -> None:
        super().__init__(
            f"the run has no series {symbol} {frame}",
            where=where,
            expected=f"one of {', '.join(known)}",
            remedy="add the instrument or frame to the run config, or ask for another",
        )


class HistoryBeyondDeclared(ContextError):
    """More history was asked than the strategy declares to need."""

    code = "HISTORY_BEYOND_DECLARED"

    def __init__(self, symbol: str, frame: str, asked: int, declared: int) -> None:
        super().__init__(
            f"{asked} events of {symbol} {frame} were asked, {declared} are declared",
            where="ctx.history",
            expected=f"at most {declared} events",
            remedy=f"return at least {asked} from history_events(), or call ctx.require_history({asked}) in on_init",
        )


class HistoryShort(ContextError):
    """Less history was delivered so far than was asked."""

    code = "HISTORY_SHORT"

    def __init__(
        self,
        symbol: str,
        frame: str,
        asked: int,
        have: int,
        where: str = "ctx.history",
        remedy: str = "lengthen the warm-up, or handle the first events without history",
    ) -> None:
        super().__init__(
            f"{asked} events of {symbol} {frame} were asked, there are {have} so far",
            where=where,
            expected=f"at most {have} events",
            remedy=remedy,
        )


class HistoryNotGranted(ContextError):
    """ctx.data was read in a session without HISTORY_HANDLES."""

    code = "HISTORY_NOT_GRANTED"

    def __init__(self) -> None:
        super().__init__(
            "ctx.data.history needs the capability HISTORY_HANDLES",
            where="ctx.data",
            expected="a session with HISTORY_HANDLES",
            remedy='add "HISTORY_HANDLES" to what supports() of the strategy returns, or to requires()',
        )


class HistoryBeyondEvent(ContextError):
    """History was asked up to a time that lies behind the event that is handled."""

    code = "HISTORY_BEYOND_EVENT"

    def __init__(self, symbol: str, frame: str, end_ns: int, now_ns: int) -> None:
        super().__init__(
            f"{symbol} {frame} was asked up to {end_ns}, the event that is handled is of {now_ns}",
            where="ctx.data.history: end_ts",
            expected=f"at most {now_ns + 1}: the time of the event + 1, in on_init that of the start + 1",
            remedy="pass event.time_ns + 1, or an earlier time",
        )


class HistoryQueryInvalid(ContextError):
    """An argument of ctx.data.history has no meaning."""

    code = "HISTORY_QUERY"

    def __init__(self, name: str, value: object, expected: str) -> None:
        super().__init__(
            f"{name} is {value!r}",
            where=f"ctx.data.history: {name}",
            expected=expected,
            remedy="correct the argument",
        )


class OutsideEvent(ContextError):
    """Something that belongs to one event was asked while no single event is handled."""

    code = "OUTSIDE_EVENT"

    def __init__(self, attribute: str, remedy: str) -> None:
        super().__init__(
            f"{attribute} belongs to one event", where=attribute, expected="a call inside on_event", remedy=remedy
        )


class IndicatorError(SdkError):
    """An indicator was made or fed in a way that has no answer."""

    code = "INDICATOR"


class IndicatorLengthInvalid(IndicatorError, ValueError):
    """A length or factor is out of range, or two lengths do not fit each other."""

    code = "INDICATOR_LENGTH"

    def __init__(self, indicator: str, name: str, value: object, expected: str) -> None:
        super().__init__(
            f"{name} of {indicator} is {value!r}",
            where=f"{indicator}.{name}",
            expected=expected,
            remedy="bound the parameter that it comes from, or compare the two in check_parameters",
        )


class IndicatorInputInvalid(IndicatorError, ValueError):
    """An indicator was pushed what is no number after it had begun; its state is as before."""

    code = "INDICATOR_INPUT"

    def __init__(self, indicator: str, what: str, expected: str = "finite numbers; NaN only before the first") -> None:
        super().__init__(
            f"{indicator}.push was given {what}",
            where=f"{indicator}.push",
            expected=expected,
            remedy="leave out what is absent (an ask, a last price) before it is pushed",
        )


class SizingInvalid(SdkError, ValueError):
    """A position size was asked for that has no answer: a stop at the entry, a currency without a rate."""

    code = "SIZING"


class AnswerError(SdkError):
    """on_event or on_window answered something that cannot be sent."""

    code = "ANSWER"


class AnswerMistyped(AnswerError):
    """The answer is neither nothing, nor a signal, nor signals."""

    code = "ANSWER_TYPE"

    def __init__(self, where: str, answer: object, expected: str) -> None:
        super().__init__(
            f"{where} returned {type(answer).__name__}",
            where=where,
            expected=expected,
            remedy="return one of these",
        )


class InstrumentUnknown(AnswerError):
    """A signal names an instrument that is not in the run."""

    code = "INSTRUMENT_UNKNOWN"

    def __init__(self, symbol: object, known: Iterable[str]) -> None:
        super().__init__(
            f"a signal names the instrument {symbol!r}",
            where="Signal.instrument",
            expected=f"one of {', '.join(known)}",
            remedy="use a symbol of ctx.instruments, or leave it out for that of the event",
        )


class MetaInvalid(AnswerError):
    """The meta of a signal holds a value that has no JSON form."""

    code = "META_INVALID"

    def __init__(self, where: str, value: object) -> None:
        super().__init__(
            f"meta holds a {type(value).__name__}",
            where=where,
            expected="None, bool, number, text, list or dict with text keys",
            remedy="convert the value before it is put into meta",
        )


class OrderConflict(AnswerError):
    """An order of an OrderStrategy cannot be said beside what works already: a target has one price and one bracket."""

    code = "ORDER_CONFLICT"


class OrderInvalid(AnswerError):
    """An order of an OrderStrategy that can never be right, such as one of a negative quantity."""

    code = "ORDER_INVALID"


class SignalInvalid(AnswerError):
    """A signal that can never be right; the gateway would fail the run."""

    code = "SIGNAL_INVALID"


class ReplayError(SdkError):
    """A recorded session was not repeated."""


class RecordingUnreadable(ReplayError):
    """A file is no recording, or not whole."""

    code = "RECORDING_UNREADABLE"

    def __init__(self, path: str, what: str) -> None:
        super().__init__(
            f"the recording cannot be read: {what}",
            where=path,
            expected="a file written by boxgate run --record",
            remedy="record the session again",
        )


class ReplayDifference(ReplayError, AssertionError):
    """An event is answered otherwise than it was. seq: its number. recorded, now: the answers as text."""

    code = "REPLAY_DIFFERENCE"

    def __init__(self, *, seq: int, where: str, recorded: str, now: str) -> None:
        super().__init__(
            f"the strategy answers: {now}",
            where=where,
            expected=f"the recorded answer: {recorded}",
            remedy="correct the strategy, or record again if the change is meant",
        )
        self.seq = seq
        self.recorded = recorded
        self.now = now


class ProtocolError(SdkError):
    """The gateway sent something that the contract does not allow."""

    code = "PROTOCOL"


class VersionMismatch(ProtocolError):
    """The gateway asks for a contract version that this SDK does not speak."""

    code = "PROTO_VERSION"

    def __init__(self, theirs: str, ours: str) -> None:
        super().__init__(
            f"the gateway speaks contract version {theirs}",
            where="contract_version",
            expected=f"version {ours}",
            remedy="install a boxgate-sdk that fits the gateway",
        )


class SessionUnknown(ProtocolError):
    """A call names a session that is not open."""

    code = "SESSION_UNKNOWN"

    def __init__(self, session_id: str) -> None:
        super().__init__(
            f"no session {session_id!r} is open",
            where="session_id",
            expected="the id of an accepted OnInit",
            remedy="call OnInit first",
        )


class SessionLimit(ProtocolError):
    """More sessions were asked at the same time than max_sessions."""

    code = "SESSION_LIMIT"

    def __init__(self, sessions_max: int) -> None:
        super().__init__(
            f"{sessions_max} session(s) are open already",
            where="OnInit",
            expected=f"at most {sessions_max} at the same time",
            remedy="call OnStop first, or start another process",
        )


class HistoryHandleInvalid(ProtocolError):
    """What a handle leads to is not the history that it names; nothing of it is used."""

    code = "HISTORY_HANDLE"

    def __init__(self, what: str, where: str, expected: str) -> None:
        super().__init__(
            what,
            where=where,
            expected=expected,
            remedy="run again; if it happens again, delete the slices in the cache of the gateway",
        )


class HistoryUnreachable(ProtocolError):
    """A handle has neither a file that can be mapped here nor a server that answers."""

    code = "HISTORY_UNREACHABLE"

    def __init__(self, what: str, where: str) -> None:
        super().__init__(
            what,
            where=where,
            expected="the path of a file that this process may read, or a Flight server that answers",
            remedy="let the strategy see the cache of the gateway, or reach its address, while OnInit lasts",
        )


class WindowMalformed(ProtocolError):
    """A message of the stream cannot be read, or its columns do not fit one another."""

    code = "WINDOW_MALFORMED"

    def __init__(self, what: str, expected: str) -> None:
        super().__init__(what, where="OnEvent", expected=expected, remedy="report it: this is a fault of the gateway")


class WindowOutOfOrder(ProtocolError):
    """A window does not begin where the last answer ended."""

    code = "WINDOW_ORDER"

    def __init__(self, got: int, expected: int) -> None:
        super().__init__(
            f"a window begins with event {got}",
            where="OnEvent",
            expected=f"event {expected}",
            remedy="report it: this is a fault of the gateway",
        )
