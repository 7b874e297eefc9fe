"""Files of Binance: klines, trades and funding rates."""
