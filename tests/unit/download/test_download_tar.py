"""VOC from tars of one's own: packed in other ways, cut off, no VOC, or with a way out."""

import tarfile
from pathlib import Path

import pytest

from core.data.dataset import open_dataset
from core.data.voc2012 import unpack_voc
from tests.unit.download.mirrors import left_in, pack, refused


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("prefix", ["VOCdevkit/VOC2012", "./VOCdevkit/VOC2012", "VOC2012", "."])
def test_a_tar_of_one_s_own_may_be_packed_in_other_ways(
    voc_folder: Path, tmp_path: Path, mode: str, prefix: str
) -> None:
    tar = tmp_path / "own.tar"
    tar.write_bytes(pack(voc_folder, prefix, mode))
    seen: list[tuple[int, int]] = []
    folder = unpack_voc(tar, tmp_path / "other", lambda done, total: seen.append((done, total)))
    assert folder == tmp_path / "other" / "VOCdevkit" / "VOC2012"
    assert len(open_dataset(folder).split("train")) == 4
    assert seen[-1][0] == seen[-1][1] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert tar.exists()


def test_augmented_masks_come_along(voc_folder: Path, tmp_path: Path) -> None:
    from shutil import copytree

    own = copytree(voc_folder, tmp_path / "own")
    copytree(own / "SegmentationClass", own / "SegmentationClassAug")
    (tmp_path / "own.tar").write_bytes(pack(own))
    assert len(list((unpack_voc(tmp_path / "own.tar") / "SegmentationClassAug").iterdir())) == 6


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_tar_that_was_cut_off_is_refused(
    voc_folder: Path, tmp_path: Path, root: Path, mode: str, share: float
) -> None:
    data = pack(voc_folder, mode=mode)
    tar = tmp_path / "own.tar"
    tar.write_bytes(data[: int(share * len(data))])
    assert str(tar) in refused(lambda: unpack_voc(tar))
    assert left_in(root) == set()


def test_a_file_that_is_no_tar_or_not_there_is_refused(tmp_path: Path, root: Path) -> None:
    text = tmp_path / "text.tar"
    text.write_text("no tar at all\n" * 100)
    assert "get it once more" in refused(lambda: unpack_voc(text))
    for path in (tmp_path / "none.tar", tmp_path):
        assert f"no file {path};" in refused(lambda path=path: unpack_voc(path))  # type: ignore[misc]
    assert left_in(root) == set()


@pytest.mark.parametrize("missing", ["JPEGImages", "SegmentationClass", "ImageSets"])
def test_a_tar_without_voc_s_folders_is_refused(voc_folder: Path, tmp_path: Path, root: Path, missing: str) -> None:
    from shutil import copytree, ignore_patterns

    own = copytree(voc_folder, tmp_path / "own", ignore=ignore_patterns(missing))
    (tmp_path / "own.tar").write_bytes(pack(own))
    assert "holds no VOC 2012" in refused(lambda: unpack_voc(tmp_path / "own.tar"))
    assert left_in(root) == set()


def test_a_tar_whose_lists_name_a_photo_it_lacks_is_refused(voc_folder: Path, tmp_path: Path, root: Path) -> None:
    from shutil import copytree, ignore_patterns

    own = copytree(voc_folder, tmp_path / "own", ignore=ignore_patterns("photo_3.jpg"))
    (tmp_path / "own.tar").write_bytes(pack(own))
    sentence = refused(lambda: unpack_voc(tmp_path / "own.tar"))
    assert "train.txt names photo_3, but its photo is missing" in sentence
    assert ".part" not in sentence
    assert left_in(root) == set()


def strange(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def fault_of(member: tarfile.TarInfo) -> str:
    """Return what the sentence says about a strange member."""
    if member.isreg():
        return "a path out of the folder"
    return f"a link to {member.linkname}" if member.linkname else "a device"


STRANGE = [
    strange("../outside.txt"),
    strange("VOCdevkit/VOC2012/JPEGImages/../../../../outside.jpg"),
    strange("/outside.txt"),
    strange("VOCdevkit/VOC2012/JPEGImages/a.jpg", tarfile.SYMTYPE, "/etc/hosts"),
    strange("VOCdevkit/VOC2012/JPEGImages/b", tarfile.SYMTYPE, "../../../.."),
    strange("VOCdevkit/VOC2012/JPEGImages/c.jpg", tarfile.LNKTYPE, "../../outside.txt"),
    strange("VOCdevkit/VOC2012/JPEGImages/d.jpg", tarfile.CHRTYPE),
    strange("VOCdevkit/VOC2012/JPEGImages/e.jpg", tarfile.FIFOTYPE),
]


@pytest.mark.parametrize("member", STRANGE, ids=lambda member: member.name)
def test_a_tar_with_a_way_out_is_refused(packed: bytes, tmp_path: Path, root: Path, member: tarfile.TarInfo) -> None:
    tar = tmp_path / "own.tar"
    tar.write_bytes(packed)
    with tarfile.open(tar, "a") as archive:
        archive.addfile(member)
    before = left_in(tmp_path)
    assert f"{tar} holds {member.name}, {fault_of(member)}, and" in refused(lambda: unpack_voc(tar))
    assert left_in(tmp_path) == before
    assert not root.exists()
