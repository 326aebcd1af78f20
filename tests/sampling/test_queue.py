import dataclasses
import threading
import time

import pytest

from astra_jax.errors import UserError
from astra_jax.inputs.requests import Request
from astra_jax.sampling.preparation import Ready
from astra_jax.sampling.queue import THREADS, Asked, batches
from astra_jax.sampling.settings import Settings
from astra_jax.sampling.shapes import OWN_PROGRAM

SMALL, LARGE = (Settings(height=size, width=size, steps=4, guidance=1.0) for size in (32, 64))


def asked(number, indices=(0,), settings=SMALL):
    return Asked(number, Request(prompt="a house", pose="none", name=str(number)), settings, indices)


class Preparation:
    """Prepares nothing but says so; `gate` holds back those of a number, `wrong` ones raise."""

    def __init__(self, wrong=()):
        self.begun, self.wrong, self.gates, self.lock = [], dict(wrong), {}, threading.Lock()

    def __call__(self, request, settings, shape):
        number = int(request.name)
        with self.lock:
            self.begun.append(number)
        if gate := self.gates.get(number):
            assert gate.wait(20)
        if error := self.wrong.get(number):
            raise error
        return Ready(request, settings, {}, (), None, None, None, ())

    def wait_for(self, count):
        deadline = time.monotonic() + 20
        while len(self.begun) < count:
            assert time.monotonic() < deadline, self.begun
            time.sleep(0.002)


def draw(requests, prepare, batch_size=2, refused=None):
    return batches(requests, prepare, lambda pictures: min(pictures, batch_size), batch_size, refused or pytest.fail)


def numbers(batch):
    return [(number, index) for number, _, index in batch.jobs]


def test_batches_are_full_and_of_one_shape_in_the_requests_order():
    many = 2 * OWN_PROGRAM  # pictures: both shapes are worth programs of their own
    requests = [asked(0, (0, 1, 2)), asked(1, tuple(range(many)), LARGE), asked(2, tuple(range(many - 2)))]
    found = list(draw(requests, Preparation()))
    small = [(0, 0), (0, 1), (0, 2), *((2, index) for index in range(many - 2))]
    large = [(1, index) for index in range(many)]
    assert [job for batch in found for job in numbers(batch)] == [*small, *large]
    assert {batch.rows for batch in found} == {2}
    for batch in found:
        assert len({ready.settings for _, ready, _ in batch.jobs}) == 1
        assert batch.jobs[0][1].settings.size == (batch.shape.height, batch.shape.width)
        assert all(ready.request.name == str(number) for number, ready, _ in batch.jobs)
    assert [len(batch.jobs) for batch in found] == [2] * (len(small) // 2) + [1] * (len(small) % 2) + [2] * (many // 2)


def test_requests_are_prepared_while_others_are_drawn_but_not_all_at_once():
    prepare, size = Preparation(), 2
    drawing = draw([asked(number) for number in range(40)], prepare, size)
    assert prepare.begun == []  # nothing happens before somebody asks
    for drawn in (1, 2, 3):
        assert numbers(next(drawing)) == [(2 * drawn - 2, 0), (2 * drawn - 1, 0)]
        ahead = 2 * size + size * drawn
        # All of those ahead are begun without anybody asking for them, and no other.
        prepare.wait_for(ahead - 1)
        time.sleep(0.05)
        assert ahead - 1 <= len(prepare.begun) <= ahead
    assert sorted(prepare.begun) == list(range(len(prepare.begun)))
    drawing.close()
    assert len(prepare.begun) <= ahead


def test_a_slow_request_keeps_its_place_and_holds_up_no_preparation():
    prepare = Preparation()
    prepare.gates[0] = threading.Event()
    drawing = draw([asked(number) for number in range(8)], prepare)
    found = []
    consumer = threading.Thread(target=lambda: found.extend(drawing))
    consumer.start()
    prepare.wait_for(4)  # two batches ahead, of which the first waits
    assert found == []
    prepare.gates[0].set()
    consumer.join(20)
    assert [job for batch in found for job in numbers(batch)] == [(number, 0) for number in range(8)]


def test_what_is_wrong_is_told_and_the_others_go_on():
    told = []
    prepare = Preparation({2: UserError("no such photo"), 5: UserError("no such pose")})
    found = list(draw([asked(number) for number in range(7)], prepare, 3, lambda *what: told.append(what)))
    assert [[number for number, _ in numbers(batch)] for batch in found] == [[0, 1, 3], [4, 6]]
    assert [(number, str(error)) for number, error in told] == [(2, "no such photo"), (5, "no such pose")]


def test_who_is_told_may_stop_the_run_and_a_bug_always_does():
    def stop(number, error):
        raise error

    prepare = Preparation({1: UserError("no such photo")})
    with pytest.raises(UserError, match="no such photo"):
        list(draw([asked(number) for number in range(60)], prepare, 2, stop))
    assert len(prepare.begun) < 60
    bug = Preparation({1: ZeroDivisionError()})
    with pytest.raises(ZeroDivisionError):
        list(draw([asked(number) for number in range(60)], bug))
    assert len(bug.begun) < 60


def test_a_run_that_is_given_up_leaves_no_thread():
    def threads():
        return [thread for thread in threading.enumerate() if thread.name.startswith("prepare")]

    drawing = draw([asked(number) for number in range(40)], Preparation())
    next(drawing)
    assert 1 <= len(threads()) <= THREADS
    drawing.close()
    assert threads() == []


def test_no_requests_make_no_batches():
    assert list(draw([], Preparation())) == []


def test_shapes_are_those_of_the_settings():
    guided = dataclasses.replace(SMALL, cfg_scale=2.0)
    (batch,) = draw([asked(0, settings=guided)], Preparation())
    assert batch.shape.guided
    assert batch.rows == 1
