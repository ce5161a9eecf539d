"""Files of every kind in the place of weights: opened, or called by their name; too large or damaged ones refused."""

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models.segmentation import DeepLabV3

from core.model.checkpoint import archive
from core.model.checkpoint.archive import LEGACY, ZIP, read_weights_file
from core.model.checkpoint.checkpoint_file import open_checkpoint, save_checkpoint
from tests.small_models import META, is_equal, refused, repacked, same_logits

Check = Callable[[object, Path], str]


# --- what is not weights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"PK\x03\x04 is no zip", b"\x00\x01\x02\x03", b"\x80", b"\x80\x02\x8a"])
def test_what_is_no_pytorch_file_is_called_so(tmp_path: Path, data: bytes, one_sentence: Check) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(data)
    assert "not a PyTorch file or was cut short" in one_sentence(refused(file), file)


def tarred(format_: int) -> bytes:
    """A tar that holds one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=format_) as archive:
        archive.addfile(tarfile.TarInfo("run/best.pth"), io.BytesIO(b""))
    return packed.getvalue()


def protobuf(*fields: tuple[int, bytes | int]) -> bytes:
    """A protobuf message, as https://protobuf.dev/programming-guides/encoding writes short fields."""
    parts = [
        bytes([number << 3, value]) if isinstance(value, int) else bytes([number << 3 | 2, len(value)]) + value
        for number, value in fields
    ]
    return b"".join(parts)


OLD_TAR = bytearray(tarred(tarfile.USTAR_FORMAT))
OLD_TAR[257:265] = bytes(8)  # what was there before POSIX gave tar a sign
OLD_TAR[148:156] = b"%06o\0 " % (sum(OLD_TAR[:148]) + 8 * 32 + sum(OLD_TAR[156:512]))
ONNX = protobuf((1, 8), (2, b"pytorch"), (7, b"the graph"), (8, b"opset"))
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (bytes(40_000), "full of zeros"),
        (LFS, "`git lfs pull`"),
        (b"<!DOCTYPE html><html><title>Virus scan warning</title>", "a web page"),
        (b"\xef\xbb\xbf\r\n  <HTML>404</HTML>", "a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page"),
        (b'{"epochs": 10}\n', "is JSON"),
        (b'\n[{"epoch": 1}]', "is JSON"),
        ('{"a": 1}'.encode("utf-16"), "is JSON"),
        (b"Entry not found", 'text, no weights (it begins "Entry not found")'),
        (b"epochs: 10\nlr: 0.01\n", 'text, no weights (it begins "epochs: 10")'),
        (gzip.compress(b"weights", mtime=0), "a gzip archive; unpack it"),
        (lzma.compress(b"weights"), "an xz archive; unpack it"),
        (bz2.compress(b"weights"), "a bzip2 archive; unpack it"),
        (b"\x28\xb5\x2f\xfd\x24\x07\x39\x00\x00weights", "a zstd archive; unpack it"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive; unpack it"),
        (b"Rar!\x1a\x07\x01\x00", "a rar archive; unpack it"),
        (tarred(tarfile.USTAR_FORMAT), "a tar archive; unpack it"),
        (tarred(tarfile.GNU_FORMAT), "a tar archive; unpack it"),
        (tarred(tarfile.PAX_FORMAT), "a tar archive; unpack it"),
        (bytes(OLD_TAR), "a tar archive; unpack it"),
        (ONNX, "an ONNX program"),
        (b"\x89HDF\r\n\x1a\n and so on", "Keras"),
        (b"\x1c\x00\x00\x00TFL3", "TensorFlow Lite"),
        (b"GGUF\x03\x00\x00\x00", "language model"),
        (b"\x93NUMPY\x01\x00", "NumPy array"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\xff\xd8\xff\xe0", "a JPEG picture"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".pth.tar", ".safetensors"])
def test_what_people_take_for_weights_is_called_by_its_name(
    tmp_path: Path, data: bytes, says: str, suffix: str, one_sentence: Check
) -> None:
    """A web page, a Git LFS pointer, an archive or an ONNX program was "not a PyTorch file or was cut short"."""
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(data)
    assert says in one_sentence(refused(file), file)


def test_an_onnx_program_of_torch_is_told_by_its_fields(tmp_path: Path, one_sentence: Check) -> None:
    """Under `.pth` it was "not a PyTorch file or was cut short"."""
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [3]) for name in "ab"]
    graph = onnx.helper.make_graph([node], "one node", values[:1], values[1:])
    file = tmp_path / "model.pth"
    onnx.save(onnx.helper.make_model(graph, producer_name="a name"), file)
    assert "an ONNX program" in one_sentence(refused(file), file)


def test_any_garbage_is_refused_in_words(tmp_path: Path) -> None:
    """Some bytes sent IndexError or struct.error out of torch's unpickler."""
    rng = random.Random(0)
    file = tmp_path / "garbage.pt"
    for length in [*range(1, 60)] * 5:
        file.write_bytes(bytes(rng.randrange(128) for _ in range(length)))
        refused(file)
    for opcode in range(256):
        file.write_bytes(bytes([opcode]))
        refused(file)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(mobilenet: DeepLabV3, tmp_path: Path, share: float, one_sentence: Check) -> None:
    save_checkpoint(tmp_path / "whole.pt", mobilenet, META)
    data = (tmp_path / "whole.pt").read_bytes()
    file = tmp_path / "cut.pt"
    file.write_bytes(data[: int(share * len(data))])
    assert "cut short" in one_sentence(refused(file), file)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path, one_sentence: Check) -> None:
    assert "There is no checkpoint" in one_sentence(refused(tmp_path / "none.pt"), tmp_path / "none.pt")
    one_sentence(refused(tmp_path), tmp_path)


