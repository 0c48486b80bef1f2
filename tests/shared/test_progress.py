"""A bar on a terminal, nothing in a file, and the items as they are."""

from shared.progress import progress


def test_items_pass_through_and_a_file_stays_clean(capsys):
    assert list(progress(range(3), "nudging")) == [0, 1, 2]
    assert capsys.readouterr().err == ""
