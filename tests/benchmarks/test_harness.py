"""The harness tells a held promise from a missed one, and measures what it says it measures."""

from __future__ import annotations

import json
import time

import pytest

from benchmarks import harness


@pytest.fixture(autouse=True)
def _no_collection(monkeypatch):
    """A full collection of a test process takes far longer than the pauses that are timed here."""
    monkeypatch.setattr(harness.gc, "collect", lambda: 0)


def prepare_pause(seconds: float):
    """Sleep; the value is the same on both sides."""

    def timed():
        time.sleep(seconds)
        return "slept"

    return timed


def test_line_has_the_promised_fields_and_the_median(capsys):
    result = harness.run_case(
        "b", "c", ours=prepare_pause(0.002), peer=prepare_pause(0.02), peer_name="sloth 1.0", target=3.0
    )
    line = json.loads(capsys.readouterr().out)
    assert " ".join(line) == "bench case ours_s peer peer_s ratio ours_mb peer_mb slope target holds"
    assert (line["peer"], line["target"], line["slope"], line["holds"]) == ("sloth 1.0", 3.0, None, True)
    assert line["ratio"] == pytest.approx(line["peer_s"] / line["ours_s"], rel=0.01)
    assert line["peer_s"] >= 0.02
    assert harness.exit_code([result]) == 0


def test_a_miss_is_exit_code_one():
    slow = harness.run_case("b", "slow", ours=prepare_pause(0.01), peer=prepare_pause(0.001), target=1.0)
    quick = harness.run_case("b", "alone", ours=prepare_pause(0.0), target=1.0)
    assert (slow.holds, quick.holds, quick.ratio) == (False, True, None)
    assert harness.exit_code([quick, slow]) == 1


def test_a_fast_wrong_answer_is_a_miss(capsys):
    result = harness.run_case(
        "b",
        "wrong",
        ours=lambda: 1,
        peer=prepare_pause(0.01),
        target=1.0,
        agree=lambda ours, peer: ours == peer,
    )
    assert not result.holds
    assert "disagree" in capsys.readouterr().err


def test_sides_run_by_turns_and_a_slow_peer_three_times(monkeypatch):
    order = []
    monkeypatch.setattr(harness, "SLOW_PEER_S", -1.0)
    harness.run_case(
        "b", "c", ours=lambda: order.append("ours"), peer=lambda: order.append("peer"), target=0.0
    )
    assert order == ["ours", "peer", "peer", "ours", "ours", "peer"]


def test_children_report_their_own_peak_memory_not_the_parents():
    ballast = bytearray(300 * 2**20)
    result = harness.run_case(
        "b",
        "memory",
        ours="benchmarks.import_time:prepare",
        peer="benchmarks.import_time:prepare",
        kwargs={"package": "decimal"},
        target=0.0,
        agree=lambda ours, peer: ours == peer == [],
    )
    assert len(ballast) == 300 * 2**20
    assert result.holds
    assert 5.0 < result.ours_mb < 100.0


def test_a_child_that_fails_is_told():
    with pytest.raises(RuntimeError, match="no_such_package"):
        harness.run_case(
            "b", "c", ours="benchmarks.import_time:prepare", kwargs={"package": "no_such_package"}, target=1.0
        )


def test_too_few_repeats_are_refused():
    with pytest.raises(ValueError, match="repeats=2"):
        harness.run_case("b", "c", ours=lambda: None, target=1.0, repeats=2)
