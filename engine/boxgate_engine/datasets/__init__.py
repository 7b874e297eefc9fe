"""Market data: importers, quality, canonical hash, catalogue, mapped series, slices, aggregation, synthetic data."""

from boxgate_engine.datasets.content import ASK_COLUMNS as ASK_COLUMNS
from boxgate_engine.datasets.content import BAR_COLUMNS as BAR_COLUMNS
from boxgate_engine.datasets.content import TICK_COLUMNS as TICK_COLUMNS
from boxgate_engine.datasets.content import TICK_EXTRA_COLUMNS as TICK_EXTRA_COLUMNS
from boxgate_engine.datasets.content import SeriesContent as SeriesContent
from boxgate_engine.datasets.dataset import Dataset as Dataset
from boxgate_engine.datasets.dataset import Series as Series
from boxgate_engine.datasets.dataset import open_dataset as open_dataset
from boxgate_engine.datasets.demo import DEMO_NAME as DEMO_NAME
from boxgate_engine.datasets.demo import ensure_demo as ensure_demo
from boxgate_engine.datasets.importing import ImportRequest as ImportRequest
from boxgate_engine.datasets.importing import ImportResult as ImportResult
from boxgate_engine.datasets.importing import import_files as import_files
from boxgate_engine.datasets.instrument_defaults import InstrumentOptions as InstrumentOptions
from boxgate_engine.datasets.slices import Slice as Slice
from boxgate_engine.datasets.slices import open_slice as open_slice
from boxgate_engine.datasets.slices import shared_slice as shared_slice
from boxgate_engine.datasets.slices import slice_rows as slice_rows
from boxgate_engine.datasets.slices import write_slice as write_slice
