"""The run config: what a run is, as a person writes it.

`load_config` reads the YAML file, `RunConfig` is the validated value. Semantic keys make the identity of a run,
operational ones never do.
"""

from boxgate_engine.config.load import config_document, load_config, locate_problems, parse_config
from boxgate_engine.config.model import (
    AccountConfig,
    CacheConfig,
    CostsConfig,
    DataProviderConfig,
    DeterminismConfig,
    ExecutionConfig,
    LimitsConfig,
    ReportConfig,
    RunConfig,
    SpreadHours,
    SpreadPrice,
    SpreadTicks,
    StrategyConfig,
    WarmupConfig,
    WindowConfig,
)
from boxgate_engine.config.resolved import resolve_config, semantic_keys

__all__ = [
    "AccountConfig",
    "CacheConfig",
    "CostsConfig",
    "DataProviderConfig",
    "DeterminismConfig",
    "ExecutionConfig",
    "LimitsConfig",
    "ReportConfig",
    "RunConfig",
    "SpreadHours",
    "SpreadPrice",
    "SpreadTicks",
    "StrategyConfig",
    "WarmupConfig",
    "WindowConfig",
    "config_document",
    "load_config",
    "locate_problems",
    "parse_config",
    "resolve_config",
    "semantic_keys",
]
