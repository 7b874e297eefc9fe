"""The run config: what a run is, as a person writes it.

`load_config` reads the YAML file, `RunConfig` is the validated value. Semantic keys make the identity of a run,
operational ones never do.
"""

from boxgate_engine.config.account import AccountConfig, MarginConfig
from boxgate_engine.config.costs import (
    CostsConfig,
    FundingMissing,
    SpreadHours,
    SpreadPrice,
    SpreadTicks,
    SwapConfig,
)
from boxgate_engine.config.execution import ExecutionConfig, LatencyConfig
from boxgate_engine.config.load import (
    config_document,
    load_config,
    locate_problems,
    parse_config,
    validate_document,
)
from boxgate_engine.config.model import (
    CacheConfig,
    DataProviderConfig,
    DeterminismConfig,
    LimitsConfig,
    ReportConfig,
    RunConfig,
    StrategyConfig,
    WarmupConfig,
    WindowConfig,
)
from boxgate_engine.config.resolved import resolve_config, semantic_keys
from boxgate_engine.config.variants import Variant, band_variants, scaled_costs

__all__ = [
    "AccountConfig",
    "CacheConfig",
    "CostsConfig",
    "DataProviderConfig",
    "DeterminismConfig",
    "ExecutionConfig",
    "FundingMissing",
    "LatencyConfig",
    "LimitsConfig",
    "MarginConfig",
    "ReportConfig",
    "RunConfig",
    "SpreadHours",
    "SpreadPrice",
    "SpreadTicks",
    "StrategyConfig",
    "SwapConfig",
    "Variant",
    "WarmupConfig",
    "WindowConfig",
    "band_variants",
    "config_document",
    "load_config",
    "locate_problems",
    "parse_config",
    "resolve_config",
    "scaled_costs",
    "semantic_keys",
    "validate_document",
]
