"""The formats that market data come in, each a module of its own, and what tells them apart."""
