#!/usr/bin/python3
"""Do the unit tests notice? Small random faults are put, one at a time, into copies of the sources; the tests of the folder must fail.

Nothing here touches the files that you work on: the sources as they stand are copied to build/mutants and built there once (preset
`mutants`). For each fault only the changed file is compiled, and linked before the folder's library, whose own copy of it then is not taken.
A fault that does not build does not count. A run of tests that hangs for ten times its ordinary time, thirty seconds at least, has noticed.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import faults
import source_files

COPY = os.path.join(source_files.ROOT, "build", "mutants")
BUILD = os.path.join(COPY, "build", "mutants")
EQUIVALENT = os.path.join("tools", "mutants_equivalent.tsv")
PERCENT_MIN = collections.defaultdict(lambda: 80, dict.fromkeys(("lease", "protocol", "firewall", "scan", "configuration", "gateway"), 90))
SIMULATED = ("lease", "gateway")  # of these, simulated gateways may notice too
SIMULATION = ["simulation", "--seeds", "15"]
HANG_FACTOR, HANG_SECONDS_MIN = 10, 30
COMPILE_SECONDS_MAX = 300

Verdict = collections.namedtuple("Verdict", "source fault result seconds")  # result: killed, hung, survived, not built


def copy_sources():
    """Brings the copy up to date; what did not change keeps its time, so that it is not built again."""
    wanted = set(source_files.project_files())
    for name in wanted:
        source, target = os.path.join(source_files.ROOT, name), os.path.join(COPY, name)
        with open(source, "rb") as file:
            data = file.read()
        if not os.path.exists(target) or open(target, "rb").read() != data:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(source, target)
    for top in ("src", "tests"):
        for folder, _, names in os.walk(os.path.join(COPY, top)):
            for name in names:
                if os.path.relpath(os.path.join(folder, name), COPY) not in wanted:
                    os.remove(os.path.join(folder, name))


def call(command, seconds_max, log, **options):
    """The code that a command ended with; None when it took too long, and then nothing of it is left."""
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True, **options)
        try:
            return process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def build(targets, jobs):
    log = os.path.join(source_files.ROOT, "build", "logs", "build-mutants.log")
    os.makedirs(os.path.dirname(log), exist_ok=True)
    if not os.path.exists(os.path.join(BUILD, "build.ninja")) and call(["cmake", "--preset", "mutants"], None, log, cwd=COPY) != 0:
        sys.exit(f"cmake failed; see {log}")
    if call(["ninja", f"-j{jobs}", "-C", BUILD] + targets, None, log) != 0:
        sys.exit(f"the build failed; see {log}")


def alone(command):
    """As root, in a process namespace: what a fault makes of kill() reaches nobody else, and nothing is left running."""
    return (["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"] if os.geteuid() == 0 else []) + command


class Program:
    """A test program: how it is linked, and how long it takes when nothing is wrong."""

    def __init__(self, command):
        self.name, self.arguments = command[0], command[1:]
        self.path = os.path.join(BUILD, "tests", self.name)
        lines = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", "-s", f"tests/{self.name}"], capture_output=True, text=True, check=True).stdout
        self.link = lines.strip().splitlines()[-1]
        self.seconds_max = None

    def linked_with(self, changed, output):
        return self.link.replace(f" -o tests/{self.name} ", f" {shlex.quote(changed)} -o {shlex.quote(output)} ")

    def run(self, path, folder):
        environment = dict(os.environ, TMPDIR=folder)
        return call(alone([path] + self.arguments), self.seconds_max, os.path.join(folder, "tests.log"), env=environment, cwd=folder)

    def try_unchanged(self, jobs, folder):
        """It must pass, as often at the same time as it will be run."""
        folders = [os.path.join(folder, f"{self.name}-{number}") for number in range(jobs)]
        for each in folders:
            os.mkdir(each)
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            codes = list(pool.map(lambda each: self.run(self.path, each), folders))
        if any(codes):
            sys.exit(f"{self.name} fails without any fault:\n" + open(os.path.join(folders[[bool(code) for code in codes].index(True)], "tests.log"), encoding="utf-8", errors="replace").read()[-3000:])
        self.seconds_max = max(HANG_SECONDS_MIN, HANG_FACTOR * (time.monotonic() - start))


class Judge:
    def __init__(self, folders, jobs, scratch):
        self.scratch = scratch
        with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
            self.commands = {entry["file"]: entry["command"] for entry in json.load(file)}
        programs = {}
        for folder in folders:
            for command in tests_of(folder):
                if command[0] not in programs:
                    programs[command[0]] = Program(command)
                    programs[command[0]].try_unchanged(jobs, scratch)
        self.programs = {folder: [programs[command[0]] for command in tests_of(folder)] for folder in folders}

    def compile_command(self, source, changed, output):
        words = shlex.split(self.commands[os.path.join(COPY, source)])
        words = words[next(i for i, word in enumerate(words) if re.fullmatch(r"(.*/)?(c|g|clang)\+\+(-\d+)?", word)):]  # not through ccache
        words[words.index("-o") + 1] = output
        words[words.index(os.path.join(COPY, source))] = changed
        return words + ["-iquote", os.path.dirname(os.path.join(COPY, source))]

    def judge(self, source, fault):
        """What becomes of the tests when this line of this source is another one."""
        start = time.monotonic()
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            return Verdict(source, fault, self.result(source, fault, folder), time.monotonic() - start)

    def result(self, source, fault, folder):
        changed, compiled, program_path, log = (os.path.join(folder, name) for name in (os.path.basename(source), "changed.o", "tests", "build.log"))
        with open(os.path.join(COPY, source), encoding="utf-8") as file:
            lines = file.read().split("\n")
        lines[fault.line - 1] = fault.after
        with open(changed, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        if call(self.compile_command(source, changed, compiled), COMPILE_SECONDS_MAX, log, cwd=BUILD) != 0:
            return "not built"
        for program in self.programs[source.split("/")[1]]:
            if call(program.linked_with(compiled, program_path), COMPILE_SECONDS_MAX, log, cwd=BUILD, shell=True) != 0:
                return "not built"
            code = program.run(program_path, folder)
            if code != 0:
                return "hung" if code is None else "killed"
        return "survived"


def tests_of(folder):
    return [[f"test_{folder}", "--gtest_brief=1", "--gtest_fail_fast"]] + ([SIMULATION] if folder in SIMULATED else [])


def tested_folders():
    names = {name.split("/")[2] for name in source_files.project_files() if name.startswith("tests/unit/") and name.endswith("_test.cpp")}
    return sorted(name for name in names if sources_of(name))


def sources_of(folder):
    return [name for name in source_files.cpp_files("src") if name.startswith(f"src/{folder}/") and name.endswith(".cpp") and name not in ("src/cli/main.cpp", "src/cli/wiped_memory.cpp")]


def equivalents():
    """Faults that change nothing that anybody can see, each with its reason: {(source, before, after)}."""
    with open(os.path.join(source_files.ROOT, EQUIVALENT), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file if line.strip() and not line.startswith("#")]
    assert all(len(row) == 4 and row[3] for row in rows), f"{EQUIVALENT}: source, before, after and the reason, with tabs between them"
    return {tuple(row[:3]) for row in rows}


def check():
    """That the kinds of faults do what their samples say, and that the reviewed list speaks of faults that there are."""
    faults.try_samples()
    missing = []
    for source, before, after in sorted(equivalents()):
        text = source_files.read_text(source) if os.path.exists(os.path.join(source_files.ROOT, source)) else ""
        if (before, after) not in {(fault.before.strip(), fault.after.strip()) for fault in faults.faults_of(text)}:
            missing.append(f"{EQUIVALENT}: {source} cannot be given this fault any more: {before}  =>  {after}")
    print("\n".join(missing) or f"{len(faults.KINDS) + 1} kinds of faults, {len(equivalents())} that nobody could see")
    return 1 if missing else 0


def is_equivalent(source, fault, known):
    return (source, fault.before.strip(), fault.after.strip()) in known


class Draw:
    """Faults of a folder in random order: first a file, so that small ones are looked at as often as large ones, then one of its faults."""

    def __init__(self, folder, rng):
        known, self.rng = equivalents(), rng
        self.left = {}
        for source in sources_of(folder):
            with open(os.path.join(COPY, source), encoding="utf-8") as file:
                found = [fault for fault in faults.faults_of(file.read()) if not is_equivalent(source, fault, known)]
            if found:
                self.left[source] = found

    def next(self):
        if not self.left:
            return None
        source = self.rng.choice(sorted(self.left))
        fault = self.left[source].pop(self.rng.randrange(len(self.left[source])))
        if not self.left[source]:
            del self.left[source]
        return source, fault


def measure(folders, count, seed, jobs):
    """Verdicts on `count` faults that build, spread over the folders; on those so far when it is interrupted."""
    share = {folder: count // len(folders) + (number < count % len(folders)) for number, folder in enumerate(folders)}
    draws = {folder: Draw(folder, random.Random(f"{seed} {folder}")) for folder in folders}
    verdicts, lock, start = [], threading.Lock(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=COPY) as scratch:
        judge = Judge(folders, jobs, scratch)

        def work():
            while True:
                with lock:
                    folder = next((folder for folder in folders if share[folder] > 0), None)
                    drawn = draws[folder].next() if folder else None
                    if folder is None:
                        return
                    share[folder] -= 1
                    if drawn is None:
                        share[folder] = 0
                        continue
                verdict = judge.judge(*drawn)
                with lock:
                    if verdict.result == "not built":
                        share[folder] += 1
                    else:
                        verdicts.append(verdict)
                        show(verdict, len(verdicts), count, time.monotonic() - start)

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            workers = [pool.submit(work) for _ in range(jobs)]
            try:
                for worker in workers:
                    worker.result()
            except KeyboardInterrupt:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is under way is still judged
                with lock:
                    for draw in draws.values():
                        draw.left.clear()
    return verdicts


def shown(verdict):
    return f"{verdict.source}:{verdict.fault.line}  {verdict.fault.before.strip()}  =>  {verdict.fault.after.strip()}"


def show(verdict, done, count, seconds):
    terminal = sys.stdout.isatty()
    if terminal:
        print("\r\033[K", end="")
    if verdict.result == "survived":
        print(shown(verdict), flush=True)
    progress = f"    {done}/{count}, {seconds / done:.1f} s each, {seconds / done * (count - done) / 60:.0f} min left"
    if terminal or done % 10 == 0:
        print(progress, end="" if terminal else "\n", flush=True)


def table(verdicts):
    """Rows of (folder, noticed, of these by hanging, all, percent that is asked for)."""
    for folder in sorted({verdict.source.split("/")[1] for verdict in verdicts}):
        results = [verdict.result for verdict in verdicts if verdict.source.split("/")[1] == folder]
        yield folder, results.count("killed") + results.count("hung"), results.count("hung"), len(results), PERCENT_MIN[folder]


def main():
    parser = argparse.ArgumentParser(prog="./dev mutants", description="Puts small random faults into copies of the sources, one at a time, and counts those that the unit tests notice.")
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="folders of src/ (all that have unit tests)")
    parser.add_argument("--count", type=int, default=200, help="how many faults, spread over the folders (200)")
    parser.add_argument("--seed", type=int, help="which faults (any; it is printed)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2, help="how many at once (one for each processor)")
    parser.add_argument("--json", metavar="FILE", help="write every verdict there")
    parser.add_argument("--check", action="store_true", help="only whether this tool and its list of what nobody could see are right")
    arguments = parser.parse_args()
    if arguments.check:
        return check()
    if unknown := [folder for folder in arguments.folders if folder not in tested_folders()]:
        parser.error(f"no unit tests of {', '.join(unknown)}; there are those of {', '.join(tested_folders())}")
    if arguments.count < 1 or arguments.jobs < 1:
        parser.error("--count and --jobs are at least one")
    faults.try_samples()
    folders = arguments.folders or tested_folders()
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"seed {seed}; the first build takes minutes", flush=True)
    copy_sources()
    build([command[0] for folder in folders for command in tests_of(folder)], arguments.jobs)
    verdicts = measure(folders, arguments.count, seed, arguments.jobs)
    if sys.stdout.isatty():
        print("\r\033[K", end="")
    rows = list(table(verdicts))
    print(f"\n{'folder':16}{'noticed':>9}{'by hanging':>12}{'of':>6}{'percent':>9}{'asked':>7}")
    for folder, noticed, hung, total, asked in rows:
        print(f"{folder:16}{noticed:9}{hung:12}{total:6}{100 * noticed / total:8.0f}%{asked:6}%{'' if 100 * noticed >= asked * total else '  too few'}")
    print(f"{'all':16}{sum(row[1] for row in rows):9}{sum(row[2] for row in rows):12}{len(verdicts):6}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"seed": seed, "verdicts": [{"source": v.source, "result": v.result, "seconds": round(v.seconds, 1), **v.fault._asdict()} for v in verdicts]}, file, indent=1)
    return 0 if verdicts and all(100 * noticed >= asked * total for _, noticed, _, total, asked in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
