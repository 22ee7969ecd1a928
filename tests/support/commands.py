"""Commands run inside the test's own process: the whole command line, at a fraction of a process's cost."""

from __future__ import annotations

import io
import json
import logging
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest

from connector.cli.main import main
from tests.support.practice import Practice
from tests.support.processes import Finished


def command(practice: Practice, *arguments: str) -> Finished:
    """One command at that practice and its time, from start to end."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["connector", *arguments])
        for name, value in practice.environment().items():
            patch.setenv(name, value)
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            # The command sends all logging to its own standard error, which ends with it.
            logging.getLogger().handlers[:] = handlers
            logging.getLogger().setLevel(level)
            logging.captureWarnings(False)
    return Finished(code, out.getvalue(), err.getvalue())


def assert_refused(practice: Practice, words: str, *arguments: str) -> None:
    """The command ends with one sentence that contains these words, and exit code 1."""
    done = command(practice, *arguments)
    assert (done.code, done.out) == (1, ""), done
    assert words in done.err
    assert done.err.count("\n") == 1


def document(practice: Practice, *arguments: str) -> Any:
    """The JSON document of a command that must succeed."""
    done = command(practice, *arguments, "--json")
    assert (done.code, done.err) == (0, ""), done
    return json.loads(done.out)
