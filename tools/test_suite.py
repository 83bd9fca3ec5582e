#!/usr/bin/python3
"""Runs everything that ./dev test promises and prints one summary. ./dev builds first what the tests in namespaces need; the unit tests are built
here, beside those.

The last line is `N passed, N failed`. Every check is counted: a unit test, a namespace test, a fuzz corpus, a lint. Whatever failed is
shown with its output; all output is in build/logs.
"""
import argparse
import collections
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor, wait

import source_files
import walls_table

ROOT = source_files.ROOT
LOGS = os.path.join(ROOT, "build", "logs")
PYTHON = "/usr/bin/python3"
SHOWN_LINES_MAX = 60
QUICK_SECONDS_MAX = 150
NETNS_SECONDS_MAX = 1200
LONGER_SECONDS_MAX = 4 * 3600  # of one step of --longer

# What --longer adds: programs that are run by themselves, from the root of the project, with DRPF_LONGER=1. The tests in namespaces see
# that variable too.
LONGER_PROGRAMS = [
    ("a million operations of the lease book", ["env", "DRPF_MODEL_OPERATIONS=1000000", "build/test/tests/test_lease", "--gtest_filter=Model.*"]),
    ("ten thousand simulated gateways", ["build/release/tests/simulation", "--longer", "--jobs", str(os.cpu_count() or 1)]),
]

# What --kernel runs under Debian's kernel, each in a virtual machine of its own: (name, environment, tests). There a test takes some ten times
# as long, so it is the tests that show a path whole.
KERNEL_RUNS = [
    ("the kernel's WireGuard as the tunnel", "DRPF_ENGINE=kernel", ["tests/netns/test_kernel_engine.py"]),
    ("the main job, the kernel's WireGuard", "DRPF_ENGINE=kernel", ["tests/netns/test_main_job.py", "-k", "himself or every_port or open_connection or homes_cannot or stopped"]),
    ("drpf's own engine without UDP segmentation at the TUN device", "DRPF_ENGINE=embedded", ["tests/netns/test_offloads.py"]),
    ("the main job, drpf's own engine", "DRPF_ENGINE=embedded", ["tests/netns/test_main_job.py", "-k", "himself or every_port or open_connection or homes_cannot or stopped"]),
]
KERNEL_SECONDS_MAX = 1800  # of one of them

TUN_FOR_EVERYBODY = 'mount -t tmpfs -o mode=755,dev tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200 && chmod 666 /dev/net/tun && exec "$@"'


class Outcome:
    def __init__(self, passed=0, failed=0, skipped=0, text=""):
        self.passed, self.failed, self.skipped, self.text = passed, failed, skipped, text

    def plus(self, other):
        return Outcome(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped, "\n".join(filter(None, (self.text, other.text))))


def as_root(command):
    return command if os.geteuid() == 0 else ["sudo"] + command


# Whether this thread runs steps beside the tests in namespaces: those wait for timers and packets for a third of their time, which is then used,
# but by what never takes a processor from them (SCHED_IDLE), so that they find the machine as they would alone.
thread = threading.local()
BESIDE_TIMES_SLOWER = 4


def beside():
    return getattr(thread, "beside", False)


def run(log, command, seconds_max, **options):
    """Runs a command with its output in build/logs/<log>; returns its code and its output. Code 124 means it took too long."""
    if beside():
        command, seconds_max = ["chrt", "--idle", "0"] + command, BESIDE_TIMES_SLOWER * seconds_max
    path = os.path.join(LOGS, log)
    options.setdefault("cwd", ROOT)
    with open(path, "w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True, **options)
        start = beat = time.monotonic()
        while True:
            try:
                code = process.wait(0.1)
                break
            except subprocess.TimeoutExpired:
                now = time.monotonic()
                if now - start > seconds_max:
                    stop(process)
                    code = 124
                    break
                if not beside():
                    beat = show_progress(path, now - start, beat, now)
    if not beside():
        clear_progress()
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    return code, text + (f"\nstopped after {seconds_max} s\n" if code == 124 else "")


def stop(process):
    command = as_root(["kill", "-TERM", "--", f"-{process.pid}"])
    subprocess.run(command, check=False)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        command[-3] = "-KILL"
        subprocess.run(command, check=False)
        process.wait()


def show_progress(path, seconds, beat, now):
    """On a terminal the last line of the log, ten times a second; elsewhere a line each 30 s."""
    terminal = sys.stdout.isatty()
    if not terminal and now - beat < 30:
        return beat
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - 400))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    last = re.sub(r"[^ -~]", "", lines[-1])[:100] if lines else ""
    print(f"\r\033[K    {seconds:4.0f}s  {last}" if terminal else f"    {seconds:4.0f}s  {last}", end="" if terminal else "\n", flush=True)
    return now


