"""Where the time of a work goes: by perf where the kernel allows it, else callgrind."""

import shutil
import subprocess

from harness.brokers import client, stub
from harness.programs import BUILD, Failed, run

# Row -> program, command, options, events.
WORKS = {
    "receive": ("libactors", "receive", [], 600_000),
    "receive-1": ("libactors", "receive", ["--prefetch", "1"], 100_000),
    "on-success": ("libactors", "receive", ["--on-success"], 600_000),
    "strategies": ("libactors", "receive", ["--strategies", "64"], 100_000),
    "publish": ("libactors", "publish", ["--without-confirms"], 150_000),
    "confirms": ("libactors", "confirms", [], 150_000),
    "in-process": ("libactors", "in-process", [], 1_500_000),
    "bare-receive": ("bare", "receive", [], 1_000_000),
    "bare-publish": ("bare", "publish", [], 200_000),
}


def profile(work):
    """Writes profiles into the build folder, and prints the head of one."""
    if work not in WORKS:
        raise Failed(f"no such work; known are {', '.join(WORKS)}")
    name, command, options, count = WORKS[work]
    out = BUILD / f"profile-{work}"
    with stub(count) as url:
        line = [client(name), command, "--url", url, "--count", str(count), *options]
        text = by_perf(line, out) or by_callgrind(line, out, count)
    print(text)
    print(f"written: {out}.txt")


def by_perf(line, out):
    if not shutil.which("perf"):
        return None
    data = f"{out}.perf"
    done = subprocess.run(["perf", "record", "-q", "-g", "-F", "2000", "-e", "cpu-clock", "-o",
                           data, *line], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    report = ["perf", "report", "-i", data, "--stdio", "-q"]
    flat = [*report, "--no-children", "-g", "none", "--percent-limit"]
    # Debian's libraries have no symbols, so first by thread and library.
    head = run(*flat, "0.5", "--sort", "comm,dso", limit=300) + run(*flat, "0.3", limit=300)
    tree = run(*report, "--children", "-g", "caller", "--percent-limit", "1", limit=300)
    out.with_suffix(".txt").write_text(head + "\n\n" + tree, encoding="utf-8")
    return head


def by_callgrind(line, out, count):
    if not shutil.which("valgrind"):
        raise Failed("neither perf nor valgrind can be used here")
    data = f"{out}.callgrind"
    fewer = [str(count // 50) if x == str(count) else x for x in line]
    run("valgrind", "--tool=callgrind", f"--callgrind-out-file={data}", *fewer, limit=600)
    text = run("callgrind_annotate", data, limit=300)
    out.with_suffix(".txt").write_text(text, encoding="utf-8")
    return "\n".join(text.splitlines()[:60])
