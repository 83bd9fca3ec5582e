"""The table of `./dev test --walls` out of a JUnit file: per wall whether it is closed, and whether it opens when its protection is taken out."""
import json
import xml.etree.ElementTree as ElementTree


def cases(report):
    """(threat, name, version, what was taken out or None, passed) of every test that is marked as a wall."""
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        for found in case.iter("property"):
            if found.get("name") == "wall":
                threat, name, version, *without = json.loads(found.get("value"))
                failed = case.find("failure") is not None or case.find("error") is not None
                yield threat, name, version, (without or [None])[0], not failed


def family(version):
    return f"IPv{version}" if version else ""


def text(report, whole):
    found = list(cases(report))
    closed = [passed for *_, without, passed in found if without is None]
    opened = [passed for *_, without, passed in found if without is not None]
    lines = []
    if whole:
        for threat in sorted({row[0] for row in found}, key=lambda name: int(name[1:])):
            lines += [threat] + rows_of([row for row in found if row[0] == threat])
    if found:
        lines.append(f"    walls: {sum(closed)} of {len(closed)} attacks repelled, {sum(opened)} of {len(opened)} succeed when the wall is taken out")
    return "\n".join(lines)


def rows_of(found):
    lines = []
    for name in dict.fromkeys(row[1] for row in found):
        mine = [row for row in found if row[1] == name]
        lines.append(f"  {name}")
        for without in dict.fromkeys(row[3] for row in mine):
            results = {}
            for *_, version, removed, passed in mine:
                if removed == without:
                    results[family(version)] = results.get(family(version), True) and passed
            good, bad = ("closed", "OPEN") if without is None else ("opens", "STAYS CLOSED, so its test proves nothing,")
            told = ", ".join(f"{version} {good if passed else bad}".strip() for version, passed in sorted(results.items()))
            lines.append(f"    {told}" + (f" when {without} is taken out" if without else ""))
    return lines
