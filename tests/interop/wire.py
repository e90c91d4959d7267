"""What a Python fleet sends: the body of an event, and the text in it.

A body is a zlib stream of {"n": name, "d": data} in UTF-8. Written from the wire
contract with plain json and zlib, so that two independent readings of it meet here.
"""

import json
import zlib
from dataclasses import dataclass

NAMES = {"Orderbook": "EVENT_ORDERBOOK", "Trade": "EVENT_TRADE", "Kline": "EVENT_KLINE"}


@dataclass(frozen=True)
class Event:
    """An event with its data as JSON text: numbers keep their digits."""

    exchange: str
    routing_key: str
    data: str

    @property
    def name(self):
        return NAMES[self.exchange]

    @property
    def key(self):
        return f"{self.exchange}:{self.routing_key}"


def event_of(exchange, data):
    """An event with what json.dumps writes for its data."""
    return Event(exchange, f"{data['p']}.{data['s']}", json.dumps(data))


def body_of(event):
    text = '{"n": "%s", "d": %s}' % (event.name, event.data)
    return zlib.compress(text.encode("utf-8"))


def values(text):
    """JSON with each number as its text, so that 0.10 and 0.1 differ."""
    number = lambda digits: ("number", digits)  # noqa: E731
    return json.loads(text, parse_float=number, parse_int=number, parse_constant=number)


def opened(body):
    """The values of a body: {"n": name, "d": data}."""
    return values(zlib.decompress(body).decode("utf-8"))


def name_and_data(body):
    """The name and the values of the data in a body."""
    event = opened(body)
    return event["n"], event["d"]


# -- samples -----------------------------------------------------------------------


def orderbook(platform, symbol, moment=1558949307370):
    return {
        "p": platform,
        "s": symbol,
        "a": [["8680.70000000", "0.00200000"], ["8680.71000000", "1.50000000"]],
        "b": [["8680.60000000", "2.82696138"], ["8680.59000000", "0.10000000"]],
        "t": moment,
    }


def trade(platform, symbol, moment=1558949307370):
    return {"p": platform, "s": symbol, "a": "SELL", "P": "8680.70000000",
            "q": "0.00200000", "t": moment}


def kline(platform, symbol, kline_type="kline_5m", moment=1558949280000):
    return {"p": platform, "s": symbol, "o": "8680.60000000", "h": "8690.00000000",
            "l": "8670.10000000", "c": "8680.70000000", "v": "17.31400000", "t": moment,
            "kt": kline_type}


def samples():
    """Each event type, as the market servers of a fleet are known to send it."""
    text = [
        # Bare numbers, with digits that a double would lose.
        ("Orderbook", "okx.BTC/USDT",
         '{"p": "okx", "s": "BTC/USDT", "a": [[8680.70000000, 0.10], [8681, 1e-7]],'
         ' "b": [[8680.60000000, 12]], "t": 1558949307370}'),
        ("Trade", "okx.BTC/USDT",
         '{"p": "okx", "s": "BTC/USDT", "a": "BUY", "P": 8680.70000000, "q": 0.10,'
         ' "t": 1558949307370}'),
        ("Kline", "okx.BTC/USDT",
         '{"p": "okx", "s": "BTC/USDT", "o": 8680.70000000, "h": 8690, "l": 8670.10,'
         ' "c": 8680.70, "v": 0.10, "t": 1558949280000, "kt": "kline"}'),
        # Text as it is, not escaped, and no blanks.
        ("Trade", "火币.以太/USDT",
         '{"p":"火币","s":"以太/USDT","a":"BUY","P":"8680.7","q":"1","t":1558949307370}'),
        # What json.dumps alone writes: a candle without trades, of a server that knows no types.
        ("Kline", "okx.IDLE/USDT",
         '{"p": "okx", "s": "IDLE/USDT", "o": NaN, "h": -Infinity, "l": Infinity, "c": null,'
         ' "v": "nan", "t": "1558949280000.0"}'),
        # A time of a clock with fractions, and half a character in a key of the server's own.
        ("Trade", "okx.BTC/USDT",
         '{"p": "okx", "s": "BTC/USDT", "a": "BUY", "P": 8680.7, "q": 1, "t": 1558949307370.25,'
         ' "note": "\\ud83d", "fee": NaN}'),
        # One side of the book is empty.
        ("Orderbook", "okx.NEW/USDT",
         '{"p": "okx", "s": "NEW/USDT", "a": [], "b": [["1", "2"]], "t": 1558949307370}'),
    ]
    return [
        event_of("Orderbook", orderbook("binance", "ETH/USDT")),
        event_of("Trade", trade("binance", "ETH/USDT")),
        event_of("Kline", kline("binance", "ETH/USDT")),
        event_of("Kline", kline("binance", "ETH/USDT", None)),
        # json.dumps escapes what is not ASCII.
        event_of("Orderbook", orderbook("火币", "以太/USDT")),
        event_of("Trade", trade("börse", "ETH/€")),
        event_of("Kline", kline("börse", "ETH/€", "kline_1y")),
        # A symbol with dots makes a routing key of more than two words.
        event_of("Trade", trade("okx", "BTC.USD.SWAP")),
    ] + [Event(*x) for x in text]


def stream(count):
    """Many events over several keys of each exchange, in a fixed order."""
    make = {"Orderbook": orderbook, "Trade": trade, "Kline": kline}
    symbols = ["BTC/USDT", "ETH/USDT", "以太/USDT", "BTC.USD.SWAP"]
    exchanges = list(make)
    return [
        event_of(exchange, make[exchange]("binance", symbols[i % 4], moment=1558949307370 + i))
        for i in range(count)
        for exchange in [exchanges[i % 3]]
    ]
