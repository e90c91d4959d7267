"""The micro-benchmarks, and the rows that come of them."""

import json

from harness.measuring import Row, at_most
from harness.programs import MICRO, run

TITLE = "micro-benchmarks: handler table, decode, encode, topic match, actors, link"
KINDS = ("book10", "book20", "trade", "kline")


def measured(quick):
    """CPU time of each in nanoseconds (per item where there are items)."""
    least = "0.1" if quick else "0.3"
    text = run(MICRO, "--benchmark_format=json", f"--benchmark_min_time={least}",
               "--benchmark_repetitions=3", "--benchmark_report_aggregates_only=true", limit=400)
    result = {}
    for x in json.loads(text)["benchmarks"]:
        if x["aggregate_name"] != "median":
            continue
        name = x["run_name"]
        items = x.get("items_per_second")
        # Items are counted by the clock that the benchmark was asked for.
        result[name] = 1e9 / items if items else x["cpu_time"]
    return result


def rows(quick):
    x = measured(quick)
    lookup = x["handler_lookup/10000/1000"]
    yield Row("handler table: lookup among 10,000 keys and 1,000 wildcards", "ns", lookup, None,
              at_most(250, 100, absolute=True))
    yield Row("handler table: 100,000 keys beside 10,000", "ns", x["handler_lookup/100000/1000"],
              lookup, at_most(1.5))  # flat, but for what caches cost
    for kind in KINDS:
        yield Row(f"decode {kind}, beside zlib and parser alone", "ns", x[f"decode/{kind}"],
                  x[f"inflate_alone/{kind}"] + x[f"parse_alone/{kind}"])
        yield Row(f"encode {kind}, beside zlib alone", "ns", x[f"encode/{kind}"],
                  x[f"deflate_alone/{kind}"])
    yield Row("decode book10, beside the bare loop's", "ns", x["decode/book10"], x["decode_bare"])
    yield Row("encode book10, beside the bare loop's", "ns", x["encode/book10"], x["encode_bare"])
    for name in ("topic_match/exact", "topic_match/star", "topic_match/hash"):
        yield Row(name.replace("_", " ").replace("/", ", "), "ns", x[name])
    for count in (1, 8, 64):
        yield Row(f"one message to {count} actors, each", "ns",
                  x[f"send_to_each/{count}/process_time/real_time"])
    yield Row("there and back between two sleeping threads", "ns",
              x["round_trip/process_time/real_time"])
    yield Row("a link's own cost of a received message", "ns", x["receive_frames"])
    yield Row("a link's own cost of a published message", "ns", x["send_frames"])
