"""A device whose memory is full: one line that says what to lower, and a model that can be asked again."""

from __future__ import annotations

import sys
import types
import weakref

import pytest
import torch

from model import cuda_lanes, lanes, store
from model.backends.transformers import TransformersModel
from model.backends.vllm import VLLMModel
from model.cli import main
from model.errors import MemoryFullError
from model.fullmemory import told
from model.kvcache import KVCache
from model.lanes import Lanes
from model.load import load
from model.request import GenerateRequest, ModelInfo, complete
from model.runner import Runner
from model.tokenizer import Tokenizer
from tests.model.tiny_engines import make_engine, same

CPU = torch.device("cpu")
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def asked(prompt: str, tokens: int = 6, decode: str = "ar") -> GenerateRequest:
    return GenerateRequest(prompt=prompt, max_tokens=tokens, decode=decode)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return make_engine(tmp_path_factory.mktemp("full"))


def test_an_allocation_that_is_too_large_for_this_machine() -> None:
    with (
        pytest.raises(MemoryFullError, match=r"out of memory on cpu \(.* GiB: .* free\): lower x, or end"),
        told(CPU, "x"),
    ):
        torch.empty(1 << 60, dtype=torch.int8)


def test_what_a_broken_capture_raises_is_known_by_its_cause() -> None:
    def capture() -> None:
        try:
            raise FULL
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    with pytest.raises(MemoryFullError, match="end what else uses its memory"), told(CPU):
        capture()
    with pytest.raises(RuntimeError, match="shapes"), told(CPU):
        raise RuntimeError("shapes do not match")


def test_the_tensors_of_the_failed_pass_are_let_go() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def deep() -> None:
        big = torch.zeros(8)
        held.append(weakref.ref(big))
        raise FULL

    with pytest.raises(MemoryFullError) as error, told(CPU):
        deep()
    assert error.value.exit_code == 4
    assert held[0]() is None


@pytest.mark.parametrize("decode", ["ar", "verified", "diffusion", "lookup"])
def test_a_single_answer(engine, monkeypatch, decode: str) -> None:
    request = asked("def f(x):", decode=decode)
    whole = complete(engine, request)
    engine.forget()
    with monkeypatch.context() as patch:

        def cache(self: Runner, capacity: int) -> KVCache:
            raise FULL

        patch.setattr(Runner, "cache", cache)
        with pytest.raises(MemoryFullError, match=r"lower max_tokens \(now 6\) or the prompt's length"):
            complete(engine, request)
    assert same(complete(engine, request), whole)


def test_in_the_middle_of_an_answer(engine, monkeypatch) -> None:
    whole = complete(engine, asked("def f(x):"))
    real, passes = Runner.run, 0

    def run(self: Runner, *args, **options):
        nonlocal passes
        passes += 1
        if passes == 3:
            raise FULL
        return real(self, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Runner, "run", run)
        with pytest.raises(MemoryFullError):
            complete(engine, asked("def f(x):"))
    assert passes == 3
    assert engine._last._kept is None, "the cache of the broken pass would be read again"
    assert same(complete(engine, asked("def f(x):")), whole)


def test_a_batch_says_how_wide_it_was_and_keeps_what_ended(engine, monkeypatch) -> None:
    requests = [asked("a", 2), asked("b", 9), asked("c", 9)]
    whole = [complete(engine, request) for request in requests]
    real, launches = Lanes.launch, 0

    def launch(self: Lanes, rows: int):
        nonlocal launches
        launches += 1
        if launches == 4:
            raise FULL
        return real(self, rows)

    ended = {}
    with monkeypatch.context() as patch:
        patch.setattr(Lanes, "launch", launch)
        with pytest.raises(MemoryFullError, match=r"lower the batch \(up to 2 answers are decoded together"):
            ended.update((i, s.result) for i, s in engine.generate_many(requests, max_batch=2) if s.result)
    assert list(ended) == [0]
    assert engine._lanes is None
    again = {i: s.result for i, s in engine.generate_many(requests, max_batch=1) if s.result is not None}
    assert all(same(again[i], whole[i]) for i in range(3))