def clear_progress():
    if sys.stdout.isatty():
        print("\r\033[K", end="", flush=True)


def single(code, text):
    return Outcome(passed=int(code == 0), failed=int(code != 0), text=text)


def junit(path, code, text, nothing_is_fine=False):
    """Counts of a JUnit file. A run that left none, or a failure that it does not show, is a failure of its own."""
    if not os.path.exists(path):
        return Outcome(failed=1, text=text)
    outcome, details = Outcome(), []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        problems = [child for child in case if child.tag in ("failure", "error")]
        if problems or case.get("status") in ("fail",):
            outcome.failed += 1
            output = "".join((child.text or child.get("message") or "") for child in problems)
            printed = "".join(child.text or "" for child in case if child.tag == "system-out")
            details.append(f"FAILED {case.get('classname', '')}.{case.get('name')}\n{tail(output + printed, 40)}")
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            outcome.skipped += 1
        else:
            outcome.passed += 1
    if code != 0 and not outcome.failed and not (nothing_is_fine and not outcome.passed):
        outcome.failed += 1
        details.append(text)
    outcome.text = "\n".join(details)
    return outcome


def tail(text, lines_max=SHOWN_LINES_MAX):
    lines = text.rstrip().splitlines()
    return "\n".join(([f"[{len(lines) - lines_max} lines more in the log]"] if len(lines) > lines_max else []) + lines[-lines_max:])


Plan = collections.namedtuple("Plan", "first networks beside last", defaults=((), (), (), ()))


def timed(function):
    start = time.monotonic()
    outcome = function()
    return outcome, time.monotonic() - start


def result_of(future):
    """What a step beside the networks found; a line each 30 s until then."""
    while not wait([future], 30).done:
        print("    not ended yet", flush=True)
    return future.result()[0]


