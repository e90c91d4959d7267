#!/usr/bin/env python3
"""A TCP proxy in front of a broker that breaks its links on demand.

    chaos_proxy.py HOST:PORT

Prints the port where clients connect and the port where it takes commands, both on
loopback, and ends with its standard input. A command is one line, and so is its answer:
"ok" once it is carried out, what was asked for, or "error: ...".

    pass             nothing is broken any more
    hold [NAME]      no byte goes either way, though the connections stay (half-open);
                     without a name, nor does one on connections that come
    mute [NAME]      nothing of what the broker says arrives, though it gets all it is told
    strand [NAME]    resets the clients' ends alone: the broker takes the connections to be
                     alive, until it hears no heartbeats
    cut [NAME]       resets the connections
    fin [NAME]       ends them in good order
    refuse           refuses new connections
    listen           takes them again
    delay MS         each byte arrives so much later
    rate BYTES       so many bytes a second, each way of each connection
    truncate N       the next piece of data longer than N bytes ends behind its first
                     N bytes: its connection is reset in the middle of a frame
    stat             links NOW accepted EVER up BYTES down BYTES

With a name, only the connections whose client has said it in its first bytes are meant: an
AMQP client tells its connection's name there.
"""

import asyncio
import random
import signal
import socket
import struct
import sys

LOOPBACK = "127.0.0.1"
PIECE = 64 * 1024
# How much may be on its way in one direction: a client that is faster must wait.
PIECES = 16
GREETING = 4096


def bound_socket(port):
    result = socket.socket()
    result.setblocking(False)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    result.bind((LOOPBACK, port))
    return result


def reserved_socket():
    """Bound, but not listening: who connects is refused, and nobody else gets the port.
    From below the range that the kernel gives out to clients."""
    while True:
        try:
            probe = socket.socket()
            port = random.randint(20000, 31999)
            # Without SO_REUSEPORT, which would let it share the port of another proxy.
            probe.bind((LOOPBACK, port))
            probe.close()
            return bound_socket(port)
        except OSError:
            continue


