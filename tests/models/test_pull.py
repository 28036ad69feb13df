"""Fetching models: which file is taken, what is kept of where it came from, and what a person reads."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest
from tiny import save_tiny_model

from dsanet_cli.config import Origin
from dsanet_cli.errors import ModelError, OutputError, UsageError
from dsanet_cli.models import pull as pull_module
from dsanet_cli.models.default import choose_model, use_model
from dsanet_cli.models.fetch import Remote
from dsanet_cli.models.published import Imported
from dsanet_cli.models.pull import list_authors_folder, pull

FILES = {"readme.txt": b"text", "model_xd.pth": b"xd-violence", "final.pth": b"ucf-crime", "model_ucf.pth": b"damaged"}
"""What lies in the folder: names do not always say what a file is."""


@pytest.fixture
def server(tmp_path):
    """Serves FILES; gives the address of each, and what was asked for."""
    (tmp_path / "served").mkdir()
    for name, data in FILES.items():
        (tmp_path / "served" / name).write_bytes(data)
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *_):
            asked.append(self.path.lstrip("/"))

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=tmp_path / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/", asked
        running.shutdown()


@pytest.fixture(autouse=True)
def folders(monkeypatch, tmp_path):
    """The user's models and downloads lie in the test's folder, and a file says by its text what it is."""
    monkeypatch.setenv("DSANET_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(pull_module, "downloads_folder", lambda: tmp_path / "downloads")
    monkeypatch.setattr(pull_module, "import_checkpoint", imported)


def imported(file, output, preset, overwrite, origin):
    data = file.read_text()
    if data not in ("ucf-crime", "xd-violence") or preset not in (None, data):
        raise ModelError(f"{file}: not a checkpoint for {preset}")
    directory = output or pull_module.user_models_folder() / data
    if overwrite:
        shutil.rmtree(directory, ignore_errors=True)
    save_tiny_model(directory, training={"data": data}, origin=origin)
    return Imported(directory, data, directory.name)


def unseen(remote):
    return lambda done, total: None


def listing(address):
    return lambda: [Remote(address + name, name, "https://folder") for name in FILES]


def test_the_file_is_told_by_what_it_holds_and_names_only_say_where_to_look_first(server, tmp_path):
    address, asked = server
    pulled = pull("ucf-crime", unseen, listing=listing(address))
    assert pulled.fetched
    assert asked == ["model_ucf.pth", "final.pth"]
    assert pulled.model.directory == tmp_path / "models" / "ucf-crime"
    assert not list((tmp_path / "downloads").iterdir())


def test_where_it_came_from_is_kept_and_a_second_pull_does_nothing(server, tmp_path):
    address, asked = server
    first = pull("xd-violence", unseen, listing=listing(address))
    origin = Origin(address + "model_xd.pth", hashlib.sha256(FILES["model_xd.pth"]).hexdigest())
    assert pull_module.read_config(first.model.directory).origin == origin
    again = pull("xd-violence", unseen, listing=lambda: pytest.fail("lists again"))
    assert (again.fetched, again.model.directory) == (False, first.model.directory)
    assert asked == ["model_xd.pth"]
    assert pull("xd-violence", unseen, overwrite=True, listing=listing(address)).fetched


def test_an_address_is_taken_and_recognised(server, tmp_path):
    address, asked = server
    sha256 = hashlib.sha256(FILES["final.pth"]).hexdigest()
    pulled = pull(address + "final.pth?download=true", unseen, sha256=sha256.upper())
    assert pulled.model.preset == "ucf-crime"
    assert not pull(address + "final.pth?download=true", unseen, sha256=sha256).fetched
    assert asked == ["final.pth?download=true"]


def test_a_model_from_elsewhere_is_not_taken_for_the_one_asked_for(server, tmp_path):
    address, _ = server
    save_tiny_model(tmp_path / "models" / "ucf-crime")  # imported by hand
    with pytest.raises(OutputError, match="exists already"):
        pull("ucf-crime", unseen, listing=lambda: pytest.fail("lists before it knows"))
    with pytest.raises(OutputError, match="exists already"):
        pull(address + "final.pth", unseen, output=tmp_path / "models" / "ucf-crime")


def test_a_download_is_kept_where_there_is_no_room_for_the_model(server, tmp_path, monkeypatch):
    address, asked = server
    sha256 = hashlib.sha256(FILES["final.pth"]).hexdigest()

    def fail(*_):
        raise OutputError("no room")

    with monkeypatch.context() as full:
        full.setattr(pull_module, "import_checkpoint", fail)
        with pytest.raises(OutputError, match=r"no room; the download is kept, .*: dsanet models import .*final\.pth$"):
            pull(address + "final.pth", unseen)
    assert (tmp_path / "downloads" / "final.pth").read_bytes() == FILES["final.pth"]
    assert pull(address + "final.pth", unseen, sha256=sha256).fetched
    assert asked == ["final.pth"], "what is there already is not fetched again"
    assert not list((tmp_path / "downloads").iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders")
@pytest.mark.parametrize("name", ["final.pth.part", "final.pth.tag"])
def test_a_pipe_in_the_way_of_a_download(server, tmp_path, name):
    (tmp_path / "downloads").mkdir()
    os.mkfifo(tmp_path / "downloads" / name)
    with pytest.raises(OutputError, match=f"{name}: is in the way of the download and no file"):
        pull(server[0] + "final.pth", unseen)


def test_hf_addresses_are_those_of_the_hub(server, monkeypatch):
    address, asked = server
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", address + "{repo_id}/{revision}/{filename}"
    )
    with pytest.raises(ModelError, match="answers 404"):
        pull("hf://owner/repository/folder/model.pth", unseen)
    assert asked[0].startswith("owner/repository/")
    assert asked[0].endswith("folder/model.pth")


@pytest.mark.parametrize("target", ["ucf", "hf://owner/model.pth", "ftp://host/model.pth", "model_ucf.pth", "https://"])
def test_what_is_no_address_is_said(target):
    with pytest.raises(UsageError, match="hf://owner/repository/file"):
        pull(target, unseen)


def test_a_hash_that_is_none_is_said():
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        pull("ucf-crime", unseen, sha256="abc", listing=lambda: pytest.fail("lists"))


def test_a_folder_without_checkpoints_is_said():
    with pytest.raises(ModelError, match=r"drive\.google\.com.*no checkpoint.*models import"):
        pull("ucf-crime", unseen, listing=lambda: [Remote("http://x/readme.txt", "readme.txt", "")])


def test_no_file_fits(server):
    address, _ = server
    only = [Remote(address + "model_xd.pth", "model_xd.pth", "")]
    with pytest.raises(ModelError, match="not a checkpoint for ucf-crime"):
        pull("ucf-crime", unseen, listing=lambda: only)


def test_without_a_network_the_folder_is_named_for_a_browser(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(
        ModelError, match=r"drive\.google\.com/drive/folders/.*cannot be listed.*models import"
    ) as raised:
        list_authors_folder()
    assert "\n" not in str(raised.value)


def test_the_model_taken_is_the_one_named_else_the_one_set_else_the_built_in(tmp_path, monkeypatch):
    assert choose_model(None).name == "street"
    assert choose_model("other").name == "other"
    save_tiny_model(tmp_path / "models" / "mine")
    use_model("mine")
    assert choose_model(None).name == "mine"
    assert "models use" in choose_model(None).reason
    save_tiny_model(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert Path(use_model("elsewhere")) == tmp_path / "elsewhere"
    monkeypatch.chdir("/")
    assert choose_model(None).name == str(tmp_path / "elsewhere")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders")
def test_nobody_waits_for_a_pipe_that_lies_where_the_model_is_set(tmp_path):
    (tmp_path / "models").mkdir(exist_ok=True)
    os.mkfifo(tmp_path / "models" / "default.txt")
    assert choose_model(None).name == "street"


def test_a_model_that_was_set_and_is_gone_is_said(tmp_path):
    save_tiny_model(tmp_path / "models" / "mine")
    use_model("mine")
    (tmp_path / "models" / "mine" / "config.json").unlink()
    with pytest.raises(ModelError, match="set with dsanet models use"):
        choose_model(None)