def test_lanes_of_the_last_batch_are_gone_before_larger_ones_are_made(engine, monkeypatch) -> None:
    list(engine.generate_many([asked("a", 2)]))
    old = weakref.ref(engine._lanes)
    alive: list[bool] = []

    class Watched(KVCache):
        def __init__(self, *args) -> None:
            alive.append(old() is not None)
            super().__init__(*args)

    monkeypatch.setattr(lanes, "KVCache", Watched)
    list(engine.generate_many([asked("a", 40), asked("b", 40)]))
    assert alive == [False]


def test_a_gpu_has_room_for_some_rows_or_says_so(engine, monkeypatch) -> None:
    runner = engine.weights.runner
    row = cuda_lanes.row_bytes(runner, 100)
    for free, rows in ((row * 2, 1), (row * 9, 8), (row * 10_000, 64)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 80 << 30))
        assert cuda_lanes.fitting(runner, 64, 100) == rows
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (row, 80 << 30))
    with pytest.raises(MemoryFullError, match="lower max_tokens"):
        cuda_lanes.fitting(runner, 64, 100)


def test_weights_that_do_not_fit(monkeypatch, capsys) -> None:
    def load(*args, **options):
        raise FULL

    monkeypatch.setattr("model.weights.Base.load", load)
    with pytest.raises(SystemExit) as end:
        main(["generate", "--prompt", "x", "--model", "tiny", "--device", "cpu"])
    assert end.value.code == 4
    assert "error: out of memory on cpu" in capsys.readouterr().err


def test_transformers_in_the_middle_of_an_answer() -> None:
    model = load("transformers:tiny", device="cpu")
    assert isinstance(model, TransformersModel)
    whole = complete(model, asked("def f(x):"))
    passes = 0

    def full(*_: object) -> None:
        nonlocal passes
        passes += 1
        if passes == 3:
            raise FULL

    hook = model._model.register_forward_pre_hook(full)
    with pytest.raises(MemoryFullError, match=r"on cpu .* lower max_tokens \(now 6\) or the prompt's length"):
        complete(model, asked("def f(x):"))
    hook.remove()
    assert passes == 3
    assert complete(model, asked("def f(x):")).token_ids == whole.token_ids


def test_weights_that_do_not_fit_transformers(monkeypatch, capsys) -> None:
    def load_weights(*args, **options):
        raise FULL

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", load_weights)
    with pytest.raises(SystemExit) as end:
        main(["generate", "--prompt", "x", "--model", "transformers:tiny", "--device", "cpu"])
    assert end.value.code == 4
    said = capsys.readouterr().err
    assert "error: out of memory on cpu" in said
    assert "lower the model (a smaller one)" in said


def test_vllm_in_the_middle_of_an_answer(monkeypatch) -> None:
    """vLLM itself needs a GPU: here is what our backend asks of it, without room for a step."""
    aborted: list[list[str]] = []
    peer = object.__new__(VLLMModel)
    peer._device, peer._tokenizer, peer._count = CPU, Tokenizer(store.resolve("tiny")), 0
    peer.info = ModelInfo("vllm:tiny", "qwen2", 512, "cpu", "fp32")

    class Engine:
        def add_request(self, *_: object) -> None: ...

        def step(self) -> list[object]:
            raise FULL

        def abort_request(self, names: list[str]) -> None:
            aborted.append(names)

    peer._engine = Engine()
    vllm = types.ModuleType("vllm")
    monkeypatch.setattr(vllm, "SamplingParams", lambda **_: None, raising=False)
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    with pytest.raises(MemoryFullError, match=r"lower max_tokens \(now 6\)"):
        complete(peer, asked("def f(x):"))
    assert aborted == [["1"]]
