"""Which small faults a C++ source can be given, one line at a time: a comparison turned, a condition negated, a statement left out. Decides
only; tools/mutants.py compiles and judges them. Each kind carries a sample and is tried on it before it is used.
"""
import collections
import re

Fault = collections.namedtuple("Fault", "line kind before after")  # the line counted from one; before and after are whole lines

# (kind, pattern, replacement, a line, what becomes of it). Patterns see code only: strings, characters, comments and sentences are blanked.
KINDS = [
    ("comparison", r" < ", " <= ", "if (a < b) {", "if (a <= b) {"),
    ("comparison", r" <= ", " < ", "if (a <= b) {", "if (a < b) {"),
    ("comparison", r" > ", " >= ", "while (a > b) {", "while (a >= b) {"),
    ("comparison", r" >= ", " > ", "return a >= b;", "return a > b;"),
    ("comparison", r" == ", " != ", "return a == b;", "return a != b;"),
    ("comparison", r" != ", " == ", "return a != b;", "return a == b;"),
    ("operator", r" && ", " || ", "return a && b;", "return a || b;"),
    ("operator", r" \|\| ", " && ", "return a || b;", "return a && b;"),
    ("operator", r" \+ ", " - ", "x = a + b;", "x = a - b;"),
    ("operator", r" - ", " + ", "x = a - b;", "x = a + b;"),
    ("operator", r" \+= ", " -= ", "x += b;", "x -= b;"),
    ("operator", r" -= ", " += ", "x -= b;", "x += b;"),
    ("condition", r"\b(if|while) \(!(?=\w)", r"\1 (", "if (!known) return;", "if (known) return;"),
    ("condition", r"\bif \((?=[\w.:>()-]+(\([^()]*\))?\) )(.*?)\) (?=\{|return|continue|break)", r"if (!(\2)) ", "if (known) return;", "if (!(known)) return;"),
    ("constant", r"((?: [-+<>]| [<>=!+-]=) )([0-9])(?=[;),\] ])", lambda m: m[1] + str(int(m[2]) + 1), "x = a + 1;", "x = a + 2;"),
    ("constant", r"(?<=[\w)\]]) [-+] 1(?=[;),\] ])", "", "x = a - 1;", "x = a;"),
    ("extreme", r"\bstd::min([(<])", r"std::max\1", "x = std::min(a, b);", "x = std::max(a, b);"),
    ("extreme", r"\bstd::max([(<])", r"std::min\1", "x = std::max(a, b);", "x = std::min(a, b);"),
    ("truth", r"\btrue\b", "false", "return true;", "return false;"),
    ("truth", r"\bfalse\b", "true", "return false;", "return true;"),
    ("loop", r"\bcontinue;", "break;", "if (a) continue;", "if (a) break;"),
    ("loop", r"\bbreak;", "continue;", "if (a) break;", "if (a) continue;"),
]
# What is left out is replaced by an empty statement, so that an else or a label before it still has one.
LEFT_OUT = re.compile(r"^(\s+)(?:(?:\w+(?:\.|->|::))*\w+\(.*\);|(?:\+\+|--)?[\w.\[\]>-]+(?: [-+|&^]?= .*|\+\+|--)?;|if \(.*\) (?:return|continue|break)\b.*;)$")
LEFT_OUT_SAMPLES = ["  put(a, b);", "  list_.clear();", "  ++count;", "  x = 3;", "  if (a) return b;", "  parts->door.close();"]
KEPT_SAMPLES = ["  return f(a);", "  auto x = 3;", "  int x;", "  co_await f();", "  case 3: f();", "f();", "  break;", "  continue;", "  return;", "  throw;",
                "  list.reserve(3);"]
KEYWORDS = re.compile(r"^\s+(?:return|break|continue|throw|else|case|default|co_return|using|static_assert|assert)\b")
LAST_OF_A_STATEMENT = (";", "{", "}", ":")  # after a line that ends so begins a new one

