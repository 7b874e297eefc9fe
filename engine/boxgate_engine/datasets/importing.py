"""Import of files into a dataset: read, check, join, describe, freeze.

What parses text is imported by the functions that need it: its library takes most of a second, and opening or making
a dataset goes without.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from boxgate_engine.calendars import Calendar, calendar_by_name, calendar_of
from boxgate_engine.datasets.canonical import series_digest
from boxgate_engine.datasets.catalogue import read_catalogue
from boxgate_engine.datasets.content import SeriesContent
from boxgate_engine.datasets.durable import locked
from boxgate_engine.datasets.formats.source import ReadOptions, Side, SourcePart, read_input
from boxgate_engine.datasets.grid import infer_tick_size
from boxgate_engine.datasets.instrument_defaults import INSTRUMENT_FACTS, InstrumentOptions, describe_instrument
from boxgate_engine.datasets.joining import Joined, OnDuplicate, join_ask, join_parts
from boxgate_engine.datasets.manifest import JsonObject, Manifest, StoredSeries
from boxgate_engine.datasets.names import check_dataset_name, check_name
from boxgate_engine.datasets.parquet import read_series
from boxgate_engine.datasets.quality import find_gaps, inspect, price_columns
from boxgate_engine.datasets.store import NewSeries, dataset_folder, find, freeze
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK, frame_duration_ns
from boxgate_engine.instruments import Instrument

OnGap: TypeAlias = Literal["report", "refuse"]
Progress: TypeAlias = Callable[[int, int, int], None]
"""Called after each file with files done, files in all, rows read so far."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportRequest:
    """What to import and how.

    files: any number, of one format. symbol, frame: of CSV files; LEAN paths say both, and a value that is given must
    agree. zone: IANA name or UTC, of stamps that name none. side: of one-sided prices (default bid; ask joins the bid
    series of the same name). name: entry of the catalogue; if it stands for a dataset already, the series are added
    to it. calendar: when the market is open, as in `calendar_by_name`; None: by asset class. ignore: CSV columns to
    leave out.
    """

    files: tuple[Path, ...]
    symbol: str | None = None
    frame: str | None = None
    zone: str | None = None
    format: str | None = None
    side: Side | None = None
    name: str | None = None
    source: str = "not stated"
    licence: str = "not stated"
    on_duplicate: OnDuplicate = "refuse"
    on_gap: OnGap = "report"
    calendar: str | None = None
    ignore: frozenset[str] = frozenset()
    instrument: InstrumentOptions = field(default_factory=InstrumentOptions)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportResult:
    """What an import made.

    series: those of this import. created: False if this very dataset was there before. replaced: hash that the name
    stood for although its dataset was no longer in the store, None otherwise.
    """

    manifest: Manifest
    name: str | None
    series: tuple[StoredSeries, ...]
    created: bool
    replaced: str | None = None


def import_files(root: Path, request: ImportRequest, progress: Progress | None = None) -> ImportResult:
    """Import files into the datasets root. The dataset appears complete or not at all.

    Repeating an import gives the same hash and changes nothing. Raises DataRefused with file, row and column:
    DATA_FORMAT, DATA_SCHEMA, DATA_ORDER, DATA_DUPLICATE, DATA_VALUE, DATA_TZ, DATA_GAP, DATA_INSTRUMENT, NAME_INVALID,
    DATASET_NOT_FROZEN, CALENDAR; UserMistake FRAME_UNKNOWN; DataDamaged (DATA_HASH) of the dataset that is added to.
    """
    _check(request)
    calendar = calendar_by_name(request.calendar) if request.calendar is not None else None
    parts = _read(request, progress)
    series = [replace(_join(group, request), calendar=calendar) for group in _groups(parts, request)]
    return add_series(root, series, name=request.name, options=request.instrument, on_gap=request.on_gap)


@dataclass(frozen=True, kw_only=True, slots=True)
class IncomingSeries:
    """A joined series with its origin, before instrument and quality are known.

    reading: lines for the report. calendar: None: that of the stored series it joins, else by asset class.
    """

    joined: Joined
    source: str
    licence: str
    side: Side | None = None
    reading: JsonObject = field(default_factory=dict)
    inputs: tuple[JsonObject, ...] = ()
    options: InstrumentOptions | None = None
    calendar: Calendar | None = None


