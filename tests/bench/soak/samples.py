"""What the soak measures every few seconds, and what it makes of an hour of it: a table, and a verdict by stated limits."""
import os
import statistics
import time
from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Quantity:
    """`rise_max`: how far the median of the last fifth after the warm-up may lie above that of the first fifth, in the quantity's unit."""
    name: str
    unit: str
    rise_max: float
    relative: float = 0.0  # and this share of the first fifth more


QUANTITIES = (
    Quantity("gateway rss", "MiB", 2.0, 0.02),
    Quantity("gateway descriptors", "", 3),
    Quantity("gateway threads", "", 0),
    Quantity("conntrack entries", "", 50, 0.25),
    Quantity("nft elements", "", 20, 0.10),
    Quantity("database", "MiB", 0.5, 0.05),
    Quantity("write-ahead log", "MiB", 4.2),
    Quantity("answer p99", "ms", 5.0, 0.5),
    Quantity("connect rss", "MiB", 1.0, 0.02),
    Quantity("connect descriptors", "", 2),
    Quantity("connect threads", "", 0),
)


def process_figures(pid):
    """rss in MiB, descriptors, threads; None once the process has gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        return int(fields["VmRSS"].split()[0]) / 1024, len(os.listdir(f"/proc/{pid}/fd")), int(fields["Threads"])
    except (OSError, KeyError):
        return None


def cpu_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


def elements_of(listing):
    """How many elements the sets and maps of an `nft list table` hold."""
    count, rest = 0, listing
    while "elements = {" in rest:
        body, rest = rest.split("elements = {", 1)[1].split("}", 1)
        count += body.count(",") + 1 if body.strip() else 0
    return count


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else None


class Series:
    def __init__(self):
        self.start = time.monotonic()
        self.rows = []  # (seconds since the start, {name: value})

    def add(self, values):
        self.rows.append((time.monotonic() - self.start, values))

    def of(self, name, after=0.0):
        return [(at, values[name]) for at, values in self.rows if at >= after and values.get(name) is not None]

    def seconds(self):
        return self.rows[-1][0] if self.rows else 0.0


def slope_per_hour(points):
    """Least squares."""
    if len(points) < 3:
        return 0.0
    mean_at, mean_value = statistics.fmean(at for at, _ in points), statistics.fmean(value for _, value in points)
    spread = sum((at - mean_at) ** 2 for at, _ in points)
    return 3600 * sum((at - mean_at) * (value - mean_value) for at, value in points) / spread if spread else 0.0


def verdicts(series, warm_up):
    """A row for each quantity: start, after the warm-up, end, highest, slope, rise, the limit, and whether it is flat."""
    rows = []
    for quantity in QUANTITIES:
        whole, warm = series.of(quantity.name), series.of(quantity.name, warm_up)
        if len(warm) < 10:
            continue
        fifth = len(warm) // 5
        first, last = statistics.median(v for _, v in warm[:fifth]), statistics.median(v for _, v in warm[-fifth:])
        limit = quantity.rise_max + quantity.relative * first
        rows.append({"name": quantity.name, "unit": quantity.unit, "start": whole[0][1], "warm": first, "end": last, "highest": max(v for _, v in warm),
                     "slope_per_hour": slope_per_hour(warm), "rise": last - first, "rise_max": limit, "flat": last - first <= limit})
    return rows


def table(rows):
    lines = [f"{'quantity':24} {'start':>9} {'warm':>9} {'end':>9} {'highest':>9} {'slope/h':>9} {'rise':>9} {'limit':>9}"]
    for row in rows:
        cells = " ".join(f"{row[key]:9.2f}" for key in ("start", "warm", "end", "highest", "slope_per_hour", "rise", "rise_max"))
        lines.append(f"{row['name'] + (', ' + row['unit'] if row['unit'] else ''):24} {cells}  {'flat' if row['flat'] else 'RISES'}")
    return "\n".join(lines)
