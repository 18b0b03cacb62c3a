"""Names that are checked, files that are written whole, names that moved."""

import contextlib
import os

import pytest

from checks import check_name, check_names, moved, replacing


def test_a_legal_name_is_returned_and_another_is_an_error_with_the_nearest():
    assert check_name("mel", ("mfcc", "mel"), "feature") == "mel"
    with pytest.raises(ValueError, match=r"feature 'mell'; choose from mfcc, mel\. .*'mel'"):
        check_name("mell", ("mfcc", "mel"), "feature")
    with pytest.raises(ValueError, match=r"Unknown speed 3; choose from 1, 2\.$"):
        check_name(3, (1, 2), "speed")


def test_names_come_once_in_the_order_of_the_legal_ones():
    legal = ("mfcc", "chroma", "mel")
    assert check_names(["mel", "mfcc", "mel"], legal, "feature") == ("mfcc", "mel")
    assert check_names("mel", legal, "feature") == ("mel",)
    for wrong in ([], ()):
        with pytest.raises(ValueError, match="No feature given; choose from mfcc, chroma, mel"):
            check_names(wrong, legal, "feature")
    with pytest.raises(ValueError, match="Did you mean 'chroma'"):
        check_names(["mel", "chrom"], legal, "feature")


def test_a_moved_name_is_imported_when_it_is_used():
    find = moved("old", {"math": "sqrt root=sqrt", "no_such_module": "later"})
    assert find("sqrt") is find("root") is __import__("math").sqrt
    with pytest.raises(AttributeError, match="module 'old' has no attribute 'cbrt'"):
        find("cbrt")
    with pytest.raises(ModuleNotFoundError):
        find("later")


@pytest.mark.parametrize(
    ("old", "name", "new", "now"),
    [
        ("voice", "Voice", "speech_features", "SpeechFrames"),
        ("voice", "SUMS", "speech_features", "SUMS"),
        ("features", "VOICE_FEATURES", "features", "SPEECH_FEATURES"),
        ("features", "Course", "features", "Contour"),
        ("features", "mel_filters", "kernels", "mel_filters"),
        ("features", "check_name", "checks", "check_name"),
        ("utils", "replacing", "checks", "replacing"),
        ("utils", "AVAILABLE_EMOTIONS", "parameters", "AVAILABLE_EMOTIONS"),
    ],
)
def test_old_names_are_where_they_were(old, name, new, now):
    assert getattr(__import__(old), name) is getattr(__import__(new), now)
    with pytest.raises(AttributeError, match=f"module '{old}' has no attribute 'nothing'"):
        __import__(old).nothing


# files


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_replacing_puts_the_whole_file_in_place(tmp_path):
    path = tmp_path / "new folder" / "notes.txt"
    with replacing(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    with replacing(path) as temporary:
        temporary.write_text("second")
        assert path.read_text() == "first"  # a reader in the meantime sees a whole file
    assert path.read_text() == "second"
    assert names(path.parent) == ["notes.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_replacing_leaves_the_old_file_whole_when_the_block_raises(tmp_path, error):
    path = tmp_path / "notes.txt"
    path.write_text("old and whole")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("new but ha")
        raise error
    assert path.read_text() == "old and whole"
    assert names(tmp_path) == ["notes.txt"]


def test_replacing_leaves_nothing_where_there_was_nothing(tmp_path):
    with contextlib.suppress(ZeroDivisionError), replacing(tmp_path / "x") as temporary:
        temporary.write_text(str(1 / 0))
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_replaced_file_is_as_readable_as_any_new_one(tmp_path):
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "replaced") as temporary:
        temporary.write_text("x")
    modes = {(tmp_path / name).stat().st_mode for name in ("plain", "replaced")}
    assert len(modes) == 1
