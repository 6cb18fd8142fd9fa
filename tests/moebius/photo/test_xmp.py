"""One property set in an XMP packet: read back by another parser, and every other byte where it was."""

from xml.etree import ElementTree

import pytest

from moebius.photo.ai_mark import NOT_TRAINED, TRAINED
from moebius.photo.xmp import IPTC_EXT, RDF, XmpError, blank_descriptions, with_source_type

FULL = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Some Tool 1.0">
 <r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <!-- a comment > with a bracket -->
  <r:Description r:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:e="%s"%s>
   <dc:creator><r:Seq><r:li>Zoë &amp; <![CDATA[<Co>]]></r:li></r:Seq></dc:creator>%s
   <dc:history><r:Description><e:DigitalSourceType>an ingredient's</e:DigitalSourceType></r:Description></dc:history>
  </r:Description>
 </r:RDF>
</x:xmpmeta>%s<?xpacket end="w"?>"""


def full(attribute: str = "", element: str = "", padding: str = "\n") -> bytes:
    return (FULL % (IPTC_EXT, attribute, element, padding)).encode()


def source_types(packet: bytes) -> list[str]:
    """The picture's own, by ElementTree, be they elements or attributes."""
    found = []
    for description in ElementTree.fromstring(packet.strip(b"\0").decode()).iter(f"{{{RDF}}}RDF"):
        for top in description:
            found += [element.text for element in top if element.tag == f"{{{IPTC_EXT}}}DigitalSourceType"]
            found += [value for name, value in top.attrib.items() if name == f"{{{IPTC_EXT}}}DigitalSourceType"]
    return found


@pytest.mark.parametrize("nothing", [None, b"", b"\0", b"  \n"])
def test_a_new_packet(nothing):
    packet = with_source_type(nothing, TRAINED)
    assert source_types(packet) == [TRAINED]
    assert packet.startswith(b'<?xpacket begin="\xef\xbb\xbf"') and packet.endswith(b'<?xpacket end="w"?>')
    assert source_types(with_source_type(packet, NOT_TRAINED)) == [NOT_TRAINED]


@pytest.mark.parametrize(
    "before, after",
    [
        (full(), full()),
        (full(' e:DigitalSourceType="old > one" e:Other="x"'), full(' e:Other="x"')),
        (full(" e:DigitalSourceType = 'old'"), full()),
        (full(element="<e:DigitalSourceType>old</e:DigitalSourceType>"), full()),
        (full(element='<e:DigitalSourceType r:resource="old"/>'), full()),
    ],
)
def test_the_old_value_goes_and_every_other_byte_stays(before, after):
    packet = with_source_type(before, TRAINED)
    assert source_types(packet) == [TRAINED]
    start = packet.index(b"<rdf:Description xmlns:rdf")
    end = packet.index(b"</rdf:Description>\n", start) + len(b"</rdf:Description>\n")
    assert packet[:start] + packet[end:] == after
    assert b'rdf:about="uuid:1"' in packet[start:end]  # all descriptions of a packet are about the same


def test_padding_is_used_up_before_the_packet_grows():
    before = full(padding="\n" + " " * 2000 + "\n")
    assert len(with_source_type(before, TRAINED)) == len(before)
    assert len(with_source_type(before + b"\0", TRAINED)) == len(before) + 1
    short = with_source_type(full(padding="\n" + " " * 50), TRAINED)
    assert source_types(short) == [TRAINED] and b"</x:xmpmeta>\n<?xpacket end" in short


@pytest.mark.parametrize(
    "packet, part",
    [
        (full()[:300], "damaged"),
        (full().replace(b"<dc:creator>", b"<dc:creator"), "damaged"),
        (b"\xff\xfe<\0x\0", "damaged"),
        (b"no XML at all", "damaged"),
        (b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>", "no RDF"),
        (f"<rdf:RDF xmlns:rdf='{RDF}'/>".encode(), "no RDF"),
        (b"<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;'>]>" + full(), "document type"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + full(), "document type"),
        (b"<a>" * 100_000, "damaged"),
        (full(padding=" " * 200_000)[:-19], "no RDF|damaged|none"),
    ],
)
def test_what_cannot_be_changed_safely_is_refused(packet, part):
    if part.endswith("none"):  # no end mark, and much white space: neither an error nor slow
        assert source_types(with_source_type(packet, TRAINED)) == [TRAINED]
        return
    with pytest.raises(XmpError, match=part):
        with_source_type(packet, TRAINED)


def test_a_packet_in_utf_16_is_left_alone():
    """As ExifTool's test photos have it; the parser counts other bytes than ours."""
    packet = '<x:xmpmeta xmlns:x="adobe:ns:meta/" a="1"/>'.encode("utf-16-be")
    assert blank_descriptions(packet) == packet
    with pytest.raises(XmpError):
        with_source_type(packet, "uri")
