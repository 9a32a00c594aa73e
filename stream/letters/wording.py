"""What notices say, in Chinese: one table for each closed set of theirs. Pure.

What a person wrote stays as it was written. Articles are named where their number is known (15 and those below 22 are
known from reports alone, so a duty of these is named by the article that carries it out).
"""

import re
from typing import Final

from stream.model.control import Figure, Grounds, NoticeOutcome
from stream.model.fields import Channel, Measure
from stream.model.times import DAY_MS, HOUR_MS, MINUTE_MS, in_shanghai

REGULATION: Final = "《通信短信息和语音呼叫服务管理规定（征求意见稿）》"
"""The title of the draft of 31 August 2020."""

CHANNELS: Final[dict[Channel | None, str]] = {"sms": "短信息", "call": "语音呼叫", None: "短信息和语音呼叫"}
"""By channel; of a measure, where none is stated, it is both."""
MEASURES: Final[dict[Measure, str]] = {
    "suspend": "暂停提供通信服务",
    "stop": "停止商业性短信息发送和商业性语音呼叫",
    "limit": "限制新增通信资源",
}
"""After Article 22."""
GROUNDS: Final[dict[Grounds, str]] = {
    "blocked-share": "你方发送短信息或者拨打电话因违反规定被拦截的比例异常",
    "burst": "你方短时间内发送短信息或者拨打电话的数量异常",
    "refusals": "用户明确拒绝接收你方短信息或者电话的比例异常",
    "sweep": "你方向连续号码批量发送短信息或者拨打电话",
    "personal-as-platform": "你方使用个人用户号码从事平台类短信息发送或者语音呼叫",
    "disguised-as-service": "你方以服务类短信息的名义发送商业性短信息",
    "complaint": "用户对你方的投诉经核实属实",
    "dispute": "用户申诉经申诉受理机构处理，认定你方违反规定",
    "prohibited-content": "你方发送或者传播法律、行政法规禁止的内容",
    "regulator-order": "电信管理机构责令对你方采取措施",
    "inspection": "监督检查中发现你方违反规定",
}
"""What was found, as the party is told it."""
MEASURE_ARTICLES: Final = {
    "prohibited-content": "第二十二条、第三十二条",
    "regulator-order": "第二十二条、第三十七条",
}
"""Of a measure, by its basis; all others rest on Article 22 alone."""
MEASURE_ARTICLE: Final = "第二十二条"
ARTICLES: Final = {
    "complaints": "第二十九条至第三十一条",
    "disputes": "第三十三条",
    "public-interest": "第二十七条",
    "emergency": "第二十五条、第二十六条",
    "bad-actors": "第三十六条",
    "measures": MEASURE_ARTICLE,
}
"""Of all that is no measure, by its basis."""
OUTCOMES: Final[dict[NoticeOutcome, str]] = {
    "for-party": "申诉成立，撤销对你方作出的决定",
    "for-measure": "申诉不成立，维持对你方作出的决定",
    "for-user": "支持您的申诉请求",
    "for-company": "不支持您的申诉请求",
    "declined": "对您的申诉不予受理",
    "settled": "双方已经达成一致",
    "confirmed": "经核实，投诉事项属实",
    "spoofed": "经核实，投诉事项属实，但所示号码系被他人冒用",
    "unconfirmed": "经核实，投诉事项未能得到证实",
    "approved": "同意发送",
    "refused": "不同意发送",
    "withdrawn": "申请已经撤回，不再发送",
}
"""How what a notice tells of came out."""

REASONS: Final = {
    "incomplete": "所需材料未在规定期限内补正，本案终结",
    "lapsed": "申请材料未在规定期限内补正，本申请不再办理",
    "faults": "申请内容不符合规定，予以退回；补正后可以重新提交",
    "punished": "因受到行政处罚，拟将你方列入不良名单并予公布；你方可以自收到本告知书之日起，在规定期限内提出异议",
    "the entry has come to its end": "列入不良名单的期限已经届满，不再列入",
    "the measure has come to its end": "措施期限届满",
    "the heavier measure that had taken its place was annulled: this one stands again": (
        "取代本措施的较重措施已被撤销，本措施恢复执行"
    ),
}
"""Reasons that a procedure states by itself."""

FIELDS: Final = {
    "subscriber": "用户号码",
    "channel": "通信类型（短信息或者语音呼叫）",
    "from": "开始时间",
    "sender": "发送方",
    "at": "收到短信息或者来电的时间",
    "text": "短信息内容",
    "evidence": "证据",
    "grounds": "申诉的理由",
    "body": "申请单位名称",
    "body_region": "申请单位所辖行政区划代码",
    "level": "申请单位级别",
    "subject": "发送事项类别",
    "reason": "发送理由",
    "contact": "联系电话",
    "until": "结束时间",
    "regions": "发送范围的行政区划代码",
    "numbers": "发送号码",
    "volume": "发送数量",
    "incident": "突发事件类别",
    "party": "对方",
    "about": "投诉事项",
}
"""What a notice asks for, by the field's name."""
_FIELDS_OF_USERS: Final = FIELDS | {"from": "对方号码"}
"""The same of a complaint or dispute, whose `from` is a number."""