def add_series(
    root: Path,
    incoming: Iterable[IncomingSeries],
    *,
    name: str | None,
    options: InstrumentOptions,
    on_gap: OnGap = "report",
) -> ImportResult:
    """Freeze series as a new dataset, or as additions to the dataset that `name` stands for.

    A name whose dataset is gone from the store is given to the new one.
    """
    with locked(root / ".import.lock"):  # What a name stands for must not change between reading and renaming.
        before = read_catalogue(root).get(name) if name is not None else None
        gone = before is not None and not os.path.lexists(dataset_folder(root, before))
        base = find(root, name)[1] if name is not None and before is not None and not gone else None
        instruments = {one.symbol: one for one in base.instruments} if base else {}
        inferred = dict(base.inferred) if base else {}
        fresh: list[NewSeries] = []
        for one in incoming:
            joined = _with_ask_side(root, one, base) if one.side == "ask" else one.joined
            content = joined.content
            _refuse_other_content(content, base, one.side)
            instrument, guessed = _instrument(content, one.options or options, instruments, inferred)
            instruments[content.symbol], inferred[content.symbol] = instrument, guessed
            calendar = one.calendar or _calendar_before(content, base, instrument)
            if on_gap == "refuse":
                _refuse_gaps(content, calendar)
            fresh.append(described(replace(one, joined=joined, calendar=calendar), instrument))
        frozen = freeze(root, instruments.values(), fresh, base=base, name=name, inferred=inferred)
    keys = {(new.content.symbol, new.content.frame) for new in fresh}
    made = tuple(one for one in frozen.manifest.series if (one.symbol, one.frame) in keys)
    return ImportResult(
        manifest=frozen.manifest, name=name, series=made, created=frozen.created, replaced=before if gone else None
    )


def described(one: IncomingSeries, instrument: Instrument) -> NewSeries:
    """Return a series with its quality report, ready to be frozen."""
    joined = one.joined
    quality = {
        "rows_read": joined.rows_read,
        "rows_kept": joined.content.rows,
        "repairs": joined.repairs,
        "reading": one.reading,
        **inspect(joined.content, instrument, one.calendar),
    }
    return NewSeries(content=joined.content, source=one.source, licence=one.licence, quality=quality, inputs=one.inputs)


def _check(request: ImportRequest) -> None:
    if request.name is not None:
        check_dataset_name(request.name)
    if request.symbol is not None:
        check_name(request.symbol, where="--symbol")
    if request.frame is not None:
        frame_duration_ns(request.frame)
    if request.zone is not None:
        from boxgate_engine.datasets.formats.stamps import check_zone

        check_zone(request.zone)


def _read(request: ImportRequest, progress: Progress | None) -> list[SourcePart]:
    from boxgate_engine.datasets.faults import FaultCheck
    from boxgate_engine.datasets.formats.registry import by_name, detect

    options = ReadOptions(
        symbol=request.symbol, frame=request.frame, zone=request.zone, side=request.side, ignore=request.ignore
    )
    stated = by_name(request.format) if request.format is not None else None
    parts: list[SourcePart] = []
    rows = 0
    for index, path in enumerate(request.files, start=1):
        file = read_input(path)
        checks: dict[tuple[str, str], FaultCheck] = {}
        for part in (stated or detect(file)).read(file, options):
            _check_agreement(part, request)
            key = (part.symbol, part.frame)
            if key not in checks:
                checks[key] = FaultCheck(part.zone or request.zone)
            checks[key].add(part)
            parts.append(part)
            rows += part.rows
        for check in checks.values():
            check.finish()
        if progress is not None:
            progress(index, len(request.files), rows)
    if not parts:
        raise DataRefused(
            "no file was given", code="DATA_FORMAT", where="files", expected="at least one", remedy="name the files"
        )
    return parts


def _check_agreement(part: SourcePart, request: ImportRequest) -> None:
    check_name(part.symbol, where=part.file.label)
    for what, stated, found in (("symbol", request.symbol, part.symbol), ("frame", request.frame, part.frame)):
        if stated is not None and stated != found:
            raise DataRefused(
                f"the path says {what} {found}, the command {stated}",
                code="DATA_SCHEMA",
                where=part.file.label,
                expected="the same in both",
                remedy=f"leave --{what} out, or correct it",
            )
    if request.side is not None and part.side != request.side:
        raise DataRefused(
            f"the prices are {part.side or 'bid and ask'}, not {request.side}",
            code="DATA_SCHEMA",
            where=part.file.label,
            expected="no --side for data that say it themselves",
            remedy="leave --side out",
        )


def _groups(parts: list[SourcePart], request: ImportRequest) -> list[list[SourcePart]]:
    groups: dict[tuple[str, str], list[SourcePart]] = {}
    for part in parts:
        groups.setdefault((part.symbol, part.frame), []).append(part)
    options = request.instrument
    if len({symbol for symbol, _ in groups}) > 1 and (options.tick_size or options.quote_currency):
        raise DataRefused(
            "facts of one instrument were stated for several",
            code="DATA_INSTRUMENT",
            where=", ".join(sorted({symbol for symbol, _ in groups})),
            expected="files of one symbol with --tick-size or --quote-currency",
            remedy="import each symbol by a command of its own",
        )
    return list(groups.values())


