import hashlib
import os
import stat

import pytest

from moebius import files

# ---- writing ----


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole_and_keeps_its_permissions(tmp_path):
    path = tmp_path / "photo.jpg"
    files.write_atomic(path, b"one")
    umask = os.umask(0)
    os.umask(umask)
    assert path.read_bytes() == b"one" and stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o640)
    files.write_atomic(path, b"two", sync=False)
    assert path.read_bytes() == b"two" and stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"two")

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write_atomic(path, b"three")
    assert path.read_bytes() == b"two" and names(tmp_path) == ["photo.jpg"]


def test_a_missing_folder_is_made_only_when_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.write_atomic(tmp_path / "new" / "photo.jpg", b"x")
    files.write_atomic(tmp_path / "new" / "photo.jpg", b"x", make_folder=True)
    assert (tmp_path / "new" / "photo.jpg").read_bytes() == b"x"


@pytest.mark.skipif(os.name == "nt", reason="Windows asks for rights to make links")
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.txt").write_bytes(b"old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    files.write_atomic(tmp_path / "link.txt", b"new")
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "real.txt").read_bytes() == b"new"


def test_sync_waits_for_the_disk_and_without_it_nothing_does(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    files.write_atomic(tmp_path / "a", b"12345")
    assert synced == [5]
    files.write_atomic(tmp_path / "b", b"12345", sync=False)
    assert synced == [5]
    files.append_line(tmp_path / "c", {"a": 1})
    assert synced == [5, 9]


def test_while_a_file_is_written_the_old_one_is_there(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with files.replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old" and temporary.parent == tmp_path and temporary.match(files.TEMPORARY)
    assert path.read_bytes() == b"new" and names(tmp_path) == ["a.bin"]


def test_a_folder_is_replaced_whole_or_stays(tmp_path):
    target = tmp_path / "weights"
    with files.replacing_folder(target) as part:
        (part / "one").write_text("1")
    with files.replacing_folder(target) as part:
        (part / "two").write_text("2")
        assert names(target) == ["one"]
    assert names(tmp_path) == ["weights"] and names(target) == ["two"]
    with pytest.raises(ZeroDivisionError), files.replacing_folder(target) as part:
        (part / "three").write_text(str(1 / 0))
    assert names(tmp_path) == ["weights"] and names(target) == ["two"]


def test_a_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path):
    target = tmp_path / "weights"
    target.mkdir()
    (target / "one").touch()
    with pytest.raises(OSError), files.replacing_folder(target) as part:
        part.rmdir()  # then the last step fails
    assert names(tmp_path) == ["weights"] and names(target) == ["one"]


def test_what_killed_processes_left_is_deleted(tmp_path):
    (tmp_path / ".moebius-1.tmp").mkdir()
    (tmp_path / ".moebius-1.tmp" / "state.pt").touch()
    (tmp_path / ".moebius-2.tmp").touch()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / ".moebius-3.tmp").touch()
    (tmp_path / ".moebius-kept").touch()
    files.delete_abandoned(tmp_path)
    assert names(tmp_path) == [".moebius-kept", "below"] and names(tmp_path / "below") == [".moebius-3.tmp"]
    files.delete_abandoned(tmp_path, deep=True)
    assert names(tmp_path / "below") == []


# ---- reading ----


def test_sha256_of_files_and_bytes(tmp_path):
    data = bytes(range(256)) * 9000  # longer than one part
    (tmp_path / "a").write_bytes(data)
    assert files.sha256(tmp_path / "a") == files.sha256(data) == hashlib.sha256(data).hexdigest()
    assert files.sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing"),
        (b"{", "is not valid JSON: Expecting property name"),
        (b"\xff\xfe", "is not valid JSON: .*utf-8"),
        (b"[1]", "holds no JSON object"),
    ],
)
def test_a_bad_json_file_is_named_with_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "facts.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"facts\.json {message}"):
        files.read_json(path)
    with pytest.raises(LookupError, match=rf"facts\.json {message}"):
        files.read_json(path, LookupError)


def test_rows_of_json_and_a_last_one_that_a_kill_cut_off(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert files.read_lines(path) == []
    files.append_line(path, {"id": "ä", "n": 0.1})
    files.append_line(path, {"id": "b"})
    with path.open("a") as file:
        file.write('{"id": "c')
    assert files.read_lines(path) == [{"id": "ä", "n": 0.1}, {"id": "b"}]
    path.write_text('{"id": 1}\n{\n{"id": 3}\n')
    with pytest.raises(ValueError, match=r"line 2 of .*rows\.jsonl is not valid JSON"):
        files.read_lines(path)


# ---- what -o may be ----


def test_output_files(tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.touch()
    files.check_output_file(tmp_path / "new.png", [photo])
    files.check_output_file(photo)
    with pytest.raises(ValueError, match=r"photo\.jpg is an input; give another -o$"):
        files.check_output_file(tmp_path / "." / "photo.jpg", [tmp_path / "missing", photo])
    with pytest.raises(ValueError, match="give another -o, or say --overwrite"):
        files.check_output_file(photo, [photo], overwrite="--overwrite")
    with pytest.raises(ValueError, match="is a folder; -o needs a file"):
        files.check_output_file(tmp_path)
    with pytest.raises(ValueError, match="the folder .*missing of the output does not exist"):
        files.check_output_file(tmp_path / "missing" / "a.png")


def test_output_folders(tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.touch()
    files.check_output_folder(tmp_path)
    files.check_output_folder(tmp_path / "a" / "b")
    with pytest.raises(ValueError, match=r"photo\.jpg is a file; -o needs a folder"):
        files.check_output_folder(photo)
    with pytest.raises(LookupError, match="is a file; --to needs a folder"):
        files.check_output_folder(photo, option="--to", error=LookupError)
    with pytest.raises(ValueError, match="the folder .*a of the output does not exist"):
        files.check_output_folder(tmp_path / "a" / "b", needs_parent=True)


def test_folders_that_cannot_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the tests may run as root
    for check in (files.check_output_folder, lambda folder: files.check_output_file(folder / "a.png")):
        with pytest.raises(ValueError, match="cannot be written to"):
            check(tmp_path)
