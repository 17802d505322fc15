"""For all tests: no network, a cache of their own, one thread, and one tiny trained run that many of them read."""

import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from toy_run import TinyRun, nmt, phrasebook, write_recipe

from nmt.loading import load
from nmt.translator import Translator

LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost", "", None)


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """A connection outside this machine, or a look-up for one, fails the test, whoever would catch an error."""

    def guarded(reach: Any) -> Any:
        def check(*args: Any, **options: Any) -> Any:
            host = next((arg for arg in args if not isinstance(arg, socket.socket)), options.get("host"))
            host = host[0] if isinstance(host, tuple) else host
            if host not in LOCAL_HOSTS and not str(host).startswith("/"):  # or a Unix socket
                pytest.fail(f"something wants to reach {host}, but all of this must work without a network")
            return reach(*args, **options)

        return check

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", guarded(socket.getaddrinfo))
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NMT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny models are fastest so, and machines of any number of cores give the same numbers."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """A shell lets its background jobs ignore Ctrl-C, and so would these tests and all that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """A model that learned 200 short sentences by heart, half well. Only to be read: copy what a test changes."""
    folder = tmp_path_factory.mktemp("tiny")
    pairs = phrasebook(200)
    recipe = write_recipe(folder, pairs, test=pairs[10:50])
    changes = {
        "model.embed_dim": 32,
        "model.encoder_dim": 24,
        "model.decoder_dim": 48,
        "model.dropout": 0.0,
        "train.max_steps": 320,
        "train.batch_tokens": 300,
        "train.validate_every": 160,
        "train.log_every": 80,
    }
    options = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    result = nmt("train", recipe, "--run-dir", folder / "run", *options)
    assert result.code == 0, result.err
    return TinyRun(folder / "run", recipe, pairs, result.text)


@pytest.fixture(scope="session")
def translator(tiny: TinyRun) -> Translator:
    return load(tiny.run)
