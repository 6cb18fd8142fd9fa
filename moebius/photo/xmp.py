"""XMP packets: one property set in a packet, every other byte left as it is (ISO 16684-1).

The packet is parsed only to find the places; it is not written again, so prefixes, comments, order and unknown
properties stay. A packet with a document type (entities) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC_EXT = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
DIGITAL_SOURCE_TYPE = f"{IPTC_EXT} DigitalSourceType"
"""IPTC Photo Metadata Standard, extension schema: from what source a picture was made, a URI of a vocabulary."""

_TAG_NAME = re.compile(rb"<[^\s/>]+")
_ATTRIBUTE = re.compile(rb"\s+[^\s=/>]+\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_NEW = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f'<rdf:RDF xmlns:rdf="{RDF}">\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'
).encode()


_BEHIND = {
    "http://ns.adobe.com/hdr-gain-map/1.0/": re.compile(""),
    "http://ns.apple.com/HDRGainMap/1.0/": re.compile(""),
    "http://ns.google.com/photos/1.0/container/": re.compile("Directory$"),
}
"""Namespaces whose properties, all or those of a name, describe a picture or video behind the photo."""
_VIDEO = re.compile("MotionPhoto|MicroVideo|OLivePhoto")
"""Properties of Motion Photos, which phones write in namespaces of their own."""


class XmpError(ValueError):
    """A packet that cannot be changed safely."""


@dataclass
class _Places:
    """Where things stand in a packet, as (start, end) byte offsets."""

    rdf_end: int | None = None
    about: str = ""
    old: list[tuple[int, int]] = field(default_factory=list)
    """Of elements and attributes that hold the property now."""


def with_source_type(packet: bytes | None, uri: str) -> bytes:
    """The packet with `Iptc4xmpExt:DigitalSourceType` set to `uri`; a new one for None or an empty one.

    Padding behind the packet is used up first, so that its length grows only where there is none.

    Raises:
        XmpError: it is no well-formed UTF-8 packet with RDF in it, or has a document type.
    """
    packet = packet if packet and packet.strip(b"\0 \t\r\n") else _NEW
    body = packet.rstrip(b"\0")  # some writers end it with one
    places = _find(body)
    element = (
        f"<rdf:Description xmlns:rdf={quoteattr(RDF)} rdf:about={quoteattr(places.about)} "
        f"xmlns:Iptc4xmpExt={quoteattr(IPTC_EXT)}><Iptc4xmpExt:DigitalSourceType>{escape(uri)}"
        "</Iptc4xmpExt:DigitalSourceType></rdf:Description>\n"
    ).encode()
    out = body[: places.rdf_end] + element + body[places.rdf_end :]
    for start, end in sorted(places.old, reverse=True):  # all lie before the end of the RDF
        out = out[:start] + out[end:]
    return _with_less_padding(out, len(out) - len(body)) + packet[len(body) :]


def blank_descriptions(packet: bytes) -> bytes:
    """The packet, of the same length, without the properties that describe a gain map or video behind the photo.

    Blanks take their place; a packet that is damaged comes back as it is.
    """
    body = packet.rstrip(b"\0")
    try:
        spans = _descriptions(body)
    except (expat.ExpatError, XmpError, IndexError, ValueError):
        return packet
    out = bytearray(packet)
    for start, end in spans:
        out[start:end] = b" " * (end - start)
    return bytes(out)


def _descriptions(body: bytes) -> list[tuple[int, int]]:
    """(start, end) of every attribute and element that describes what stood behind the photo."""
    spans, prefixes, opened = [], {}, []
    parser = expat.ParserCreate("UTF-8", " ")

    def doctype(*_: object) -> None:
        raise XmpError("the XMP data have a document type, which XMP does not allow")

    def namespace(prefix: str | None, uri: str) -> None:
        prefixes[prefix or ""] = uri

    def start(name: str, attributes: dict[str, str]) -> None:
        at = parser.CurrentByteIndex
        opened.append((name, at))
        for first, last in _attributes(body, at):
            prefix, _, local = body[first:last].split(b"=")[0].strip().decode().partition(":")
            if _describes(prefixes.get(prefix, ""), local):
                spans.append((first, last))

    def end(name: str) -> None:
        at, (_, began) = parser.CurrentByteIndex, opened.pop()
        uri, _, local = name.rpartition(" ")
        if _describes(uri, local):
            tag_end = _end_of_tag(body, began)
            spans.append((began, tag_end if _is_empty(body, tag_end) else body.index(b">", at) + 1))

    parser.StartDoctypeDeclHandler = doctype
    parser.StartNamespaceDeclHandler = namespace
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.Parse(body, True)
    return spans


def _describes(uri: str, name: str) -> bool:
    return bool(uri) and bool(_VIDEO.match(name) or (uri in _BEHIND and _BEHIND[uri].match(name)))


def _with_less_padding(packet: bytes, max_bytes: int) -> bytes:
    """The packet without up to `max_bytes` bytes of the white space before its end."""
    end = packet.rfind(b"<?xpacket end")
    start = len(packet[: max(end, 0)].rstrip()) + 1  # the line break stays
    return packet[:start] + packet[start + max(0, min(max_bytes, end - start)) :]


def _find(body: bytes) -> _Places:
    """Raises XmpError as `with_source_type`."""
    places, prefixes, opened = _Places(), set(), []
    top = [f"{RDF} RDF", f"{RDF} Description"]  # the properties in there are the picture's, not an ingredient's
    parser = expat.ParserCreate("UTF-8", " ")
    parser.buffer_text = True

    def doctype(*_: object) -> None:
        raise XmpError("the XMP data have a document type, which XMP does not allow")

    def namespace(prefix: str | None, uri: str) -> None:
        if uri == IPTC_EXT and prefix:
            prefixes.add(prefix)

    def start(name: str, attributes: dict[str, str]) -> None:
        at = parser.CurrentByteIndex
        opened.append((name, at))
        if [name for name, _ in opened[-2:]] == top:
            places.about = places.about or attributes.get(f"{RDF} about", "")
            if DIGITAL_SOURCE_TYPE in attributes:
                places.old.append(_attribute(body, at, prefixes))

    def end(name: str) -> None:
        at, (_, began) = parser.CurrentByteIndex, opened.pop()
        if name == DIGITAL_SOURCE_TYPE and [name for name, _ in opened[-2:]] == top:
            tag_end = _end_of_tag(body, began)
            places.old.append((began, tag_end if _is_empty(body, tag_end) else body.index(b">", at) + 1))
        if name == f"{RDF} RDF" and not _is_empty(body, _end_of_tag(body, began)):
            places.rdf_end = at

    parser.StartDoctypeDeclHandler = doctype
    parser.StartNamespaceDeclHandler = namespace
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise XmpError(f"the XMP data are damaged: {error}") from error
    if places.rdf_end is None:
        raise XmpError("the XMP data hold no RDF")
    return places


def _attribute(body: bytes, at: int, prefixes: set[str]) -> tuple[int, int]:
    """Where the property stands as an attribute in the start tag at `at`, the space before it included."""
    names = b"|".join(re.escape(prefix.encode()) for prefix in sorted(prefixes))
    pattern = re.compile(rb"\s+(?:%s):DigitalSourceType\s*=" % names)
    return next(span for span in _attributes(body, at) if pattern.match(body, span[0]))


def _attributes(body: bytes, at: int) -> Iterator[tuple[int, int]]:
    """(start, end) of each attribute of the start tag at `at`, the space before it included."""
    if (tag := _TAG_NAME.match(body, at)) is None:  # the packet is in UTF-16, say
        raise XmpError("the XMP data are not encoded as UTF-8")
    at = tag.end()
    while found := _ATTRIBUTE.match(body, at):
        yield found.span()
        at = found.end()


def _is_empty(body: bytes, tag_end: int) -> bool:
    """Whether the tag that ends there is an element of its own: <a/>."""
    return body[tag_end - 2 : tag_end] == b"/>"


def _end_of_tag(body: bytes, at: int) -> int:
    """Offset behind the start tag at `at`, whose values may hold brackets."""
    *_, (_, last) = (at, at), *_attributes(body, at)
    return body.index(b">", last) + 1
