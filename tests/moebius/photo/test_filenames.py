"""Names from strangers: what is left of them is safe on every system, and readable where it was."""

import pytest

from moebius.photo.filenames import MAX_STEM_BYTES, safe_stem, unique


@pytest.mark.parametrize(
    ("given", "stem"),
    [
        ("IMG_1.jpg", "IMG_1"),
        ("Urlaub (1) – Straße.JPG", "Urlaub (1) – Straße"),
        ("写真.png", "写真"),
        ("a.b.c.tiff", "a.b.c"),
        ("no suffix", "no suffix"),
        ("../../../etc/passwd", "passwd"),
        ("/etc/cron.d/evil.jpg", "evil"),
        ("C:\\Users\\me\\..\\evil.jpg", "evil"),
        ("..", "photo"),
        ("", "photo"),
        (".hidden.jpg", "hidden"),
        (".jpg", "jpg"),
        ("a\x00b\nc\x1b[2J.jpg", "abc[2J"),
        ("photo\u202egpj.exe.jpg", "photogpj.exe"),
        ("\ud800x.jpg", "x"),
        ('<img src=x onerror="1">.jpg', "_img src=x onerror=_1__"),
        ("what? a*b|c:d.jpg", "what_ a_b_c_d"),
        ("CON.jpg", "_CON"),
        ("com1.tar.gz", "_com1.tar"),
        ("console.jpg", "console"),
        ("e\u0301.jpg", "\u00e9"),
    ],
)
def test_what_is_left_of_a_name(given, stem):
    assert safe_stem(given) == stem


def test_long_names_are_cut_between_letters_and_keep_their_ending():
    for given in ("x" * 5000 + ".jpg", "é" * 5000 + ".jpg", "🙂" * 5000):
        stem = safe_stem(given)
        assert 100 < len(stem.encode()) <= MAX_STEM_BYTES and stem.strip(given[0]) == ""
    assert safe_stem("é" * 200 + "_mask.png", "_mask").endswith("éé_mask")
    assert len(safe_stem("é" * 200 + "_mask.png", "_mask").encode()) <= MAX_STEM_BYTES


def test_names_become_unique_whatever_their_case():
    taken = set()
    for expected in ("A.jpg", "A (2).jpg", "A (3).jpg"):
        name = unique("A", ".jpg", taken)
        assert name == expected
        taken.add(name.lower())
    assert unique("a", ".JPG", taken) == "a (4).JPG"
