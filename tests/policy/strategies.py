"""Whole small worlds for hypothesis: few names and numbers, so that everything collides with everything.

Records and events are JSON objects as they stand on the wire; absent, null and empty are drawn alike.
"""

from hypothesis import strategies as st

from tests.policy.model import Json, Settings, Window

NOON = 1_795_492_800_000
"""2026-11-24T12:00:00+08:00"""
HOUR = 3_600_000
MOMENTS = (NOON - 13 * HOUR, NOON - HOUR, NOON, NOON + 1, NOON + HOUR, NOON + 10 * HOUR)

SENDERS = ("A", "B", "C")
CATEGORIES = ("finance", "travel", "general")
PURPOSES = ("personal", "service", "commercial", "public", "emergency")
PREFIXES = ("1069", "10690", "106901", "1", "9", "955", "+86", "+8613", "+8613800138000", "app:", "app:x", "x")
FROMS = (
    "106901", "1069012345", "10690", "95588", "+8613800138000", "+8613900139000", "+861012345678", "app:x1", "x-1",
    "12", "123456789012345678901", "+0123456789", "１０６９０", "1069\n", "+8613800138000\n", "+٨٦١٣٨٠٠١٣٨٠",
    "+1069012345", "+861069012345", "86106901", "0106901", "+8695588", "+861061234567", "13800138000", "\u200b",
    "0086 138 0013 8000", "tel:+8613900139000", "010-12345678", "+868613800138000", "+86app:x", "+x", "+9558812345",
)  # fmt: skip
PRESENTED = (
    "anonymous", "Restricted", "13800138000", "tel:+8613800138000", "+86 138 0013 8000", "12345678", "1012345678", "12",
    "3900139000", "x123", "95588", "+95588", "+8695588",
)  # fmt: skip
SUBSCRIBERS = ("+8613800138000", "+8613900139000", "+8617012345678")
TOS = (
    *SUBSCRIBERS, *SUBSCRIBERS, "110", "12110123", "+8610110", "021119", "urn:service:sos.fire", "urn:service:sos",
    "911", "10086", "10001", "12345", "10010", "95588", "4001234567", "12580", "911\n", "+86138001380001234", "x",
    "106901", "1069012345", "owner", "13800138000", "86 139 0013 9000", "00861701234 5678", "+86110", "86110", "110#",
    "tel:110;phone-context=+86", "URN:service:SOS", "+8612345", "01095588", "+8695588", "+868613800138000",
    "+861069012345", "861069012345", "+8613800138000.0", "\u200b", "+86１３８00138000",
)  # fmt: skip
NAMES = ("某某银行", "某某銀行", "Ａcme", "x")
SIGNATURES = ("某行", "ＡＢ", "銀")
CONTACTS = ("95588", "95-588", "９５５ 88", "1069-0123", "(021) 5588", "+86 95588", "010-8765 4321")
TERMS = ("赌场", "賭 場", "ＸＸ贷", "v-x", "红包领", "9", "95588", "acme")
PIECES = (
    "", " ", "某某银行", "【某行】", "某行", "【ab】", "acme", "ACME", "【銀】", "95588", "９5-5 8\t8",
    "95588 ", "195588",
    "1069 0123", "(010)8765\u22124321", "10 8765—4321", "955(88)", "021-5588", "0215588",
    "退订", "退 订", "拒收", "回复TD", "回T", "回覆：ｎ", "回复TDx", "回复-_R",
    "赌场", "赌 - 場", "赌。场", "賭", "場", "xx贷", "V X", "红包，领", "。",
)  # fmt: skip
REPLIES = (
    "TD",
    "ｔｄ",
    " 退订 ",
    "退訂",
    "T",
    "t.",
    "N",
    "拒收",
    "KTFSR",
    "ktfsr",
    "QXFSR",
    "TDD",
    "",
    "r\n",
    "R\u3000",
    "请TD退订谢谢",
    "不退订",
    "为什么不退订",
    "退订 误操作",
    "退\u200b订吧",
    "“退订”",
    "好“退订”",
    "退订\n发自我的手机",
    "【某行】回T退订",
    "我要 KTFSR",
    "ktfsr qxfsr",
    "STOP SENDING",
)
CAMPAIGN_TEXTS = ("防汛提醒", "防汛提醒。", " 防汛提醒\n", "ＡＢ防汛", "AB防汛", "ab防汛")
REGIONS = ("110000", "110101", "110100", "310000", "11", "x", "１１００００", "000000", "1101011")
VERSTATS = (
    "TN-Validation-Passed",
    "TN-Validation-Failed",
    "TN-Validation-Failed-A",
    "tn-validation-failed",
    " TN-VALIDATION-FAILED",
)


