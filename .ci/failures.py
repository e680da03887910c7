"""What failed in the log of `cargo test --no-fail-fast`, for `.ci/run`.

failures.py retry LOG     prints the names of the tests that failed, if all that is wrong with each is that something did
                          not come in time; fails, and says why, if there is anything else
failures.py summary LOG   prints what failed and what it said, short enough to be read at the end of a log
"""

import re
import sys
from dataclasses import dataclass

# Every run has another seed: a second attempt would not be the same test.
NEVER_AGAIN = "tests/fuzz.rs"
TOO_LATE = re.compile(r"\bin time\b|\bwaited\b|\belapsed\b|(operation|test) timed out|due to timeout", re.IGNORECASE)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
CRASH = re.compile(r"\(signal: .*")
PANIC = re.compile(r"^thread '.*panicked at ", re.MULTILINE)
NODE = "✖ failing tests:"

LINES = 40
WIDTH = 300
WHOLE = 10_000


@dataclass
class Failure:
    target: str
    name: str
    text: str

    def complaints(self):
        """What is wrong, piece by piece: the failures of Node's runner, or the panics of a test."""
        if NODE in self.text:
            return re.split(r"^test at ", self.text.split(NODE, 1)[1], flags=re.MULTILINE)[1:]
        panics = list(PANIC.finditer(self.text))
        if not panics:
            return [self.text]
        ends = [panic.start() for panic in panics[1:]] + [len(self.text)]
        # Without its backtrace, which is full of names that say nothing.
        return [self.text[panic.start() : end].split("\nstack backtrace:")[0] for panic, end in zip(panics, ends)]

    def printed(self):
        """The end of what a test had printed before it failed, such as its seed."""
        before = "" if NODE in self.text else PANIC.split(self.text, maxsplit=1)[0]
        return before.strip().splitlines()[-10:]

    def is_too_late(self):
        complaints = self.complaints()
        # Where Node's runner failed one panic is that of the test that runs it; another one is the program's.
        has_panic = NODE in self.text and len(PANIC.findall(self.text)) > 1
        late = all(TOO_LATE.search(complaint) for complaint in complaints)
        return bool(complaints) and late and not has_panic and self.target != NEVER_AGAIN


def failures(log):
    """Every test that failed."""
    target, name, found, texts = "", None, [], {}
    in_names = False
    for line in log.splitlines():
        if match := re.match(r"\s+(?:Running (?:unittests )?|Doc-tests )(\S+)", line):
            target, name, in_names = match[1], None, False
        elif match := re.fullmatch(r"---- (.+) stdout ----", line):
            name, in_names = match[1], False
            texts[target, name] = []
        elif line == "failures:":
            name, in_names = None, True
        elif line.startswith("test result:"):
            name, in_names = None, False
        elif name is not None:
            texts[target, name].append(line)
        elif in_names and (match := re.fullmatch(r"    (\S.*)", line)):
            found.append((target, match[1]))
    return [Failure(target, name, "\n".join(texts.get((target, name), []))) for target, name in found]


def obstacle(log):
    """Why trying again would hide something, if it would."""
    failed = failures(log)
    if crash := CRASH.search(log):
        return f"a program crashed: {crash[0]}"
    targets = re.search(r"^error: (\d+) targets? failed", log, re.MULTILINE)
    told = len(re.findall(r"^test result: FAILED", log, re.MULTILINE))
    if not failed or not targets or int(targets[1]) != told:
        return "something failed that is no test"
    for failure in failed:
        if not failure.is_too_late():
            return f"{failure.name} failed, and not for being too late"
        if not re.fullmatch(r"[a-z0-9_:]+", failure.name):
            return f"{failure.name} cannot be tried by its name"
    return None


def shortened(text):
    lines = [COLOUR.sub("", line)[:WIDTH] for line in text.strip().splitlines()]
    if len(lines) > LINES:
        lines = lines[: LINES // 2] + ["…"] + lines[-LINES // 2 :]
    return "\n".join(lines)


def summary(log):
    parts = []
    for crash in CRASH.finditer(log):
        before = log[: crash.end()].splitlines()[-20:]
        parts.append("a program crashed:\n" + shortened("\n".join(before)))
    for failure in failures(log):
        printed = ["printed before:", *failure.printed()] if failure.printed() else []
        # What is wrong comes first: what is printed here may be cut where it is read.
        said = "\n".join(map(shortened, [*failure.complaints(), "\n".join(printed)]))
        parts.append(f"{failure.name} ({failure.target}):\n{said}")
    if not parts:
        parts = [shortened("\n".join(log.splitlines()[-LINES:]))]
    whole = "\n\n".join(parts)
    return whole if len(whole) <= WHOLE else f"{whole[:WHOLE]}\n… (more above)"


def main(what, path):
    with open(path, encoding="utf-8", errors="replace") as file:
        log = file.read()
    if what == "summary":
        print(summary(log))
        return 0
    if reason := obstacle(log):
        print(f"not tried again: {reason}", file=sys.stderr)
        return 1
    print("\n".join(sorted({failure.name for failure in failures(log)})))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
