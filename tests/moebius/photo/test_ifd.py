import io

import numpy as np
import pytest
import tifffile

from moebius.photo.ifd import read_directory, read_layout, read_values, write_values


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}])
def test_reads_what_tifffile_wrote_and_writes_in_place(options):
    out = io.BytesIO()
    tifffile.imwrite(out, np.zeros((40, 30), np.uint8), rowsperstrip=8, photometric="minisblack", **options)
    data = bytearray(out.getvalue())
    layout = read_layout(data)
    assert layout.big == ("bigtiff" in options) and layout.order == options.get("byteorder", "<")
    entries, following = read_directory(data, layout, layout.first)
    assert following == 0
    assert read_values(data, layout, entries[256]) == (30,) and read_values(data, layout, entries[257]) == (40,)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert read_values(data, layout, entries[273]) == file.pages[0].dataoffsets
    write_values(data, layout, entries[273], (16, 24, 32, 40, 48))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.pages[0].dataoffsets == (16, 24, 32, 40, 48)


@pytest.mark.parametrize("data", [b"", b"II*", b"PK\3\4----", b"II\x63\0\x08\0\0\0"])
def test_no_tiff(data):
    with pytest.raises(ValueError, match="no TIFF structure"):
        read_layout(data)


def test_damaged_directories():
    data = b"II*\0\x08\0\0\0\xff\xff" + bytes(30)
    with pytest.raises(ValueError, match="does not lie within"):
        read_directory(data, read_layout(data), 8)
    far = b"II*\0\x08\0\0\0\x01\0\x00\x01\x04\0\xff\0\0\0\xff\xff\0\0" + bytes(4)
    layout = read_layout(far)
    with pytest.raises(ValueError, match="outside the data"):
        read_values(far, layout, read_directory(far, layout, 8)[0][256])