class Suite:
    def __init__(self, arguments):
        self.arguments = arguments
        self.total = Outcome()
        self.failures = []

    def check_format(self):
        files = source_files.cpp_files("src", "tests")
        return single(*run("format.log", ["clang-format-19", "--dry-run", "-Werror"] + files, 120))

    def check_includes(self):
        return single(*run("includes.log", [PYTHON, "-B", "tools/check_includes.py"], 60))

    def check_house(self):
        return single(*run("house.log", [PYTHON, "-B", "tools/check_house.py"], 60))

    def check_errors(self):
        return single(*run("errors.log", [PYTHON, "-B", "tools/check_errors.py"], 60))

    def check_mutants(self):
        return single(*run("mutants.log", [PYTHON, "-B", "tools/mutants.py", "--check"], 60))

    def check_fuzz(self):
        return single(*run("fuzz-clang.log", [PYTHON, "-B", "tools/check_fuzz.py", "--jobs", str(self.arguments.jobs)], 300))

    def check_walls(self):
        return single(*run("walls.log", [PYTHON, "-B", "tools/check_walls.py"], 60))

    def clang_tidy(self):
        code, text = run("clang-tidy.log", [PYTHON, "-B", "tools/tidy.py", "--jobs", str(self.arguments.jobs)] + ["--alone"] * (self.arguments.alone or self.arguments.longer), 3000)
        counts = re.search(r"^(\d+) clean, (\d+) not$", text, re.MULTILINE)
        if not counts:
            return Outcome(failed=1, text=text)
        shown = [line for line in text.splitlines() if not re.match(r"\[\d+/\d+\] .* s$", line)]
        return Outcome(int(counts[1]), int(counts[2]), text="" if code == 0 else "\n".join(shown))

    def build_unit_tests(self):
        return single(*run("build-test.log", ["ninja", "-j", str(self.arguments.jobs), "-C", "build/test", "all"], 1800))

    def unit_tests(self):
        if not self.arguments.only:
            return self.ctest("unit.log", [], "*")
        # A word is looked for in the names of the programs (whose tests are then run all), and in those of the tests.
        word = self.arguments.only
        return self.ctest("unit.log", ["-R", re.escape(word)], "*").plus(self.ctest("unit-by-name.log", ["-L", "unit", "-E", re.escape(word)], f"*{word}*"))

    def ctest(self, log, choice, tests):
        """Runs programs of build/test. Of unit tests each one counts: what the program reports, or one failure if it ended without a report."""
        build = os.path.join(ROOT, "build", "test")
        reports = os.path.join(build, "reports")
        shutil.rmtree(reports, ignore_errors=True)
        summary = os.path.join(LOGS, log.replace(".log", ".xml"))
        remove(summary)
        environment = dict(os.environ, GTEST_FILTER=tests, ASAN_OPTIONS="detect_stack_use_after_return=1", UBSAN_OPTIONS="print_stacktrace=1")
        command = ["ctest", "-j", str(self.arguments.jobs), "--output-junit", summary, "--output-on-failure"] + choice
        code, text = run(log, command, 900, cwd=build, env=environment)
        total = Outcome()
        for case in ElementTree.parse(summary).getroot().iter("testcase") if os.path.exists(summary) else ():
            ended_well = case.get("status") == "run"
            printed = "".join(child.text or "" for child in case if child.tag == "system-out")
            report = os.path.join(reports, case.get("name").removeprefix("unit.") + ".xml")
            if case.get("name").startswith("unit."):
                total = total.plus(junit(report, 0 if ended_well else 1, f"FAILED {case.get('name')}\n{tail(printed, 40)}", nothing_is_fine=True))
            else:
                total = total.plus(Outcome(int(ended_well), int(not ended_well), text="" if ended_well else f"FAILED {case.get('name')}\n{tail(printed, 40)}"))
        if code != 0 and not total.failed:
            total = total.plus(Outcome(failed=1, text=text))
        return total

    def simulated_gateways(self):
        # Without sanitizers, for they take four times as long; a few seeds run under them in the step of the unit tests.
        return single(*run("simulation.log", ["build/release/tests/simulation", "--seeds", "500", "--jobs", str(self.arguments.jobs)], 600))

    def longer_program(self, name, command):
        return single(*run(re.sub(r"[^a-z0-9]+", "-", name.lower()) + ".log", command, LONGER_SECONDS_MAX))

    def namespace_tests(self):
        report = os.path.join(LOGS, "netns.xml")
        scratch = tempfile.mkdtemp(prefix="drpf-test-")
        os.chmod(scratch, 0o755)  # some tests run programs from there as another user
        # Most of these wait for timers and packets, so more of them than cores can run at once.
        command = ["env", f"DRPF={ROOT}/build/release/drpf", f"DRPF_LONGER={int(self.arguments.longer)}", "PYTHONDONTWRITEBYTECODE=1", f"TMPDIR={scratch}", PYTHON, "-B", "-m", "pytest",
                   "-p", "no:cacheprovider", f"--basetemp={scratch}/pytest", "-n", str(2 * self.arguments.jobs), "--dist", "loadgroup", "-v", f"--junit-xml={scratch}/netns.xml",
                   "tests/netns"]
        if self.arguments.walls:
            command += ["-m", "wall"]
        if self.arguments.quick:
            command += ["-m", "quick"]
        if self.arguments.only:
            command += ["-k", self.arguments.only]
        try:
            code, text = run("netns.log", as_root(command), self.namespace_seconds_max())
            remove(report)
            if os.path.exists(f"{scratch}/netns.xml"):
                shutil.copyfile(f"{scratch}/netns.xml", report)
        finally:
            subprocess.run(as_root(["rm", "-rf", scratch]), check=False)
        nothing_selected = code == 5 and bool(self.arguments.only)
        if os.path.exists(report) and not nothing_selected:
            print(walls_table.text(report, whole=self.arguments.walls), flush=True)
        return junit(report, 0 if nothing_selected else code, text)

    def namespace_seconds_max(self):
        if self.arguments.longer:
            return LONGER_SECONDS_MAX
        return QUICK_SECONDS_MAX if self.arguments.quick else NETNS_SECONDS_MAX

    def demo_as_root(self):
        return self.demo("demo-root.log", as_root)

    def demo_as_user(self):
        """The demo as somebody who is nobody, from a place that everybody may read."""
        folder = tempfile.mkdtemp(prefix="drpf-demo-")
        try:
            os.chmod(folder, 0o755)
            binary = shutil.copy(os.path.join(ROOT, "build", "release", "drpf"), folder)
            user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
            if not tun_is_for_everybody():
                # Debian's own setting is 0666; some machines have a stricter one. Here a copy of the device stands in for it.
                user = as_root(["unshare", "--mount", "--propagation=private", "sh", "-c", TUN_FOR_EVERYBODY, "sh"]) + (user or ["runuser", "-u", os.environ["USER"], "--"])
            return self.demo("demo-user.log", lambda command: user + ["env", "HOME=/nonexistent", "PATH=/usr/local/bin:/usr/bin:/bin"] + command, binary, cwd=folder, restricted=namespaces_forbidden())
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def demo(self, log, wrap, binary=os.path.join(ROOT, "build", "release", "drpf"), cwd=ROOT, restricted=None):
        json_path = os.path.join(LOGS, log.replace(".log", ".json"))
        script = '"$0" demo --once --json'
        code, text = run(log, wrap(["sh", "-c", script, binary]), 240, cwd=cwd)
        if restricted:
            # What cannot be had must be said: that is the demo's promise here.
            ok = code == 69 and text.strip()
            return Outcome(passed=int(bool(ok)), failed=int(not ok), text=f"{restricted}: expected exit 69 with an explanation, got {code}\n{text}")
        start = text.find("{")
        try:
            result = json.JSONDecoder().raw_decode(text[start:])[0] if start >= 0 else {}
        except ValueError:
            result = {}
        with open(json_path, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
        facts = result.get("facts", [])
        held = code == 0 and result.get("held") is True and len(facts) >= 6 and all(fact.get("held") is True for fact in facts)
        return Outcome(passed=int(held), failed=int(not held), text=f"exit code {code}\n{text}")

    def under_debians_kernel(self, name, environment, tests):
        log = "kernel-" + re.sub(r"[^a-z0-9]+", "-", name.lower()) + ".log"
        command = f"{environment} DRPF={ROOT}/build/release/drpf PYTHONDONTWRITEBYTECODE=1 {PYTHON} -B -m pytest -p no:cacheprovider --color=no -v {shlex.join(tests)}"
        code, text = run(log, [PYTHON, "-B", "tools/debian_kernel.py", "--seconds-max", str(KERNEL_SECONDS_MAX), "--", command], KERNEL_SECONDS_MAX + 300)
        found = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|errors?)\b", text.rpartition("=====")[0].rpartition("\n")[2])}
        failed = found.get("failed", 0) + found.get("error", 0) + found.get("errors", 0)
        return Outcome(found.get("passed", 0), failed or int(code != 0 or not found), text="" if code == 0 and found else text)

    def plan(self):
        """What is run: first one after the other, then the networks with what may run beside them, then the last."""
        lint = [("format", self.check_format), ("include directions", self.check_includes), ("house rules", self.check_house), ("table of walls", self.check_walls),
                ("table of errors", self.check_errors), ("faults for tests to notice", self.check_mutants)]
        build = [("build of the unit tests", self.build_unit_tests)]
        tidy = [("clang-tidy", self.clang_tidy)]
        networks = [("networks in namespaces", self.namespace_tests)]
        units = [("unit tests and fuzz corpora, ASan and UBSan", self.unit_tests)]
        fuzz = [("fuzz targets, compiled by clang", self.check_fuzz)]
        simulated = [("500 simulated gateways", self.simulated_gateways)] if not self.arguments.longer else []
        # The namespace tests hold the demo to the same facts, as root and as an ordinary user. Here it stands by itself, on the host as it is.
        demos = [("drpf demo as root", self.demo_as_root), ("drpf demo as an ordinary user", self.demo_as_user)]
        longer = [(name, lambda name=name, command=command: self.longer_program(name, command)) for name, command in LONGER_PROGRAMS if self.arguments.longer]
        if self.arguments.lint:
            return Plan(first=lint + tidy)
        if self.arguments.kernel:
            return Plan(first=[(name, lambda run=(name, environment, tests): self.under_debians_kernel(*run)) for name, environment, tests in KERNEL_RUNS])
        if self.arguments.walls:
            return Plan(first=[("table of walls", self.check_walls), ("attacks, and attacks with the walls taken out", self.namespace_tests)])
        if self.arguments.quick:
            return Plan(first=lint + build + units + networks)
        if self.arguments.only:
            return Plan(first=[step for step in lint + tidy + fuzz + simulated + demos + longer if self.arguments.only.lower() in step[0].lower()] + build + units + networks)
        return Plan(first=lint, networks=networks, beside=build + tidy + fuzz + simulated, last=units + (demos if self.arguments.longer else []) + longer)

    def run(self):
        os.makedirs(LOGS, exist_ok=True)
        plan = self.plan()
        self.rows, self.steps = [], sum(map(len, plan))
        for step in plan.first:
            self.take(step)
        with ThreadPoolExecutor(1, initializer=lambda: setattr(thread, "beside", True)) as others:
            waiting = [(name, others.submit(timed, function)) for name, function in plan.beside]
            for step in plan.networks:
                self.take(step)
            for name, future in waiting:
                self.take((f"{name}, begun beside the networks", lambda future=future: result_of(future)))
        for step in plan.last:
            self.take(step)
        return self.summary(self.rows)

    def take(self, step):
        """Runs a step and shows how it ended."""
        name, function = step
        print(f"==> [{len(self.rows) + 1}/{self.steps}] {name}", flush=True)
        outcome, seconds = timed(function)
        self.rows.append((name, outcome, seconds))
        print(f"    {counts(outcome)} ({seconds:.0f} s)", flush=True)
        if outcome.failed:
            self.failures.append((name, outcome.text))
            print(tail(outcome.text), flush=True)

    def summary(self, rows):
        total = Outcome(*(sum(getattr(outcome, field) for _, outcome, _ in rows) for field in ("passed", "failed", "skipped")))
        print("\nSummary")
        for name, outcome, seconds in rows:
            print(f"  {'FAILED' if outcome.failed else 'ok    '}  {name:48} {counts(outcome):32} {seconds:5.0f} s")
        if self.arguments.only and total.passed + total.failed == 0:
            print(f"no test or check has {self.arguments.only!r} in its name")
            total.failed = 1
        if self.failures:
            print(f"The output of what failed is above and in {os.path.relpath(LOGS, ROOT)}.")
        print(counts(total), flush=True)
        return 1 if total.failed else 0


