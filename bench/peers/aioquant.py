"""What AIOQuant's EventCenter does with each event, on aioamqp: json and zlib, each
message acknowledged by itself, each handler a task."""

import asyncio
import json
import os
import time
import zlib

import aioamqp

from peer import Measurement, address, events, options, own_cpu, print_latencies

EXCHANGE = "Orderbook"
KEY = "simulated.BTC/USDT"


class Orderbook:
    def __init__(self, p, s, a, b, t):
        self.platform, self.symbol, self.asks, self.bids, self.timestamp = p, s, a, b, t


def loads(body):
    document = json.loads(zlib.decompress(body).decode("utf8"))
    return Orderbook(**document["d"])


def dumps(data):
    return zlib.compress(json.dumps({"n": "EVENT_ORDERBOOK", "d": data}).encode("utf8"))


async def channel_to(x):
    host, port = address(x.url)
    _, protocol = await aioamqp.connect(host, port, login="guest", password="guest")
    return await protocol.channel()


async def consume(x, channel, handler):
    async def on_message(channel, body, envelope, properties):
        asyncio.get_running_loop().create_task(handler(loads(body)))
        if not x.no_ack:
            await channel.basic_client_ack(envelope.delivery_tag)

    await channel.exchange_declare(exchange_name=EXCHANGE, type_name="topic")
    await channel.queue_declare(queue_name=x.queue, auto_delete=True)
    await channel.queue_bind(queue_name=x.queue, exchange_name=EXCHANGE, routing_key=KEY)
    await channel.basic_qos(prefetch_count=x.prefetch)
    await channel.basic_consume(on_message, queue_name=x.queue, no_ack=x.no_ack)


async def receive(x):
    done = asyncio.Event()
    measured = Measurement(x)

    async def handler(_):
        if measured.event():
            done.set()

    await consume(x, await channel_to(x), handler)
    await done.wait()
    measured.print()


async def publish(x):
    books = events(x)
    channel = await channel_to(x)
    measured = Measurement(x)
    for i in range(x.count):
        await channel.basic_publish(payload=dumps(books[i % len(books)]), exchange_name=EXCHANGE,
                                    routing_key=KEY)
        measured.event()
    measured.print()


async def latency(x):
    books = events(x)
    done = asyncio.Event()
    late = []
    start = time.monotonic() + 0.5

    async def handler(book):
        if book.timestamp > x.warm_up:
            late.append((time.monotonic() - start - book.timestamp / x.rate) * 1e6)
        if book.timestamp == x.count:
            done.set()

    await consume(x, await channel_to(x), handler)
    channel = await channel_to(x)
    before = own_cpu()
    for i in range(1, x.count + 1):
        book = dict(books[i % len(books)], t=i)
        wait = start + i / x.rate - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        await channel.basic_publish(payload=dumps(book), exchange_name=EXCHANGE, routing_key=KEY)
    await done.wait()
    print_latencies(late, (own_cpu() - before) / x.count)


async def main(x):
    await {"receive": receive, "publish": publish, "latency": latency}[x.command](x)
    os._exit(0)  # aioamqp does not end by itself


asyncio.run(main(options(["receive", "publish", "latency"])))