def nothing_or(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """A value, or one of the two spellings of none (the third, absence, is `optional`'s)."""
    return st.one_of(values, values, values, st.sampled_from((None, "")))


def record(required: Json, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[Json]:
    """A JSON object: fixed fields, and drawn ones of which any may be absent, null or empty."""
    optional = {name.rstrip("_"): nothing_or(values) for name, values in fields.items()}
    fixed = {
        name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in required.items()
    }
    return st.fixed_dictionaries(fixed, optional=optional)


def some(values: tuple[str, ...], *, at_least: int = 0, at_most: int = 2) -> st.SearchStrategy[list[str]]:
    """A short list."""
    return st.lists(st.sampled_from(values), min_size=at_least, max_size=at_most)


moments = st.sampled_from(MOMENTS)
written = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
good_text = st.just("【某行】某某银行 95588 0215588 10690123 01087654321 拒收请回复TD")

entry = record(
    {
        "prefix": st.sampled_from(PREFIXES),
        "channel": st.sampled_from(("sms", "sms", "call")),
        "purposes": some((*PURPOSES, "commercial", "number-protection"), at_most=4),
    },
    categories=some(CATEGORIES),
    platform=st.booleans(),
    since=st.integers(0, 2),
)
sender = record(
    {
        "kind": "sender",
        "sender": st.sampled_from(SENDERS),
        "name": st.sampled_from(NAMES),
        "contact": st.sampled_from(CONTACTS),
        "status": st.sampled_from(("active", "active", "active", "revoked")),
        "numbers": st.lists(entry, max_size=4),
    },
    signatures=some(SIGNATURES),
)
order = st.builds(
    lambda order, target: {**order, **target},
    record(
        {
            "kind": "order",
            "order": st.sampled_from(("O-1", "O-10", "O-2", "o")),
            "measure": st.sampled_from(("suspend", "stop", "limit")),
            "from": moments,
            "basis": st.sampled_from(("measures", "regulator-order")),
        },
        channel=st.sampled_from(("sms", "call")),
        until=moments,
        appeal=st.just("mailto:appeal@example.org"),
    ),
    st.one_of(
        st.sampled_from(SENDERS).map(lambda s: {"sender": s, "number": None}),
        st.sampled_from(FROMS).map(lambda n: {"number": n, "sender": ""}),
    ),
)
campaign = record(
    {
        "kind": "campaign",
        "campaign": st.sampled_from(("P", "Q")),
        "status": st.sampled_from(("approved", "approved", "approved", "filed", "withdrawn")),
        "sender": st.sampled_from(SENDERS),
        "from": moments,
        "until": moments,
        "text": st.sampled_from(CAMPAIGN_TEXTS),
    },
    emergency=st.booleans(),
    numbers=some((*PREFIXES, "+8613900139000")),
    regions=some(REGIONS),
)
wordlist = record({"kind": "wordlist", "list": st.sampled_from(("L", "M")), "terms": some(TERMS)})
consent = record(
    {
        "kind": "expression",
        "subscriber": st.sampled_from(SUBSCRIBERS),
        "channel": st.sampled_from(("sms", "call")),
        "will": "consent",
        "time": moments,
        "source": "form",
        "sender": st.sampled_from(SENDERS),
        "category": st.sampled_from(CATEGORIES),
    },
)
against = record(
    {
        "kind": "expression",
        "subscriber": st.sampled_from(SUBSCRIBERS),
        "channel": st.sampled_from(("sms", "call")),
        "will": st.sampled_from(("refuse", "lift")),
        "time": moments,
        "source": "form",
    },
    sender=st.sampled_from((*SENDERS, "*")),
    category=st.sampled_from((*CATEGORIES, "*")),
)
tombstone = st.one_of(
    st.sampled_from(SENDERS).map(lambda key: {"topic": "registry.senders", "key": key}),
    st.sampled_from(("O-1", "O-2")).map(lambda key: {"topic": "registry.orders", "key": key}),
    st.sampled_from(("P", "Q")).map(lambda key: {"topic": "registry.campaigns", "key": key}),
    st.sampled_from(("L", "M")).map(lambda key: {"topic": "registry.wordlists", "key": key}),
).map(lambda named: {"kind": "tombstone", **named})

registry_records = st.one_of(sender, sender, sender, order, campaign, wordlist, consent, consent, against, tombstone)
registries = st.lists(registry_records, max_size=14)

sms = record(
    {"kind": "sms", "id": "e", "time": moments, "to": st.sampled_from(TOS)},
    sender=st.sampled_from(SENDERS),
    from_=st.sampled_from(FROMS),
    purpose=st.sampled_from(PURPOSES),
    category=st.sampled_from(CATEGORIES),
    text=st.one_of(written, good_text, st.sampled_from(CAMPAIGN_TEXTS)),
    campaign=st.sampled_from(("P", "Q", "R")),
    region=st.sampled_from(REGIONS),
    network=st.sampled_from(("telecom", "internet")),
    origin=st.just("smsc-1"),
)
call = record(
    {"kind": "call", "id": "e", "time": moments, "to": st.sampled_from(TOS)},
    sender=st.sampled_from(SENDERS),
    from_=st.sampled_from(FROMS),
    purpose=st.sampled_from(PURPOSES),
    category=st.sampled_from(CATEGORIES),
    platform=st.booleans(),
    presented=st.sampled_from((*FROMS, *PRESENTED)),
    verstat=st.sampled_from(VERSTATS),
    network=st.sampled_from(("telecom", "internet")),
)
reply = record(
    {
        "kind": "reply",
        "id": "e",
        "time": moments,
        "from": st.sampled_from((*SUBSCRIBERS, "95588", "13800138000", "tel:+8613900139000", "008617012345678")),
        "to": st.sampled_from(TOS),
    },
    text=st.sampled_from(REPLIES),
)
events = st.one_of(sms, sms, call, reply)

windows = st.builds(
    Window,
    st.sampled_from(("sms", "call")),
    st.sampled_from((0, 8 * 60, 12 * 60, 22 * 60)),
    st.sampled_from((7 * 60, 12 * 60 + 1, 21 * 60, 24 * 60)),
    st.sampled_from(("Asia/Shanghai", "Europe/Berlin", "America/New_York")),
    st.sampled_from(((), ("finance",), ("travel", "general"))),
)
settings_ = st.builds(
    Settings,
    silence_refuses=st.booleans(),
    fails_closed=st.booleans(),
    hours=st.lists(windows, max_size=2).map(tuple),
)


def _said(channel: str, will: str, **scope: object) -> Json:
    said = {"subscriber": SUBSCRIBERS[0], "channel": channel, "will": will, "time": NOON, "source": "form"}
    return {"kind": "expression", **said, **scope}


def _filed(campaign: str, *, emergency: bool) -> Json:
    return {
        "kind": "campaign",
        "campaign": campaign,
        "status": "approved",
        "sender": "A",
        "from": NOON - 14 * HOUR,
        "until": NOON + 14 * HOUR,
        "text": CAMPAIGN_TEXTS[0],
        "regions": ["110000"],
        "numbers": ["+8613", "9"],
        "emergency": emergency,
    }


LAWFUL: list[Json] = [
    {
        "kind": "sender",
        "sender": "A",
        "name": "某某银行",
        "contact": "95588",
        "status": "active",
        "signatures": ["某行"],
        "numbers": [
            {"prefix": "1069", "channel": "sms", "purposes": list(PURPOSES), "categories": ["finance", "travel"]},
            {"prefix": "+8613", "channel": "sms", "purposes": ["commercial", "personal"]},
            {"prefix": "+8610", "channel": "call", "purposes": list(PURPOSES), "categories": ["finance", "travel"]},
            {"prefix": "+86400", "channel": "call", "purposes": ["number-protection"]},
        ],
    },
    _said("sms", "consent", sender="A", category="finance"),
    _said("call", "consent", sender="A", category="finance"),
    _filed("P", emergency=False),
    _filed("Q", emergency=True),
]
"""A world in which all is in order. Random records follow it and spoil some of that; without it random worlds seldom
get as far as the last rules."""


def changed(base: st.SearchStrategy[Json], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[Json]:
    """A coherent object with up to three fields drawn anew: close to what passes, so close to every boundary."""
    change = st.one_of([st.tuples(st.just(name.rstrip("_")), nothing_or(values)) for name, values in fields.items()])
    return st.builds(lambda whole, changes: {**whole, **dict(changes)}, base, st.lists(change, max_size=3))


LIKELY_PURPOSES = ("commercial", "commercial", "commercial", "public", "public", *PURPOSES)

coherent_sms = changed(
    st.sampled_from(LIKELY_PURPOSES).map(
        lambda purpose: {
            "kind": "sms",
            "id": "e",
            "time": NOON,
            "to": SUBSCRIBERS[0],
            "from": "95588" if purpose == "emergency" else "1069012345",
            "sender": "A",
            "purpose": purpose,
            "category": "finance",
            "text": CAMPAIGN_TEXTS[0]
            if purpose in ("public", "emergency")
            else "【某行】某某银行 95588 10690123 拒收请回复TD",
            "campaign": "Q" if purpose == "emergency" else "P",
            "region": "110101",
        }
    ),
    sender=st.sampled_from(SENDERS),
    from_=st.sampled_from(FROMS),
    purpose=st.sampled_from(PURPOSES),
    category=st.sampled_from(CATEGORIES),
    text=st.one_of(written, st.sampled_from(("【某行】95588", "某行 95588 退订", "acme赌 - 場 95588"))),
    campaign=st.sampled_from(("P", "Q", "R")),
    region=st.sampled_from(REGIONS),
    network=st.sampled_from(("telecom", "internet")),
)
coherent_call = changed(
    st.sampled_from(LIKELY_PURPOSES).map(
        lambda purpose: {
            "kind": "call",
            "id": "e",
            "time": NOON,
            "to": SUBSCRIBERS[0],
            "from": "+861012345678",
            "sender": "A",
            "purpose": purpose,
            "category": "finance",
        }
    ),
    sender=st.sampled_from(SENDERS),
    from_=st.sampled_from(FROMS),
    purpose=st.sampled_from(PURPOSES),
    category=st.sampled_from(CATEGORIES),
    platform=st.booleans(),
    presented=st.sampled_from((*FROMS, *PRESENTED, "+8640012345", "+861000000")),
    verstat=st.sampled_from(VERSTATS),
)


def elsewhere(coherent: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """Now and then to another recipient, or at another moment: fields that may not be absent."""
    return st.one_of(
        coherent,
        st.builds(lambda event, to: {**event, "to": to}, coherent, st.sampled_from(TOS)),
        st.builds(lambda event, time: {**event, "time": time}, coherent, moments),
    )


def _measure(kind: str, **target: object) -> Json:
    name = f"O-{kind}-{'-'.join(map(str, target.values()))}"
    return {"kind": "order", "order": name, "measure": kind, "from": 0, "basis": "measures", **target}


def _claims(sender: str, *, since: int) -> Json:
    entry = {"prefix": "1069", "channel": "sms", "purposes": ["commercial", "service"], "since": since}
    return {**LAWFUL[0], "sender": sender, "numbers": [entry]}


SPOILERS: tuple[Json, ...] = (
    _measure("stop", sender="A"),
    _measure("stop", number="1069012345"),
    _measure("suspend", sender="A", channel="call"),
    _measure("limit", sender="A"),
    _said("sms", "refuse", sender="A"),
    _said("call", "refuse"),
    _said("sms", "refuse", category="travel"),
    {**LAWFUL[3], "regions": ["310000", "110200"]},
    {**LAWFUL[3], "until": NOON},
    {**LAWFUL[0], "sender": "B", "numbers": [{"prefix": "106901", "channel": "sms", "purposes": ["service"]}]},
    # The same prefix, claimed earlier, later and just then: with equal `since` the later record owns it.
    _claims("A", since=1),
    _claims("B", since=0),
    _claims("B", since=1),
    _claims("B", since=2),
    # Several orders at once, some of which end just now or begin just then.
    *(
        {**_measure(kind, sender="A"), "order": name, "basis": name, **window}
        for kind in ("suspend", "stop")
        for name, window in (
            ("O-9", {}),
            ("O-10", {"until": NOON}),
            ("O-2", {"from": NOON}),
            ("O-1", {"from": NOON + 1}),
        )
    ),
)
"""Records that stand in the way of something that is in order."""

worlds = st.one_of(
    st.builds(
        lambda spoilers, rest: [*LAWFUL, *spoilers, *rest],
        st.lists(st.sampled_from(SPOILERS), max_size=2),
        st.lists(registry_records, max_size=3),
    ),
    st.lists(st.sampled_from(SPOILERS), max_size=2).map(lambda spoilers: [*LAWFUL, *spoilers]),
    registries,
)
all_events = st.one_of(elsewhere(coherent_sms), elsewhere(coherent_call), events)
