"""Whole datasets on the shelf, for trusted clients of their owner."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from boxgate_engine.datasets import Dataset, Series, slice_rows
from boxgate_engine.errors import UserMistake
from boxgate_proto.host.v1.ticket_pb2 import HistoryTicket
from boxgate_server.errors import TicketRefused
from boxgate_server.history.flight import OWNER, Offer, arrow_table, tokens_equal

if TYPE_CHECKING:
    import pyarrow as pa

END_NS: Final = 2**63 - 1
"""The end of a path that names none: the whole series."""


class DatasetShelf:
    """Stored series by descriptor path [dataset, symbol, frame], or [dataset, symbol, frame, end in nanoseconds].

    dataset: the name that it is served by, or its hash. Everything needs the owner's token.
    """

    def __init__(self, datasets: Sequence[Dataset], token: str) -> None:
        self._datasets = list(datasets)
        self._by_name: Mapping[str, Dataset] = {
            **{one.hash: one for one in datasets},
            **{one.name: one for one in datasets},
        }
        self._token = token

    def session_of(self, token: str) -> str | None:
        """Return OWNER for the owner's token."""
        return OWNER if tokens_equal(token, self._token) else None

    def open(self, ticket: HistoryTicket) -> pa.Table:
        """Return the rows of a ticket. Raises TicketRefused (TICKET_FOREIGN) for what is not served here."""
        dataset = self._by_name.get(ticket.dataset)
        if dataset is None:
            raise TicketRefused(
                "the ticket is for a dataset that is not served here",
                code="TICKET_FOREIGN",
                where="Flight ticket",
                expected="a ticket of this server",
                remedy="ask this server for a ticket by GetFlightInfo",
            )
        return _table(self._series(dataset, ticket.symbol, ticket.frame), ticket.end_ns)

    def offers(self) -> Iterator[Offer]:
        """Return every stored series of every dataset."""
        for dataset in self._datasets:
            for stored in dataset.manifest.series:
                yield self.offer([dataset.name, stored.symbol, stored.frame])

    def offer(self, path: Sequence[str]) -> Offer:
        """Return what a path stands for. Raises UserMistake (SERVE_PATH, DATASET_UNKNOWN, SERIES_UNKNOWN, …)."""
        if len(path) not in (3, 4):
            raise _bad_path(f"the path has {len(path)} parts")
        dataset = self._by_name.get(path[0])
        if dataset is None:
            raise UserMistake(
                "no such dataset is served here",
                code="DATASET_UNKNOWN",
                where="descriptor path",
                expected="a name or hash that ListFlights names",
                remedy="serve it, or correct the name",
            )
        try:
            end_ns = int(path[3]) if len(path) == 4 else END_NS
        except ValueError:
            raise _bad_path("the end is no number") from None
        if not -END_NS <= end_ns <= END_NS:
            raise _bad_path("the end is no time")
        series = self._series(dataset, path[1], path[2])
        facts = {"dataset": dataset.hash, "price_basis": series.price_basis, "digest": series.digest}
        return Offer(
            path=path,
            dataset=dataset.hash,
            symbol=series.symbol,
            frame=series.frame,
            end_ns=end_ns,
            table=_table(series, end_ns),
            facts=json.dumps(facts, sort_keys=True).encode(),
        )

    def _series(self, dataset: Dataset, symbol: str, frame: str) -> Series:
        if symbol in dataset.instruments and not dataset.is_stored(symbol, frame):
            stored = [one.frame for one in dataset.manifest.series if one.symbol == symbol]
            raise UserMistake(
                "the series is not stored",
                code="FRAME_UNAVAILABLE",
                where="descriptor path",
                expected=f"one of {', '.join(stored)}",
                remedy="fetch a stored frame and aggregate it",
            )
        return dataset.series(symbol, frame)


def _table(series: Series, end_ns: int) -> pa.Table:
    rows = series.rows if end_ns == END_NS else slice_rows(series, end_ns)
    return arrow_table(series.columns, rows)


def _bad_path(what: str) -> UserMistake:
    return UserMistake(
        what,
        code="SERVE_PATH",
        where="descriptor path",
        expected="[dataset, symbol, frame] or [dataset, symbol, frame, end in nanoseconds]",
        remedy="correct the descriptor",
    )