# No fault: what is only said to people, and what is checked while compiling or must hold anyway. Up to the end of the statement.
ONLY_FASTER = re.compile(r"\.(?:reserve|shrink_to_fit)\(")
SAID = re.compile(r"\b(?:log_?(?:\.|->)\w+|spdlog::\w+|static_assert|assert)\(")
SENTENCE = re.compile(r"\bfmt::format\(")
NOT_CODE = re.compile(r"^\s*(?:#|namespace\b|using\b|template\b|//|$)")
LITERAL = re.compile(r'R"(\w*)\(.*?\)\1"|"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)+\'|//.*')


def blanked(text, begin, end):
    return text[:begin] + "".join("\n" if character == "\n" else "\0" for character in text[begin:end]) + text[end:]


def end_of_brackets(text, begin):
    """Past the bracket that closes the one that ends just before `begin`."""
    depth = 1
    for position in range(begin, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position + 1
    return len(text)


def code_of(text):
    """The text with everything blanked that is no code; of the same length and lines."""
    text = re.sub(r"(?<=\d)'(?=\d)", "_", text)
    text = re.sub(r'R"(\w*)\((.|\n)*?\)\1"', lambda m: blanked(m[0], 1, len(m[0]) - 1), text)
    text = LITERAL.sub(lambda m: m[0] if "\0" in m[0] else blanked(m[0], 0 if m[0].startswith("//") else 1, len(m[0]) - (not m[0].startswith("//"))), text)
    for pattern in (SAID, SENTENCE):
        for match in list(pattern.finditer(text)):
            text = blanked(text, match.end(), end_of_brackets(text, match.end()) - 1)
    return "\n".join(blanked(line, 0, len(line)) if NOT_CODE.match(line) else line for line in text.split("\n"))


def is_left_out(code, before):
    return bool(LEFT_OUT.match(code)) and not KEYWORDS.match(code) and not SAID.search(code) and not ONLY_FASTER.search(code) and before.rstrip().rstrip("\0").rstrip().endswith(LAST_OF_A_STATEMENT)


def put_in(replacement, match, line):
    """The replacement with the line's own text for \\1, \\2: what is blanked in the code may stand inside of it."""
    if callable(replacement):
        return replacement(match)
    return re.sub(r"\\(\d)", lambda group: line[match.start(int(group[1])):match.end(int(group[1]))], replacement)


def faults_of(text):
    """All faults that this source can be given."""
    lines, found, before = text.split("\n"), [], "{"
    for number, (line, code) in enumerate(zip(lines, code_of(text).split("\n")), 1):
        for kind, pattern, replacement, _, _ in KINDS:
            for match in re.finditer(pattern, code):
                found.append(Fault(number, kind, line, line[:match.start()] + put_in(replacement, match, line) + line[match.end():]))
        if is_left_out(code, before):
            found.append(Fault(number, "statement", line, re.match(r"\s*", line)[0] + ";"))
        if code.strip("\0 "):
            before = code
    return found


def try_samples():
    for kind, pattern, _, before, after in KINDS:
        made = [fault.after for fault in faults_of(before) if fault.kind == kind]
        assert after in made, f"{pattern!r} makes {made} of {before!r}"
    for sample in LEFT_OUT_SAMPLES:
        assert is_left_out(sample, "{"), f"{sample!r} can be left out"
    for sample in KEPT_SAMPLES:
        assert not is_left_out(sample, "{"), f"{sample!r} is no statement to leave out"
    nothing = ['  log.warn("a", b + 1);', '  assert(a == b);', '  x(fmt::format("{}", a - 1), "a == b");', "  // a == b", "#if a == b", "  'a == b'", 'R"(\na == b\n)"']
    for sample in nothing:
        made = [fault.after for fault in faults_of(sample) if fault.kind != "statement"]
        assert not made, f"{sample!r} is no code, and became {made}"