_FAULTS: Final = tuple(
    (re.compile(pattern), says)
    for pattern, says in (
        (r"(\d+) characters of (\d+)", r"共\1字，超过\2字的上限"),
        (r"link, as the policy's texts\.link has it", "含有链接"),
        (r"link (.+)", r"含有链接\1"),
        (r"does not name the phone (.+)", r"未载明联系电话\1"),
        (r"does not name (.+)", r"未载明申请单位名称\1"),
        (r"(U\+[0-9A-F]+) becomes .*", r"含有特殊字符\1，请改用通常写法"),
        (r"reads like an advertisement: (.+)", r"含有广告性质的内容\1"),
        (r"(\d+) working days ahead is (\S+) or later.*", r"应当提前\1个工作日申请，开始时间不得早于\2"),
        (r"after `from`, and at most (\d+) days later", r"应当晚于开始时间，且相距不超过\1日"),
        (r"\S+ is over, or not after `from`", "已经过去，或者不晚于开始时间"),
        (r"\S+ is more than (\S+) hours ahead: .*", r"应急信息的发送期间不得超过\1小时，期满仍需发送的应当续期"),
        (r"(\S+) is no region's code.*", r"\1不是行政区划代码"),
        (r"(\S+) is outside (.+)", r"\1不在申请单位所辖区域（\2）之内"),
        (r"(\S+ \(.+\)) is of level .*", r"\1与所填级别不符"),
        (r"(.+) is a government: .*", r"\1系人民政府；该级应当由其部门申请"),
        (r"(.+) is a department: .*", r"\1系部门；该级应当由人民政府申请"),
        (
            r".+; only departments of a government of a province or above file, .*",
            "仅省级以上人民政府的部门、设区的市和自治州的人民政府可以申请",
        ),
        (r"(\S.*) is revoked, and .*", r"\1已被注销"),
        (
            r"(\S.*) is a commercial sender, by its entry (\S+) on .*",
            r"\1登记有商业性号码\2，不是公益性短信息的发送单位",
        ),
        (r"nothing shows that (\S.*) is a public body's: .*", r"登记信息未表明\1属于公益性短信息的发送单位"),
        (r"a body's own publicity is outside the scheme.*", "本单位工作宣传不属于公益性短信息"),
        (r"not .*|within its limit of .*", "填写的格式不符合要求"),
    )
)
COMPLAINT_FIRST: Final = "a complaint to the company first"
_WHOLE: Final = ((COMPLAINT_FIRST, "向企业投诉的材料，或者企业自收到投诉之日起十五日内未予答复的说明"),)
"""What is asked for in a sentence of its own, by how that begins."""

FIGURES: Final = {
    "messages_per_person": "人均短信息数量",
    "body_campaigns": "该单位近期发送次数",
    "refusals_per_thousand": "每千条被拒收数",
    "window_events": "本时段数量",
    "events": "总量",
    "blocked": "被拦截数",
    "delivered": "送达数",
    "refusals": "拒收数",
    "recipients": "接收用户数",
    "usual_window_events": "通常时段数量",
}
"""Figures that are counted or weighed."""

RATES: Final = {
    "refusals": "拒收比例",
    "blocked-share": "被拦截比例",
    "burst": "数量倍数",
    "sweep": "连续号码数",
    "personal-as-platform": "接收用户数",
    "disguised-as-service": "退订提示比例",
}
"""What a rule of early warning holds against its limit, by the rule's name: shares, multiples, counts."""


def day(moment: int) -> str:
    """A moment (milliseconds) as a day of Shanghai: 2026年11月30日."""
    at = in_shanghai(moment)
    return f"{at.year}年{at.month}月{at.day}日" if at is not None else ""


def minute(moment: int) -> str:
    """The same with the time of day: 2026年11月30日18时05分."""
    at = in_shanghai(moment)
    return f"{day(moment)}{at.hour}时{at.minute:02}分" if at is not None else ""


def length(length_ms: int) -> str:
    """A length of time: 30日, 24小时, 90分钟."""
    if length_ms % DAY_MS == 0 and length_ms >= 2 * DAY_MS:
        return f"{length_ms // DAY_MS}日"
    if length_ms % HOUR_MS == 0:
        return f"{length_ms // HOUR_MS}小时"
    return f"{max(1, length_ms // MINUTE_MS)}分钟"


def one_line(text: str) -> str:
    """A text without breaks of lines, which would be a letter's own."""
    return " ".join(text.split())


_ENDS: Final = "\u3002.\uff1b; "


def sentence(text: str) -> str:
    """A reason as a sentence without its end: ours in Chinese, a person's as it was written, on one line."""
    plain = one_line(text)
    return REASONS.get(plain, plain).rstrip(_ENDS)


def asked(lack: str, *, of_filing: bool) -> str:
    """Something that is asked for: `field`, `one or other`, or `field: what is wrong with it`."""
    whole = next((says for begins, says in _WHOLE if lack.startswith(begins)), None)
    if whole is not None:
        return whole
    named, _, wrong = lack.partition(": ")
    fields = FIELDS if of_filing else _FIELDS_OF_USERS
    name = "或者".join(fields.get(one, one) for one in named.split(" or "))
    return f"{name}：{_fault(wrong)}" if wrong else name


def _fault(wrong: str) -> str:
    for pattern, says in _FAULTS:
        found = pattern.fullmatch(wrong)
        if found is not None:
            return found.expand(says)
    return wrong


def figure(one: Figure) -> str:
    """A figure beside its limit."""
    if one.limit is None:
        return f"{FIGURES.get(one.name, one.name)}{one.value:g}"
    name = RATES.get(one.name) or FIGURES.get(one.name, one.name)
    return f"{name}{one.value:g}（限值{one.limit:g}）"


_TEL: Final = re.compile(r"tel:([+0-9-]+)(?:;.*)?")


def address(appeal: str) -> str:
    """Where to appeal, as people say it."""
    phone = _TEL.fullmatch(appeal)
    if phone is not None:
        return f"电话{phone[1]}"
    return f"电子邮箱{appeal.removeprefix('mailto:')}" if appeal.startswith("mailto:") else appeal
