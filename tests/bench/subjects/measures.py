"""What is measured on a subject in one round: sets of figures by name."""
import contextlib
import json
import os
import sys
import time

from namespaces import LabError
from subjects.subject import DATAGRAMS, STREAM, VISITOR

TICKS = os.sysconf("SC_CLK_TCK")
STREAMS = (1, 8)
WAYS = (("to device", False), ("from device", True))
DATAGRAM_BYTES = 1200
SEGMENTS = 40  # datagrams in one call where the kernel cuts them apart
REQUESTS = 2000  # or as many as there is time for
ATTEMPTS, PAUSE_SECONDS = 3, 1
AT_ONCE = 64
EXTRA_SECONDS = 60


def cpu_seconds(pid):
    """User and system time of a process, of its children, and of those that have ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            own = sum(int(field) for field in file.read().rsplit(")", 1)[1].split()[11:15]) / TICKS
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return own + sum(map(cpu_seconds, file.read().split()))
    except OSError:
        return 0.0


def machine_busy_seconds():
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq = (int(field) for field in file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


class Cost:
    """CPU time of the machine and of the subject's engines, between two moments."""

    def __init__(self, subject):
        self.subject = subject
        self.begin = self._now()

    def _now(self):
        return machine_busy_seconds(), sum(cpu_seconds(process.pid) for process in self.subject.engines)

    def per(self, amount):
        return [(now - before) / amount for now, before in zip(self._now(), self.begin)]


def stream(subject, seconds, count=1, reverse=False):
    """(Gbit/s, CPU seconds per Gbit of the machine, of the engines, retransmits)"""
    command = ("iperf3", "-c", subject.address, "-p", subject.ports[STREAM], "-t", seconds, "-P", count, "-J", *(["-R"] if reverse else []))
    for _ in range(ATTEMPTS):
        cost = Cost(subject)
        answer = json.loads(subject.visitor.run(*command, check=False, seconds=seconds + EXTRA_SECONDS).stdout)
        if "error" not in answer:
            break
        print(f"iperf3 through {subject.name}: {answer['error']}; once more", file=sys.stderr, flush=True)
        time.sleep(PAUSE_SECONDS)  # its server is not done with the stream before this one
    else:
        raise LabError(f"iperf3 through {subject.name}: {answer['error']}")
    end = answer["end"]
    machine, engines = cost.per(end["sum_received"]["bytes"] * 8 / 1e9)
    return end["sum_received"]["bits_per_second"] / 1e9, machine, engines, end["sum_sent"].get("retransmits", 0)


def streams(subject, seconds):
    figures = {}
    for count in STREAMS:
        for way, reverse in WAYS:
            name = f"TCP x{count} {way}"
            (figures[f"{name}, Gbit/s"], figures[f"{name}, CPU s/Gbit, machine"], figures[f"{name}, CPU s/Gbit, engines"],
             figures[f"{name}, retransmits"]) = stream(subject, seconds, count, reverse)
    return figures


def visitor(subject, *words, seconds=EXTRA_SECONDS):
    return json.loads(subject.visitor.run(subject.tool("visitor_bench"), words[0], subject.address, subject.ports[VISITOR], *words[1:], seconds=seconds).stdout)


def datagrams(subject, seconds):
    figures = {}
    if not subject.carries_udp:
        return figures
    for kind, segments in (("UDP", 0), ("UDP with USO", SEGMENTS)):
        for way, verb in (("to device", "send"), ("from device", "receive")):
            result = json.loads(subject.visitor.run(subject.tool("datagrams_bench"), verb, subject.address, subject.ports[DATAGRAMS], seconds, DATAGRAM_BYTES,
                                                     segments, seconds=seconds + EXTRA_SECONDS).stdout)
            figures[f"{kind} {way}, packets/s"] = result["received"] / result["seconds"]
    return figures


def requests(subject, seconds, kind):
    """64 bytes there and back, one at a time, over one TCP connection and, where there is UDP, by datagrams."""
    figures = {}
    for what, verb in (("request", "ask"),) + ((("datagram", "ping"),) if subject.carries_udp else ()):
        answer = visitor(subject, verb, REQUESTS, seconds)
        figures |= {f"{what}{kind}, us, median": answer["p50_us"], f"{what}{kind}, us, 99 %": answer["p99_us"]}
    return figures


@contextlib.contextmanager
def bulk_stream(subject):
    process = subject.visitor.popen("iperf3", "-c", subject.address, "-p", subject.ports[STREAM], "-t", 3600, "--forceflush")
    process.wait_for_output("connected to", 10)
    try:
        yield
    finally:
        process.stop()


def latency(subject, seconds):
    figures = requests(subject, seconds, "")
    with bulk_stream(subject):
        figures |= requests(subject, seconds, " beside a stream")
    return figures


def connections(subject, seconds):
    result = visitor(subject, "connections", seconds, AT_ONCE, seconds=seconds + EXTRA_SECONDS)
    return {"new TCP connections/s": result["connections"] / result["seconds"], "failed connections": result["failed"]}


SETS = {"streams": streams, "datagrams": datagrams, "latency": latency, "connections": connections}


def measure(subject, sets, seconds):
    figures = {}
    for name in sets:
        figures |= SETS[name](subject, seconds)
    return figures
