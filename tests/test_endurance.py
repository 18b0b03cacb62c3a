"""Long use costs nothing that grows: the benchmark of endurance, a hundredth of it."""

import subprocess
import sys

import pytest
from bench_endurance import TRIALS, State, is_flat
from conftest import REPO


def noted(*pairs):
    state = State(1)
    state.noted = list(pairs)
    return state


def test_resources_are_noted_after_a_tenth_and_at_the_end():
    state = State(50)
    for _ in range(50):
        state.step()
        assert len(state.noted) == (state.n_done >= 5) + (state.n_done == 50)
    memory, files, threads = state.noted[0]
    assert 10 < memory < 10_000 and files >= 3 and threads >= 1


@pytest.mark.parametrize(
    ("after", "flat"),
    [
        ((340, 7, 3), True),
        ((360, 7, 3), False),
        ((300, 7 + 72, 3), False),
        ((300, 7, 3 + 8), False),
        ((200, 5, 2), True),
    ],
)
def test_growth_is_seen(after, flat):
    assert is_flat(noted((300, 7, 3), after)) == flat


@pytest.mark.slow
@pytest.mark.parametrize("trial", TRIALS)
def test_a_hundredth_of_it_grows_nothing_and_answers_the_same(trial):
    command = [sys.executable, "benchmarks/bench_endurance.py", "--quick", "--only", trial]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
    assert done.stdout.count("yes | yes\n") == 1
