#!/usr/bin/python3
"""Checks that the table of walls cannot rot: every rule of the gateway's rule set is taken out by a test of tests/netns/walls.py or has a reason
why not, every wall has an attack, and docs/security.md shows them all. `--write` writes its table anew.
"""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, "tests", "netns")
PAGE = os.path.join(ROOT, "docs", "security.md")
BEGIN, END = "<!-- written by tools/check_walls.py --write -->\n", "<!-- end of the table -->\n"
CHAINS_THAT_DENY = ("input", "forward")

sys.path.insert(0, FOLDER)
from walls import NOT_WALLS, THREATS, WALLS, readable  # noqa: E402


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def rules():
    """Names of all rules: the expected rule sets of the unit tests are the rule set's own text."""
    return {name for path in glob.glob(os.path.join(ROOT, "tests", "golden", "ruleset", "*.nft")) for name in re.findall(r'comment "(\w+)"', text_of(path))}


def taken_out():
    out = set()
    for wall in WALLS:
        for part in (part for removal in wall.removals for part in removal):
            name = part.split(" -> ")[0]
            if re.fullmatch(r"[\w{}]+", name):
                out |= {name.replace("{v}", version) for version in "46"}
            elif part.startswith("policy "):
                out.add(part)
    return out


def problems():
    known, removed = rules(), taken_out()
    for name in sorted(known - removed - set(NOT_WALLS)):
        yield f"rule {name}: no test takes it out; give it a wall in tests/netns/walls.py, or a reason in NOT_WALLS"
    for name in sorted(removed & set(NOT_WALLS)):
        yield f"rule {name}: a test takes it out, so it is a wall; remove it from NOT_WALLS"
    for name in sorted((set(NOT_WALLS) | {name for name in removed if " " not in name}) - known):
        yield f"rule {name}: is in tests/netns/walls.py and not in the rule set"
    for chain in CHAINS_THAT_DENY:
        if f"policy {chain}" not in removed:
            yield f"chain {chain}: no test makes it accept what no rule names"
    for wall in WALLS:
        if not wall.removals and not wall.no_removal:
            yield f"wall {wall.name!r}: neither a removal nor a reason why there is none"
        if isinstance(wall.attack, str):
            file, test = wall.attack.split("::")
            text = text_of(os.path.join(FOLDER, file))
            if f"def {test}(" not in text or f'"{wall.name}"' not in text or any(part not in text for removal in wall.removals for part in removal):
                yield f"wall {wall.name!r}: {wall.attack} is not there, or is not marked with the wall's name"
    names = [(wall.threat, wall.name) for wall in WALLS]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"wall {name}: is there twice"
    if table() not in text_of(PAGE):
        yield "docs/security.md: its table is not that of tests/netns/walls.py; run tools/check_walls.py --write"


def carried_by(wall):
    if wall.carrier:
        return wall.carrier
    if not wall.removals:
        return "the kernel"
    names = []
    for part in (part for removal in wall.removals for part in removal):
        name = readable(part).split(" bent to ")[0]
        if part.startswith("! wg"):
            name = "the engine's allowed addresses"
        elif part.startswith("! "):
            name = "routing rule " + part.split(" : ")[0].split()[-1]
        elif part.startswith(("policy ", "priority ")):
            name = f"{part.split()[0]} of chain `{part.split()[1]}`"
        if name not in names:
            names.append(name)
    return ", ".join(names)


def table():
    lines = ["| # | What somebody may try | What drpf does | Carried by | Test | What is taken out, for the attack to succeed |", "|---|---|---|---|---|---|"]
    for threat, title in THREATS.items():
        lines.append(f"| **{threat}** | **{title}** | | | | |")
        for wall in WALLS:
            if wall.threat == threat:
                test = wall.attack if isinstance(wall.attack, str) else wall.attack.__name__
                out = "; or ".join(" and ".join(map(readable, removal)) for removal in wall.removals) or f"nothing can: {wall.no_removal}"
                lines.append(f"| | {wall.name} | {wall.answer} | {carried_by(wall)} | `{test}` | {out} |")
    return BEGIN + "\n".join(lines) + "\n" + END


def write():
    text = text_of(PAGE)
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(text[:text.index(BEGIN)] + table() + text[text.index(END) + len(END):])


def main():
    if sys.argv[1:] == ["--write"]:
        write()
    found = list(problems())
    print("\n".join(found) or f"{len(WALLS)} walls, {len(rules())} rules, {len(NOT_WALLS)} of them no walls")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
