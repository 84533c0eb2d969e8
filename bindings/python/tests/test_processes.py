"""Cached plans, threads, and processes that fork, as data loaders and training scripts do."""

import os
import threading

import pytest
import torch
from conftest import random_layer
from torch.utils.data import DataLoader, Dataset

import dcnv4
from dcnv4 import _library, _runtime, functional


def plans_made(monkeypatch):
    """A list to which the problem of each plan made from now on is appended."""
    made, make = [], _library.Plan.__init__

    def count(self, context, operator, problem, backward):
        made.append(problem)
        make(self, context, operator, problem, backward)

    monkeypatch.setattr(_library.Plan, "__init__", count)
    return made


def test_a_plan_is_made_once(monkeypatch):
    made = plans_made(monkeypatch)
    value, offset_mask, arguments = random_layer()
    value.requires_grad_()
    for _ in range(3):
        functional.dcnv4(value, offset_mask, **arguments).sum().backward()
    assert [problem.forward_only for problem in made] == [1, 0]
    functional.dcnv4(value[:1], offset_mask[:1], **arguments)
    functional.dcnv4(value, offset_mask, **{**arguments, "offset_scale": 2.0})
    functional.dcnv4(value.double(), offset_mask.double(), **arguments)
    assert len(made) == 5


def test_plans_are_bounded(monkeypatch):
    monkeypatch.setattr(_runtime, "PLANS", 4)
    closed, destroy = [], _library.Plan.__del__
    monkeypatch.setattr(_library.Plan, "__del__", lambda self: (closed.append(self.address), destroy(self)))
    for width in range(1, 9):
        value, offset_mask, arguments = random_layer(1, 1, width)
        functional.dcnv4(value, offset_mask, **arguments)
    assert len(_runtime._plans) == 4 and len(closed) == 4


def test_deterministic_algorithms(monkeypatch):
    made = plans_made(monkeypatch)
    value, offset_mask, arguments = random_layer()
    functional.dcnv4(value, offset_mask, **arguments)
    torch.use_deterministic_algorithms(True)
    try:
        functional.dcnv4(value, offset_mask, **arguments)
    finally:
        torch.use_deterministic_algorithms(False)
    assert [problem.deterministic for problem in made] == [0, 1]


def test_threads_follow_torch(monkeypatch):
    asked, create = [], _library.Context.__init__
    monkeypatch.setattr(
        _library.Context,
        "__init__",
        lambda self, device, threads: (asked.append(threads), create(self, device, threads))[0],
    )
    monkeypatch.setattr(_runtime, "_contexts", {})
    value, offset_mask, arguments = random_layer()
    before = torch.get_num_threads()
    try:
        for threads in (1, 3, 1):
            torch.set_num_threads(threads)
            functional.dcnv4(value, offset_mask, **arguments)
    finally:
        torch.set_num_threads(before)
    assert asked == [1, 3]


def test_no_more_threads_than_the_library_takes(monkeypatch):
    asked = []
    monkeypatch.setattr(_library, "Context", lambda device, threads: asked.append((device, threads)))
    monkeypatch.setattr(_runtime, "_contexts", {})
    _runtime._context(torch.device("cpu"), 5000)
    assert asked == [("cpu", 1024)]


def test_threads_at_once():
    """Many threads, each with problems of its own and one that all share, always give the bits of one thread."""
    layers = [random_layer(height=height, width=31) for height in (5, 17, 29, 17)]
    expected = [functional.dcnv4(value, offset_mask, **arguments) for value, offset_mask, arguments in layers]
    wrong = []

    def work(number):
        for turn in range(40):
            which = (number + turn) % len(layers)
            value, offset_mask, arguments = layers[which]
            if not torch.equal(functional.dcnv4(value, offset_mask, **arguments), expected[which]):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Aggregated(Dataset):
    """Samples that a data loader's process computes with the operator."""

    def __init__(self):
        self.value, self.offset_mask, self.arguments = random_layer(batch=6, height=20, width=20)

    def __len__(self):
        return len(self.value)

    def __getitem__(self, i):
        return functional.dcnv4(self.value[i : i + 1], self.offset_mask[i : i + 1], **self.arguments)[0]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_data_loader(method):
    data = Aggregated()
    expected = functional.dcnv4(data.value, data.offset_mask, **data.arguments)  # this process has threads and plans
    loader = DataLoader(
        data, batch_size=2, num_workers=2 if method == "fork" else 1, multiprocessing_context=method, timeout=120
    )
    assert torch.equal(torch.cat(list(loader)), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_fork_while_a_thread_has_the_lock():
    """The child has a new lock: it does not wait for a thread that only its parent has."""
    value, offset_mask, arguments = random_layer()
    expected = functional.dcnv4(value, offset_mask, **arguments)
    with _runtime._lock:
        child = os.fork()
        if child == 0:
            try:
                torch.set_num_threads(1)
                found = functional.dcnv4(value[:1], offset_mask[:1], **arguments)  # needs a new plan
                os._exit(0 if torch.equal(found, expected[:1]) else 1)
            finally:
                os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_devices_are_listed():
    names = {device["name"]: device for device in dcnv4.devices()}
    assert names["cpu"]["available"] and names["cpu"]["units"] >= 1 and names["cpu"]["reason"] == ""
