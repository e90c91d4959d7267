"""Recorded messages of Binance as events, as AIOQuant's Binance market server makes them:
a second reading of the rules that `market --file` follows."""

import gzip
import json

from wire import event_of


def events_of(path, platform, symbol, levels=10):
    """The events of a recording "<receive time in ns> <combined-stream message>"."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            received, _, text = line.partition(" ")
            message = json.loads(text)
            yield event_from(message["stream"].partition("@")[2], message["data"],
                             int(received) // 1_000_000, {"p": platform, "s": symbol}, levels)


def event_from(channel, data, received, whose, levels):
    if channel == "depth20":
        return event_of("Orderbook", {**whose, "a": data["asks"][:levels],
                                      "b": data["bids"][:levels], "t": received})
    if channel == "trade":
        return event_of("Trade", {**whose, "a": "SELL" if data["m"] else "BUY",
                                  "P": data["p"], "q": data["q"], "t": data["T"]})
    if channel == "kline_1m":
        k = data["k"]
        return event_of("Kline", {**whose, "o": k["o"], "h": k["h"], "l": k["l"], "c": k["c"],
                                  "v": k["q"], "t": k["t"], "kt": "kline"})
    raise ValueError(f"a channel that no market server subscribes to: {channel}")
