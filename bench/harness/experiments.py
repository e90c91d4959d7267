"""What is measured: each experiment with its variants, its rows and their goals."""

from dataclasses import replace

from harness import load, peers, relays
from harness.brokers import client, stub
from harness.measuring import Experiment, Wanted, at_least, at_most
from harness.programs import ACTORS, figures, finish, start

BOTH = ("bare", "libactors")


class Scale:
    """How much is measured."""

    def __init__(self, quick):
        self.quick = quick

    def __call__(self, full, quick=None):
        return (quick or full // 3) if self.quick else full


def counted(count):
    return ["--count", count, "--warm-up", count // 10]


# -- receiving --------------------------------------------------------------------------


def received(broker, run, count, *options):
    """A client drains a queue that was filled before."""
    queue = broker.fill(count)
    return run(*broker.options(), *counted(count), "--queue", queue, *options)


def of_client(name, command):
    return lambda *options: figures(client(name), command, *options)


def receiving(broker, count, *options):
    return {name: lambda name=name: received(broker, of_client(name, "receive"), count, *options)
            for name in BOTH}


def receiving_peers(broker, count, chosen, *options):
    # Slower ones get fewer, so that all are done in time.
    return {name: lambda run=run: received(broker, lambda *x: run("receive", *x), count, *options)
            for name, run in chosen.items()}


def receive_500(broker, scale):
    count = scale(60_000, 30_000)
    variants = receiving(broker, count)
    variants["on success"] = lambda: received(
        broker, of_client("libactors", "receive"), count, "--on-success")
    chosen = {"pika": peers.pika, "Go amqp091": peers.go}
    others = receiving_peers(broker, scale(20_000), chosen)
    others["AIOQuant, prefetch 100"] = lambda: received(
        broker, lambda *x: peers.aioquant("receive", *x), scale(15_000), "--prefetch", 100)
    return Experiment(
        "receive, prefetch 500, acks in multiples", variants,
        [Wanted("client CPU per event", "cpu", "us", at_most(1.3, 1.0)),
         Wanted("events/s", "rate", "1/s", at_least(0.95, 1.0)),
         Wanted("broker CPU per event", "broker", "us"),
         Wanted("client CPU per event, on success", "cpu", "us", at_most(1.6, 1.4),
                variant="on success")],
        peers=others)


def alone(name, command, count, *options, kind="book10"):
    with stub(count, kind) as url:
        return figures(client(name), command, "--url", url, *counted(count), "--kind", kind,
                       *options)


def receive_alone(scale, kind="book10", quick=True, repetitions=5):
    count = scale(400_000)
    variants = {name: lambda name=name: alone(name, "receive", count, kind=kind)
                for name in BOTH}
    if kind == "book10":
        variants["on success"] = lambda: alone("libactors", "receive", count, "--on-success")
    rows = [Wanted("client CPU per event", "cpu", "us", at_most(1.1, 1.0)),
            Wanted("events/s", "rate", "1/s", at_least(0.95, 1.0))]
    if kind == "book10":
        rows.append(Wanted("client CPU per event, on success", "cpu", "us", at_most(1.6, 1.4),
                           variant="on success"))
    what = "receive, client alone" + ("" if kind == "book10" else f", {kind}")
    return Experiment(what, variants, rows, repetitions=repetitions, quick=quick)


def receive_1(broker, scale):
    count = scale(20_000, 10_000)
    return Experiment(
        "receive, prefetch 1, each acknowledged", receiving(broker, count, "--prefetch", 1),
        [Wanted("events/s", "rate", "1/s", at_least(0.95, 1.0)),
         Wanted("client CPU per event", "cpu", "us", at_most(1.15, 1.0)),
         Wanted("broker CPU per event", "broker", "us")],
        peers=receiving_peers(broker, scale(8_000),
                              {"AIOQuant": peers.aioquant, "Go amqp091": peers.go},
                              "--prefetch", 1))


def receive_no_ack(broker, scale):
    return Experiment(
        "receive, no_ack", receiving(broker, scale(60_000), "--no-ack"),
        [Wanted("client CPU per event", "cpu", "us"),
         Wanted("events/s", "rate", "1/s"),
         Wanted("broker CPU per event", "broker", "us")],
        peers=receiving_peers(broker, scale(30_000),
                              {"AIOQuant": peers.aioquant, "pika": peers.pika}, "--no-ack"),
        repetitions=3, quick=False)


def receive_numbered(scale):
    """As libactors publishes: with an id and a place in a stream, by which copies are
    dropped and gaps found."""
    count = scale(200_000)

    def run(name):
        with stub(count, "book10", "--numbered") as url:
            return figures(client(name), "receive", "--url", url, *counted(count))

    return Experiment("receive, client alone, numbered messages",
                      {name: lambda name=name: run(name) for name in BOTH},
                      [Wanted("client CPU per event", "cpu", "us")], repetitions=3, quick=False)


def strategies(scale):
    """The further strategies of a process, each with the same events."""
    many = 64

    def run(count_of):
        count = scale(150_000)
        return alone("libactors", "receive", count, "--strategies", count_of)

    def further():
        one = run(1)
        all_of = run(many)
        return {"further": (all_of["cpu"] - one["cpu"]) / (many - 1), "one": one["cpu"],
                "all": all_of["cpu"]}

    return Experiment(
        f"strategies in one process, to {many}", {"libactors": further},
        [Wanted("CPU of each further one per event", "further", "us",
                at_most(0.25, 0.2, absolute=True), baseline=None)],
        repetitions=3)


# -- publishing -------------------------------------------------------------------------


def published(broker, run, count, *options):
    with broker.queue() as queue:
        return run(*broker.options(), *counted(count), "--queue", queue, *options)


def publish(broker, scale):
    count = scale(60_000, 30_000)
    runs = {"bare": of_client("bare", "publish"),
            "bare, one by one": of_client("bare", "publish-singly"),
            "libactors": lambda *x: figures(ACTORS, "publish", "--without-confirms", *x)}
    others = {"AIOQuant": peers.aioquant, "pika": peers.pika, "Go amqp091": peers.go}
    return Experiment(
        "publish, encoding included",
        {name: lambda run=run: published(broker, run, count) for name, run in runs.items()},
        [Wanted("client CPU per event", "cpu", "us", at_most(0.9, 0.7)),
         Wanted("events/s", "rate", "1/s"),
         Wanted("broker CPU per event", "broker", "us"),
         Wanted("client CPU per event, beside amqp_basic_publish", "cpu", "us",
                baseline="bare, one by one")],
        peers={name: lambda run=run: published(broker, lambda *x: run("publish", *x),
                                               scale(20_000))
               for name, run in others.items()})


def publish_alone(scale):
    count = scale(150_000)
    variants = {
        "bare": lambda: alone("bare", "publish", count),
        "libactors": lambda: alone("libactors", "publish", count, "--without-confirms")}
    return Experiment(
        "publish, client alone", variants,
        [Wanted("client CPU per event", "cpu", "us", at_most(1.1, 0.7)),
         Wanted("events/s", "rate", "1/s")], repetitions=3)


SAME_PROPERTIES = "beside messages with the same properties"


def confirms(broker, scale, window, full, quick, goal=None, goal_beside_same=None):
    count = scale(full)
    runs = {name: of_client(name, "confirms") for name in BOTH}
    runs["bare, numbered"] = lambda *x: figures(client("bare"), "confirms", "--numbered", *x)
    others = {"Go amqp091": peers.go, "Java": peers.java}
    return Experiment(
        f"confirms, window {window}",
        {name: lambda run=run: published(broker, run, count, "--window", window)
         for name, run in runs.items()},
        [Wanted("events/s", "rate", "1/s", goal), Wanted("client CPU per event", "cpu", "us"),
         Wanted("broker CPU per event", "broker", "us"),
         Wanted(f"events/s, {SAME_PROPERTIES}", "rate", "1/s", goal_beside_same,
                baseline="bare, numbered"),
         Wanted(f"broker CPU per event, {SAME_PROPERTIES}", "broker", "us",
                baseline="bare, numbered")],
        peers={name: lambda run=run: published(broker, lambda *x: run("confirms", *x),
                                               scale(full // 3), "--window", window)
               for name, run in others.items()},
        repetitions=3, quick=quick)


# -- latency ------------------------------------------------------------------------------


def latency(broker, scale):
    count = scale(5_000, 3_000)

    def options():
        return [*broker.options(), "--count", count, "--warm-up", 500, "--queue",
                broker.new_queue()]

    def run(name):
        more = ["--without-confirms"] if name == "libactors" else []
        return figures(client(name), "latency", *options(), *more)

    return Experiment(
        "latency at 1,000/s", {name: lambda name=name: run(name) for name in BOTH},
        [Wanted("p50", "p50", "us", at_most(1.15, 1.0)), Wanted("p90", "p90", "us"),
         Wanted("p99", "p99", "us", at_most(1.3, 1.1)), Wanted("p99.9", "p99.9", "us"),
         Wanted("client CPU per event", "cpu", "us", at_most(1.3, 1.1))],
        peers={"AIOQuant": lambda: peers.aioquant("latency", *options())})


def latency_after_idle(broker, scale):
    """Both at the same time, half a second apart, in virtual hosts of their own."""
    count = scale(20, 8)
    urls = {name: broker.add_vhost(f"idle-{name}") for name in BOTH}

    def pair():
        running = {}
        for name in BOTH:
            options = ["--without-confirms"] if name == "libactors" else []
            running[name] = start(client(name), "latency", "--url", urls[name], "--rate", 1,
                                  "--count", count, "--warm-up", 1, *options)
            if name == "bare":
                try:
                    running[name].wait(0.5)
                except Exception:  # it runs on, as it should
                    pass
        return {name: finish(process) for name, process in running.items()}

    both = {}

    def run(name):
        if name not in both:
            both.update(pair())
        return both.pop(name)

    return Experiment(
        "latency at 1/s, after idle", {name: lambda name=name: run(name) for name in BOTH},
        [Wanted("p50", "p50", "us", at_most(2.0, 1.5)), Wanted("p90", "p90", "us"),
         Wanted("client CPU per event", "cpu", "us", at_most(1.5, 1.2))],
        repetitions=1)


# -- the rest -----------------------------------------------------------------------------


def in_process(scale):
    count = scale(500_000)
    return Experiment(
        "in-process broker, publish to strategy",
        {"libactors": lambda: figures(ACTORS, "in-process", *counted(count))},
        [Wanted("CPU per event without codec", "without_codec", "us",
                at_most(1.5, 0.8, absolute=True), baseline=None),
         Wanted("events/s", "rate", "1/s", baseline=None)], repetitions=3)


def subscriptions(broker, scale):
    def run(name):
        return figures(client(name), "subscriptions", *broker.options(), "--count", 1_000,
                       "--queue", broker.new_queue())

    return Experiment(
        "1,000 subscriptions", {name: lambda name=name: run(name) for name in BOTH},
        [Wanted("declare, bind and consume", "seconds", "s", at_most(1.3)),
         Wanted("resident memory when idle", "resident", "MiB",
                at_most(40, 25, absolute=True), baseline=None),
         Wanted("CPU when idle", "idle", "%", at_most(1, absolute=True), baseline=None)],
        repetitions=scale(3, 1))


def starting(broker):
    """From the start of the process to the first event."""
    def on_rabbitmq():
        return figures(ACTORS, "start", "--url", broker.url, "--queue", broker.fill(1))

    return [
        Experiment("start to first event, in process",
                   {"libactors": lambda: figures(ACTORS, "start", "--url", "memory:")},
                   [Wanted("time", "milliseconds", "ms", at_most(50, absolute=True),
                           baseline=None)]),
        Experiment("start to first event, on RabbitMQ", {"libactors": on_rabbitmq},
                   [Wanted("time", "milliseconds", "ms", at_most(150, absolute=True),
                           baseline=None)])]


# -- on a busy machine --------------------------------------------------------------------

# Window, and how many messages.
WINDOWS = ((100, 40_000), (1_000, 60_000))

# What the rows must be beside other programs; the others have no goal there.
BUSY_GOALS = {
    "receive, client alone: client CPU per event": at_most(1.2, 1.0),
    "receive, client alone: events/s": at_least(0.85, 1.0),
    "receive, prefetch 1, each acknowledged: events/s": at_least(0.9, 1.0),
    "receive, prefetch 1, each acknowledged: client CPU per event": at_most(1.25, 1.0),
    "strategies in one process, to 64: CPU of each further one per event":
        at_most(0.35, 0.25, absolute=True),
    "publish, encoding included: client CPU per event": at_most(1.1, 0.9),
    f"confirms, window 100: events/s, {SAME_PROPERTIES}": at_least(0.9, 1.0),
    f"confirms, window 1000: events/s, {SAME_PROPERTIES}": at_least(0.9, 1.0),
    "latency at 1,000/s: p50": at_most(1.25, 1.0),
    "latency at 1,000/s: p99": at_most(1.5, 1.0),
    "latency at 1,000/s: client CPU per event": at_most(1.4, 1.1),
}


def with_load(experiment, name):
    rows = [replace(row, goal=BUSY_GOALS.get(f"{experiment.name}: {row.name}"))
            for row in experiment.rows]
    return replace(experiment, name=f"{experiment.name}, {name}", rows=rows, peers={}, load=name)


def busy_experiments(broker, scale):
    """The main rows, beside other programs."""
    main = [receive_alone(scale), receive_1(broker, scale), strategies(scale),
            publish(broker, scale),
            *(confirms(broker, scale, window, count, True) for window, count in WINDOWS),
            latency(broker, scale)]
    return [with_load(x, name) for name in (load.HALF, load.FULL) for x in main]


def all_experiments(broker, scale, recordings):
    result = [
        receive_500(broker, scale),
        receive_alone(scale),
        receive_numbered(scale),
        receive_1(broker, scale),
        receive_no_ack(broker, scale),
        strategies(scale),
        publish(broker, scale),
        publish_alone(scale),
        confirms(broker, scale, 1, 10_000, False),
        *(confirms(broker, scale, window, count, True, at_least(0.85, 1.0), at_least(0.95, 1.0))
          for window, count in WINDOWS),
        latency(broker, scale),
        latency_after_idle(broker, scale),
        in_process(scale),
        subscriptions(broker, scale),
        *starting(broker),
        *relays.all_experiments(broker, scale),
        receive_alone(scale, "book20", quick=False, repetitions=3),
        receive_alone(scale, "own10", quick=False, repetitions=3),
        *busy_experiments(broker, scale),
    ]
    if recordings:
        result.append(receive_alone(scale, "recorded", quick=False, repetitions=3))
    return [x for x in result if x.quick or not scale.quick]
