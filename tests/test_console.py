from __future__ import annotations

from rich.table import Table

from dsanet_cli.console import plain_console, print_error, print_table, unexpected
from dsanet_cli.errors import VideoError


def test_an_error_is_one_printable_line(capsys):
    print_error(VideoError("a\nb.mp4: [bold]broken[/bold]"))
    captured = capsys.readouterr()
    assert captured.err == "error: a\\nb.mp4: [bold]broken[/bold]\n"
    assert captured.out == ""


def test_debug_shows_the_origin_of_an_unexpected_error(capsys, monkeypatch):
    try:
        raise ZeroDivisionError("here")
    except ZeroDivisionError as error:
        failure = unexpected("a.mp4", error)
    print_error(failure)
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("DSANET_DEBUG", "1")
    print_error(failure)
    shown = capsys.readouterr().err
    assert 'raise ZeroDivisionError("here")' in shown
    assert shown.endswith(
        "error: a.mp4: failed unexpectedly (ZeroDivisionError('here')); set DSANET_DEBUG=1 for details\n"
    )


def test_quiet_prints_nothing(capsys):
    plain_console(stderr=True, quiet=True).print("line")
    assert capsys.readouterr().err == ""


def test_a_table_in_a_pipe_is_not_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    table = Table("name", "more", box=None)
    table.add_row("x" * 300, "last")
    print_table(table)
    assert f"{'x' * 300}  last" in capsys.readouterr().out
