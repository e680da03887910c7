"""Only what came too late is tried again, and what failed is shown with its error."""

import unittest

from failures import failures, obstacle, summary

LATE = "thread 'a::waits' (7) panicked at tests/src/socket.rs:100:66:\na frame in time: Elapsed(())"
WRONG = "thread 'a::counts' (8) panicked at tests/a.rs:1:1:\nassertion `left == right` failed"


def log(tests, target="tests/behaviour/main.rs", targets=1):
    """What cargo prints when these tests, by name, fail with these texts."""
    sections = "\n".join(f"---- {name} stdout ----\n\n{text}\n" for name, text in tests.items())
    names = "\n".join(f"    {name}" for name in tests)
    return f"""
     Running {target} (target/debug/deps/x-1)

running 9 tests
test other ... ok

failures:

{sections}

failures:
{names}

test result: FAILED. 1 passed; {len(tests)} failed

error: {targets} target failed:
    `-p tests --test x`
"""


def node(*errors, before=""):
    blocks = "\n".join(f"test at suites/x.test.mjs:1:1\n✖ a claim (9ms)\n  {error}\n" for error in errors)
    runner = "thread 'the_client' (9) panicked at tests/official_client.rs:36:5:\nthe runner ended with exit status: 1"
    return f"{before}\n✔ a claim (5ms)\n✖ failing tests:\n\n{blocks}\n\n{runner}"


class Retry(unittest.TestCase):
    def refused(self, text, reason):
        self.assertIn(reason, obstacle(text) or "tried again")

    def test_what_came_too_late_is_tried_again(self):
        text = log({"a::waits": LATE})
        self.assertIsNone(obstacle(text))
        self.assertEqual([failure.name for failure in failures(text)], ["a::waits"])

    def test_anything_else_is_not(self):
        self.refused(log({"a::counts": WRONG}), "a::counts")
        self.refused(log({"a::waits": LATE, "a::counts": WRONG}), "a::counts")

    def test_nor_is_lateness_after_another_panic(self):
        self.refused(log({"a::waits": f"{WRONG}\n{LATE}"}), "a::waits")

    def test_nor_is_a_word_a_test_printed_before_it_failed(self):
        self.refused(log({"a::counts": f"all in time\n{WRONG}"}), "a::counts")

    def test_nor_is_a_word_of_its_backtrace(self):
        self.refused(log({"a::counts": f"{WRONG}\nstack backtrace:\n   0: tokio::time::Instant::elapsed"}), "a::counts")

    def test_nor_is_the_fuzzer(self):
        self.refused(log({"fuzz": LATE}, target="tests/fuzz.rs"), "fuzz")

    def test_nor_is_a_crash_among_those_that_were_late(self):
        text = log({"a::waits": LATE}) + "\n  process didn't exit successfully: `x` (signal: 6, SIGABRT)"
        self.refused(text, "crashed")

    def test_nor_is_a_program_that_names_no_test(self):
        self.refused(log({"a::waits": LATE}, targets=2), "no test")
        self.refused("error: could not compile `tests`", "no test")

    def test_nor_is_a_documentation_example(self):
        self.refused(log({"src/lib.rs - x (line 3)": "it waited"}), "by its name")

    def test_every_failure_of_node_has_to_be_late(self):
        late, wrong = "Error: connect never came.\n  (waited 60000 ms)", "AssertionError: 1 !== 2"
        self.assertIsNone(obstacle(log({"the_client": node(late, late)})))
        self.refused(log({"the_client": node(late, wrong)}), "the_client")
        panic = "thread 'main' (1) panicked at local-dev/src/x.rs:1:1:\noops"
        self.refused(log({"the_client": node(late, before=panic)}), "the_client")


class Summary(unittest.TestCase):
    def test_says_what_failed_and_why(self):
        said = summary(log({"a::waits": f"seed 5\n{LATE}", "the_client": node("AssertionError: 1 !== 2")}))
        for part in ("a::waits", "seed 5", "a frame in time", "the_client", "a claim", "1 !== 2"):
            self.assertIn(part, said)
        self.assertNotIn("✔", said)

    def test_says_what_is_wrong_before_what_was_logged(self):
        logged = "\n".join(f"\x1b[2m{n}\x1b[0m \x1b[33m WARN\x1b[0m closed a socket" for n in range(20))
        said = summary(log({"a::counts": f"{logged}\n{WRONG}"}))
        self.assertLess(said.index("left == right"), said.index("closed a socket"))
        self.assertNotIn("\x1b", said)

    def test_is_short(self):
        many = {f"t{n}": "thread 't' panicked at x:\n" + "x" * 9999 for n in range(99)}
        self.assertLess(len(summary(log(many))), 11_000)

    def test_shows_the_end_where_no_test_failed(self):
        self.assertIn("could not compile", summary("…\nerror: could not compile `tests`"))


if __name__ == "__main__":
    unittest.main()
