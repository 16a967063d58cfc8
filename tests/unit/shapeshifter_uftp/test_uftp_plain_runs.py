"""Long ISP lists are read from the text: whatever the document, the outcome must be that of reading the tree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapeshifter_uftp import uftp
from shapeshifter_uftp.exceptions import SchemaException
from shapeshifter_uftp.plain_runs import cut_runs
from shapeshifter_uftp.reading import _read_document, message_from_xml
from shapeshifter_uftp.writing import message_to_xml

WITH_ISPS = [
    uftp.DPrognosis, uftp.FlexRequest, uftp.FlexOffer, uftp.FlexOrder, uftp.FlexReservationUpdate, uftp.Metering,
    uftp.FlexSettlement,
]  # fmt: skip
ATTRIBUTES = {
    "Power": ["-5", "0", "+4", "12345678901234567890123", "1.5", ""],
    "MinPower": ["-3000", "0", "x"],
    "MaxPower": ["0", "3000"],
    "Start": ["{n}", "{n}", "{n}", "0{n}", "0", " {n} ", "&#49;"],
    "Duration": ["1", "4", "0", "-1"],
    "Disposition": ["Available", "Requested", "requested", "Accepted"],
    "Value": ["0.125", "-1", ".5", "1e3", "NaN"],
    "BaselinePower": ["1"], "OrderedFlexPower": ["1"], "ActualPower": ["1"], "DeliveredFlexPower": ["1"],
    "PowerDeficiency": ["0"], "ReservedPower": ["1"], "More": ["1"],
}  # fmt: skip
OF_TYPE = {
    "D-Prognosis": ["Power", "Start"], "FlexRequest": ["Disposition", "MinPower", "MaxPower", "Start", "Duration"],
    "FlexOffer": ["Power", "Start"], "FlexOrder": ["Power", "Start", "Duration"],
    "FlexReservationUpdate": ["Power", "Start"], "Metering": ["Start", "Value"],
    "FlexSettlement": ["Start", "BaselinePower", "OrderedFlexPower", "ActualPower", "DeliveredFlexPower"],
}  # fmt: skip
FORMS = [
    "<ISP{}/>",
    "<ISP{} />",
    "\n  <ISP{}/>",
    "<ISP{}></ISP>",
    "<ISP{}>\n</ISP>",
    "<ISPX{}/>",
    "<ISP{}><ISP/></ISP>",
]
BESIDE = [
    "", "", "", "<!-- {} -->", "<?note {} ?>", "<![CDATA[{}]]>", "text", '<x:ISP xmlns:x="urn:x"/>',
    '<x:More xmlns:x="urn:x">{}</x:More>', '<More xmlns="urn:x">{}</More>', "<More>{}</More>", "&amp;", "&e;",
]  # fmt: skip


def outcome(read, *arguments, **options):
    """Give what reading gives: a message, or that it is refused."""
    try:
        return read(*arguments, **options)
    except SchemaException:
        return "refused"


def assert_both_ways_agree(xml):
    """Compare the short way with the long one, with and without validation."""
    for validate in (True, False):
        short = outcome(message_from_xml, xml, validate=validate)
        # As texts: a value that is not a number, which only validation refuses, is not equal to itself.
        assert repr(short) == repr(outcome(_read_document, xml, [], validate))
    return short


@st.composite
def runs(draw, names):
    """Draw some ISPs: mostly a run of like ones, now and then of another form or with odd values."""
    usual = draw(st.integers(0, 4)) > 0
    chosen = names if usual else draw(st.lists(st.sampled_from(sorted(ATTRIBUTES)), max_size=5))
    quote = '"' if usual else draw(st.sampled_from("\"'"))
    values = [ATTRIBUTES[name][0] if usual else draw(st.sampled_from(ATTRIBUTES[name])) for name in chosen]
    attributes = "".join(f" {name}={quote}{value}{quote}" for name, value in zip(chosen, values, strict=True))
    text = (FORMS[0] if usual else draw(st.sampled_from(FORMS))).format(attributes)
    first, count = draw(st.integers(1, 90)), draw(st.integers(1, 30))
    return "".join(text.replace("{n}", str(n)) for n in range(first, first + count))


@st.composite
def documents(draw, make_message):
    """Draw a message with ISP runs, and with what may stand beside them."""
    cls = draw(st.sampled_from(WITH_ISPS))
    xml = message_to_xml(make_message(cls, version=draw(st.sampled_from(["3.0.0", "3.1.0"])))).decode()
    start, end = xml.index("<ISP "), xml.index("/>", xml.index("<ISP ")) + 2
    beside = [
        draw(st.sampled_from(BESIDE)).replace("{}", draw(runs(OF_TYPE[cls.wire_name]))) for _ in range(4)
    ]
    pieces = draw(st.lists(runs(OF_TYPE[cls.wire_name]), min_size=1, max_size=4))
    middle = draw(st.sampled_from(["", beside[1]])).join(pieces)
    head = draw(st.sampled_from(["", '<?xml version="1.0" encoding="UTF-8"?>', beside[0]]))
    body = xml[xml.index("<", 5) : start] + middle + beside[2] + xml[end:]
    return (head + body + draw(st.sampled_from(["", beside[3]]))).encode()


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_both_ways_of_reading_agree_on_any_document(make_message, data):
    """Whatever stands in and beside the runs, both ways give the same message, or both refuse it."""
    assert_both_ways_agree(data.draw(documents(make_message)))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_both_ways_of_reading_agree_on_damaged_documents(make_message, data):
    """The same holds after some bytes were cut out, doubled or exchanged."""
    xml = bytearray(data.draw(documents(make_message)))
    for _ in range(data.draw(st.integers(1, 3))):
        place, length = data.draw(st.integers(0, len(xml))), data.draw(st.integers(0, 40))
        xml[place : place + length] = data.draw(
            st.sampled_from(
                [b"", b"<", b'"', b"<!--", b"-->", b"<?x ", b"?>", b"\x00", b"\xff", bytes(xml[:60])]
            )
        )
    assert_both_ways_agree(bytes(xml))


@pytest.mark.parametrize(
    "hidden",
    ["<?note {}?>", "<!-- {} -->", '<x:More xmlns:x="urn:x">{}</x:More>'],
    ids=["processing instruction", "comment", "foreign element"],
)
@pytest.mark.parametrize("first", [True, False])
def test_isps_that_are_hidden_are_not_read(hidden, first, make_message):
    """A run in a comment, a processing instruction or an extension does not pass for the message's own."""
    message = make_message(uftp.DPrognosis, isps=[uftp.DPrognosisISP(power=5, start=n) for n in range(1, 21)])
    xml = message_to_xml(message).decode()
    run = hidden.format("".join(f'<ISP Power="999" Start="{n}"/>' for n in range(1, 21)))
    if first and "More" not in hidden:
        xml = run + xml[xml.index("<D-Prog") :]
    else:
        xml = xml.replace("</D-Prog", f"{run}</D-Prog") if not first else xml.replace("<ISP", f"{run}<ISP", 1)
    assert assert_both_ways_agree(xml.encode()) == message or "More" in hidden
    assert message_from_xml(xml.encode()) == message


@pytest.mark.parametrize("cls", WITH_ISPS)
def test_a_usual_message_takes_the_short_way(cls, make_message):
    """The test above would mean nothing if no message were ever cut."""
    message = make_message(cls)
    holder = message
    for name in ("offer_options", "profiles", "flex_order_settlements"):
        holder = getattr(message, name)[0] if hasattr(message, name) else holder
    holder.isps = [holder.isps[0]] * 40
    shorter, cut = cut_runs(message_to_xml(message))
    assert len(cut[0].columns[0]) == 40
    assert len(shorter) < len(message_to_xml(message)) / 2
    assert message_from_xml(message_to_xml(message)) == message
