"""One event for every answer that the filter gives on the wire, with a registry in which each is the right one.

Numbers, names and texts are invented. `EXPECTED` names each event by the reason it must get.
"""

from stream.model.codec import decode_file_record
from stream.model.registry import FileRecord
from tests.filter.harness import NOW, event

# ruff: noqa: E501  # records stand on one line each, as they do in files

PORT = "1069012345"
BANK = {"sender": "ORG-BANK", "from": PORT, "purpose": "commercial", "category": "finance"}
GOOD_TEXT = "【山海银行】理财新品上线，详询 955-88，回复TD退订"

_REGISTRY = """
{"kind":"sender","sender":"ORG-BANK","name":"山海银行","signatures":["山海"],"contact":"95588","status":"active","numbers":[{"prefix":"10690123","channel":"sms","purposes":["commercial","service"],"categories":["finance"]},{"prefix":"+861055550000","channel":"call","purposes":["commercial","service"]}]}
{"kind":"sender","sender":"ORG-SERVICE","name":"快递柜","contact":"95012","status":"active","numbers":[{"prefix":"10690999","channel":"sms","purposes":["service"]}]}
{"kind":"sender","sender":"ORG-GONE","name":"旧商城","contact":"95099","status":"revoked","numbers":[{"prefix":"10690777","channel":"sms","purposes":["commercial"]}]}
{"kind":"sender","sender":"ORG-BAD","name":"骚扰公司","contact":"95077","status":"active","numbers":[{"prefix":"10690666","channel":"sms","purposes":["commercial","service"]}]}
{"kind":"sender","sender":"ORG-STOPPED","name":"暂停公司","contact":"95078","status":"active","numbers":[{"prefix":"10690667","channel":"sms","purposes":["commercial","service"]}]}
{"kind":"sender","sender":"GOV-HEALTH","name":"卫生健康委","contact":"12320","status":"active","numbers":[{"prefix":"12320","channel":"sms","purposes":["public","emergency"]}]}
{"kind":"sender","sender":"ORG-CALLS","name":"外呼平台","contact":"95055","status":"active","numbers":[{"prefix":"+862155550000","channel":"call","purposes":["commercial"],"platform":true}]}
{"kind":"order","order":"O-1","sender":"ORG-BAD","measure":"suspend","from":1,"basis":"measures","notice":"N-1","appeal":"tel:95077"}
{"kind":"order","order":"O-2","sender":"ORG-STOPPED","measure":"stop","from":1,"basis":"measures"}
{"kind":"campaign","campaign":"P-1","status":"approved","sender":"GOV-HEALTH","from":1,"until":9007199254740000,"regions":["110000"],"text":"天热防暑，卫生健康委 12320"}
{"kind":"campaign","campaign":"P-2","status":"approved","sender":"GOV-HEALTH","from":1,"until":2,"text":"已过期"}
{"kind":"wordlist","list":"fraud","terms":["刷单返利"]}
{"kind":"expression","subscriber":"+8613800138000","channel":"sms","sender":"ORG-BANK","category":"finance","will":"consent","time":1790000000000,"source":"form"}
{"kind":"expression","subscriber":"+8613800138000","channel":"call","sender":"ORG-BANK","category":"general","will":"consent","time":1790000000000,"source":"form"}
{"kind":"expression","subscriber":"+8613900139000","channel":"sms","will":"refuse","time":1790000000000,"source":"platform"}
{"kind":"expression","subscriber":"+8613900139000","channel":"call","will":"refuse","time":1790000000000,"source":"platform"}
"""

WILLING, REFUSING, SILENT = "+8613800138000", "+8613900139000", "+8617012345678"


def registry() -> list[FileRecord]:
    """The records of that registry."""
    return [decode_file_record(line.encode()) for line in _REGISTRY.strip().splitlines()]


def _sms(reason: str, **fields: object) -> tuple[str, dict[str, object]]:
    return reason, event("sms", 0, **{"to": WILLING, "text": GOOD_TEXT, **fields})


def _call(reason: str, **fields: object) -> tuple[str, dict[str, object]]:
    return reason, event("call", 0, **{"to": WILLING, **fields})


_CASES = [
    _sms("call_for_help", to="12110"),
    _call("call_for_help", to="110", **{"from": WILLING}),
    _call("redress", to="12300", **{"from": "+862155550000"}),
    ("opt_out_reply", event("reply", 0, **{"from": SILENT, "to": PORT, "text": " Ｔd "})),
    ("reply", event("reply", 0, **{"from": SILENT, "to": PORT, "text": "谢谢"})),
    _sms("number_missing", purpose="commercial"),
    _sms("malformed_number", **{"from": "bank"}),
    _sms("malformed_number", **{**BANK, "to": "1380013800"}),
    _sms("emergency", purpose="emergency", **{"from": "12320"}),
    _sms("suspended", **{"from": "10690666", "purpose": "service"}),
    _call("spoofed_number", verstat="TN-Validation-Failed-A", **{"from": "+861055550000"}),
    _call("spoofed_number", presented="+8610110110", **{"from": "+861055550000"}),
    _sms("personal", text="刷单返利", **{"from": SILENT}),
    _sms("campaign_unknown", purpose="public", campaign="P-9", **{"from": "12320"}),
    _sms("campaign_outside_window", purpose="public", campaign="P-2", text="已过期", **{"from": "12320"}),
    _sms("campaign_outside_region", purpose="public", campaign="P-1", region="310101", **{"from": "12320"}),
    _sms("campaign_text_mismatch", purpose="public", campaign="P-1", region="110101", **{"from": "12320"}),
    _sms(
        "public_interest",
        purpose="public",
        campaign="P-1",
        region="110101",
        text=" 天热防暑，卫生健康委 １２３２０",
        **{"from": "12320"},
    ),
    _sms("prohibited_content", **{**BANK, "text": GOOD_TEXT + "刷-單*返 利"}),
    _sms("unlicensed", **{"from": "10690777"}),
    _sms("unlicensed", **{"from": "10655500", "purpose": "commercial"}),
    _sms("number_not_assigned", **{**BANK, "from": "10690999"}),
    _sms("purpose_not_permitted", **{"from": "10690999", "purpose": "commercial"}),
    _sms("service", to=REFUSING, **{"from": "10690999"}),
    _call("service", to=REFUSING, purpose="service", **{"from": "+861055550000"}),
    _sms("stopped", **{"from": "10690667"}),
    _sms("short_number", **{**BANK, "to": "95533"}),
    _call("platform_commercial_call", **{"from": "+862155550000"}),
    _sms("category_not_permitted", **{**BANK, "category": "education"}),
    _sms("refused", **{**BANK, "to": REFUSING}),
    _call("refused", to=REFUSING, purpose="commercial", **{"from": "+861055550000"}),
    _sms("no_consent", **{**BANK, "to": "+8618912345678"}),
    _sms("identity_missing", **{**BANK, "text": "理财新品上线，回复TD退订"}),
    _sms("opt_out_missing", **{**BANK, "text": "【山海】理财新品上线，详询95588"}),
    _sms("consented", **BANK),
    _call("consented", purpose="commercial", **{"from": "+861055550000"}),
]

EVENTS = [{**one, "id": f"{place}:{reason}", "time": NOW} for place, (reason, one) in enumerate(_CASES)]
EXPECTED = {f"{place}:{reason}": reason for place, (reason, _) in enumerate(_CASES)}
