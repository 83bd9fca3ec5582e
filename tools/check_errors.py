#!/usr/bin/python3
"""Checks that docs/errors.md lists every error word that the sources say, with its kinds, and none that nobody says; and that no source compares
with a word that nobody says. `--write` writes the table anew.
"""
import collections
import os
import re
import sys

import source_files

PAGE = "docs/errors.md"
BEGIN, END = "<!-- written by tools/check_errors.py --write -->\n", "<!-- end of the table -->\n"
# By the function of src/core/result.h: the kind, the exit code (src/terminal/exit_code.cpp) and the HTTP status (src/api/route_table.cpp).
KINDS = {"refusal": ("refusal", 1, 409), "invalid": ("invalid", 1, 400), "not_found": ("not found", 1, 404), "failure": ("failure", 1, 500),
         "wrong_usage": ("usage", 64, 400), "misconfigured": ("configuration", 78, 422), "unavailable": ("unavailable", 69, 503),
         "not_permitted": ("not permitted", 77, 403)}
SAID = re.compile(r'\b(%s)\(\s*"([a-z0-9_]+)"' % "|".join(KINDS))
EITHER = re.compile(r'\? (\w+) : (\w+)\)\(\s*"([a-z0-9_]+)"')
COMPARED = re.compile(r'\bcode [=!]= "([a-z0-9_]+)"')


def words_of(text):
    """Pairs of word and function."""
    for function, word in SAID.findall(text):
        yield ("usage" if function == "wrong_usage" else word), function
    for one, other, word in EITHER.findall(text):
        if one in KINDS and other in KINDS:
            yield word, one
            yield word, other
    if "wrong_usage(" in text:
        yield "usage", "wrong_usage"


def row(word, functions):
    kinds = sorted((KINDS[function] for function in functions), key=lambda kind: kind[1:])
    return f"| `{word}` | " + " | ".join(", ".join(str(kind[column]) for kind in kinds) for column in range(3)) + " |\n"


def table(said):
    return "| Word | Kind | Exit code | HTTP |\n|---|---|---|---|\n" + "".join(row(word, said[word]) for word in sorted(said))


def faults(texts, page):
    """What is wrong; and the table as it should be."""
    said = collections.defaultdict(set)
    for text in texts.values():
        for word, function in words_of(text):
            said[word].add(function)
    should_be = table(said)
    before, begin, rest = page.partition(BEGIN)
    shown, end, after = rest.partition(END)
    found = []
    if not begin or not end:
        found.append(f"{PAGE}: the marks of the table are gone")
    elif shown != should_be:
        for line in sorted(set(shown.splitlines()) ^ set(should_be.splitlines())):
            found.append(f"{PAGE}: {'nobody says' if line in shown.splitlines() else 'not listed:'} {line}")
        found.append(f"{PAGE}: run tools/check_errors.py --write")
    for path, text in texts.items():
        found += [f"{path}: compares with '{word}', which nobody says" for word in COMPARED.findall(text) if word not in said]
    return found, before + begin + should_be + end + after


def prove_checker():
    page = BEGIN + table({"a": {"refusal"}}) + END
    said = 'return fail(refusal("a", "x"));'
    for texts, good in (({"f": said}, True), ({"f": said + 'fail(failure(\n "b", m))'}, False), ({"f": ""}, False),
                        ({"f": said + 'if (error.code == "c")'}, False), ({"f": said.replace("refusal", "invalid")}, False)):
        if bool(faults(texts, page)[0]) == good:
            sys.exit(f"check_errors.py is broken: {texts}")


def main():
    prove_checker()
    texts = {name: source_files.read_text(name) for name in source_files.cpp_files("src")}
    found, page = faults(texts, source_files.read_text(PAGE))
    if "--write" in sys.argv:
        with open(os.path.join(source_files.ROOT, PAGE), "w", encoding="utf-8") as file:
            file.write(page)
        return
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
