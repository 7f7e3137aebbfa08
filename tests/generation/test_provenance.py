"""What generated files say of themselves: whether other programs read it, and whether it changes what they hold."""

import io
import json
import re
import struct
from xml.etree import ElementTree

import numpy
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from multigan.errors import UserError
from multigan.generation.provenance import SOURCE, chunk, mark, read

RECORD = {
    "multigan": "0.2.0",
    "model": "digits",
    "seed": 0,
    "sample": 3,
    "label": "<a & \"b'> ä \ufffe \udce9 <x:xmpmeta",
}
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"


def pixels(size=(5, 7), mode="RGB"):
    numbers = numpy.random.default_rng(0).integers(0, 256, (*size, 3), numpy.uint8)
    return Image.fromarray(numbers).convert(mode)


@pytest.mark.parametrize(("ending", "mode"), [(".png", "RGB"), (".png", "L"), (".png", "I;16"), (".jpg", "RGB")])
def test_pictures_are_as_they_were_and_have_the_source_where_others_look_for_it(tmp_path, ending, mode):
    file = tmp_path / f"picture{ending}"
    (pixels() if mode == "RGB" else pixels(mode="L").convert(mode)).save(file)
    before = numpy.asarray(Image.open(file))
    assert mark(file, RECORD)
    with Image.open(file) as after:
        assert numpy.array_equal(numpy.asarray(after), before)
        # Pillow finds the packet by the rules of the format: a text chunk of this name, or an application segment.
        packet = after.info["xmp"] if ending == ".jpg" else after.text["XML:com.adobe.xmp"]
    (source,) = (one.get(IPTC) for one in ElementTree.fromstring(packet).iter() if one.get(IPTC))
    assert source == SOURCE
    assert read(file) == RECORD


@pytest.mark.parametrize("frames", [100, 101])
def test_sounds_are_as_they_were_and_say_it_in_their_comment(tmp_path, frames):
    file = tmp_path / "sound.wav"
    samples = numpy.random.default_rng(0).integers(-9999, 9999, (frames, 1), numpy.int16)
    soundfile.write(file, samples, 8000, "PCM_16")
    assert mark(file, RECORD)
    content = file.read_bytes()
    assert struct.unpack("<I", content[4:8])[0] == len(content) - 8
    with soundfile.SoundFile(file) as opened:
        assert numpy.array_equal(opened.read(dtype="int16", always_2d=True), samples)
        assert json.loads(opened.comment) == RECORD
        assert opened.software.startswith("multigan ")
    assert read(file) == RECORD


def test_chunks_have_an_even_number_of_bytes():
    assert chunk(b"ICMT", b"abc") == b"ICMT\x03\0\0\0abc\0"
    assert chunk(b"ICMT", b"ab") == b"ICMT\x02\0\0\0ab"


@settings(deadline=None, max_examples=40)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30), number=st.integers(0, 2**62))
def test_any_text_comes_back(tmp_path_factory, text, number):
    file = tmp_path_factory.mktemp("any") / "picture.png"
    pixels().save(file)
    mark(file, {"label": text, "seed": number})
    assert read(file) == {"label": text, "seed": number}


def test_formats_without_metadata_are_left_as_they_are(tmp_path):
    file = tmp_path / "samples.txt"
    file.write_text("a sentence")
    assert not mark(file, RECORD)
    assert file.read_text() == "a sentence"


def test_what_is_not_what_its_name_says_is_left_as_it_is(tmp_path):
    for ending in (".png", ".jpg", ".wav"):
        file = tmp_path / f"strange{ending}"
        file.write_bytes(b"something else")
        mark(file, RECORD)
        assert file.read_bytes() == b"something else"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'<x:xmpmeta xmlns:m="urn:multigan" m:sample="5"></x:xmpmeta>',
        b"<x:xmpmeta></x:xmpmeta>",
        b"<x:xmpmeta",
        b"</x:xmpmeta><x:xmpmeta",
        None,
    ],
)
def test_file_that_says_nothing_is_one_line(tmp_path, content):
    file = tmp_path / "picture.png"
    if content is None:
        file = tmp_path / "none.png"
    else:
        file.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(str(file))):
        read(file)


def test_packet_is_no_more_than_a_kilobyte(tmp_path):
    file = io.BytesIO()
    pixels().save(file, "PNG")
    place = tmp_path / "picture.png"
    place.write_bytes(file.getvalue())
    mark(place, RECORD)
    assert place.stat().st_size - len(file.getvalue()) < 1000
