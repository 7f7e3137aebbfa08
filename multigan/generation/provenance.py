"""What generated files say of themselves: that they were generated, and by what, so that each can be made again.

Pictures and sounds carry an XMP packet (ISO 16684-1) with IPTC's digital source type, which other programs read, and a
record of what made the file, as JSON. A WAV has the record as its comment too, and a Parquet file both in its schema.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from multigan.errors import UserError
from multigan.version import __version__

if TYPE_CHECKING:
    from multigan.generation.generator import TrainedGenerator

SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SPACE = "urn:multigan"
START, END = b"<x:xmpmeta", b"</x:xmpmeta>"
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
LARGEST_SEGMENT, LARGEST_WAV = 2**16 - 3, 2**32 - 2**20  # bytes: larger ones are left as they are
HEADER = 25  # bytes of a PNG's first chunk, after which others may stand
Record = dict[str, Any]


def record_of(generator: TrainedGenerator, model: str) -> Record:
    """What made the files of one call. Of a folder only its name is told, or that of its run: paths are private."""
    from multigan.config import CONFIG_FILE
    from multigan.generation.model_folder import STARTERS

    folder = Path(model).expanduser().resolve()
    if folder.parent == STARTERS:
        model = f"starter/{folder.name}"
    elif folder.exists():
        model = (folder.parent if (folder.parent / CONFIG_FILE).is_file() else folder).name
    return {"multigan": __version__, "modality": generator.name, "model": model, "weights": generator.digest}


def public(value: Any) -> Any:
    """A value as files may tell it: of a path, the name alone."""
    return Path(value).name if isinstance(value, str) and value and Path(value).exists() else value


def mark(file: Path, record: Mapping[str, Any]) -> bool:
    """Write a record into the metadata of a PNG, JPEG or WAV file.

    Args:
        file: The file, which is written anew.
        record: Plain values: what made it.

    Returns:
        Whether the format has metadata; other files are left as they are.
    """
    change = MARKS.get(file.suffix.lower())
    if change is not None:
        file.write_bytes(change(file.read_bytes(), dict(record)))
    return change is not None


def read(file: Path) -> Record:
    """The record of a file that was generated.

    Raises:
        UserError: It cannot be read, or has none.
    """
    try:
        content = xmp_of_parquet(file) if file.suffix.lower() == ".parquet" else file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    start = content.find(START)
    end = content.find(END, start)
    try:
        tree = ElementTree.fromstring(content[start : end + len(END)] if 0 <= start < end else b"")
        (text,) = (found for one in tree.iter() if (found := one.get(f"{{{SPACE}}}sample")))
        record = dict(json.loads(text).items())
    except (ElementTree.ParseError, ValueError, AttributeError) as error:
        raise UserError(
            f"{file} does not say how it was made: expected a picture or a sound that multigan generated"
        ) from error
    return record


def xmp_of_parquet(file: Path) -> bytes:
    """The packet in the schema of a table; nothing where there is none."""
    import pyarrow
    import pyarrow.parquet as pq

    try:
        metadata: dict[bytes, bytes] = pq.read_schema(file).metadata or {}
    except pyarrow.ArrowInvalid:
        return b""
    return metadata.get(b"xmp", b"")


def packet(record: Record) -> bytes:
    """The XMP packet of a record."""
    text = quoteattr(json.dumps(record))
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:multigan="{SPACE}" '
        f'xmp:CreatorTool="multigan {__version__}" Iptc4xmpExt:DigitalSourceType="{SOURCE}" multigan:sample={text}/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def of_table(record: Record) -> dict[bytes, bytes]:
    """The record and its packet, for the schema of a Parquet file."""
    return {b"multigan": json.dumps(record).encode(), b"xmp": packet(record)}


def marked_png(content: bytes, record: Record) -> bytes:
    """A PNG with the packet in a text chunk after its header."""
    kind, body = b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet(record)
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    place = len(PNG) + HEADER
    return content[:place] + chunk + content[place:] if content.startswith(PNG) else content


def marked_jpeg(content: bytes, record: Record) -> bytes:
    """A JPEG with the packet in an application segment at its start."""
    body = b"http://ns.adobe.com/xap/1.0/\0" + packet(record)
    if not content.startswith(JPEG) or len(body) > LARGEST_SEGMENT:
        return content
    return JPEG + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[len(JPEG) :]


def marked_wav(content: bytes, record: Record) -> bytes:
    """A WAV with the packet, and the record as a comment, in chunks at its end."""
    if content[:4] != b"RIFF" or len(content) > LARGEST_WAV:
        return content
    names = chunk(b"ISFT", f"multigan {__version__}\0".encode()) + chunk(b"ICMT", json.dumps(record).encode() + b"\0")
    content += b"\0" * (len(content) % 2)  # which some programs leave out
    content += chunk(b"_PMX", packet(record)) + chunk(b"LIST", b"INFO" + names)
    return content[:4] + struct.pack("<I", len(content) - 8) + content[8:]


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a RIFF file, of an even number of bytes."""
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


MARKS: dict[str, Callable[[bytes, Record], bytes]] = {
    ".png": marked_png,
    ".jpg": marked_jpeg,
    ".jpeg": marked_jpeg,
    ".wav": marked_wav,
}
