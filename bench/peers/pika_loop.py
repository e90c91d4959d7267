"""pika as fast as it goes: its SelectConnection, acknowledgements in multiples."""

import json
import os
import zlib

import pika

from peer import Measurement, events, options

EXCHANGE = "Orderbook"
KEY = "simulated.BTC/USDT"


def receive(x, channel):
    measured = Measurement(x)
    unacked = 0

    def on_message(channel, method, _, body):
        nonlocal unacked
        json.loads(zlib.decompress(body))
        unacked += 1
        if not x.no_ack and (x.prefetch == 1 or unacked * 2 >= x.prefetch):
            channel.basic_ack(method.delivery_tag, multiple=True)
            unacked = 0
        if measured.event():
            measured.print()
            os._exit(0)

    def on_qos(_):
        channel.basic_consume(x.queue, on_message, auto_ack=x.no_ack)

    channel.queue_declare(x.queue, auto_delete=True, callback=lambda _: channel.basic_qos(
        prefetch_count=x.prefetch, callback=on_qos))


def publish(x, channel):
    books = events(x)
    measured = Measurement(x)

    def some_more():
        for _ in range(200):
            body = zlib.compress(json.dumps({"n": "EVENT_ORDERBOOK",
                                             "d": books[measured.number % len(books)]}).encode())
            channel.basic_publish(EXCHANGE, KEY, body)
            if measured.event():
                measured.print()
                os._exit(0)
        channel.connection.ioloop.add_callback_threadsafe(some_more)

    some_more()


def main(x):
    run = {"receive": receive, "publish": publish}[x.command]
    connection = pika.SelectConnection(
        pika.URLParameters(x.url + "/%2F"),
        on_open_callback=lambda c: c.channel(on_open_callback=lambda channel: run(x, channel)))
    connection.ioloop.start()


main(options(["receive", "publish"]))