def test_a_single_tensor_is_no_model(tmp_path: Path, one_sentence: Check) -> None:
    torch.save(torch.zeros(3), tmp_path / "t.pt")
    assert "holds a Tensor" in one_sentence(refused(tmp_path / "t.pt"), tmp_path / "t.pt")


def test_an_archive_of_numpy_arrays_and_another_zip_file_are_named(tmp_path: Path, one_sentence: Check) -> None:
    np.savez(tmp_path / "weights.npz", weight=np.zeros(3))
    assert "zip archive of NumPy arrays" in one_sentence(refused(tmp_path / "weights.npz"), tmp_path / "weights.npz")
    with zipfile.ZipFile(tmp_path / "run.zip", "w") as packed:
        packed.writestr("run/best.pt", b"")
    assert "it holds run/best.pt" in one_sentence(refused(tmp_path / "run.zip"), tmp_path / "run.zip")


class Shallow(torch.nn.Module):
    """The smallest model."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 1)

    def forward(self, images_N3HW: torch.Tensor) -> torch.Tensor:
        return self.conv(images_N3HW)


def test_torchscript_is_a_program_and_the_way_to_its_weights_is_told(tmp_path: Path, one_sentence: Check) -> None:
    file = tmp_path / "traced.pt"
    with pytest.warns(FutureWarning, match=r"torch\.jit"):  # of torch.jit itself
        torch.jit.save(torch.jit.trace(Shallow(), torch.zeros(1, 3, 4, 4)), file)
    text = one_sentence(refused(file), file)
    assert "is a TorchScript archive" in text
    assert "torch.save(torch.jit.load('traced.pt').state_dict(), 'weights.pt')" in text


def test_a_program_of_torch_export_is_named(tmp_path: Path, one_sentence: Check) -> None:
    file = tmp_path / "exported.pt2"
    torch.export.save(torch.export.export(Shallow().eval(), (torch.zeros(1, 3, 4, 4),)), file)
    text = one_sentence(refused(file), file)
    assert "is a program of torch.export" in text
    assert "torch.export.load('exported.pt2').state_dict" in text


# --- what is too large, and what is damaged -------------------------------------------------------------------------


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path, one_sentence: Check) -> None:
    """Two gigabytes of nothing, which take no room on the disk."""
    file = tmp_path / "huge.pt"
    with file.open("wb") as opened:
        opened.truncate(archive.MAX_FILE_BYTES + 1)
    assert "2.1 GB" in one_sentence(refused(file), file)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, one_sentence: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousandth of what it would unpack to; the bound is lowered here, since packing two gigabytes takes long."""
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 50_000_000)
    file = tmp_path / "bomb.pt"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bomb/data.pkl", b"\x80\x02}.")
        packed.writestr("bomb/data/0", bytes(60_000_000))
    assert file.stat().st_size < 100_000
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("it was unpacked"))
    assert "would unpack to 0.1 GB" in one_sentence(refused(file), file)


def test_a_description_that_is_too_large_is_refused(tmp_path: Path, one_sentence: Check) -> None:
    """A pickle takes fifty times its size once it is read."""
    file = tmp_path / "bomb.pt"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bomb/data.pkl", b"]" * (archive.MAX_PICKLE_BYTES + 1))
    assert "would unpack to 0.1 GB" in one_sentence(refused(file), file)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 10**9) + b'{"a":1}',
        struct.pack("<Q", 7) + b'{"a":1}',
        struct.pack("<Q", 2) + b"{}" + b"left over",
        struct.pack("<Q", 60) + b'{"w":{"dtype":"F32","shape":[9],"data_offsets":[0,99999999]}}'[:60],
        b"\x02",
    ],
)
def test_a_damaged_safetensors_file_is_called_so(tmp_path: Path, data: bytes, one_sentence: Check) -> None:
    """A header that claims more than there is once made readers take the memory for it."""
    file = tmp_path / "weights.safetensors"
    file.write_bytes(data)
    assert "not a whole safetensors file" in one_sentence(refused(file), file)


def test_a_compressed_zip_file_is_not_mapped(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    """Mapped as it lay, a file that was packed again ended in "Trying to resize storage that is not resizable"."""
    torch.save(mobilenet.state_dict(), tmp_path / "whole.pt")
    packed = repacked(tmp_path / "whole.pt", tmp_path / "packed.pt", method=zipfile.ZIP_DEFLATED)
    assert same_logits(open_checkpoint(packed).build(), mobilenet)


@pytest.mark.parametrize("is_own", [True, False])
def test_a_single_flipped_bit_among_the_weights_is_found(mobilenet: DeepLabV3, tmp_path: Path, is_own: bool) -> None:
    """PyTorch compares no checksums of a file that it maps: one weight was another, and nothing said so."""
    file = tmp_path / "best.pt"
    if is_own:
        save_checkpoint(file, mobilenet, META)
    else:
        torch.save(mobilenet.state_dict(), file)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert "Bad CRC-32" in str(refused(file))


def test_zip_and_legacy_hold_the_same(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    state = mobilenet.state_dict()
    for container in (ZIP, LEGACY):
        torch.save(state, tmp_path / container, _use_new_zipfile_serialization=container == ZIP)
        content = read_weights_file(tmp_path / container)
        assert content.container == container
        assert is_equal(content.document, state)


def test_safetensors_are_told_by_their_content(tmp_path: Path) -> None:
    save_file({"a": torch.arange(3.0)}, tmp_path / "weights.bin", metadata={"format": "pt"})
    content = read_weights_file(tmp_path / "weights.bin")
    assert content.metadata == {"format": "pt"}
    assert is_equal(content.document, {"a": torch.arange(3.0)})
