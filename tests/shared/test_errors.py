"""A user's mistake ends with one sentence and exit code 2; a programming error does not."""

import pytest

from shared.errors import InputError, exits_with_sentence


def test_input_error_becomes_a_sentence(capsys):
    @exits_with_sentence
    def main():
        raise InputError("width: expected at least 1, got -3: choose a larger one")

    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.err == "error: width: expected at least 1, got -3: choose a larger one\n"
    assert shown.out == ""


def test_other_errors_keep_their_traceback():
    @exits_with_sentence
    def main():
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        main()
