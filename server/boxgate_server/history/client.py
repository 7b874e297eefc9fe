"""The client of `boxgate data serve`: one series fetched from another host, checked against its digest."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from pyarrow import flight

from boxgate_engine.datasets import SeriesContent
from boxgate_engine.datasets.canonical import series_digest
from boxgate_engine.datasets.content import Column, is_complete
from boxgate_engine.errors import DataDamaged, RunFailed


def fetch_series(
    location: str,
    dataset: str,
    symbol: str,
    frame: str,
    *,
    token: str,
    end_ns: int | None = None,
    root_certificate: bytes | None = None,
) -> SeriesContent:
    """Return one stored series of a served dataset, up to what is available at `end_ns`, default all of it.

    location: as `boxgate data serve` prints it. root_certificate: PEM, for a grpc+tls location; None trusts those of
    the machine. The whole series is checked against the digest of its manifest.
    Raises RunFailed (SERVE_UNREACHABLE, SERVE_REFUSED), DataDamaged (DATA_HASH).
    """
    options = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer " + token.encode())])
    path = [dataset, symbol, frame, *([] if end_ns is None else [str(end_ns)])]
    roots = {} if root_certificate is None else {"tls_root_certs": root_certificate}
    try:
        with flight.connect(location, **roots) as client:
            info = client.get_flight_info(flight.FlightDescriptor.for_path(*path), options)
            facts = json.loads(info.app_metadata)
            columns = _read(client.do_get(info.endpoints[0].ticket, options), info.total_records)
    except flight.FlightUnavailableError as error:
        raise _failed("SERVE_UNREACHABLE", error, location) from error
    except (flight.FlightError, pa.ArrowException, OSError) as error:
        raise _failed("SERVE_REFUSED", error, location) from error
    if not is_complete(frame, tuple(columns)):
        raise _damaged("its columns are not those of a series", location)
    content = SeriesContent(symbol=symbol, frame=frame, price_basis=facts["price_basis"], columns=columns)
    if end_ns is None and series_digest(content) != facts["digest"]:
        raise _damaged("what arrived has another digest than what was sent", location)
    return content


def _read(reader: flight.FlightStreamReader, rows: int) -> dict[str, Column]:
    """Read a stream into one array per column, shape (rows,)."""
    columns: dict[str, Column] = {one.name: np.empty(rows, one.type.to_pandas_dtype()) for one in reader.schema}
    begin = 0
    for chunk in reader:
        batch = chunk.data
        batch.validate()
        end = begin + batch.num_rows
        for name, values in zip(columns, batch.columns, strict=True):
            if end > rows:
                raise pa.ArrowInvalid("more rows than were announced")
            columns[name][begin:end] = values.to_numpy(zero_copy_only=True)
        begin = end
    if begin != rows:
        raise pa.ArrowInvalid("fewer rows than were announced")
    return columns


def _failed(code: str, error: Exception, location: str) -> RunFailed:
    return RunFailed(
        f"the server said: {str(error).splitlines()[0].partition('. Detail')[0][:200]}",
        code=code,
        where=location,
        expected="a server of `boxgate data serve` that has the series, and its token",
        remedy="compare location, token and certificate with what the server printed when it started",
    )


def _damaged(what: str, location: str) -> DataDamaged:
    return DataDamaged(
        what,
        code="DATA_HASH",
        where=location,
        expected="the series as its manifest has it",
        remedy="fetch it again; if it happens again, run `boxgate data check` where it is served",
    )