def reset_on_close(end):
    """What is behind a socket's closing with this option is a reset."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Faults:
    def __init__(self):
        self.clear()

    def clear(self):
        self.hold = False
        self.delay = 0.0
        self.rate = 0
        self.truncate = None


class Link:
    """One client, and the connection to the broker made for it."""

    def __init__(self, proxy, client):
        self.proxy = proxy
        self.client = client
        self.broker = socket.socket()
        self.broker.setblocking(False)
        for end in (self.client, self.broker):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.greeting = b""
        self.flowing = asyncio.Event()
        self.hearing = asyncio.Event()
        self.hearing.set()
        self.task = asyncio.get_running_loop().create_task(self.run())

    def said(self, name):
        return name.encode() in self.greeting

    async def run(self):
        try:
            await self.flowing.wait()
            await asyncio.get_running_loop().sock_connect(self.broker, self.proxy.target)
            async with asyncio.TaskGroup() as ways:
                self.carry(ways, self.client, self.broker, "up")
                self.carry(ways, self.broker, self.client, "down")
            self.close()
        except* OSError:
            self.reset()

    def carry(self, ways, source, target, direction):
        pieces = asyncio.Queue(PIECES)
        ways.create_task(self.take(source, pieces, direction))
        ways.create_task(self.give(target, pieces, direction))

    async def take(self, source, pieces, direction):
        loop = asyncio.get_running_loop()
        data = b"-"
        while data:
            data = await loop.sock_recv(source, PIECE)
            if direction == "up" and len(self.greeting) < GREETING:
                self.greeting += data
            await pieces.put((loop.time(), data))

    async def give(self, target, pieces, direction):
        loop = asyncio.get_running_loop()
        faults = self.proxy.faults
        while True:
            arrived, data = await pieces.get()
            await asyncio.sleep(max(0.0, arrived + faults.delay - loop.time()))
            await self.flowing.wait()
            if direction == "down":
                await self.hearing.wait()
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            limit = faults.truncate
            if limit is not None and len(data) > limit:
                faults.truncate = None
                await loop.sock_sendall(target, data[:limit])
                raise ConnectionResetError
            await self.send(target, data)
            self.proxy.bytes[direction] += len(data)

    async def send(self, target, data):
        loop = asyncio.get_running_loop()
        while data:
            rate = self.proxy.faults.rate
            part = data[:max(1, rate // 20)] if rate else data
            await loop.sock_sendall(target, part)
            data = data[len(part):]
            if rate:
                await asyncio.sleep(len(part) / rate)
                await self.flowing.wait()

    def close(self):
        self.proxy.links.discard(self)
        self.client.close()
        self.broker.close()

    def reset(self):
        for end in (self.client, self.broker):
            reset_on_close(end)
        self.close()

    async def stop(self):
        self.task.cancel()
        await asyncio.wait([self.task])

    async def cut(self):
        await self.stop()
        self.reset()

    async def strand(self):
        await self.stop()
        self.proxy.links.discard(self)
        reset_on_close(self.client)
        self.client.close()
        self.task = asyncio.get_running_loop().create_task(self.drain([self.broker]))

    async def fin(self):
        await self.stop()
        for end in (self.client, self.broker):
            try:
                end.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # not connected
        self.task = asyncio.get_running_loop().create_task(self.drain([self.client, self.broker]))

    async def drain(self, ends):
        """A socket that is closed with bytes unread sends a reset."""
        loop = asyncio.get_running_loop()
        try:
            for end in ends:
                while await loop.sock_recv(end, PIECE):
                    pass
        except OSError:
            pass
        self.close()


class Proxy:
    def __init__(self, target):
        self.target = target
        self.faults = Faults()
        self.links = set()
        self.accepted = 0
        self.bytes = {"up": 0, "down": 0}
        self.reserved = reserved_socket()
        self.port = self.reserved.getsockname()[1]
        self.accepting = None
        self.listen()

    # -- connections ---------------------------------------------------------------

    async def accept(self, listener):
        loop = asyncio.get_running_loop()
        try:
            while True:
                client, _ = await loop.sock_accept(listener)
                client.setblocking(False)
                self.accepted += 1
                link = Link(self, client)
                self.links.add(link)
                if not self.faults.hold:
                    link.flowing.set()
        finally:
            listener.close()

    def named(self, name):
        return [x for x in self.links if x.said(name)]

    # -- commands ------------------------------------------------------------------

    async def do(self, words):
        verb, *arguments = words or [""]
        if verb in ("hold", "mute", "strand", "cut", "fin") and len(arguments) <= 1:
            return await getattr(self, verb)(*arguments)
        if verb in ("pass", "refuse", "listen", "stat") and not arguments:
            return await self.simple(verb)
        if verb in ("delay", "rate", "truncate") and len(arguments) == 1:
            return self.set(verb, int(arguments[0]))
        raise ValueError("no such command")

    async def simple(self, verb):
        if verb == "stat":
            return (f"links {len(self.links)} accepted {self.accepted} up {self.bytes['up']} "
                    f"down {self.bytes['down']}")
        if verb == "refuse":
            await self.refuse()
        elif verb == "listen":
            self.listen()
        else:
            self.faults.clear()
            self.listen()
            for link in self.links:
                link.flowing.set()
                link.hearing.set()
        return "ok"

    def set(self, what, value):
        if value < 0:
            raise ValueError("a negative number")
        setattr(self.faults, what, value / 1000 if what == "delay" else value)
        return "ok"

    async def hold(self, name=""):
        self.faults.hold = self.faults.hold or not name
        for link in self.named(name):
            link.flowing.clear()
        return "ok"

    async def mute(self, name=""):
        for link in self.named(name):
            link.hearing.clear()
        return "ok"

    async def strand(self, name=""):
        for link in self.named(name):
            await link.strand()
        return "ok"

    async def cut(self, name=""):
        for link in self.named(name):
            await link.cut()
        return "ok"

    async def fin(self, name=""):
        for link in self.named(name):
            await link.fin()
        return "ok"

    def listen(self):
        if self.accepting:
            return
        listener = bound_socket(self.port)
        listener.listen(128)
        self.accepting = asyncio.get_running_loop().create_task(self.accept(listener))

    async def refuse(self):
        if self.accepting:
            self.accepting.cancel()
            await asyncio.wait([self.accepting])
            self.accepting = None


async def control(proxy, reader, writer):
    try:
        while line := await reader.readline():
            try:
                answer = await proxy.do(line.decode().split())
            except ValueError as error:
                answer = f"error: {error}"
            writer.write(f"{answer}\n".encode())
            await writer.drain()
    except (ConnectionError, asyncio.CancelledError):
        pass  # it has gone, or we go
    writer.close()


async def main(target):
    loop = asyncio.get_running_loop()
    proxy = Proxy(target)
    server = await asyncio.start_server(lambda r, w: control(proxy, r, w), LOOPBACK, 0)
    over = loop.create_future()
    end = lambda: over.done() or over.set_result(None)
    loop.add_reader(sys.stdin, lambda: sys.stdin.buffer.read1(PIECE) or end())
    loop.add_signal_handler(signal.SIGTERM, end)
    print(proxy.port, server.sockets[0].getsockname()[1], flush=True)
    await over


if __name__ == "__main__":
    if len(sys.argv) != 2 or ":" not in sys.argv[1]:
        sys.exit(__doc__)
    host, port = sys.argv[1].rsplit(":", 1)
    asyncio.run(main((host, int(port))))