def counts(outcome):
    return f"{outcome.passed} passed, {outcome.failed} failed" + (f", {outcome.skipped} skipped" if outcome.skipped else "")


def remove(path):
    if os.path.exists(path):
        os.remove(path)


def tun_is_for_everybody():
    try:
        return os.stat("/dev/net/tun").st_mode & 0o006 == 0o006
    except OSError:
        return True  # the demo itself says that it is missing


def namespaces_forbidden():
    """Why this host refuses user namespaces to ordinary users, or None."""
    for path, forbidding in (("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"), ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
                             ("/proc/sys/user/max_user_namespaces", "0")):
        try:
            with open(path, encoding="ascii") as file:
                if file.read().strip() == forbidding:
                    return f"{path} is {forbidding}"
        except OSError:
            pass
    return None


def main():
    parser = argparse.ArgumentParser(prog="./dev test")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--quick", action="store_true", help="what takes under three minutes")
    parser.add_argument("--only", metavar="WORD", help="only tests and checks with WORD in their name")
    parser.add_argument("--longer", action="store_true", help="the long variants too: hours instead of minutes")
    parser.add_argument("--walls", action="store_true", help="only the attacks of docs/security.md, and the same with each protection taken out")
    parser.add_argument("--kernel", action="store_true", help="only what is to be seen under Debian's own kernel, in a virtual machine")
    parser.add_argument("--lint", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick and arguments.longer:
        parser.error("--quick and --longer exclude each other")
    os.environ["DRPF_LONGER"] = str(int(arguments.longer))
    os.chdir(ROOT)
    return Suite(arguments).run()


if __name__ == "__main__":
    sys.exit(main())
