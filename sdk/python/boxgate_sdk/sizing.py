"""How much to trade: quantities in base units, on the lot grid toward zero; 0.0 where the smallest lot is too much.

qty = sizing.by_risk(self.ctx, "EURUSD", risk=0.01, entry=bar.close, stop=bar.close - 0.0050)

Money is in account currency, prices are in quote currency. Where the two differ, `rate` says how much account currency
one unit of quote currency is worth now; a helper that needs it and is not given it raises SizingInvalid. Inverse
instruments are refused: their profit is not in the quote currency. equity: default ctx.equity, which needs FEEDBACK.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from boxgate_sdk.errors import InstrumentUnknown, SizingInvalid

if TYPE_CHECKING:
    from boxgate_sdk.context import Context, Instrument

_NOISE = 2.0**-40


def by_risk(
    ctx: Context,
    symbol: str,
    *,
    risk: float,
    entry: float,
    stop: float,
    equity: float | None = None,
    rate: float | None = None,
) -> float:
    """Return the quantity that loses the fraction `risk` of equity if it is entered and stopped out at these prices.

    risk: in (0, 1], 0.01 = one percent. qty = equity × risk ÷ (|entry − stop| × contract size × rate). Costs, slippage
    and gaps come on top, and what the margin carries is not looked at. Raises SizingInvalid, InstrumentUnknown.
    """
    instrument = _instrument(ctx, symbol)
    _check("risk", risk, 0.0 < risk <= 1.0, "a fraction in (0, 1]")
    _check("entry", entry, entry > 0.0, "a price above 0")
    _check("stop", stop, stop > 0.0 and stop != entry, "a price above 0 other than entry")
    loss = abs(entry - stop) * _money_per_price(ctx, instrument, rate)
    return _on_grid(instrument, _equity(ctx, equity) * risk / loss)


def by_equity(
    ctx: Context,
    symbol: str,
    *,
    fraction: float,
    price: float,
    leverage: float = 1.0,
    equity: float | None = None,
    rate: float | None = None,
) -> float:
    """Return the quantity whose value is the fraction of equity, times the leverage that the author wants.

    fraction: above 0. qty = equity × fraction × leverage ÷ (price × contract size × rate).
    Raises SizingInvalid, also where leverage is above that of the instrument; InstrumentUnknown.
    """
    instrument = _instrument(ctx, symbol)
    _check("fraction", fraction, fraction > 0.0, "a number above 0")
    _check("price", price, price > 0.0, "a price above 0")
    most = max(1.0, instrument.leverage or ctx.leverage)
    _check("leverage", leverage, 0.0 < leverage <= most, f"a number in (0, {most:g}], the leverage of the instrument")
    value = price * _money_per_price(ctx, instrument, rate)
    return _on_grid(instrument, _equity(ctx, equity) * fraction * leverage / value)


def by_lots(ctx: Context, symbol: str, lots: float, *, units_per_lot: float) -> float:
    """Return lots in base units. units_per_lot: what the broker calls a lot, 100,000 for most currency pairs.

    Raises SizingInvalid, InstrumentUnknown.
    """
    instrument = _instrument(ctx, symbol)
    _check("lots", lots, lots >= 0.0, "a number of at least 0")
    _check("units_per_lot", units_per_lot, units_per_lot > 0.0, "a number above 0")
    return _on_grid(instrument, lots * units_per_lot)


def by_units(ctx: Context, symbol: str, units: float) -> float:
    """Return base units as the gateway will take them. Raises SizingInvalid, InstrumentUnknown."""
    instrument = _instrument(ctx, symbol)
    _check("units", units, units >= 0.0, "a number of at least 0")
    return instrument.round_qty(units)


def _money_per_price(ctx: Context, instrument: Instrument, rate: float | None) -> float:
    """Return what one unit gains in account currency when the price rises by 1."""
    if instrument.inverse:
        raise SizingInvalid(
            f"{instrument.symbol} is an inverse contract",
            where=instrument.symbol,
            expected="a linear one, whose profit is in the quote currency",
            remedy="compute the quantity yourself",
        )
    quote = instrument.quote_currency
    same = instrument.quote_is_account or quote == ctx.account_currency
    if rate is None:
        if not same:
            raise SizingInvalid(
                f"{instrument.symbol} is quoted in {quote or 'an unknown currency'}, the account is in "
                f"{ctx.account_currency}, and no rate is given",
                where="rate",
                expected=f"{ctx.account_currency} for one unit of the quote currency",
                remedy="pass rate, for example the close of a pair that the run has, turned the right way",
            )
        rate = 1.0
    _check("rate", rate, rate > 0.0, "a number above 0")
    if same and rate != 1.0:
        raise SizingInvalid(
            f"rate is {rate!r}, but {instrument.symbol} is quoted in {quote}, the currency of the account",
            where="rate",
            expected="no rate",
            remedy="leave it out",
        )
    return rate * instrument.contract_ratio[0] / instrument.contract_ratio[1]


def _equity(ctx: Context, equity: float | None) -> float:
    """Return the equity to size by, 0.0 where there is none left."""
    value = ctx.equity if equity is None else equity
    _check("equity", value, True, "a finite number")
    return max(0.0, value)


def _instrument(ctx: Context, symbol: str) -> Instrument:
    if symbol not in ctx.instruments:
        raise InstrumentUnknown(symbol, ctx.instruments)
    return ctx.instruments[symbol]


def _on_grid(instrument: Instrument, units: float) -> float:
    """Return the quantity on the grid. What falls short of a grid value only by the noise of floats is that value.

    Without that, 0.29 lots of 100,000 (28,999.999999999996) would be 28,000 on a grid of thousands.
    """
    qty = instrument.round_qty(units * (1.0 + _NOISE))
    _check("the quantity", qty, True, "a finite number")
    return qty


def _check(name: str, value: float, holds: bool, expected: str) -> None:
    if not (math.isfinite(value) and holds):
        raise SizingInvalid(
            f"{name} is {value!r}", where=name, expected=expected, remedy="check what it is computed from"
        )