def _join(group: list[SourcePart], request: ImportRequest) -> IncomingSeries:
    options = request.instrument
    stated = {part.asset_class for part in group if part.asset_class}
    if options.asset_class is None and len(stated) == 1:
        options = replace(options, asset_class=stated.pop())
    inputs = {part.file.label: part.file.facts() for part in group}.values()
    reading: JsonObject = {
        "zone": group[0].zone or request.zone or "in the stamps",
        "stamps": sorted({part.form for part in group}),
        "ignored_columns": sorted({name for part in group for name in part.ignored}),
    }
    return IncomingSeries(
        joined=join_parts(group, request.on_duplicate),
        source=request.source,
        licence=request.licence,
        side=group[0].side,
        reading=reading,
        inputs=tuple(sorted(inputs, key=lambda facts: (facts["name"], facts["sha256"]))),
        options=options,
    )


def _with_ask_side(root: Path, one: IncomingSeries, base: Manifest | None) -> Joined:
    ask = one.joined.content
    stored = _stored(base, ask.symbol, ask.frame)
    if base is None or stored is None or stored.price_basis != "BID" or ask.frame == TICK:
        raise DataRefused(
            "ask prices have no bid series to stand beside",
            code="DATA_SCHEMA",
            where=f"{ask.symbol} {ask.frame}",
            expected="bid bars of the same symbol and frame under the same name",
            remedy="import the bid file first, with --name N, then this one with --side ask and the same name",
        )
    joined = join_ask(read_series(dataset_folder(root, base.hash), stored), ask)
    return Joined(content=joined.content, rows_read=joined.rows_read, repairs={**one.joined.repairs, **joined.repairs})


def _refuse_other_content(content: SeriesContent, base: Manifest | None, side: Side | None) -> None:
    stored = _stored(base, content.symbol, content.frame)
    if stored is None or stored.digest == series_digest(content):
        return
    if side == "ask" and "ask_open" not in stored.columns:
        return
    raise DataRefused(
        "the dataset has this series with other content",
        code="DATA_DUPLICATE",
        where=f"{content.symbol} {content.frame}",
        expected="a series that the dataset does not have yet",
        remedy="import all files of the series together under a new --name",
    )


def _instrument(
    content: SeriesContent,
    options: InstrumentOptions,
    known: dict[str, Instrument],
    inferred: dict[str, tuple[str, ...]],
) -> tuple[Instrument, tuple[str, ...]]:
    """Return the instrument of a series, agreeing with what the dataset knows of it already."""
    where = f"{content.symbol} {content.frame}"
    prices = list(price_columns(content).values())
    tick_size = options.tick_size if options.tick_size is not None else infer_tick_size(prices, where)
    before = known.get(content.symbol)
    if before is None:
        return describe_instrument(content.symbol, tick_size, options)
    guessed = inferred.get(content.symbol, ())
    facts: dict[str, Any] = {name: getattr(before, name) for name in INSTRUMENT_FACTS}
    if "tick_size" in guessed:
        facts["tick_size"] = min(before.tick_size, tick_size)
    for name in INSTRUMENT_FACTS:
        stated = getattr(options, name)
        if stated is not None and stated != facts[name] and name not in guessed:
            raise DataRefused(
                f"the dataset has {content.symbol} with {name} {facts[name]}, the import says {stated}",
                code="DATA_INSTRUMENT",
                where=where,
                expected="one description of an instrument in a dataset",
                remedy="leave the fact out, or import under a new --name",
            )
        facts[name] = stated if stated is not None else facts[name]
    instrument, _ = describe_instrument(content.symbol, tick_size, InstrumentOptions(**facts))
    return instrument, tuple(name for name in guessed if getattr(options, name) is None)


def _calendar_before(content: SeriesContent, base: Manifest | None, instrument: Instrument) -> Calendar:
    stored = _stored(base, content.symbol, content.frame)
    return calendar_of(stored.quality if stored else {}, instrument.asset_class)


def _refuse_gaps(content: SeriesContent, calendar: Calendar) -> None:
    gaps = find_gaps(content, calendar)
    if len(gaps.from_ns):
        raise DataRefused(
            f"{len(gaps.from_ns)} gaps with {int(gaps.missing.sum())} missing bars; the first is "
            f"from {int(gaps.from_ns[0])} to {int(gaps.to_ns[0])} ns",
            code="DATA_GAP",
            where=f"{content.symbol} {content.frame}",
            expected="no gap while the market is open, as --on-gap refuse asks",
            remedy="complete the data, or import with --on-gap report",
        )


def _stored(base: Manifest | None, symbol: str, frame: str) -> StoredSeries | None:
    return next((one for one in (base.series if base else ()) if (one.symbol, one.frame) == (symbol, frame)), None)
